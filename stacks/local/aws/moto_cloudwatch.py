"""What moto's CloudWatch lacks: composite alarms, and metric math in GetMetricData.

Source: CloudWatch API reference, PutCompositeAlarm, GetMetricData, MetricDataQuery.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from stacks.local.aws.alarm_expressions import NotUnderstood, Series, computed, names_in


def install() -> None:
    """Let PutCompositeAlarm make an alarm with a rule (moto 5.2: `put_metric_alarm` reads one), and
    expressions of GetMetricData be computed."""
    from moto.cloudwatch.models import CloudWatchBackend
    from moto.cloudwatch.responses import CloudWatchResponse

    CloudWatchResponse.put_composite_alarm = CloudWatchResponse.put_metric_alarm
    own = CloudWatchBackend.get_metric_data
    if hasattr(own, "__wrapped__"):
        return

    @functools.wraps(own)
    def get_metric_data(
        backend: Any, queries: Sequence[Mapping[str, Any]], *more: Any, **k: Any
    ) -> Any:
        math = {one["Id"]: one for one in queries if _is_math(one)}
        if not math:
            return own(backend, queries, *more, **k)
        others = [{**one, "ReturnData": True} for one in queries if one["Id"] not in math]
        found = {one["id"]: one for one in own(backend, others, *more, **k)}
        told = {**found, **_computed(math, found)}
        if k.get("scan_by") == "TimestampAscending":
            for name in math:
                told[name]["timestamps"].reverse()
                told[name]["values"].reverse()
        return [told[one["Id"]] for one in queries if _is_returned(one)]

    CloudWatchBackend.get_metric_data = get_metric_data


def _is_math(query: Mapping[str, Any]) -> bool:
    return not query.get("Expression", "SELECT").lstrip().startswith("SELECT")


def _is_returned(query: Mapping[str, Any]) -> bool:
    return str(query.get("ReturnData", True)).lower() == "true"


def _computed(
    math: Mapping[str, Mapping[str, Any]], found: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Results of expressions, which may name each other in any order."""
    from moto.cloudwatch.exceptions import ValidationError

    moments = sorted({at for one in found.values() for at in one["timestamps"]}, reverse=True)
    series: dict[str, Series] = {}
    for name, one in found.items():
        held = dict(zip(one["timestamps"], one["values"], strict=True))
        series[name] = [held.get(at) for at in moments]
    results, left = {}, dict(math)
    while left:
        ready = [n for n, one in left.items() if names_in(one["Expression"]) <= {*series}]
        if not ready:
            name, one = next(iter(left.items()))
            unknown = ", ".join(sorted(names_in(one["Expression"]) - {*series}))
            raise ValidationError(f"Error in expression '{name}' [Undefined variable {unknown}]")
        for name in ready:
            one = left.pop(name)
            try:
                values = computed(one["Expression"], series)
            except NotUnderstood as error:
                raise ValidationError(f"Error in expression '{name}' [{error}]") from None
            series[name] = values
            known = [
                (at, value) for at, value in zip(moments, values, strict=True) if value is not None
            ]
            results[name] = {
                "id": name,
                "label": one.get("Label") or name,
                "timestamps": [at for at, _ in known],
                "values": [value for _, value in known],
                "status_code": "Complete",
            }
    return results
