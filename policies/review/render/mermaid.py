"""The drawing as a Mermaid flowchart, which GitHub and GitLab draw inside a comment.

A name must not be able to end its label, start another line or style the picture: whatever is
neither a letter, a digit nor plain punctuation becomes a `?`.
"""

from __future__ import annotations

from policies.review.render.graph import Graph

NODES = 40
"""More boxes cannot be read in a comment."""

NAME = 40
"""Characters of a name that a box shows."""

PLAIN = frozenset(" ._-+/")

STYLES: dict[str, str] = {
    "delete": "fill:mistyrose,stroke:darkred,color:darkred",
    "replace": "fill:mistyrose,stroke:darkred,color:darkred",
    "update": "fill:cornsilk,stroke:saddlebrown,color:saddlebrown",
    "create": "fill:honeydew,stroke:darkgreen,color:darkgreen",
    "same": "fill:whitesmoke,stroke:dimgray,color:dimgray",
}
"""By names of CSS colours: a `#` and digits would be read as an issue's number."""


def render(found: Graph) -> str:
    """The flowchart; nothing where no box hangs on another."""
    nodes = found.nodes[:NODES]
    places = {node.box.id: f"n{index}" for index, node in enumerate(nodes)}
    edges = [(s, t) for s, t in found.edges if s in places and t in places]
    if not edges:
        return ""
    used = sorted({node.box.state for node in nodes})
    return "\n".join(
        [
            "flowchart LR",
            *(
                f'  {places[node.box.id]}["{label(f"{node.box.state} {node.box.type}")}'
                f' / {label(node.box.name)}"]:::{node.box.state}'
                for node in nodes
            ),
            *(f"  {places[source]} --> {places[target]}" for source, target in edges),
            *(f"  classDef {operation} {STYLES[operation]}" for operation in used),
        ]
    )


def hidden(found: Graph) -> int:
    """Resources that the flowchart leaves out."""
    return found.hidden + len(found.nodes[NODES:])


def label(text: str) -> str:
    """Text that stays text, inside quotes and on one line."""
    shown = "".join(c if c.isalnum() or c in PLAIN else "?" for c in text)
    return shown if len(shown) <= NAME else f"{shown[: NAME - 3]}..."
