"""New workloads from the template: they are clean, and run before anybody edits them."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from infra.errors import UserError
from pipelines.scaffold import FOLDERS, Kind, render, rendered

ROOT = Path(__file__).parents[2]
NEW: dict[str, Kind] = {
    "a1": "regression",
    "demo": "classification",
    "zz_a_name_of_24_letters0": "features",
}
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "bench", "golden", "hostile")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with a new workload of every kind."""
    root = tmp_path_factory.mktemp("scratch") / "checkout"
    shutil.copytree(ROOT, root, ignore=LEFT_OUT)
    for name, kind in NEW.items():
        render(name, kind, root)
    return root


def run(scratch: Path, *command: str | Path, expect: int = 0) -> str:
    """Run a module of Python in the copy; what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", *map(str, command)],
        cwd=scratch,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": str(scratch), "HOME": "/tmp"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expect, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def written(scratch: Path) -> list[Path]:
    return [scratch / path for name, kind in NEW.items() for path in rendered(name, kind)]


@pytest.mark.parametrize("command", [("check", "--no-cache"), ("format", "--check", "--no-cache")])
def test_what_is_written_is_clean(scratch: Path, command: Sequence[str]) -> None:
    run(scratch, "ruff", *command, *written(scratch))


@pytest.mark.parametrize("kind", FOLDERS)
@pytest.mark.parametrize("name", ["a", "t0", "x" * 24])
def test_no_line_is_too_long_whatever_the_name(kind: Kind, name: str) -> None:
    lines = [line for text in rendered(name, kind).values() for line in text.splitlines()]
    assert max(map(len, lines)) <= 100
    assert [line for line in lines if "{{" in line or "{%" in line] == []


def test_the_test_that_comes_with_a_workload_passes(scratch: Path) -> None:
    tests = [path for path in written(scratch) if path.name.startswith("test_")]
    assert len(tests) == len(NEW)
    run(scratch, "pytest", "-q", "-p", "no:cacheprovider", *tests)


@pytest.mark.nightly
def test_a_new_workload_runs_unedited(scratch: Path, tmp_path: Path) -> None:
    """On a local cloud, by the definitions that its builders compile to."""
    pipelines = {
        f"{name}/{'ingest' if kind == 'features' else 'training'}": kind
        for name, kind in NEW.items()
    }
    ended = json.loads(run(scratch, "tests.kits.workloads", tmp_path / "home", *pipelines))
    assert {title: found["reason"] for title, found in ended.items()} == dict.fromkeys(pipelines)
    assert {found["status"] for found in ended.values()} == {"Succeeded"}
    by_kind = {kind: ended[title]["evaluation"] for title, kind in pipelines.items()}
    found: dict[tuple[str, str, str], float] = {
        (kind, who, metric): entry["value"]
        for kind, evaluation in by_kind.items()
        for who, metrics in evaluation.items()
        for metric, entry in metrics.items()
    }
    auc, mae = "classification", "regression"
    assert found[(auc, "metrics", "auc")] > 0.7 > found[(auc, "baseline", "auc")]
    assert found[(mae, "metrics", "mae")] < 0.5 * found[(mae, "baseline", "mae")]


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    paths = render("demo", "features", tmp_path)
    assert Path("pipelines/demo/workload.py") in paths
    before = {path: (tmp_path / path).stat().st_mtime_ns for path in paths}
    with pytest.raises(UserError, match="'demo': pipelines/demo is there already"):
        render("demo", "classification", tmp_path)
    assert {path: (tmp_path / path).stat().st_mtime_ns for path in paths} == before
    shutil.rmtree(tmp_path / "pipelines")
    with pytest.raises(UserError, match=r"tests/pipelines/test_demo\.py is there already"):
        render("demo", "classification", tmp_path)
    assert not (tmp_path / "pipelines").exists()


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("toolkit", "pipelines/toolkit is there already"),
        ("holdout", r"pipelines/holdout\.py is there already"),
        ("weather", "pipelines/weather is there already"),
        ("flight", "flight_delay is there"),
        ("weather_at_sea", "weather is there"),
        ("foundation", "must not be"),
        ("import", "must not be a word of Python's"),
        ("pulumi", "names of what the platform owns"),
        ("Demo", "words of small letters"),
        ("demo-one", "words of small letters"),
        ("x" * 25, "at most 24 characters"),
    ],
)
def test_a_name_that_is_taken_or_cannot_be_is_refused(name: str, problem: str) -> None:
    before = sorted((ROOT / "pipelines").iterdir())
    with pytest.raises(UserError, match=problem) as told:
        render(name, "features", ROOT)
    assert told.value.fix == "choose another name"
    assert sorted((ROOT / "pipelines").iterdir()) == before
