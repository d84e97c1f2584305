"""When something scheduled comes due: `at(...)`, `rate(...)` and `cron(...)` as AWS writes them.

Sources: EventBridge Scheduler user guide, "Schedule types"; EventBridge user guide, "Cron and rate
expressions". A cron has minutes, hours, day of the month, month, day of the week and year; `L` is
the last day, `nW` the working day nearest to a day, `n#m` the m-th of a weekday in its month.
"""

from __future__ import annotations

import calendar
import logging
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

RATE = re.compile(r"rate\((?P<n>[1-9]\d*) (?P<unit>minute|hour|day)s?\)")
AT = re.compile(r"at\((?P<when>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
CRON = re.compile(r"cron\((?P<fields>\S+( \S+){5})\)")
SECONDS = {"minute": 60, "hour": 3600, "day": 86400}

MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
WEEKDAYS = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
YEARS = (1970, 2199)
LONGEST_DAYS = 12 * 366
"""Between two days of one expression: a 29 February, and the century that has none."""


log = logging.getLogger(__name__)


class NoExpression(ValueError):
    """A text is no schedule expression."""


@dataclass(frozen=True)
class Cron:
    """The fields of a cron expression."""

    minutes: Sequence[int]
    hours: Sequence[int]
    day: str
    months: Sequence[int]
    weekday: str
    years: Sequence[int]

    def next(self, after: datetime) -> datetime | None:
        """The first time later than this one, on the same clock; None: there is none."""
        if after.year > self.years[-1]:
            return None
        begin = max(after.date(), date(self.years[0], 1, 1))
        for days in range(LONGEST_DAYS):
            day = begin + timedelta(days)
            if day.year > self.years[-1]:
                return None
            if day.year in self.years and day.month in self.months and self._is_on(day):
                for moment in self._times(day):
                    if moment > after:
                        return moment
        return None

    def _times(self, day: date) -> Iterator[datetime]:
        for hour in self.hours:
            for minute in self.minutes:
                yield datetime(day.year, day.month, day.day, hour, minute)

    def _is_on(self, day: date) -> bool:
        if self.weekday == "?":
            return day.day in _days(self.day, day.year, day.month)
        weekday = day.isoweekday() % 7 + 1
        if nth := re.fullmatch(r"(\w+)#([1-5])", self.weekday):
            return weekday in _field(nth[1], 1, 7, WEEKDAYS) and (day.day + 6) // 7 == int(nth[2])
        if last := re.fullmatch(r"(\w+)L", self.weekday):
            is_last = day.day + 7 > calendar.monthrange(day.year, day.month)[1]
            return weekday in _field(last[1], 1, 7, WEEKDAYS) and is_last
        return weekday in _field("SAT" if self.weekday == "L" else self.weekday, 1, 7, WEEKDAYS)


@dataclass(frozen=True, kw_only=True)
class Timed:
    """Something that comes due."""

    key: tuple[str, str]
    """What it is, and which version of it: a changed one is another one."""

    expression: str
    zone: str = "UTC"
    start: float = 0.0
    end: float = math.inf


@dataclass
class Due:
    """When each comes due next."""

    at: dict[tuple[str, str, str], float | None] = field(default_factory=dict)
    """Key and expression -> seconds since the epoch; None: never."""


def is_due(due: Due, timed: Timed, now: float) -> bool:
    """Whether it came due since it was asked last; then the next time counts."""
    key = (*timed.key, timed.expression)
    if key not in due.at:
        due.at[key] = _when(first, timed, now)
    when = due.at[key]
    if when is None or when > now:
        return False
    due.at[key] = _when(later, timed, when)
    return True


def _when(
    find: Callable[[str, str, float], float | None], timed: Timed, moment: float
) -> float | None:
    """The time between its start and its end; None: never."""
    try:
        found = find(timed.expression, timed.zone, max(moment, timed.start))
    except (NoExpression, ZoneInfoNotFoundError) as error:
        log.warning("%s never comes due: its expression %s", timed.key[0], error)
        return None
    return found if found is not None and found <= timed.end else None


def first(expression: str, zone: str, now: float) -> float | None:
    """When it comes due first, in seconds since the epoch; None: never.

    A rate begins to count now, and a time that has passed is due at once: what AWS does with one
    that has passed when the schedule is made is not documented. Raises NoExpression.
    """
    if match := AT.fullmatch(expression):
        return datetime.fromisoformat(match["when"]).replace(tzinfo=ZoneInfo(zone)).timestamp()
    return later(expression, zone, now)


def later(expression: str, zone: str, when: float) -> float | None:
    """The time after one at which it came due; None: there is none. Raises NoExpression."""
    if AT.fullmatch(expression):
        return None
    if match := RATE.fullmatch(expression):
        return when + int(match["n"]) * SECONDS[match["unit"]]
    clock = ZoneInfo(zone)
    here = datetime.fromtimestamp(when, clock).replace(tzinfo=None)
    found = cron(expression).next(here)
    return None if found is None else found.replace(tzinfo=clock).timestamp()


@lru_cache(maxsize=1000)
def cron(expression: str) -> Cron:
    """The fields; NoExpression where it is no cron of AWS's."""
    match = CRON.fullmatch(expression)
    if match is None:
        raise NoExpression(f"must be at(...), rate(...) or cron(...), got {expression!r}")
    minutes, hours, day, months, weekday, years = match["fields"].upper().split()
    if (day == "?") == (weekday == "?"):
        raise NoExpression(f"day of the month or of the week must be ?, got {expression!r}")
    found = Cron(
        minutes=_field(minutes, 0, 59),
        hours=_field(hours, 0, 23),
        day=day,
        months=_field(months, 1, 12, MONTHS),
        weekday=weekday,
        years=_field(years, *YEARS),
    )
    found._is_on(date(2024, 2, 29))  # a day that is none is said here
    return found


def _days(text: str, year: int, month: int) -> Sequence[int]:
    """Days of a month."""
    end = calendar.monthrange(year, month)[1]
    if text in ("L", "LW"):
        return [end if text == "L" else _working(year, month, end, end)]
    if near := re.fullmatch(r"(\d+)W", text):
        (wanted,) = _field(near[1], 1, 31)
        return [] if wanted > end else [_working(year, month, wanted, end)]
    return _field(text, 1, 31)


def _working(year: int, month: int, day: int, end: int) -> int:
    """The day from Monday to Friday that is nearest to this one, in the same month."""
    weekday = date(year, month, day).weekday()
    if weekday == calendar.SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == calendar.SUNDAY:
        return day + 1 if day < end else day - 2
    return day


def _field(text: str, low: int, high: int, names: dict[str, int] | None = None) -> Sequence[int]:
    """The values that a field lets through, in order."""
    found: set[int] = set()
    for part in text.split(","):
        spread, _, step = part.partition("/")
        if spread in ("*", "?"):
            start, end = low, high
        else:
            begin, _, stop = spread.partition("-")
            start = _value(begin, names)
            end = _value(stop, names) if stop else high if step else start
        every = _value(step, None) if step else 1
        if not (low <= start <= high and low <= end <= high and every > 0):
            raise NoExpression(f"must be values from {low} to {high}, got {text!r}")
        turn = range(start, high + 1, every) if start > end else range(start, end + 1, every)
        found |= {*turn} | ({*range(low, end + 1, every)} if start > end else set())
    return sorted(found)


def _value(text: str, names: dict[str, int] | None) -> int:
    if names and text in names:
        return names[text]
    if not text.isdecimal():
        raise NoExpression(f"must be a number, got {text!r}")
    return int(text)
