"""Feature groups of the single stack, until an environment is several: see `pipelines/<name>/`."""

from collections.abc import Mapping

from pipelines.flight_delay.feature_groups import FLIGHTS
from pipelines.toolkit import feature_group
from pipelines.weather.feature_groups import HOURLY

FeatureGroup = feature_group.FeatureGroup
FeatureType = feature_group.FeatureType
FEATURE_GROUPS: Mapping[str, FeatureGroup] = {"flights": FLIGHTS, "weather": HOURLY}
