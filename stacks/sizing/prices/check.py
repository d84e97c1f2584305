"""How old the prices are, and what the environments may use that has none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from stacks.settings.model import Settings
from stacks.sizing.prices.meters import METERS
from stacks.sizing.prices.table import PriceTable, no_prices, price_table

INSTANCE = re.compile(
    r"(ml\.|cache\.|kafka\.)?[a-z][a-z0-9-]*\.(?:\d*x?large|[a-z]*(?:small|medium|micro)|\*)"
)
"""An instance type, or all sizes of a family, in a setting."""

GROUPS = {"ml.": "sagemaker", "cache.": "elasticache", "kafka.": "msk", None: "ec2"}


@dataclass(frozen=True, kw_only=True)
class Stale:
    """Figures of one group and date that are older than wanted."""

    region: str
    group: str
    as_of: str
    age_days: int
    figures: int
    source: str


@dataclass(frozen=True, kw_only=True)
class Lacking:
    """Something without a price, and where it may be used."""

    kind: str
    """`region`, `resource type` or `instance type`."""

    name: str
    used_by: tuple[str, ...]
    """Environments; none where every environment can have it."""


def stale(table: PriceTable, today: date, max_age_days: int) -> list[Stale]:
    """What nobody has looked at for so long, group by group."""
    found: dict[tuple[str, str, str], int] = {}
    for (group, _), price in table.prices.items():
        key = (group, price.as_of, price.source)
        found[key] = found.get(key, 0) + 1
    ages = {key: (today - date.fromisoformat(key[1])).days for key in found}
    return [
        Stale(
            region=table.region, group=group, as_of=as_of, age_days=ages[group, as_of, source],
            figures=count, source=source,
        )
        for (group, as_of, source), count in sorted(found.items())
        if ages[group, as_of, source] > max_age_days
    ]  # fmt: skip


def lacking(stacks: Iterable[Settings], types: Iterable[str]) -> list[Lacking]:
    """What these stacks may use, and resource types that any may have, without a price."""
    bare: dict[tuple[str, str], dict[str, None]] = {}
    for settings in stacks:
        for what in _unpriced(settings):
            bare.setdefault(what, {})[settings.environment.name] = None
    found = [
        Lacking(kind=kind, name=name, used_by=tuple(envs)) for (kind, name), envs in bare.items()
    ]
    kinds = price_table("")
    known = {*kinds.free, *kinds.by_use, *METERS}
    found += [
        Lacking(kind="resource type", name=name, used_by=())
        for name in types
        if name.startswith("aws:") and name not in known
    ]
    return sorted(found, key=lambda item: (item.kind, item.name))


def _unpriced(settings: Settings) -> list[tuple[str, str]]:
    """Kind and name of what a stack may use and the table of its region lacks."""
    table = price_table(settings.environment.account.region)
    if no_prices(table):
        return [("region", table.region)]
    used = instances(settings)
    return [("instance type", key[1]) for key in used if key not in table.prices]


def instances(settings: Settings) -> list[tuple[str, str]]:
    """Group and figure of every instance type that the settings name or their lists allow."""
    found = set()
    for text in _texts(settings.model_dump(exclude={"workload"})):
        if match := INSTANCE.fullmatch(text):
            names = _sizes(text) if text.endswith("*") else [text]
            found |= {(GROUPS[match[1]], name) for name in names}
    return sorted(found)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, Iterable):
        for item in value:
            yield from _texts(item)


def _sizes(pattern: str) -> list[str]:
    """The instance types of SageMaker that a pattern allows."""
    return [name for name in _sagemaker_types() if fnmatchcase(name, pattern)]


@cache
def _sagemaker_types() -> frozenset[str]:
    """Every instance type that SageMaker's API knows, for whatever use."""
    import botocore.session

    model = botocore.session.get_session().get_service_model("sagemaker")
    shapes = [model.shape_for(name) for name in model.shape_names if name.endswith("InstanceType")]
    return frozenset(value for shape in shapes for value in getattr(shape, "enum", ()))
