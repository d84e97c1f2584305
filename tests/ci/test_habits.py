"""What a repository needs around its code: owners, hooks, updates, templates, a wheel."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet
from ruamel.yaml import YAML

from pipelines.workload import find
from tests.kits.each import each

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def loaded(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text())


def tracked() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return each(done.stdout.splitlines())


def owned() -> list[tuple[str, list[str]]]:
    """Pattern and owners of each line, the last first: that is how GitHub looks."""
    lines = (GITHUB / "CODEOWNERS").read_text().splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]
    return [(pattern, owners) for pattern, *owners in reversed(words)]


def fits(pattern: str, path: str) -> bool:
    if pattern == "*":
        return True
    start = pattern.removeprefix("/")
    return path.startswith(start) if start.endswith("/") else fnmatch(path, start)


def owners_of(path: str) -> list[str]:
    return next(owners for pattern, owners in owned() if fits(pattern, path))


def test_every_line_of_the_code_owners_is_about_a_file_and_names_somebody() -> None:
    files = tracked()
    assert len(owned()) > 10
    assert [p for p, _ in owned() if not any(fits(p, file) for file in files)] == []
    assert {owner.partition("/")[0] for _, owners in owned() for owner in owners} == {"@example"}
    assert all(owners for _, owners in owned())


@pytest.mark.parametrize("name", sorted(find()))
def test_a_workload_is_its_owners_in_every_environment(name: str) -> None:
    team = [f"@example/{find()[name].owner}"]
    assert owners_of(f"pipelines/{name}/workload.py") == team
    assert owners_of(f"stacks/environments/Pulumi.prod.{name}.yaml") == team


def test_layers_rules_and_ci_have_their_owners() -> None:
    security = "@example/security"
    assert security in owners_of("stacks/environments/Pulumi.dev.foundation.yaml")
    assert security not in owners_of("stacks/environments/Pulumi.dev.cluster.yaml")
    assert security in owners_of("policies/rules/cost.py")
    assert owners_of("policies/exemptions.yaml") == [security]
    assert security in owners_of(".github/workflows/deploy.yml")
    assert owners_of("infra/network.py") == ["@example/ml-platform"]


def test_the_hooks_are_the_commands_of_make_check() -> None:
    makefile = (ROOT / "Makefile").read_text()
    [recipe] = re.findall(r"^check:.*\n((?:\t.*\n)+)", makefile, re.M)
    [repository] = loaded(ROOT / ".pre-commit-config.yaml")["repos"]
    hooks = repository["hooks"]
    assert [hook["entry"] for hook in hooks] == [line.strip() for line in recipe.splitlines()]
    assert {(hook["language"], hook["pass_filenames"]) for hook in hooks} == {("system", False)}


def test_actions_and_packages_are_kept_up_to_date() -> None:
    updates = loaded(GITHUB / "dependabot.yml")["updates"]
    assert {update["package-ecosystem"] for update in updates} == {"github-actions", "pip"}


def test_a_person_who_opens_an_issue_is_asked_what_we_need() -> None:
    forms = [path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config"]
    assert {path.stem for path in forms} == {"bug", "feature"}
    for path in forms:
        form = loaded(path)
        assert {"name", "description", "body"} <= form.keys()
        ids = [part["id"] for part in form["body"] if part["type"] != "markdown"]
        assert len(ids) == len(set(ids)) >= 3
        assert any(part.get("validations", {}).get("required") for part in form["body"])


def pythons() -> list[str]:
    """The oldest, of the job that runs the main path with it, and the newest of the whole suite."""
    jobs = loaded(GITHUB / "workflows" / "test.yml")["jobs"]
    oldest = jobs["oldest"]["container"].removeprefix("python:").partition("-")[0]
    lower, newest = jobs["test"]["strategy"]["matrix"]["python"]
    assert oldest.startswith(f"{lower}.")
    return [oldest, newest]


def test_the_oldest_python_of_the_tests_is_the_one_that_is_promised() -> None:
    oldest, newest = pythons()
    assert SpecifierSet(PYPROJECT["project"]["requires-python"]) == SpecifierSet(f">={oldest}")
    assert PYPROJECT["tool"]["mypy"]["python_version"] == oldest.rpartition(".")[0]
    assert tuple(map(int, newest.split("."))) > tuple(map(int, oldest.split(".")))


@pytest.mark.parametrize("python", pythons())
def test_no_package_of_the_lock_refuses_a_python_of_the_tests(python: str) -> None:
    asked = {found.metadata["Name"]: found.metadata["Requires-Python"] for found in distributions()}
    assert len(asked) > 100
    refusing = {
        name for name, wanted in asked.items() if wanted and python not in SpecifierSet(wanted)
    }
    assert refusing == set()


def test_the_wheel_installs_the_rooms_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*command, "--directory", tmp_path], cwd=ROOT, capture_output=True, check=True)
    [wheel] = tmp_path.glob("*.whl")
    version = PYPROJECT["project"]["version"]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    rooms = {"infra", "stacks", "pipelines", "serving", "policies"}
    assert {name.partition("/")[0] for name in names} == {*rooms, f"plinth-{version}.dist-info"}
    assert "stacks/environments/dev.yaml" in names, "data goes with the code"
