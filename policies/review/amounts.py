"""Values as numbers: counts, quantities of Kubernetes, and types of instances by their size."""

from __future__ import annotations

import re
from typing import Any

from policies.data import UNKNOWN
from policies.review.vocabulary import FACTORS, INSTANCE, UNITS


def quantity(value: Any) -> float | None:
    """A quantity of Kubernetes as a number, such as `500m` or `4Gi`."""
    found = re.fullmatch(r"([0-9.]+)([A-Za-z]{0,2})", str(value))
    unit = UNITS.get(found[2]) if found else None
    number = amount(found[1]) if found else None
    return None if unit is None or number is None else number * unit


def amount(value: Any) -> float | None:
    """A number, or the number of a percentage; a flag is none."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value.removesuffix("%") if isinstance(value, str) else value)
    except (TypeError, ValueError):
        return None


def of_size(value: Any) -> float | None:
    """A number, a quantity, or how large a type of instance is."""
    if isinstance(value, str) and (found := INSTANCE.fullmatch(value)):
        return float(found[1] or 1) * FACTORS[found[2]]
    number = amount(value)
    return quantity(value) if number is None else number


def is_numeric(value: Any) -> bool:
    """Whether it is a number, or nothing."""
    return value is None or amount(value) is not None


def is_counted(value: Any) -> bool:
    """Whether it is a number, a quantity, or nothing; a word is no size."""
    return value is None or value is UNKNOWN or quantity(value) is not None or is_numeric(value)


def or_never(value: float | None) -> float | None:
    """Zero seconds between two looks means that nobody looks."""
    return float("inf") if value == 0 else value
