"""What a team changes every day, and what only looks like it: each kind with its counterpart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from policies.review.amounts import is_a_patch
from policies.review.differences import Leaf
from policies.review.meaning import meaning
from policies.review.yaml_text import opened
from tests.review.test_creations import AWS, made, reviewed
from tests.review.test_open_world import loud
from tests.review.test_unsaid import Sides, pod, risk

ACL = "aws:wafv2/webAcl:WebAcl"
ADDON = "aws:eks/addon:Addon"
BROKERS = "aws:msk/configuration:Configuration"
CRD = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
MACHINE = "aws:sfn/stateMachine:StateMachine"
MONITOR = "datadog:index/monitor:Monitor"
PLAN = "aws:backup/plan:Plan"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
POOL = "kubernetes:karpenter.sh/v1:NodePool"
SCALER = "kubernetes:keda.sh/v1alpha1:ScaledObject"
SCOPE = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
SERVICE = "aws:ecs/service:Service"


def managed(name: str, priority: int = 1, **action: Any) -> dict[str, Any]:
    action = action or {"overrideAction": {"none": {}}}
    group = {"managedRuleGroupStatement": {"name": name, "vendorName": "AWS"}}
    return {"name": name, "priority": priority, "statement": group, **action}


def rules(*some: Mapping[str, Any]) -> dict[str, Any]:
    return {"scope": "REGIONAL", "rules": list(some)}


def field(**properties: Any) -> dict[str, Any]:
    schema = {"properties": {"spec": {"type": "object", "properties": properties}}}
    return {"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]}}


def machine(**more: Any) -> dict[str, Any]:
    state = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": True}
    return {"definition": json.dumps({"StartAt": "A", "States": {"A": state | more}})}


def peers(selector: Mapping[str, Any]) -> dict[str, Any]:
    return {"spec": {"podSelector": {}, "policyTypes": ["Ingress"],
                     "ingress": [{"from": [{"namespaceSelector": selector}]}]}}  # fmt: skip


def scaled(**spec: Any) -> dict[str, Any]:
    return {"spec": {"scaleTargetRef": {"name": "d"}, **spec}}


def scope(kind: str, *namespaces: str) -> dict[str, Any]:
    return {"accessScope": {"type": kind} | ({"namespaces": [*namespaces]} if namespaces else {})}


def watched(scrape: str) -> dict[str, Any]:
    made = pod()
    made["spec"]["template"]["metadata"] = {"annotations": {"prometheus.io/scrape": scrape}}
    return made


QUIET: list[Sides] = [
    # upkeep, tempo, tries
    ("aws:rds/cluster:Cluster", {"preferredBackupWindow": "04:00-05:00"},
     {"preferredBackupWindow": "03:00-04:00"}),
    ("aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream",
     {"extendedS3Configuration": {"bufferingInterval": 300}},
     {"extendedS3Configuration": {"bufferingInterval": 60}}),
    (MACHINE, machine(), machine(Retry=[{"ErrorEquals": ["States.Timeout"], "MaxAttempts": 3}])),
    (SERVICE, {"healthCheckGracePeriodSeconds": 30}, {"healthCheckGracePeriodSeconds": 60}),
    (SERVICE, {}, {"propagateTags": "SERVICE"}),
    ("aws:lb/targetGroup:TargetGroup", {"slowStart": 0}, {"slowStart": 60}),
    (DEPLOYMENT, pod(ports=[{"containerPort": 80}]),
     pod(ports=[{"containerPort": 80, "name": "http"}])),
    (SERVICE, {}, {"tagPropagation": "ENABLED"}),
    # a step, a patch, another spelling, another order
    ("aws:glue/job:Job", {"numberOfThings": 10}, {"numberOfThings": 12}),
    (ADDON, {"addonVersion": "v1.11.4-eksbuild.2"}, {"addonVersion": "v1.11.4-eksbuild.14"}),
    (ADDON, {"configurationValues": '{"a": {"b": 1}}'}, {"configurationValues": "a:\n  b: 1\n"}),
    (BROKERS, {"serverProperties": "a.b=1\nc=2\n"}, {"serverProperties": "# why\nc = 2\na.b=1"}),
    ("kubernetes:cert-manager.io/v1:Certificate", {"spec": {"duration": "2160h"}},
     {"spec": {"duration": "2160h0m0s"}}),
    (ACL, rules(managed("a"), managed("b", 2)), rules(managed("b", 2), managed("a"))),
    # the default, in a block of its own too
    ("aws:eks/nodeGroup:NodeGroup", {}, {"updateConfig": {"maxUnavailable": 1}}),
    (SERVICE, {}, {"deploymentController": {"type": "ECS"}}),
    (SCALER, scaled(), scaled(pollingInterval=30)),
    # one more that guards, tells or tries
    (ACL, rules(managed("a")), rules(managed("a"), managed("b", 2))),
    (PLAN, {"rules": [{"ruleName": "day"}]},
     {"rules": [{"ruleName": "day"}, {"ruleName": "month", "lifecycle": {"deleteAfter": 365}}]}),
    (CRD, field(a={"type": "string"}), field(a={"type": "string"}, b={"type": "string"})),
    ("kubernetes:storage.k8s.io/v1:StorageClass", {"allowVolumeExpansion": False},
     {"allowVolumeExpansion": True}),
    (DEPLOYMENT, pod(), watched("true")),
    (DEPLOYMENT, pod(), pod(startupProbe={"httpGet": {"path": "/", "port": 80}})),
    (POOL, {"spec": {"template": {}}},
     {"spec": {"template": {"metadata": {"labels": {"pool": "a"}}}}}),
    # narrower
    (SCOPE, scope("cluster"), scope("namespace", "a")),
    (POLICY, peers({}), peers({"matchLabels": {"team": "ml"}})),
    (MONITOR, {"message": "look @ops"}, {"message": "see the runbook, then look @ops"}),
]  # fmt: skip

LOUD: list[Sides] = [
    ("aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream",
     {"extendedS3Configuration": {"bufferingInterval": 60}},
     {"extendedS3Configuration": {"bufferingInterval": 900}}),
    (MACHINE, machine(), machine(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "B"}])),
    (SERVICE, {"healthCheckGracePeriodSeconds": 30}, {"healthCheckGracePeriodSeconds": 3_600}),
    (SERVICE, {}, {"timeouts": {"retry": {"roleArn": "arn:aws:iam::111122223333:role/a"}}}),
    (SERVICE, {}, {"maintenanceWindow": {"roleArn": "arn:aws:iam::111122223333:role/a"}}),
    ("aws:lb/targetGroup:TargetGroup", {"slowStart": 0}, {"slowStart": 900}),
    ("aws:glue/job:Job", {"numberOfThings": 10}, {"numberOfThings": 40}),
    ("aws:glue/job:Job", {"listenerPort": 10}, {"listenerPort": 12}),
    (ADDON, {"addonVersion": "v1.11.4-eksbuild.2"}, {"addonVersion": "v1.10.4-eksbuild.2"}),
    (ADDON, {"configurationValues": '{"a": {"b": 1}}'}, {"configurationValues": "a:\n  c: 1\n"}),
    (BROKERS, {"serverProperties": "a.b=1\n"}, {"serverProperties": "# a.b=1\na.b=3\n"}),
    (BROKERS, {"serverProperties": "log.retention.hours=168\n"},
     {"serverProperties": "log.retention.hours=1\n"}),
    (ACL, rules(managed("a")), rules(managed("a"), managed("b", 0, action={"allow": {}}))),
    (ACL, rules(managed("a"), managed("b", 2)), rules(managed("a"))),
    (ACL, rules(managed("a"), managed("b", 2)), rules(managed("b", 1), managed("a", 2))),
    ("aws:rds/cluster:Cluster", {},
     {"serverlessv2ScalingConfiguration": {"minCapacity": 32, "maxCapacity": 256}}),
    ("aws-native:new:Thing", {}, {"extras": {"enabled": False}}),
    ("aws:cognito/userPool:UserPool", {}, {"userPoolAddOns": {"advancedSecurityMode": "OFF"}}),
    (SCALER, scaled(), scaled(pollingInterval=3_600)),
    (PLAN, {"rules": [{"ruleName": "day"}, {"ruleName": "month"}]},
     {"rules": [{"ruleName": "day"}]}),
    (CRD, field(a={"type": "string"}, b={"type": "string"}), field(a={"type": "string"})),
    (DEPLOYMENT, pod(), pod(lifecycle={"preStop": {"exec": {"command": ["sh"]}}})),
    ("kubernetes:storage.k8s.io/v1:StorageClass", {"allowVolumeExpansion": True},
     {"allowVolumeExpansion": False}),
    (DEPLOYMENT, watched("true"), watched("false")),
    (DEPLOYMENT, watched("true"), pod()),
    (POOL, {"spec": {"template": {}}},
     {"spec": {"template": {"metadata": {"labels": {"node.kubernetes.io/x": "a"}}}}}),
    (SCOPE, scope("namespace", "a"), scope("cluster")),
    (SCOPE, scope("namespace", "a"), scope("namespace", "a", "b")),
    (POLICY, peers({"matchLabels": {"team": "ml"}}), peers({})),
    (MONITOR, {"message": "look @ops"}, {"message": "look"}),
]  # fmt: skip


@pytest.mark.parametrize(("token", "old", "new"), QUIET, ids=lambda side: str(side)[:60])
def test_what_a_team_changes_every_day_is_quiet(
    token: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    assert risk(token, old, new) == "low"


@pytest.mark.parametrize(("token", "old", "new"), LOUD, ids=lambda side: str(side)[:60])
def test_what_only_looks_like_a_daily_change_asks_for_a_person(
    token: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    assert risk(token, old, new) != "low"


@pytest.mark.parametrize(
    ("token", "quiet", "acts"),
    [
        ("kubernetes:core/v1:ServiceAccount", {"metadata": {"name": "a"}},
         {"metadata": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/a"}}}),
        ("kubernetes:scheduling.k8s.io/v1:PriorityClass", {"value": 1}, {"globalDefault": True}),
        ("kubernetes:storage.k8s.io/v1:StorageClass", {"provisioner": "ebs.csi.aws.com"},
         {"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}),
        ("tls:index/privateKey:PrivateKey", {"algorithm": "ED25519"},
         {"algorithm": "RSA", "rsaBits": 1024}),
    ],
)  # fmt: skip
def test_a_new_one_is_quiet_until_it_acts_on_others_or_is_weak(
    token: str, quiet: Mapping[str, Any], acts: Mapping[str, Any]
) -> None:
    assert f"{AWS}{token}::it" not in loud(reviewed(made(token, quiet)))
    assert f"{AWS}{token}::it" in loud(reviewed(made(token, acts)))


def test_a_later_patch_alone_is_one() -> None:
    assert is_a_patch("7.51.0", "7.51.1")
    assert not any(
        is_a_patch(*pair)
        for pair in (("7.51.1", "7.51.0"), ("7.51.0", "7.52.0"), ("7.51.0", "7.51"), ("a", "b"))
    )


@pytest.mark.parametrize("text", ["a=1\na=2", "rm -rf x\na=1", "a=1\\\nb=2", "# only", ""])
def test_a_text_that_is_no_list_of_properties_is_compared_as_it_is(text: str) -> None:
    assert opened(("x",), text, "a=1") == (text, "a=1")


def test_minutes_and_thousandths_are_not_taken_for_one() -> None:
    assert meaning(Leaf(("whatever",), "5m", "5M")).sense == "unclassified"


@pytest.mark.parametrize(
    ("token", "place", "old", "new", "expected"),
    [
        ("aws:accessanalyzer/analyzer:Analyzer", "unusedAccessAge", 90, 130, "medium"),
        ("aws:guardduty/detector:Detector", "looks", 10, 14, "medium"),
        ("aws:transfer/server:Server", "workers", 10, 14, "low"),
        ("aws:transfer/server:Server", "workers", 10, 16, "medium"),
    ],
)
def test_a_step_is_a_size_only_where_no_number_decides_what_is_seen(
    token: str, place: str, old: int, new: int, expected: str
) -> None:
    assert risk(token, {place: old}, {place: new}) == expected
