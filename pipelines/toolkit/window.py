"""Which days and months a run is about, in the airports' local time."""

import argparse
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from pipelines.toolkit.job import StepError

AIRPORT_ZONE = ZoneInfo("America/New_York")
"""All three airports of origin lie in it; the data's days and hours are local."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """The training days, then the evaluation days."""

    train_start: date
    train_end: date
    """Exclusive."""

    end: date
    """The day after the last evaluation day."""

    def months(self, *, further_days: int = 0) -> list[str]:
        """Every month that it, and so many days after it, touch, as `YYYY-MM`."""
        return months(self.train_start, self.end + timedelta(days=further_days))

    def midnights(self) -> tuple[datetime, datetime]:
        """When its first day begins and its last one ends, in UTC."""
        return midnight(self.train_start), midnight(self.end)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--train-start", required=True)
    parser.add_argument("--train-end", required=True)
    parser.add_argument("--evaluation-days", required=True, type=int)


def window(arguments: argparse.Namespace) -> Window:
    """The window that the arguments name."""
    return of_days(arguments.train_start, arguments.train_end, arguments.evaluation_days)


def of_days(train_start: str, train_end: str, evaluation_days: int) -> Window:
    """The window of these parameters, or StepError."""
    start, end = _day("TrainStart", train_start), _day("TrainEnd", train_end)
    if end <= start:
        raise StepError(f"TrainEnd must be after TrainStart ({start}), got {end}")
    if evaluation_days < 1:
        raise StepError(f"EvaluationDays must be at least 1, got {evaluation_days}")
    return Window(train_start=start, train_end=end, end=end + timedelta(days=evaluation_days))


def months(start: date, end: date) -> list[str]:
    """Every month from the first day up to the day before the last, as `YYYY-MM`."""
    count = (end - start).days
    return sorted({f"{start + timedelta(days=day):%Y-%m}" for day in range(count)})


def month_range(first: str, last: str) -> list[str]:
    """Every month from the first to the last, both as `YYYY-MM` and both included."""
    start, end = (_month(*given) for given in (("FirstMonth", first), ("LastMonth", last)))
    if end < start:
        raise StepError(f"LastMonth must not be before FirstMonth ({first}), got {last}")
    return months(start, month_bounds(last)[1])


def midnight(day: date) -> datetime:
    """When a local day begins, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=AIRPORT_ZONE).astimezone(UTC)


def month_bounds(month: str) -> tuple[date, date]:
    """The first day of a month and of the next."""
    first = date.fromisoformat(f"{month}-01")
    return first, (first + timedelta(days=31)).replace(day=1)


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise StepError(f"{name} must be a day as YYYY-MM-DD, got {text!r}") from None


def _month(name: str, text: str) -> date:
    try:
        return month_bounds(text)[0]
    except ValueError:
        raise StepError(f"{name} must be a month as YYYY-MM, got {text!r}") from None
