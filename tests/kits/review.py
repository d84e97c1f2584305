"""Ten changes of a small stack, written with real constructors, as a review gets to see them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pulumi
import pulumi_aws as aws

from policies.config import PolicyConfig
from policies.data import Resource
from policies.exemptions import Exemption
from policies.offline import evaluate
from policies.review.approval import Ask, Reviewers, asked
from policies.review.compare import compare
from policies.review.model import StackChange
from policies.review.parts.order import FIRST, THEN
from policies.review.report import Context, Report, review
from policies.rules import RULES
from stacks.checks.check import Platform, refuse
from stacks.checks.quota_review import listed, part
from stacks.checks.quota_table import G_AND_VT
from stacks.review.cost import parts
from stacks.review.replacements import differ
from stacks.settings.load import load
from stacks.sizing.prices.table import price_table
from stacks.stack_name import StackName
from stacks.synth import recorded

STACK = StackName("prod", "flight_delay")
TODAY = date(2026, 1, 15)
ACCOUNT = "123456789012"
PACKAGE = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model-package/delay/"
CONFIG = PolicyConfig(
    production=True, approved_registries=(ACCOUNT,), required_tags=("team",), undecided_max=5
)
TAGS = {"team": "ml"}
JUDGES = [
    rule
    for rule in RULES
    if rule.id
    in {
        *("FO-001", "ML-EP-001", "ML-EP-006", "ML-EP-008", "ML-FS-001", "ML-FS-003", "ML-K8-001"),
        *("ML-K8-005", "ML-K8-006", "ML-K8-007", "ML-K8-019", "ML-MD-003", "ML-PL-001"),
        *("ML-PL-003", "PF-IAM-001", "PF-S3-001"),
    }
]
"""The rules that judge the scenarios: a rule that is new must not change ten reports."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a scenario can vary."""

    canary_percent: int = 10
    feature_type: str = "Fractional"
    gpu_nodes_max: int = 2
    actions: tuple[str, ...] = ("s3:GetObject",)
    admin_cidr: str = "10.0.0.0/8"
    key: str = "one"
    version: int = 7
    instance_type: str = "ml.m5.large"


def stack(facts: Facts) -> None:
    """A served model with its alarm, features, GPU nodes and a role."""
    keys = {name: aws.kms.Key(f"key-{name}", enable_key_rotation=True, tags=TAGS) for name in KEYS}
    role = aws.iam.Role("job", name="job", assume_role_policy=_trust(), tags=TAGS)
    aws.iam.RolePolicy("job-read", name="read", role=role.name, policy=_policy(facts.actions))
    group = aws.ec2.SecurityGroup("admins", description="who administers", tags=TAGS)
    aws.vpc.SecurityGroupIngressRule(
        "admin",
        security_group_id=group.id,
        cidr_ipv4=facts.admin_cidr,
        ip_protocol="tcp",
        from_port=443,
        to_port=443,
        tags=TAGS,
    )
    _features(facts, keys)
    _nodes(facts)
    _serving(facts, keys[facts.key], role)


KEYS = ("one", "two")


def _trust() -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _policy(actions: tuple[str, ...]) -> str:
    wide = any(action.endswith("*") for action in actions)
    resource = "*" if wide else "arn:aws:s3:::plinth-data/*"
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _features(facts: Facts, keys: Mapping[str, aws.kms.Key]) -> None:
    aws.sagemaker.FeatureGroup(
        "flights",
        feature_group_name="flights",
        record_identifier_feature_name="flight",
        event_time_feature_name="at",
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/features",
        feature_definitions=[
            {"feature_name": "flight", "feature_type": "String"},
            {"feature_name": "at", "feature_type": "String"},
            {"feature_name": "distance", "feature_type": facts.feature_type},
        ],
        offline_store_config={
            "s3_storage_config": {
                "s3_uri": "s3://plinth-data/features",
                "kms_key_id": keys["one"].arn,
            }
        },
        tags=TAGS,
        opts=pulumi.ResourceOptions(protect=True),
    )


