"""sagemaker-metrics: points that are put on a component of a trial, and what they come to.

Source: SageMaker API reference, BatchPutMetrics, BatchGetMetrics, TrialComponentMetricSummary.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.experiments import COMPONENT
from stacks.local.aws.sagemaker.resource_type import Request
from stacks.local.aws.store import Resource

Answer = dict[str, Any]

STATISTICS: Mapping[str, Callable[[list[float]], float]] = {
    "Avg": statistics.fmean,
    "Count": len,
    "Last": lambda values: values[-1],
    "Max": max,
    "Min": min,
    "StdDev": statistics.pstdev,
}
PERIOD_SECONDS = {"OneMinute": 60, "FiveMinute": 300, "OneHour": 3600}


def put_metrics(emulator: Emulator, request: Request) -> Answer:
    """An error per metric that cannot be taken: there is no such component."""
    item = emulator.store.find(COMPONENT.name, request["TrialComponentName"])
    if item is None:
        places = range(len(request["MetricData"]))
        return {"Errors": [{"Code": "VALIDATION_ERROR", "MetricIndex": place} for place in places]}
    with emulator.store.lock:
        add_metrics(item, request["MetricData"])
    return {}


def add_metrics(item: Resource, points: Iterable[Mapping[str, Any]]) -> None:
    """Add points to those of a component, and say what all of them come to."""
    item.live = [*item.live, *({**point, "Timestamp": _seconds(point)} for point in points)]
    source = item.fields.get("SourceArn", item.arn)
    names = dict.fromkeys(point["MetricName"] for point in item.live)
    item.set(Metrics=[{"SourceArn": source, **_summary(item, name)} for name in names])


def _summary(item: Resource, name: str) -> dict[str, Any]:
    own = [point for point in item.live if point["MetricName"] == name]
    values = [point["Value"] for point in own]
    newest = max(point["Timestamp"] for point in own)
    stats = {stat: of(values) for stat, of in STATISTICS.items()}
    return {"MetricName": name, "TimeStamp": newest, **stats}


def get_metrics(emulator: Emulator, request: Request) -> Answer:
    """One statistic per step or period, for every query."""
    return {"MetricQueryResults": [_result(emulator, query) for query in request["MetricQueries"]]}


def _result(emulator: Emulator, query: Request) -> dict[str, Any]:
    item = _measured(emulator, query["ResourceArn"])
    wrong = ""
    if item is None:
        wrong = f"there is no {query['ResourceArn']}"
    elif (query["XAxisType"] == "IterationNumber") != (query["Period"] == "IterationNumber"):
        wrong = "Period and XAxisType must both be IterationNumber, or none of them"
    if item is None or wrong:
        empty: dict[str, Any] = {"XAxisValues": [], "MetricValues": []}
        return {"Status": "ValidationError", "Message": wrong, **empty}
    groups: dict[int, list[float]] = {}
    for point in item.live:
        place = _place(point, query)
        if place is not None:
            groups.setdefault(place, []).append(point["Value"])
    of = STATISTICS[query["MetricStat"]]
    return {
        "Status": "Complete",
        "XAxisValues": sorted(groups),
        "MetricValues": [float(of(groups[place])) for place in sorted(groups)],
    }


def _place(point: Mapping[str, Any], query: Request) -> int | None:
    """Where on the axis of a query a point stands; None: it is not asked for."""
    second = point["Timestamp"]
    in_time = query.get("Start", second) <= second <= query.get("End", second)
    if point["MetricName"] != query["MetricName"] or not in_time:
        return None
    if query["XAxisType"] == "IterationNumber":
        return int(point["Step"]) if "Step" in point else None
    length = PERIOD_SECONDS[query["Period"]]
    return int(second // length) * length


def _measured(emulator: Emulator, arn: str) -> Resource | None:
    """The component that an ARN names, or the one of a job."""
    for item in emulator.store.all(COMPONENT.name):
        if arn in (item.arn, item.fields.get("SourceArn")):
            return item
    return None


def _seconds(point: Mapping[str, Any]) -> float:
    moment = point["Timestamp"]
    return float(moment.timestamp() if hasattr(moment, "timestamp") else moment)


RUNTIME: Mapping[str, Callable[[Emulator, Request], Answer]] = {
    "BatchGetMetrics": get_metrics,
    "BatchPutMetrics": put_metrics,
}
"""Operations of sagemaker-metrics."""
