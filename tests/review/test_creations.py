"""What is new: quiet where it is known to be harmless, and else a person looks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from policies.review.differences import Leaf
from policies.review.digest import read
from policies.review.meaning import meaning
from policies.review.parts.order import FIRST, THEN
from policies.review.report import Report, review
from tests.kits import generated
from tests.kits.each import each
from tests.review.test_approval import SPENDING
from tests.review.test_open_world import CONTEXT, loud, report_of

AWS = "urn:pulumi:prod.foundation::plinth::"
ROLE = "arn:aws:iam::333333333333:role/a"


def made(token: str, inputs: Mapping[str, Any], name: str = "it", **more: Any) -> dict[str, Any]:
    urn = f"{AWS}{token}::{name}"
    state = {"urn": urn, "custom": True, "type": token, "inputs": inputs, **more}
    return {"op": "create", "urn": urn, "newState": state}


def reviewed(*steps: Mapping[str, Any]) -> Report:
    return review(read(json.dumps({"steps": steps}), "prod.foundation"), CONTEXT,
                  (*FIRST, *SPENDING, *THEN))  # fmt: skip


def test_whatever_joins_two_things_asks_for_a_person() -> None:
    found = tuple(generated.joined())
    assert len(found) >= 150
    seen = loud(report_of(found))
    assert {item.urn for item in each(found)} - seen == set()


@pytest.mark.parametrize(
    ("token", "inputs"),
    [
        ("aws:iam/user:User", {"name": "bot"}),
        ("aws:iam/openIdConnectProvider:OpenIdConnectProvider", {"url": "https://a.example"}),
        ("aws:ec2/eip:Eip", {"domain": "vpc", "instance": "i-0a1b2c3d4e"}),
        ("aws:ec2/amiLaunchPermission:AmiLaunchPermission", {"imageId": "ami-1", "group": "all"}),
        ("aws:efs/fileSystem:FileSystem", {"protection": {"replicationOverwrite": "DISABLED"}}),
        ("aws:efs/replicationConfiguration:ReplicationConfiguration", {"sourceFileSystemId": "f"}),
        ("aws:cloudwatch/logSubscriptionFilter:LogSubscriptionFilter", {"logGroup": "g"}),
        ("aws:s3/bucketReplicationConfig:BucketReplicationConfig", {"bucket": "b"}),
        ("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
         {"bucket": "b", "rules": [{"id": "r", "expiration": {"days": 1}}]}),
        ("aws:apigatewayv2/route:Route", {"apiId": "a", "routeKey": "$default"}),
        ("aws:cloudwatch/compositeAlarm:CompositeAlarm", {"actionsEnabled": False}),
        ("aws:cloudwatch/alarmMuteRule:AlarmMuteRule", {"name": "m"}),
        ("aws:guardduty/filter:Filter", {"action": "ARCHIVE"}),
        ("aws:organizations/account:Account", {"name": "a"}),
        ("aws:datasync/task:Task", {"sourceLocationArn": "a"}),
        ("aws:lambda/function:Function", {"role": ROLE}),
        ("aws-native:sagemaker:ModelPackage", {"modelApprovalStatus": "Approved"}),
        ("aws-native:iam:User", {"userName": "u"}),
        ("kubernetes:core/v1:Secret", {"type": "kubernetes.io/service-account-token"}),
        ("kubernetes:core/v1:ConfigMap", {"metadata": {"namespace": "kube-system"}}),
        ("kubernetes:core/v1:Service", {"spec": {"type": "ExternalName", "externalName": "a.b"}}),
        ("kubernetes:networking.k8s.io/v1:NetworkPolicy", {"spec": {"ingress": [{}]}}),
        ("kubernetes:networking.k8s.io/v1:NetworkPolicy",
         {"spec": {"egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}}),
    ],
)  # fmt: skip
def test_something_new_that_opens_grants_or_deletes_is_seen(
    token: str, inputs: Mapping[str, Any]
) -> None:
    assert f"{AWS}{token}::it" in loud(reviewed(made(token, inputs)))


@pytest.mark.parametrize(
    ("token", "inputs"),
    [
        ("aws:cloudwatch/metricAlarm:MetricAlarm", {"name": "a", "actionsEnabled": True}),
        ("aws:cloudwatch/dashboard:Dashboard", {"dashboardName": "a"}),
        ("aws:cloudwatch/logGroup:LogGroup", {"name": "a", "retentionInDays": 365}),
        ("aws:s3/bucketVersioning:BucketVersioning",
         {"bucket": "b", "versioningConfiguration": {"status": "Enabled"}}),
        ("aws:ec2/eip:Eip", {"domain": "vpc"}),
        ("aws:kms/key:Key", {"enableKeyRotation": True}),
        ("aws:guardduty/detector:Detector", {"enable": True}),
        ("kubernetes:core/v1:ConfigMap", {"metadata": {"namespace": "ml"}, "data": {"a": "b"}}),
        ("kubernetes:networking.k8s.io/v1:NetworkPolicy",
         {"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}),
    ],
)  # fmt: skip
def test_something_new_that_only_holds_or_guards_is_quiet(
    token: str, inputs: Mapping[str, Any]
) -> None:
    report = reviewed(made(token, inputs))
    assert report.section("changes") is not None
    assert report.section("unexplained") is None
    assert report.section("loss") is None
    assert report.section("exposure") is None


def test_what_refers_to_what_is_new_alone_is_quiet() -> None:
    role = made("aws:iam/role:Role", {"name": "r", "assumeRolePolicy": "{}"}, "role")
    profile = "aws:iam/instanceProfile:InstanceProfile"
    of_it: dict[str, Any] = {"propertyDependencies": {"role": [role["urn"]]}}
    urn = f"{AWS}{profile}::it"
    assert urn not in loud(reviewed(role, made(profile, {"role": ""}, **of_it)))
    assert urn in loud(reviewed(made(profile, {"role": "app"})))
    foreign = {"role": "", "path": "arn:aws:iam::999999999999:role/other"}
    assert urn in loud(reviewed(role, made(profile, foreign, **of_it)))


@pytest.mark.parametrize(
    ("path", "old", "new", "sense"),
    [
        ("disableApiTermination", True, False, "weaker"),
        ("disableExecuteApiEndpoint", True, False, "weaker"),
        ("adminCreateUserConfig.allowAdminCreateUserOnly", True, False, "weaker"),
        ("protection.replicationOverwrite", "ENABLED", "DISABLED", "weaker"),
        ("firewallFailOpen", "DISABLED", "ENABLED", "weaker"),
        ("noPasswordRequired", False, True, "weaker"),
        ("skipDestroy", True, False, "weaker"),
        ("internal", True, False, "weaker"),
        ("requireSymbols", False, True, "stronger"),
        ("rotationRules.automaticallyAfterDays", 30, 365, "weaker"),
        ("rotationRules.automaticallyAfterDays", 365, 30, "stronger"),
        ("monitoringInterval", 60, 0, "weaker"),
        ("rules.lifecycle.deleteAfter", 7, 90, "stronger"),
        ("rules.lifecycle.deleteAfter", 365, 7, "weaker"),
        ("spec.terminationGracePeriodSeconds", None, 0, "unclear"),
        ("spec.hard.requests.nvidia.com/gpu", "4", "6", "weaker"),
        ("spec.hard.pods", "6", "4", "stronger"),
        ("spec.hard.pods", "6", None, "weaker"),
        ("spec.limits.memory", "4Gi", "900Mi", "stronger"),
        ("spec.limits", {"nvidia.com/gpu": 8}, None, "weaker"),
        ("spec.minAvailable", 1, 2, "stronger"),
        ("spec.replicas", 3, 1, "unclear"),
        ("spec.replicas", 3, 4, "sized"),
        ("numberOfBrokerNodes", 6, 3, "unclear"),
        ("maxAllocatedStorage", 1000, None, "unclear"),
        ("defaultAction.block", {}, None, "weaker"),
        ("defaultAction.allow", {}, None, "stronger"),
        ("spec.type", "ClusterIP", "LoadBalancer", "weaker"),
        ("metadata.labels", None, {"team": "a"}, "harmless"),
    ],
)
def test_directions_that_a_name_alone_hides(
    path: str, old: object, new: object, sense: str
) -> None:
    names = tuple(path.split(".", 3 if ".hard." in path else -1))
    assert meaning(Leaf(names, old, new)).sense == sense


def test_a_lifecycle_that_starts_deletes_and_one_that_ends_keeps() -> None:
    path = ("rules", "[a]", "status")
    kind = "BucketLifecycleConfiguration"
    assert meaning(Leaf(path, "Disabled", "Enabled"), kind).sense == "weaker"
    assert meaning(Leaf(path, "Enabled", "Disabled"), kind).sense == "stronger"


def test_to_switch_on_what_is_no_guard_takes_a_person() -> None:
    leaf = Leaf(("enabled",), False, True)
    assert meaning(leaf, "SerialConsoleAccess", of_a_guard=False).sense == "unclear"
    assert meaning(leaf, "Detector").sense == "stronger"


def test_a_provider_that_acts_otherwise_is_seen() -> None:
    sides = [{"region": "us-east-1", **more}
             for more in ({}, {"skipCredentialsValidation": "true"})]  # fmt: skip
    token = "pulumi:providers:aws"
    old, new = (generated.state(f"{AWS}{token}::p", inputs) for inputs in sides)
    step = {"op": "update", "urn": old["urn"], "oldState": old, "newState": new}
    report = reviewed(step)
    assert any("skipCredentialsValidation" in reason.message for reason in report.reasons)
    assert report.decision == "needs review"


def test_fewer_rules_and_subjects_of_a_role_are_quiet_and_more_are_not() -> None:
    token = "kubernetes:rbac.authorization.k8s.io/v1:Role"
    less, more = ({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": verbs}]}
                  for verbs in (["get"], ["get", "delete"]))  # fmt: skip

    def between(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        sides = (generated.state(f"{AWS}{token}::it", side) for side in (old, new))
        one, two = sides
        step = {"op": "update", "urn": one["urn"], "oldState": one, "newState": two}
        return one["urn"] in loud(reviewed(step))

    assert not between(more, less)
    assert between(less, more)
    named = {"rules": [{**less["rules"][0], "resourceNames": ["a"]}]}
    assert between(named, less)
