"""Features out of raw tables: only what is known an hour before the scheduled departure.

Schedules, the fleet and the weather are known then. Everything actual about the flight itself
(`dep_time`, `dep_delay`, `arr_time`, `air_time`) is not, and no function here reads it; `arr_delay`
becomes the label and nothing else.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipelines.steps.feature_groups import CATEGORICAL, EVENT_TIME, NUMERIC, TARGET
from pipelines.steps.window import AIRPORT_ZONE

ASKED_BEFORE = pd.Timedelta(hours=1)
"""How long before the scheduled departure the question is asked."""

WEATHER_MAX_AGE = pd.Timedelta(hours=3)
"""Older weather says nothing; the features are then null."""

LATE_MINUTES = 15
WIND_LIMIT = 150.0
"""Miles per hour; more is an instrument's fault (the source holds one reading of 1048)."""

OUTSIDE_REGISTRY = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")
"""Time zones of destinations that the table of airports lacks."""


def flights(raw: pd.DataFrame, planes: pd.DataFrame, airports: pd.DataFrame) -> pd.DataFrame:
    """The records of the feature group `flights`, one per flight of the schedule."""
    departure = _departure(raw)
    local = departure.dt.tz_convert(AIRPORT_ZONE).dt.tz_localize(None)
    day = local.dt.normalize()
    plane = planes.set_index("tailnum")
    registered = raw["tailnum"].map(plane["year"])
    records = pd.DataFrame(
        {
            "flight_id": flight_ids(raw),
            EVENT_TIME: iso(departure - ASKED_BEFORE),
            "carrier": raw["carrier"],
            "origin": raw["origin"],
            "dest": raw["dest"],
            "departure_minute": _clock_minutes(raw["sched_dep_time"]),
            "weekday": day.dt.dayofweek.astype("int64"),
            "duration": _duration(raw, departure, local, airports),
            "distance": raw["distance"].astype("int64"),
            "plane_age": (raw["year"] - registered).clip(lower=0).astype(float),
            "plane_seats": raw["tailnum"].map(plane["seats"]).astype(float),
            "plane_engines": raw["tailnum"].map(plane["engines"]).astype(float),
        }
    )
    hour = departure.dt.floor("h")
    records["traffic_hour"] = raw.groupby([raw["origin"], hour])["flight"].transform("size")
    records["traffic_day"] = raw.groupby([raw["origin"], day])["flight"].transform("size")
    return records


def weather(raw: pd.DataFrame) -> pd.DataFrame:
    """The records of the feature group `weather`, one per airport and hour."""
    raw = raw.assign(at=instants(raw["time_hour"])).sort_values(["origin", "at"], kind="stable")
    records = raw.rename(columns={"at": EVENT_TIME}).reset_index(drop=True)
    records["wind_speed"] = records["wind_speed"].where(records["wind_speed"] <= WIND_LIMIT)
    by_time = records.set_index(EVENT_TIME).groupby("origin", sort=True)
    records["precip_3h"] = by_time["precip"].rolling("3h").sum().to_numpy()
    earlier = records[["origin", EVENT_TIME, "pressure"]].rename(columns={"pressure": "earlier"})
    earlier[EVENT_TIME] += pd.Timedelta(hours=3)
    records = records.merge(earlier, on=["origin", EVENT_TIME], how="left")
    records["pressure_change_3h"] = records["pressure"] - records["earlier"]
    records[EVENT_TIME] = iso(records[EVENT_TIME])
    return records


def questions(raw: pd.DataFrame) -> pd.DataFrame:
    """Which flight, asked when, and how it turned out; cancelled flights turned out neither way."""
    asked = pd.DataFrame(
        {
            "flight_id": flight_ids(raw),
            "at": _departure(raw) - ASKED_BEFORE,
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
    return known[["flight_id", EVENT_TIME, *NUMERIC, *CATEGORICAL, TARGET]].sort_values(
        [EVENT_TIME, "flight_id"], ignore_index=True
    )


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


def _newest_writes(records: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    if "write_time" in records:
        records = records.sort_values("write_time", kind="stable")
    newest = records.drop_duplicates(list(key), keep="last")
    if "is_deleted" in newest:
        newest = newest[~newest["is_deleted"].astype(bool)]
    return newest.drop(columns=["write_time", "is_deleted"], errors="ignore")


def flight_ids(raw: pd.DataFrame) -> pd.Series:
    """`2013-01-31-UA-1545-EWR`: local day, carrier, number, origin."""
    parts = [raw[column].astype(str) for column in ("year", "month", "day")]
    day = parts[0] + "-" + parts[1].str.zfill(2) + "-" + parts[2].str.zfill(2)
    return day + "-" + raw["carrier"] + "-" + raw["flight"].astype(str) + "-" + raw["origin"]


def instants(texts: pd.Series) -> pd.Series:
    """ISO 8601 texts as instants in UTC."""
    return pd.to_datetime(texts, utc=True, format="ISO8601").astype("datetime64[ns, UTC]")


def iso(times: pd.Series) -> pd.Series:
    """Instants as SageMaker's ISO 8601 form, `yyyy-MM-dd'T'HH:mm:ssZ`."""
    naive = times.dt.tz_localize(None).to_numpy()
    return pd.Series(np.char.add(np.datetime_as_string(naive, unit="s"), "Z"), index=times.index)


def _departure(raw: pd.DataFrame) -> pd.Series:
    return instants(raw["time_hour"]) + pd.to_timedelta(raw["minute"], unit="min")


def _clock_minutes(clock: pd.Series) -> pd.Series:
    """Minutes of the day of a clock time as HHMM."""
    return (clock // 100 * 60 + clock % 100).astype("int64")


def _duration(
    raw: pd.DataFrame, departure: pd.Series, local: pd.Series, airports: pd.DataFrame
) -> pd.Series:
    """Scheduled minutes from gate to gate: both clocks are local, so the zones are taken out."""
    zones = airports.set_index("faa")["tzone"].to_dict() | OUTSIDE_REGISTRY
    ahead = pd.Series(0.0, index=raw.index)
    for zone, leaving in departure.groupby(raw["dest"].map(zones)):
        there = leaving.dt.tz_convert(zone).dt.tz_localize(None)
        ahead[leaving.index] = (there - local[leaving.index]).dt.total_seconds() / 60
    clocks = _clock_minutes(raw["sched_arr_time"]) - _clock_minutes(raw["sched_dep_time"])
    return ((clocks - ahead) % (24 * 60)).astype("int64")
