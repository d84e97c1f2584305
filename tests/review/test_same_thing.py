"""What is said in other words, or goes to the safe side, beside what only looks like it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from policies.review.yaml_text import opened
from tests.review.test_creations import AWS, reviewed
from tests.review.test_unsaid import DEPLOYMENT, Sides, pod, risk

CONFIG = "kubernetes:core/v1:ConfigMap"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
BINDING = "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding"
STATEFUL = "kubernetes:apps/v1:StatefulSet"
DAEMON = "kubernetes:apps/v1:DaemonSet"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
RULE = "aws:cloudwatch/eventRule:EventRule"
SCALING = "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:a"


def settings(text: str) -> dict[str, Any]:
    return {"data": {"config.yaml": text}}


def rolling(**strategy: Any) -> dict[str, Any]:
    return {"spec": {**pod()["spec"], "strategy": strategy}}


def alarm(threshold: float, operator: str, *actions: str) -> dict[str, Any]:
    return {"threshold": threshold, "comparisonOperator": operator, "alarmActions": list(actions)}


def isolated(**spec: Any) -> dict[str, Any]:
    return {"spec": {"podSelector": {}, **spec}}


def outside(*spared: str) -> dict[str, Any]:
    block = {"cidr": "10.0.0.0/8"} | ({"except": list(spared)} if spared else {})
    return isolated(policyTypes=["Egress"], egress=[{"to": [{"ipBlock": block}]}])


def bound(**subject: str) -> dict[str, Any]:
    return {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [subject]}


def pattern(**event: Any) -> dict[str, Any]:
    return {"eventPattern": json.dumps(event)}


def ordinal(**more: Any) -> dict[str, Any]:
    return {"spec": {"serviceName": "s", **more}}


def token(seconds: int) -> dict[str, Any]:
    found = {"serviceAccountToken": {"expirationSeconds": seconds}}
    return {"spec": {"volumes": [{"name": "v", "projected": {"sources": [found]}}]}}


LOUD: list[Sides] = [
    # beside a comment, or in another order
    (CONFIG, settings("# a\ntls:\n  verify: true\n"), settings("# b\ntls:\n  verify: false\n")),
    (CONFIG, settings("a: b # c\n"), settings("a: c # b\n")),
    (CONFIG, settings("rules:\n- deny\n- allow\n"), settings("rules:\n- allow\n- deny\n")),
    (CONFIG, settings("x: &a 1\ny: *a\n"), settings("x: &a 2\ny: *a\n")),
    ("aws:ec2/instance:Instance", {"userData": "#cloud-config\na: 1\n"}, {"userData": "a: 1\n"}),
    (RULE, pattern(source=["a", "b"]), pattern(source=["b"])),
    # to the other side of an alarm, or to the same side of what moves machines
    (ALARM, alarm(5, "GreaterThanThreshold"), alarm(6, "GreaterThanThreshold")),
    (ALARM, alarm(95, "LessThanThreshold"), alarm(90, "LessThanThreshold")),
    (ALARM, alarm(5, "GreaterThanUpperThreshold"), alarm(2, "GreaterThanUpperThreshold")),
    (ALARM, alarm(9, "GreaterThanThreshold", SCALING), alarm(5, "GreaterThanThreshold", SCALING)),
    (ALARM, alarm(5, "GreaterThanThreshold"), alarm(4, "LessThanThreshold")),
    # not the default
    (DEPLOYMENT, pod(), rolling(type="Recreate")),
    (DEPLOYMENT, pod(), rolling(type="RollingUpdate", rollingUpdate={"maxUnavailable": "100%"})),
    (DEPLOYMENT, pod(image="r/x:1"), pod(image="r/x:1", imagePullPolicy="Never")),
    (STATEFUL, ordinal(),
     ordinal(persistentVolumeClaimRetentionPolicy={"whenDeleted": "Delete"})),
    (POLICY, isolated(policyTypes=["Ingress", "Egress"]), isolated()),
    # another name after all, and of a service that keeps the case
    ("aws:rds/instance:Instance", {"identifier": "db-a"}, {"identifier": "db-b"}),
    ("aws:iam/role:Role", {"name": "Admin"}, {"name": "admin"}),
    (BINDING, bound(kind="User", name="a"), bound(kind="Group", name="a")),
    # what comes in again, by a switch of its own or of what lets in
    ("aws:iam/accessKey:AccessKey", {"status": "Inactive"}, {"status": "Active"}),
    ("aws-native:msk:Cluster", {"clientAuthentication": {"unauthenticated": {"enabled": False}}},
     {"clientAuthentication": {"unauthenticated": {"enabled": True}}}),
    ("tls:index/selfSignedCert:SelfSignedCert", {"isCaCertificate": False},
     {"isCaCertificate": True}),
    ("kubernetes:core/v1:Pod", token(600), token(86_400)),
    ("kubernetes:core/v1:Pod", {"spec": {"securityContext": {"fsGroup": 1}}},
     {"spec": {"securityContext": {"fsGroup": 1, "seLinuxOptions": {"type": "spc_t"}}}}),
    (POLICY, outside("10.9.0.0/16"), outside()),
    ("kubernetes:rook.io/v1:CephCluster", {"spec": {"cleanupPolicy": {"confirmation": ""}}},
     {"spec": {"cleanupPolicy": {"confirmation": "yes-really-destroy-data"}}}),
    # of somebody else's program, whatever it is called
    ("aws:sagemaker/model:Model", {"primaryContainer": {"environment": {"THRESHOLD": "0.9"}}},
     {"primaryContainer": {"environment": {"THRESHOLD": "0.1"}}}),
    (DEPLOYMENT, pod(env=[{"name": "LOG_RETENTION_DAYS", "value": "30"}]),
     pod(env=[{"name": "LOG_RETENTION_DAYS", "value": "60"}])),
]  # fmt: skip

QUIET: list[Sides] = [
    (CONFIG, settings("a: 1\nb: [x, y]\n"), settings("# why\nb:\n- x\n- y\na: 1 # one\n")),
    (CONFIG, settings('{"a": 1}'), settings('{"a":1}\n')),
    (CONFIG, settings("- a: 1\n  b: 2\n"), settings("- b: 2\n  a: 1\n")),
    (RULE, pattern(source=["a", "b"]), pattern(source=["b", "a"])),
    (ALARM, alarm(50, "GreaterThanThreshold"), alarm(5, "GreaterThanThreshold")),
    (ALARM, alarm(90, "LessThanThreshold"), alarm(95, "LessThanThreshold")),
    ("aws:budgets/budget:Budget",
     {"notifications": [{"comparisonOperator": "GREATER_THAN", "threshold": 90}]},
     {"notifications": [{"comparisonOperator": "GREATER_THAN", "threshold": 70}]}),
    (DEPLOYMENT, pod(), rolling(type="RollingUpdate")),
    (DEPLOYMENT, pod(), rolling(type="RollingUpdate",
                                rollingUpdate={"maxSurge": "25%", "maxUnavailable": "25%"})),
    (DEPLOYMENT, rolling(rollingUpdate={"maxUnavailable": "25%"}),
     rolling(rollingUpdate={"maxUnavailable": 0})),
    (DEPLOYMENT, pod(image="r/x:1"), pod(image="r/x:1", imagePullPolicy="IfNotPresent")),
    (DEPLOYMENT, pod(), pod(securityContext={}, resources={})),
    (DEPLOYMENT, pod(volumeMounts=[{"name": "v"}, {"name": "w"}]),
     pod(volumeMounts=[{"name": "w"}, {"name": "v"}])),
    (STATEFUL, ordinal(), ordinal(updateStrategy={"type": "RollingUpdate",
                                                  "rollingUpdate": {"partition": 0}})),
    (DAEMON, ordinal(), ordinal(updateStrategy={"type": "RollingUpdate",
                                                "rollingUpdate": {"maxUnavailable": 1}})),
    ("kubernetes:core/v1:Service", {"spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}},
     {"spec": {"selector": {"a": "b"}, "ports": [{"port": 80, "targetPort": 80}]}}),
    (POLICY, isolated(), isolated(policyTypes=["Ingress"])),
    (POLICY, isolated(policyTypes=["Ingress"]), isolated(policyTypes=["Ingress", "Egress"])),
    (POLICY, outside(), outside("10.9.0.0/16")),
    (BINDING, bound(kind="User", name="a"),
     bound(kind="User", name="a", apiGroup="rbac.authorization.k8s.io")),
    ("aws:rds/instance:Instance", {"identifier": "Db"}, {"identifier": "db"}),
    ("aws:route53/record:Record", {"name": "A.example.com"}, {"name": "a.example.com."}),
    ("aws:ec2/flowLog:FlowLog", {"maxAggregationInterval": 600}, {"maxAggregationInterval": 60}),
    ("aws:redshift/cluster:Cluster", {"enhancedVpcRouting": False}, {"enhancedVpcRouting": True}),
    ("aws:ebs/encryptionByDefault:EncryptionByDefault", {"enabled": False}, {"enabled": True}),
    ("aws:iam/accessKey:AccessKey", {"status": "Active"}, {"status": "Inactive"}),
    ("aws:iam/groupMembership:GroupMembership", {"users": ["a", "b"]}, {"users": ["a"]}),
    ("aws:cognito/userPoolClient:UserPoolClient", {"allowedOauthFlows": ["code", "implicit"]},
     {"allowedOauthFlows": ["code"]}),
    ("aws:cloudfront/distribution:Distribution",
     {"viewerCertificate": {"minimumProtocolVersion": "TLSv1"}},
     {"viewerCertificate": {"minimumProtocolVersion": "TLSv1.2_2021"}}),
    ("aws:wafv2/webAcl:WebAcl", {"rules": [{"name": "a", "overrideAction": {"count": {}}}]},
     {"rules": [{"name": "a", "overrideAction": {"none": {}}}]}),
    ("aws:ec2/vpcEndpointService:VpcEndpointService", {"acceptanceRequired": False},
     {"acceptanceRequired": True}),
    ("aws:networkfirewall/firewallPolicy:FirewallPolicy",
     {"firewallPolicy": {"statelessDefaultActions": ["aws:pass"]}},
     {"firewallPolicy": {"statelessDefaultActions": ["aws:drop"]}}),
    ("aws:ec2/vpc:Vpc", {}, {"instanceTenancy": "default"}),
    ("aws:codebuild/project:Project", {"environment": {"privilegedMode": True}},
     {"environment": {"privilegedMode": False}}),
    ("kubernetes:helm.sh/v3:Release", {"atomic": False}, {"atomic": True}),
]  # fmt: skip


@pytest.mark.parametrize(("token", "old", "new"), LOUD, ids=lambda side: str(side)[:60])
def test_what_only_looks_the_same_asks_for_a_person(
    token: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    assert risk(token, old, new) != "low"


@pytest.mark.parametrize(("token", "old", "new"), QUIET, ids=lambda side: str(side)[:60])
def test_the_same_in_other_words_and_the_safe_side_are_quiet(
    token: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    assert risk(token, old, new) == "low"


def held(**options: Any) -> set[str]:
    """What a review says of a bucket that is retagged, and whose options differ."""
    urn = f"{AWS}aws:s3/bucket:Bucket::it"
    sides = (
        {"urn": urn, "custom": True, "type": "aws:s3/bucket:Bucket", "inputs": {"tags": {"a": at}},
         **{name: pair[place] for name, pair in options.items()}}
        for place, at in enumerate(("b", "c"))
    )  # fmt: skip
    old, new = sides
    diff = {"tags": {"kind": "update"}}
    step = {"op": "update", "urn": urn, "oldState": old, "newState": new, "detailedDiff": diff}
    return {reason.message for reason in reviewed(step).reasons if reason.risk != "low"}


def test_a_resource_in_another_providers_hands_asks_for_a_person() -> None:
    at = f"{AWS}pulumi:providers:aws::"
    assert held(provider=(f"{at}main::1", f"{at}other::2")) == {
        "it is managed by provider other from now on"
    }
    assert held(provider=(f"{at}default_7_51_0::1", f"{at}default_7_51_1::2")) == set()
    assert held(provider=(f"{at}main::1", f"{at}main::2")) == set()
    vpc = f"{AWS}aws:ec2/vpc:Vpc::v"
    assert held(deletedWith=("", vpc)) == {
        "it is deleted with something else, and not by itself from now on"
    }


@pytest.mark.parametrize(
    "text", ["[" * 3_000 + "\na: b", "a: " + "- " * 3_000, "a: b\n" * 20_000, "a: [x", "#!x\na: b"]
)
def test_a_text_that_would_take_long_or_is_no_yaml_is_compared_as_it_is(text: str) -> None:
    assert opened(("x",), text, "a: b\n") == (text, "a: b\n")
