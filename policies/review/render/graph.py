"""Boxes and arrows in layers: what changes and what hangs on it, or the steps of a pipeline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from policies.review.model import StackChange
from policies.review.parts.blast_radius import dependents

NODES = 60
"""More boxes are no picture; what is left out is counted."""

LAYERS = 12

ALONE = 12
"""Of more boxes than these, one without an arrow tells less than the table below."""

TITLE = "What changes, and what hangs on it"
NAME, KIND = 23, 29
"""Characters that fit into a box, in a font that is wide."""

WIDTH, HEIGHT, GAP_X, GAP_Y = 210, 40, 70, 14


@dataclass(frozen=True, slots=True)
class Box:
    """What is drawn: a resource that changes, or a step."""

    id: str
    name: str
    type: str
    state: str
    """What happens to it; its class in the page, and in small letters in its box."""


@dataclass(frozen=True, slots=True)
class Node:
    """A box with its place in the drawing."""

    box: Box
    layer: int
    row: int


@dataclass(frozen=True, slots=True)
class Graph:
    """Boxes and arrows."""

    nodes: Sequence[Node]
    edges: Sequence[tuple[str, str]]
    hidden: int = 0
    """Boxes that were left out."""

    title: str = TITLE


def graph(change: StackChange) -> Graph:
    """Everything that changes, and what directly depends on it."""
    readers = dependents(item.resource for item in change.changes)
    changed = [item.urn for item in change.changed()]
    near = {reader for urn in changed for reader in readers.get(urn, ())} & change.by_urn.keys()
    wanted = [*changed, *sorted(near - set(changed))]
    total = len(wanted)
    if total > ALONE:
        joined = {urn for urn in changed for _ in readers.get(urn, ())} | near
        wanted = [urn for urn in wanted if urn in joined]
    kept = set(wanted[:NODES])
    edges = sorted((s, t) for s in kept for t in readers.get(s, ()) if t in kept and s != t)
    items = [change.by_urn[urn] for urn in wanted[:NODES]]
    boxes = [
        Box(item.urn, item.name, item.type.rpartition(":")[2], item.operation) for item in items
    ]
    return Graph(placed(boxes, edges), edges, total - len(boxes))


def placed(boxes: Sequence[Box], edges: Sequence[tuple[str, str]]) -> list[Node]:
    """Boxes in the layer of the longest way to them, one below the other."""
    layers, rows = _layers([box.id for box in boxes], edges), defaultdict[int, int](int)
    nodes = []
    for box in boxes:
        layer = layers[box.id]
        nodes.append(Node(box, layer, rows[layer]))
        rows[layer] += 1
    return nodes


def _layers(ids: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The longest way from a source; a cycle, which no engine would accept, ends the walk."""
    layers = dict.fromkeys(ids, 0)
    for _ in range(min(len(ids), LAYERS)):
        moved = False
        for source, target in edges:
            if layers[target] <= layers[source] < LAYERS - 1:
                layers[target] = layers[source] + 1
                moved = True
        if not moved:
            break
    return layers


def svg(found: Graph) -> str:
    """The drawing; its colours, for a light and a dark ground, are the page's."""
    if not found.nodes:
        return ""
    width = max(node.layer for node in found.nodes) * (WIDTH + GAP_X) + WIDTH + 4
    height = max(node.row for node in found.nodes) * (HEIGHT + GAP_Y) + HEIGHT + 4
    places = {node.box.id: _place(node) for node in found.nodes}
    lines = [_line(*places[source], *places[target]) for source, target in found.edges]
    boxes = [_box(node.box, *places[node.box.id]) for node in found.nodes]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{found.title}" '
        f'aria-details="drawn" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>'
        + "".join((*lines, *boxes))
        + "</svg>"
    )


def words(found: Graph) -> list[str]:
    """The drawing for those who do not see it: a line per box, and where its arrows go."""
    names = {node.box.id: node.box.name for node in found.nodes}
    targets: dict[str, list[str]] = defaultdict(list)
    for source, target in found.edges:
        targets[source].append(names[target])
    return [
        f"{box.state} {box.type} {box.name}"
        + (f"; on it hangs {', '.join(targets[box.id])}" if box.id in targets else "")
        for box in (node.box for node in found.nodes)
    ]


def _place(node: Node) -> tuple[int, int]:
    return node.layer * (WIDTH + GAP_X) + 2, node.row * (HEIGHT + GAP_Y) + 2


def _line(x1: int, y1: int, x2: int, y2: int) -> str:
    x1, y1, y2 = x1 + WIDTH, y1 + HEIGHT // 2, y2 + HEIGHT // 2
    bend = max(20, abs(x2 - x1) // 2)
    path = f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    return f'<path d="{path}" marker-end="url(#arrow)"/>'


def _box(box: Box, x: int, y: int) -> str:
    name, kind = (
        text if len(text) <= most else f"{text[: most - 1]}…"
        for text, most in ((box.name, NAME), (f"{box.state} {box.type}", KIND))
    )
    return (
        f'<g class="{box.state}"><title>{escape(f"{box.state} {box.type} {box.name}")}'
        f'</title><rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
        f'<text x="{x + 10}" y="{y + 17}">{escape(name)}</text>'
        f'<text class="kind" x="{x + 10}" y="{y + 32}">{escape(kind)}</text></g>'
    )
