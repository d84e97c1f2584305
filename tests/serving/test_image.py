"""The image, read as text: there is no container engine to build it with."""

import ast
import os
import re
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DOCKERFILE = REPOSITORY / "serving" / "Dockerfile"
REQUIREMENTS = REPOSITORY / "serving" / "image" / "requirements.in"
IN_THE_IMAGE = ("serving", "pipelines/steps")


def instructions(text: str) -> list[tuple[str, str]]:
    """Instruction and arguments per logical line."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    logical = re.sub(r"\\\n", " ", "\n".join(lines)).splitlines()
    pairs = (line.strip().partition(" ") for line in logical if line.strip())
    return [(word.upper(), rest.strip()) for word, _, rest in pairs]


def faults(text: str) -> list[str]:
    """What is wrong with a Dockerfile of ours."""
    lines = instructions(text)
    stages = [rest for word, rest in lines if word == "FROM"]
    last = max((i for i, (word, _) in enumerate(lines) if word == "FROM"), default=0)
    users = [rest for word, rest in lines[last:] if word == "USER"]
    arguments = dict(rest.split("=", 1) for word, rest in lines if word == "ARG" and "=" in rest)
    found = []
    if len(stages) < 2:
        found.append("one stage: build tools end up in the image")
    for stage in stages:
        image = re.sub(
            r"\$\{(\w+)\}", lambda m: arguments.get(m[1], "").strip('"'), stage.split()[0]
        )
        if not re.search(r":\d+\.\d+\.\d+", image):
            found.append(f"base {image} has no exact version")
    if not users or not users[-1].isdecimal() or int(users[-1]) == 0:
        found.append("the last USER must be a number other than 0")
    if any(word == "ADD" for word, _ in lines):
        found.append("ADD fetches and unpacks: use COPY")
    if "latest" in text:
        found.append("latest is no version")
    if not any(word == "HEALTHCHECK" and "/ping" in rest for word, rest in lines):
        found.append("no HEALTHCHECK on /ping")
    return found


def test_the_dockerfile_has_no_faults() -> None:
    assert faults(DOCKERFILE.read_text()) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("USER 10001", "", "the last USER"),
        ("USER 10001", "USER 0", "the last USER"),
        ("3.11.13-slim-bookworm", "3-slim", "no exact version"),
        ("COPY serving ", "ADD https://x/serving ", "ADD fetches"),
        ("HEALTHCHECK", "LABEL", "no HEALTHCHECK"),
        (" AS build", ":latest AS build", "latest is no version"),
    ],
)
def test_the_lint_sees_a_fault(old: str, new: str, fault: str) -> None:
    text = DOCKERFILE.read_text()
    assert old in text
    assert any(fault in problem for problem in faults(text.replace(old, new)))


def test_the_image_holds_only_what_runs_in_it() -> None:
    copied = [
        source
        for word, rest in instructions(DOCKERFILE.read_text())
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]
    assert sorted(copied) == [
        "pipelines/__init__.py",
        "pipelines/steps",
        "requirements.lock",
        "serving",
        "serving/image/requirements.in",
    ]
    assert all((REPOSITORY / source).exists() for source in copied)


@pytest.mark.parametrize(
    ("program", "module"), [("train", "pipelines.steps.train"), ("serve", "serving.server")]
)
def test_a_program_of_the_image_starts_its_module(program: str, module: str) -> None:
    path = REPOSITORY / "serving" / "image" / "bin" / program
    assert os.access(path, os.X_OK)
    assert f"exec python3 -m {module}" in path.read_text()


def required() -> list[str]:
    lines = REQUIREMENTS.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_every_requirement_is_locked_with_hashes() -> None:
    lock = (REPOSITORY / "requirements.lock").read_text()
    locked = set(re.findall(r"^([a-z0-9-]+)==\S+.*\\\n\s+--hash=sha256:", lock, re.MULTILINE))
    assert set(required()) <= locked


def normal(name: str) -> str:
    """A distribution's name as indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def drawn_in(names: list[str]) -> set[str]:
    """Distributions with all that they require."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = normal(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        try:
            further = [line for line in requires(name) or [] if "extra ==" not in line]
        except PackageNotFoundError:  # for another platform
            continue
        waiting += [re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0] for line in further]
    return seen


def test_what_the_programs_import_is_in_the_image() -> None:
    roots: set[str] = set()
    for folder in IN_THE_IMAGE:
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    roots |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    roots.add(node.module.split(".")[0])
    roots -= set(sys.stdlib_module_names) | {"serving", "pipelines"}
    there = drawn_in(required())
    owners = packages_distributions()
    absent = {
        root
        for root in roots
        if there.isdisjoint(normal(name) for name in owners.get(root, [root]))
    }
    assert absent == set()
