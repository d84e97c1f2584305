"""What the raw table of flights says before a departure: keys, schedule, fleet; and its contract.

Schedules and the fleet are known when a question is asked. Everything actual about a flight
(`dep_time`, `dep_delay`, `arr_time`, `arr_delay`, `air_time`) is not, and no function here reads
it.
"""

import pandas as pd

from pipelines.toolkit.contract import Contract, expect
from pipelines.toolkit.feature_group import EVENT_TIME
from pipelines.toolkit.landing import Wanted
from pipelines.toolkit.point_in_time import instants, iso
from pipelines.toolkit.window import AIRPORT_ZONE

ASKED_BEFORE = pd.Timedelta(hours=1)
"""How long before the scheduled departure a question is asked."""

WANTED = Wanted(monthly=("flights",), reference=("airports", "planes"))

OUTSIDE_REGISTRY = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")
"""Time zones of destinations that the table of airports lacks."""

ORIGINS = ["EWR", "JFK", "LGA"]
KEY = ["year", "month", "day", "carrier", "flight", "origin"]
REQUIRED = ("carrier", "flight", "origin", "dest", "distance", "sched_dep_time", "sched_arr_time")

SCHEDULE = Contract(
    name="flights",
    texts=("carrier", "dest", "origin", "tailnum", "time_hour"),
    numbers=(
        *("year", "month", "day", "hour", "minute", "flight", "distance"),
        *("sched_dep_time", "sched_arr_time"),
    ),
    rows_per_day=700,
    expectations=(
        *(expect("column_values_to_not_be_null", column=column) for column in REQUIRED),
        expect("column_values_to_match_regex", column="carrier", regex="^[A-Z0-9]{2}$"),
        expect("column_values_to_match_regex", column="dest", regex="^[A-Z]{3}$"),
        expect("column_values_to_be_in_set", column="origin", value_set=ORIGINS),
        expect("column_values_to_be_between", column="distance", min_value=1, max_value=6000),
        expect("column_values_to_be_between", column="hour", min_value=0, max_value=23),
        expect("column_values_to_be_between", column="minute", min_value=0, max_value=59),
        # clock times as hours and minutes, HHMM
        expect("column_values_to_be_between", column="sched_dep_time", min_value=0, max_value=2359),
        expect("column_values_to_be_between", column="sched_arr_time", min_value=0, max_value=2400),
        expect("compound_columns_to_be_unique", column_list=KEY),
    ),
)
"""What every reader of the flights may rely on; a workload adds what its own label needs."""


def scheduled(raw: pd.DataFrame, planes: pd.DataFrame, airports: pd.DataFrame) -> pd.DataFrame:
    """A record per flight of the schedule: its key, when it is asked about, and what is known."""
    leaving = departure(raw)
    local = leaving.dt.tz_convert(AIRPORT_ZONE).dt.tz_localize(None)
    plane = planes.set_index("tailnum")
    registered = raw["tailnum"].map(plane["year"])
    return pd.DataFrame(
        {
            "flight_id": flight_ids(raw),
            EVENT_TIME: iso(leaving - ASKED_BEFORE),
            "carrier": raw["carrier"],
            "origin": raw["origin"],
            "dest": raw["dest"],
            "departure_minute": _clock_minutes(raw["sched_dep_time"]),
            "weekday": local.dt.dayofweek.astype("int64"),
            "duration": _duration(raw, leaving, local, airports),
            "distance": raw["distance"].astype("int64"),
            "plane_age": (raw["year"] - registered).clip(lower=0).astype(float),
            "plane_seats": raw["tailnum"].map(plane["seats"]).astype(float),
            "plane_engines": raw["tailnum"].map(plane["engines"]).astype(float),
        }
    )


def flight_ids(raw: pd.DataFrame) -> pd.Series:
    """`2013-01-31-UA-1545-EWR`: local day, carrier, number, origin."""
    parts = [raw[column].astype(str) for column in ("year", "month", "day")]
    day = parts[0] + "-" + parts[1].str.zfill(2) + "-" + parts[2].str.zfill(2)
    return day + "-" + raw["carrier"] + "-" + raw["flight"].astype(str) + "-" + raw["origin"]


def departure(raw: pd.DataFrame) -> pd.Series:
    """The scheduled departure, in UTC."""
    return instants(raw["time_hour"]) + pd.to_timedelta(raw["minute"], unit="min")


def _clock_minutes(clock: pd.Series) -> pd.Series:
    """Minutes of the day of a clock time as HHMM."""
    return (clock // 100 * 60 + clock % 100).astype("int64")


def _duration(
    raw: pd.DataFrame, leaving: pd.Series, local: pd.Series, airports: pd.DataFrame
) -> pd.Series:
    """Scheduled minutes from gate to gate: both clocks are local, so the zones are taken out."""
    zones = airports.set_index("faa")["tzone"].to_dict() | OUTSIDE_REGISTRY
    ahead = pd.Series(0.0, index=raw.index)
    for zone, times in leaving.groupby(raw["dest"].map(zones)):
        there = times.dt.tz_convert(zone).dt.tz_localize(None)
        ahead[times.index] = (there - local[times.index]).dt.total_seconds() / 60
    clocks = _clock_minutes(raw["sched_arr_time"]) - _clock_minutes(raw["sched_dep_time"])
    return ((clocks - ahead) % (24 * 60)).astype("int64")
