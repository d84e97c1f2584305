"""Metric math of GetMetricData."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from stacks.local.aws import moto_cloudwatch
from tests.kits.aws import client

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def cloudwatch() -> Iterator[Any]:
    """Errors of two minutes, requests of three."""
    moto_cloudwatch.install()
    with mock_aws():
        made = client("cloudwatch")
        for name, values in (("errors", [1, 2]), ("requests", [10, 10, 5])):
            data = [
                {"MetricName": name, "Value": value, "Timestamp": START + timedelta(minutes=minute)}
                for minute, value in enumerate(values)
            ]
            made.put_metric_data(Namespace="N", MetricData=data)
        yield made


def stat(name: str, **more: Any) -> dict[str, Any]:
    metric = {"Namespace": "N", "MetricName": name}
    return {"Id": name[0], "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}, **more}


def results(cloudwatch: Any, *queries: Mapping[str, Any], **more: Any) -> dict[str, list[float]]:
    answer = cloudwatch.get_metric_data(
        MetricDataQueries=[*queries], StartTime=START, EndTime=START + timedelta(minutes=5), **more
    )
    return {one["Label"]: one["Values"] for one in answer["MetricDataResults"]}


HIDDEN = (stat("errors", ReturnData=False), stat("requests", ReturnData=False))


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("100 * e / r", [20.0, 10.0]),
        ("FILL(e, 0)", [0.0, 2.0, 1.0]),
        ("IF(r > 6, r, 0)", [0.0, 10.0, 10.0]),
        ("SUM([e, r])", [5.0, 12.0, 11.0]),
    ],
)
def test_an_expression_is_computed_over_series(
    expression: str, values: list[float], cloudwatch: Any
) -> None:
    query = {"Id": "x", "Expression": expression, "Label": "x"}
    assert results(cloudwatch, query, *HIDDEN) == {"x": values}
    turned = results(cloudwatch, query, *HIDDEN, ScanBy="TimestampAscending")
    assert turned == {"x": values[::-1]}


def test_expressions_name_each_other_and_only_what_is_asked_for_is_returned(
    cloudwatch: Any,
) -> None:
    rate = {"Id": "rate", "Expression": "both / 2", "Label": "half"}
    both = {"Id": "both", "Expression": "e + r", "ReturnData": False}
    assert results(cloudwatch, rate, both, *HIDDEN) == {"half": [6.0, 5.5]}
    assert results(cloudwatch, stat("errors")) == {"errors Sum": [2.0, 1.0]}


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("missing + e", "Undefined variable missing"),
        ("e +", "cannot be read"),
        ("SEARCH('{N} errors', 'Sum', 60)", "is not evaluated"),
    ],
)
def test_an_expression_that_is_none_is_refused(expression: str, told: str, cloudwatch: Any) -> None:
    with pytest.raises(ClientError, match="ValidationError") as caught:
        results(cloudwatch, {"Id": "x", "Expression": expression}, *HIDDEN)
    assert told in str(caught.value)
