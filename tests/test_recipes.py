"""Every recipe of CONTRIBUTING.md, followed in a copy of the checkout: it takes no other file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.conftest import ROOT, copy_checkout
from tests.kits.recipes import EXAMPLES

MOST_BY_HAND = 2
NAME = "sales"
"""Of the workload that is made."""


@dataclass(frozen=True)
class Recipe:
    """What one of the document's sections says."""

    by_hand: Sequence[str]
    """Patterns of the files that a person writes."""

    commands: Sequence[str]
    made: Sequence[str]
    """Patterns of the files that the commands write."""


def recipes() -> dict[str, Recipe]:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    found = re.findall(r"^## (Add [^\n]*)\n(.*?)(?=^##? )", text, re.M | re.S)
    return {title: recipe(section) for title, section in found}


def recipe(section: str) -> Recipe:
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S)
    made = re.search(r"^Made: (.*?\.)$", section, re.M | re.S)
    return Recipe(
        by_hand=[pattern(name) for name in re.findall(r"^\d\. `([^`]+)`", section, re.M)],
        commands=[line for block in blocks for line in block.splitlines()],
        made=[pattern(name) for name in re.findall(r"`([^`]+)`", made[1] if made else "")],
    )


def pattern(name: str) -> str:
    """A path of the document, `infra/<name>.py`, as one for fnmatch."""
    return re.sub(r"<\w+>", "*", name)


RECIPES = recipes()


def test_every_recipe_has_an_example_and_few_files() -> None:
    assert RECIPES.keys() == EXAMPLES.keys()
    assert {title for title, one in RECIPES.items() if len(one.by_hand) > MOST_BY_HAND} == set()
    assert [title for title, one in RECIPES.items() if not one.by_hand] == ["Add a workload"]


@dataclass(frozen=True)
class Scratch:
    """A copy of the checkout under git."""

    root: Path

    def run(self, *command: str) -> str:
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        own = {"PYTHONPATH": str(self.root), "PLINTH_HOME": str(self.root / ".plinth")}
        done = subprocess.run(
            command, cwd=self.root, env=kept | own, capture_output=True, text=True, check=False
        )
        said = f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
        assert done.returncode == 0, f"{' '.join(command)}\n{said}"
        return done.stdout

    def python(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", *arguments)

    def changed(self) -> set[str]:
        """Every file that is not as it was committed."""
        listed = self.run("git", "status", "--porcelain", "--untracked-files=all")
        return {line[3:] for line in listed.splitlines()}


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Scratch:
    scratch = Scratch(tmp_path_factory.mktemp("recipes"))
    copy_checkout(scratch.root)
    author = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    scratch.run("git", "init", "--quiet")
    scratch.run("git", "add", "--all")
    scratch.run("git", *author, "commit", "--quiet", "--message", "As it is")
    return scratch


@pytest.fixture
def scratch(copied: Scratch) -> Iterator[Scratch]:
    yield copied
    copied.run("git", "reset", "--quiet", "--hard")
    copied.run("git", "clean", "--quiet", "--force", "-d")


TYPED = {
    "make docs": ["stacks.docs"],
    "plinth workload new NAME": ["stacks.cli", "workload", "new", NAME],
}
"""Commands of the recipes and the module that each runs; pytest comes last, with the checks."""

PYTEST = ("pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "--accept")


@pytest.mark.parametrize("title", EXAMPLES)
def test_a_recipe_names_every_file_that_it_takes(title: str, scratch: Scratch) -> None:
    example, said = EXAMPLES[title], RECIPES[title]
    example.write(scratch.root)
    for line in said.commands:
        if " pytest " not in line:
            scratch.python(*TYPED[line])
    scratch.python(*PYTEST, *example.checks)
    changed = scratch.changed()
    modules = sorted(name for name in changed if name.endswith(".py"))
    scratch.python("ruff", "check", *modules)
    scratch.python("ruff", "format", "--check", *modules)
    by_hand = example.written.keys()
    assert changed >= by_hand
    assert {name for name in by_hand if not fits(name, said.by_hand)} == set()
    assert {name for name in changed - by_hand if not fits(name, said.made)} == set()


def fits(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, one) for one in patterns)


def test_a_file_that_no_recipe_names_is_noticed(scratch: Scratch) -> None:
    (scratch.root / "infra" / "more.py").touch()
    (scratch.root / "README.md").write_text("changed")
    assert scratch.changed() == {"infra/more.py", "README.md"}
    rule = RECIPES["Add a rule"]
    assert fits("README.md", rule.made)
    assert not fits("infra/more.py", [*rule.made, *rule.by_hand])
