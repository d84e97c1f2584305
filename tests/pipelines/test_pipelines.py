"""The training pipeline's definition and its contract with the data."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from infra.errors import UserError
from pipelines import compiled
from pipelines.executor.plan import validate
from pipelines.steps.contracts.contract import Contract, ContractResult, check
from pipelines.steps.contracts.flights import FLIGHTS
from pipelines.steps.contracts.weather import WEATHER
from stacks import workload
from stacks.settings.load import load
from tests.kits.each import each
from tests.kits.pipelines import INPUTS, MONTHS, month

ANOTHER_DAY = """
import datetime, runpy, sys, time
import pipelines.training

shift = 200 * 86400.5
now, formatted, gm = time.time, time.strftime, time.gmtime
time.time = lambda: now() + shift
time.strftime = lambda form, at=None: formatted(form, at or gm(now() + shift))
time.gmtime = lambda at=None: gm(now() + shift if at is None else at)

class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(now() + shift, tz)

    @classmethod
    def utcnow(cls):
        return cls.fromtimestamp(now() + shift)

for name, module in list(sys.modules.items()):
    if name.startswith("sagemaker") and vars(module).get("datetime") is datetime.datetime:
        module.datetime = Clock
datetime.datetime = Clock
runpy.run_module("pipelines.compiled", run_name="__main__", alter_sys=True)
"""
"""Compiles as usual, in a process whose clock is half a year ahead."""


@pytest.fixture(scope="module")
def definition(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compiled.definition("training", INPUTS, cache=tmp_path_factory.mktemp("cache"))


def steps(definition: str) -> dict[str, dict[str, Any]]:
    """Every step by name, those inside conditions too."""

    def walk(entries: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
        for step in entries:
            yield step["Name"], step
            for branch in ("IfSteps", "ElseSteps"):
                yield from walk(step["Arguments"].get(branch, []))

    return dict(walk(json.loads(definition)["Steps"]))


def jobs(definition: str) -> dict[str, dict[str, Any]]:
    """The steps that run a program."""
    found = steps(definition).items()
    return {name: step for name, step in found if step["Type"] in ("Processing", "Training")}


def machine(job: dict[str, Any]) -> dict[str, Any]:
    """What a job runs on."""
    arguments = job["Arguments"]
    found: dict[str, Any] = (
        arguments.get("ResourceConfig") or (arguments["ProcessingResources"]["ClusterConfig"])
    )
    return found


def test_the_compiled_definition_is_the_accepted_one(
    definition: str, golden: Callable[[str, str], None]
) -> None:
    golden("pipelines/training.json", json.dumps(json.loads(definition), indent=1) + "\n")


def test_another_process_on_another_day_compiles_the_same_bytes(
    definition: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ANOTHER_DAY, compiled.PIPELINES["training"]],
        input=json.dumps(asdict(INPUTS)),
        env={
            **compiled.clean_environment("us-east-1", tmp_path),
            "PYTHONHASHSEED": "4711",
            "TZ": "Pacific/Auckland",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == definition


def test_the_executor_accepts_the_definition(definition: str) -> None:
    assert validate(json.loads(definition)) == []


def test_a_registered_model_waits_for_a_person_with_what_they_need(definition: str) -> None:
    arguments = steps(definition)["Register"]["Arguments"]
    assert arguments["ModelApprovalStatus"] == "PendingManualApproval"
    assert set(arguments["CustomerMetadataProperties"]) == {
        *("auc", "brier", "commit", "data_hash", "evaluation_days"),
        *("execution_id", "reason", "train_end", "train_start"),
    }
    assert "evaluation.json" in json.dumps(arguments["ModelMetrics"]["ModelQuality"])
    specification = arguments["InferenceSpecification"]
    assert specification["SupportedContentTypes"] == [
        *("text/csv", "application/json", "application/jsonlines")
    ]
    (container,) = specification["Containers"]
    assert sorted(container) == ["Image", "ModelDataUrl"]


def test_every_job_has_a_machine_and_an_end(definition: str) -> None:
    assert sorted(jobs(definition)) == ["Evaluate", "Features", "Ingest", "Train", "Validate"]
    for job in jobs(definition).values():
        assert job["Arguments"]["StoppingCondition"] == {"MaxRuntimeInSeconds": 900}
        assert machine(job)["InstanceType"] == "ml.m5.large"


def test_every_job_is_in_the_vpc_with_our_keys_and_tried_again(definition: str) -> None:
    for job in each(jobs(definition).values()):
        arguments = job["Arguments"]
        network = arguments.get("NetworkConfig", arguments)
        assert network["VpcConfig"] == {
            "SecurityGroupIds": list(INPUTS.security_group_ids),
            "Subnets": list(INPUTS.subnet_ids),
        }
        assert network["EnableInterContainerTrafficEncryption"] is True
        output = arguments.get("ProcessingOutputConfig") or arguments["OutputDataConfig"]
        assert output["KmsKeyId"] == INPUTS.kms_key_arn
        assert machine(job)["VolumeKmsKeyId"] == INPUTS.volume_kms_key_arn
        assert job["RetryPolicies"], job["Name"]


def test_only_programs_that_call_aws_have_a_network(definition: str) -> None:
    def isolated(arguments: dict[str, Any]) -> bool:
        network = arguments.get("NetworkConfig", arguments)
        return bool(network["EnableNetworkIsolation"])

    found = {n for n, job in jobs(definition).items() if not isolated(job["Arguments"])}
    assert found == set(workload.CALLS_AWS)
    for name in jobs(definition):
        source = Path(f"pipelines/steps/{name.lower()}.py").read_text()
        assert bool(re.search(r"^ *import (boto3|mlflow)$", source, re.MULTILINE)) is (
            name in found
        ), name


def test_a_pipeline_job_on_local_nvme_has_no_volume_key(tmp_path: Path) -> None:
    inputs = replace(INPUTS, instance_type="ml.g5.xlarge", volume_kms_key_arn=None)
    found = jobs(compiled.definition("training", inputs, cache=tmp_path)).values()
    assert [job["Name"] for job in each(found) if "VolumeKmsKeyId" in machine(job)] == []


def test_the_instance_type_says_whether_volumes_have_a_key() -> None:
    chosen = load("dev")
    for name, key in (("ml.m5.xlarge", "{{storage-key-arn}}"), ("ml.g5.xlarge", None)):
        training = chosen.training.model_copy(update={"instance_type": name})
        settings = chosen.model_copy(update={"training": training})
        inputs = workload.training_inputs(settings, settings.names("dev"))
        assert (inputs.kms_key_arn, inputs.volume_kms_key_arn) == ("{{storage-key-arn}}", key)


def test_the_tiny_builder_gets_no_residue_of_the_sdk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = compile_tiny("counting", tmp_path, monkeypatch)
    assert text == '{"a":["2013-01-01",{}],"b":1}'


def compile_tiny(
    builder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any
) -> str:
    """Compile with a builder of the kit; its calls are counted in `tmp_path/calls`."""
    monkeypatch.setattr(compiled, "PIPELINES", {"tiny": f"tests.kits.pipelines:{builder}"})
    inputs = replace(INPUTS, artifacts_bucket=str(tmp_path / "calls"), **changes)
    return compiled.definition("tiny", inputs, cache=tmp_path / "cache")


def test_a_definition_is_compiled_once_per_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = compile_tiny("counting", tmp_path, monkeypatch)
    assert compile_tiny("counting", tmp_path, monkeypatch) == first
    assert (tmp_path / "calls").read_text().count("built") == 1
    other = compile_tiny("counting", tmp_path, monkeypatch, train_start="2013-02-01")
    assert other != first
    assert (tmp_path / "calls").read_text().count("built") == 2
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".json"}


def test_a_failed_compile_shows_its_last_lines_and_leaves_no_artefact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="ValueError: instance type"):
        compile_tiny("failing", tmp_path, monkeypatch)
    assert not (tmp_path / "cache").exists()


def test_a_pipeline_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no pipeline is called 'trainin'") as told:
        compiled.definition("trainin", INPUTS, cache=tmp_path)
    assert told.value.fix == "name one of: training"


def test_a_key_encrypts_every_volume_and_output(tmp_path: Path) -> None:
    key, volumes = (f"arn:aws:kms:us-east-1:123456789012:key/{number}" for number in (1, 2))
    inputs = replace(INPUTS, kms_key_arn=key, volume_kms_key_arn=volumes)
    text = compiled.definition("training", inputs, cache=tmp_path)
    for name, step in steps(text).items():
        arguments = step["Arguments"]
        if step["Type"] == "Training":
            assert arguments["ResourceConfig"]["VolumeKmsKeyId"] == volumes
            assert arguments["OutputDataConfig"]["KmsKeyId"] == key
        if step["Type"] == "Processing":
            cluster = arguments["ProcessingResources"]["ClusterConfig"]
            assert cluster["VolumeKmsKeyId"] == volumes, name
            assert arguments["ProcessingOutputConfig"]["KmsKeyId"] == key, name
    assert validate(json.loads(text)) == []


@pytest.mark.parametrize("name", MONTHS)
def test_every_real_month_holds_the_contract(name: str) -> None:
    assert check(FLIGHTS, month("flights", name), name).failures == []
    assert check(WEATHER, month("weather", name), name).failures == []


def spoilt(dataset: str, spoil: Callable[[pd.DataFrame], pd.DataFrame]) -> ContractResult:
    contract: Contract = {"flights": FLIGHTS, "weather": WEATHER}[dataset]
    return check(contract, spoil(month(dataset, "2013-02")), "2013-02")


def cells(column: str, value: Any, rows: int = 3) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Put a value into a column of the first rows."""

    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        frame[column] = frame[column].astype(object)
        frame.loc[frame.index[:rows], column] = value
        return frame

    return spoil


