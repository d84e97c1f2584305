"""Layers, lengths and documents: what keeps the code base the shape that its design says."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from infra.errors import UserError
from stacks.docs import BLOCKS, Block
from tests.kits import imports as kit
from tests.kits.each import each, passing_on_nothing

ROOT = Path(__file__).parent.parent
ROOMS = ("infra", "stacks", "pipelines", "serving", "policies")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
HOSTILE = ROOT / "tests" / "hostile"
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if HOSTILE not in path.parents)

MODULE_LINES = 400
TEST_LINES = 500
FUNCTION_LINES = 50
HEAVY = ("sagemaker", "mlflow", "great_expectations", "pulumi_aws", "pandas", "sklearn", "moto")


def name_of(path: Path) -> str:
    return kit.name_of(path, ROOT)


NAMES = {name_of(path) for path in MODULES}


def ours(path: Path) -> set[str]:
    """The modules of ours that a file imports; a package only where no module of it is meant."""
    named = kit.imports(path.read_text()) & NAMES
    return named - {name.rpartition(".")[0] for name in named}


ALONE = ("pipelines.toolkit", "pipelines.stream", "serving")
"""Folders that run in containers and functions, and draw in nothing else of ours."""

STEP = re.compile(r"(pipelines\.\w+)\.steps\.\w+")
"""Programs of a workload, which draw in its package and the toolkit."""

FOUNDATION = {
    "infra.component",
    "infra.deploying",
    "infra.errors",
    "infra.instances",
    "infra.invocations",
    "infra.naming",
    "infra.nodes",
}


KNOWS_LOCAL = {
    "stacks.acceptance.answers": "asks an account what the local provider asks, by its rows",
    "stacks.commands.faults": "what fails on purpose is the local cloud alone",
    "stacks.commands.prices": "asks which resource types the table knows, as the estimate does",
    "stacks.commands.status": "`coverage` lists what the local cloud does, from its own tables",
    "stacks.review.replacements": "the tables say what AWS replaces; a review of any stack asks",
}
"""Modules outside `stacks/local/` and `stacks/targets/` that import the stand-ins, and why."""

KNOWS_TOOLS = ("stacks.commands", "stacks.local", "stacks.targets", "stacks.toolchain")


def together(module: str) -> tuple[str, ...]:
    """Folders that are where a module runs; none named if it runs where everything is."""
    if step := STEP.fullmatch(module):
        return (step[1], "pipelines.toolkit")
    return tuple(folder for folder in ALONE if f"{module}.".startswith(f"{folder}."))


def forbidden(module: str, imported: str) -> str | None:
    """Why one module of ours must not import another; None when it may."""
    room, target = module.split(".", maxsplit=1)[0], imported.split(".", maxsplit=1)[0]
    same_component = imported.split(".")[1:2] == module.split(".")[1:2]  # a package is one
    if room == "infra" and imported not in FOUNDATION and not same_component:
        return "a component knows no other room and no other component"
    if may := together(module):
        is_there = any(f"{imported}.".startswith(f"{folder}.") for folder in may)
        return None if is_there else "it runs elsewhere, without the rest"
    if room == "policies" and target != "policies":
        return "rules run in a process of their own"
    if target == "stacks" and room != "stacks":
        return "nothing below knows the stacks"
    return forbidden_in_stacks(module, imported)


def forbidden_in_stacks(module: str, imported: str) -> str | None:
    """The same for what only a few modules of stacks/ know."""
    if imported.startswith("stacks.local") and module not in KNOWS_LOCAL:
        knows = module.startswith(("stacks.local.", "stacks.targets."))
        return None if knows else "only the target knows what is local"
    if imported.startswith("stacks.toolchain") and not module.startswith(KNOWS_TOOLS):
        return "only commands and targets run tools"
    return None


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    module = name_of(path)
    wrong = {name: why for name in ours(path) if (why := forbidden(module, name))}
    assert not wrong


def test_only_the_settings_read_a_stack_file_and_nothing_reads_pulumi_config() -> None:
    users = [
        name_of(path) for path in MODULES if re.search(r"pulumi\.Config\b\(", path.read_text())
    ]
    assert users == []


def test_who_knows_the_stand_ins_still_does() -> None:
    """An exception that nobody needs any more is taken off the list."""
    for module in KNOWS_LOCAL:
        path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
        assert [name for name in ours(path) if name.startswith("stacks.local.")], module


def test_no_room_asks_which_environment_it_is() -> None:
    asking = re.compile(r"""env(ironment)? [!=]= ["'](prod|dev|staging)""")
    assert [name_of(path) for path in MODULES if asking.search(path.read_text())] == []


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=name_of)
def test_a_file_is_short_enough_to_read(path: Path) -> None:
    limit = TEST_LINES if path in TESTS else MODULE_LINES
    assert len(path.read_text().splitlines()) <= limit


