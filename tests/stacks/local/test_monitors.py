"""Monitoring schedules of the local cloud: they start jobs over what an endpoint captured."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stacks.local.aws.sagemaker import monitoring_times as times
from stacks.local.aws.sagemaker.errors import ApiError
from stacks.local.aws.sagemaker.monitoring_definitions import DEFINITIONS
from stacks.local.aws.sagemaker.monitoring_fields import RECORDED
from stacks.local.aws.sagemaker.shapes import service
from tests.kits.answers import request
from tests.kits.endpoints import invoke, on_instances, put_artifact, serve, serve_program
from tests.kits.local_cloud import (
    BUCKET,
    ROLE,
    Cloud,
    program,
    refusal,
    running_cloud,
    trusted_role,
    until,
)
from tests.kits.path import wait_until
from tests.kits.sagemaker_alone import Account

NOON = datetime(2026, 3, 1, 12, 20, tzinfo=UTC)
CODE = """
import json, os, pathlib
here = pathlib.Path(os.environ["dataset_source"])
rows = [line for file in here.rglob("*.jsonl") for line in file.read_text().splitlines()]
names = {"endpoint": os.environ["sagemaker_endpoint_name"], "rows": len(rows)}
names["schedule"] = os.environ["sagemaker_monitoring_schedule_name"]
names["type"] = os.environ["analysis_type"]
names["baseline"] = pathlib.Path(os.environ["baseline_constraints"]).read_text()
names["script"] = pathlib.Path(os.environ["record_preprocessor_script"]).read_text()
pathlib.Path(os.environ["output_path"], "report.json").write_text(json.dumps(names))
"""
VIOLATED = "import pathlib; pathlib.Path('/opt/ml/output/message').write_text('%s')"


# When


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cron(0 * ? * * *)", ["13:00", "14:00"]),
        ("cron(0 12 ? * * *)", ["12:00", "12:00"]),
        ("cron(0 5/6 ? * * *)", ["17:00", "23:00"]),
        ("cron(0 0/2 ? * * *)", ["14:00", "16:00"]),
    ],
)
def test_a_schedule_fires_at_its_hours(expression: str, expected: list[str]) -> None:
    config = {"ScheduleExpression": expression}
    first = times.next_time(config, NOON)
    second = times.next_time(config, first)
    assert [f"{moment:%H:%M}" for moment in (first, second)] == expected
    assert NOON < first < second


@pytest.mark.parametrize(
    ("config", "hours"),
    [
        ({"ScheduleExpression": "cron(0 * ? * * *)"}, ["12"]),
        ({"ScheduleExpression": "cron(0 1/4 ? * * *)"}, ["09", "10", "11", "12"]),
        ({"ScheduleExpression": "NOW", "DataAnalysisStartTime": "-PT2H",
          "DataAnalysisEndTime": "-PT0H"}, ["11", "12"]),
        ({"ScheduleExpression": "cron(0 13 ? * * *)", "DataAnalysisStartTime": "-P1D",
          "DataAnalysisEndTime": "-PT23H"}, ["13"]),
    ],
)  # fmt: skip
def test_a_job_looks_at_the_time_since_the_last_one_or_as_told(
    config: dict[str, str], hours: list[str]
) -> None:
    scheduled = NOON.replace(hour=13, minute=0)
    found = times.hours_between(*times.window(config, scheduled))
    assert [f"{hour:%H}" for hour in found] == hours


@pytest.mark.parametrize(
    "config",
    [
        {"ScheduleExpression": "cron(5 * ? * * *)"},
        {"ScheduleExpression": "cron(0 24 ? * * *)"},
        {"ScheduleExpression": "rate(1 hour)"},
        {"ScheduleExpression": "NOW"},
        {"DataAnalysisStartTime": "an hour", "DataAnalysisEndTime": "-PT0H"},
    ],
)
def test_a_time_that_is_none_is_refused(config: dict[str, str]) -> None:
    with pytest.raises(ApiError):
        times.check(config)


# Definitions


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_a_definition_is_made_shown_listed_and_deleted(kind: str) -> None:
    account, row = Account(), DEFINITIONS[kind]
    endpoint = {"EndpointName": "e", "LocalPath": "/opt/ml/processing/in"}
    truth = {"GroundTruthS3Input": {"S3Uri": "s3://b/k"}}
    needs = kind in ("ModelBias", "ModelQuality")
    read = {"EndpointInput": endpoint, **(truth if needs else {})}
    asked = request(row.create, **{f"{kind}JobInput": read}, JobDefinitionName="watch")
    account.call(row.create, **asked)
    assert account.refusal(row.create, **asked)[0] == "ResourceInUse"
    shown = account.call(row.describe, JobDefinitionName="watch")
    assert asked.items() <= shown.items()
    (listed,) = account.call(row.list, EndpointName="e")["JobDefinitionSummaries"]
    assert listed["MonitoringJobDefinitionArn"] == shown["JobDefinitionArn"]
    assert account.call(row.list, EndpointName="other")["JobDefinitionSummaries"] == []
    account.call(row.delete, JobDefinitionName="watch")
    assert account.refusal(row.describe, JobDefinitionName="watch")[0] == "ResourceNotFound"


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_a_definition_on_several_machines_is_refused(kind: str) -> None:
    account, row = Account(), DEFINITIONS[kind]
    cluster = {"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5}
    asked = request(row.create, JobResources={"ClusterConfig": cluster})
    assert account.refusal(row.create, **asked)[0] == "NotEmulated"


@pytest.mark.parametrize(
    ("operation", "path"),
    [(operation, path) for operation, told in RECORDED.items() for path in told],
)
def test_what_is_only_recorded_of_a_monitor_is_a_member_of_its_request(
    operation: str, path: str
) -> None:
    shape = service().operation_model(operation).input_shape
    for name in path.split("."):
        shape = shape.members[name.removesuffix("[]")]
        shape = shape.member if name.endswith("[]") else shape


# Executions


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        sm, s3 = running.client("sagemaker"), running.client("s3")
        path = serve_program(tmp_path_factory.mktemp("bin"))
        capture = {
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{BUCKET}/captured",
            "CaptureOptions": [{"CaptureMode": "Input"}],
        }
        variant = on_instances(sm, "watched", path, put_artifact(s3), "model")
        sm.create_endpoint_config(
            EndpointConfigName="watched", ProductionVariants=[variant], DataCaptureConfig=capture
        )
        serve(sm, "watched", "watched")
        for _ in range(3):
            invoke(running, "watched", "row")
        s3.put_object(Bucket=BUCKET, Key="baseline/constraints.json", Body=b"{}")
        s3.put_object(Bucket=BUCKET, Key="code/before.py", Body=b"pass")
        s3.put_object(Bucket=BUCKET, Key="answers/rows.csv", Body=b"a\n1\n2\n")
        wait_until(lambda: "Contents" in s3.list_objects_v2(Bucket=BUCKET, Prefix="captured"))
        yield running


SCRIPT = {"RecordPreprocessorSourceUri": f"s3://{BUCKET}/code/before.py"}


def definition(code: str, endpoint: str = "watched") -> dict[str, Any]:
    place = f"s3://{BUCKET}"
    resource = {"S3Uri": f"{place}/baseline/constraints.json"}
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5}
    result = {"S3Uri": f"{place}/reports", "LocalPath": "/opt/ml/processing/out"}
    source = {"EndpointName": endpoint, "LocalPath": "/opt/ml/processing/in"}
    return {
        "MonitoringInputs": [{"EndpointInput": source}],
        "MonitoringOutputConfig": {"MonitoringOutputs": [{"S3Output": result}]},
        "MonitoringResources": {"ClusterConfig": cluster},
        "MonitoringAppSpecification": {"ImageUri": "analyzer", **SCRIPT, **program(code)},
        "BaselineConfig": {"ConstraintsResource": resource},
        "RoleArn": ROLE,
    }


ONCE = {
    "ScheduleExpression": "NOW",
    "DataAnalysisStartTime": "-PT1H",
    "DataAnalysisEndTime": "-PT0H",
}


def once(sm: Any, name: str, wanted: Mapping[str, Any] | None, **more: str) -> Mapping[str, Any]:
    """The one execution of a schedule, when it is over."""
    inline = {"MonitoringJobDefinition": wanted} if wanted else {}
    config = {"ScheduleConfig": ONCE, **inline, **more}
    sm.create_monitoring_schedule(MonitoringScheduleName=name, MonitoringScheduleConfig=config)
    found: list[Mapping[str, Any]] = []

    def is_over() -> bool:
        answer = sm.list_monitoring_executions(MonitoringScheduleName=name)
        found[:] = answer["MonitoringExecutionSummaries"]
        return bool(found) and found[0]["MonitoringExecutionStatus"] != "InProgress"

    wait_until(is_over)
    (run,) = found
    return run


def test_an_execution_analyzes_what_was_captured(cloud: Cloud, sm: Any) -> None:
    run = once(sm, "quality", definition(CODE))
    assert run["MonitoringExecutionStatus"] == "Completed", run
    assert run["EndpointName"] == "watched"
    name = run["ProcessingJobArn"].rpartition("/")[2]
    job = sm.describe_processing_job(ProcessingJobName=name)
    schedule = sm.describe_monitoring_schedule(MonitoringScheduleName="quality")
    assert job["MonitoringScheduleArn"] == schedule["MonitoringScheduleArn"]
    assert schedule["LastMonitoringExecutionSummary"]["ProcessingJobArn"] == run["ProcessingJobArn"]
    s3 = cloud.client("s3")
    (entry,) = s3.list_objects_v2(Bucket=BUCKET, Prefix="reports/watched/quality/")["Contents"]
    report = json.loads(s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read())
    assert report == {
        "endpoint": "watched",
        "rows": 3,
        "schedule": "quality",
        "type": "DATA_QUALITY",
        "baseline": "{}",
        "script": "pass",
    }


AWS_ANALYZER = "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"


def of_transform(script: Mapping[str, str]) -> dict[str, Any]:
    """What AWS's analyzer is to do with the answers of a transform job."""
    source = {
        "DataCapturedDestinationS3Uri": f"s3://{BUCKET}/answers",
        "DatasetFormat": {"Csv": {"Header": True}},
        "LocalPath": "/opt/ml/processing/in",
    }
    told = {name: value for name, value in definition("").items() if name != "BaselineConfig"}
    return {
        **told,
        "MonitoringInputs": [{"BatchTransformInput": source}],
        "MonitoringAppSpecification": {"ImageUri": AWS_ANALYZER, **script},
    }


