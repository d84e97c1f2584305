"""Application Auto Scaling of endpoints: alarms, what policies ask for, and what happens then."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stacks.local.aws import autoscaling
from tests.kits.endpoints import configure, invoke, put_artifact, serve, serve_program, settled
from tests.kits.local_cloud import Cloud, refusal
from tests.kits.path import wait_until

TARGET = {
    "ServiceNamespace": "sagemaker",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
OWN = {
    "Namespace": "tests",
    "MetricName": "Load",
    "Statistic": "Average",
    "Dimensions": [{"Name": "Endpoint", "Value": "scaled"}],
}


@pytest.fixture(scope="module")
def endpoint(cloud: Cloud, sm: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An endpoint on one instance."""
    path = serve_program(tmp_path_factory.mktemp("serve"))
    configure(sm, "scaled", path, put_artifact(cloud.client("s3")), only=1.0)
    serve(sm, "scaled", "scaled")
    yield "scaled"
    sm.delete_endpoint(EndpointName="scaled")


@pytest.fixture
def scaling(cloud: Cloud, endpoint: str) -> Iterator[Any]:
    """The service, with the endpoint's variant registered."""
    client = cloud.client("application-autoscaling")
    resource = f"endpoint/{endpoint}/variant/only"
    client.register_scalable_target(**TARGET, ResourceId=resource, MinCapacity=1, MaxCapacity=3)
    yield client
    client.deregister_scalable_target(**TARGET, ResourceId=resource)


def put(scaling: Any, kind: str, **config: Any) -> Any:
    return scaling.put_scaling_policy(
        **TARGET,
        ResourceId="endpoint/scaled/variant/only",
        PolicyName="follow",
        PolicyType=kind,
        **{f"{kind}PolicyConfiguration": config},
    )


def instances(sm: Any) -> int:
    (variant,) = sm.describe_endpoint(EndpointName="scaled")["ProductionVariants"]
    return int(variant["CurrentInstanceCount"])


def load(cloud: Cloud, value: float, *, minutes: int, metric: str = "Load") -> None:
    """The metric's value in each of the last minutes."""
    now = datetime.now(UTC)
    data = [
        {
            "MetricName": metric,
            "Dimensions": OWN["Dimensions"],
            "Timestamp": now - timedelta(minutes=age),
            "Value": value,
        }
        for age in range(minutes)
    ]
    cloud.client("cloudwatch").put_metric_data(Namespace="tests", MetricData=data)


def test_limits_do_not_cross_and_nobody_is_deregistered_twice(scaling: Any) -> None:
    named = {**TARGET, "ResourceId": "endpoint/scaled/variant/only"}
    for limits in ({"MinCapacity": 4, "MaxCapacity": 3}, {"MinCapacity": 4}):
        told = refusal(scaling.register_scalable_target, **named, **limits)
        assert told[0] == "ValidationException" and "less than minimum capacity" in told[1]
    scaling.register_scalable_target(**named, MinCapacity=3)
    other = {**named, "ResourceId": "endpoint/none/variant/only"}
    code, message, _ = refusal(scaling.deregister_scalable_target, **other)
    assert code == "ObjectNotFoundException"
    assert message == (
        "No scalable target registered for service namespace: sagemaker, resource ID: "
        "endpoint/none/variant/only, scalable dimension: sagemaker:variant:DesiredInstanceCount"
    )


