"""Which stacks a change touches: by its files, and by what stacks offer to each other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stacks.settings.load import dependencies
from stacks.stack_name import StackName

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / ".ci"))  # its scripts import each other by name, as they do in CI

import touched  # noqa: E402

STACKS = [
    touched.Stack(env, layer, on_cluster=layer == "ranking")
    for env in ("dev", "prod")
    for layer in ("foundation", "cluster", "ranking", "weather")
]
ALL = [str(stack) for stack in STACKS]
WORKLOADS = [str(stack) for stack in STACKS if stack.is_workload]
OF_DEV = [str(stack) for stack in STACKS if stack.env == "dev"]
FILES = {
    "infra/network.py": ALL,
    "stacks/contract.py": ALL,
    "stacks/composition/workload.py": ALL,
    "stacks/environments/notes.yaml.bak": ALL,
    "policies/rules/cost.py": ALL,
    "requirements.lock": ALL,
    "a file that nobody has thought of": ALL,
    "pipelines/weather/derive.py": ["dev.weather", "prod.weather"],
    "pipelines/weather/README.md": ["dev.weather", "prod.weather"],
    "pipelines/toolkit/job.py": WORKLOADS,
    "pipelines/compiled.py": WORKLOADS,
    "pipelines/foundation/derive.py": WORKLOADS,
    "serving/server.py": WORKLOADS,
    "stacks/environments/Pulumi.dev.weather.yaml": ["dev.weather"],
    "stacks/environments/adopt/dev.cluster.yaml": ["dev.cluster"],
    "stacks/environments/Pulumi.dev.cluster.yaml": ["dev.cluster", "dev.ranking"],
    "stacks/environments/Pulumi.dev.foundation.yaml": OF_DEV,
    "stacks/environments/dev.yaml": OF_DEV,
    "stacks/environments/local.yaml": [],
    "stacks/environments/Pulumi.local.weather.yaml": [],
    "README.md": [],
    "policies/README.md": [],
    "tests/infra/test_network.py": [],
    ".ci/gate.py": [],
    ".github/workflows/test.yml": [],
}


def names(*files: str) -> list[str]:
    return [str(stack) for stack in touched.touched(files, STACKS)]


@pytest.mark.parametrize("file", FILES)
def test_a_file_touches_the_stacks_that_it_is_part_of(file: str) -> None:
    assert names(file) == FILES[file]


def test_several_files_touch_what_any_of_them_touches_in_the_order_of_deployment() -> None:
    assert names("pipelines/ranking/derive.py", "stacks/environments/Pulumi.dev.weather.yaml") == [
        "dev.ranking", "dev.weather", "prod.ranking",
    ]  # fmt: skip
    assert names() == []


def test_who_reads_a_contract_is_what_the_settings_say() -> None:
    known = touched.known(ROOT)
    assert len(known) > 10
    for stack in known:
        needs = {str(needed) for needed in dependencies(StackName(stack.env, stack.layer))}
        assert {str(other) for other in known if stack.reads(other)} == needs


def test_a_workload_with_pods_reads_what_the_cluster_offers(tmp_path: Path) -> None:
    folder = tmp_path / "stacks" / "environments"
    folder.mkdir(parents=True)
    (folder / "Pulumi.dev.weather.yaml").write_text("config:\n  plinth:budget: {}\n")
    (folder / "Pulumi.dev.ranking.yaml").write_text("config:\n  plinth:pods:\n    replicas: 1\n")
    (folder / "Pulumi.local.ranking.yaml").write_text("config: {}\n")
    (folder / "Pulumi.dev.$(id).yaml").write_text("config: {}\n")
    assert touched.known(tmp_path) == [
        touched.Stack("dev", "ranking", on_cluster=True), touched.Stack("dev", "weather"),
    ]  # fmt: skip


def test_what_a_person_names_is_an_environment_or_one_of_its_stacks() -> None:
    assert [str(stack) for stack in touched.of("dev", STACKS)] == OF_DEV
    assert touched.of("dev.weather", STACKS) == [touched.Stack("dev", "weather")]
    with pytest.raises(SystemExit, match=r"NAME must be one of dev, prod, or .*, got 'dev.gone'"):
        touched.of("dev.gone", STACKS)


def git(folder: Path, *arguments: str) -> None:
    author = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    subprocess.run(["git", *author, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Two commits of which the second moves a file of one workload to another."""
    for name in ("Pulumi.dev.weather", "Pulumi.dev.ranking", "Pulumi.prod.foundation"):
        path = tmp_path / "stacks" / "environments" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("config: {}\n")
    for name in ("ranking/a b.py", "weather/c.py"):
        path = tmp_path / "pipelines" / name
        path.parent.mkdir(parents=True)
        path.write_text(f"'''{name}'''\n" * 20)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "One")
    git(tmp_path, "mv", "pipelines/ranking/a b.py", "pipelines/weather/a b.py")
    git(tmp_path, "commit", "--quiet", "--message", "Two")
    return tmp_path


def said(folder: Path, *arguments: str) -> list[object]:
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "touched.py", *arguments],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return found


def test_the_script_reads_the_checkout_that_it_runs_in(checkout: Path) -> None:
    assert said(checkout, "HEAD^1") == ["dev.ranking", "dev.weather"], "it left one of them"
    assert said(checkout) == ["dev.ranking", "dev.weather", "prod.foundation"]
    assert said(checkout, "HEAD", "--environments") == []
    assert said(checkout, "--of", "prod", "--environments") == [
        {"env": "prod", "stack": "prod.foundation"}
    ]
