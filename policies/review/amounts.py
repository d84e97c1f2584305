"""Values as numbers: counts, quantities of Kubernetes, and types of instances by their size."""

from __future__ import annotations

import re
from typing import Any

from policies.data import UNKNOWN
from policies.review.vocabulary import FACTORS, INSTANCE, UNITS


def quantity(value: Any) -> float | None:
    """A quantity of Kubernetes as a number, such as `500m` or `4Gi`."""
    found = re.fullmatch(r"([0-9]+\.?[0-9]*|\.[0-9]+)([A-Za-z]{0,2}| ?vCPU| ?GB)", str(value))
    unit = UNITS.get(found[2]) if found else None
    number = amount(found[1]) if found else None
    return None if unit is None or number is None else number * unit


def amount(value: Any) -> float | None:
    """A number, that of a percentage, or the seconds of `PT12H` or `1h30m`; a flag is none."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value.removesuffix("%") if isinstance(value, str) else value)
    except (TypeError, ValueError):
        return _duration(value) if isinstance(value, str) else None


SECONDS = (86_400, 3_600, 60, 1)
DURATION = re.compile(r"P?(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?", re.I)
"""ISO 8601's (`PT12H`), and Go's (`720h0m0s`)."""


def _duration(text: str) -> float | None:
    if quantity(text) is not None and text[:1] != "P":
        return None  # `5M` is five millions
    return seconds(text)


def seconds(text: str) -> float | None:
    """The seconds of a duration; what may be a quantity too is taken for one."""
    found = DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        return None
    parts = zip(found.groups(), SECONDS, strict=True)
    return float(sum(int(part or 0) * seconds for part, seconds in parts))


TLS = re.compile(r"(?:TLS\w{0,3}[-_]?|Res[-_]|FS[-_])v?1[-_.]([0-3])", re.I)
UNDATED = re.compile(r"TLS-?v?1(?:[._]([0-3]))?", re.I)
DATED = re.compile(r"(20\d\d)(?:-(\d\d))?$")


def strictness(value: Any) -> tuple[int, int] | None:
    """Least version of TLS, and month, of the name of a security policy of AWS.

    `ELBSecurityPolicy-TLS13-1-2-2021-06` takes TLS 1.2 and later; one that names no version takes
    1.0 (user guide of Application Load Balancers, "Security policies").
    """
    if isinstance(value, str) and (plain := UNDATED.fullmatch(value)):
        return int(plain[1] or 0), 0
    dated = DATED.search(value) if isinstance(value, str) else None
    if dated is None or not re.match(r"[A-Za-z]", value):
        return None
    found = TLS.search(value)
    return int(found[1]) if found else 0, int(dated[1]) * 12 + int(dated[2] or 0)


def of_size(value: Any) -> float | None:
    """A number, a quantity, or how large a type of instance is."""
    if isinstance(value, str) and (found := INSTANCE.fullmatch(value)):
        return float(found[1] or 1) * FACTORS[found[2]]
    number = amount(value)
    return quantity(value) if number is None else number


MACHINE = re.compile(r"(?:(ml|db|cache|dax|dms)\.)?([a-z]+)\d+([a-z]*)(?:[.-][\w.-]+)?")
"""A type of instance, or a family alone (Batch's API reference, ComputeResource)."""

ACCELERATED = ("dl", "f", "g", "gr", "inf", "p", "trn", "vt")
"""Families of instances with accelerators (EC2's "Instance types", "Accelerated computing")."""

ACCELERATORS = re.compile(r"gpu$|neuron\w*$|tpu$|mig\w*gb$|gaudi$")
"""Ends of names of what a pod asks for, in lower case, that are accelerators (Kubernetes'
documentation, "Schedule GPUs"; device plugins of AWS, NVIDIA and Intel)."""


def machine(value: Any) -> tuple[str, bool] | None:
    """The letters of an instance's family, such as `p`, and whether what runs must be for Arm.

    Managed databases bring their own programs, so theirs is no matter.
    """
    found = MACHINE.fullmatch(value) if isinstance(value, str) else None
    return (found[2], "g" in found[3] and found[1] in (None, "ml")) if found else None


def turns(last: str, old: Any, new: Any) -> str:
    """Why what is sized is another kind of machine than before; empty: it is none."""
    before, after = machine(old), machine(new)
    if after and after[0] in ACCELERATED and (before is None or before[0] != after[0]):
        return "it may be a machine with accelerators from now on"
    if ACCELERATORS.search(last) and not of_size(old) and of_size(new):
        return "it takes accelerators from now on"
    words = not (is_counted(old) or is_counted(new))
    return "it is another kind of machine" if words and before != after else ""


def is_numeric(value: Any) -> bool:
    """Whether it is a number, or nothing."""
    return value is None or amount(value) is not None


def is_counted(value: Any) -> bool:
    """Whether it is a number, a quantity, or nothing; a word is no size."""
    return value is None or value is UNKNOWN or quantity(value) is not None or is_numeric(value)


def or_never(value: float | None) -> float | None:
    """Zero seconds between two looks means that nobody looks."""
    return float("inf") if value == 0 else value


def length(side: Any) -> float | None:
    """A number, or the seconds of a duration that may be a quantity too."""
    found = amount(side)
    return seconds(side) if found is None and isinstance(side, str) else found


VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-\w*?[a-z.]*(\d+))?(?:-eksbuild\.(\d+))?")


def is_a_patch(old: Any, new: Any) -> bool:
    """Whether the new version is a later patch of the same minor one."""
    sides = [VERSION.fullmatch(str(side)) for side in (old, new)]
    if None in sides:
        return False
    before, after = ([int(part or 0) for part in side.groups()] for side in sides if side)
    return before[:2] == after[:2] and before < after
