"""QueryLineage: what leads to an entity and what comes of it, along associations.

Source: SageMaker API reference, QueryLineage, QueryFilters; developer guide, "Querying Lineage
Entities". With IncludeEdges the answer holds the way to what fits the filters, without it that
alone.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.crud import as_time, paged
from stacks.local.aws.sagemaker.errors import invalid
from stacks.local.aws.sagemaker.lineage import ASSOCIATION, LINEAGE_TYPES, entity, type_of
from stacks.local.aws.sagemaker.resource_type import Request
from stacks.local.aws.store import Resource

Answer = dict[str, Any]
Edge = Mapping[str, str]

DEPTH = 10
"""MaxDepth where a request says none (API reference: the default is 10)."""

KINDS = {kind: name for name, kind in LINEAGE_TYPES.items()}
STARTS = 1
"""How many StartArns a query may have (API reference: at most 1)."""


def query(emulator: Emulator, request: Request) -> Answer:
    """Vertices and edges that can be reached from the start."""
    starts = [entity(emulator, arn) for arn in request.get("StartArns", ())]
    if not starts and "Filters" not in request:
        raise invalid("a query must have StartArns or Filters")
    wanted = request.get("Filters", {})
    everything = {
        item.arn: item for kind in LINEAGE_TYPES.values() for item in emulator.store.all(kind)
    }
    edges = [
        item.fields
        for item in emulator.store.all(ASSOCIATION)
        if everything.keys() >= {item.fields["SourceArn"], item.fields["DestinationArn"]}
    ]
    if not starts:
        found = {arn for arn, item in everything.items() if _fits(item, wanted)}
        return _answer(everything, found, (), request)
    begun = {item.arn for item in starts}
    walked: list[Edge] = []
    for source, destination in _ways(request):
        walked += _walk(begun, edges, source, destination, request.get("MaxDepth", DEPTH))
    ends = {edge[end] for edge in walked for end in ("SourceArn", "DestinationArn")}
    found = {arn for arn in ends - begun if _fits(everything[arn], wanted)}
    if not request.get("IncludeEdges", True):
        return _answer(everything, found, (), request)
    kept = _leading(walked, begun, found)
    on_the_way = {edge[end] for edge in kept for end in ("SourceArn", "DestinationArn")}
    return _answer(everything, on_the_way | begun, kept, request)


def _ways(request: Request) -> list[tuple[str, str]]:
    """From which end of an association to which one goes."""
    down, up = ("SourceArn", "DestinationArn"), ("DestinationArn", "SourceArn")
    told = {"Descendants": [down], "Ascendants": [up], "Both": [down, up]}
    return told[request.get("Direction", "Both")]


def _walk(
    begun: Iterable[str], edges: Iterable[Edge], here: str, there: str, depth: int
) -> list[Edge]:
    """Edges within a number of steps, in one direction."""
    leaving: dict[str, list[Edge]] = {}
    for edge in edges:
        leaving.setdefault(edge[here], []).append(edge)
    waiting, seen, walked = deque((arn, 0) for arn in begun), set(begun), []
    while waiting:
        arn, steps = waiting.popleft()
        for edge in leaving.get(arn, ()) if steps < depth else ():
            walked.append(edge)
            if edge[there] not in seen:
                seen.add(edge[there])
                waiting.append((edge[there], steps + 1))
    return walked


def _leading(walked: list[Edge], begun: set[str], found: set[str]) -> list[Edge]:
    """Edges on a way between the start and what fits."""
    kept: list[Edge] = []
    for here, there in (("SourceArn", "DestinationArn"), ("DestinationArn", "SourceArn")):
        out = _walk(begun, walked, here, there, len(walked))
        back = _walk(found, out, there, here, len(out))
        kept += [edge for edge in back if edge not in kept]
    return kept


def _fits(item: Resource, wanted: Request) -> bool:
    """Whether an entity is what the filters ask for."""
    has = item.fields.get("Properties", {})
    bounds: tuple[tuple[str, Callable[[Any], bool]], ...] = (
        ("CreatedBefore", lambda moment: item.created < moment),
        ("CreatedAfter", lambda moment: item.created > moment),
        ("ModifiedBefore", lambda moment: item.modified < moment),
        ("ModifiedAfter", lambda moment: item.modified > moment),
    )
    return (
        type_of(item) in wanted.get("Types", (type_of(item),))
        and KINDS[item.kind] in wanted.get("LineageTypes", (KINDS[item.kind],))
        and all(has.get(name) == value for name, value in wanted.get("Properties", {}).items())
        and all(holds(as_time(wanted[name])) for name, holds in bounds if name in wanted)
    )


def _answer(
    everything: Mapping[str, Resource], found: set[str], edges: Iterable[Edge], request: Request
) -> Answer:
    rows = [
        {"Arn": item.arn, "Type": type_of(item), "LineageType": KINDS[item.kind]}
        for item in everything.values()
        if item.arn in found
    ]
    told = ("SourceArn", "DestinationArn", "AssociationType")
    shown = [{name: edge[name] for name in told if name in edge} for edge in edges]
    return {**paged("Vertices", rows, request), "Edges": shown}
