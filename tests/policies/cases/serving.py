"""Programs for the rules about endpoint configurations; see case.py."""

from __future__ import annotations

from functools import partial
from typing import Any

import pulumi_aws as aws

from tests.policies.cases.case import KEY, Case, Program, captured, configuration, later, serverless

STAGING = {"production": False}


def passes(rule: str, program: Program, **more: Any) -> Case:
    """What the rule has nothing against."""
    return Case(rule=rule, status="pass", program=program, **more)


def fails(rule: str, program: Program, says: str, **more: Any) -> Case:
    """What the rule refuses, and how it says so."""
    return Case(rule=rule, status="fail", program=program, says=says, **more)


def unknown(rule: str, program: Program, says: str, **more: Any) -> Case:
    """What a preview cannot decide."""
    return Case(rule=rule, status="unknown", program=program, says=says, preview=True, **more)


def skips(rule: str, program: Program, says: str = "no resource of this kind", **more: Any) -> Case:
    """What the rule is not about."""
    return Case(rule=rule, status="not_applicable", program=program, says=says, **more)


def variant(
    instance_type: Any = "ml.m5.large", *, count: Any = 2, changed: Any = None, **rest: Any
) -> aws.sagemaker.EndpointConfiguration:
    """A configuration with one variant, of which something is changed."""
    shape = {
        "variant_name": "v0",
        "model_name": "model",
        "instance_type": instance_type,
        "initial_instance_count": count,
        **(changed or {}),
    }
    made: Any = {key: value for key, value in shape.items() if value is not None}
    return aws.sagemaker.EndpointConfiguration(
        "configuration",
        name="configuration",
        production_variants=[made],
        **rest,
    )


def components(instance_type: str = "ml.g5.xlarge", least: int = 0, **rest: Any) -> None:
    """Instances for inference components: they come and go with their copies."""
    scaling = {"status": "ENABLED", "min_instance_count": least, "max_instance_count": 2}
    changed = {"model_name": None, "managed_instance_scaling": scaling}
    variant(instance_type, count=1, changed=changed, **rest)


def asynchronous(**changes: Any) -> aws.sagemaker.EndpointConfiguration:
    output = {
        "s3_output_path": "s3://answers/a",
        "s3_failure_path": "s3://answers/f",
        "kms_key_id": KEY,
        "notification_config": {"error_topic": "topic"},
        **changes,
    }
    output = {key: value for key, value in output.items() if value is not None}
    return variant(count=1, async_inference_config={"output_config": output})


def dumping(uri: Any = "s3://plinth-prod-capture/dumps", key: Any = KEY) -> None:
    dump = {"destination_s3_uri": uri, **({"kms_key_id": key} if key else {})}
    variant(changed={"core_dump_config": dump})


RESERVATION = "arn:aws:sagemaker:us-east-1:123456789012:ml-reservation/r"
INSTANCE_RESERVATION = "arn:aws:ec2:us-east-1:123456789012:capacity-reservation/cr-1"


def reserved(
    *types: str, arn: Any = RESERVATION, preference: str | None = "capacity-reservations-only"
) -> None:
    reservation = {"capacity_reservation_preference": preference, "ml_reservation_arn": arn}
    variants: list[Any] = [
        {
            "variant_name": f"v{index}",
            "model_name": "model",
            "instance_type": each,
            "initial_instance_count": 2,
            "capacity_reservation_config": reservation,
        }
        for index, each in enumerate(types or ("ml.p5.48xlarge",))
    ]
    aws.sagemaker.EndpointConfiguration(
        "configuration", name="configuration", production_variants=variants
    )


GPU = "ml.g5.xlarge"
WORKLOAD = {"workload": "flight-delay"}
CAPTURE = {"capture_buckets": ["plinth-prod-*"]}

