"""Functions of Logs Insights: of one event's values, and over the events of a group.

Source: CloudWatch Logs user guide, "Boolean, comparison, numeric, datetime, and other functions"
and "stats". A value that an event lacks is None, and what is computed of it, too.
"""

from __future__ import annotations

import ipaddress
import json
import math
import operator
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Value = Any
"""A text, number, truth value, Timestamp, object or list of JSON; None: the event lacks it."""

ORDERED: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
"""Comparisons, as queries and filter patterns write them."""

UNITS_MS: Mapping[str, int] = {
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1000),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60_000),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3_600_000),
    **dict.fromkeys(("d", "day", "days"), 86_400_000),
    **dict.fromkeys(("w", "week", "weeks"), 604_800_000),
}
"""Units of a period -> milliseconds. Months and longer have no fixed length and are left out."""


class Timestamp(int):
    """Milliseconds since 1970, shown as a date."""


class Period(int):
    """Milliseconds of a length such as 5m."""


def number(value: Value) -> float | int | None:
    """What a number or a text of one is worth."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return value
    if not isinstance(value, str):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return int(found) if found.is_integer() and "." not in value else found


def text(value: Value) -> str:
    """A value as results show it."""
    from datetime import UTC, datetime

    if isinstance(value, Timestamp):
        seconds, millis = divmod(int(value), 1000)
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{millis:03d}"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.15g}"
    return value if isinstance(value, str) else json.dumps(value)


def of_numbers(compute: Callable[..., Value]) -> Callable[..., Value]:
    """A function of numbers; None where one is none, or nothing can be computed of them."""

    def computed(*values: Value) -> Value:
        numbers = [number(value) for value in values]
        if None in numbers:
            return None
        try:
            found = compute(*numbers)
        except (ArithmeticError, ValueError):
            return None
        return None if isinstance(found, complex) else found

    return computed


def of_texts(compute: Callable[..., Value]) -> Callable[..., Value]:
    """A function of texts; None where one is missing."""

    def computed(*values: Value) -> Value:
        return None if None in values else compute(*map(text, values))

    return computed


def _floor(time: Value, period: Value) -> Value:
    return Timestamp(int(time) // int(period) * int(period))


def _ceiling(time: Value, period: Value) -> Value:
    return Timestamp(-(-int(time) // int(period)) * int(period))


def _address(value: Value) -> Any:
    try:
        return ipaddress.ip_address(str(value))
    except ValueError:
        return None


def _in_subnet(value: Value, subnet: Value) -> bool:
    found = _address(value)
    return found is not None and found in ipaddress.ip_network(str(subnet), strict=False)


def _is_version(value: Value, *versions: int) -> bool:
    found = _address(value)
    return found is not None and found.version in versions


def _substring(value: str, start: str, length: str = "") -> str:
    rest = value[int(float(start)) :]
    return rest[: int(float(length))] if length else rest


def _replaced(value: str, old: str, new: str) -> str:
    return value.replace(old, new)


def _json_parsed(value: Value) -> Value:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return None


def _concatenated(*values: Value) -> str:
    return "".join(text(value) for value in values if value is not None)


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "abs": of_numbers(abs),
    "ceil": of_numbers(math.ceil),
    "floor": of_numbers(math.floor),
    "greatest": of_numbers(max),
    "least": of_numbers(min),
    "log": of_numbers(math.log),
    "sqrt": of_numbers(math.sqrt),
    "bin": of_numbers(_floor),
    "datefloor": of_numbers(_floor),
    "dateceil": of_numbers(_ceiling),
    "frommillis": of_numbers(Timestamp),
    "tomillis": of_numbers(int),
    "ispresent": lambda value: value is not None,
    "isempty": lambda value: value is None or value == "",
    "isblank": lambda value: value is None or (isinstance(value, str) and not value.strip()),
    "coalesce": lambda *values: next((one for one in values if one is not None), None),
    "concat": _concatenated,
    "strlen": of_texts(len),
    "strcontains": of_texts(lambda value, part: int(part in value)),
    "tolower": of_texts(str.lower),
    "toupper": of_texts(str.upper),
    "trim": of_texts(str.strip),
    "ltrim": of_texts(str.lstrip),
    "rtrim": of_texts(str.rstrip),
    "substr": of_texts(_substring),
    "replace": of_texts(_replaced),
    "jsonparse": _json_parsed,
    "jsonstringify": lambda value: None if value is None else json.dumps(value),
    "isvalidip": lambda value: _is_version(value, 4, 6),
    "isvalidipv4": lambda value: _is_version(value, 4),
    "isvalidipv6": lambda value: _is_version(value, 6),
    "isipinsubnet": _in_subnet,
    "isipv4insubnet": lambda value, subnet: _is_version(value, 4) and _in_subnet(value, subnet),
    "isipv6insubnet": lambda value, subnet: _is_version(value, 6) and _in_subnet(value, subnet),
}
"""Name in lower case -> a function of values."""


def _percentile(numbers: Sequence[float], percent: float) -> float | None:
    """Between the two nearest; AWS estimates it, and says so."""
    if not numbers:
        return None
    ordered, place = sorted(numbers), (len(numbers) - 1) * percent / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _numbers(values: Sequence[Value]) -> list[float]:
    return [one for value in values if (one := number(value)) is not None]


def _extreme(pick: Callable[..., Value], values: Sequence[Value]) -> Value:
    """The least or greatest number; texts are not compared with numbers."""
    times = [value for value in values if isinstance(value, Timestamp)]
    return pick(times or _numbers(values), default=None)


def _deviation(values: Sequence[Value]) -> float | None:
    found = _numbers(values)
    return statistics.stdev(found) if len(found) > 1 else (0.0 if found else None)


def _mean(values: Sequence[Value]) -> float | None:
    found = _numbers(values)
    return sum(found) / len(found) if found else None


AGGREGATES: Mapping[str, Callable[[Sequence[Value]], Value]] = {
    "avg": _mean,
    "sum": lambda values: sum(_numbers(values)) if _numbers(values) else None,
    "min": lambda values: _extreme(min, values),
    "max": lambda values: _extreme(max, values),
    "count": len,
    "count_distinct": lambda values: len({text(value) for value in values}),
    "median": lambda values: _percentile(_numbers(values), 50),
    "stddev": _deviation,
    "earliest": lambda values: values[0] if values else None,
    "latest": lambda values: values[-1] if values else None,
    "sortsfirst": lambda values: min(map(text, values), default=None),
    "sortslast": lambda values: max(map(text, values), default=None),
}
"""Name in lower case -> a function of a group's values, those of earlier events first."""


def percentile(values: Sequence[Value], percent: float) -> float | None:
    """pct(field, percent)."""
    return _percentile(_numbers(values), percent)
