"""The parts of a review that count money and GPUs: before, after, and what the change adds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from infra.instances import INSTANCE_TYPES
from policies.data import Resource, Unknown
from policies.review.model import StackChange
from policies.review.report import Context, Part, Reason, Risk, Row, Section
from stacks.sizing.fleets import Fleet, fleets
from stacks.sizing.prices.estimate import Estimate, estimate
from stacks.sizing.prices.table import PriceTable, no_prices

COST_LIMIT = "FO-003"
GPU_LIMIT = "FO-004"
RUN_LIMIT = "FO-003"
HOURS_PER_MONTH = 730

ALONE = (
    "what other stacks of the environment need is not counted here, though its limits hold for all "
    "of them: a review without --digest counts it"
)

Range = tuple[float, float, float]
"""Low, expected, high."""

Beside = Sequence[Sequence[Resource]] | None
"""What each other stack of the environment registers; None where nobody looked."""


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
        return _gpus(change, context, gpus_max, beside)

    def jobs(change: StackChange, context: Context) -> Section | None:
        return _jobs(change, context, table, run_usd_max, beside)

    return (cost, jobs, gpus)


def _where(beside: Beside) -> str:
    """Of what a total is."""
    return "the environment" if beside else "the stack"


def _untold(beside: Beside, *, grows: bool) -> list[str]:
    """Says that a limit was held against a part of what it is for."""
    return [ALONE] if beside is None and grows else []


def _jobs(
    change: StackChange, context: Context, table: PriceTable, limit: float, beside: Beside
) -> Section | None:
    """The most that each job of a pipeline can cost: its instances until it is stopped."""
    try:
        was, becomes = (ceilings(side, table) for side in (change.before(), change.after()))
        others = sum(_bounded(ceilings(side, table)) for side in beside or ())
    except Unknown as unknown:
        return Section(id="jobs", title="Jobs", notes=[_undecided(unknown)])
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
            *_untold(beside, grows=after > before),
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
        return Section(id="cost", title="Cost", notes=[_undecided(unknown)])
    if missing := no_prices(table):
        return _unpriced(after, missing)
    was, becomes = totals(before), totals(after)
    whole = _summed([becomes, *others])
    added = becomes[1] - was[1], becomes[2] - was[2]
    risk = _risk(added[0], whole, limit)
    rows = [Row(cells=(_where(beside), *map(_usd, (*whole, *added))), risk=risk)]
    if beside:
        rows.append(Row(cells=("the stack", *map(_usd, (*becomes, *added))), risk=risk))
    rows += _lines(before, after)
    notes = [*_notes(before, after, table), *_untold(beside, grows=added[0] > 0)]
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
            "added_expected": added[0],
            **(
                {"environment": dict(zip(("low", "expected", "high"), whole, strict=True))}
                if beside
                else {}
            ),
            "run": {"before": before.run_usd, "after": after.run_usd},
            "unpriced": dict(sorted(after.unpriced.items())),
            "as_of": after.as_of,
        },
        reasons=_over_budget(whole, added[0], limit, context, _where(beside)),
    )


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


def _gpus(change: StackChange, context: Context, limit: int, beside: Beside) -> Section | None:
    try:
        before, after = (gpu_counts(side) for side in (change.before(), change.after()))
        others = sum(_at_most(gpu_counts(side)) for side in beside or ())
        hours = [gpu_hours(side) for side in (change.before(), change.after())]
        memory = [gpu_memory_gib(side) for side in (change.before(), change.after())]
    except Unknown as unknown:
        return Section(id="gpus", title="GPUs", notes=[_undecided(unknown)])
    names = sorted({*before, *after})
    if not names:
        return None
    most, was = _at_most(after), _at_most(before)
    over = most + others > limit and most > was
    here = " in the environment" if others else ""
    message = f"up to {most + others} GPUs could run{here}, at most {limit} are allowed"
    return Section(
        id="gpus",
        title="GPUs",
        columns=("type", "low", "expected", "high", "high before", "memory at most"),
        rows=[_gpu_row(name, before, after, memory[1]) for name in names],
        notes=[
            f"up to {most} GPUs, {hours[1][0]:.0f} to {hours[1][1]:.0f} GPU-hours a month; "
            f"before up to {was}, {hours[0][0]:.0f} to {hours[0][1]:.0f}",
            *([f"up to {others} more in other stacks of the environment"] if others else []),
            *_untold(beside, grows=most > was),
        ],
        data={
            "before": {name: list(counts) for name, counts in sorted(before.items())},
            "after": {name: list(counts) for name, counts in sorted(after.items())},
            "gpu_hours_per_month": {"before": list(hours[0]), "after": list(hours[1])},
            "gpu_memory_gib_at_most": {"before": memory[0], "after": memory[1]},
            "limit": limit,
        },
        reasons=[
            Reason(
                rule=GPU_LIMIT,
                risk="high",
                message=message,
                fix="lower max_size or the limits of a pool, or raise the allowed number",
                blocks=context.config.production,
            )
        ]
        if over
        else [],
    )


def _at_most(counts: Mapping[str, tuple[int, int, int]]) -> int:
    return sum(each[2] for each in counts.values())


def _gpu_row(
    name: str,
    before: Mapping[str, tuple[int, int, int]],
    after: Mapping[str, tuple[int, int, int]],
    memory: Mapping[str, int],
) -> Row:
    was, becomes = before.get(name, (0, 0, 0)), after.get(name, (0, 0, 0))
    return Row(
        cells=(name, *map(str, becomes), str(was[2]), f"{memory.get(name, 0)} GiB"),
        risk="medium" if was != becomes else "low",
    )


def gpu_counts(resources: Sequence[Resource]) -> dict[str, tuple[int, int, int]]:
    """GPU product -> how many run at least, at first and at most, in nodes and endpoints."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for fleet in _standing(resources):
        facts = INSTANCE_TYPES.get(fleet.instance_type.removeprefix("ml."))
        if facts is not None and facts.gpus:
            for size in ("low", "expected", "high"):
                found[facts.gpu_name][size] += facts.gpus * getattr(fleet, size)
    return {name: (c["low"], c["expected"], c["high"]) for name, c in found.items()}


