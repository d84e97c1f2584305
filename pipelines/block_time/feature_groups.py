"""The features of flown minutes: the groups owned, what is read of others, what the model eats.

Data only: the stack creates the groups from it, the Features step fills them, the model reads them.
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
    },
)

ROUTES = FeatureGroup(
    description="How long the latest flights to a destination were in the air, every three hours",
    record_identifier="dest",
    event_time=EVENT_TIME,
    features={
        "dest": "String",
        EVENT_TIME: "String",  # when all of these flights have landed
        "flown_12h": "Fractional",  # median minutes of those that landed in the last 12 hours
        "flown_24h": "Fractional",
    },
)

WEATHER = FeatureGroup(
    description="What is read of weather.hourly",
    record_identifier="origin",
    event_time=EVENT_TIME,
    features={
        "origin": "String",
        EVENT_TIME: "String",
        "wind_dir": "Fractional",
        "wind_speed": "Fractional",
    },
)

TARGET = "air_time"
"""Minutes between take-off and landing."""

QUANTILES = {"p10": 0.1, "value": 0.5, "p90": 0.9}
"""What the model says of a flight: the minutes that it takes at most in so many of all cases."""

COLUMNS = Columns(
    numeric=tuple(
        feature
        for group in (FLIGHTS, ROUTES, WEATHER)
        for feature, kind in group.features.items()
        if kind != "String"
    ),
    categorical=("carrier", "origin", "dest"),
    nullable=frozenset(
        feature
        for group in (FLIGHTS, ROUTES, WEATHER)
        for feature, kind in group.features.items()
        if kind == "Fractional"
    ),
    target=TARGET,
)
