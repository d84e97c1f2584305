"""Triggers of a training run: granted one at a time, not too soon, not too often, not twice."""

import io
import json
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.retraining.decision import Record, RetrainingDecision, RetrainingLimits, decide
from pipelines.retraining.start import reason_of
from tests.kits.deliveries import let_invoke
from tests.kits.local_cloud import ROLE, Cloud, running_cloud, trusted_role
from tests.kits.path import wait_until

NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
LIMITS = RetrainingLimits(cool_down=timedelta(hours=1), max_runs_per_day=3)
LAST = Record(
    version=4,
    event_id="last",
    started_at=(NOW - timedelta(hours=2)).isoformat(),
    runs_that_day=1,
    execution_arn="arn:execution",
    reason="drift",
)


def verdict(
    record: Record = LAST, *, running: str = "Succeeded", **changes: Any
) -> RetrainingDecision:
    asked = {"event_id": "new", "reason": "drift", "now": NOW, "running": running, **changes}
    return decide(record, LIMITS, **asked)


def test_the_first_trigger_is_granted() -> None:
    claim = verdict(Record(), running="").claim
    assert claim is not None
    assert (claim.version, claim.runs_that_day, claim.event_id) == (1, 1, "new")
    assert claim.started_at == "2026-03-14T12:00:00+00:00"


@pytest.mark.parametrize("state", ["Executing", "Stopping", "Starting"])
def test_one_run_at_a_time(state: str) -> None:
    assert verdict(running=state).refusal == f"arn:execution is {state}: one run at a time"


@pytest.mark.parametrize("state", ["Succeeded", "Failed", "Stopped", ""])
def test_a_run_that_ended_holds_nothing_back(state: str) -> None:
    claim = verdict(running=state).claim
    assert claim is not None and claim.execution_arn == ""


def test_a_trigger_too_soon_is_told_until_when() -> None:
    early = verdict(now=NOW - timedelta(minutes=61))
    assert early == RetrainingDecision(None, "cooling down until 2026-03-14T11:00:00+00:00")
    assert verdict(now=NOW - timedelta(minutes=60)).claim is not None


def test_a_day_has_so_many_runs_and_the_next_day_starts_at_none() -> None:
    full = Record(**{**vars(LAST), "runs_that_day": 3})
    assert verdict(full).refusal == "3 runs today, 3 are allowed"
    tomorrow = verdict(full, now=NOW + timedelta(days=1)).claim
    assert tomorrow is not None and tomorrow.runs_that_day == 1


def test_an_event_that_comes_twice_starts_nothing_twice() -> None:
    assert verdict(event_id="last").refusal == "event last already started arn:execution"


def test_a_start_that_was_cut_off_is_taken_up_by_its_own_event_alone() -> None:
    cut_off = Record(**{**vars(LAST), "execution_arn": "", "started_at": NOW.isoformat()})
    assert verdict(cut_off, event_id="last", running="").claim == cut_off
    assert verdict(cut_off, running="").refusal.startswith("cooling down")


def test_a_reason_fits_into_the_properties_of_a_model_package() -> None:
    detail = {"alarmName": "drift", "state": {"value": "ALARM", "reason": "1 > 0 [x]" + "y" * 300}}
    reason = reason_of({"detail": detail})
    assert reason.startswith("alarm drift: 1   0  x yyy")
    assert len(reason) == 256
    assert reason_of({"detail": {"reason": "schedule weekly"}}) == "schedule weekly"


# -- the whole loop, on the local cloud ----------------------------------------------------------

PIPELINE, TABLE, RULE = "plinth-test-training", "plinth-test-retraining", "plinth-test-alarms"


def definition(*steps: dict[str, Any]) -> str:
    reason = {"Name": "Reason", "Type": "String", "DefaultValue": "unspecified"}
    return json.dumps(
        {"Version": "2020-12-01", "Metadata": {}, "Parameters": [reason], "Steps": steps}
    )


FAIL = {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": {"Get": "Parameters.Reason"}}}
WAIT = {
    "Name": "Wait",
    "Type": "Processing",
    "Arguments": {
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": "plinth", "ContainerEntrypoint": ["sleep", "60"]},
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "VolumeSizeInGB": 1,
            }
        },
    },
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        _deploy(running)
        yield running