def gpu_memory_gib(resources: Sequence[Resource]) -> dict[str, int]:
    """GPU product -> the memory of all that could run at once."""
    found: Counter[str] = Counter()
    for fleet in _standing(resources):
        facts = INSTANCE_TYPES.get(fleet.instance_type.removeprefix("ml."))
        if facts is not None and facts.gpus:
            found[facts.gpu_name] += facts.gpus * fleet.high * facts.gpu_memory_mib
    return {name: mib // 1024 for name, mib in sorted(found.items())}


def gpu_hours(resources: Sequence[Resource]) -> tuple[float, float]:
    """GPU-hours a month of what is asked for, and of what could run."""
    counts = gpu_counts(resources).values()
    return (
        sum(count[1] for count in counts) * HOURS_PER_MONTH,
        sum(count[2] for count in counts) * HOURS_PER_MONTH,
    )


def _standing(resources: Sequence[Resource]) -> list[Fleet]:
    """Fleets that run by themselves; of a pool's types and markets, the one with most GPUs."""
    most: dict[str, Fleet] = {}
    for fleet in fleets(resources):
        if fleet.use not in ("node", "endpoint"):
            continue
        if fleet.name not in most or _gpus_of(most[fleet.name]) < _gpus_of(fleet):
            most[fleet.name] = fleet
    return list(most.values())


def _gpus_of(fleet: Fleet) -> int:
    facts = INSTANCE_TYPES.get(fleet.instance_type.removeprefix("ml."))
    return fleet.high * facts.gpus if facts else 0


def _undecided(unknown: Unknown) -> str:
    return f"cannot be told before the update: it depends on {unknown}"


def _usd(value: float) -> str:
    sign = "-" if value < 0 else ""
    return f"{sign}${abs(value):,.2f}"


def _short(token: str) -> str:
    return token.rpartition(":")[2]
