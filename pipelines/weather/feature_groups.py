"""The feature group of the weather, as data: the stack creates it, the Publish step fills it."""

from pipelines.toolkit.feature_group import EVENT_TIME, FeatureGroup

HOURLY = FeatureGroup(
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
