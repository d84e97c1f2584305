"""Runs whole pipelines step by step: each program handed what the definition hands it."""

import json
import tarfile
from pathlib import Path
from typing import Any

import boto3
from botocore.client import BaseClient

from pipelines.toolkit.feature_group import FeatureGroup
from pipelines.workload import find
from tests.pipelines_kit import NAMES, Jobs, inputs

WINDOW = ("--train-start", "2013-01-01", "--train-end", "2013-01-22", "--evaluation-days", "7")
"""Three weeks of January and the one after."""


def client(service: str, endpoint: str) -> BaseClient:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def create_group(
    sagemaker: Any, name: str, group: FeatureGroup, changes: dict[str, str] | None = None
) -> None:
    """A feature group as the stack makes it, without an online store."""
    sagemaker.create_feature_group(
        FeatureGroupName=name,
        RecordIdentifierFeatureName=group.record_identifier,
        EventTimeFeatureName=group.event_time,
        FeatureDefinitions=[
            {"FeatureName": feature, "FeatureType": (changes or {}).get(feature, kind)}
            for feature, kind in group.features.items()
        ],
        RoleArn=NAMES.role_arn("features"),
        OfflineStoreConfig={
            "S3StorageConfig": {"S3Uri": f"s3://{NAMES.bucket('data')}/features/{name}"}
        },
    )


def deploy(endpoint: str) -> None:
    """Buckets, and the feature groups of all workloads."""
    s3, sagemaker = client("s3", endpoint), client("sagemaker", endpoint)
    for bucket in ("data", "artifacts"):
        s3.create_bucket(Bucket=NAMES.bucket(bucket))
    for workload in find().values():
        pipeline = next(iter(workload.pipelines))
        names = inputs(workload.name, pipeline).feature_groups
        for name, group in workload.feature_groups.items():
            create_group(sagemaker, names[name], group)


def publish_weather(folder: Path, endpoint: str, last_month: str) -> Jobs:
    """The pipeline of the weather, from January on."""
    jobs = Jobs(workload="weather", folder=folder, endpoint_url=endpoint)
    months = ("--first-month", "2013-01", "--last-month", last_month)
    why = ("--source-commit", "abc", "--reason", "a test")
    jobs.run("ingest", "--data-bucket", NAMES.bucket("data"), *months, *why)
    for step in ("validate", "publish"):
        jobs.hand(jobs.output("ingest", "raw"), step, "processing/input/raw")
    jobs.run("validate", GREAT_EXPECTATIONS_SUITE="weather")
    group = inputs("weather", "ingest").feature_groups["hourly"]
    jobs.run("publish", "--hourly-feature-group", group)
    return jobs


def groups(workload: str) -> list[str]:
    """The options that name feature groups: `weather.hourly` is `--weather-feature-group`."""
    return [
        word
        for logical, name in inputs(workload, "training").feature_groups.items()
        for word in (f"--{logical.partition('.')[0]}-feature-group", name)
    ]


def train(workload: str, folder: Path, endpoint: str, settings: dict[str, str]) -> Jobs:
    """The training pipeline of a workload, without its gates."""
    jobs = Jobs(workload=workload, folder=folder, endpoint_url=endpoint)
    jobs.run("ingest", "--data-bucket", NAMES.bucket("data"), *WINDOW)
    for step in ("validate", "features"):
        jobs.hand(jobs.output("ingest", "raw"), step, "processing/input/raw")
    jobs.run("validate", GREAT_EXPECTATIONS_SUITE="flights")
    jobs.run("features", *groups(workload), *WINDOW)
    jobs.hand(jobs.output("features", "train"), "train", "input/data/train")
    parameters = jobs.home("train") / "input" / "config" / "hyperparameters.json"
    parameters.parent.mkdir(parents=True)
    parameters.write_text(json.dumps(settings))
    jobs.run("train")
    archive = jobs.home("evaluate") / "processing" / "input" / "model" / "model.tar.gz"
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz") as packed:
        for path in (jobs.home("train") / "model").iterdir():
            packed.add(path, arcname=path.name)
    for name in ("train", "evaluation"):
        jobs.hand(jobs.output("features", name), "evaluate", f"processing/input/{name}")
    jobs.run(
        *("evaluate", "--commit", "abc", "--execution-id", "run1", "--experiment", "training"),
        MLFLOW_TRACKING_URI=f"sqlite:///{jobs.folder}/mlflow.db",
        MLFLOW_DISABLE_TELEMETRY="true",
        HOME=str(jobs.folder),
    )
    return jobs


def report(jobs: Jobs, step: str, output: str, name: str) -> dict[str, Any]:
    content = json.loads((jobs.output(step, output) / name).read_text())
    assert isinstance(content, dict)
    return content


def evaluation(jobs: Jobs) -> dict[str, Any]:
    return report(jobs, "evaluate", "evaluation", "evaluation.json")


def measured(found: dict[str, Any], of: str = "metrics") -> dict[str, float]:
    """The numbers of an evaluation, of the model or of its baseline."""
    return {name: entry["value"] for name, entry in found[of].items()}
