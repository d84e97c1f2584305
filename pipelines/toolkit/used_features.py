"""Features that another workload makes: read from its group, or refused with what to run first."""

from datetime import UTC, date, datetime, timedelta

import pandas as pd

from pipelines.toolkit.job import StepError
from pipelines.toolkit.offline_store import OfflineStore

GAP_DAYS = 1
"""Days in a row that may lack records: a source may miss one, and the features are then null."""


def read(store: OfflineStore, start: datetime, end: datetime, *, pipeline: str) -> pd.DataFrame:
    """The records with an event time in a window; StepError where the owner has not made them."""
    records = store.read(start, end)
    first, last = start.astimezone(UTC).date(), (end - timedelta(seconds=1)).astimezone(UTC).date()
    seen = set(records[store.group.event_time].str.slice(0, 10))
    lacking = gaps(first, last, seen)
    if lacking:
        told = ", ".join(f"{since} to {until}" for since, until in lacking)
        raise StepError(
            f"feature group {store.name} must hold records from {first} to {last}, it lacks {told}:"
            f" run {pipeline} for these months first"
        )
    return records


def gaps(first: date, last: date, seen: set[str]) -> list[tuple[date, date]]:
    """Runs of days without a record that are too long, each by its first and last day."""
    found: list[tuple[date, date]] = []
    begun: date | None = None
    for number in range((last - first).days + 2):
        day = first + timedelta(days=number)
        if day <= last and day.isoformat() not in seen:
            begun = begun or day
        elif begun:
            if (day - begun).days > GAP_DAYS:
                found.append((begun, day - timedelta(days=1)))
            begun = None
    return found
