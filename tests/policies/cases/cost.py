"""Programs for the rules about what costs money by the hour; see case.py."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from typing import Any

import pulumi_aws as aws
from pulumi_kubernetes.apiextensions import CustomResource

from policies.rule import Status
from tests.policies.cases.case import Case, Program, configuration, later
from tests.policies.cases.nodes import governed
from tests.policies.cases.platform import node_group
from tests.policies.cases.platform_services import OUTSIDE, logs

SOON = (date.today() + timedelta(days=7)).isoformat()
GONE = (date.today() - timedelta(days=1)).isoformat()
FAR = (date.today() + timedelta(days=90)).isoformat()


def budgeted(filters: Any = ("user:environment$prod",), told: Any = ("topic",)) -> None:
    governed()
    aws.budgets.Budget(
        "budget",
        budget_type="COST",
        time_unit="MONTHLY",
        limit_amount="100",
        limit_unit="USD",
        cost_filters=[{"name": "TagKeyValue", "values": list(filters)}] if filters else None,
        notifications=[
            {
                "comparison_operator": "GREATER_THAN",
                "threshold": 80,
                "threshold_type": "PERCENTAGE",
                "notification_type": "ACTUAL",
                "subscriber_sns_topic_arns": told,
            }
        ],
    )


ALWAYS = {"min_size": 1, "desired_size": 1, "max_size": 1}


def reservation(end: Any = "2026-12-31T00:00:00Z", owner: str = "ml", by: str = "template") -> None:
    made = aws.ec2.CapacityReservation(
        "reserved",
        availability_zone="us-east-1a",
        instance_count=1,
        instance_platform="Linux/UNIX",
        instance_type="p5.48xlarge",
        end_date=end,
        tags={"owner": owner} if owner else None,
    )
    if by == "template":
        target: Any = {"capacity_reservation_target": {"capacity_reservation_id": made.id}}
        aws.ec2.LaunchTemplate("template", capacity_reservation_specification=target)
    if by == "class":
        CustomResource(
            "class",
            api_version="karpenter.k8s.aws/v1",
            kind="EC2NodeClass",
            metadata={"name": "pool"},
            spec={"capacityReservationSelectorTerms": [{"id": made.id}]},
        )


def block() -> None:
    aws.ec2.CapacityBlockReservation(
        "block", capacity_block_offering_id="cb-1", instance_platform="Linux/UNIX"
    )


def pair(model: Any = "model", *, asynchronous: bool = False) -> None:
    """Two endpoints, of which one may serve another model."""
    output: Any = {"output_config": {"s3_output_path": "s3://bucket/out"}}
    for name, served in (("one", "model"), ("two", model)):
        variant: Any = {
            "variant_name": "v",
            "model_name": served,
            "instance_type": "ml.m5.large",
            "initial_instance_count": 1,
        }
        aws.sagemaker.EndpointConfiguration(
            name,
            name=name,
            production_variants=[variant],
            async_inference_config=output if asynchronous else None,
        )
        aws.sagemaker.Endpoint(name, name=name, endpoint_config_name=name)


def snapshot(**tags: Any) -> None:
    aws.ebs.Snapshot("snapshot", volume_id="vol-1", tags=tags)


def training(gib: int) -> None:
    aws.sagemaker.TrainingJob(
        "job",
        training_job_name="job",
        role_arn="role",
        resource_config={
            "instance_type": "ml.m5.large",
            "instance_count": 1,
            "volume_size_in_gb": gib,
        },
    )


EXPIRY: list[tuple[Status, Program, str]] = [
    ("pass", partial(node_group, scaling=ALWAYS, tags={"expires": SOON}), ""),
    ("fail", partial(node_group, scaling=ALWAYS), "must be a day, got none"),
    ("fail", partial(node_group, scaling=ALWAYS, tags={"expires": GONE}), f"got {GONE}"),
    ("fail", partial(configuration, "ml.g5.xlarge", tags={"expires": FAR}), f"got {FAR}"),
    ("not_applicable", node_group, "holds no GPU"),
    ("not_applicable", configuration, "holds no GPU"),
]

COST = [
    Case(rule="FO-002", status="pass", program=budgeted),
    Case(rule="FO-002", status="pass", program=governed, config={"has_environment_budget": True}),
    Case(rule="FO-002", status="fail", program=governed, says="must have a Budget"),
    Case(rule="FO-002", status="fail", program=partial(budgeted, filters=None), says="costFilters"),
    Case(rule="FO-002", status="fail", program=partial(budgeted, told=None), says="notification"),
    Case(
        rule="FO-002",
        status="unknown",
        program=lambda: budgeted(told=later().apply(lambda topic: [topic])),
        preview=True,
        says="subscriberSnsTopicArns",
    ),
    Case(rule="FO-002", status="not_applicable", program=snapshot, says="no resource"),
    *(
        Case(rule="FO-005", status=status, program=program, config=OUTSIDE, says=says)
        for status, program, says in EXPIRY
    ),
    Case(
        rule="FO-005",
        status="unknown",
        program=lambda: configuration(later()),
        preview=True,
        config=OUTSIDE,
        says="instanceType",
    ),
    Case(
        rule="FO-005",
        status="not_applicable",
        program=partial(configuration, "ml.g5.xlarge"),
        says="production needs no last day",
    ),
    Case(rule="FO-006", status="pass", program=reservation),
    Case(rule="FO-006", status="pass", program=reservation, preview=True),
    Case(rule="FO-006", status="pass", program=partial(reservation, by="class"), preview=True),
    Case(
        rule="FO-006",
        status="fail",
        program=partial(reservation, None, "", ""),
        says="endDate must be set, got none; tag 'owner' must be set, got none; must be named by",
    ),
    Case(
        rule="FO-006",
        status="fail",
        program=block,
        says="tag 'owner' must be set, got none; must be named by",
    ),
    Case(
        rule="FO-006",
        status="unknown",
        program=lambda: reservation(later()),
        preview=True,
        says="endDate",
    ),
    Case(rule="FO-006", status="not_applicable", program=snapshot, says="no resource"),
    Case(rule="FO-007", status="pass", program=partial(pair, "another")),
    Case(
        rule="FO-007",
        status="fail",
        program=pair,
        says="must share its instances with two; must share its instances with one",
    ),
    Case(
        rule="FO-007",
        status="unknown",
        program=lambda: pair(later()),
        preview=True,
        says="modelName",
    ),
    Case(
        rule="FO-007",
        status="not_applicable",
        program=partial(pair, asynchronous=True),
        says="shares no instances",
    ),
    Case(rule="FO-009", status="pass", program=logs),
    Case(rule="FO-009", status="pass", program=partial(snapshot, expires=SOON)),
    Case(rule="FO-009", status="pass", program=partial(training, 50)),
    Case(
        rule="FO-009",
        status="fail",
        program=partial(logs, retention_in_days=None),
        says="retentionInDays must be set",
    ),
    Case(rule="FO-009", status="fail", program=snapshot, says="tag 'expires' must be set"),
    Case(
        rule="FO-009",
        status="fail",
        program=partial(training, 5000),
        says="volumeSizeInGb must be at most 1024, got 5000",
    ),
    Case(
        rule="FO-009",
        status="unknown",
        program=lambda: snapshot(expires=later()),
        preview=True,
        says="expires",
    ),
    Case(rule="FO-009", status="not_applicable", program=block, says="no resource"),
]
