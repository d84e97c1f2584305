"""Compare what an endpoint was asked lately with what its model was trained on.

The baseline is the training data of the very run that made the model package, as that run sketched
it (reference.py): it follows the package, and no clock moves it. The measure is the population
stability index; by custom 0.1 is worth a look and 0.25 worth a new model. Written as metrics, which
an alarm watches, and as a report, which also says the Kolmogorov-Smirnov statistic of numbers.
"""

import argparse
import csv
import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from pipelines.toolkit import job, reference

NAMESPACE = "/aws/sagemaker/Endpoints/drift"
REPORT = "drift.json"

log = logging.getLogger(__name__)


def main(argv: list[str]) -> None:
    import boto3

    arguments = _parser().parse_args(argv)
    s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
    package = sagemaker.describe_model_package(ModelPackageName=arguments.model_package_arn)
    known = baseline(s3, training_data(package))
    now = datetime.now(UTC)
    asked = captured(s3, arguments.capture_uri, now, arguments.hours)
    features = [name for name in asked.columns if name in known]
    report: dict[str, Any] = {
        "endpoint": arguments.endpoint_name,
        "model_package": arguments.model_package_arn,
        "records": len(asked),
        "drift": {},
        "distance": {},
        "not_compared": [name for name in asked.columns if name not in known],
    }
    if len(asked) >= arguments.min_records:
        for name in features:
            report["drift"][name] = reference.stability(known[name], asked[name])
            far = reference.distance(known[name], asked[name])
            report["distance"] |= {name: far} if far is not None else {}
    job.write_json(job.result("report") / REPORT, report)
    boto3.client("cloudwatch").put_metric_data(
        Namespace=NAMESPACE, MetricData=metrics(arguments.endpoint_name, report)
    )
    worst = max(report["drift"].values(), default=float("nan"))
    print(f"{len(asked)} records, worst index {worst:.3f}")


def training_data(package: dict[str, Any]) -> str:
    """Where the run that made a package keeps its training data, beside its evaluation."""
    statistics: str = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    run, separator, _ = statistics.partition("/evaluate/")
    if not separator:
        raise job.StepError(f"the package must come from the training pipeline, got {statistics}")
    return f"{run}/features/train/train.parquet"


def baseline(s3: Any, uri: str) -> dict[str, reference.Reference]:
    """The sketch beside the training data; made now for a package that is older than sketches."""
    sketch = f"{uri.rpartition('/')[0]}/{reference.FILE}"
    try:
        return reference.read(io.BytesIO(_read(s3, sketch)))
    except s3.exceptions.NoSuchKey:
        rows = pd.read_parquet(io.BytesIO(_read(s3, uri)))
        return reference.of_all(rows)


def captured(s3: Any, uri: str, now: datetime, hours: int) -> pd.DataFrame:
    """The records of the last hours; SageMaker keeps a folder for each."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    records: list[dict[str, Any]] = []
    variants = s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/", Delimiter="/")
    for variant in variants.get("CommonPrefixes", []):
        for back in range(hours + 1):
            folder = f"{variant['Prefix']}{now - timedelta(hours=back):%Y/%m/%d/%H}/"
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder):
                for item in page.get("Contents", []):
                    text = _read(s3, f"s3://{bucket}/{item['Key']}").decode()
                    records += [r for line in text.splitlines() for r in parse(json.loads(line))]
    return pd.DataFrame(records)


def parse(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The records of one captured request; CSV without names of columns is left out."""
    sent = line["captureData"].get("endpointInput")
    if sent is None:
        return
    if sent["encoding"] == "CSV":
        if "header=present" in sent["observedContentType"].replace(" ", ""):
            yield from csv.DictReader(io.StringIO(sent["data"]))
        return
    if sent["encoding"] != "JSON":
        return
    if "jsonlines" in sent["observedContentType"]:
        yield from (json.loads(row) for row in sent["data"].splitlines() if row.strip())
        return
    document = json.loads(sent["data"])
    if isinstance(document, dict):
        document = document.get("records", [document])
    yield from document


def metrics(endpoint: str, report: dict[str, Any]) -> list[dict[str, Any]]:
    """One metric a feature, and the worst of them for the alarm; none while there is too little."""
    dimension = {"Name": "EndpointName", "Value": endpoint}
    found: list[dict[str, Any]] = [
        {"MetricName": "captured_records", "Dimensions": [dimension], "Value": report["records"]}
    ]
    for name, value in report["drift"].items():
        of = [dimension, {"Name": "Feature", "Value": name}]
        found.append({"MetricName": "drift", "Dimensions": of, "Value": value})
    if report["drift"]:
        worst = max(report["drift"].values())
        found.append({"MetricName": "worst_drift", "Dimensions": [dimension], "Value": worst})
    return found


def _read(s3: Any, uri: str) -> bytes:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-package-arn", required=True)
    parser.add_argument("--endpoint-name", required=True)
    parser.add_argument(
        "--capture-uri", required=True, help="of this endpoint, without its variant"
    )
    parser.add_argument("--hours", type=int, default=24, help="how far back (default: a day)")
    parser.add_argument(
        "--min-records", type=int, default=200, help="with fewer, nothing is said of drift"
    )
    return parser


if __name__ == "__main__":
    job.run(main)
