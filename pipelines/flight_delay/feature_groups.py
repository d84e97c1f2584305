"""The features of flight delays: the group owned, what is read of others, what the model eats.

Data only: the stack creates the group from it, the Features step fills it, the model reads it.
"""

from pipelines.toolkit.feature_group import EVENT_TIME, Columns, FeatureGroup

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
    description="What is read of weather.hourly",
    record_identifier="origin",
    event_time=EVENT_TIME,
    features={
        "origin": "String",
        EVENT_TIME: "String",
        "temp": "Fractional",
        "dewp": "Fractional",
        "humid": "Fractional",
        "wind_dir": "Fractional",
        "wind_speed": "Fractional",
        "wind_gust": "Fractional",
        "precip": "Fractional",
        "precip_3h": "Fractional",
        "pressure": "Fractional",
        "pressure_change_3h": "Fractional",
        "visib": "Fractional",
    },
)

TARGET = "late"
"""1 when the flight arrived 15 or more minutes after its schedule."""

COLUMNS = Columns(
    numeric=tuple(
        feature
        for group in (FLIGHTS, WEATHER)
        for feature, kind in group.features.items()
        if kind != "String"
    ),
    categorical=("carrier", "origin", "dest"),
    nullable=frozenset(
        feature
        for group in (FLIGHTS, WEATHER)
        for feature, kind in group.features.items()
        if kind == "Fractional"
    ),
    target=TARGET,
)
