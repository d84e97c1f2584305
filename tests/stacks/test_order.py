"""The order inside `stacks/`: who imports whom, who knows what is local; who knows a workload."""

from __future__ import annotations

import ast
import re

import pytest

from pipelines.workload import find
from stacks.paths import ROOT
from tests.kits.imports import circles, folders, graph, name_of

ROOMS = ("infra", "stacks", "serving", "policies")
"""Rooms that know no workload; `pipelines/` is made of them."""

SOURCES = {
    name_of(path, ROOT): path.read_text() for path in sorted((ROOT / "stacks").rglob("*.py"))
}
IMPORTS = graph(SOURCES)

SIDES = ("keeping", "provider", "aws", "kubernetes", "runtime")
"""Of the local cloud: each may import those after it. `daemon` may import all."""


def side(module: str) -> str | None:
    """The side of the local cloud that a module belongs to."""
    parts = module.split(".")
    return parts[2] if parts[:2] == ["stacks", "local"] and len(parts) > 2 else None


def is_out_of_order(module: str, imported: str) -> bool:
    own, other = side(module), side(imported)
    if own is None or other is None or own in ("daemon", other):
        return False
    return other == "daemon" or SIDES.index(own) > SIDES.index(other)


def test_the_sides_of_the_local_cloud_import_each_other_in_one_order() -> None:
    pairs = [(module, other) for module, found in IMPORTS.items() for other in found]
    between = {(side(module), side(other)) for module, other in pairs}
    assert {("daemon", "aws"), ("aws", "runtime")} <= between, "they were looked at"
    assert [pair for pair in pairs if is_out_of_order(*pair)] == []


def test_every_side_of_the_local_cloud_has_its_place_in_the_order() -> None:
    assert {side(module) for module in SOURCES} == {None, "daemon", *SIDES}


@pytest.mark.parametrize(
    ("module", "imported", "wrong"),
    [
        ("provider.backend", "aws.app", False),
        ("aws.app", "provider.backend", True),
        ("runtime.jobs", "kubernetes.client", True),
        ("aws.app", "daemon.main", True),
        ("daemon.main", "runtime.jobs", False),
        ("aws.sagemaker.api", "aws.app", False),
    ],
)
def test_an_import_against_the_order_is_known(module: str, imported: str, wrong: bool) -> None:
    assert is_out_of_order(f"stacks.local.{module}", f"stacks.local.{imported}") == wrong


FOR_TYPES = {
    ("stacks.review", "stacks.commands"): "a command hands down what shows its progress",
    ("stacks.targets", "stacks.commands"): "a command hands down what shows its progress",
}
"""Folders of which one names types of another that imports it, and why; never at run time."""


def test_no_modules_of_stacks_import_each_other_in_a_circle() -> None:
    assert len(SOURCES) > 150
    assert circles(IMPORTS) == []


def test_no_folders_of_stacks_import_each_other_in_a_circle() -> None:
    for depth in (2, 3):
        assert circles(folders(graph(SOURCES, types=False), depth)) == []


def test_types_go_in_a_circle_only_where_a_reason_is_given() -> None:
    between = folders(IMPORTS, 2)
    for one, other in FOR_TYPES:
        between[one] = between[one] - {other}
    assert circles(between) == []
    assert [pair for pair in FOR_TYPES if pair[1] not in folders(IMPORTS, 2)[pair[0]]] == []


def test_a_circle_is_found_however_long_it_is() -> None:
    found = {"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a", "e"], "e": ["e"], "f": []}
    assert circles(found) == [["a", "b", "c"], ["e"]]
    sources = {"a": "from a.b import c", "a.b": "import a.b.d", "a.b.d": "def f():\n import a.b"}
    assert graph(sources) == {"a": {"a.b"}, "a.b": {"a.b.d"}, "a.b.d": {"a.b"}}
    typed = {"x": "if TYPE_CHECKING:\n    import y", "y": "import x"}
    assert circles(graph(typed)) == [["x", "y"]]
    assert circles(graph(typed, types=False)) == []


def asks_whether_local(source: str) -> bool:
    """Whether something is compared with the name of the local environment, or looked up in it."""
    compared = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Compare))
    cases = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.match_case))
    parts = [part for node in compared for part in (node.left, *node.comparators)]
    parts += [
        node for case in cases for node in ast.walk(case.pattern) if isinstance(node, ast.expr)
    ]
    names = {word for part in parts for word in re.findall(r"\w+|'local'", ast.unparse(part))}
    return bool(names & {"LOCAL", "'local'"})


def test_only_targets_and_the_local_cloud_ask_what_is_local() -> None:
    asking = {module for module, source in SOURCES.items() if asks_whether_local(source)}
    assert "stacks.targets.target" in asking, "target_of does"
    allowed = ("stacks.targets.", "stacks.local.")
    assert [module for module in asking if not module.startswith(allowed)] == []


@pytest.mark.parametrize(
    ("source", "asks"),
    [
        ("if env == 'local': pass", True),
        ("x = stack.env != LOCAL", True),
        ("x = names.LOCAL == env", True),
        ("if env in ('local', 'dev'): pass", True),
        ("match env:\n case 'local': pass", True),
        ("env = 'local'", False),
        ("if env == 'locally': pass", False),
    ],
)
def test_a_question_whether_something_is_local_is_known(source: str, asks: bool) -> None:
    assert asks_whether_local(source) == asks


def spellings(workload: str) -> str:
    """A pattern of a workload's name in code, in AWS and as a class."""
    parts = workload.split("_")
    return "|".join(["[-_]?".join(parts), "".join(part.title() for part in parts)])


def names_a_workload(text: str) -> list[str]:
    """The workloads that a text names."""
    return [
        name for name in find() if re.search(rf"(?i)(?<![a-z])({spellings(name)})(?![a-z])", text)
    ]


def test_no_room_but_pipelines_names_a_workload() -> None:
    """A name stands in its package, the environments' files, tests, and examples of prose."""
    files = [
        path
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != "README.md"
        if path.parent.name != "environments" and path.parent.parent.name != "environments"
    ]
    assert len(files) > 400
    wrong = {
        path.relative_to(ROOT): names_a_workload(path.read_text(errors="ignore")) for path in files
    }
    assert {str(path): names for path, names in wrong.items() if names} == {}


def test_a_workloads_name_is_known_however_it_is_spelt() -> None:
    names = list(find())
    assert len(names) >= 3
    for name in names:
        for spelt in (name, name.replace("_", "-"), name.upper(), name.title().replace("_", "")):
            assert names_a_workload(f"plinth-dev-{spelt}-job") == [name]
    assert names_a_workload("an unrelated sentence about models") == []
