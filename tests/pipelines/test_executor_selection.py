"""Selective execution and retries in the executor: which steps run, and on which results."""

from collections.abc import Collection

import pytest

from pipelines.executor.model import Result, StepState
from pipelines.executor.selection import needed, problem
from tests.kits.executor import (
    NO,
    YES,
    FakeSageMaker,
    Json,
    condition,
    definition,
    processing,
    training,
)
from tests.pipelines.test_executor import execute, on

SOURCE = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/demo/execution/source"
URI = {"Get": "Steps.A.ProcessingOutputConfig.Outputs['report'].S3Output.S3Uri"}
#     A -> B -> C
#       \-> D     E alone; If -> In
GRAPH = [
    processing("C", "B"),
    processing("A"),
    training("B", uri=URI),
    processing("D", "A"),
    processing("E"),
    condition("If", [YES], [processing("In")], needs=["D"]),
]
WHOLE = definition(*GRAPH)
ALL = ("A", "B", "C", "D", "E", "If", "In")


@pytest.mark.parametrize(
    ("selected", "needs"),
    [
        (["A", "B"], []),
        (["E"], []),
        (["A", "E"], []),
        (["B"], ["A"]),
        (["B", "C", "D"], ["A"]),
        (["C", "In"], ["B", "If"]),
        (list(ALL), []),
    ],
)
def test_selected_steps_need_what_comes_directly_before(
    selected: list[str], needs: list[str]
) -> None:
    assert needed(WHOLE, selected) == needs
    assert problem(WHOLE, selected, SOURCE, ALL) is None


@pytest.mark.parametrize(
    ("selected", "source", "succeeded", "expected"),
    [
        (["X", "A"], SOURCE, ALL, "Invalid SelectedSteps: [X] are not steps of the pipeline"),
        (["A", "C"], SOURCE, ALL, "in all paths between two selected steps must be selected, [B]"),
        (["A", "In"], SOURCE, ALL, "must be selected, [D, If] are not"),
        (
            ["B", "C"],
            None,
            (),
            "Invalid SourcePipelineExecutionArn: null. The selected steps [B, C] have "
            "dependencies on [A]",
        ),
        (["B", "C"], SOURCE, ["D"], "depend on [A], which did not succeed in it"),
    ],
)
def test_a_selection_that_cannot_run_is_refused_in_aws_words(
    selected: list[str], source: str | None, succeeded: Collection[str], expected: str
) -> None:
    told = problem(WHOLE, selected, source, succeeded)
    assert told is not None and expected in told


def left_by(*steps: Json, sagemaker: FakeSageMaker | None = None) -> dict[str, Result]:
    states = execute(list(steps), sagemaker).states
    return {state.name: state.result for state in states if state.result is not None}


def continued(
    steps: list[Json], kept: dict[str, Result], selected: Collection[str] | None = None
) -> tuple[str, FakeSageMaker, list[StepState]]:
    done = execute(steps, kept=kept, selected=selected)
    return done.outcome.status, done.sagemaker, done.states


def test_only_what_is_selected_runs_on_results_of_another_execution() -> None:
    kept = {"A": left_by(processing("A"))["A"]}
    status, fake, states = continued(GRAPH, kept, {"B"})
    assert (status, fake.created()) == ("Succeeded", ["B"])
    channel = fake.requests["B"]["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    assert channel["S3Uri"] == "s3://b/A"
    assert {state.name for state in states} == {"B"}


def test_a_step_that_waits_for_an_end_builds_on_the_step_that_ends() -> None:
    steps = [processing("A"), on("A", "Any", "Tell")]
    told = problem(definition(*steps), ["Tell"], None, ())
    assert told is not None and "[Tell] have dependencies on [A]" in told
    assert needed(definition(*steps), ["Tell"]) == ["A"]
    status, fake, _ = continued(steps, left_by(processing("A")), {"Tell"})
    assert (status, fake.created()) == ("Succeeded", ["Tell"])


def test_a_retry_runs_what_did_not_succeed_and_what_comes_after() -> None:
    steps = [processing("A"), processing("B", "A"), processing("C", "B"), processing("D", "A")]
    kept = left_by(*steps, sagemaker=FakeSageMaker(ends={"B": "Failed"}))
    assert kept.keys() == {"A", "D"}
    status, fake, _ = continued(steps, kept)
    assert (status, fake.created()) == ("Succeeded", ["B", "C"])


def test_a_decision_that_was_kept_still_leaves_its_other_branch_out() -> None:
    steps = [
        condition("If", [NO], [processing("In")], [processing("Other"), processing("Then")]),
        processing("After", "In"),
    ]
    kept = left_by(*steps, sagemaker=FakeSageMaker(ends={"Other": "Failed"}))
    status, fake, _ = continued(steps, {"If": kept["If"]})
    assert (status, sorted(fake.created())) == ("Succeeded", ["Other", "Then"])
