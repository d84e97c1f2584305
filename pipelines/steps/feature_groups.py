"""The feature groups of the reference workload: their names, schemas and what each feature means.

Data only: the stack creates the groups from it, the Features step fills them, the model reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FeatureType = Literal["String", "Integral", "Fractional"]
EVENT_TIME = "event_time"
"""ISO 8601 in UTC: since when the record's values hold."""


@dataclass(frozen=True, kw_only=True)
class FeatureGroup:
    """The schema of one feature group."""

    description: str
    record_identifier: str
    event_time: str
    features: Mapping[str, FeatureType]
    """Type by feature name, record identifier and event time included."""


FLIGHTS = FeatureGroup(
    description="What is known of a flight an hour before its scheduled departure",
    record_identifier="flight_id",
    event_time=EVENT_TIME,
    features={
        "flight_id": "String",
        EVENT_TIME: "String",  # an hour before the scheduled departure
        "carrier": "String",
        "origin": "String",
        "dest": "String",
        "departure_minute": "Integral",  # of the local day
        "weekday": "Integral",  # Monday is 0
        "duration": "Integral",  # scheduled minutes from gate to gate, time zones removed
        "distance": "Integral",  # miles
        "plane_age": "Fractional",  # years; null where the registry does not know the tail number
        "plane_seats": "Fractional",
        "plane_engines": "Fractional",
        "traffic_hour": "Integral",  # departures scheduled from this airport in the same hour
        "traffic_day": "Integral",  # and on the same day
    },
)

WEATHER = FeatureGroup(
    description="Hourly weather at the airports of origin",
    record_identifier="origin",
    event_time=EVENT_TIME,
    features={
        "origin": "String",
        EVENT_TIME: "String",  # of the observation
        "temp": "Fractional",  # degrees Fahrenheit
        "dewp": "Fractional",
        "humid": "Fractional",  # percent
        "wind_dir": "Fractional",  # degrees
        "wind_speed": "Fractional",  # miles per hour
        "wind_gust": "Fractional",
        "precip": "Fractional",  # inches in this hour
        "precip_3h": "Fractional",  # and in the three hours up to now
        "pressure": "Fractional",  # millibars
        "pressure_change_3h": "Fractional",
        "visib": "Fractional",  # miles
    },
)

FEATURE_GROUPS: Mapping[str, FeatureGroup] = {"flights": FLIGHTS, "weather": WEATHER}

CATEGORICAL = ("carrier", "origin", "dest")
"""Features of the model that are names."""

NUMERIC = tuple(
    feature
    for group in FEATURE_GROUPS.values()
    for feature, kind in group.features.items()
    if kind != "String"
)
"""Features of the model that are numbers."""

NULLABLE = frozenset(
    feature
    for group in FEATURE_GROUPS.values()
    for feature, kind in group.features.items()
    if kind == "Fractional"
)
"""Features that a question may lack: the plane is not registered, an instrument was silent."""

TARGET = "late"
"""1 when the flight arrived 15 or more minutes after its schedule."""
