"""Features and labels of flown minutes out of raw tables and records.

Features hold only what is known an hour before the scheduled departure. A flight's own `air_time`
is its label; once it has landed, it is a feature of the flights that follow it. That is where the
winds aloft, and with them the season, come in: no table of ours has them.
"""

import pandas as pd

from pipelines.block_time.feature_groups import COLUMNS, TARGET
from pipelines.toolkit import flights as table
from pipelines.toolkit.feature_group import EVENT_TIME
from pipelines.toolkit.flights import ASKED_BEFORE
from pipelines.toolkit.point_in_time import as_of, iso

WEATHER_MAX_AGE = pd.Timedelta(hours=3)
ROUTES_MAX_AGE = pd.Timedelta(days=2)
"""What is older says nothing; the features are then null."""

EVERY_HOURS = 3
"""How often flown minutes are summed up."""

FLOWN = {"flown_12h": 12, "flown_24h": 24}
"""Hours that each feature of a destination looks back."""

TAXI = pd.Timedelta(minutes=30)
"""Between the gate and take-off, generously."""


def flights(raw: pd.DataFrame, planes: pd.DataFrame, airports: pd.DataFrame) -> pd.DataFrame:
    """The records of the feature group `flights`, one per flight of the schedule."""
    return table.scheduled(raw, planes, airports)


def routes(raw: pd.DataFrame) -> pd.DataFrame:
    """The records of the feature group `routes`, for each destination every three hours."""
    minutes = pd.to_timedelta(raw["dep_delay"] + raw["air_time"], unit="min")
    landed = table.departure(raw) + minutes + TAXI
    flown = pd.DataFrame(
        {"dest": raw["dest"], "minutes": raw["air_time"], "at": landed.dt.ceil(f"{EVERY_HOURS}h")}
    ).dropna()
    columns = []
    for name, hours in FLOWN.items():
        later = [pd.Timedelta(hours=lag) for lag in range(0, hours, EVERY_HOURS)]
        spread = pd.concat([flown.assign(at=flown["at"] + lag) for lag in later])
        columns.append(spread.groupby(["dest", "at"])["minutes"].median().rename(name))
    records = pd.concat(columns, axis=1).sort_index().reset_index()
    records[EVENT_TIME] = iso(records["at"])
    return records.drop(columns="at")


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
