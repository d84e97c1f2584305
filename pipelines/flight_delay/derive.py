"""Features and labels of flight delays out of raw tables and records.

Features hold only what is known an hour before the scheduled departure; `arr_delay` becomes the
label and nothing else.
"""

import pandas as pd

from pipelines.flight_delay.feature_groups import COLUMNS, TARGET
from pipelines.toolkit import flights as table
from pipelines.toolkit.feature_group import EVENT_TIME
from pipelines.toolkit.flights import ASKED_BEFORE
from pipelines.toolkit.point_in_time import as_of, iso
from pipelines.toolkit.window import AIRPORT_ZONE

WEATHER_MAX_AGE = pd.Timedelta(hours=3)
"""Older weather says nothing; the features are then null."""

LATE_MINUTES = 15


def flights(raw: pd.DataFrame, planes: pd.DataFrame, airports: pd.DataFrame) -> pd.DataFrame:
    """The records of the feature group `flights`, one per flight of the schedule."""
    records = table.scheduled(raw, planes, airports)
    departure = table.departure(raw)
    hour = departure.dt.floor("h")
    day = departure.dt.tz_convert(AIRPORT_ZONE).dt.tz_localize(None).dt.normalize()
    records["traffic_hour"] = raw.groupby([raw["origin"], hour])["flight"].transform("size")
    records["traffic_day"] = raw.groupby([raw["origin"], day])["flight"].transform("size")
    return records


def questions(raw: pd.DataFrame) -> pd.DataFrame:
    """Which flight, asked when, and how it turned out; cancelled flights turned out neither way."""
    asked = pd.DataFrame(
        {
            "flight_id": table.flight_ids(raw),
            "at": table.departure(raw) - ASKED_BEFORE,
            TARGET: (raw["arr_delay"] >= LATE_MINUTES).astype("int64"),
        }
    )
    return asked[raw["arr_delay"].notna()]


def answer(
    asked: pd.DataFrame, flight_records: pd.DataFrame, weather_records: pd.DataFrame
) -> pd.DataFrame:
    """The model's features for each question, from records as they stood when it was asked."""
    known = as_of(asked, flight_records, by="flight_id")
    known = as_of(known, weather_records, by="origin", max_age=WEATHER_MAX_AGE)
    known[EVENT_TIME] = iso(known["at"])
    columns = ["flight_id", EVENT_TIME, *COLUMNS.numeric, *COLUMNS.categorical, TARGET]
    return known[columns].sort_values([EVENT_TIME, "flight_id"], ignore_index=True)