CONFIGURATIONS = [
    passes("ML-EP-002", configuration),
    passes("ML-EP-002", partial(variant, count=3)),
    fails("ML-EP-002", partial(variant, count=1), "must be at least 2, got 1"),
    fails("ML-EP-002", partial(variant, count=None), "must be at least 2, got none"),
    unknown("ML-EP-002", lambda: variant(count=later().apply(lambda _: 2)), "initialInstanceCount"),
    skips("ML-EP-002", serverless, "no variant has a count"),
    skips("ML-EP-002", components, "no variant has a count"),
    skips("ML-EP-002", asynchronous, "queue"),
    skips("ML-EP-002", partial(variant, count=1), "only production", config=STAGING),
    passes("ML-EP-011", variant),
    passes("ML-EP-011", partial(variant, GPU, tags=WORKLOAD)),
    passes("ML-EP-011", variant, config={"endpoint_instance_types": ["ml.m5.*"]}),
    fails("ML-EP-011", partial(variant, "ml.p3.2xlarge", tags=WORKLOAD), "current family"),
    fails("ML-EP-011", partial(variant, GPU), "must have the tag 'workload'"),
    fails(
        "ML-EP-011",
        partial(variant, "ml.c5.large"),
        "must be one of ml.m5.*, got ml.c5.large",
        config={"endpoint_instance_types": ["ml.m5.*"]},
    ),
    unknown("ML-EP-011", lambda: variant(later()), "instanceType"),
    skips("ML-EP-011", serverless, "serverless"),
    passes("ML-EP-012", variant),
    passes("ML-EP-012", partial(variant, changed={"enable_ssm_access": False})),
    fails(
        "ML-EP-012",
        partial(variant, changed={"enable_ssm_access": True}),
        "productionVariants[0].enableSsmAccess must not be true",
    ),
    unknown(
        "ML-EP-012",
        lambda: variant(changed={"enable_ssm_access": later().apply(lambda _: True)}),
        "enableSsmAccess",
    ),
    skips("ML-EP-012", serverless, "serverless"),
    skips(
        "ML-EP-012",
        partial(variant, changed={"enable_ssm_access": True}),
        "outside production",
        config=STAGING,
    ),
    passes("ML-EP-013", asynchronous),
    fails("ML-EP-013", partial(asynchronous, kms_key_id=None), "kmsKeyId must be set"),
    fails("ML-EP-013", partial(asynchronous, s3_failure_path=None), "s3FailurePath must be set"),
    fails(
        "ML-EP-013",
        partial(asynchronous, notification_config={"success_topic": "topic"}),
        "errorTopic must be set",
    ),
    unknown("ML-EP-013", lambda: asynchronous(kms_key_id=later()), "kmsKeyId"),
    skips("ML-EP-013", variant, "answers at once"),
    passes("ML-EP-014", dumping, config=CAPTURE),
    fails("ML-EP-014", partial(dumping, "s3://other/x"), "must write to plinth", config=CAPTURE),
    fails("ML-EP-014", partial(dumping, key=None), "kmsKeyId must be set", config=CAPTURE),
    unknown("ML-EP-014", lambda: dumping(key=later()), "kmsKeyId"),
    skips("ML-EP-014", captured, "no variant writes core dumps"),
    passes("ML-EP-015", reserved),
    passes("ML-EP-015", partial(reserved, "ml.p5.48xlarge", "ml.p5.48xlarge")),
    fails("ML-EP-015", partial(reserved, preference=None), "must prefer capacity-reservations"),
    fails("ML-EP-015", partial(reserved, arn=INSTANCE_RESERVATION), "reservation of SageMaker"),
    fails(
        "ML-EP-015",
        partial(reserved, "ml.p5.48xlarge", "ml.p4d.24xlarge"),
        "is for ml.p5.48xlarge, which ml.p4d.24xlarge does not fit",
    ),
    unknown("ML-EP-015", lambda: reserved(arn=later()), "mlReservationArn"),
    skips("ML-EP-015", variant, "no variant runs in a reservation"),
]
