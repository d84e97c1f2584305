"""What a workload declares, and how declarations are found and refused."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.errors import UserError
from pipelines import workload
from pipelines.flight_delay.feature_groups import WEATHER
from pipelines.workload import Pipeline, Workload, check, find, function, named
from tests.kits.each import each
from tests.kits.pipelines import CLASSIFIER, GROUP, reached, tiny

ROOT = Path(__file__).parents[2]


def test_the_workloads_of_this_checkout_are_found_by_walking() -> None:
    found = find()
    assert list(found) == sorted(found)
    models = {name: one.model.kind if one.model else None for name, one in found.items()}
    shipped = {"block_time": "regression", "flight_delay": "classification", "weather": None}
    assert models.items() >= shipped.items()
    assert found["flight_delay"].aws_name == "flight-delay"


def test_what_a_declaration_names_is_there() -> None:
    for one in each(find().values()):
        paths = [pipeline.build for pipeline in one.pipelines.values()]
        paths += [path for path in (one.holdout, one.score) if path]
        for path in each(paths):
            assert path.startswith(f"pipelines.{one.name}.")
            module, _, name = path.partition(":")
            source = ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text()
            assert f"\ndef {name}(" in source


def test_what_is_read_of_another_workload_is_declared_there() -> None:
    from pipelines.block_time import feature_groups

    hourly = named("weather").feature_groups["hourly"]
    for read in (WEATHER, feature_groups.WEATHER):
        assert read.record_identifier == hourly.record_identifier
        assert read.features.items() <= hourly.features.items()


def test_groups_have_logical_names_by_owner() -> None:
    assert named("flight_delay").reads() == ["flights", "weather.hourly"]
    assert named("block_time").reads() == ["flights", "routes", "weather.hourly"]


def test_a_declaration_loads_nothing_that_a_pipeline_runs_on() -> None:
    code = "import sys; from pipelines.workload import find; find(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "pipelines" in loaded
    assert loaded & {"sagemaker", "pandas", "boto3", "sklearn", "mlflow", "pulumi"} == set()


def test_programs_draw_in_their_own_workload_and_the_toolkit_alone() -> None:
    for name in each(find()):
        steps = each(sorted((ROOT / "pipelines" / name / "steps").glob("[a-z]*.py")))
        for path in steps:
            ours = reached(f"pipelines.{name}.steps.{path.stem}")
            wrong = [
                module
                for module in ours
                if not module.startswith((f"pipelines.{name}", "pipelines.toolkit"))
            ]
            assert wrong == [], path


def test_a_workload_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(UserError, match="no workload is called 'weahter'") as told:
        named("weahter")
    assert told.value.fix == f"name one of: {', '.join(find())}"


def test_a_function_is_imported_by_its_path() -> None:
    assert function("pipelines.workload:find") is find


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": "Tiny"}, "words of small letters and digits"),
        ({"name": "tiny-one"}, "words of small letters and digits"),
        ({"name": "tiny__one"}, "words of small letters and digits"),
        ({"name": "a" * 25}, "at most 24 characters"),
        ({"name": "foundation"}, "must not be cluster or foundation"),
        ({"pipelines": {}}, "pipelines must hold at least one"),
        (
            {"pipelines": {"training": Pipeline(description="", build="tests")}},
            "pipelines.training.build must be <module>:<function>, got 'tests'",
        ),
        ({"holdout": "a.b:c", "model": CLASSIFIER}, "holdout and score must be set together"),
        ({"holdout": "a.b:c", "score": "a.b:d"}, "holdout must stand beside a model"),
        ({"stream_groups": ("things",)}, "stream_groups must be of feature_groups, got things"),
        ({"uses": {"tiny": ("things",)}}, "uses must name other workloads"),
        (
            {"feature_groups": {"things": replace(GROUP, record_identifier="id")}},
            "feature_groups.things must have the features id",
        ),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        tiny("counting", **changes)


def test_one_name_must_not_begin_another() -> None:
    with pytest.raises(UserError, match="tiny-one must not start with tiny-"):
        check({"tiny": tiny("counting"), "tiny_one": tiny("counting", name="tiny_one")})
    check({"tiny": tiny("counting"), "tinyone": tiny("counting", name="tinyone")})


def test_a_group_that_nobody_declares_is_refused() -> None:
    reader = tiny("counting", uses={"other": ("things", "more")})
    owner = tiny("counting", name="other", feature_groups={"things": GROUP})
    with pytest.raises(UserError, match=r"tiny uses other\.more, which nobody declares"):
        check({"tiny": reader, "other": owner})
    with pytest.raises(UserError, match=r"tiny uses other\.things, which nobody declares"):
        check({"tiny": reader})


def write(folder: Path, name: str) -> Path:
    """A folder of workloads with one whose declaration has the name `one`."""
    place = folder / "scratch_workloads" / name
    place.mkdir(parents=True)
    (place / "workload.py").write_text(
        "from tests.kits.pipelines import tiny\nWORKLOAD = tiny('counting', name='one')\n"
    )
    return place.parent


def test_a_workload_is_called_as_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    folder = write(tmp_path, "one")
    found: dict[str, Workload] = dict(workload.find(folder))
    assert list(found) == ["one"]
    write(tmp_path, "two")
    with pytest.raises(UserError, match="name must be 'two', as the folder's, got 'one'"):
        workload.find(folder)
