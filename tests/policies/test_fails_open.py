"""What once passed and must not: values that only look like what a rule asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from policies.config import PolicyConfig
from policies.data import Data, Resource, Unknown
from policies.offline import evaluate, unjudged
from policies.review.knowledge import counterpart, told_unjudged
from stacks.cli import main

OURS = "123456789012"
CONFIG = PolicyConfig(production=True, approved_registries=(OURS,), required_tags=("owner",))
DIGEST = "@sha256:" + "a" * 64
ECR = f"{OURS}.dkr.ecr.us-east-1.amazonaws.com/x{DIGEST}"


def status(rule: str, token: str, inputs: dict[str, Any]) -> str:
    """What one rule says of one resource."""
    made = Resource(type=token, name="one", urn=f"urn:pulumi:p::p::{token}::one",
                    inputs=Data(inputs), outputs=Data(inputs))  # fmt: skip
    found = [f for f in evaluate([made], CONFIG) if f.rule_id == rule and f.urn]
    return found[0].status if found else "not looked at"


def document(name: str = "policy", **statement: Any) -> dict[str, Any]:
    whole = {"Effect": "Allow", "Action": "sns:Publish", "Resource": "arn:a", **statement}
    return {name: json.dumps({"Version": "2012-10-17", "Statement": [whole]})}


def when(operator: str, key: str, value: Any) -> dict[str, Any]:
    return {"Principal": "*", "Condition": {operator: {key: value}}}


PUBLIC = [
    when("ArnLike", "aws:SourceArn", "*"),
    when("StringNotEquals", "aws:SourceAccount", "1"),
    when("StringEqualsIfExists", "aws:SourceAccount", OURS),
    when("Null", "aws:SourceAccount", "false"),
    when("ForAllValues:StringEquals", "aws:PrincipalOrgID", "o-a"),
    when("StringLike", "kms:CallerAccount", "*"),
    {"NotPrincipal": {"AWS": OURS}},
]
TOPIC, KEY, ROLE = "aws:sns/topicPolicy:TopicPolicy", "aws:kms/key:Key", "aws:iam/role:Role"


@pytest.mark.parametrize("statement", PUBLIC, ids=str)
def test_a_condition_that_names_nobody_leaves_a_policy_public(statement: Any) -> None:
    assert status("PF-MSG-001", TOPIC, document(**statement)) == "fail"
    assert status("PF-KMS-001", KEY, {"enableKeyRotation": True, **document(**statement)}) == "fail"
    trust = document("assumeRolePolicy", **{"Action": "sts:AssumeRole", **statement})
    assert status("PF-IAM-002", ROLE, trust) == "fail"


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [("ArnLike", f"arn:aws:sagemaker:*:{OURS}:*", "pass"), ("ArnLike", "*", "fail"),
     ("ArnLikeIfExists", f"arn:aws:sagemaker:*:{OURS}:*", "fail")],
)  # fmt: skip
def test_a_service_is_trusted_for_a_named_account(operator: str, value: str, expected: str) -> None:
    trust = document("assumeRolePolicy", Action="sts:AssumeRole",
                     Principal={"Service": "sagemaker.amazonaws.com"},
                     Condition={operator: {"aws:SourceArn": value}})  # fmt: skip
    assert status("PF-IAM-002", ROLE, trust) == expected


@pytest.mark.parametrize(
    ("service", "account", "expected"),
    [("sagemaker", OURS, "unknown"), ("glue", OURS, "fail")],
)
def test_an_account_where_it_is_said_is_undecided_of_a_service_that_may_not_say_it(
    service: str, account: str, expected: str
) -> None:
    condition = {"StringEqualsIfExists": {"aws:SourceAccount": account}}
    trust = document("assumeRolePolicy", Action="sts:AssumeRole", Condition=condition,
                     Principal={"Service": f"{service}.amazonaws.com"})  # fmt: skip
    assert status("PF-IAM-002", ROLE, trust) == expected


def test_what_no_update_makes_known_is_told_as_such() -> None:
    assert Unknown("a.b").why == "not known before the update: a.b"
    fact = "whether glue.amazonaws.com says its account"
    assert Unknown(fact).why == f"nobody here knows {fact}"
    assert Unknown("a", fact).why == f"not known before the update: a; nobody here knows {fact}"


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        ("secretsmanager:GetSecretValue", "*", "fail"),
        ("s3:GetObject", "*", "fail"),
        ("s3:Get*", "arn:aws:s3:::*", "fail"),
        ("s3:GetObject", "arn:aws:s3:::plinth-data/*", "pass"),
        ("ecr:GetAuthorizationToken", "*", "pass"),
    ],
)
def test_nobody_reads_all_data_or_every_secret(action: str, resource: str, expected: str) -> None:
    token = "aws:iam/rolePolicy:RolePolicy"
    assert status("PF-IAM-001", token, document(Action=action, Resource=resource)) == expected


@pytest.mark.parametrize(
    ("image", "expected"),
    [(ECR, "pass"), (f"{OURS}.evil.example/x{DIGEST}", "fail"),
     (f"{OURS}.dkr.ecr.us-east-1.amazonaws.com.evil.example/x{DIGEST}", "fail")],
)  # fmt: skip
def test_a_registry_is_known_by_its_whole_host(image: str, expected: str) -> None:
    spec = {"containers": [{"name": "a", "image": image}]}
    assert status("ML-K8-013", "kubernetes:core/v1:Pod", {"spec": spec}) == expected


SAFE = {
    "name": "a", "image": ECR,
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
                        "readOnlyRootFilesystem": True, "runAsNonRoot": True,
                        "seccompProfile": {"type": "RuntimeDefault"}},
}  # fmt: skip
OWN = SAFE["securityContext"]
assert isinstance(OWN, dict)
ADDS = {**SAFE, "securityContext": {**OWN, "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}}
SOCKET = [{"name": "s", "hostPath": {"path": "/var/run/docker.sock"}}]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "pass"),
        ({"volumes": SOCKET}, "fail"),
        ({"containers": [ADDS]}, "fail"),
        ({"containers": [{**SAFE, "ports": [{"containerPort": 1, "hostPort": 1}]}]}, "fail"),
    ],
)
@pytest.mark.parametrize(
    ("token", "depth"),
    [
        ("kubernetes:core/v1:Pod", ()),
        ("kubernetes:apps/v1:ReplicaSet", ("template", "spec")),
        ("kubernetes:kubeflow.org/v1:PyTorchJob",
         ("pytorchReplicaSpecs", "Worker", "template", "spec")),
        ("kubernetes:example.com/v1:Unheard", ("a", "b", "template", "spec")),
    ],
)  # fmt: skip
def test_whatever_describes_pods_is_judged_by_the_restricted_standard(
    token: str, depth: tuple[str, ...], more: dict[str, Any], expected: str
) -> None:
    spec: Any = {"containers": [SAFE], "automountServiceAccountToken": False, **more}
    for name in reversed(depth):
        spec = {name: spec}
    assert status("ML-K8-012", token, {"spec": spec}) == expected


@pytest.mark.parametrize(
    ("rule", "token", "inputs"),
    [
        ("ML-K8-010", "kubernetes:core/v1:Pod",
         {"spec": {"containers": [SAFE], "tolerations": [{"operator": "Exists"}]}}),
        ("ML-K8-001", "aws:eks/cluster:Cluster",
         {"vpcConfig": {"publicAccessCidrs": ["0.0.0.0/1", "128.0.0.0/1"]}}),
        ("FO-001", "aws:s3/bucket:Bucket", {"tags": {"owner": " "}}),
        ("ML-MD-007", "aws:sagemaker/model:Model",
         {"primaryContainer": {"environment": {"DBPASSWORD": "hunter2"}}}),
        ("PF-LMB-001", "aws:lambda/permission:Permission",
         {"principal": "*", "sourceArn": "*"}),
    ],
)  # fmt: skip
def test_what_only_looks_right_fails(rule: str, token: str, inputs: dict[str, Any]) -> None:
    assert status(rule, token, inputs) == "fail"


def test_a_limit_of_tokens_is_no_secret() -> None:
    inputs = {"primaryContainer": {"environment": {"TOKEN_LIMIT": "4096"}}}
    assert status("ML-MD-007", "aws:sagemaker/model:Model", inputs) == "pass"


def test_types_that_no_rule_knows_are_counted() -> None:
    token = "aws-native:s3:Bucket"
    made = Resource(type=token, name="a", urn=f"urn:pulumi:p::p::{token}::a", inputs=Data({}))
    assert unjudged([made]) == {token: 1}
    said = "1 resources are judged by no rule: aws-native:s3:Bucket (1; rules judge aws:s3/bucket:"
    assert told_unjudged(unjudged([made]), 1).startswith(said)
    assert counterpart("aws-native:nothing:AtAll") == ""


def test_the_command_and_the_review_count_what_no_rule_judges(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = "aws-native:s3:Bucket"
    urn = f"urn:pulumi:dev.foundation::plinth::{token}::a"
    state = {"urn": urn, "custom": True, "type": token, "id": "a", "inputs": {}, "outputs": {}}
    digest = tmp_path / "digest.json"
    digest.write_text(json.dumps({"steps": [{"op": "create", "urn": urn, "newState": state}]}))

    def said(*arguments: str) -> str:
        with pytest.raises(SystemExit):
            main([*arguments, "dev.foundation", "--digest", str(digest)])
        return capsys.readouterr().out

    policies = json.loads(said("policy", "--json").splitlines()[-1])
    assert policies["stacks"]["dev.foundation"]["unjudged"] == {token: 1}
    assert "judged by no rule" in said("policy")
    review = json.loads(said("review", "--json").splitlines()[-1])
    assert review["sections"]["policies"]["unjudged"] == {token: 1}
    assert "judged by no rule" in said("review", "--format", "markdown")