BETWEEN, IN_SET, NOT_NULL = "values_to_be_between", "values_to_be_in_set", "values_to_not_be_null"
ROW_FAULTS = [
    ("flights", cells("carrier", None), f"{NOT_NULL}(carrier)"),
    ("flights", cells("carrier", "United"), "values_to_match_regex(carrier)"),
    ("flights", cells("distance", -200), f"{BETWEEN}(distance)"),
    ("flights", cells("distance", "far"), f"{IN_SET}(unreadable_numbers)"),
    ("flights", cells("origin", "SFO"), f"{IN_SET}(origin)"),
    ("flights", cells("sched_dep_time", 2460), f"{BETWEEN}(sched_dep_time)"),
    ("flights", cells("minute", 75), f"{BETWEEN}(minute)"),
    ("flights", cells("time_hour", "2013-03-01T05:00:00Z"), f"{BETWEEN}(hours_into_month)"),
    ("flights", cells("time_hour", "2013-02-01T04:00:00Z"), f"{BETWEEN}(hours_into_month)"),
    ("flights", cells("time_hour", "yesterday"), f"{NOT_NULL}(hours_into_month)"),
    ("flights", cells("month", 3), f"{IN_SET}(month)"),
    ("weather", cells("origin", "SFO"), f"{IN_SET}(origin)"),
    ("weather", cells("temp", 999), f"{BETWEEN}(temp)"),
]