def test_a_target_tracking_policy_has_the_alarms_of_aws(cloud: Cloud, scaling: Any) -> None:
    answer = put(
        scaling,
        "TargetTrackingScaling",
        TargetValue=50.0,
        PredefinedMetricSpecification={
            "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
        },
    )
    names = [alarm["AlarmName"] for alarm in answer["Alarms"]]
    (policy,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert policy["Alarms"] == answer["Alarms"]
    alarms = cloud.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    high, low = sorted(alarms, key=lambda alarm: -float(alarm["Threshold"]))
    assert (high["Threshold"], high["EvaluationPeriods"], high["Period"]) == (50.0, 3, 60)
    assert (low["Threshold"], low["EvaluationPeriods"]) == (45.0, 15)
    assert high["MetricName"] == "InvocationsPerInstance" and high["Statistic"] == "Sum"
    assert {one["Name"]: one["Value"] for one in high["Dimensions"]} == {
        "EndpointName": "scaled",
        "VariantName": "only",
    }
    assert high["AlarmActions"] == [policy["PolicyARN"]]
    scaling.delete_scaling_policy(
        **TARGET, ResourceId="endpoint/scaled/variant/only", PolicyName="follow"
    )
    left = cloud.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    assert left == []


def test_load_adds_instances_and_calm_takes_them_away(cloud: Cloud, sm: Any, scaling: Any) -> None:
    put(
        scaling,
        "TargetTrackingScaling",
        TargetValue=10.0,
        CustomizedMetricSpecification=OWN,
        ScaleInCooldown=0,
        ScaleOutCooldown=0,
    )
    load(cloud, 25.0, minutes=3)
    wait_until(lambda: instances(sm) == 3)  # one instance, two and a half times the target
    assert settled(sm, "scaled")["EndpointStatus"] == "InService"
    for _ in range(6):
        assert invoke(cloud, "scaled", "row")[0].startswith("only|m1|row|")
    activities = scaling.describe_scaling_activities(ServiceNamespace="sagemaker")
    (done,) = activities["ScalingActivities"]
    assert done["StatusCode"] == "Successful"
    assert done["Description"] == "Setting desired instance count to 3."
    assert "AlarmHigh" in done["Cause"] and "policy follow" in done["Cause"]

    put(
        scaling,
        "TargetTrackingScaling",
        TargetValue=10.0,
        CustomizedMetricSpecification={**OWN, "MetricName": "Calm"},
        ScaleInCooldown=0,
        ScaleOutCooldown=0,
    )
    load(cloud, 1.0, minutes=15, metric="Calm")
    wait_until(lambda: instances(sm) == 1)


def test_a_step_policy_follows_the_alarm_that_names_it(cloud: Cloud, sm: Any, scaling: Any) -> None:
    policy = put(
        scaling,
        "StepScaling",
        AdjustmentType="ChangeInCapacity",
        Cooldown=3600,
        StepAdjustments=[
            {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 10.0,
             "ScalingAdjustment": 2},
            {"MetricIntervalLowerBound": 10.0, "ScalingAdjustment": 1},
        ],
    )  # fmt: skip
    cloudwatch = cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="busy",
        Namespace="tests",
        MetricName="Steps",
        Dimensions=OWN["Dimensions"],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=2,
        DatapointsToAlarm=1,
        Threshold=5.0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[policy["PolicyARN"]],
    )
    load(cloud, 20.0, minutes=1, metric="Steps")
    wait_until(lambda: instances(sm) == 2)
    cloudwatch.delete_alarms(AlarmNames=["busy"])
    change = [{"VariantName": "only", "DesiredInstanceCount": 1}]
    sm.update_endpoint_weights_and_capacities(
        EndpointName="scaled", DesiredWeightsAndCapacities=change
    )
    wait_until(lambda: instances(sm) == 1)


def test_a_policy_of_no_target_is_refused(cloud: Cloud) -> None:
    code, text, _ = refusal(
        cloud.client("application-autoscaling").put_scaling_policy,
        **TARGET,
        ResourceId="endpoint/none/variant/v",
        PolicyName="p",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 1.0,
            "CustomizedMetricSpecification": OWN,
        },
    )
    assert code == "ObjectNotFoundException"
    assert text.startswith("No scalable target registered for service namespace: sagemaker")


# What policies ask for

ABOVE = SimpleNamespace(comparison_operator="GreaterThanThreshold", threshold=10.0)
BELOW = SimpleNamespace(comparison_operator="LessThanThreshold", threshold=10.0)


def tracking(target: float) -> dict[str, Any]:
    return {"TargetTrackingScalingPolicyConfiguration": {"TargetValue": target}}


def stepped(kind: str, *steps: tuple[float | None, float | None, int], least: int = 0) -> Any:
    bounds = ("MetricIntervalLowerBound", "MetricIntervalUpperBound")
    return {
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": kind,
            "MinAdjustmentMagnitude": least,
            "StepAdjustments": [
                {
                    **{n: v for n, v in zip(bounds, step[:2], strict=True) if v is not None},
                    "ScalingAdjustment": step[2],
                }
                for step in steps
            ],
        }
    }


