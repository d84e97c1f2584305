"""What depends on what changes: the blast radius, and the endpoints and pipelines in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from policies.data import Resource
from policies.review.model import Change, Operation, StackChange
from policies.review.report import Context, Row, Section

REACHED = {
    "aws:sagemaker/endpoint:Endpoint": "endpoint",
    "aws:sagemaker/pipeline:Pipeline": "pipeline",
    "aws:sagemaker/featureGroup:FeatureGroup": "feature group",
    "aws:eks/cluster:Cluster": "cluster",
}
"""What people ask about first."""

DISTURBING: tuple[Operation, ...] = ("delete", "replace", "update")


def part(change: StackChange, context: Context) -> Section | None:
    """One row per disturbing change, with how much hangs on it."""
    del context
    sources = [item for item in change.of(*DISTURBING) if not item.retags]
    if not sources:
        return None
    readers = dependents(item.resource for item in change.changes)
    reached = {item.urn: reach(item.urn, readers) for item in sources}
    rows = [
        _row(item, reached[item.urn], change) for item in change.changed() if item.urn in reached
    ]
    rows = [row for row in rows if row.cells[2] != "0"]
    everything = set().union(*reached.values())
    if not everything:
        return None
    named = _named(everything | {item.urn for item in sources}, change)
    return Section(
        id="blast",
        title="Blast radius",
        columns=("operation", "resource", "resources behind it", "among them"),
        rows=rows,
        notes=[_sentence(len(everything), named)],
        folded=True,
        data={
            "resources": len(everything),
            "reached": {kind: sorted(names) for kind, names in sorted(named.items())},
            "by_source": {urn: sorted(urns) for urn, urns in sorted(reached.items()) if urns},
            "edges": sorted(
                [source, target]
                for source, targets in readers.items()
                for target in targets
                if source in everything | reached.keys()
            ),
        },
    )


def dependents(resources: Iterable[Resource]) -> Mapping[str, set[str]]:
    """URN -> the URNs of the resources that use its outputs or stand inside it."""
    found: dict[str, set[str]] = defaultdict(set)
    for resource in resources:
        for urns in resource.dependencies.values():
            for urn in urns:
                found[urn].add(resource.urn)
        if resource.parent:
            found[resource.parent].add(resource.urn)
    return found


def reach(urn: str, readers: Mapping[str, set[str]]) -> set[str]:
    """Everything behind a resource, itself not counted."""
    seen: set[str] = set()
    todo = [urn]
    while todo:
        for reader in readers.get(todo.pop(), ()):
            if reader not in seen and reader != urn:
                seen.add(reader)
                todo.append(reader)
    return seen


def _row(item: Change, reached: set[str], change: StackChange) -> Row:
    named = _named(reached, change)
    kinds = Counter(
        change.by_urn[urn].type.rpartition(":")[2] for urn in reached & change.by_urn.keys()
    )
    common = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), key=_often)[:3])
    among = "; ".join(f"{kind} {', '.join(sorted(names))}" for kind, names in sorted(named.items()))
    return Row(
        cells=(item.operation, item.name, str(len(reached)), among or common),
        risk="medium" if named else "low",
        urn=item.urn,
        source=item.source,
    )


def _often(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _named(urns: Iterable[str], change: StackChange) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for urn in urns:
        item = change.by_urn.get(urn)
        if item is not None and item.type in REACHED:
            found[REACHED[item.type]].add(item.name)
    return found


def _sentence(count: int, named: Mapping[str, set[str]]) -> str:
    behind = f"{count} {'resource' if count == 1 else 'resources'} behind the changes"
    if not named:
        return f"{behind}; no endpoint and no pipeline among them"
    reached = "; ".join(
        f"{kind}: {', '.join(sorted(names))}" for kind, names in sorted(named.items())
    )
    return f"{behind}. Reached: {reached}"
