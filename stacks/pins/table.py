"""The table of pins, read from `pins.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "pins.yaml"


@dataclass(frozen=True, kw_only=True)
class Pin:
    """One version that settings take by default."""

    version: str
    released: date | None
    """Default: no source gives the day."""

    as_of: date
    """When somebody last looked at it."""

    source: str

    def age(self, today: date) -> int:
        """Days since its release, or since somebody looked where nothing says when that was."""
        return (today - (self.released or self.as_of)).days


@dataclass(frozen=True, kw_only=True)
class Support:
    """Until when EKS supports a version of Kubernetes."""

    standard_until: date
    extended_until: date


@dataclass(frozen=True, kw_only=True)
class Pins:
    """All of the file."""

    pins: dict[str, Pin]
    kubernetes: dict[str, Support]
    usd_per_cluster_hour: dict[str, float]
    warn_days: int
    max_age_days: int

    def version(self, name: str) -> str:
        """The version of a pin; KeyError names one that there is not."""
        return self.pins[name].version

    def all_of(self, kind: str) -> dict[str, str]:
        """Version by name of all pins of a kind, such as `addon`."""
        prefix = f"{kind}/"
        return {
            name.removeprefix(prefix): pin.version
            for name, pin in self.pins.items()
            if name.startswith(prefix)
        }

    def is_offered(self, version: str, today: date) -> bool | None:
        """Whether EKS still makes clusters of a version of Kubernetes; None: nobody looked."""
        support = self.kubernetes.get(version)
        if support is not None:
            return today <= support.extended_until
        older = _number(version) < min(map(_number, self.kubernetes))
        return False if older else None


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


@cache
def pins() -> Pins:
    """The table."""
    return read(FILE)


def read(file: Path) -> Pins:
    """A table; ValueError from its types where a line is wrong."""
    from ruamel.yaml import YAML

    content: dict[str, Any] = YAML(typ="safe").load(file.read_text())
    kubernetes = content["kubernetes"]
    return Pins(
        pins={
            name: Pin(**{**pin, "version": str(pin["version"])})
            for name, pin in content["pins"].items()
        },
        kubernetes={name: Support(**one) for name, one in kubernetes["calendar"].items()},
        usd_per_cluster_hour=dict(kubernetes["usd_per_cluster_hour"]),
        warn_days=content["warn_days"],
        max_age_days=content["max_age_days"],
    )
