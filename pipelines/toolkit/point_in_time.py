"""Joins by event time: what was known of a key at the moment of a question, and nothing later."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipelines.toolkit.feature_group import EVENT_TIME


def as_of(
    asked: pd.DataFrame, records: pd.DataFrame, *, by: str, max_age: pd.Timedelta | None = None
) -> pd.DataFrame:
    """Each question with the newest record of its key that is not younger than the question.

    Of two writes of one record and event time the later counts, so a correction replaces.
    """
    facts = _newest_writes(records, [by, EVENT_TIME])
    facts = facts.assign(**{EVENT_TIME: instants(facts[EVENT_TIME])})
    return pd.merge_asof(
        asked.sort_values("at", kind="stable"),
        facts.sort_values(EVENT_TIME, kind="stable"),
        left_on="at",
        right_on=EVENT_TIME,
        by=by,
        tolerance=max_age,
        direction="backward",
    ).drop(columns=EVENT_TIME)


def newest(records: pd.DataFrame, key: str) -> pd.DataFrame:
    """The newest record of each key."""
    return records.sort_values(EVENT_TIME, kind="stable").drop_duplicates(key, keep="last")


def instants(texts: pd.Series) -> pd.Series:
    """ISO 8601 texts as instants in UTC."""
    return pd.to_datetime(texts, utc=True, format="ISO8601").astype("datetime64[ns, UTC]")


def iso(times: pd.Series) -> pd.Series:
    """Instants as SageMaker's ISO 8601 form, `yyyy-MM-dd'T'HH:mm:ssZ`."""
    naive = times.dt.tz_localize(None).to_numpy()
    return pd.Series(np.char.add(np.datetime_as_string(naive, unit="s"), "Z"), index=times.index)


def _newest_writes(records: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    if "write_time" in records:
        records = records.sort_values("write_time", kind="stable")
    last = records.drop_duplicates(list(key), keep="last")
    if "is_deleted" in last:
        last = last[~last["is_deleted"].astype(bool)]
    return last.drop(columns=["write_time", "is_deleted"], errors="ignore")