SCRIPTS = sorted((ROOT / ".ci").glob("*.py"))


def long_functions(source: str) -> dict[str, int]:
    """Those with more lines than a function may have."""
    functions = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    return {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES}


@pytest.mark.parametrize("path", [*MODULES, *TESTS, *SCRIPTS], ids=name_of)
def test_a_function_is_short_enough_to_read(path: Path) -> None:
    assert long_functions(path.read_text()) == {}


def test_a_long_function_is_found_wherever_it_stands() -> None:
    body = "\n  pass" * FUNCTION_LINES
    source = f"def short(): {body[:-7]}\nclass A:\n def long(self):{body}"
    assert long_functions(source) == {"long": FUNCTION_LINES + 1}


def test_the_limits_look_at_every_room_and_every_script() -> None:
    assert {name_of(path).split(".")[0] for path in MODULES} == set(ROOMS)
    assert len(TESTS) > 100
    assert {path.name for path in SCRIPTS} >= {"comment.py", "release.py"}


FOUND_BY_WALKING = ROOT / "policies" / "rules" / "__init__.py"


def test_the_init_of_a_package_holds_its_docstring_alone() -> None:
    inits = [path for path in MODULES if path.name == "__init__.py" and path != FOUND_BY_WALKING]
    assert [path for path in each(inits) if len(ast.parse(path.read_text()).body) > 1] == []


def test_every_test_file_is_collected() -> None:
    with_tests = {
        path for path in TESTS if re.search(r"^(async )?def test_", path.read_text(), re.M)
    }
    assert {path.name for path in each(with_tests) if not path.name.startswith("test_")} == set()


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_no_test_passes_because_it_found_nothing(path: Path) -> None:
    assert passing_on_nothing(path.read_text()) == [], "put each(...) around what is looped over"


SOUND = (
    "for item in each(found()):\n  assert item",
    "for item in FIXED:\n  assert item",
    "for item in range(3):\n  assert item",
    "for item in [2 * number for number in FIXED]:\n  assert item",
    "assert [item.name for item in found()] == ['one']",
    "assert found()\n for item in found():\n  assert item",
)
EMPTY = (
    "for item in found():\n  assert item",
    "known = found()\n for item in known.values():\n  assert item",
    "for item in sorted(found()['items']):\n  assert item",
    "for one in FIXED:\n  for other in [item for item in one if item]:\n   assert other",
    "assert all(item.good for item in found())",
    "assert not [item for item in found().all if item.bad]",
    "assert {item for item in found() if item.bad} == set()",
)


@pytest.mark.parametrize("body", [*SOUND, *EMPTY])
def test_a_test_that_passes_on_an_empty_list_is_known_from_one_that_does_not(body: str) -> None:
    assert bool(passing_on_nothing(f"def test_it():\n {body}\n")) == (body in EMPTY)


def test_looping_over_each_of_nothing_fails() -> None:
    assert each(iter("ab")) == ["a", "b"]
    with pytest.raises(AssertionError, match="nothing was found"):
        each([])


def loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    "statement",
    ["import stacks.cli", "import pipelines.executor.run", "import stacks.local.daemon.client"],
)
def test_starting_up_loads_nothing_heavy(statement: str) -> None:
    assert loaded_after(statement) & {*HEAVY, "boto3", "pulumi", "pydantic"} == set()


def test_the_program_loads_none_of_the_pipeline_libraries() -> None:
    heavy = set(HEAVY) - {"pulumi_aws"}
    assert loaded_after("import stacks.program") & heavy == set()


