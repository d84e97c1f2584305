"""Which module of ours imports which, as the source says it, and where that goes in a circle."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

Graph = Mapping[str, Collection[str]]


def name_of(path: Path, root: Path) -> str:
    """A module's name, from its path below the root."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(source: str, *, types: bool = True) -> set[str]:
    """Every module that a source imports, at the top or inside a function; `from a import b` is
    `a` and `a.b`, of which one exists. Without `types`: only what is imported at run time.
    """
    found: set[str] = set()
    for node in _nodes(ast.parse(source), types=types):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _nodes(node: ast.AST, *, types: bool) -> Iterator[ast.AST]:
    """The node and what is inside, without `if TYPE_CHECKING:` where types do not count."""
    yield node
    for child in ast.iter_child_nodes(node):
        only_types = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        if types or not only_types:
            yield from _nodes(child, types=types)


def graph(modules: Mapping[str, str], *, types: bool = True) -> dict[str, set[str]]:
    """Module -> the modules among them that it imports; `modules` are their sources by name.

    A package whose module is imported is not meant itself.
    """
    found = {}
    for name, source in modules.items():
        named = imports(source, types=types) & modules.keys()
        packages = {other.rpartition(".")[0] for other in named}
        found[name] = named - packages - {name}
    return found


def folders(found: Graph, depth: int) -> dict[str, set[str]]:
    """The same between folders, by the first parts of the modules' names."""
    between: dict[str, set[str]] = {}
    for module, imported in found.items():
        own = ".".join(module.split(".")[:depth])
        others = {".".join(name.split(".")[:depth]) for name in imported}
        between.setdefault(own, set()).update(others - {own})
    return between


def circles(found: Graph) -> list[list[str]]:
    """Groups of modules of which each reaches every other, sorted; none where there is an order."""
    reached = {name: _reached(name, found) for name in found}
    groups = {
        tuple(sorted(other for other in reached[name] if name in reached.get(other, ())))
        for name in found
        if name in reached[name]
    }
    return [list(group) for group in sorted(groups)]


def _reached(name: str, found: Graph) -> set[str]:
    seen: set[str] = set()
    left = list(found.get(name, ()))
    while left:
        module = left.pop()
        if module not in seen:
            seen.add(module)
            left += found.get(module, ())
    return seen
