"""What is unsaid, spelled otherwise, or held by what was there: each with its counterpart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from policies.data import UNKNOWN
from policies.offline import RuleFinding
from policies.review.compare import compare
from policies.review.differences import Leaf
from policies.review.meaning import meaning
from policies.review.parts import findings
from policies.review.report import RISKS, Context
from policies.tables import defaults
from tests.review.test_creations import AWS, made, reviewed
from tests.review.test_open_world import CONTEXT
from tests.review.test_who_gets_in import OURS, of

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
Sides = tuple[str, Mapping[str, Any], Mapping[str, Any]]
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""How a preview writes a value that is known only during the update."""


def risk(token: str, old: Mapping[str, Any], new: Mapping[str, Any], *beside: Any) -> str:
    """The highest risk of an update, among other resources of the stack."""
    urn = f"{AWS}{token}::it"
    sides = ({"urn": urn, "custom": True, "type": token, "inputs": side} for side in (old, new))
    before, after = sides
    names = sorted({*old, *new})
    diff = {name: {"kind": "update"} for name in names if old.get(name) != new.get(name)}
    step = {"op": "update", "urn": urn, "oldState": before, "newState": after, "detailedDiff": diff}
    report = reviewed(step, *beside)
    found = [reason.risk for reason in report.reasons if reason.urn == urn]
    return max(found, key=RISKS.index, default="low")


def pod(**container: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "c", **container}]}}}}


def group(*rules: Mapping[str, Any], way: str = "ingress") -> dict[str, Any]:
    return {"vpcId": "v", way: list(rules)}


def rule(*cidrs: str, ports: tuple[int, int] = (443, 443), protocol: str = "tcp") -> dict[str, Any]:
    low, high = ports
    return {"protocol": protocol, "fromPort": low, "toPort": high, "cidrBlocks": list(cidrs)}


def role(*rules: tuple[str, str, str | None]) -> dict[str, Any]:
    """Verb, resource and name of each rule."""
    named = [
        {"verbs": [verb], "resources": [thing], "apiGroups": ["*" if thing == "*" else ""]}
        | ({"resourceNames": [name]} if name else {})
        for verb, thing, name in rules
    ]
    return {"metadata": {"name": "r"}, "rules": named}


