"""The pipelines of the workloads as definitions: their bytes, their steps, how they compile."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from infra.errors import UserError
from pipelines import compiled
from pipelines.compiled import Request
from pipelines.executor.plan import validate
from pipelines.workload import find, named
from stacks import definitions as bridge
from tests.kits.pipelines import INPUTS, KEY, NAMES, each, inputs, outside, tiny

ANOTHER_DAY = """
import datetime, runpy, sys, time
import pipelines.step_factory

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


PIPELINES = [
    (workload.name, pipeline) for workload in find().values() for pipeline in workload.pipelines
]
SHIPPED = [("block_time", "training"), ("flight_delay", "training"), ("weather", "ingest")]
"""The pipelines that the blueprint ships; what stands in them is accepted line by line."""

EACH = pytest.mark.parametrize(("workload", "pipeline"), PIPELINES)
MODELS = pytest.mark.parametrize(
    ("workload", "metrics"),
    [("flight_delay", {"auc", "brier"}), ("block_time", {"mae", "pinball"})],
)
Compiled = Callable[..., str]


@pytest.fixture(scope="module")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """The definition of a pipeline, all of them compiled at once."""
    cache = tmp_path_factory.mktemp("cache")
    requests = [
        Request(workload=named(name), pipeline=pipeline, inputs=inputs(name, pipeline))
        for name, pipeline in PIPELINES
    ]
    texts = dict(zip(PIPELINES, compiled.definitions(requests, cache=cache), strict=True))

    def of(workload: str, pipeline: str = "training", **changes: Any) -> str:
        if not changes:
            return texts[(workload, pipeline)]
        changed = inputs(workload, pipeline, **changes)
        return compiled.definition(named(workload), pipeline, changed, cache=cache)

    return of


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


@pytest.mark.parametrize(("workload", "pipeline"), SHIPPED)
def test_the_compiled_definition_is_the_accepted_one(
    workload: str, pipeline: str, definition: Compiled, golden: Callable[[str, str], None]
) -> None:
    text = json.dumps(json.loads(definition(workload, pipeline)), indent=1)
    golden(f"pipelines/{workload}-{pipeline}.json", text + "\n")


def test_another_process_on_another_day_compiles_the_same_bytes(
    definition: Compiled, tmp_path: Path
) -> None:
    asked = [
        {
            "title": name,
            "build": named(name).pipelines[pipeline].build,
            "inputs": asdict(inputs(name, pipeline)),
        }
        for name, pipeline in PIPELINES
    ]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ANOTHER_DAY],
        input=json.dumps(asked),
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
    assert json.loads(done.stdout) == [definition(*each) for each in PIPELINES]


@EACH
def test_the_executor_accepts_the_definition(
    workload: str, pipeline: str, definition: Compiled
) -> None:
    assert validate(json.loads(definition(workload, pipeline))) == []


@MODELS
def test_a_registered_model_waits_for_a_person_with_what_they_need(
    workload: str, metrics: set[str], definition: Compiled
) -> None:
    arguments = steps(definition(workload))["Register"]["Arguments"]
    assert arguments["ModelApprovalStatus"] == "PendingManualApproval"
    assert set(arguments["CustomerMetadataProperties"]) == metrics | {
        *("commit", "data_hash", "evaluation_days"),
        *("execution_id", "reason", "train_end", "train_start"),
    }
    assert "evaluation.json" in json.dumps(arguments["ModelMetrics"]["ModelQuality"])
    specification = arguments["InferenceSpecification"]
    model = named(workload).model
    assert model is not None
    assert specification["SupportedContentTypes"] == list(model.content_types)
    (container,) = specification["Containers"]
    assert sorted(container) == ["Image", "ModelDataUrl"]


@MODELS
def test_training_starts_the_program_of_its_own_workload(
    workload: str, metrics: set[str], definition: Compiled
) -> None:
    arguments = steps(definition(workload))["Train"]["Arguments"]
    assert arguments["Environment"] == {"PLINTH_WORKLOAD": workload}
    program = Path("serving/image/bin/train").read_text()
    assert "pipelines.${PLINTH_WORKLOAD:?" in program
    assert Path(f"pipelines/{workload}/steps/train.py").is_file()


