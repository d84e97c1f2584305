"""The dated table of list prices of one region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
KINDS = FOLDER / "kinds.yaml"
TABLES = FOLDER / "tables"


@dataclass(frozen=True, kw_only=True)
class Price:
    """One figure and where it comes from."""

    usd: float
    unit: str
    source: str
    as_of: str


@dataclass(frozen=True, kw_only=True)
class PriceTable:
    """The prices of one region; none where nobody wrote them down."""

    region: str
    hours_per_month: int
    prices: Mapping[tuple[str, str], Price]
    """By group and figure, such as `ec2` and `m5.large`."""

    spot_share: tuple[float, float, float]
    free: frozenset[str]
    by_use: Mapping[str, str]


def regions() -> list[str]:
    """The regions that have a table."""
    return sorted(path.stem for path in TABLES.glob("*.yaml"))


@cache
def price_table(region: str) -> PriceTable:
    """The prices of a region; without figures where it has no table: all is unpriced then."""
    from ruamel.yaml import YAML

    read = YAML(typ="safe").load
    path = TABLES / f"{region}.yaml"
    groups = read(path.read_text()) if path.exists() else {}
    kinds = read(KINDS.read_text())
    share = kinds["spot_share"]
    return PriceTable(
        region=region,
        hours_per_month=kinds["hours_per_month"],
        prices={
            (group, str(figure)): _price(item, found)
            for group, item in groups.items()
            if isinstance(item, dict)
            for figure, found in item["figures"].items()
        },
        spot_share=(share["low"], share["expected"], share["high"]),
        free=frozenset(kinds["free"].split()),
        by_use=kinds["by_use"],
    )


def _price(group: Mapping[str, Any], found: Any) -> Price:
    """A figure with what its group says, but for what it says itself."""
    own = found if isinstance(found, dict) else {"usd": found}
    said = {key: group[key] for key in ("unit", "source", "as_of")} | own
    return Price(**{**said, "usd": float(said["usd"]), "as_of": str(said["as_of"])})


def no_prices(table: PriceTable) -> str:
    """What to say of a region without a table; empty for one that has prices."""
    known = ", ".join(regions())
    return "" if table.prices else f"no list prices of {table.region} here, only of {known}"
