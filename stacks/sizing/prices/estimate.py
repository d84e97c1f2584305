"""What a platform costs a month: low, expected and high, and what has no price here.

Figures are AWS's public list prices as known on the date beside each; they are not looked up, so
nothing here needs a network, and nothing vouches that AWS has not changed them since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from policies.data import Resource
from stacks.sizing.fleets import Fleet, fleets
from stacks.sizing.prices.meters import METERS, Use, node_disk_gib
from stacks.sizing.prices.table import Price, PriceTable

SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, kw_only=True)
class Line:
    """What one thing costs a month."""

    name: str
    what: str
    low_usd: float
    expected_usd: float
    high_usd: float


@dataclass(kw_only=True)
class Estimate:
    """What a platform costs a month, as far as there are prices for it."""

    lines: list[Line] = field(default_factory=list)
    unpriced: Counter[str] = field(default_factory=Counter)
    """What has no price here, and how often: the totals leave it out."""

    by_use: dict[str, str] = field(default_factory=dict)
    """Resource types that cost what is done with them: the totals leave it out."""

    run_usd: float = 0
    """What one run of every pipeline costs at most: each job until it is stopped."""

    as_of: str = ""
    """The oldest date of a figure that was used."""

    @property
    def low_usd(self) -> float:
        return sum(line.low_usd for line in self.lines)

    @property
    def expected_usd(self) -> float:
        return sum(line.expected_usd for line in self.lines)

    @property
    def high_usd(self) -> float:
        return sum(line.high_usd for line in self.lines)


def estimate(resources: Sequence[Resource], table: PriceTable) -> Estimate:
    """What these resources cost a month.

    Low is the smallest size the settings allow, expected the size at the start, high the largest.
    """
    made = Estimate()
    used: list[Price] = []
    for use in (*_fixed(resources, table, made), *_instances(resources, table)):
        price = table.prices.get(use.price)
        if price is None:
            made.unpriced[" ".join(use.price)] += 1
            continue
        used.append(price)
        low, expected, high = (
            price.usd * count * share for count, share in zip(use.quantity, use.share, strict=True)
        )
        made.lines.append(
            Line(
                name=use.name,
                what=" ".join(use.price),
                low_usd=low,
                expected_usd=expected,
                high_usd=high,
            )
        )
    made.run_usd = _run(resources, table, made)
    made.as_of = min((price.as_of for price in used), default="")
    return made


def _fixed(resources: Sequence[Resource], table: PriceTable, made: Estimate) -> Iterator[Use]:
    """What is billed by the hour or the month as soon as it exists."""
    for resource in resources:
        if not resource.type.startswith("aws:") or resource.type in table.free:
            continue
        if resource.type in table.by_use:
            made.by_use[resource.type] = table.by_use[resource.type]
        elif resource.type in METERS:
            yield from METERS[resource.type](resource, table.hours_per_month)
        else:
            made.unpriced[resource.type] += 1


def _instances(resources: Sequence[Resource], table: PriceTable) -> Iterator[Use]:
    """Nodes with their disks, and instances of endpoints."""
    for fleet in _dearest(fleets(resources), table):
        sizes = (fleet.low, fleet.expected, fleet.high)
        hours = tuple(size * table.hours_per_month for size in sizes)
        group = "ec2" if fleet.use == "node" else "sagemaker"
        if fleet.market == "CAPACITY_BLOCK":
            group = "capacity block"  # paid for once, in advance: no monthly price
        yield Use(
            name=fleet.name,
            price=(group, fleet.instance_type),
            quantity=hours,
            share=table.spot_share if fleet.market == "SPOT" else (1, 1, 1),
        )
        gib = node_disk_gib(fleet.name, resources) if fleet.use == "node" else 0
        if gib:
            disks = tuple(size * gib for size in sizes)
            yield Use(name=fleet.name, price=("ebs", "gp3"), quantity=disks)


def _dearest(found: Sequence[Fleet], table: PriceTable) -> list[Fleet]:
    """Of the types and markets that one pool chooses from, the one that can cost most."""
    dearest: dict[str, tuple[float, Fleet]] = {}
    for fleet in found:
        if fleet.use not in ("node", "endpoint"):
            continue
        group = "ec2" if fleet.use == "node" else "sagemaker"
        price = table.prices.get((group, fleet.instance_type))
        share = table.spot_share[2] if fleet.market == "SPOT" else 1.0
        most = fleet.high * share * price.usd if price else float("inf")
        if fleet.name not in dearest or dearest[fleet.name][0] < most:
            dearest[fleet.name] = (most, fleet)
    return [fleet for _, fleet in dearest.values()]


def _run(resources: Sequence[Resource], table: PriceTable, made: Estimate) -> float:
    total = 0.0
    for fleet in fleets(resources):
        if fleet.use in ("node", "endpoint"):
            continue
        price = table.prices.get(("sagemaker", fleet.instance_type))
        if price is None or not fleet.max_runtime_seconds:
            made.unpriced[f"{fleet.use} job on {fleet.instance_type}"] += 1
            continue
        total += price.usd * fleet.high * fleet.max_runtime_seconds / SECONDS_PER_HOUR
    return total
