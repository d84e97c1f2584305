"""The parts of a review that count money and GPUs: before, after, and what the change adds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from policies.data import Resource, Unknown
from policies.review.knowledge import known
from policies.review.model import StackChange
from policies.review.report import Context, Part, Reason, Risk, Row, Section
from stacks.review.gpus import Beside, gpus_of, undecided, untold
from stacks.sizing.fleets import fleets
from stacks.sizing.prices.estimate import Estimate, estimate
from stacks.sizing.prices.table import PriceTable, no_prices

COST_LIMIT = "FO-003"
RUN_LIMIT = "FO-003"

Range = tuple[float, float, float]
"""Low, expected, high."""


def parts(
    table: PriceTable,
    *,
    cost_usd_max: float,
    gpus_max: int,
    run_usd_max: float,
    beside: Beside = (),
) -> tuple[Part, ...]:
    """Cost, jobs and GPUs, each with the most that it may be.

    The limits are those of the environment, so that what stands beside the stack counts too.
    Default: nothing does.
    """

    def cost(change: StackChange, context: Context) -> Section | None:
        return _cost(change, context, table, cost_usd_max, beside)

    def gpus(change: StackChange, context: Context) -> Section | None:
        return gpus_of(change, context, gpus_max, beside)

    def jobs(change: StackChange, context: Context) -> Section | None:
        return _jobs(change, context, table, run_usd_max, beside)

    return (cost, jobs, gpus)


def _where(beside: Beside) -> str:
    """Of what a total is."""
    return "the environment" if beside else "the stack"


def _jobs(
    change: StackChange, context: Context, table: PriceTable, limit: float, beside: Beside
) -> Section | None:
    """The most that each job of a pipeline can cost: its instances until it is stopped."""
    try:
        was, becomes = (ceilings(side, table) for side in (change.before(), change.after()))
        others = sum(_bounded(ceilings(side, table)) for side in beside or ())
    except Unknown as unknown:
        return Section(id="jobs", title="Jobs", notes=[undecided(unknown)])
    names = [name for name in sorted({*was, *becomes}) if was.get(name) != becomes.get(name)]
    before, after = _bounded(was), _bounded(becomes)
    open_end = [name for name in names if name in becomes and becomes[name] is None]
    if not names:
        return None
    reasons = []
    if after + others > limit and after > before:
        every = f"every pipeline{' of the environment' if beside else ''}"
        most = f"costs up to {_usd(after + others)}, over {_usd(limit)}"
        reasons.append(
            Reason(
                rule=RUN_LIMIT,
                risk="high",
                message=f"one run of {every} {most}",
                fix="lower max_runtime_seconds or the instances, or raise run_usd_max",
                blocks=context.config.production,
            )
        )
    return Section(
        id="jobs",
        title="Jobs, each until it is stopped",
        columns=("job", "at most", "before"),
        rows=[Row(cells=(n, _ceiling(n, becomes), _ceiling(n, was))) for n in names],
        notes=[
            *([f"no bound is known here for {', '.join(open_end)}"] if open_end else []),
            *untold(beside, grows=after > before),
        ],
        data={"before": was, "after": becomes, "limit": limit},
        reasons=reasons,
    )


def _bounded(of: Mapping[str, float | None]) -> float:
    return sum(usd or 0 for usd in of.values())


def ceilings(resources: Sequence[Resource], table: PriceTable) -> dict[str, float | None]:
    """Job -> US dollars at most; None where it has no price here or never has to stop."""
    found: dict[str, float | None] = {}
    for fleet in fleets(resources):
        if fleet.use in ("node", "endpoint"):
            continue
        price = table.prices.get(("sagemaker", fleet.instance_type))
        hours = fleet.max_runtime_seconds / 3600
        found[fleet.name] = round(price.usd * fleet.high * hours, 2) if price and hours else None
    return found


def _ceiling(name: str, of: Mapping[str, float | None]) -> str:
    if name not in of:
        return ""
    usd = of[name]
    return "not known" if usd is None else _usd(usd)


def _cost(
    change: StackChange, context: Context, table: PriceTable, limit: float, beside: Beside
) -> Section | None:
    try:
        before, after = (estimate(side, table) for side in (change.before(), change.after()))
        others = [totals(estimate(side, table)) for side in beside or ()]
    except Unknown as unknown:
        return Section(id="cost", title="Cost", notes=[undecided(unknown)])
    if missing := no_prices(table):
        return _unpriced(after, missing)
    was, becomes = totals(before), totals(after)
    whole = _summed([becomes, *others])
    added = becomes[1] - was[1], becomes[2] - was[2]
    risk = _risk(added[0], whole, limit)
    without_price = _without_price(before, after)
    rows = [_total(_where(beside), whole, added, risk, known=not without_price)]
    if beside:
        rows.append(_total("the stack", becomes, added, risk, known=not without_price))
    rows += _lines(before, after)
    notes = [*_notes(before, after, table), *untold(beside, grows=added[0] > 0)]
    return Section(
        id="cost",
        title="Cost",
        columns=("per month", "low", "expected", "high", "added", "added at most"),
        rows=rows,
        notes=notes,
        data={
            "currency": "USD",
            "before": dict(zip(("low", "expected", "high"), was, strict=True)),
            "after": dict(zip(("low", "expected", "high"), becomes, strict=True)),
            "added_expected": None if without_price else added[0],
            **(
                {"environment": dict(zip(("low", "expected", "high"), whole, strict=True))}
                if beside
                else {}
            ),
            "run": {"before": before.run_usd, "after": after.run_usd},
            "unpriced": dict(sorted(after.unpriced.items())),
            "as_of": after.as_of,
        },
        reasons=[
            *_over_budget(whole, added[0], limit, context, _where(beside)),
            *without_price,
        ],
    )


def _total(what: str, usd: Range, added: tuple[float, float], risk: Risk, *, known: bool) -> Row:
    """A line of sums; where a price is missing, they are the least and the rest is not known."""
    sums = map(_usd, usd) if known else (f"{_usd(each)} or more" for each in usd)
    more = map(_usd, added) if known else ("not known", "not known")
    return Row(cells=(what, *sums, *more), risk=risk)


def _without_price(before: Estimate, after: Estimate) -> list[Reason]:
    """What has no price is missing in the total: that is neither a saving nor for nothing."""
    come = after.unpriced - before.unpriced
    dear = {name: n for name, n in sorted(come.items()) if ":" not in name or _is_dear(name)}
    if not dear:
        return []
    listed = ", ".join(f"{name} ({count})" for name, count in dear.items())
    return [
        Reason(
            rule=COST_LIMIT,
            risk="medium",
            message=f"{sum(dear.values())} more have no price here, so the total is without them: "
            f"{listed}",
            fix="look the price up, and add it to stacks/sizing/prices/tables",
        )
    ]


def _is_dear(token: str) -> bool:
    """Whether a type has sizes or instances, so that it costs by the hour."""
    return "costs" in known(token).kinds


def _notes(before: Estimate, after: Estimate, table: PriceTable) -> list[str]:
    """What the figures are, and what they leave out."""
    notes = [
        f"US dollars per month, list prices of {table.region} as of {after.as_of or 'no date'}"
    ]
    notes.append(
        "spot by a share of the price on demand, which nobody promises; no savings plan, "
        "commitment or discount is counted"
    )
    if after.unpriced:
        listed = ", ".join(f"{name} ({count})" for name, count in sorted(after.unpriced.items()))
        notes.append(f"{after.unpriced.total()} resources have no price here: {listed}")
    if after.by_use:
        notes.append(f"billed by use, not counted: {', '.join(sorted(map(_short, after.by_use)))}")
    if after.run_usd or before.run_usd:
        notes.append(
            f"one run of every pipeline costs at most {_usd(after.run_usd)}, "
            f"before {_usd(before.run_usd)}"
        )
    return notes


def _unpriced(made: Estimate, missing: str) -> Section:
    """A stack in a region without prices: not for nothing, but nobody here knows for how much."""
    return Section(
        id="cost",
        title="Cost",
        notes=[f"{missing}: {made.unpriced.total()} resources are unpriced, no total is known"],
        data={"currency": "USD", "unpriced": dict(sorted(made.unpriced.items()))},
    )


def totals(made: Estimate) -> Range:
    """Low, expected and high of an estimate, to the cent."""
    return round(made.low_usd, 2), round(made.expected_usd, 2), round(made.high_usd, 2)


def _summed(found: Sequence[Range]) -> Range:
    low, expected, high = (round(sum(side), 2) for side in zip(*found, strict=True))
    return low, expected, high


def _lines(before: Estimate, after: Estimate) -> list[Row]:
    """One row per thing whose price changes, dearest difference first."""
    old, new = _by_name(before), _by_name(after)
    found = []
    for name in sorted({*old, *new}):
        was, becomes = old.get(name, (0, 0, 0)), new.get(name, (0, 0, 0))
        if was != becomes:
            added = becomes[1] - was[1], becomes[2] - was[2]
            weight = added[0] or added[1]
            found.append((weight, Row(cells=(name, *map(_usd, (*becomes, *added))))))
    return [row for _, row in sorted(found, key=lambda item: (-abs(item[0]), item[1].cells))]


def _by_name(made: Estimate) -> Mapping[str, Range]:
    found: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for line in made.lines:
        sums = found[f"{line.name} ({line.what})"]
        sums[0] += line.low_usd
        sums[1] += line.expected_usd
        sums[2] += line.high_usd
    return {name: (s[0], s[1], s[2]) for name, s in found.items()}


def _risk(added: float, becomes: Range, limit: float) -> Risk:
    if becomes[1] > limit:
        return "high"
    return "medium" if added > 0.1 * max(limit, 1) else "low"


def _over_budget(
    becomes: Range, added: float, limit: float, context: Context, where: str
) -> list[Reason]:
    if becomes[1] <= limit or added <= 0:
        return []
    return [
        Reason(
            rule=COST_LIMIT,
            risk="high",
            message=f"{where} would cost {_usd(becomes[1])} a month, more than {_usd(limit)}",
            fix="make it smaller, or raise the limit in the environment's file with its owner",
            blocks=context.config.production,
        )
    ]


def _usd(value: float) -> str:
    sign = "-" if value < 0 else ""
    return f"{sign}${abs(value):,.2f}"


def _short(token: str) -> str:
    return token.rpartition(":")[2]
