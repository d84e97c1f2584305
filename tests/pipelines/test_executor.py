"""The executor: graph shapes x outcomes, the grammar, and definitions that must be refused."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.executor.answers import operation
from pipelines.executor.drivers import job_name
from pipelines.executor.model import Execution, Outcome, StepState
from pipelines.executor.plan import validate
from pipelines.executor.run import run
from pipelines.executor.runners import RUNNERS
from pipelines.executor.schedule import STEP_FAILURE
from tests.kits.executor import (
    NO,
    PARAMETERS,
    REPORT,
    YES,
    FakeS3,
    FakeSageMaker,
    Json,
    compare,
    condition,
    definition,
    fail,
    json_get,
    processing,
    training,
)

EXECUTION = Execution(
    pipeline_name="demo",
    pipeline_arn="arn:aws:sagemaker:us-east-1:123456789012:pipeline/demo",
    execution_id="abc123def456",
    execution_arn="arn:aws:sagemaker:us-east-1:123456789012:pipeline/demo/execution/abc123def456",
    start_time=datetime(2013, 1, 1, tzinfo=UTC),
)


@dataclass
class Run:
    """What happened in one run."""

    outcome: Outcome
    states: list[StepState]
    sagemaker: FakeSageMaker

    def ends(self) -> dict[str, str]:
        return {state.name: state.status for state in self.states}

    def state(self, name: str) -> StepState:
        return [state for state in self.states if state.name == name][-1]


def execute(
    steps: Sequence[Json],
    sagemaker: FakeSageMaker | None = None,
    *,
    s3: Any = None,
    values: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    stopping: Callable[[list[StepState]], bool] = lambda _: False,
    max_parallel_steps: int | None = None,
    **more: Any,
) -> Run:
    states: list[StepState] = []
    whole = definition(*steps, parameters=PARAMETERS)
    assert validate(whole) == []
    fake = sagemaker or FakeSageMaker()
    outcome = run(
        whole,
        parameters=values or {},
        execution=replace(EXECUTION, tags=tags or {}),
        client={"sagemaker": fake, "s3": s3 or FakeS3()}.__getitem__,
        observe=states.append,
        stopping=lambda: stopping(states),
        max_parallel_steps=lambda: max_parallel_steps,
        **more,
    )
    return Run(outcome, states, fake)


LINE = [processing("C", "B"), processing("B", "A"), processing("A")]
FORK = [processing("A"), processing("L", "A"), processing("R", "A"), processing("J", "L", "R")]
NESTED = [
    processing("A"),
    condition(
        "Outer",
        [YES],
        [processing("In"), condition("Inner", [NO], [fail("Never")], [processing("Deep", "In")])],
        [fail("Other")],
        needs=["A"],
    ),
]


def on(need: str, trigger: str, name: str) -> Json:
    return processing(name) | {"DependsOn": [{"Step": need, "Trigger": trigger}]}


SHAPES: dict[str, tuple[list[Json], dict[str, str], str, dict[str, str]]] = {
    "a line": (LINE, {}, "Succeeded", {"A": "Succeeded", "B": "Succeeded", "C": "Succeeded"}),
    "a line that breaks": (LINE, {"B": "Failed"}, "Failed", {"A": "Succeeded", "B": "Failed"}),
    "a line whose job is refused": (LINE, {"A": "refused"}, "Failed", {"A": "Failed"}),
    "a line whose job is stopped": (
        LINE,
        {"B": "Stopped"},
        "Stopped",
        {"A": "Succeeded", "B": "Stopped"},
    ),
    "a fork and join": (FORK, {}, "Succeeded", dict.fromkeys("ALRJ", "Succeeded")),
    "a fork with a broken side": (
        FORK,
        {"L": "Failed"},
        "Failed",
        {"A": "Succeeded", "L": "Failed", "R": "Succeeded"},
    ),
    "nested conditions": (
        NESTED,
        {},
        "Succeeded",
        dict.fromkeys(["A", "Outer", "In", "Inner", "Deep"], "Succeeded"),
    ),
    "a step after a branch not taken": (
        [condition("If", [NO], [processing("In")]), processing("After", "In"), processing("B")],
        {},
        "Succeeded",
        {"If": "Succeeded", "B": "Succeeded"},
    ),
    "a step that waits for a failure": (
        [processing("A"), processing("B", "A"), on("A", "Failed", "Tell"), processing("C", "Tell")],
        {"A": "Failed"},
        "CompletedWithFailures",
        {"A": "Failed", "Tell": "Succeeded", "C": "Succeeded"},
    ),
    "a step that waits for a failure that does not come": (
        [processing("A"), on("A", "Failed", "Tell"), processing("C", "Tell"), processing("B", "A")],
        {},
        "Succeeded",
        {"A": "Succeeded", "B": "Succeeded"},
    ),
    "a step that waits for any end": (
        [processing("A"), on("A", "Any", "Clean"), on("Clean", "Stopped", "Never")],
        {"A": "Stopped"},
        "CompletedWithFailures",
        {"A": "Stopped", "Clean": "Succeeded"},
    ),
    "a step that waits for another end than comes": (
        [processing("A"), on("A", "Stopped", "Tell")],
        {"A": "Failed"},
        "Failed",
        {"A": "Failed"},
    ),
    "a failure that is waited for, and one that is not": (
        [processing("A"), on("A", "Failed", "Tell"), processing("B")],
        {"A": "Failed", "Tell": "Failed"},
        "Failed",
        {"A": "Failed", "Tell": "Failed", "B": "Succeeded"},
    ),
    "a fail step": (
        [condition("If", [NO], [processing("In")], [fail("Bad")])],
        {},
        "Failed",
        {"If": "Succeeded", "Bad": "Failed"},
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_graph_ends_as_its_steps_do(shape: str) -> None:
    steps, ends, status, expected = SHAPES[shape]
    result = execute(steps, FakeSageMaker(ends=ends, polls=1))
    assert (result.outcome.status, result.ends()) == (status, expected)


def test_every_state_change_is_observed_with_aws_metadata() -> None:
    result = execute([processing("A"), condition("If", [YES], needs=["A"])])
    assert [(s.name, s.status) for s in result.states] == [
        (name, status) for name in ("A", "If") for status in ("Starting", "Executing", "Succeeded")
    ]
    arn = f"arn:processing-job/{job_name(EXECUTION, 'A')}"
    assert result.state("A").metadata == {"ProcessingJob": {"Arn": arn}}
    assert result.state("If").metadata == {"Condition": {"Outcome": "True"}}
    assert result.state("A").end_time is not None


def test_a_step_says_why_it_failed_and_the_execution_that_one_did() -> None:
    result = execute(LINE, FakeSageMaker(ends={"A": "Failed"}))
    assert result.outcome == Outcome(status="Failed", failure_reason=STEP_FAILURE)
    assert result.state("A").failure_reason == "ClientError: A broke"


def test_a_request_that_is_refused_is_told_as_by_sagemaker() -> None:
    refused = execute(LINE, FakeSageMaker(ends={"A": "refused"})).state("A")
    assert refused.failure_reason == (
        "ClientError: Failed to invoke sagemaker:CreateProcessingJob. "
        "Error Details: no such instance\n"
        "Retry not appropriate on execution of step with PipelineExecutionArn "
        f"{EXECUTION.execution_arn} and StepId A. "
        "No retry policy configured for the exception type SAGEMAKER_RESOURCE_LIMIT."
    )


def test_a_fail_step_gives_its_message_and_stops_what_runs() -> None:
    message = {"Std:Join": {"On": " ", "Values": ["auc below", {"Get": "Parameters.Auc"}, True]}}
    fake = FakeSageMaker(ends={"Slow": "forever"})
    result = execute([processing("Slow"), processing("A"), fail_after("A", message)], fake)
    assert result.outcome == Outcome(status="Failed", failure_reason=STEP_FAILURE)
    assert result.state("Bad").failure_reason == "auc below 0.7 true"
    assert result.ends() == {"Slow": "Stopped", "A": "Succeeded", "Bad": "Failed"}
    assert result.state("Bad").metadata == {"Fail": {"ErrorMessage": "auc below 0.7 true"}}


def fail_after(need: str, message: Any) -> Json:
    return fail("Bad", message) | {"DependsOn": [need]}


def test_a_stop_request_stops_running_jobs_and_starts_no_others() -> None:
    def stopping(states: list[StepState]) -> bool:
        return any(state.status == "Executing" and state.name == "B" for state in states)

    result = execute(LINE, FakeSageMaker(ends={"B": "forever"}), stopping=stopping)
    assert result.outcome.status == "Stopped"
    assert result.ends() == {"A": "Succeeded", "B": "Stopped"}
    assert ("stop", "B") in result.sagemaker.calls


def test_ready_steps_run_at_once_up_to_the_limit() -> None:
    steps = [processing(name) for name in "ABCD"]
    assert execute(steps, FakeSageMaker(polls=2)).sagemaker.most_at_once == 4
    limited = execute(steps, FakeSageMaker(polls=1), max_parallel_steps=1)
    assert limited.sagemaker.most_at_once == 1
    assert limited.outcome.status == "Succeeded"


@pytest.mark.parametrize("end", ["Failed", "Stopped"])
def test_nothing_starts_after_a_step_that_did_not_succeed(end: str) -> None:
    fake = FakeSageMaker(ends={"A": end})
    result = execute([processing("A"), processing("B")], fake, max_parallel_steps=1)
    assert result.ends() == {"A": end}


def test_references_are_resolved_in_requests() -> None:
    uri = {"Get": "Steps.A.ProcessingOutputConfig.Outputs['report'].S3Output.S3Uri"}
    names = ["ExecutionId", "Name", "ExecutionArn", "Arn"]
    execution = [{"Get": f"Execution.Pipeline{name}"} for name in names]
    arguments = {
        "Environment": {
            "Days": {"Std:Join": {"On": "", "Values": [{"Get": "Parameters.Days"}]}},
            "Start": {"Get": "Execution.StartDateTime"},
            "Job": {"Get": "Execution.ProcessingJobName"},
            "Ids": {"Std:Join": {"On": "|", "Values": execution}},
            "Model": {"Get": "Steps.T.ModelArtifacts.S3ModelArtifacts"},
        }
    }
    result = execute(
        [processing("E", Arguments=arguments), training("T", uri=uri), processing("A")],
        values={"Days": "7"},
    )
    requests = result.sagemaker.requests
    assert result.sagemaker.created() == ["A", "T", "E"]
    channel = requests["T"]["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    assert channel["S3Uri"] == "s3://b/A"
    ids = [EXECUTION.execution_id, "demo", EXECUTION.execution_arn, EXECUTION.pipeline_arn]
    assert requests["E"]["Environment"] == {
        "Days": "7",
        "Start": "2013-01-01T00:00:00.000Z",
        "Job": requests["E"]["ProcessingJobName"],
        "Ids": "|".join(ids),
        "Model": "s3://b/T/model.tar.gz",
    }


CONDITIONS = [
    (compare(json_get("m.auc.value"), "GreaterThanOrEqualTo", {"Get": "Parameters.Auc"}), True),
    (compare(json_get("m['auc']['value']"), "LessThan", {"Get": "Parameters.Auc"}), False),
    (compare(json_get("list[1].n"), "Equals", {"Get": "Parameters.Days"}), True),
    (compare(json_get("passed"), "Equals", True), True),
    (compare(json_get("passed"), "Equals", "true"), True),
    (compare(json_get("text"), "GreaterThan", 2), True),
    (compare("2", "GreaterThan", "10"), False),
    (compare("b", "Equals", "a"), False),
    (compare({"Get": "Parameters.Strict"}, "Equals", "True"), True),
    (compare(1, "LessThanOrEqualTo", 1.0), True),
    ({"Type": "Not", "Condition": NO}, True),
    ({"Type": "Or", "Conditions": [NO, YES]}, True),
    ({"Type": "In", "QueryValue": {"Get": "Parameters.Commit"}, "Values": ["x", "none"]}, True),
    ({"Type": "In", "QueryValue": 3, "Values": ["4", json_get("text")]}, True),
]


@pytest.mark.parametrize(("written", "expected"), CONDITIONS)
def test_a_condition_compares_by_type(written: Json, expected: bool) -> None:
    document = {
        "m": {"auc": {"value": 0.71}},
        "list": [0, {"n": 14}],
        "passed": True,
        "text": "3",
    }
    s3 = FakeS3({"s3://b/A/report.json": json.dumps(document)})
    result = execute([processing("A", PropertyFiles=REPORT), condition("If", [written])], s3=s3)
    assert result.state("If").metadata == {"Condition": {"Outcome": str(expected)}}


@pytest.mark.parametrize(
    ("document", "written", "reason"),
    [
        (None, json_get("auc"), "NoSuchKey"),
        ("not json", json_get("auc"), "is not JSON"),
        ('{"auc": {}}', json_get("auc.value"), "has no 'value'"),
        ('{"auc": "high"}', json_get("auc"), "cannot compare 'high'"),
    ],
)
def test_a_condition_that_cannot_be_decided_fails(
    document: str | None, written: Json, reason: str
) -> None:
    s3 = FakeS3({} if document is None else {"s3://b/A/report.json": document})
    steps = [
        processing("A", PropertyFiles=REPORT),
        condition("If", [compare(written, "LessThan", 1)]),
    ]
    result = execute(steps, s3=s3)
    assert result.outcome.status == "Failed"
    assert reason in result.state("If").failure_reason


def test_models_are_created_and_registered_with_what_training_made() -> None:
    artefact = {"Get": "Steps.T.ModelArtifacts.S3ModelArtifacts"}
    container = {"Image": "image:1", "ModelDataUrl": artefact}
    package = {
        "ModelPackageGroupName": "group",
        "InferenceSpecification": {"Containers": [container]},
        "SkipModelValidation": "None",
        "CertifyForMarketplace": False,
    }
    steps = [
        {"Name": "R", "Type": "RegisterModel", "Arguments": package, "RetryPolicies": []},
        {"Name": "M", "Type": "Model", "Arguments": {"PrimaryContainer": container}},
        training("T"),
    ]
    result = execute(steps)
    made = {"Image": "image:1", "ModelDataUrl": "s3://b/T/model.tar.gz"}
    assert result.sagemaker.requests["create_model_package"] == {
        "ModelPackageGroupName": "group",
        "InferenceSpecification": {"Containers": [made]},
    }
    assert result.sagemaker.requests["create_model"]["PrimaryContainer"] == made
    assert result.sagemaker.groups == {"group"}, "which nobody had made"
    assert result.state("R").metadata == {"RegisterModel": {"Arn": "arn:package/1"}}
    assert result.state("M").metadata == {"Model": {"Arn": "arn:model"}}


def test_what_a_version_of_a_model_cannot_have_it_does_not_get() -> None:
    register = {**processing("R"), "Type": "RegisterModel"}
    register["Arguments"] = {"ModelPackageGroupName": "g"}
    done = execute([processing("A"), register], tags={"cost": "42"})
    assert done.outcome.status == "Succeeded", done.outcome.failure_reason
    assert done.sagemaker.requests["A"]["Tags"] == [{"Key": "cost", "Value": "42"}]
    assert "Tags" not in done.sagemaker.requests["create_model_package"]


def test_a_job_name_fits_aws_and_tells_steps_apart() -> None:
    names = {job_name(EXECUTION, step) for step in ("A" * 64, "A" * 63, "a_b", "a-b")}
    assert len(names) == 4
    again = {job_name(replace(EXECUTION, retried=n), "A", m) for n in (0, 1) for m in (1, 2)}
    assert len(again) == 4, "every try of every retry has a job of its own"
    assert all(re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name) for name in names)
    short = [job_name(EXECUTION, step, length=32) for step in ("A" * 64, "A" * 63)]
    assert short[0] != short[1]
    assert [re.sub("[0-9a-f]{10}$", "", name) for name in short] == ["abc123def456-AAAAAAAA-"] * 2


def test_every_runner_names_operations_and_members_that_aws_has() -> None:
    for runner in RUNNERS.values():
        created = operation(runner.operation)
        described = operation(runner.operation.replace("Create", "Describe"))
        assert runner.arn_field in created.output_shape.members
        assert {runner.name_field, *runner.defaults} - {""} <= created.input_shape.members.keys()
        asked = {runner.name_field or runner.describe_field}
        assert asked <= described.input_shape.members.keys()
        assert {runner.status_field} - {""} <= described.output_shape.members.keys()


def test_importing_the_executor_loads_the_standard_library_only() -> None:
    code = "import sys, pipelines.executor; print('\\n'.join(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    outside = {name.split(".")[0] for name in loaded.stdout.split()} - set(sys.stdlib_module_names)
    assert (
        outside & {"boto3", "botocore", "numpy", "pandas", "pulumi", "sagemaker", "infra"} == set()
    )


@st.composite
def dags(draw: st.DrawFn) -> dict[str, set[str]]:
    """Steps in a shuffled order, each with needs among those drawn before it."""
    names = [f"s{index}" for index in range(draw(st.integers(1, 7)))]
    needs = {
        name: draw(st.sets(st.sampled_from(names[:index]))) if index else set()
        for index, name in enumerate(names)
    }
    return {name: needs[name] for name in draw(st.permutations(names))}


@settings(max_examples=40, derandomize=True)
@given(dags(), st.integers(1, 4))
def test_any_dag_runs_every_step_once_after_what_it_needs(
    dag: dict[str, set[str]], limit: int
) -> None:
    steps = [processing(name, *sorted(needs)) for name, needs in dag.items()]
    result = execute(steps, max_parallel_steps=limit)
    assert sorted(result.sagemaker.created()) == sorted(dag)
    moments = {(state.name, state.status): index for index, state in enumerate(result.states)}
    for name, needs in dag.items():
        for need in needs:
            assert moments[need, "Succeeded"] < moments[name, "Starting"]
