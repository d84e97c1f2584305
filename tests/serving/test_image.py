"""The image, read as text: there is no container engine to build it with."""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

from tests.kits.each import each
from tests.kits.pipelines import outside

REPOSITORY = Path(__file__).parents[2]
DOCKERFILE = REPOSITORY / "serving" / "Dockerfile"
REQUIREMENTS = REPOSITORY / "serving" / "image" / "requirements.in"


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
        "pipelines/${WORKLOAD}",
        "pipelines/__init__.py",
        "pipelines/toolkit",
        "requirements.lock",
        "serving",
        "serving/image/requirements.in",
    ]
    named = [source.replace("${WORKLOAD}", "weather") for source in copied]
    assert [source for source in named if not (REPOSITORY / source).exists()] == []
    args = [rest for word, rest in instructions(DOCKERFILE.read_text()) if word == "ARG"]
    assert "WORKLOAD" in args  # without a default: whose image it is must be said


@pytest.mark.parametrize(
    ("program", "module"),
    [
        ("train", '"pipelines.${PLINTH_WORKLOAD:?must name the workload whose model to train}'),
        ("serve", "serving.server"),
    ],
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


def programs() -> list[str]:
    """The modules that are started in a container."""
    steps = (REPOSITORY / "pipelines").glob("*/steps/[a-z]*.py")
    found = [".".join(path.relative_to(REPOSITORY).with_suffix("").parts) for path in steps]
    return [*sorted(found), "pipelines.toolkit.drift", "serving.server"]


def test_what_the_programs_import_is_in_the_image() -> None:
    roots = {root for program in each(programs()) for root in outside(program)}
    roots -= set(sys.stdlib_module_names)
    there = drawn_in(required())
    owners = packages_distributions()
    absent = {
        root
        for root in roots
        if there.isdisjoint(normal(name) for name in owners.get(root, [root]))
    }
    assert roots >= {"pandas", "sklearn", "great_expectations", "mlflow", "uvicorn"}
    assert absent == set()


def test_train_without_a_workload_says_what_is_missing() -> None:
    program = REPOSITORY / "serving" / "image" / "bin" / "train"
    done = subprocess.run(
        [program], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "PLINTH_WORKLOAD: must name the workload whose model to train" in done.stderr


def test_a_change_of_one_workload_is_no_change_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stacks import image

    for entry in ("pipelines", "serving"):
        shutil.copytree(REPOSITORY / entry, tmp_path / entry)
    shutil.copy(REPOSITORY / "requirements.lock", tmp_path)
    monkeypatch.setattr(image, "ROOT", tmp_path)

    def changed(file: str) -> dict[str, bool]:
        """Whose digest another content of this file changes."""
        names = ("weather", "flight_delay")
        before = {name: image.context_digest(name) for name in names}
        (tmp_path / file).write_text("# another content\n")
        return {name: image.context_digest(name) != before[name] for name in names}

    assert changed("pipelines/weather/derive.py") == {"weather": True, "flight_delay": False}
    assert changed("pipelines/toolkit/job.py") == {"weather": True, "flight_delay": True}
    assert changed("pipelines/step_factory.py") == {"weather": False, "flight_delay": False}
