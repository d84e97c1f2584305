"""When a monitoring schedule fires and which hours of data it looks at.

Source: SageMaker API reference, ScheduleConfig: a job every hour, every day at an hour or every few
hours from one on, or NOW; the window is the time since the job before, or two offsets from the
scheduled time.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from stacks.local.aws.sagemaker.errors import invalid
from stacks.local.aws.sagemaker.resource_type import Request

NOW = "NOW"
CRON = re.compile(r"cron\(0 (?P<hour>\*|\d{1,2})(/(?P<step>\d{1,2}))? \? \* \* \*\)")
OFFSET = re.compile(r"-?P((?P<days>\d+)D)?(T((?P<hours>\d+)H)?((?P<minutes>\d+)M)?)?")
DAILY = "cron(0 0 ? * * *)"
"""Where a request says no expression; SageMaker picks an hour then."""

HOUR = timedelta(hours=1)
DAY_HOURS = 24


def check(config: Request) -> None:
    """ValidationException where an expression or an offset is none."""
    expression = config.get("ScheduleExpression", DAILY)
    offsets = [config[name] for name in OFFSETS if name in config]
    if expression == NOW and len(offsets) < len(OFFSETS):
        raise invalid(f"a schedule of {NOW} needs {' and '.join(OFFSETS)}")
    if expression != NOW:
        _hours(expression)
    for offset in offsets:
        _offset(offset)


OFFSETS = ("DataAnalysisStartTime", "DataAnalysisEndTime")


def next_time(config: Request, after: datetime) -> datetime:
    """The first time later than this one; at once where the schedule is NOW."""
    expression = config.get("ScheduleExpression", DAILY)
    if expression == NOW:
        return after
    moment = after.replace(minute=0, second=0, microsecond=0) + HOUR
    while moment.hour not in _hours(expression):
        moment += HOUR
    return moment


def window(config: Request, scheduled: datetime) -> tuple[datetime, datetime]:
    """Start and end of the data of a job."""
    if all(name in config for name in OFFSETS):
        start, end = (scheduled - _offset(config[name]) for name in OFFSETS)
        return start, end
    hours = _hours(config.get("ScheduleExpression", DAILY))
    return scheduled - HOUR * (DAY_HOURS // len(hours)), scheduled


def earlier(
    window: tuple[datetime, datetime], offsets: tuple[str, str]
) -> tuple[datetime, datetime]:
    """The window moved by StartTimeOffset and EndTimeOffset, where they are told: what was captured
    so long before has its ground truth by now (EndpointInput, API reference)."""
    start, end = (
        moment - _offset(told) if told else moment
        for moment, told in zip(window, offsets, strict=True)
    )
    return start, end


def hours_between(start: datetime, end: datetime) -> Iterator[datetime]:
    """Every hour of which a part is in the window."""
    hour = start.replace(minute=0, second=0, microsecond=0)
    while hour < end:
        yield hour
        hour += HOUR


def _hours(expression: str) -> list[int]:
    found = CRON.fullmatch(expression)
    if found is None:
        raise invalid(f"ScheduleExpression must be {NOW} or a cron of hours, got {expression!r}")
    step = int(found["step"] or 0)
    if found["hour"] == "*":
        return [*range(DAY_HOURS)]
    first = int(found["hour"])
    hours = [*range(first, DAY_HOURS, step or DAY_HOURS)]
    if not hours or step > DAY_HOURS:
        raise invalid(f"ScheduleExpression has hours from 0 to 23, got {expression!r}")
    return hours


def _offset(text: str) -> timedelta:
    found = OFFSET.fullmatch(text)
    if found is None:
        raise invalid(f"an offset must be an ISO 8601 duration such as -PT1H, got {text!r}")
    return timedelta(**{unit: int(value or 0) for unit, value in found.groupdict().items()})
