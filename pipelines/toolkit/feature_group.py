"""The schema of a feature group, as data: what declarations hold and what stores read and write."""

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
