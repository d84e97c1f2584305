"""The schema of a feature group, and what a model eats of several; data only."""

from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which features a model eats, and what it says."""

    numeric: Sequence[str]
    categorical: Sequence[str]
    nullable: frozenset[str]
    """Features that a question may lack."""

    target: str