@pytest.mark.parametrize(("dataset", "spoil", "expectation"), ROW_FAULTS)
def test_a_bad_row_breaks_the_contract_and_is_set_aside(
    dataset: str, spoil: Callable[[pd.DataFrame], pd.DataFrame], expectation: str
) -> None:
    verdict = spoilt(dataset, spoil)
    told = [failure.expectation for failure in verdict.failures]
    assert f"expect_column_{expectation}" in told
    aside = verdict.reasons[verdict.reasons != ""]
    assert list(aside.index) == [0, 1, 2]
    assert all(expectation in reason for reason in aside)


def test_a_duplicated_flight_breaks_the_contract_in_both_rows() -> None:
    verdict = spoilt("flights", lambda frame: pd.concat([frame, frame[7:8]], ignore_index=True))
    (failure,) = verdict.failures
    assert failure.expectation.startswith("expect_compound_columns_to_be_unique(year, month, day")
    assert list(verdict.reasons[verdict.reasons != ""].index) == [7, 24951]


TABLE_FAULTS = [
    (lambda frame: frame[:15_000], "expect_table_row_count_to_be_between", "observed 15000"),
    (
        lambda frame: frame[frame["day"] != 14],
        "expect_column_unique_value_count_to_be_between(day)",
        "observed 27",
    ),
    (
        lambda frame: frame.drop(columns=["carrier", "tailnum"]),
        "expect_table_columns_to_match_set(carrier, tailnum)",
        "missing",
    ),
]


@pytest.mark.parametrize(("spoil", "expectation", "detail"), TABLE_FAULTS)
def test_a_bad_month_breaks_the_contract(
    spoil: Callable[[pd.DataFrame], pd.DataFrame], expectation: str, detail: str
) -> None:
    told = {failure.expectation: failure.detail for failure in spoilt("flights", spoil).failures}
    assert told[expectation] == detail


def test_labels_that_are_mostly_lost_break_the_contract() -> None:
    told = [f.expectation for f in spoilt("flights", cells("arr_delay", None, 9000)).failures]
    assert told == ["expect_column_values_to_not_be_null(arr_delay)"]


def test_the_suites_are_data_that_great_expectations_knows() -> None:
    import great_expectations.expectations as gxe

    kinds = {entry["type"] for c in (FLIGHTS, WEATHER) for entry in c.suite("2013-01")}
    known = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() for name in dir(gxe)}
    assert kinds <= known