def test_aws_analyzer_suggests_a_baseline_and_checks_against_it(cloud: Cloud, sm: Any) -> None:
    run = once(sm, "suggests", of_transform({}))
    assert run["MonitoringExecutionStatus"] == "Completed", run
    s3 = cloud.client("s3")
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix="reports/suggests/")["Contents"]
    uris = {entry["Key"].rpartition("/")[2]: f"s3://{BUCKET}/{entry['Key']}" for entry in found}
    assert sorted(uris) == ["constraints.json", "statistics.json"]
    s3.put_object(Bucket=BUCKET, Key="answers/rows.csv", Body=b"a\nb\nc\n")
    baseline = {
        "ConstraintsResource": {"S3Uri": uris["constraints.json"]},
        "StatisticsResource": {"S3Uri": uris["statistics.json"]},
    }
    run = once(sm, "checks", {**of_transform({}), "BaselineConfig": baseline})
    assert run["MonitoringExecutionStatus"] == "CompletedWithViolations", run


MEASURES = """
import json, os, pathlib
folder = pathlib.Path("/opt/ml/output/metrics/cloudwatch")
folder.mkdir(parents=True)
own = [{"Name": "MonitoringSchedule", "Value": os.environ["sagemaker_monitoring_schedule_name"]}]
one = {"MetricName": "late", "Timestamp": "2026-03-01T00:00:00Z", "Value": 4, "Dimensions": own}
lines = [json.dumps(one), "no JSON", json.dumps({**one, "Value": "many"})]
(folder / "mine.jsonl").write_text("\\n".join(lines))
"""