def policy(condition: Mapping[str, Any] | None, **more: Any) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::a/*",
    }
    statement |= {"Condition": condition} if condition else {}
    statement |= more
    kept = {key: value for key, value in statement.items() if value is not None}
    return {"policy": json.dumps({"Version": "2012-10-17", "Statement": [kept]})}


SECURITY_GROUP = "aws:ec2/securityGroup:SecurityGroup"
ROLE = "kubernetes:rbac.authorization.k8s.io/v1:Role"
POLICY = "aws:iam/policy:Policy"
CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
PROMETHEUS = "kubernetes:monitoring.coreos.com/v1:PrometheusRule"
NAMESPACE = "kubernetes:core/v1:Namespace"
OWN = "app.kubernetes.io"


def labelled(**labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "a", "labels": {k.replace("__", "/"): v for k, v in labels.items()}}
    }


LOUD: list[Sides] = [
    # off where nothing stood, and a default that is the weak side
    ("aws:guardduty/detector:Detector", {}, {"enable": False}),
    ("aws:cloudwatch/metricAlarm:MetricAlarm", {}, {"actionsEnabled": False}),
    ("aws:lambda/eventSourceMapping:EventSourceMapping", {}, {"enabled": False}),
    ("aws:rds/instance:Instance", {"deleteAutomatedBackups": False}, {}),
    (DEPLOYMENT, pod(securityContext={"allowPrivilegeEscalation": False}), pod(securityContext={})),
    ("kubernetes:core/v1:ServiceAccount", {"automountServiceAccountToken": False}, {}),
    ("aws-native:new:Thing", {}, {"loggingEnabled": False}),
    ("aws:dms/replicationInstance:ReplicationInstance", {}, {"autoMinorVersionUpgrade": False}),
    ("aws:s3/bucketVersioning:BucketVersioning", {"versioningConfiguration": {}},
     {"versioningConfiguration": {"status": "Suspended"}}),
    ("aws:rds/cluster:Cluster", {}, {"masterPassword": "x"}),
    # known only during the update
    ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", {"cidrIpv4": "10.0.0.0/8"},
     {"cidrIpv4": UNKNOWN_TEXT}),
    # what others find it by
    ("kubernetes:core/v1:Pod", labelled(app="a"), labelled(app="b")),
    (PROMETHEUS, labelled(release="a"), labelled(release="b")),
    (ROLE, labelled(), labelled(**{"rbac.authorization.k8s.io__aggregate-to-edit": "true"})),
    (CLASS, {"spec": {"amiSelectorTerms": [{"tags": {"a": "b"}}]}},
     {"spec": {"amiSelectorTerms": [{"tags": {"a": "c"}}]}}),
    ("aws:ec2/subnet:Subnet", {"tags": {"kubernetes.io/role/internal-elb": "1"}}, {"tags": {}}),
    ("aws:rds/instance:Instance", {"tags": {"backup": "daily"}}, {"tags": {"team": "a"}}),
    # another machine
    ("aws:ec2/instance:Instance", {"instanceType": "m5.4xlarge"}, {"instanceType": "p5.4xlarge"}),
    ("aws:ec2/instance:Instance", {"instanceType": "m5.large"}, {"instanceType": "m6g.large"}),
    # a flag that stopped something, a word that others go by
    ("aws:appautoscaling/policy:Policy", {"configuration": {"disableScaleIn": True}},
     {"configuration": {"disableScaleIn": False}}),
    ("aws-native:sagemaker:ModelPackage", {"modelApprovalStatus": "Approved"},
     {"modelApprovalStatus": "Rejected"}),
    # more flows, by ports, protocol, or the other side
    (SECURITY_GROUP, group(rule("10.0.0.0/8")), group(rule("10.0.0.0/8", ports=(0, 65_535)))),
    (SECURITY_GROUP, group(rule("10.0.0.0/8")), group(rule("10.0.0.0/8", protocol="-1"))),
    (SECURITY_GROUP, group(rule("10.0.0.0/8")), group(rule("10.0.0.0/7"))),
    (SECURITY_GROUP, group({**rule(), "self": True}),
     group({**rule(), "securityGroups": ["sg-1"]})),
    ("aws-native:ec2:SecurityGroup",
     {"securityGroupIngress": [{"ipProtocol": "17", "fromPort": 1, "toPort": 1, "cidrIp": "::1"}]},
     {"securityGroupIngress": [{"ipProtocol": "17", "fromPort": 1, "toPort": 9, "cidrIp": "::1"}]}),
    ("kubernetes:networking.k8s.io/v1:Ingress",
     {"metadata": {"annotations": {"alb.ingress.kubernetes.io/inbound-cidrs": "10.0.0.0/8"}}},
     {"metadata": {"annotations": {}}}),
    # roles of Kubernetes, and conditions
    (ROLE, role(("get", "secrets", "a")), role(("get", "secrets", None))),
    (ROLE, role(("get", "pods", None)), role(("*", "*", None))),
    (POLICY, policy({"NumericLessThan": {"s3:max-keys": "5"}}),
     policy({"NumericLessThan": {"s3:max-keys": "50"}})),
    (POLICY, policy({"IpAddress": {"aws:SourceIp": "10.1.0.0/16"}}),
     policy({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})),
    (POLICY, policy({"StringEquals": {"aws:SourceVpce": "a"}}),
     policy({"StringEqualsIfExists": {"aws:SourceVpce": "a"}})),
    (POLICY, policy(None, Action=None, NotAction=["iam:*", "kms:*"]),
     policy(None, Action=None, NotAction=["iam:*", "sts:*"])),
    # with whose permissions it acts
    ("aws:sagemaker/userProfile:UserProfile", {"userSettings": {"executionRole": "a"}},
     {"userSettings": {"executionRole": "b"}}),
    # older, or lower
    ("aws:lb/listener:Listener", {"sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06"},
     {"sslPolicy": "ELBSecurityPolicy-2016-08"}),
    ("aws:ssoadmin/permissionSet:PermissionSet", {"sessionDuration": "PT1H"},
     {"sessionDuration": "PT12H"}),
    (DEPLOYMENT, pod(securityContext={"runAsUser": 1000}), pod(securityContext={"runAsUser": 0})),
    (DEPLOYMENT, pod(securityContext={"capabilities": {"drop": ["ALL"]}}),
     pod(securityContext={"capabilities": {"drop": ["NET_RAW"]}})),
]  # fmt: skip

QUIET: list[Sides] = [
    ("aws:guardduty/detector:Detector", {}, {"enable": True}),
    ("aws:rds/instance:Instance", {}, {"deletionProtection": False}),
    ("aws:iam/role:Role", {}, {"maxSessionDuration": 3600, "path": "/"}),
    ("aws:ec2/vpc:Vpc", {}, {"enableDnsSupport": True}),
    ("aws:dynamodb/table:Table", {}, {"tableClass": "STANDARD", "billingMode": "PROVISIONED"}),
    (DEPLOYMENT, pod(), {"spec": {**pod()["spec"], "revisionHistoryLimit": 10, "replicas": 1}}),
    (DEPLOYMENT, pod(ports=[{"containerPort": 80}]),
     pod(ports=[{"containerPort": 80, "protocol": "TCP"}])),
    ("kubernetes:core/v1:Service", {"spec": {"selector": {"a": "b"}}},
     {"spec": {"selector": {"a": "b"}, "type": "ClusterIP"}}),
    (DEPLOYMENT, labelled(team="a"), labelled(team="b")),
    (DEPLOYMENT, labelled(**{f"{OWN}__version": "1"}), labelled(**{f"{OWN}__version": "2"})),
    (NAMESPACE, labelled(), labelled(**{"pod-security.kubernetes.io__warn": "restricted"})),
    (DEPLOYMENT, {"metadata": {"annotations": {"kubernetes.io/change-cause": "a"}}},
     {"metadata": {"annotations": {"kubernetes.io/change-cause": "b"}}}),
    ("aws:rds/instance:Instance", {"tags": {"team": "a"}}, {"tags": {"team": "b"}}),
    ("aws:ec2/instance:Instance", {"instanceType": "m5.large"}, {"instanceType": "m6i.xlarge"}),
    (SECURITY_GROUP, group(rule("10.0.0.0/25", "10.0.0.128/25")), group(rule("10.0.0.0/24"))),
    (SECURITY_GROUP, group(rule("10.0.0.0/8", protocol="6")), group(rule("10.0.0.0/8"))),
    (SECURITY_GROUP, group(rule("10.0.0.0/8"), rule("192.168.0.0/16", ports=(22, 22))),
     group(rule("192.168.7.0/24", ports=(22, 22)))),
    (SECURITY_GROUP, group(rule("0.0.0.0/0", ports=(0, 65_535))), group(rule("0.0.0.0/0"))),
    (SECURITY_GROUP, group(rule("0.0.0.0/0", protocol="-1", ports=(0, 0)), way="egress"),
     group(rule("10.0.0.0/8"), way="egress")),
    ("aws:eks/cluster:Cluster", {"vpcConfig": {"publicAccessCidrs": ["0.0.0.0/0"]}},
     {"vpcConfig": {"publicAccessCidrs": ["203.0.113.0/24"]}}),
    (ROLE, role(("get", "secrets", None)), role(("get", "secrets", "a"))),
    (ROLE, role(("*", "*", None)), role(("get", "pods", None))),
    (POLICY, policy({"NumericLessThan": {"s3:max-keys": "50"}}),
     policy({"NumericLessThan": {"s3:max-keys": "5"}})),
    (POLICY, policy({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
     policy({"IpAddress": {"aws:SourceIp": "10.1.0.0/16"}})),
    (POLICY, policy({"StringLike": {"aws:PrincipalTag/a": "b*"}}),
     policy({"StringEquals": {"aws:PrincipalTag/a": "bc"}})),
    (POLICY, policy({"Bool": {"aws:SecureTransport": "true"}}),
     policy({"Bool": {"aws:SecureTransport": True}})),
    (POLICY, policy(None, Action=None, NotAction=["iam:*"]),
     policy(None, Action=None, NotAction=["iam:*", "kms:*"])),
    ("aws:lb/listener:Listener", {"sslPolicy": "ELBSecurityPolicy-2016-08"},
     {"sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06"}),
    ("aws:cloudfront/distribution:Distribution",
     {"viewerCertificate": {"minimumProtocolVersion": "TLSv1.1_2016"}},
     {"viewerCertificate": {"minimumProtocolVersion": "TLSv1.2_2021"}}),
    ("aws:ssoadmin/permissionSet:PermissionSet", {"sessionDuration": "PT12H"},
     {"sessionDuration": "PT1H"}),
    ("aws:sqs/queue:Queue", {},
     {"redrivePolicy": {"deadLetterTargetArn": "a", "maxReceiveCount": 5}}),
    (DEPLOYMENT, pod(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}),
     pod(securityContext={"capabilities": {"drop": ["ALL"]}})),
    ("aws:s3/bucketAcl:BucketAcl", {"acl": "public-read"}, {"acl": "private"}),
    ("aws:ec2/managedPrefixList:ManagedPrefixList",
     {"entries": [{"cidr": "10.0.0.0/8"}, {"cidr": "192.168.0.0/16"}]},
     {"entries": [{"cidr": "10.0.0.0/8"}]}),
    ("aws:ec2/routeTable:RouteTable", {"routes": [{"natGatewayId": "a"}, {"gatewayId": "b"}]},
     {"routes": [{"gatewayId": "b"}, {"natGatewayId": "a"}]}),
    ("aws:kinesis/stream:Stream", {"encryptionType": "NONE"}, {"encryptionType": "KMS"}),
]  # fmt: skip


@pytest.mark.parametrize(("token", "old", "new"), LOUD, ids=lambda side: str(side)[:60])
def test_what_weakens_asks_for_a_person(
    token: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    assert risk(token, old, new) != "low"


@pytest.mark.parametrize(("token", "old", "new"), QUIET, ids=lambda side: str(side)[:60])
def test_what_is_the_same_or_less_is_quiet(
    token: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    assert risk(token, old, new) == "low"


def test_a_tag_that_a_policy_of_the_stack_goes_by_is_no_label() -> None:
    sides = ({"name": "r", "tags": {"desk": desk}} for desk in ("a", "b"))
    old, new = sides
    condition = {"StringEquals": {"aws:ResourceTag/desk": "${aws:PrincipalTag/desk}"}}
    beside = made(POLICY, policy(condition), name="desks")
    token = "aws:iam/role:Role"
    assert (risk(token, old, new), risk(token, old, new, beside)) == ("low", "medium")


def test_a_keys_default_policy_lets_in_its_own_account_and_no_other() -> None:
    def found(account: str) -> set[str]:
        who = {"AWS": f"arn:aws:iam::{account}:root"}
        given = policy(None, Action="kms:*", Resource="*", Principal=who)
        report = of("aws:kms/keyPolicy:KeyPolicy", None, given)
        return {reason.risk for reason in report.reasons if reason.rule == "RV-003"}

    assert (found(OURS), found("999999999999")) == ({"low"}, {"high"})


def test_another_role_is_named_as_a_permission_that_grows() -> None:
    sides = [{"executionRoleArn": f"arn:aws:iam::{OURS}:role/{name}"} for name in ("a", "b")]
    report = of("aws:sagemaker/domain:Domain", *sides)
    assert [(reason.rule, reason.risk) for reason in report.reasons] == [("RV-003", "medium")]
    assert "acts as arn:aws:iam::123456789012:role/b" in report.reasons[0].message


def test_what_is_unknown_of_one_resource_leaves_the_others_judged() -> None:
    opened = made(SECURITY_GROUP, group(rule("0.0.0.0/0")), name="opened")
    unknown = made(SECURITY_GROUP, {"vpcId": "v", "ingress": UNKNOWN_TEXT}, name="unknown")
    cluster = {"vpcConfig": {"publicAccessCidrs": UNKNOWN_TEXT}, "name": "c"}
    balanced = {"spec": {"type": "LoadBalancer", "loadBalancerSourceRanges": UNKNOWN_TEXT}}
    report = reviewed(
        opened,
        unknown,
        made("aws:eks/cluster:Cluster", cluster),
        made("kubernetes:core/v1:Service", balanced),
        made("aws:ec2/launchTemplate:LaunchTemplate", {"networkInterfaces": UNKNOWN_TEXT}),
        made("kubernetes:core/v1:Service", {"metadata": UNKNOWN_TEXT, "spec": {}}, name="who"),
        made("kubernetes:networking.k8s.io/v1:Ingress", {"metadata": UNKNOWN_TEXT}),
        made("aws-native:iam:Role", {"document": {"Statement": [{"Effect": UNKNOWN_TEXT}]}}),
    )
    rules = {reason.rule for reason in report.reasons}
    assert "RV-004" in {reason.rule for reason in report.reasons if reason.urn == opened["urn"]}
    assert "RV-014" not in rules, [reason.message for reason in report.reasons]


def finding(message: str) -> RuleFinding:
    return RuleFinding(rule_id="PF-X-001", severity="medium", level="mandatory", status="fail",
                       message=message, urn="urn:pulumi:dev::p::aws:a/b:B::x")  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "new"),
    [
        ("kmsKeyId must be set, got none", "kmsKeyId must be set, got false", 0),
        ("types must have api, audit", "types must have audit", 0),
        ("types must have api", "types must have audit", 1),
        ("types must have api", "types must have api, audit", 1),
        ("trust must be ours, got 1", "trust must be ours, got 2", 1),
    ],
)
def test_fewer_failures_are_no_new_one(before: str, after: str, new: int) -> None:
    context = Context(
        config=CONTEXT.config,
        today=CONTEXT.today,
        findings_before=[finding(before)],
        findings_after=[finding(after)],
    )
    section = findings.part(compare("dev", [], []), context)
    assert section is not None
    assert len(section.reasons) == new


def test_a_default_is_read_only_where_the_documentation_names_one_value() -> None:
    def read(kind: str, documented: str) -> Any:
        return defaults._default(f"pulumi.Input[_builtins.{kind}]", documented)

    assert read("bool", "Whether it is on. Defaults to `true`.") is True
    assert read("bool", "Whether it is on. Default is `true` if the type is HTTPS.") is None
    assert read("int", "Seconds. Default value is 30. Defaults to 60 for others.") is None
    assert read("str", 'Mode: "region" (default) or "outposts".') == "region"
    assert read("str", "Defaults to the Region set in the provider configuration.") is None


def test_what_is_unknown_has_no_default() -> None:
    leaf = Leaf(("retentionInDays",), 7, UNKNOWN)
    assert meaning(leaf).sense == "unclear"