@pytest.mark.parametrize(("workload", "pipeline"), SHIPPED)
def test_the_programs_of_a_pipeline_are_the_accepted_ones(
    workload: str, pipeline: str, definition: Compiled, golden: Callable[[str, str], None]
) -> None:
    found = jobs(definition(workload, pipeline))
    assert len(found) >= 3
    golden(f"pipelines/{workload}-{pipeline}.txt", "\n".join(sorted(found)) + "\n")


@EACH
def test_every_job_is_bounded_in_the_vpc_with_our_keys_and_tried_again(
    workload: str, pipeline: str, definition: Compiled
) -> None:
    for job in each(jobs(definition(workload, pipeline)).values()):
        arguments = job["Arguments"]
        network = arguments.get("NetworkConfig", arguments)
        assert network["VpcConfig"] == {
            "SecurityGroupIds": list(INPUTS.security_group_ids),
            "Subnets": list(INPUTS.subnet_ids),
        }
        assert network["EnableInterContainerTrafficEncryption"] is True
        assert arguments["RoleArn"] == NAMES.role_arn(f"{named(workload).aws_name}-job")
        assert arguments["StoppingCondition"] == {"MaxRuntimeInSeconds": 900}
        assert machine(job)["InstanceType"] == "ml.m5.large"
        assert job["RetryPolicies"], job["Name"]


@EACH
def test_only_programs_that_call_aws_have_a_network(
    workload: str, pipeline: str, definition: Compiled
) -> None:
    def isolated(arguments: dict[str, Any]) -> bool:
        network = arguments.get("NetworkConfig", arguments)
        return bool(network["EnableNetworkIsolation"])

    found = jobs(definition(workload, pipeline))
    programs = {name: f"pipelines.{workload}.steps.{name.lower()}" for name in found}
    calling = {n for n, program in programs.items() if {"boto3", "mlflow"} & outside(program)}
    connected = {name for name, job in found.items() if not isolated(job["Arguments"])}
    assert connected == calling == set(named(workload).pipelines[pipeline].calls_aws)


def test_a_pipeline_job_on_local_nvme_has_no_volume_key(definition: Compiled) -> None:
    text = definition("flight_delay", instance_type="ml.g5.xlarge", volume_kms_key_arn=None)
    found = {name: "VolumeKmsKeyId" in machine(job) for name, job in jobs(text).items()}
    assert set(found.values()) == {False}


def test_a_key_encrypts_every_volume_and_output(definition: Compiled) -> None:
    volumes = f"{KEY}-of-volumes"
    text = definition("flight_delay", volume_kms_key_arn=volumes)
    for job in each(jobs(text).values()):
        arguments = job["Arguments"]
        output = arguments.get("ProcessingOutputConfig") or arguments["OutputDataConfig"]
        assert output["KmsKeyId"] == KEY
        assert machine(job)["VolumeKmsKeyId"] == volumes
    assert validate(json.loads(text)) == []


# From an environment's values to inputs


def bridged(instance_type: str = "ml.m5.xlarge", **chosen: Any) -> compiled.PipelineInputs:
    return bridge.inputs(
        named("flight_delay"),
        "training",
        NAMES,
        image_uri="image",
        zones=["use1-az1"],
        instance_type=instance_type,
        max_runtime_seconds=900,
        chosen=chosen,
    )


def test_the_instance_type_says_whether_volumes_have_a_key() -> None:
    for name, key in (("ml.m5.xlarge", "{{storage-key-arn}}"), ("ml.g5.xlarge", None)):
        found = bridged(name)
        assert (found.kms_key_arn, found.volume_kms_key_arn) == ("{{storage-key-arn}}", key)


