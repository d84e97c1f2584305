"""What AWS's analyzer makes of what an endpoint captured, by itself and in a running cloud."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas
import pytest

from stacks.local.runtime.frameworks import captured, data_quality
from stacks.local.runtime.frameworks.outcome import Refused
from tests.kits.endpoints import invoke, on_instances, put_artifact, serve, serve_program
from tests.kits.local_cloud import BUCKET, ROLE, Cloud
from tests.kits.path import wait_until
from tests.stacks.local.test_monitors import AWS_ANALYZER, once


def side(data: str, encoding: str = "CSV", kind: str = "text/csv") -> dict[str, str]:
    return {"data": data, "encoding": encoding, "observedContentType": kind, "mode": "INPUT"}


def record(event: str = "e1", **sides: Any) -> dict[str, Any]:
    return {"captureData": sides, "eventMetadata": {"eventId": event}, "eventVersion": "0"}


def write(folder: Path, *records: Mapping[str, Any]) -> Path:
    place = folder / "watched" / "model" / "2026" / "11" / "29" / "21"
    place.mkdir(parents=True)
    (place / "one.jsonl").write_text("\n".join(map(json.dumps, records)))
    return folder


ROWS = {
    "a row of CSV, the answer first": (
        record(endpointInput=side("1,x"), endpointOutput=side("0.5\n")),
        [{"_c0": "0.5", "_c1": "1", "_c2": "x"}],
    ),
    "as many rows as answers": (
        record(endpointInput=side('1,"a, b"\n2,c\n'), endpointOutput=side("0.5\n0.7")),
        [{"_c0": "0.5", "_c1": "1", "_c2": "a, b"}, {"_c0": "0.7", "_c1": "2", "_c2": "c"}],
    ),
    "JSON by its members, those inside too": (
        record(
            endpointInput=side('{"distance": 9, "at": {"hour": 7}}', "JSON", "application/json"),
            endpointOutput=side('{"delay": null}', "JSON", "application/json"),
        ),
        [{"delay": "", "distance": "9", "at.hour": "7"}],
    ),
    "lines of JSON": (
        record(
            endpointInput=side('{"a": true}\n{"a": false}\n', "JSON", "application/jsonlines"),
            endpointOutput=side("1\n0", "CSV"),
        ),
        [{"_c0": "1", "a": "true"}, {"_c0": "0", "a": "false"}],
    ),
    "CSV that nobody declared": (
        record(
            endpointInput=side(base64.b64encode(b"7,8").decode(), "BASE64", "text/csv; header=no"),
            endpointOutput=side("1"),
        ),
        [{"_c0": "1", "_c1": "7", "_c2": "8"}],
    ),
    "the input alone": (record(endpointInput=side("1,2")), [{"_c0": "1", "_c1": "2"}]),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_record_is_so_many_rows(tmp_path: Path, name: str) -> None:
    told, expected = ROWS[name]
    assert captured.rows(write(tmp_path, told), captured.PARTS, None) == expected


REFUSED = {
    "must have as many rows, got 1 of endpointOutput, 2 of endpointInput": record(
        endpointInput=side("1\n2"), endpointOutput=side("1")
    ),
    "captured data of type image/png are no text": record(
        endpointInput=side("/w==", "BASE64", "image/png")
    ),
    "captured data of type application/x-npy are not read": record(
        endpointInput=side("aGk=", "BASE64", "application/x-npy")
    ),
    "captured data must be JSON": record(endpointInput=side("{", "JSON", "application/json")),
}


@pytest.mark.parametrize("told", REFUSED)
def test_what_is_no_table_is_told(tmp_path: Path, told: str) -> None:
    with pytest.raises(Refused, match=told):
        captured.rows(write(tmp_path, REFUSED[told]), captured.PARTS, None)


def test_a_preprocessor_makes_the_rows(tmp_path: Path) -> None:
    script = tmp_path / "before.py"
    script.write_text(
        "def preprocess_handler(record):\n"
        "    if record.event_metadata.event_id == 'skip':\n        return []\n"
        "    values = (record.endpoint_output.data + ',' + record.endpoint_input.data).split(',')\n"
        "    return {str(n).zfill(3): value for n, value in enumerate(values)}\n"
    )
    both: dict[str, Any] = {"endpointInput": side("1,2"), "endpointOutput": side("0")}
    folder = write(tmp_path / "data", record(**both), record("skip", **both))
    assert captured.rows(folder, captured.PARTS, script) == [{"000": "0", "001": "1", "002": "2"}]
    script.write_text("def another(record): pass")
    with pytest.raises(Refused, match="must define preprocess_handler"):
        captured.rows(folder, captured.PARTS, script)


def truth(event: str, data: str) -> dict[str, Any]:
    told = {"data": data, "encoding": "CSV"}
    return {"groundTruthData": told, "eventMetadata": {"eventId": event}, "eventVersion": "0"}


def test_answers_are_merged_with_their_truth_by_event_or_inference_id(tmp_path: Path) -> None:
    by_inference = record("e2", endpointOutput=side("0.2"))
    by_inference["eventMetadata"]["inferenceId"] = "mine"
    folder = write(
        tmp_path / "data",
        record("e1", endpointOutput=side("0.9\n0.1")),
        by_inference,
        record("e3", endpointOutput=side("0.4")),
    )
    truths = write(tmp_path / "truth", truth("e1", "1,0"), truth("mine", "1"), truth("other", "0"))
    assert captured.merged(folder, truths) == [
        {"_c0": "0.9", "ground_truth": "1"},
        {"_c0": "0.1", "ground_truth": "0"},
        {"_c0": "0.2", "ground_truth": "1"},
    ]
    nobody = write(tmp_path / "none", truth("other", "0"))
    with pytest.raises(Refused, match="no captured record has a ground truth"):
        captured.merged(folder, nobody)
    short = write(tmp_path / "short", truth("e1", "1"))
    with pytest.raises(Refused, match="2 answers and 1 labels"):
        captured.merged(folder, short)


# -- in a running cloud

SERVED = "flights"
SIMPLE = {"distribution_constraints": {"comparison_method": "Simple"}}
"""Distances of few rows as they are."""


@pytest.fixture(scope="module")
def flights(
    cloud: Cloud, sm: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[dict[str, Any]]]:
    """An endpoint that captures what it is asked and answers; the records."""
    s3 = cloud.client("s3")
    path = serve_program(tmp_path_factory.mktemp("bin"))
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{BUCKET}/flights",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv", "text/plain"]},
    }
    variant = on_instances(sm, SERVED, path, put_artifact(s3), "model")
    sm.create_endpoint_config(
        EndpointConfigName=SERVED, ProductionVariants=[variant], DataCaptureConfig=capture
    )
    serve(sm, SERVED, SERVED)
    for number in range(4):
        invoke(cloud, SERVED, f"{number},{number % 2}", InferenceId=f"flight-{number}")

    def records() -> list[dict[str, Any]]:
        found = s3.list_objects_v2(Bucket=BUCKET, Prefix="flights/").get("Contents", [])
        bodies = [s3.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read() for one in found]
        return [json.loads(line) for body in bodies for line in body.splitlines()]

    wait_until(lambda: len(records()) == 4)
    yield records()
    sm.delete_endpoint(EndpointName=SERVED)


def watching(baseline: Mapping[str, Any], **source: str) -> dict[str, Any]:
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5}
    result = {"S3Uri": f"s3://{BUCKET}/reports", "LocalPath": "/opt/ml/processing/out"}
    endpoint = {"EndpointName": SERVED, "LocalPath": "/opt/ml/processing/in", **source}
    return {
        "MonitoringInputs": [{"EndpointInput": endpoint}],
        "MonitoringOutputConfig": {"MonitoringOutputs": [{"S3Output": result}]},
        "MonitoringResources": {"ClusterConfig": cluster},
        "MonitoringAppSpecification": {"ImageUri": AWS_ANALYZER},
        "BaselineConfig": {name: {"S3Uri": uri} for name, uri in baseline.items()},
        "RoleArn": ROLE,
    }


def data_quality_of(*values: str) -> dict[str, Any]:
    """Statistics of a column, compared without allowance for how few rows there are."""
    (feature,) = data_quality.statistics(pandas.DataFrame({"number": values}))["features"]
    return {name: value for name, value in feature.items() if name != "name"}


def report(cloud: Cloud, schedule: str, name: str) -> Any:
    s3 = cloud.client("s3")
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"reports/{SERVED}/{schedule}/")["Contents"]
    (key,) = [one["Key"] for one in found if one["Key"].endswith(f"/{name}.json")]
    return json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())


def metrics(cloud: Cloud, kind: str, schedule: str) -> dict[str, float]:
    """Metric -> its sum, of those that a schedule over the endpoint published."""
    dimensions = [
        {"Name": "Endpoint", "Value": SERVED},
        {"Name": "MonitoringSchedule", "Value": schedule},
    ]
    namespace = f"aws/sagemaker/Endpoints/{kind}-metrics"
    cloudwatch, now = cloud.client("cloudwatch"), datetime.now(UTC)
    asked: dict[str, Any] = {"Namespace": namespace, "Dimensions": dimensions}
    span = {"StartTime": now - timedelta(hours=1), "EndTime": now + timedelta(minutes=1)}
    return {
        name: cloudwatch.get_metric_statistics(
            **asked, **span, MetricName=name, Period=7200, Statistics=["Sum"]
        )["Datapoints"][0]["Sum"]
        for name in sorted(one["MetricName"] for one in cloudwatch.list_metrics(**asked)["Metrics"])
    }


def test_data_quality_of_an_endpoint_is_checked_against_a_baseline(
    cloud: Cloud, sm: Any, flights: list[dict[str, Any]]
) -> None:
    names = ("said", "kind", "number")
    rules = [
        {"name": "said", "inferred_type": "String", "completeness": 1.0},
        {"name": "kind", "inferred_type": "String", "completeness": 1.0,
         "string_constraints": {"domains": ["0"]}},
        {"name": "number", "inferred_type": "Integral", "completeness": 1.0},
    ]  # fmt: skip
    constraints = {"version": 0, "features": rules, "monitoring_config": SIMPLE}
    s3 = cloud.client("s3")
    s3.put_object(Bucket=BUCKET, Key="base/constraints.json", Body=json.dumps(constraints).encode())
    uri = f"s3://{BUCKET}/base/constraints.json"
    statistics = {"features": [{"name": "number", **data_quality_of("7", "8", "9")}]}
    s3.put_object(Bucket=BUCKET, Key="base/statistics.json", Body=json.dumps(statistics).encode())
    place = uri.replace("constraints", "statistics")
    cloudwatch = cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="drifted",
        Namespace="aws/sagemaker/Endpoints/data-metrics",
        MetricName="feature_baseline_drift_number",
        Dimensions=[
            {"Name": "Endpoint", "Value": SERVED},
            {"Name": "MonitoringSchedule", "Value": "of-data"},
        ],
        Statistic="Average",
        Period=3600,
        EvaluationPeriods=1,
        Threshold=0.5,
        ComparisonOperator="GreaterThanThreshold",
    )
    run = once(sm, "of-data", watching({"ConstraintsResource": uri, "StatisticsResource": place}))
    # what the program answers holds the row once more, with a comma: "model|m1|0,0|text/csv"
    assert run["MonitoringExecutionStatus"] == "CompletedWithViolations", run
    seen = report(cloud, "of-data", "statistics")
    assert seen["dataset"]["item_count"] == len(flights) == 4
    assert [feature["name"] for feature in seen["features"]][:3] == [*names]
    told = report(cloud, "of-data", "constraint_violations")["violations"]
    assert {one["constraint_check_type"] for one in told} >= {"extra_column_check"}
    published = metrics(cloud, "data", "of-data")
    assert published["feature_data_number"] == sum(range(4))
    assert published["feature_non_null_number"] == 1
    assert published["feature_baseline_drift_number"] == 1, "no value is one of the baseline"

    def alarms() -> str:
        (alarm,) = cloudwatch.describe_alarms(AlarmNames=["drifted"])["MetricAlarms"]
        return str(alarm["StateValue"])

    wait_until(lambda: alarms() == "ALARM")


def test_model_quality_of_an_endpoint_is_measured_by_the_truth(
    cloud: Cloud, sm: Any, flights: list[dict[str, Any]]
) -> None:
    about = [one["eventMetadata"] for one in flights]
    wanted = {one["eventId"]: one["inferenceId"].rpartition("-")[2] for one in about}
    # the program answers "model|m1|NUMBER,PARITY|text/csv": its first field is what is predicted
    labels = {event: f"model|m1|{n}" if n != "3" else "another" for event, n in wanted.items()}
    lines = "\n".join(json.dumps(truth(event, label)) for event, label in labels.items())
    now = datetime.now(UTC)
    key = f"truths/{now:%Y/%m/%d/%H}/one.jsonl"
    cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=lines.encode())
    definition = watching({})
    sm.create_model_quality_job_definition(
        JobDefinitionName="of-model",
        ModelQualityAppSpecification={
            **definition["MonitoringAppSpecification"], "ProblemType": "MulticlassClassification",
        },
        ModelQualityJobInput={
            "EndpointInput": {
                **definition["MonitoringInputs"][0]["EndpointInput"], "InferenceAttribute": "0",
            },
            "GroundTruthS3Input": {"S3Uri": f"s3://{BUCKET}/truths"},
        },
        ModelQualityJobOutputConfig=definition["MonitoringOutputConfig"],
        JobResources=definition["MonitoringResources"],
        RoleArn=ROLE,
    )  # fmt: skip
    run = once(
        sm, "of-model", None,
        MonitoringJobDefinitionName="of-model", MonitoringType="ModelQuality",
    )  # fmt: skip
    assert run["MonitoringExecutionStatus"] == "Completed", run
    measured = report(cloud, "of-model", "statistics")["multiclass_classification_metrics"]
    assert measured["accuracy"]["value"] == pytest.approx(3 / 4)
    assert metrics(cloud, "model", "of-model")["accuracy"] == pytest.approx(3 / 4)
