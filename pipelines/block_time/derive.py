"""Features and labels of flown minutes out of raw tables and records.

Features hold only what is known an hour before the scheduled departure. A flight's own `air_time`
is its label; that of other flights is a feature from the morning after, when they have landed.
"""

import pandas as pd

from pipelines.block_time.feature_groups import COLUMNS, TARGET
from pipelines.toolkit import flights as table
from pipelines.toolkit.feature_group import EVENT_TIME
from pipelines.toolkit.flights import ASKED_BEFORE
from pipelines.toolkit.point_in_time import as_of, instants, iso
from pipelines.toolkit.window import AIRPORT_ZONE

WEATHER_MAX_AGE = pd.Timedelta(hours=3)
ROUTES_MAX_AGE = pd.Timedelta(days=2)
"""What is older says nothing; the features are then null."""

KNOWN_AFTER = pd.Timedelta(hours=4)
"""How long after a day's end its flights are summed up."""

TAXI = pd.Timedelta(minutes=30)
"""Between the gate and take-off, generously."""


def flights(raw: pd.DataFrame, planes: pd.DataFrame, airports: pd.DataFrame) -> pd.DataFrame:
    """The records of the feature group `flights`, one per flight of the schedule."""
    records = table.scheduled(raw, planes, airports)
    local = table.departure(raw).dt.tz_convert(AIRPORT_ZONE)
    records["day_of_year"] = local.dt.dayofyear.astype("int64")
    return records


def routes(raw: pd.DataFrame) -> pd.DataFrame:
    """The records of the feature group `routes`, one per destination and day."""
    departure = table.departure(raw)
    day = departure.dt.tz_convert(AIRPORT_ZONE).dt.tz_localize(None).dt.normalize()
    over = (day + pd.Timedelta(days=1)).dt.tz_localize(AIRPORT_ZONE).dt.tz_convert("UTC")
    minutes = pd.to_timedelta(raw["dep_delay"] + raw["air_time"], unit="min")
    landed = (departure + minutes + TAXI) <= over + KNOWN_AFTER
    flown = raw[landed].groupby(["dest", over[landed]])["air_time"].median()
    records: pd.DataFrame = (
        flown.rename("flown_minutes").rename_axis(["dest", "over"]).reset_index()
    )
    records[EVENT_TIME] = iso(instants(records["over"]) + KNOWN_AFTER)
    return records.drop(columns="over")


def questions(raw: pd.DataFrame) -> pd.DataFrame:
    """Which flight, asked when, and its minutes in the air; cancelled and diverted ones have none.

    The source counts a diverted flight's minutes as absent too, so it asks nothing.
    """
    asked = pd.DataFrame(
        {
            "flight_id": table.flight_ids(raw),
            "at": table.departure(raw) - ASKED_BEFORE,
            TARGET: raw["air_time"].astype(float),
        }
    )
    return asked[raw["air_time"].notna()]


def answer(
    asked: pd.DataFrame,
    flight_records: pd.DataFrame,
    route_records: pd.DataFrame,
    weather_records: pd.DataFrame,
) -> pd.DataFrame:
    """The model's features for each question, from records as they stood when it was asked."""
    known = as_of(asked, flight_records, by="flight_id")
    known = as_of(known, route_records, by="dest", max_age=ROUTES_MAX_AGE)
    known = as_of(known, weather_records, by="origin", max_age=WEATHER_MAX_AGE)
    known[EVENT_TIME] = iso(known["at"])
    columns = ["flight_id", EVENT_TIME, *COLUMNS.numeric, *COLUMNS.categorical, TARGET]
    return known[columns].sort_values([EVENT_TIME, "flight_id"], ignore_index=True)
