"""What a model was trained on, small enough to lie beside it: a sketch of every feature.

Of a number the sketch holds how much of the training data lies below each of some 4,000 points;
between two neighbouring ones lies less than 1/2048 of it, so that the Kolmogorov-Smirnov statistic
found at the points differs by less than that from the one of all values. Of a category it holds how
often each value came. It is made once, when the training set is, and read by every later
comparison.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

FILE = "reference.npz"
KNOTS = 2048
CATEGORIES = 10_000
"""Different values that a feature may have and still be compared as a category."""

BINS = 10
FLOOR = 1e-4
"""Share that an empty bin counts as: the index takes logarithms."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One feature of the training data."""

    rows: int
    known: int
    """Rows with a value."""

    points: Any = None
    """Numbers in order, where `below` is said. Default: the feature is a category."""

    below: Any = None
    """Share of the known values that is less than each point."""

    edges: Any = None
    """Inner edges of the bins of the stability index: deciles, equal ones once."""

    inside: Any = None
    """How many known values are below each edge."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """Rows per category. Default: the feature is a number."""

    @property
    def is_number(self) -> bool:
        return self.points is not None


def of(values: pd.Series[Any]) -> Reference:
    """The sketch of a feature."""
    if not pd.api.types.is_numeric_dtype(values):
        counted = categories(values)
        return Reference(rows=len(values), known=sum(counted.values()), counts=counted)
    ordered = numbers(values)
    known = len(ordered)
    if not known:
        none = np.array([], dtype=float)
        return Reference(
            rows=len(values), known=0, points=none, below=none, edges=none, inside=none
        )
    knots = np.unique(ordered[np.linspace(0, known - 1, KNOTS + 1).astype(int)])
    points = np.unique(np.concatenate([knots, np.nextafter(knots, np.inf)]))
    edges = np.unique(np.quantile(ordered, np.linspace(0, 1, BINS + 1)))[1:-1]
    return Reference(
        rows=len(values),
        known=known,
        points=points,
        below=np.searchsorted(ordered, points) / known,
        edges=edges,
        inside=np.searchsorted(ordered, edges),
    )


def of_all(rows: pd.DataFrame) -> dict[str, Reference]:
    """The sketch of every column but moments, and names with too many values to be categories."""
    found = {}
    for name in rows.columns:
        values = rows[name]
        is_number = pd.api.types.is_numeric_dtype(values)
        is_moment = pd.api.types.is_datetime64_any_dtype(values)
        if is_number or (not is_moment and values.nunique() <= CATEGORIES):
            found[str(name)] = of(values)
    return found


def numbers(values: pd.Series[Any]) -> Any:
    """The known values of a feature in order."""
    found = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    ordered = np.sort(found)  # NaN comes last
    return ordered[: len(ordered) - int(np.count_nonzero(np.isnan(found)))]


def categories(values: pd.Series[Any]) -> dict[str, int]:
    """How often each known value came, as text."""
    counted: dict[str, int] = {}
    for value, count in values.value_counts().items():
        counted[str(value)] = counted.get(str(value), 0) + int(count)
    return counted


def stability(reference: Reference, asked: pd.Series[Any]) -> float:
    """The population stability index of one feature, missing values being a bin of their own."""
    if reference.is_number:
        ordered = numbers(asked)
        known, before = len(ordered), _bins(reference.inside, reference.known)
        after = _bins(np.searchsorted(ordered, reference.edges), known)
    else:
        seen = categories(asked)
        known, before = sum(seen.values()), np.array([*reference.counts.values(), 0])
        told = [seen.get(name, 0) for name in reference.counts]
        after = np.array([*told, known - sum(told)])
    old = _shares(before, reference.rows - reference.known, reference.rows)
    new = _shares(after, len(asked) - known, len(asked))
    return round(float(np.sum((new - old) * np.log(new / old))), 6)


def distance(reference: Reference, asked: pd.Series[Any]) -> float | None:
    """The two-sample Kolmogorov-Smirnov statistic of the known values; None of a category."""
    if not reference.is_number:
        return None
    ordered = numbers(asked)
    if not len(ordered) or not reference.known:
        return 1.0 if len(ordered) or reference.known else 0.0
    below = np.searchsorted(ordered, reference.points) / len(ordered)
    return round(float(np.max(np.abs(below - reference.below))), 6)


def _bins(inside: Any, known: int) -> Any:
    """Counts of the bins between edges, from what lies below each; none is of another value."""
    return np.append(np.diff(inside, prepend=0, append=known), 0)


def _shares(counts: Any, missing: int, total: int) -> Any:
    """Share of every bin, of all other values, and of the missing ones."""
    return np.maximum(np.append(counts, missing) / max(total, 1), FLOOR)


def write(references: Mapping[str, Reference], path: Path) -> None:
    """All features in one file."""
    arrays: dict[str, Any] = {}
    told = []
    for number, (name, one) in enumerate(references.items()):
        row = {"name": name, "rows": one.rows, "known": one.known, "counts": dict(one.counts)}
        told.append({**row, "number": one.is_number})
        if one.is_number:
            for member in ("points", "below", "edges", "inside"):
                arrays[f"{number}_{member}"] = getattr(one, member)
    np.savez(path, features=np.array(json.dumps(told)), **arrays)


def read(source: Any) -> dict[str, Reference]:
    """What `write` wrote, from a path or an open file; no pickle is opened."""
    found = {}
    with np.load(source, allow_pickle=False) as kept:
        for number, row in enumerate(json.loads(str(kept["features"]))):
            members = ("points", "below", "edges", "inside") if row["number"] else ()
            found[row["name"]] = Reference(
                rows=row["rows"],
                known=row["known"],
                counts=row["counts"],
                **{member: kept[f"{number}_{member}"] for member in members},
            )
    return found