def test_names_follow_from_environment_and_workload() -> None:
    found = bridged()
    assert found.pipeline_name == "plinth-test-flight-delay-training"
    assert found.role_arn == "arn:aws:iam::123456789012:role/plinth-test-flight-delay-job"
    assert found.model_package_group_name == "plinth-test-flight-delay-model"
    assert found.feature_groups == {
        "flights": "plinth-test-flight-delay-flights",
        "weather.hourly": "plinth-test-weather-hourly",
    }
    assert inputs("weather", "ingest").model_package_group_name is None


def test_an_environment_may_choose_other_parameters_of_their_kind() -> None:
    found = bridged(EvaluationDays=7, AucThreshold=1)
    assert found.parameters == {
        "TrainStart": "2013-01-01",
        "TrainEnd": "2013-03-01",
        "EvaluationDays": 7,
        "AucThreshold": 1.0,
    }
    assert type(found.parameters["AucThreshold"]) is float


@pytest.mark.parametrize(
    ("chosen", "problem", "fix"),
    [
        ({"EvaluationDay": 7}, "parameters must be of TrainStart, .* got 'EvaluationDay'", "write"),
        ({"Colour": "red"}, "got 'Colour'", "remove Colour"),
        ({"EvaluationDays": "7"}, "EvaluationDays must be int, as its default 14, got '7'", "int"),
        ({"EvaluationDays": True}, "must be int, as its default 14, got True", "int"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(
    chosen: dict[str, Any], problem: str, fix: str
) -> None:
    with pytest.raises(UserError, match=problem) as told:
        bridged(**chosen)
    assert fix in told.value.fix


def test_what_aws_invents_is_filled_in_by_name() -> None:
    text = bridge.placeholder(bridge.STORAGE_KEY) + bridge.placeholder(bridge.subnet("a"))
    values = {bridge.STORAGE_KEY: "key", bridge.subnet("a"): "subnet-1"}
    assert bridge.filled_in(text, values) == "keysubnet-1"


# The compiler


def compile_tiny(builder: str, tmp_path: Path, **parameters: Any) -> str:
    """Compile with a builder of the kit; its calls are counted in `tmp_path/calls`."""
    asked = replace(INPUTS, artifacts_bucket=str(tmp_path / "calls"), parameters=parameters)
    return compiled.definition(tiny(builder), "training", asked, cache=tmp_path / "cache")


def test_the_tiny_builder_gets_no_residue_of_the_sdk(tmp_path: Path) -> None:
    assert compile_tiny("counting", tmp_path, Days=3) == '{"a":[{"Days":3},{}],"b":1}'


def test_a_definition_is_compiled_once_per_inputs(tmp_path: Path) -> None:
    first = compile_tiny("counting", tmp_path)
    assert compile_tiny("counting", tmp_path) == first
    assert (tmp_path / "calls").read_text().count("built") == 1
    assert compile_tiny("counting", tmp_path, Days=4) != first
    assert (tmp_path / "calls").read_text().count("built") == 2
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".json"}


def test_several_definitions_come_in_the_order_asked_for(tmp_path: Path) -> None:
    def asked(days: int) -> Request:
        changed = replace(
            INPUTS, artifacts_bucket=str(tmp_path / "calls"), parameters={"Days": days}
        )
        return Request(workload=tiny("counting"), pipeline="training", inputs=changed)

    cache = tmp_path / "cache"
    second = compiled.definitions([asked(2)], cache=cache)
    texts = compiled.definitions([asked(3), asked(2), asked(1)], cache=cache)
    assert [json.loads(text)["a"][0]["Days"] for text in texts] == [3, 2, 1]
    assert texts[1] == second[0]
    assert (tmp_path / "calls").read_text().count("built") == 3


def test_a_failed_compile_shows_its_last_lines_and_leaves_no_artefact(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\(tiny training\):\n(.*\n)*ValueError: instance type"):
        compile_tiny("failing", tmp_path)
    assert not (tmp_path / "cache").exists()


def test_a_pipeline_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="flight_delay has no pipeline called 'trainin'") as told:
        compiled.definition(named("flight_delay"), "trainin", INPUTS, cache=tmp_path)
    assert told.value.fix == "name one of: training"
