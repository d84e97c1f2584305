"""The ranges of hyperparameters that a tuning job searches, and their values as text.

Source: ParameterRanges, API reference; developer guide, "Define hyperparameter ranges" (scaling).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["integer", "continuous", "categorical"]
Scaling = Literal["Linear", "Logarithmic", "ReverseLogarithmic"]

MEMBERS: Mapping[str, Kind] = {
    "IntegerParameterRanges": "integer",
    "ContinuousParameterRanges": "continuous",
    "CategoricalParameterRanges": "categorical",
}
MOST = 30
"""Hyperparameters that one job searches."""

WIDE = 100
"""Of a range whose end is so many times its begin, Auto takes the logarithm; below it does not.
SageMaker does not say how it chooses."""


@dataclass(frozen=True, kw_only=True)
class Range:
    """What one hyperparameter may be."""

    name: str
    kind: Kind
    low: float = 0
    high: float = 0
    scaling: Scaling = "Linear"
    values: tuple[str, ...] = ()
    """Of a categorical one."""

    @property
    def count(self) -> float:
        """How many values it has."""
        if self.kind == "continuous":
            return math.inf
        return len(self.values) if self.kind == "categorical" else self.high - self.low + 1


def read(given: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Range]:
    """The ranges of a ParameterRanges; ValueError with everything that is wrong."""
    found, problems = [], []
    for member, kind in MEMBERS.items():
        for entry in given.get(member, ()):
            problems += [
                f"the range of {entry['Name']!r} {told}" for told in _problems(entry, kind)
            ]
            if not problems:
                found.append(_range(entry, kind))
    names = [entry["Name"] for member in MEMBERS for entry in given.get(member, ())]
    twice = sorted({name for name in names if names.count(name) > 1})
    problems += [f"hyperparameter {name!r} has more than one range" for name in twice]
    if not 0 < len(names) <= MOST:
        problems.append(f"from 1 to {MOST} hyperparameters can be searched, got {len(names)}")
    if problems:
        raise ValueError("; ".join(problems))
    return found


def combinations(ranges: Sequence[Range]) -> float:
    """How many different training jobs ranges make."""
    return math.prod(one.count for one in ranges)


def _problems(entry: Mapping[str, Any], kind: Kind) -> Iterator[str]:
    if kind == "categorical":
        if len(set(entry["Values"])) < len(entry["Values"]):
            yield f"must not have a value twice, got {entry['Values']}"
        return
    number = int if kind == "integer" else float
    try:
        low, high = number(entry["MinValue"]), number(entry["MaxValue"])
    except ValueError:
        yield f"must be of {kind} values, got {entry['MinValue']!r} and {entry['MaxValue']!r}"
        return
    scaling = entry.get("ScalingType", "Auto")
    if low > high or not (math.isfinite(low) and math.isfinite(high)):
        yield f"must begin at or before its end, got {low} and {high}"
    elif scaling == "Logarithmic" and low <= 0:
        yield f"must be greater than 0 for scaling type Logarithmic, got {low}"
    elif scaling == "ReverseLogarithmic" and kind == "integer":
        yield "must be of continuous values for scaling type ReverseLogarithmic"
    elif scaling == "ReverseLogarithmic" and not 0 <= low <= high < 1:
        yield f"must be within 0<=x<1.0 for scaling type ReverseLogarithmic, got {low} and {high}"


def _range(entry: Mapping[str, Any], kind: Kind) -> Range:
    name = entry["Name"]
    if kind == "categorical":
        return Range(name=name, kind=kind, values=tuple(entry["Values"]))
    low, high = float(entry["MinValue"]), float(entry["MaxValue"])
    scaling = entry.get("ScalingType", "Auto")
    if scaling == "Auto":
        scaling = "Logarithmic" if low > 0 and high / low >= WIDE else "Linear"
    return Range(name=name, kind=kind, low=low, high=high, scaling=scaling)
