"""Who is let in, as sets before and after: by what a document allows, not by how it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from policies.config import PolicyConfig
from policies.data import UNKNOWN
from policies.review.compare import compare
from policies.review.parts import access, exposure
from policies.review.report import Context, Report, review
from tests.review.test_approval import resource

OURS = "123456789012"
CONFIG = PolicyConfig(production=True, approved_registries=(OURS,))
CONTEXT = Context(config=CONFIG, today=date(2026, 1, 15))
TOPIC = "aws:sns/topicPolicy:TopicPolicy"
ROLE = "aws:iam/role:Role"


def of(token: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Report:
    sides = [[resource(token, **side)] if side is not None else [] for side in (old, new)]
    return review(compare("prod", *sides), CONTEXT, (exposure.part, access.part))


def document(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {"policy": json.dumps({"Version": "2012-10-17", "Statement": list(statements)})}


def allow(action: Any = "sns:Publish", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": "arn:a"} | more


def when(operator: str, key: str, value: Any) -> dict[str, Any]:
    return allow(Condition={operator: {key: value}})


NARROW = [
    when("StringEquals", "aws:SourceAccount", OURS),
    when("ArnLike", "aws:SourceArn", f"arn:aws:s3:*:{OURS}:*"),
    when("ArnEquals", "aws:SourceArn", "arn:aws:s3:::one"),
    when("StringEquals", "aws:PrincipalOrgID", "o-a1b2c3"),
    when("StringLike", "aws:PrincipalOrgPaths", "o-a1b2c3/*"),
    when("IpAddress", "aws:SourceIp", "203.0.113.0/24"),
    when("StringEquals", "kms:CallerAccount", OURS),
]
WIDE = [
    allow(),
    allow(Principal={"AWS": "*"}),
    allow(Principal={"AWS": [f"arn:aws:iam::{OURS}:root", "*"]}),
    {"Effect": "Allow", "NotPrincipal": {"AWS": OURS}, "Action": "sns:Publish", "Resource": "a"},
    when("ArnLike", "aws:SourceArn", "*"),
    when("ArnLike", "aws:SourceArn", "arn:aws:s3:*:*:*"),
    when("StringLike", "kms:CallerAccount", "*"),
    when("StringNotEquals", "aws:SourceAccount", "999999999999"),
    when("StringEqualsIfExists", "aws:SourceAccount", OURS),
    when("ForAllValues:StringEquals", "aws:PrincipalOrgID", "o-a1b2c3"),
    when("Null", "aws:SourceAccount", "false"),
    when("IpAddress", "aws:SourceIp", ["0.0.0.0/1", "128.0.0.0/1"]),
    when("Bool", "aws:SecureTransport", "true"),
]


@pytest.mark.parametrize("statement", WIDE, ids=str)
def test_a_policy_for_everybody_is_public_whatever_key_it_names(statement: Any) -> None:
    report = of(TOPIC, document(), document(statement))
    assert report.decision == "blocked"
    assert {"RV-003", "RV-004"} <= {reason.rule for reason in report.reasons}


@pytest.mark.parametrize("statement", NARROW, ids=str)
def test_a_condition_that_names_somebody_narrows(statement: Any) -> None:
    report = of(TOPIC, document(), document(statement))
    assert "RV-004" not in {reason.rule for reason in report.reasons}


FULL = allow(["sns:Publish", "sns:Subscribe"], Principal={"AWS": [f"arn:aws:iam::{OURS}:root"]})


@pytest.mark.parametrize(
    "after",
    [
        [allow(["sns:subscribe", "SNS:Publish"], Principal={"AWS": OURS}, Sid="Other")],
        [allow(each, Principal={"AWS": OURS}) for each in ("sns:Subscribe", "sns:Publish")],
        [allow("sns:Publish", Principal={"AWS": OURS})],
        [{**FULL, "Condition": {"StringEquals": {"aws:SourceAccount": OURS}}}],
        [FULL, {**FULL, "Effect": "Deny"}],
        [],
    ],
)
def test_less_or_the_same_in_other_words_is_quiet(after: list[Any]) -> None:
    report = of(TOPIC, document(FULL), document(*after))
    assert {reason.risk for reason in report.reasons} <= {"low"}


def test_what_a_wider_statement_covers_is_no_difference() -> None:
    wide = allow("sns:*", Principal={"AWS": OURS}, Resource="*")
    narrow = allow("sns:Publish", Principal={"AWS": OURS})
    assert of(TOPIC, document(wide), document(wide, narrow)).reasons == []
    assert of(TOPIC, document(narrow), document(wide)).risk == "high"


def test_a_denial_that_goes_or_shrinks_allows_more() -> None:
    denial = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
              "Condition": {"Bool": {"aws:SecureTransport": "false"}}}  # fmt: skip
    assert of(TOPIC, document(denial), document()).risk == "high"
    assert of(TOPIC, document(denial), document({**denial, "Action": "s3:Get*"})).risk == "high"


@pytest.mark.parametrize(
    ("token", "inputs", "risk"),
    [
        (ROLE, {"assumeRolePolicy": document(allow())["policy"]}, "critical"),
        (ROLE, {"assumeRolePolicy": UNKNOWN}, "medium"),
        (ROLE, {"assumeRolePolicy": document(allow(Principal={"AWS": "999999999999"}))["policy"]},
         "high"),
        (ROLE, {"assumeRolePolicy": document(
            allow(Principal={"Service": "lambda.amazonaws.com"}))["policy"]}, "low"),
        ("aws:new/thing:Thing", {"resourcePolicy": document(allow())["policy"]}, "critical"),
        ("aws-native:s3:BucketPolicy", {"policyDocument": {"Statement": [allow()]}}, "critical"),
        ("aws:ec2/amiLaunchPermission:AmiLaunchPermission", {"accountId": "999999999999"}, "high"),
        ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
         {"cidrIpv4": "128.0.0.0/1", "ipProtocol": "-1"}, "critical"),
        ("aws-native:ec2:SecurityGroupIngress", {"cidrIp": "0.0.0.0/0"}, "critical"),
        ("aws:new/database:Database", {"publiclyAccessible": True}, "high"),
        ("kubernetes:core/v1:Service", {"spec": {"type": "LoadBalancer"}}, "critical"),
        ("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
         {"cidrIpv4": "0.0.0.0/0", "ipProtocol": "tcp"}, "low"),
        ("aws:ec2/vpcEndpoint:VpcEndpoint", {"policy": document(allow())["policy"]}, "high"),
        ("aws:ecr/lifecyclePolicy:LifecyclePolicy", {"policy": '{"rules": []}'}, "low"),
        ("aws:ec2/route:Route", {"destinationCidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"},
         "high"),
    ],
)  # fmt: skip
def test_what_is_created_open_is_told(token: str, inputs: dict[str, Any], risk: str) -> None:
    assert of(token, None, inputs).risk == risk


@pytest.mark.parametrize(
    ("old", "new", "risk"),
    [
        (["10.0.0.0/8"], ["10.0.0.0/8", "10.1.0.0/16"], "low"),
        (["10.0.0.0/16"], ["10.0.0.0/8"], "medium"),
        (["10.0.0.0/8"], ["8.8.8.0/24"], "high"),
        (["10.0.0.0/8"], ["0.0.0.0/1", "128.0.0.0/1"], "critical"),
        (["0.0.0.0/0"], ["8.8.8.0/24"], "low"),
    ],
)
def test_networks_are_compared_as_sets(old: list[str], new: list[str], risk: str) -> None:
    token = "aws:new/firewall:Firewall"
    assert of(token, {"sourceRanges": old}, {"sourceRanges": new}).risk == risk


def test_an_account_that_nobody_knows_weighs_more_where_ours_are_known() -> None:
    before, after = (document(allow(Principal={"AWS": who})) for who in (OURS, "999999999999"))
    assert of(TOPIC, before, after).risk == "high"
    unknown = replace(CONTEXT, config=PolicyConfig(production=True))
    change = compare("prod", [resource(TOPIC, **before)], [resource(TOPIC, **after)])
    assert review(change, unknown, (access.part,)).risk == "medium"


@pytest.mark.parametrize(
    ("token", "inputs", "risk"),
    [
        ("aws:iam/rolePolicyAttachment:RolePolicyAttachment",
         {"policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}, "high"),
        ("aws:iam/rolePolicyAttachment:RolePolicyAttachment",
         {"policyArn": f"arn:aws:iam::{OURS}:policy/read"}, "low"),
        ("aws:iam/accessKey:AccessKey", {"user": "x"}, "high"),
        ("aws:ssoadmin/accountAssignment:AccountAssignment", {"principalId": "x"}, "high"),
        ("aws:ec2/vpcPeeringConnection:VpcPeeringConnection", {"peerOwnerId": "999999999999"},
         "high"),
        ("kubernetes:rbac.authorization.k8s.io/v1:ClusterRole",
         {"rules": [{"verbs": ["*"], "resources": ["*"]}]}, "high"),
        ("kubernetes:rbac.authorization.k8s.io/v1:Role",
         {"rules": [{"verbs": ["get"], "resources": ["pods"]}]}, "low"),
        ("kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding",
         {"roleRef": {"name": "cluster-admin"}}, "high"),
        ("aws:s3/bucketReplicationConfig:BucketReplicationConfig",
         {"rules": [{"destination": {"account": "999999999999"}}]}, "high"),
        ("aws:cloudwatch/logSubscriptionFilter:LogSubscriptionFilter",
         {"destinationArn": f"arn:aws:logs:us-east-1:{OURS}:destination:x"}, "low"),
    ],
)  # fmt: skip
def test_what_is_access_by_being_there_is_told(
    token: str, inputs: dict[str, Any], risk: str
) -> None:
    assert of(token, None, inputs).risk == risk
