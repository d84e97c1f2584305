"""What keeps a test from passing because it found nothing to look at."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")

Node = ast.expr | None
TEST = (ast.FunctionDef, ast.AsyncFunctionDef)
LOOP = (ast.For, ast.AsyncFor)
COMPREHENSION = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
HANDS_ON = ("dict", "enumerate", "list", "reversed", "set", "sorted", "tuple", "zip")
"""Functions whose answer is empty where an argument is."""
VIEWS = ("items", "keys", "values")


def each(found: Iterable[T]) -> list[T]:
    """All that was found, to loop over; an empty collection fails the test."""
    items = list(found)
    assert items, "nothing was found, so nothing was tested"
    return items


def passing_on_nothing(source: str) -> list[str]:
    """The tests of a module of which every assertion holds when a call finds nothing.

    Such an assertion stands in a loop over a call or a comprehension, or says that all of them are
    so, or that none is otherwise. `each(...)` around the call makes it sound.
    """
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, TEST)]
    tests = [node for node in functions if node.name.startswith("test")]
    return [test.name for test in tests if _says_nothing(test)]


def _says_nothing(test: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    known = {
        node.targets[0].id: node.value
        for node in ast.walk(test)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    loops = [node for node in ast.walk(test) if isinstance(node, LOOP)]
    skipped = {
        inner
        for loop in loops
        if _may_be_empty(loop.iter, known)
        for inner in ast.walk(loop)
        if isinstance(inner, ast.Assert)
    }
    said = [node for node in ast.walk(test) if isinstance(node, ast.Assert)]
    return bool(said) and all(node in skipped or _holds_of_nothing(node, known) for node in said)


def _holds_of_nothing(said: ast.Assert, known: Mapping[str, ast.expr]) -> bool:
    """Whether it says `all(...)`, `not [...]`, `[...] == []` or the like of what may be empty."""
    found = next(_about_all(said.test), None)
    if not isinstance(found, COMPREHENSION):
        return False
    return any(_may_be_empty(part.iter, known) for part in found.generators)


def _about_all(test: ast.expr) -> Iterator[ast.expr]:
    match test:
        case ast.Call(func=ast.Name(id="all"), args=[found]):
            yield found
        case ast.UnaryOp(op=ast.Not(), operand=found):
            yield found
        case ast.Compare(left=found, ops=[ast.Eq()], comparators=[other]):
            if ast.unparse(other) in ("[]", "{}", "set()", "()"):
                yield found


def _may_be_empty(subject: Node, known: Mapping[str, ast.expr]) -> bool:
    """Whether nobody who reads the test can see that there is something in it."""
    match subject:
        case ast.Name(id=name):
            others = {key: value for key, value in known.items() if key != name}
            return _may_be_empty(known.get(name), others)
        case ast.Attribute(value=value) | ast.Subscript(value=value):
            return _may_be_empty(value, known)
        case ast.Call():
            return _answers_nothing(subject, known)
    if not isinstance(subject, COMPREHENSION):
        return False
    return any(part.ifs or _may_be_empty(part.iter, known) for part in subject.generators)


def _answers_nothing(call: ast.Call, known: Mapping[str, ast.expr]) -> bool:
    """Whether a call may answer with something empty: any may but a few."""
    match call.func:
        case ast.Name(id="each" | "range"):
            return False
        case ast.Name(id=name) if name in HANDS_ON:
            return any(_may_be_empty(part, known) for part in call.args)
        case ast.Attribute(attr=name, value=value) if name in VIEWS:
            return _may_be_empty(value, known)
    return True
