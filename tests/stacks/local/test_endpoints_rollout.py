"""Updates of local endpoints in steps, and the metrics and alarms that call them back."""

import json
import time
from collections.abc import Sequence
from typing import Any

import pytest

from infra.errors import UserError
from stacks.local.aws.cloudwatch_alarms import Datum, statistic_of, verdict
from stacks.local.aws.sagemaker.errors import ApiError
from stacks.local.aws.sagemaker.fleet import Fleet
from stacks.local.aws.sagemaker.rollout import Deployment, Plan, check_sizes, plan_of
from tests.conftest import HANGS_SECONDS
from tests.kits.deliveries import open_queue
from tests.kits.endpoints import (
    alarm_on_errors,
    configure,
    invoke,
    put_artifact,
    serve,
    serve_program,
    settled,
)
from tests.kits.local_cloud import Cloud
from tests.kits.path import wait_until
from tests.kits.provider import subject

ALARMS = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]}}


@pytest.fixture(scope="module")
def sm(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """With the configurations `blue`, `green` and one whose container answers errors."""
    client = cloud.client("sagemaker")
    path = serve_program(tmp_path_factory.mktemp("bin"))
    artifact = put_artifact(cloud.client("s3"))
    for name in ("blue", "green", "broken"):
        configure(client, name, path, artifact, **{name: 1})
    return client


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def blue_green(**routing: Any) -> dict[str, Any]:
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}


@pytest.mark.parametrize(
    ("settings", "shares"),
    [
        ({}, [1]),
        (blue_green(Type="ALL_AT_ONCE", WaitIntervalInSeconds=5), [1]),
        (blue_green(Type="CANARY", CanarySize=percent(10)), [0.1, 1]),
        (
            blue_green(Type="CANARY", CanarySize={"Type": "INSTANCE_COUNT", "Value": 1}),
            [0.25, 1],
        ),
        (blue_green(Type="LINEAR", LinearStepSize=percent(30)), [0.3, 0.6, 0.9, 1]),
        (blue_green(Type="LINEAR", LinearStepSize=percent(50)), [0.5, 1]),
        ({"RollingUpdatePolicy": {"MaximumBatchSize": percent(25)}}, [0.25, 0.5, 0.75, 1]),
    ],
)
def test_an_update_has_the_steps_that_its_policy_asks_for(
    settings: dict[str, Any], shares: Sequence[float]
) -> None:
    assert list(plan_of(settings, instances=4).shares) == pytest.approx(shares)


@pytest.mark.parametrize(
    ("settings", "instances", "told"),
    [
        ({"RollingUpdatePolicy": {"MaximumBatchSize": percent(4)}}, 4, "5 to 50 percent"),
        ({"RollingUpdatePolicy": {"MaximumBatchSize": percent(51)}}, 4, "got 51"),
        (blue_green(Type="LINEAR", LinearStepSize=percent(9)), 4, "10 to 50 percent"),
        (blue_green(Type="CANARY", CanarySize=percent(60)), 4, "0 to 50 percent"),
        (
            blue_green(Type="CANARY", CanarySize={"Type": "INSTANCE_COUNT", "Value": 3}),
            4,
            "CanarySize must be 0 to 50 percent of the variant's instances, got 75",
        ),
        (
            {
                **blue_green(Type="ALL_AT_ONCE"),
                "RollingUpdatePolicy": {"MaximumBatchSize": percent(25)},
            },
            4,
            "DeploymentConfig must have BlueGreenUpdatePolicy or RollingUpdatePolicy",
        ),
        (blue_green(Type="LINEAR"), 4, "LinearStepSize must be specified when Type is LINEAR"),
        ({"RollingUpdatePolicy": {"MaximumBatchSize": percent(50)}}, 1, ""),
        (blue_green(Type="CANARY", CanarySize={"Type": "INSTANCE_COUNT", "Value": 1}), 1, ""),
        (blue_green(Type="ALL_AT_ONCE"), 1, ""),
        ({}, 1, ""),
    ],
)
def test_a_step_has_the_size_that_aws_takes(
    settings: dict[str, Any], instances: int, told: str
) -> None:
    if not told:
        check_sizes(settings, instances)
        return
    with pytest.raises(ApiError) as caught:
        check_sizes(settings, instances)
    assert caught.value.code == "ValidationException" and told in caught.value.message