@pytest.mark.parametrize(
    ("name", "switch", "allowed"),
    [
        ("measures", "Enabled", "*"),
        ("silent", "Disabled", "*"),
        ("forbidden", "Enabled", ["s3:*", "logs:*"]),
    ],
)
def test_what_a_container_leaves_for_cloudwatch_is_published_as_its_role(
    name: str, switch: str, allowed: Any, cloud: Cloud, sm: Any
) -> None:
    trusted_role(cloud.client("iam"), name, Action=allowed)
    role = ROLE.replace("plinth-test", name)
    told = {**definition(MEASURES), "RoleArn": role}
    run = once(sm, name, {**told, "Environment": {"publish_cloudwatch_metrics": switch}})
    assert run["MonitoringExecutionStatus"] == "Completed", run
    dimensions = [{"Name": "MonitoringSchedule", "Value": name}]
    found = cloud.client("cloudwatch").list_metrics(Dimensions=dimensions)["Metrics"]
    expected = {"aws/sagemaker/Endpoints/data-metrics"} if name == "measures" else set()
    assert {metric["Namespace"] for metric in found} == expected


def test_a_message_of_violations_is_their_status(sm: Any) -> None:
    run = once(sm, "violated", definition(VIOLATED % "CompletedWithViolations: 2 features"))
    assert run["MonitoringExecutionStatus"] == "CompletedWithViolations"


def test_an_execution_that_cannot_be_says_why(sm: Any) -> None:
    empty = definition(CODE)
    empty["MonitoringInputs"][0]["EndpointInput"]["EndpointName"] = "none"
    assert "'none'" in once(sm, "lost", empty)["FailureReason"]
    unknown = definition(CODE)
    unknown["MonitoringAppSpecification"] = {"ImageUri": "nobody-knows-this:1"}
    reason = once(sm, "unknown", unknown)["FailureReason"]
    assert "nobody-knows-this:1" in reason and "images:" in reason
    failed = once(sm, "failing", definition("raise SystemExit('no')"))
    assert failed["MonitoringExecutionStatus"] == "Failed" and failed["FailureReason"]
    both = sm.list_monitoring_executions(StatusEquals="Failed", SortBy="ScheduledTime")
    names = {row["MonitoringScheduleName"] for row in both["MonitoringExecutionSummaries"]}
    assert names == {"lost", "unknown", "failing"}
    later = {"ScheduledTimeAfter": datetime.now(UTC) + timedelta(hours=1)}
    assert sm.list_monitoring_executions(**later)["MonitoringExecutionSummaries"] == []


