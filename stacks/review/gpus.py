"""How many GPUs could run, and the most that may, whatever type of resource starts them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from infra.instances import INSTANCE_TYPES
from policies.data import Resource, Unknown
from policies.review.model import StackChange
from policies.review.report import Context, Reason, Row, Section
from stacks.sizing.fleets import (
    ENDPOINT,
    ENDPOINT_CONFIGURATION,
    NODE_GROUP,
    NODE_POOL,
    PIPELINE,
    SCALABLE_TARGET,
    Fleet,
    fleets,
)

GPU_LIMIT = "FO-004"
HOURS_PER_MONTH = 730

ALONE = (
    "what other stacks of the environment need is not counted here, though its limits hold for all "
    "of them: a review without --digest counts it"
)

Beside = Sequence[Sequence[Resource]] | None
"""What each other stack of the environment registers; None where nobody looked."""


def untold(beside: Beside, *, grows: bool) -> list[str]:
    """Says that a limit was held against a part of what it is for."""
    return [ALONE] if beside is None and grows else []


def undecided(unknown: Unknown) -> str:
    return f"cannot be told before the update: it depends on {unknown}"


def gpus_of(change: StackChange, context: Context, limit: int, beside: Beside) -> Section | None:
    try:
        before, after = (gpu_counts(side) for side in (change.before(), change.after()))
        others = sum(_at_most(gpu_counts(side)) for side in beside or ())
        hours = [gpu_hours(side) for side in (change.before(), change.after())]
        memory = [gpu_memory_gib(side) for side in (change.before(), change.after())]
    except Unknown as unknown:
        return Section(id="gpus", title="GPUs", notes=[undecided(unknown)])
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
            *untold(beside, grows=most > was),
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
    for name, count in _elsewhere(resources):
        for size in ("low", "expected", "high"):
            found[INSTANCE_TYPES[name].gpu_name][size] += INSTANCE_TYPES[name].gpus * count
    return {name: (c["low"], c["expected"], c["high"]) for name, c in found.items()}


IN_FLEETS = (
    *(NODE_GROUP, NODE_POOL, ENDPOINT, ENDPOINT_CONFIGURATION, SCALABLE_TARGET, PIPELINE),
    "aws:ec2/launchTemplate:LaunchTemplate",
    "aws:sagemaker/model:Model",
)
"""Types whose instances are counted by what they belong to."""

COUNTS = ("instanceCount", "initialInstanceCount", "desiredCapacity", "maxSize", "count")


def _elsewhere(resources: Sequence[Resource]) -> Iterator[tuple[str, int]]:
    """Instance type with GPUs and how many, of whatever other type has one among its inputs."""
    for resource in resources:
        if resource.type.startswith("aws") and resource.type not in IN_FLEETS:
            yield from _with_gpus(resource.inputs.value)


def _with_gpus(value: object) -> Iterator[tuple[str, int]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            name = item.removeprefix("ml.") if isinstance(item, str) else ""
            if str(key).lower().endswith("instancetype") and name in INSTANCE_TYPES:
                if INSTANCE_TYPES[name].gpus:
                    numbers = [value.get(count) for count in COUNTS]
                    yield name, next((n for n in numbers if isinstance(n, int)), 1)
            elif not isinstance(item, str):
                yield from _with_gpus(item)
    elif isinstance(value, list):
        for item in value:
            yield from _with_gpus(item)


def gpu_memory_gib(resources: Sequence[Resource]) -> dict[str, int]:
    """GPU product -> the memory of all that could run at once."""
    found: Counter[str] = Counter()
    for fleet in _standing(resources):
        facts = INSTANCE_TYPES.get(fleet.instance_type.removeprefix("ml."))
        if facts is not None and facts.gpus:
            found[facts.gpu_name] += facts.gpus * fleet.high * facts.gpu_memory_mib
    for each, count in _elsewhere(resources):
        facts = INSTANCE_TYPES[each]
        found[facts.gpu_name] += facts.gpus * count * facts.gpu_memory_mib
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