CHANGE = stepped("ChangeInCapacity", (0, 5, 1), (5, None, 3))
LESS = stepped("ChangeInCapacity", (-5, 0, -1), (None, -5, -2))
CASES: dict[str, tuple[Any, Any, list[float], int, int]] = {
    "as much as the load is beyond the target": (tracking(10), ABOVE, [25, 11, 12], 2, 5),
    "one at least": (tracking(10), ABOVE, [10.1], 3, 4),
    "from none": (tracking(10), ABOVE, [11], 0, 1),
    "what the most of the calm needs": (tracking(10), BELOW, [1, 4, 2], 5, 2),
    "nothing is needed": (tracking(10), BELOW, [0, 0], 3, 0),
    "the first step": (CHANGE, ABOVE, [14], 2, 3),
    "a bound belongs to the step above": (CHANGE, ABOVE, [15], 2, 5),
    "a step below": (LESS, BELOW, [7], 4, 3),
    "a bound belongs to the step below": (LESS, BELOW, [5], 4, 2),
    "exactly": (stepped("ExactCapacity", (0, None, 7)), ABOVE, [11], 2, 7),
    "a share": (stepped("PercentChangeInCapacity", (0, None, 50)), ABOVE, [11], 5, 7),
    "a small share": (stepped("PercentChangeInCapacity", (0, None, 10)), ABOVE, [11], 2, 3),
    "a share and its least": (
        stepped("PercentChangeInCapacity", (0, None, 10), least=4), ABOVE, [11], 2, 6,
    ),
    "a share less": (stepped("PercentChangeInCapacity", (None, 0, -50)), BELOW, [1], 5, 3),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_policy_asks_for(case: str) -> None:
    policy, alarm, values, capacity, expected = CASES[case]
    assert autoscaling.desired(policy, alarm, values, capacity) == expected


# Nothing is lost meanwhile


def test_an_instance_that_goes_finishes_what_it_was_asked(
    cloud: Cloud, sm: Any, endpoint: str
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def resize(count: int) -> None:
        change = [{"VariantName": "only", "DesiredInstanceCount": count}]
        sm.update_endpoint_weights_and_capacities(
            EndpointName=endpoint, DesiredWeightsAndCapacities=change
        )
        wait_until(lambda: instances(sm) == count)

    resize(2)
    with ThreadPoolExecutor(6) as pool:
        slow = [pool.submit(invoke, cloud, endpoint, "slow") for _ in range(6)]
        time.sleep(0.5)
        resize(1)
        answers = [one.result()[0] for one in slow]
    assert answers == ["only|m1|slow|text/csv"] * 6


def test_an_update_loses_no_request(cloud: Cloud, sm: Any, endpoint: str, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    path = serve_program(tmp_path)
    configure(sm, "scaled-next", path, put_artifact(cloud.client("s3")), only=1.0)
    with ThreadPoolExecutor(6) as pool:
        slow = [pool.submit(invoke, cloud, endpoint, "slow") for _ in range(4)]
        time.sleep(0.3)
        sm.update_endpoint(EndpointName=endpoint, EndpointConfigName="scaled-next")
        quick = []
        while sm.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "Updating":
            quick += [pool.submit(invoke, cloud, endpoint, "quick") for _ in range(4)]
            [one.result() for one in quick[-4:]]
        assert quick
        assert {one.result()[0] for one in slow} == {"only|m1|slow|text/csv"}
    assert settled(sm, endpoint)["EndpointConfigName"] == "scaled-next"


def test_a_scheduled_action_moves_the_bounds_and_what_is_beyond(
    cloud: Cloud, sm: Any, scaling: Any
) -> None:
    about = {**TARGET, "ResourceId": "endpoint/scaled/variant/only"}
    wait_until(lambda: settled(sm, "scaled")["EndpointStatus"] == "InService")
    more = instances(sm) + 1
    soon = (datetime.now(UTC) + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%S")
    scaling.put_scheduled_action(
        **about, ScheduledActionName="morning", Schedule=f"at({soon})", Timezone="UTC",
        ScalableTargetAction={"MinCapacity": more, "MaxCapacity": more + 1},
    )  # fmt: skip
    wait_until(lambda: instances(sm) == more)
    (bounds,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (bounds["MinCapacity"], bounds["MaxCapacity"]) == (more, more + 1)
    activities = scaling.describe_scaling_activities(ServiceNamespace="sagemaker")
    assert "scheduled action name morning" in activities["ScalingActivities"][0]["Cause"]
    scaling.delete_scheduled_action(**about, ScheduledActionName="morning")
