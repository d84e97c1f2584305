"""Metrics and alarms that CloudWatch does not take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from stacks.local.aws.refusals.account import Account
from stacks.local.aws.refusals.refusal import Condition, Refusal, Request

DATA, DATAPOINTS = 1_000, 1_440
DAY = 86_400
OLDEST, AHEAD = 14 * DAY, 2 * 3_600
"""Seconds that a datum may lie in the past and in the future."""

SHORT_PERIODS = (1, 5, 10, 20, 30)
HOUR = 3_600
MISSING = ("breaching", "notBreaching", "ignore", "missing")

Found = Iterator[Mapping[str, str]]


def _first(problems: Callable[[Request], Found]) -> Condition:
    def condition(request: Request, account: Account) -> Mapping[str, str] | None:
        return next(problems(request), None)

    return condition


def _data(request: Request) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, one in enumerate(request.get("MetricData") or (), start=1):
        yield f"MetricData.member.{number}", one


def _of_aws(request: Request) -> Found:
    if str(request.get("Namespace", "")).startswith("AWS/"):
        yield {}


def _too_many(request: Request) -> Found:
    if len(request.get("MetricData") or ()) > DATA:
        yield {}


def _no_value(request: Request) -> Found:
    for place, one in _data(request):
        if not any(one.get(name) is not None for name in ("Value", "Values", "StatisticValues")):
            yield {"place": place}


def _other_resolution(request: Request) -> Found:
    for place, one in _data(request):
        if one.get("StorageResolution", 60) not in (1, 60):
            yield {"place": place, "value": str(one["StorageResolution"])}


def _age(one: Mapping[str, Any]) -> float:
    at = one.get("Timestamp")
    return time.time() - at.timestamp() if isinstance(at, datetime) else 0


def _old(request: Request) -> Found:
    yield from ({"place": place} for place, one in _data(request) if _age(one) > OLDEST)


def _ahead(request: Request) -> Found:
    yield from ({"place": place} for place, one in _data(request) if _age(one) < -AHEAD)


def _is_period(seconds: Any) -> bool:
    return int(seconds) in SHORT_PERIODS or (int(seconds) > 0 and int(seconds) % 60 == 0)


def _periods(request: Request) -> list[int]:
    """Of an alarm: its own, or those of its metrics."""
    found = [request.get("Period")]
    for one in request.get("Metrics") or ():
        found += [one.get("Period"), (one.get("MetricStat") or {}).get("Period")]
    return [int(one) for one in found if one is not None]


def _other_period(request: Request) -> Found:
    yield from ({} for one in _periods(request) if not _is_period(one))


def _long_range(request: Request) -> Found:
    for one in _periods(request)[:1]:
        most = DAY if one < HOUR else 7 * DAY
        if one * int(request.get("EvaluationPeriods") or 1) > most:
            yield {"most": str(most)}


def _no_statistic(request: Request) -> Found:
    said = [one for one in ("Statistic", "ExtendedStatistic") if request.get(one)]
    if request.get("MetricName") and len(said) != 1:
        yield {}


def _more_than_all(request: Request) -> Found:
    if int(request.get("DatapointsToAlarm") or 0) > int(request.get("EvaluationPeriods") or 1):
        yield {}


def _no_arn(request: Request) -> Found:
    for member in ("AlarmActions", "OKActions", "InsufficientDataActions"):
        yield from ({"arn": one} for one in request.get(member) or () if one[:4] != "arn:")


def _other_option(request: Request) -> Found:
    option = request.get("TreatMissingData")
    if option and option not in MISSING:
        yield {"option": str(option)}


def _other_step(request: Request) -> Found:
    if not _is_period(request.get("Period") or 60):
        yield {}


def _too_fine(request: Request) -> Found:
    begin, end = request.get("StartTime"), request.get("EndTime")
    if isinstance(begin, datetime) and isinstance(end, datetime):
        points = (end - begin).total_seconds() / int(request.get("Period") or 60)
        if points > DATAPOINTS:
            yield {"points": f"{int(points):,}"}


PUT, ALARM, GET = "PutMetricData", "PutMetricAlarm", "GetMetricStatistics"
VALUE, COMBINATION, ERROR = (
    "InvalidParameterValue",
    "InvalidParameterCombination",
    "ValidationError",
)

ROWS: tuple[tuple[str, Callable[[Request], Found], str, str], ...] = (
    (PUT, _of_aws, VALUE, "The value AWS/ for parameter Namespace is invalid."),
    (PUT, _too_many, VALUE, "The collection MetricData must not have a size greater than 1000."),
    (PUT, _no_value, COMBINATION,
     "At least one of the parameters must be specified: {place}.Value"),
    (PUT, _other_resolution, VALUE,
     "The value {value} for parameter {place}.StorageResolution is invalid."),
    (PUT, _old, VALUE,
     "The parameter {place}.Timestamp must specify a time within the past two weeks."),
    (PUT, _ahead, VALUE,
     "The parameter {place}.Timestamp must specify a time no more than two hours in the future."),
    (ALARM, _other_period, ERROR, "Period must be 10, 20, 30 or a multiple of 60"),
    (ALARM, _long_range, ERROR,
     "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= "
     "{most})."),
    (ALARM, _no_statistic, ERROR,
     "Exactly one of Statistic and ExtendedStatistic must be specified for a metric"),
    (ALARM, _more_than_all, ERROR,
     "DatapointsToAlarm must be less than or equal to EvaluationPeriods"),
    (ALARM, _no_arn, ERROR, "Invalid arn syntax: {arn}"),
    (ALARM, _other_option, ERROR,
     "Option {option} is not supported. Supported options for TreatMissingData are "
     "[breaching, notBreaching, ignore, missing]."),
    (GET, _other_step, VALUE, "The parameter Period must be a multiple of 60."),
    (GET, _too_fine, COMBINATION,
     "You have requested up to {points} datapoints, which exceeds the limit of 1,440. You may "
     "reduce the datapoints requested by increasing Period, or decreasing the time range."),
)  # fmt: skip
"""Operation, what is wrong, code and text."""

MEASURES = tuple(
    Refusal(
        service="cloudwatch", operations=(operation,), condition=_first(problems), code=code,
        text=text, source=f"CloudWatch API reference, {operation}; some texts are ours",
    )
    for operation, problems, code, text in ROWS
)  # fmt: skip
"""What moto takes and CloudWatch does not."""