def test_waiting_times_and_alarms_come_from_the_policy() -> None:
    routing = blue_green(Type="CANARY", CanarySize=percent(10), WaitIntervalInSeconds=60)
    routing["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] = 90
    assert plan_of({**routing, **ALARMS}, instances=1) == Plan(
        shares=[0.1, 1.0], bake_seconds=60, termination_seconds=90, alarms=["errors"]
    )


def test_a_request_goes_to_the_new_fleet_by_its_share() -> None:
    old = Fleet(endpoint="e", config={}, variants={})
    new = Fleet(endpoint="e", config={}, variants={})
    deployment = Deployment(fleet=old, green=new, green_share=0.1)
    assert [deployment.fleet_for(draw) is new for draw in (0.0, 0.0999, 0.1, 0.9)] == [
        True, True, False, False,
    ]  # fmt: skip


def update(sm: Any, endpoint: str, config: str, *, bake_seconds: int, **more: Any) -> None:
    routing = {
        "Type": "CANARY",
        "CanarySize": percent(50),
        "WaitIntervalInSeconds": bake_seconds,
    }
    sm.update_endpoint(
        EndpointName=endpoint,
        EndpointConfigName=config,
        DeploymentConfig={
            "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}, **more,
        },
    )  # fmt: skip


def test_a_canary_answers_a_share_while_it_bakes_and_then_everything(cloud: Cloud, sm: Any) -> None:
    serve(sm, "canary", "blue")
    alarm_on_errors(cloud.client("cloudwatch"), "errors", "canary")
    update(sm, "canary", "green", bake_seconds=4, **ALARMS)
    seen: set[str] = set()
    deadline = time.monotonic() + HANGS_SECONDS
    while seen != {"blue", "green"} and time.monotonic() < deadline:
        seen |= {invoke(cloud, "canary", "x")[1] for _ in range(8)}
    baking = sm.describe_endpoint(EndpointName="canary")
    assert (baking["EndpointStatus"], baking["EndpointConfigName"]) == ("Updating", "blue")
    assert baking["PendingDeploymentSummary"]["EndpointConfigName"] == "green"
    assert seen == {"blue", "green"}
    done = settled(sm, "canary")
    assert (done["EndpointStatus"], done["EndpointConfigName"]) == ("InService", "green")
    assert "FailureReason" not in done and "PendingDeploymentSummary" not in done
    assert {invoke(cloud, "canary", "x")[1] for _ in range(8)} == {"green"}
    sm.delete_endpoint(EndpointName="canary")


def test_errors_of_a_canary_raise_the_alarm_that_rolls_it_back(cloud: Cloud, sm: Any) -> None:
    serve(sm, "guarded", "blue")
    alarm_on_errors(cloud.client("cloudwatch"), "errors", "guarded", variant="broken")
    update(sm, "guarded", "broken", bake_seconds=60, **ALARMS)
    begun = time.monotonic()
    runtime = cloud.client("sagemaker-runtime")
    status = "Updating"
    while status == "Updating" and time.monotonic() - begun < 50:
        try:
            runtime.invoke_endpoint(EndpointName="guarded", Body=b"x", ContentType="text/csv")
        except runtime.exceptions.ModelError:
            time.sleep(0.05)
        status = sm.describe_endpoint(EndpointName="guarded")["EndpointStatus"]
    shown = sm.describe_endpoint(EndpointName="guarded")
    assert (shown["EndpointStatus"], shown["EndpointConfigName"]) == ("InService", "blue")
    assert shown["FailureReason"] == "One or more alarms are in ALARM state: errors"
    assert {invoke(cloud, "guarded", "x")[1] for _ in range(8)} == {"blue"}
    sm.delete_endpoint(EndpointName="guarded")


def test_every_invocation_is_measured(cloud: Cloud, sm: Any) -> None:
    serve(sm, "measured", "blue")
    for _ in range(5):
        invoke(cloud, "measured", "x")
    cloudwatch = cloud.client("cloudwatch")

    def total(metric: str, statistic: str) -> float:
        now = time.time()
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[
                {"Name": "EndpointName", "Value": "measured"},
                {"Name": "VariantName", "Value": "blue"},
            ],
            StartTime=now - 600,
            EndTime=now + 60,
            Period=600,
            Statistics=[statistic],
        )["Datapoints"]
        return float(sum(point[statistic] for point in points))

    wait_until(lambda: total("Invocations", "Sum") >= 5)
    assert total("Invocations", "Sum") == 5
    assert total("Invocation5XXErrors", "Sum") == 0
    assert 10 < total("ModelLatency", "Average") < 10_000_000  # microseconds
    sm.delete_endpoint(EndpointName="measured")