def _nodes(facts: Facts) -> None:
    aws.eks.NodeGroup(
        "gpu",
        cluster_name="c",
        node_group_name="gpu",
        node_role_arn=f"arn:aws:iam::{ACCOUNT}:role/node",
        subnet_ids=["subnet-1"],
        instance_types=["g6.12xlarge"],
        ami_type="AL2023_x86_64_NVIDIA",
        release_version="1.34.2-20251209",
        disk_size=200,
        node_repair_config={"enabled": True},
        scaling_config={"min_size": 0, "desired_size": 1, "max_size": facts.gpu_nodes_max},
        taints=[{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}],
        labels={"nvidia.com/gpu.product": "L4", "nvidia.com/gpu.count": "4"},
        tags=TAGS,
    )


def _serving(facts: Facts, key: aws.kms.Key, role: aws.iam.Role) -> None:
    name = f"delay-{facts.version}-{facts.key}"
    model = aws.sagemaker.Model(
        "model",
        name=name,
        execution_role_arn=role.arn,
        primary_container={"model_package_name": f"{PACKAGE}{facts.version}"},
        enable_network_isolation=True,
        tags=TAGS,
    )
    config = aws.sagemaker.EndpointConfiguration(
        "configuration",
        name=name,
        kms_key_arn=key.arn,
        production_variants=[
            {
                "variant_name": "live",
                "model_name": model.name,
                "instance_type": facts.instance_type,
                "initial_instance_count": 2,
            }
        ],
        data_capture_config={
            "enable_capture": True,
            "initial_sampling_percentage": 20,
            "destination_s3_uri": "s3://plinth-data/capture",
            "kms_key_id": key.arn,
            "capture_options": [{"capture_mode": "Input"}],
        },
        tags=TAGS,
    )
    _endpoint(facts, config, _alarm())


def _alarm() -> aws.cloudwatch.MetricAlarm:
    return aws.cloudwatch.MetricAlarm(
        "errors",
        name="delay-errors",
        namespace="AWS/SageMaker",
        metric_name="Invocation5XXErrors",
        comparison_operator="GreaterThanOrEqualToThreshold",
        evaluation_periods=1,
        period=60,
        statistic="Sum",
        threshold=1,
        dimensions={"EndpointName": "delay", "VariantName": "live"},
        alarm_actions=[f"arn:aws:sns:us-east-1:{ACCOUNT}:alarms"],
        tags=TAGS,
    )