def _deploy(cloud: Cloud) -> None:
    trusted_role(cloud.client("iam"), "retraining")
    cloud.client("sagemaker").create_pipeline(
        PipelineName=PIPELINE, PipelineDefinition=definition(FAIL), RoleArn=ROLE
    )
    cloud.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pipeline", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pipeline", "AttributeType": "S"}],
    )
    function = cloud.client("lambda").create_function(
        FunctionName="retraining",
        Runtime="python3.13",
        Handler="pipelines.retraining.start.handler",
        Role="arn:aws:iam::123456789012:role/retraining",
        Code={"ZipFile": _archive()},
        Timeout=30,
        Environment={"Variables": _environment(cool_down_seconds=0, max_runs_per_day=2)},
    )
    let_invoke(cloud.client("lambda"), "retraining", "events.amazonaws.com")
    events = cloud.client("events")
    detail = {"alarmName": ["drift", "other"], "state": {"value": ["ALARM"]}}
    pattern = {"source": ["aws.cloudwatch"], "detail": detail}
    events.put_rule(Name=RULE, EventPattern=json.dumps(pattern))
    target = {"Id": "start", "Arn": function["FunctionArn"]}
    events.put_targets(Rule=RULE, Targets=[target])
    for name in ("drift", "other"):
        cloud.client("cloudwatch").put_metric_alarm(
            AlarmName=name,
            Namespace="test",
            MetricName="drift",
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore",  # the test sets the state
        )


def _environment(*, cool_down_seconds: int, max_runs_per_day: int) -> dict[str, str]:
    return {
        "PIPELINE_NAME": PIPELINE,
        "RECORDS_TABLE": TABLE,
        "COOL_DOWN_SECONDS": str(cool_down_seconds),
        "MAX_RUNS_PER_DAY": str(max_runs_per_day),
    }


def _archive() -> bytes:
    out, folder = io.BytesIO(), Path("pipelines/retraining")
    with zipfile.ZipFile(out, "w") as packed:
        for path in sorted((Path(__file__).parents[2] / folder).glob("*.py")):
            packed.writestr(str(folder / path.name), path.read_text())
    return out.getvalue()


def executions(cloud: Cloud) -> list[dict[str, Any]]:
    sagemaker = cloud.client("sagemaker")
    found = sagemaker.list_pipeline_executions(PipelineName=PIPELINE)
    summaries: list[dict[str, Any]] = found["PipelineExecutionSummaries"]
    return summaries


def verdicts(cloud: Cloud) -> list[dict[str, Any]]:
    """What the function said, from its log."""
    logs, group = cloud.client("logs"), "/aws/lambda/retraining"
    if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        return []
    lines = [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
    return [json.loads(line) for line in lines if line.startswith('{"event"')]


def go_off(cloud: Cloud, alarm: str) -> None:
    """An alarm changes to ALARM, which the next round of the cloud tells."""
    cloudwatch, seen = cloud.client("cloudwatch"), len(verdicts(cloud))
    for state in ("OK", "ALARM"):
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue=state, StateReason=f"{alarm} {seen}")
        time.sleep(1.2)
    wait_until(lambda: len(verdicts(cloud)) > seen)


def test_an_alarm_starts_a_run_that_knows_why_and_the_next_ones_are_held_back(
    cloud: Cloud,
) -> None:
    sagemaker = cloud.client("sagemaker")
    go_off(cloud, "drift")
    [first] = wait_until(lambda: executions(cloud))
    arn = first["PipelineExecutionArn"]
    told = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)
    assert told["PipelineParameters"] == [{"Name": "Reason", "Value": "alarm drift: drift 0"}]

    sagemaker.update_pipeline(PipelineName=PIPELINE, PipelineDefinition=definition(WAIT))
    go_off(cloud, "other")
    wait_until(lambda: len(executions(cloud)) == 2)
    second = executions(cloud)[0]
    go_off(cloud, "drift")
    assert verdicts(cloud)[-1]["refusal"].endswith("is Executing: one run at a time")

    sagemaker.stop_pipeline_execution(PipelineExecutionArn=second["PipelineExecutionArn"])
    wait_until(lambda: executions(cloud)[0]["PipelineExecutionStatus"] == "Stopped")
    go_off(cloud, "other")
    assert verdicts(cloud)[-1]["refusal"] == "2 runs today, 2 are allowed"
    cloud.client("lambda").update_function_configuration(
        FunctionName="retraining",
        Environment={"Variables": _environment(cool_down_seconds=3600, max_runs_per_day=9)},
    )
    go_off(cloud, "drift")
    assert verdicts(cloud)[-1]["refusal"].startswith("cooling down until ")
    assert len(executions(cloud)) == 2


def test_an_event_that_is_delivered_twice_starts_one_run(cloud: Cloud) -> None:
    function = cloud.client("lambda")
    cloud.client("sagemaker").update_pipeline(
        PipelineName=PIPELINE, PipelineDefinition=definition(FAIL)
    )
    function.update_function_configuration(
        FunctionName="retraining",
        Environment={"Variables": _environment(cool_down_seconds=0, max_runs_per_day=99)},
    )
    before = len(executions(cloud))
    event = json.dumps({"id": "twice", "detail": {"reason": "schedule weekly"}})
    for _ in range(2):
        function.invoke(FunctionName="retraining", Payload=event)
    assert len(executions(cloud)) == before + 1
    assert verdicts(cloud)[-1]["refusal"].startswith("event twice already started ")
