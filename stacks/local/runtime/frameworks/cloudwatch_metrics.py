"""What Model Monitor's container measures, as it leaves it for CloudWatch.

Source: SageMaker developer guide, "CloudWatch Metrics for Bring Your Own Containers" (folder, form
and dimensions), "CloudWatch Metrics" (names of those of data quality) and "Model quality metrics".
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = "/opt/ml/output/metrics/cloudwatch"
PUBLISH = "publish_cloudwatch_metrics"
ENDPOINT_NAME = "sagemaker_endpoint_name"
SCHEDULE_NAME = "sagemaker_monitoring_schedule_name"
DIMENSIONS = {"Endpoint": ENDPOINT_NAME, "MonitoringSchedule": SCHEDULE_NAME}
"""Dimension -> variable of the container that holds its value."""

Datum = dict[str, Any]


def of_data(
    found: Mapping[str, Any], complete: Mapping[str, float], drifts: Mapping[str, float]
) -> list[Datum]:
    """Of each feature its values, if they are numbers, its completeness, and how far it drifted."""
    return [
        *_numbers(found["features"]),
        *(_datum(f"feature_non_null_{name}", value) for name, value in complete.items()),
        *(_datum(f"feature_baseline_drift_{name}", value) for name, value in drifts.items()),
    ]


def _numbers(features: Iterable[Mapping[str, Any]]) -> list[Datum]:
    return [
        {
            "MetricName": f"feature_data_{feature['name']}",
            "StatisticValues": {
                "SampleCount": numbers["common"]["num_present"],
                "Sum": numbers["sum"],
                "Minimum": numbers["min"],
                "Maximum": numbers["max"],
            },
        }
        for feature in features
        if (numbers := feature.get("numerical_statistics"))
    ]


def of_model(found: Mapping[str, Any]) -> list[Datum]:
    """Every metric of a model's quality by its name."""
    (measured,) = [value for name, value in found.items() if name.endswith("_metrics")]
    return [_datum(name, told["value"]) for name, told in measured.items() if "value" in told]


def _datum(name: str, value: float) -> Datum:
    return {"MetricName": name, "Value": value}


def write(folder: Path, data: Iterable[Datum], environment: Mapping[str, str]) -> None:
    """Leave them where SageMaker takes them from, if a schedule wants them."""
    if environment.get(PUBLISH) != "Enabled" or not environment.get(SCHEDULE_NAME):
        return
    more = {
        "Timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "Dimensions": [
            {"Name": name, "Value": environment[variable]}
            for name, variable in DIMENSIONS.items()
            if environment.get(variable)
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{json.dumps({**datum, **more})}\n" for datum in data]
    (folder / "cloudwatch_metrics.jsonl").write_text("".join(lines))