def _endpoint(
    facts: Facts, config: aws.sagemaker.EndpointConfiguration, alarm: aws.cloudwatch.MetricAlarm
) -> None:
    aws.sagemaker.Endpoint(
        "endpoint",
        name="delay",
        endpoint_config_name=config.name,
        deployment_config={
            "auto_rollback_configuration": {"alarms": [{"alarm_name": alarm.name}]},
            "blue_green_update_policy": {
                "termination_wait_in_seconds": 600,
                "traffic_routing_configuration": {
                    "type": "CANARY",
                    "wait_interval_in_seconds": 600,
                    "canary_size": {"type": "CAPACITY_PERCENT", "value": facts.canary_percent},
                },
            },
        },
        tags=TAGS,
    )


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A change, and what its review has to say."""

    before: Facts | None = Facts()
    after: Facts | None = Facts()
    exemptions: tuple[Exemption, ...] = ()
    decision: str
    says: tuple[str, ...] = ()
    """Parts of the reasons."""
    config: PolicyConfig = field(default=CONFIG)


SCENARIOS: Mapping[str, Scenario] = {
    "first-deployment": Scenario(before=None, decision="safe"),
    "no-change": Scenario(decision="no change"),
    "endpoint-canary": Scenario(after=Facts(canary_percent=25), decision="safe"),
    "feature-group-replacement": Scenario(
        after=Facts(feature_type="String"),
        decision="blocked",
        says=("records of the online store",),
    ),
    "gpu-growth": Scenario(
        after=Facts(gpu_nodes_max=10), decision="blocked", says=("up to 40 GPUs could run",)
    ),
    "iam-broadening": Scenario(
        after=Facts(actions=("s3:GetObject", "sagemaker:*")),
        decision="blocked",
        says=("job-read allows more", "must not allow sagemaker:*"),
    ),
    "public-exposure": Scenario(
        after=Facts(admin_cidr="0.0.0.0/0"),
        decision="blocked",
        says=("tcp port 443 from 0.0.0.0/0",),
    ),
    "key-change": Scenario(
        after=Facts(key="two"), decision="needs review", says=("configuration.kmsKeyArn changes",)
    ),
    "model-promotion": Scenario(
        after=Facts(version=8), decision="needs review", says=("serves delay/8 instead of delay/7",)
    ),
    "exemption-expired": Scenario(
        after=Facts(actions=("s3:GetObject", "sagemaker:*")),
        before=Facts(actions=("s3:GetObject", "sagemaker:*")),
        exemptions=(
            Exemption(
                rule="PF-IAM-001",
                urn="*job-read",
                reason="migration",
                owner="ml-platform",
                expires=date(2026, 1, 1),
            ),
        ),
        decision="blocked",
        says=("exemption of PF-IAM-001 for *job-read expired", "must not allow sagemaker:*"),
    ),
}


REVIEWERS = Reviewers(
    by_risk={
        "low": Ask(("@example/ml-platform",), 1),
        "medium": Ask(("@example/ml-platform",), 1),
        "high": Ask(("@example/ml-platform",), 2),
        "critical": Ask(("@example/ml-platform", "@example/ml-leads"), 2),
    },
    by_section={"access": ("@example/security",), "keys": ("@example/security",)},
)


def resources(facts: Facts | None) -> list[Resource]:
    """What the stack registers; nothing where there is none yet."""
    if facts is None:
        return []
    program: Callable[[], Any] = lambda: stack(facts)  # noqa: E731
    seen = recorded(program, stack=str(STACK))
    return [item for item in seen if item.type.startswith("aws:")]


def changed(scenario: Scenario) -> StackChange:
    """The scenario's change, compared as the local provider compares."""
    return compare(
        str(STACK),
        resources(scenario.before),
        resources(scenario.after),
        differ=differ("us-east-1"),
        commit="0123456789abcdef",
        base="main",
    )


QUOTAS = {
    "Quotas": [
        {"ServiceCode": "ec2", "QuotaCode": G_AND_VT["ON_DEMAND"].code, "Value": 96.0,
         "QuotaName": "Running On-Demand G and VT instances"},
        {"ServiceCode": "sagemaker", "QuotaCode": "L-1928E07B", "Value": 8.0,
         "QuotaName": "ml.m5.large for endpoint usage"},
    ]
}  # fmt: skip
"""What the scenarios' account was granted, as AWS lists it."""


def platform(found: Sequence[Resource]) -> Platform:
    """Resources to count, and nobody to ask."""
    nobody = refuse("nobody is asked")
    return Platform(
        stack=STACK, settings=load(STACK), resources=found, clients=nobody, fetch=nobody,
        plain_http=nobody, kubernetes=nobody,
    )  # fmt: skip


def reviewed(scenario: Scenario, change: StackChange | None = None) -> Report:
    """The scenario's report."""
    change = change or changed(scenario)
    config = scenario.config
    before_expiry = date(2025, 12, 31)
    context = Context(
        config=config,
        today=TODAY,
        exemptions=scenario.exemptions,
        findings_before=evaluate(
            change.before(),
            config,
            rules=JUDGES,
            exemptions=scenario.exemptions,
            today=before_expiry,
        ),
        findings_after=evaluate(
            change.after(), config, rules=JUDGES, exemptions=scenario.exemptions, today=TODAY
        ),
    )
    spending = parts(price_table("us-east-1"), cost_usd_max=10_000, gpus_max=16, run_usd_max=500)
    quotas = part(platform, listed(json.dumps(QUOTAS)))
    report = review(change, context, (*FIRST, *spending, quotas, *THEN))
    return asked(report, change, REVIEWERS)
