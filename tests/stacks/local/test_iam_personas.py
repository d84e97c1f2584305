"""What each persona may and may not do, decided by IAM on the shipped roles and no command of ours.

The roles, policies and boundary are those of the foundation of `local`; people come as on AWS, by a
role of Identity Center that assumes the persona's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.personas import PERSONAS
from policies.data import Resource
from stacks.settings.load import load_environment
from tests.kits.local_cloud import Cloud, running_cloud
from tests.kits.people import TRUST, become, may_assume
from tests.kits.stacks import synth

NAMES = load_environment("local").names
ACCOUNT = NAMES.account_id
DENIALS = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError")
PACKAGE = NAMES.arn("sagemaker", "model-package/plinth-local-flight-delay-model/1")
PIPELINE = "plinth-local-flight-delay-training"
ENDPOINT = "plinth-local-flight-delay-realtime"
BUCKET = NAMES.bucket("artifacts")
OTHERS_ROLE = "plinth-local-flight-delay-job"


def _arn(item: Resource) -> str:
    """The ARN that a resource of a synth would have."""
    given = item.inputs.value
    match item.type.rpartition(":")[2]:
        case "Bucket":
            return f"arn:aws:s3:::{given['bucket']}"
        case "Policy" | "Role" as kind:
            return f"arn:aws:iam::{ACCOUNT}:{kind.lower()}/{given['name']}"
        case kind:
            return f"arn:aws:none:::{kind}/{item.name}"


def deploy(cloud: Cloud) -> None:
    """The foundation's roles with their policies and boundary, without the engine."""
    iam, found = cloud.client("iam"), synth("local.foundation")
    arns = {f"arn:aws:mock:::{item.name}": _arn(item) for item in found}

    def each_of(kind: str) -> list[dict[str, Any]]:
        held = [item.inputs.value for item in found if item.type.endswith(f":{kind}")]
        text = re.sub(r"arn:aws:mock:::[\w-]+", lambda mock: arns[mock[0]], json.dumps(held))
        listed: list[dict[str, Any]] = json.loads(text)
        return listed

    for item in each_of("Policy"):
        if isinstance(item.get("policy"), str):
            iam.create_policy(PolicyName=item["name"], PolicyDocument=item["policy"])
    for item in each_of("Role"):
        bound = item.get("permissionsBoundary")
        more = {"PermissionsBoundary": bound} if isinstance(bound, str) else {}
        iam.create_role(
            RoleName=item["name"], AssumeRolePolicyDocument=item["assumeRolePolicy"], **more
        )
    for item in each_of("RolePolicy"):
        iam.put_role_policy(
            RoleName=item["role"], PolicyName=item["name"], PolicyDocument=item["policy"]
        )
    iam.create_role(RoleName=OTHERS_ROLE, AssumeRolePolicyDocument=TRUST)
    cloud.client("s3").create_bucket(Bucket=BUCKET)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        deploy(running)
        yield running


@pytest.fixture(scope="module")
def people(cloud: Cloud) -> dict[str, Callable[[str], Any]]:
    return {
        persona: become(cloud.client, cloud.info.endpoint_url, NAMES.of(persona))
        for persona in PERSONAS
    }


ROLE_OF = f"arn:aws:iam::{ACCOUNT}:role/"
ACTS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "list pipelines": ("sagemaker", "list_pipelines", {}),
    "run a pipeline": ("sagemaker", "start_pipeline_execution", {"PipelineName": PIPELINE}),
    "look at a version": ("sagemaker", "describe_model_package", {"ModelPackageName": PACKAGE}),
    "approve a version": (
        "sagemaker",
        "update_model_package",
        {"ModelPackageArn": PACKAGE, "ModelApprovalStatus": "Approved"},
    ),
    "delete a version": ("sagemaker", "delete_model_package", {"ModelPackageName": PACKAGE}),
    "delete an endpoint": ("sagemaker", "delete_endpoint", {"EndpointName": "somebodys"}),
    "ask an endpoint": ("sagemaker-runtime", "invoke_endpoint",
                        {"EndpointName": ENDPOINT, "Body": b"{}"}),
    "read artefacts": ("s3", "list_objects_v2", {"Bucket": BUCKET}),
    "write artefacts": ("s3", "put_object", {"Bucket": BUCKET, "Key": "models/x", "Body": b""}),
    "delete the bucket": ("s3", "delete_bucket", {"Bucket": "somebodys-bucket"}),
    "open the bucket": ("s3", "put_bucket_policy", {"Bucket": "somebodys-bucket", "Policy": "{}"}),
    "make a role without boundary": ("iam", "create_role", {
        "RoleName": "plinth-local-mine", "AssumeRolePolicyDocument": TRUST}),
    "take the boundary off": ("iam", "delete_role_permissions_boundary",
                              {"RoleName": "plinth-local-approver"}),
    "change the boundary": ("iam", "create_policy_version", {
        "PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/plinth-local-boundary",
        "PolicyDocument": may_assume(), "SetAsDefault": True}),
    "make a user": ("iam", "create_user", {"UserName": "mallory"}),
    "make keys of a user": ("iam", "create_access_key", {"UserName": "mallory"}),
    "become the approver": ("sts", "assume_role", {
        "RoleArn": f"{ROLE_OF}plinth-local-approver", "RoleSessionName": "me"}),
    "become a job": ("sts", "assume_role", {
        "RoleArn": f"{ROLE_OF}plinth-local-tracking", "RoleSessionName": "me"}),
    "leave the organization": ("organizations", "leave_organization", {}),
    "look elsewhere": ("ec2", "describe_instances", {}),
}  # fmt: skip

MAY: Mapping[str, frozenset[str]] = {
    "data-scientist": frozenset(
        ("list pipelines", "look at a version", "read artefacts")
    ),
    "ml-engineer": frozenset(
        ("list pipelines", "run a pipeline", "look at a version", "ask an endpoint",
         "read artefacts")
    ),
    "approver": frozenset(("look at a version", "approve a version", "read artefacts")),
    "deployer": frozenset(
        ("list pipelines", "run a pipeline", "look at a version", "ask an endpoint",
         "read artefacts", "write artefacts", "look elsewhere", "delete a version")
    ),
}  # fmt: skip
"""Persona -> what they may; everything else IAM denies."""


def is_denied(clients: Callable[[str], Any], act: str) -> bool:
    service, method, request = ACTS[act]
    try:
        getattr(clients(service), method)(**request)
    except ClientError as error:
        return error.response["Error"]["Code"] in DENIALS
    return False


def test_the_table_has_forty_acts_that_must_be_denied() -> None:
    assert set(MAY) == set(PERSONAS)
    assert sum(len(ACTS) - len(allowed) for allowed in MAY.values()) >= 40


@pytest.mark.parametrize("persona", PERSONAS)
def test_a_persona_does_its_work_and_nothing_else(
    people: dict[str, Callable[[str], Any]], persona: str
) -> None:
    did = {act for act in ACTS if not is_denied(people[persona], act)}
    assert did == MAY[persona]


def test_nobody_becomes_a_persona_who_does_not_come_by_identity_center(cloud: Cloud) -> None:
    for persona in PERSONAS:
        with pytest.raises(ClientError, match="no role trust policy allows"):
            cloud.client("sts").assume_role(
                RoleArn=f"{ROLE_OF}{NAMES.of(persona)}", RoleSessionName="me"
            )
