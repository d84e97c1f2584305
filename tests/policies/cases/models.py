"""Programs for the rules about models and the registry; see case.py."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pulumi_aws as aws

from tests.policies.cases.case import ACCOUNT, DIGEST, IMAGE, KEY, later, serverless
from tests.policies.cases.platform import bucket
from tests.policies.cases.serving import STAGING, fails, passes, skips, unknown, variant

PACKAGE = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model-package/flights/7"
WEIGHTS = "s3://weights/llm/"
ADAPTER = {
    "channel_name": "adapter",
    "s3_data_sources": [
        {"s3_uri": "s3://other/x/", "s3_data_type": "S3Prefix", "compression_type": "None"}
    ],
}
VPC = {"security_group_ids": ["sg"], "subnets": ["a", "b"]}


def model(container: Any = None, **changes: Any) -> aws.sagemaker.Model:
    shape = {
        "name": "model",
        "execution_role_arn": "role",
        "primary_container": container or {"model_package_name": PACKAGE},
        **changes,
    }
    return aws.sagemaker.Model("model", **shape)


def source(uri: Any = WEIGHTS, **more: Any) -> dict[str, Any]:
    """A container whose weights SageMaker fetches from a prefix."""
    data = {"s3_uri": uri, "s3_data_type": "S3Prefix", "compression_type": "None"}
    return {"image": f"{IMAGE}@{DIGEST}", "model_data_source": {"s3_data_sources": [data]}, **more}


def raw(uri: Any = "s3://weights/model.tar.gz") -> dict[str, Any]:
    return {"image": f"{IMAGE}@{DIGEST}", "model_data_url": uri}


def served_by_a_serverless_endpoint() -> None:
    serverless()
    model()


def in_subnets(*zones: str) -> None:
    """A model in subnets of the same stack."""
    subnets = [
        aws.ec2.Subnet(f"s{index}", vpc_id="vpc", availability_zone_id=zone)
        for index, zone in enumerate(zones)
    ]
    vpc = {"security_group_ids": ["sg"], "subnets": [subnet.id for subnet in subnets]}
    model(vpc_config=vpc)


def pulled(image: Any = f"{IMAGE}@{DIGEST}", mode: Any = None) -> None:
    config = {"image_config": {"repository_access_mode": mode}} if mode else {}
    model({"image": image, **config})


def stored(uri: Any = WEIGHTS, *, more: Any = None, **changes: Any) -> None:
    """Weights in a bucket of the stack, which may lack some of what makes it governed."""
    bucket(name="weights", **changes)
    model({**source(uri), **(more or {})})


def told(**environment: Any) -> None:
    model({"model_package_name": PACKAGE, "environment": environment})


def card(
    subject: str = PACKAGE,
    *,
    status: Any = "Approved",
    uses: Any = "Ranking departures by risk",
    evaluation: bool = False,
    key: Any = KEY,
    container: Any = None,
) -> None:
    content: dict[str, Any] = {
        "model_overview": {"model_id": subject},
        "intended_uses": {"intended_uses": uses, "risk_rating": "Low"},
    }
    if evaluation:
        content["evaluation_details"] = [{"name": "holdout"}]
    model(container)
    aws.sagemaker.ModelCard(
        "card",
        model_card_name="card",
        model_card_status=status,
        content=json.dumps(content),
        security_config={"kms_key_id": key} if key else None,
    )


READER = f"arn:aws:iam::{ACCOUNT}:root"
OF_ROLES = {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/plinth-prod-*"}}
OF_ORGANIZATION = {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}
TRUSTED = {"trusted_accounts": [ACCOUNT]}


def shared(principal: Any = None, condition: Any = OF_ROLES, effect: str = "Allow") -> None:
    statement = {
        "Effect": effect,
        "Principal": {"AWS": READER} if principal is None else principal,
        "Action": "sagemaker:DescribeModelPackage",
        "Resource": "arn:aws:sagemaker:us-east-1:123456789012:model-package/flights/*",
        **({"Condition": condition} if condition else {}),
    }
    grant({"Version": "2012-10-17", "Statement": [statement]})


def grant(document: Any) -> None:
    text = document if not isinstance(document, dict) else json.dumps(document)
    aws.sagemaker.ModelPackageGroupPolicy(
        "policy", model_package_group_name="flights", resource_policy=text
    )


def group(description: Any = "Is a flight late", **tags: Any) -> None:
    aws.sagemaker.ModelPackageGroup(
        "flights",
        model_package_group_name="flights",
        model_package_group_description=description,
        tags={"owner": "ml", "risk_class": "low", **tags},
    )


MODELS = [
    passes("ML-MD-001", partial(model, enable_network_isolation=True)),
    passes("ML-MD-001", partial(model, source(), enable_network_isolation=True)),
    fails("ML-MD-001", model, "enableNetworkIsolation must be true, got none"),
    fails(
        "ML-MD-001",
        partial(model, {**source(), "environment": {"HF_MODEL_ID": "org/model"}}),
        "HF_MODEL_ID makes the container fetch its weights",
    ),
    unknown(
        "ML-MD-001",
        lambda: model(enable_network_isolation=later().apply(lambda _: True)),
        "enableNetworkIsolation",
    ),
    skips("ML-MD-001", served_by_a_serverless_endpoint, "serverless"),
    passes("ML-MD-002", partial(model, vpc_config=VPC)),
    passes("ML-MD-002", partial(in_subnets, "use1-az1", "use1-az2")),
    passes("ML-MD-002", partial(in_subnets, "use1-az1", "use1-az2"), preview=True),
    fails("ML-MD-002", partial(in_subnets, "use1-az1", "use1-az1"), "two zones or more, got 1"),
    fails("ML-MD-002", model, "vpcConfig must be set"),
    fails("ML-MD-002", lambda: (variant(), model()), "vpcConfig must be set"),
    fails("ML-MD-002", partial(model, vpc_config={**VPC, "subnets": ["a"]}), "zones or more"),
    fails(
        "ML-MD-002",
        partial(model, vpc_config={**VPC, "security_group_ids": []}),
        "securityGroupIds must be set",
    ),
    unknown("ML-MD-002", lambda: model(vpc_config={**VPC, "subnets": [later()]}), "subnets[0]"),
    skips("ML-MD-002", served_by_a_serverless_endpoint, "serverless"),
    passes("ML-MD-004", pulled),
    passes("ML-MD-004", partial(pulled, mode="Platform")),
    passes("ML-MD-004", partial(pulled, "registry.internal/serving:1", "Vpc")),
    fails("ML-MD-004", partial(pulled, mode="Vpc"), "must be Platform, got Vpc"),
    fails("ML-MD-004", partial(pulled, "registry.internal/serving:1"), "must be Vpc"),
    unknown("ML-MD-004", lambda: pulled(later()), "primaryContainer.image"),
    skips("ML-MD-004", model, "model package"),
    passes("ML-MD-005", model),
    passes("ML-MD-005", partial(model, source()), config={"weights_uris": ["s3://weights/llm/*"]}),
    fails("ML-MD-005", partial(model, raw()), "got the file s3://weights/model.tar.gz"),
    fails("ML-MD-005", partial(model, source()), "got the file s3://weights/llm/"),
    fails("ML-MD-005", pulled, "must name a modelPackageName, got none"),
    fails(
        "ML-MD-005",
        partial(model, primary_container=None, containers=[{"model_package_name": PACKAGE}, raw()]),
        "got the file",
    ),
    unknown("ML-MD-005", lambda: model(raw(later())), "primaryContainer.modelDataUrl"),
    skips("ML-MD-005", partial(model, raw()), "outside production", config=STAGING),
    passes("ML-MD-006", stored),
    passes("ML-MD-006", partial(model, raw()), config={"model_buckets": ["weights"]}),
    fails("ML-MD-006", partial(model, raw()), "must lie in a bucket of this stack"),
    fails("ML-MD-006", partial(stored, "s3://other/llm/"), "s3://other/llm/ must lie in"),
    fails("ML-MD-006", partial(stored, without=("versions",)), "must have versioning enabled"),
    fails("ML-MD-006", partial(stored, algorithm="AES256"), "must be encrypted"),
    fails(
        "ML-MD-006",
        partial(stored, more={"additional_model_data_sources": [ADAPTER]}),
        "s3://other/x/ must lie in",
    ),
    unknown("ML-MD-006", lambda: model(raw(later())), "modelDataUrl"),
    skips("ML-MD-006", model, "model package"),
    passes("ML-MD-007", partial(told, LOG_LEVEL="info", MAX_TOKENS="512", TOKENIZER="fast")),
    passes(
        "ML-MD-007",
        partial(told, DB_PASSWORD=f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:db"),
    ),
    passes("ML-MD-007", partial(told, API_KEY="/plinth/prod/api-key")),
    fails("ML-MD-007", partial(told, DB_PASSWORD="tiger"), "environment.DB_PASSWORD must not"),
    fails("ML-MD-007", partial(told, HF_TOKEN="x" * 8), "HF_TOKEN"),
    fails("ML-MD-007", partial(told, STORE="redis://app:tiger@cache:6379"), "STORE"),
    fails("ML-MD-007", partial(told, ID="AKIA" + "Z" * 16), "environment.ID"),
    fails(
        "ML-MD-007",
        lambda: told(LATER=later(), SECRET="tiger"),
        "environment.SECRET",
        preview=True,
    ),
    unknown("ML-MD-007", lambda: told(LEVEL=later()), "environment.LEVEL"),
    skips("ML-MD-007", model, "no container has an environment"),
    passes("ML-MD-008", card),
    passes("ML-MD-008", partial(card, "model", evaluation=True, container=raw())),
    fails("ML-MD-008", model, f"must name {PACKAGE}, got none"),
    fails("ML-MD-008", partial(card, f"{PACKAGE}0"), "got none"),
    fails("ML-MD-008", partial(card, status="Draft"), "must be Approved, got Draft"),
    fails("ML-MD-008", partial(card, uses=""), "intended_uses must be set"),
    fails("ML-MD-008", partial(card, "model", container=raw()), "evaluation_details must be set"),
    fails("ML-MD-008", partial(card, key=None), "securityConfig.kmsKeyId must be set"),
    unknown("ML-MD-008", lambda: card(status=later()), "modelCardStatus"),
    skips("ML-MD-008", model, "before production", config=STAGING),
    passes("ML-MR-001", shared, config=TRUSTED),
    passes("ML-MR-001", partial(shared, condition=OF_ORGANIZATION), config=TRUSTED),
    passes("ML-MR-001", partial(shared, "*", OF_ORGANIZATION), config=TRUSTED),
    fails("ML-MR-001", partial(shared, "*", None), "must not allow everybody", config=TRUSTED),
    fails("ML-MR-001", partial(shared, {"AWS": "*"}, None), "must not allow", config=TRUSTED),
    fails("ML-MR-001", partial(shared, condition=None), "must have a condition", config=TRUSTED),
    fails(
        "ML-MR-001",
        partial(shared, {"AWS": [READER, "arn:aws:iam::999999999999:root"]}),
        f"must allow {ACCOUNT}, got 999999999999",
        config=TRUSTED,
    ),
    fails("ML-MR-001", shared, "must allow no other account, got 123456789012"),
    unknown("ML-MR-001", lambda: grant(later()), "resourcePolicy"),
    skips("ML-MR-001", partial(shared, effect="Deny"), "allows nothing"),
    passes("ML-MR-002", group),
    fails("ML-MR-002", partial(group, None), "modelPackageGroupDescription must be set"),
    fails("ML-MR-002", partial(group, risk_class=""), "tag 'risk_class' must be set"),
    unknown("ML-MR-002", lambda: group(owner=later()), "tags.owner"),
    skips("ML-MR-002", model),
]