def test_a_rolled_back_update_is_a_failure_with_its_reason(cloud: Cloud, sm: Any) -> None:
    """What `up` says: the provider compares the configuration served with the one wanted."""
    backend = cloud.backend()
    it = subject("aws:sagemaker/endpoint:Endpoint")
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="always",
        Namespace="Plinth",
        MetricName="None",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    cloud.client("cloudwatch").set_alarm_state(
        AlarmName="always", StateValue="ALARM", StateReason="test"
    )
    policy = {
        "trafficRoutingConfiguration": {
            "type": "CANARY",
            "waitIntervalInSeconds": 1,
            "canarySize": {"type": "CAPACITY_PERCENT", "value": 50},
        }
    }
    inputs = {
        "name": "deployed",
        "endpointConfigName": "blue",
        "deploymentConfig": {
            "blueGreenUpdatePolicy": policy,
            "autoRollbackConfiguration": {"alarms": [{"alarmName": "always"}]},
        },
    }
    made = backend.create(it, inputs)
    with pytest.raises(UserError, match=r"must be 'green', got 'blue'.*in ALARM state: always"):
        backend.update(it, made.id, inputs, {**inputs, "endpointConfigName": "green"})
    assert invoke(cloud, "deployed", "x")[1] == "blue"
    backend.delete(it, made.id, inputs)


def test_what_a_rollout_did_to_the_weights_is_no_difference_to_up(cloud: Cloud, sm: Any) -> None:
    backend = cloud.backend()
    it = subject("aws:sagemaker/endpoint:Endpoint")
    inputs = {"name": "weighted", "endpointConfigName": "blue"}
    made = backend.create(it, inputs)
    sm.update_endpoint_weights_and_capacities(
        EndpointName="weighted",
        DesiredWeightsAndCapacities=[{"VariantName": "blue", "DesiredWeight": 7}],
    )
    [shown] = sm.describe_endpoint(EndpointName="weighted")["ProductionVariants"]
    assert shown["CurrentWeight"] == 7
    read = backend.read(it, made.id, inputs)
    assert read is not None and read.inputs == inputs
    backend.delete(it, made.id, inputs)


# -- alarms --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "needed", "missing", "state", "expected"),
    [
        ([5, 5], 2, "missing", "OK", "ALARM"),
        ([5, 1], 2, "missing", "ALARM", "OK"),
        ([5, 1, 5], 2, "missing", "OK", "ALARM"),
        ([None, None], 2, "missing", "OK", "INSUFFICIENT_DATA"),
        ([None, None], 2, "notBreaching", "ALARM", "OK"),
        ([None, None], 2, "breaching", "OK", "ALARM"),
        ([None, None], 2, "ignore", "ALARM", "ALARM"),
        ([5, None], 2, "notBreaching", "ALARM", "OK"),
        ([5, None], 2, "missing", "OK", "OK"),
    ],
)
def test_an_alarm_follows_its_data_and_what_it_makes_of_gaps(
    points: Sequence[float | None], needed: int, missing: str, state: str, expected: str
) -> None:
    found = verdict(
        points, breaches=lambda value: value >= 3, needed=needed, missing=missing, state=state
    )
    assert found == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Sum", 10.0),
        ("Average", 2.5),
        ("Minimum", 1.0),
        ("Maximum", 4.0),
        ("SampleCount", 4.0),
        ("p50", 2.5),
        ("p99", 3.97),
    ],
)
def test_a_statistic_is_what_cloudwatch_means_by_it(name: str, expected: float) -> None:
    data = [Datum(0, value, value, value, 1) for value in (3.0, 1.0, 4.0, 2.0)]
    assert statistic_of(name, data) == pytest.approx(expected)


def test_metric_data_move_an_alarm_and_its_topic_hears_of_it(cloud: Cloud) -> None:
    cloudwatch, sqs = cloud.client("cloudwatch"), cloud.client("sqs")
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    queue = open_queue(sqs, "alarms")
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    cloudwatch.put_metric_alarm(
        AlarmName="drift",
        Namespace="Plinth",
        MetricName="Drift",
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0.2,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[topic],
    )
    cloudwatch.put_metric_data(
        Namespace="Plinth", MetricData=[{"MetricName": "Drift", "Value": 0.3}]
    )
    messages = wait_until(
        lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages")
    )
    told = json.loads(json.loads(messages[0]["Body"])["Message"])
    assert (told["AlarmName"], told["NewStateValue"]) == ("drift", "ALARM")
    [alarm] = cloudwatch.describe_alarms(AlarmNames=["drift"])["MetricAlarms"]
    assert alarm["StateValue"] == "ALARM"
    assert alarm["StateReason"] == "Threshold Crossed: datapoints [0.3] against 0.2"


def test_a_state_that_somebody_set_stays_without_data(cloud: Cloud) -> None:
    cloudwatch = cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="silent",
        Namespace="Plinth",
        MetricName="Nothing",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    cloudwatch.set_alarm_state(AlarmName="silent", StateValue="ALARM", StateReason="drill")
    time.sleep(2.5)
    [alarm] = cloudwatch.describe_alarms(AlarmNames=["silent"])["MetricAlarms"]
    assert alarm["StateValue"] == "ALARM"