def documented(name: str) -> list[str]:
    """The commands in the `sh` blocks of a document."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / name).read_text(), re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


DOCUMENTS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "policies/README.md")


def commands(documents: tuple[str, ...] = DOCUMENTS) -> list[str]:
    return [line for document in documents for line in documented(document)]


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_a_documented_command_exists(line: str) -> None:
    """plinth: its options are known; make: its target is; a file it names is there."""
    words = shlex.split(line, comments=True)
    if words[0] == "plinth":
        from stacks.cli import cli

        command = cli.commands[words[1]]
        options = {flag for item in command.params for flag in item.opts}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options
    elif words[0] == "make":
        makefile = (ROOT / "Makefile").read_text()
        targets = [word for word in words[1:] if "=" not in word]
        assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)
    else:
        assert words[0] in ("aws", "eval", "git", "pulumi", "python", "cd", ".venv/bin/python")


def commands_named(path: Path) -> set[str]:
    """The commands of `plinth` that the texts of a module tell a person to type."""
    nodes = ast.walk(ast.parse(path.read_text()))
    texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
    found = [re.findall(r"`plinth ([a-z][a-z-]+)", text) for text in texts if isinstance(text, str)]
    return {name for names in found for name in names}


def test_what_a_message_tells_a_person_to_type_exists() -> None:
    from stacks.cli import cli

    named = {name_of(path): commands_named(path) for path in MODULES}
    assert {"up", "verify", "approve"} <= set().union(*named.values())
    wrong = {module: names - set(cli.commands) for module, names in named.items()}
    assert {module: names for module, names in wrong.items() if names} == {}


def test_make_help_lists_every_target() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.findall(r"^  make (\w+) +\S", shown.stdout, re.M) == targets
    assert "docs" in targets


def test_a_document_names_files_that_exist() -> None:
    for document in [ROOT / name for name in DOCUMENTS]:
        links = re.findall(r"\]\(([^)#:]+)\)", document.read_text())
        assert [link for link in each(links) if not (document.parent / link).exists()] == []


GENERATED = [f"{block.document} {block.name}" for block in BLOCKS]
WITH_PARTS = (*DOCUMENTS, ".github/CODEOWNERS", ".gitlab-ci.yml")


@pytest.mark.parametrize("block", BLOCKS, ids=GENERATED)
def test_a_part_of_a_document_that_is_made_from_code_is_up_to_date(block: Block) -> None:
    assert block.shown() == block.made(), "run `make docs`"


def test_make_docs_writes_what_is_out_of_date_and_nothing_else(tmp_path: Path) -> None:
    """Into lines of its own and into the middle of one; a document without the place is refused."""
    blocks = [Block(document="a.md", name=name, made=lambda: "new") for name in ("table", "count")]
    text = "# A\n<!-- table -->\nold\nrows\n<!-- /table -->\n{} rules\n"
    (tmp_path / "a.md").write_text(text.format("<!-- count -->1<!-- /count -->"))
    assert [block.write(tmp_path) for block in blocks] == [True, True]
    assert [block.write(tmp_path) for block in blocks] == [False, False]
    written = "# A\n<!-- table -->\nnew\n<!-- /table -->\n<!-- count -->new<!-- /count --> rules\n"
    assert (tmp_path / "a.md").read_text() == written
    (tmp_path / "a.md").write_text(text)
    with pytest.raises(UserError, match=r"must hold <!-- count --> .* once, got 0"):
        blocks[1].write(tmp_path)


def test_every_part_that_a_document_says_is_made_is_made() -> None:
    """A pair of comments that nobody fills would keep what it held for ever."""
    found = {
        f"{name} {block}"
        for name in WITH_PARTS
        for block in re.findall(r"<!-- /([\w-]+) -->", (ROOT / name).read_text())
    }
    assert found == set(GENERATED)


def test_the_guard_of_every_pitfall_exists() -> None:
    """28 pitfalls, each with a test, a policy or a command by its name."""
    from policies.rules import RULES
    from stacks.cli import cli

    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| \d+ \|.*\|(.*)\|$", text, re.M)
    known = {name for path in TESTS for name in re.findall(r"def (test_\w+)", path.read_text())}
    known |= {rule.id for rule in RULES} | {f"plinth {name}" for name in cli.commands}
    guards = [set(re.findall(r"`([^`]+)`", row)) for row in rows]
    assert len(guards) == 28
    assert all(guards)
    assert set().union(*guards) - known == set()


def test_what_the_checkout_tracks_is_text_below_a_megabyte() -> None:
    """A wheel or an archive that somebody dropped here would be cloned for ever."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    named = each([name for name in listed.stdout.decode().split("\0") if (ROOT / name).is_file()])
    held = {name: (ROOT / name).read_bytes() for name in named}
    assert [name for name, content in held.items() if len(content) > 10**6] == []
    assert [name for name, content in held.items() if b"\0" in content] == []