def test_aws_analyzer_refuses_what_it_does_not_do_here(sm: Any) -> None:
    scripted = once(sm, "scripted", of_transform(SCRIPT))
    assert (
        "record_preprocessor_script of what no endpoint captured is not emulated"
        in scripted["FailureReason"]
    )
    other = once(sm, "other-type", of_transform({}), MonitoringType="ModelBias")
    assert "analysis_type MODEL_BIAS is not emulated" in other["FailureReason"]


def test_a_schedule_of_a_named_definition_stops_starts_and_goes(sm: Any) -> None:
    inline = definition(CODE)
    sm.create_data_quality_job_definition(
        JobDefinitionName="named",
        DataQualityAppSpecification=inline["MonitoringAppSpecification"],
        DataQualityJobInput=inline["MonitoringInputs"][0],
        DataQualityJobOutputConfig=inline["MonitoringOutputConfig"],
        JobResources=inline["MonitoringResources"],
        RoleArn=ROLE,
    )
    config = {
        "ScheduleConfig": {"ScheduleExpression": "cron(0 * ? * * *)"},
        "MonitoringJobDefinitionName": "named",
        "MonitoringType": "DataQuality",
    }
    name = {"MonitoringScheduleName": "hourly"}
    missing = {**config, "MonitoringType": "ModelBias"}
    create = sm.create_monitoring_schedule
    assert refusal(create, **name, MonitoringScheduleConfig=missing)[0] == "ResourceNotFound"
    create(**name, MonitoringScheduleConfig=config)
    refused = refusal(sm.delete_monitoring_schedule, **name)[:2]
    assert refused == ("ValidationException", "Monitoring schedule in status Pending")
    shown = arrived(sm, **name)
    assert shown["MonitoringScheduleStatus"] == "Scheduled"
    assert "LastMonitoringExecutionSummary" not in shown
    sm.stop_monitoring_schedule(**name)
    arrived(sm, **name)

    def listed(**asked: str) -> list[str]:
        found = sm.list_monitoring_schedules(**asked)["MonitoringScheduleSummaries"]
        return [row["MonitoringScheduleName"] for row in found]

    assert listed(StatusEquals="Stopped") == ["hourly"]
    assert "hourly" not in listed(StatusEquals="Scheduled")
    assert listed(MonitoringJobDefinitionName="named", EndpointName="watched") == ["hourly"]
    sm.start_monitoring_schedule(**name)
    arrived(sm, **name)
    config["ScheduleConfig"] = {"ScheduleExpression": "cron(0 3 ? * * *)"}
    sm.update_monitoring_schedule(**name, MonitoringScheduleConfig=config)
    shown = arrived(sm, **name)
    assert shown["MonitoringScheduleConfig"] == config
    assert shown["MonitoringScheduleStatus"] == "Scheduled"
    sm.delete_monitoring_schedule(**name)
    assert refusal(sm.describe_monitoring_schedule, **name)[0] == "ResourceNotFound"


def arrived(sm: Any, **name: str) -> Any:
    """The schedule once no change of it is Pending."""
    return until(lambda: sm.describe_monitoring_schedule(**name), "MonitoringScheduleStatus")


def test_a_schedule_that_is_at_work_is_not_deleted(sm: Any) -> None:
    config = {
        "ScheduleConfig": ONCE,
        "MonitoringJobDefinition": definition("import time; time.sleep(600)"),
    }
    name = {"MonitoringScheduleName": "busy"}
    sm.create_monitoring_schedule(**name, MonitoringScheduleConfig=config)
    runs: list[Any] = []

    def has_begun() -> bool:
        runs[:] = sm.list_monitoring_executions(**name)["MonitoringExecutionSummaries"]
        return bool(runs)

    wait_until(has_begun)
    assert refusal(sm.delete_monitoring_schedule, **name)[0] == "ValidationException"
    job = runs[0]["ProcessingJobArn"].rpartition("/")[2]
    sm.stop_processing_job(ProcessingJobName=job)

    def is_stopped() -> bool:
        has_begun()
        return str(runs[0]["MonitoringExecutionStatus"]) == "Stopped"

    wait_until(is_stopped)
    sm.delete_monitoring_schedule(**name)
    assert sm.list_monitoring_executions(**name)["MonitoringExecutionSummaries"]
