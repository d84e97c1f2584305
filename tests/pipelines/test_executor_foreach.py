"""ForEach steps: a body per item, its concurrency, what later steps see of it, and its problems."""

import json
from typing import Any

import pytest

from pipelines.executor.model import StepState
from pipelines.executor.plan import validate
from tests.kits.executor import (
    YES,
    FakeSageMaker,
    Json,
    condition,
    definition,
    fail,
    processing,
    training,
)
from tests.pipelines.test_executor import Run, execute

ITEM = {"Get": "ForEach.CurrentItem"}
BODY_URI = {"Get": "Steps.P.ProcessingOutputConfig.Outputs['report'].S3Output.S3Uri"}


def told(name: str, value: Any, *needs: str) -> Json:
    return processing(name, *needs, Arguments={"Environment": {"X": value}})


def writing(name: str) -> Json:
    """A step that writes to a place of its item."""
    step = told(name, ITEM)
    place = {"Std:Join": {"On": "/", "Values": ["s3://b", ITEM]}}
    step["Arguments"]["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"] = place
    return step


def each(name: str, items: Any, *body: Json, needs: tuple[str, ...] = (), **more: Any) -> Json:
    arguments = {"IterableItems": items, "MaxConcurrency": 2, "ForEachBody": list(body), **more}
    return {"Name": name, "Type": "ForEach", "Arguments": arguments, "DependsOn": list(needs)}


def x_of(run: Run, step: str) -> str:
    return str(run.sagemaker.requests[step]["Environment"]["X"])


def test_the_body_runs_once_per_item_with_siblings_of_its_own() -> None:
    run = execute([each("E", ["a", 2], writing("P"), training("T", uri=BODY_URI))])
    assert run.outcome.status == "Succeeded"
    assert run.ends() == dict.fromkeys(["E", "P-0", "P-1", "T-0", "T-1"], "Succeeded")
    assert (x_of(run, "P-0"), run.sagemaker.requests["P-1"]["Environment"]["X"]) == ("a", 2)
    sources = [
        run.sagemaker.requests[name]["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
        for name in ("T-0", "T-1")
    ]
    assert sources == ["s3://b/a", "s3://b/2"]
    child = run.state("T-1")
    assert child.iteration is not None
    assert (child.iteration.parent, child.iteration.index, child.iteration.item) == ("E", 1, "2")


@pytest.mark.parametrize(
    ("items", "reference", "expected"),
    [
        ([{"Get": "Parameters.Commit"}, "b"], "ForEach.CurrentItem", ["none", "b"]),
        ([json.dumps({"a": {"b": [1, "x"]}})], "ForEach.CurrentItem.a['b'][1]", ["x"]),
        ([json.dumps({"name": "n"})], "ForEach.CurrentItem['name']", ["n"]),
    ],
)
def test_an_item_is_read_whole_or_by_its_members(
    items: list[Any], reference: str, expected: list[str]
) -> None:
    run = execute([each("E", items, told("P", {"Get": reference}))])
    assert [x_of(run, f"P-{index}") for index in range(len(items))] == expected


def over(text: str, *body: Json) -> Run:
    """A run over the items in a JSON text that a parameter holds."""
    steps = [each("E", {"Std:Join": {"On": "", "Values": [text]}}, *body), processing("After", "E")]
    return execute(steps)


def test_items_can_come_as_json() -> None:
    run = over('[{"name": "a"}, {"name": "b"}, {"name": "c"}]', told("P", NAME))
    assert [x_of(run, f"P-{index}") for index in range(3)] == ["a", "b", "c"]
    assert run.ends()["After"] == "Succeeded"


NAME = {"Get": "ForEach.CurrentItem.name"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("not json", "IterableItems must be a JSON list"),
        ('{"a": 1}', "IterableItems must be a JSON list, got {'a': 1}"),
        ('["plain"]', "the item is no JSON"),
        ('[{"other": 1}]', "has no 'name'"),
    ],
)
def test_items_that_cannot_be_read_fail_the_step(text: str, reason: str) -> None:
    run = over(text, told("P", NAME))
    assert run.outcome.status == "Failed"
    assert reason in run.state("E").failure_reason
    assert "After" not in run.ends()


def test_no_more_children_run_at_once_than_it_says() -> None:
    body = [processing("P"), processing("Q")]
    fake = FakeSageMaker(polls=2)
    execute([each("E", list("abcd"), *body, MaxConcurrency=3)], fake)
    assert len(fake.created()) == 8
    assert fake.most_at_once == 3


def test_later_steps_see_counts_outputs_and_the_picked_iteration() -> None:
    count, status = ({"Get": f"Steps.E.{name}"} for name in ("SucceededStepCount", "Status"))
    uri = "ProcessingOutputConfig.Outputs['report'].S3Output.S3Uri"
    second, picked = (
        {"Get": f"Steps.E.IterationOutputs[1].P.{uri}"},
        {"Get": f"Steps.E.Selected.{uri}"},
    )
    environment = {
        "Count": {"Std:Join": {"On": "", "Values": [count]}},
        "Status": status,
        "Second": second,
        "Picked": picked,
    }
    volume = "IterationOutput.P.ProcessingResources.ClusterConfig.VolumeSizeInGB"
    selector = {"Pick": "MaxBy", "Field": {"Get": volume}}
    body = writing("P")
    body["Arguments"]["ProcessingResources"]["ClusterConfig"]["VolumeSizeInGB"] = ITEM
    later = processing("A", Arguments={"Environment": environment})
    run = execute([each("E", [3, 9, 5], body, Selector=selector), later])
    assert run.sagemaker.requests["A"]["Environment"] == {
        "Count": "3",
        "Status": "Succeeded",
        "Second": "s3://b/9",
        "Picked": "s3://b/9",
    }
    assert run.state("E").metadata == {
        "ForEach": {
            "Status": "Succeeded",
            "InputItemCount": 3,
            "TotalStepCount": 3,
            "SucceededStepCount": 3,
            "FailedStepCount": 0,
            "StoppedStepCount": 0,
            "Selector": {"StepName": "P", "Index": 1},
        }
    }
    smallest = execute([each("E", [3, 9, 5], body, Selector=selector | {"Pick": "MinBy"})])
    assert smallest.state("E").metadata["ForEach"]["Selector"]["Index"] == 0


def test_a_child_that_fails_fails_the_whole_and_starts_no_other() -> None:
    fake = FakeSageMaker(ends={"P-1": "Failed"})
    body = [processing("P"), processing("Q", "P")]
    run = execute([each("E", list("abc"), *body, MaxConcurrency=1)], fake)
    assert run.outcome.status == "Failed"
    assert run.state("E").failure_reason == "step 'P-1' failed: ClientError: P-1 broke"
    counts = run.state("E").metadata["ForEach"]
    assert (counts["Status"], counts["FailedStepCount"], counts["TotalStepCount"]) == (
        "Failed",
        1,
        len(fake.created()),
    )


def test_a_retry_runs_only_the_children_that_did_not_succeed() -> None:
    steps = [each("E", ["a", "b"], processing("P"), processing("Q", "P"))]
    failed = execute(steps, FakeSageMaker(ends={"Q-1": "Failed"}))
    kept = {state.name: state.result for state in failed.states if state.result}
    assert {"P-0", "P-1"} <= kept.keys() and "Q-1" not in kept
    again = execute(steps, kept=kept)
    assert again.outcome.status == "Succeeded"
    assert set(again.sagemaker.created()) == {"Q-0", "Q-1"} - kept.keys()
    assert again.state("E").metadata["ForEach"]["SucceededStepCount"] == 4


def test_a_step_that_waits_for_any_end_reads_what_failed() -> None:
    tell = told("Tell", {"Get": "Steps.E.Status"}) | {
        "DependsOn": [{"Step": "E", "Trigger": "Any"}]
    }
    run = execute([each("E", ["a"], processing("P")), tell], FakeSageMaker(ends={"P-0": "Failed"}))
    assert (run.outcome.status, x_of(run, "Tell")) == ("CompletedWithFailures", "Failed")


def test_a_stop_reaches_the_children() -> None:
    def stopping(states: list[StepState]) -> bool:
        return any(state.name == "P-0" and state.status == "Executing" for state in states)

    fake = FakeSageMaker(ends=dict.fromkeys(["P-0", "P-1", "P-2"], "forever"))
    run = execute([each("E", list("abc"), processing("P"))], fake, stopping=stopping)
    assert (run.outcome.status, run.state("E").status) == ("Stopped", "Stopped")
    assert "P-2" not in run.ends()


def test_what_the_body_needs_from_outside_comes_before_the_loop() -> None:
    uri = {"Get": "Steps.A.ProcessingOutputConfig.Outputs['report'].S3Output.S3Uri"}
    steps = [
        each("E", ["a"], told("P", uri), told("Q", "x", "B")),
        processing("A"),
        processing("B"),
    ]
    run = execute(steps)
    assert x_of(run, "P-0") == "s3://b/A"
    order = [state.name for state in run.states if state.status == "Starting"]
    assert order.index("E") > max(order.index("A"), order.index("B"))


PLAIN = processing("P")
FIELD = {"Get": "IterationOutput.P.ProcessingJobName"}


def by(field: str) -> Json:
    return {"Pick": "MaxBy", "Field": {"Get": field}}


PROBLEMS: dict[str, tuple[list[Json], str]] = {
    "no items": ([each("E", [], PLAIN)], "IterableItems must have from 1 to 100 items, got 0"),
    "too many": ([each("E", list(range(101)), PLAIN)], "from 1 to 100 items, got 101"),
    "a text": ([each("E", "a", PLAIN)], "IterableItems must be a list or a variable"),
    "an item": ([each("E", [[1]], PLAIN)], "IterableItems[0] must be a scalar or a variable"),
    "all at once": (
        [each("E", ["a"], PLAIN, MaxConcurrency=51)],
        "MaxConcurrency must be a whole number from 1 to 50, got 51",
    ),
    "no body": ([each("E", ["a"])], "ForEachBody must be a list of steps, got []"),
    "a condition": (
        [each("E", ["a"], condition("C", [YES]))],
        "ForEachBody[0].Type must be none of Condition, Fail, ForEach",
    ),
    "a fail step": ([each("E", ["a"], fail("F"))], "must be none of Condition, Fail, ForEach"),
    "another loop": ([each("E", ["a"], each("F", ["b"], PLAIN))], "must be none of Condition"),
    "a member": ([each("E", ["a"], PLAIN, Wait=1)], "Arguments.Wait is not a member of a ForEach"),
    "a pick": (
        [each("E", ["a"], PLAIN, Selector={"Pick": "First", "Field": FIELD})],
        "Selector.Pick must be one of MaxBy, MinBy, got 'First'",
    ),
    "a field of nobody": (
        [each("E", ["a"], PLAIN, Selector=by("Steps.P.X"))],
        "Selector.Field must be a reference to IterationOutput",
    ),
    "a field of another": (
        [
            each(
                "E",
                ["a"],
                PLAIN,
                Selector={"Pick": "MaxBy", "Field": {"Get": "IterationOutput.Q.X"}},
            )
        ],
        "Selector.Field must refer to a step of the body, got 'Q'",
    ),
    "a field that is not answered": (
        [
            each(
                "E",
                ["a"],
                PLAIN,
                Selector={"Pick": "MaxBy", "Field": {"Get": "IterationOutput.P.X"}},
            )
        ],
        "Steps[0].Arguments.Selector.Field: DescribeProcessingJob answers no 'X'",
    ),
    "an item outside": ([told("A", ITEM)], "Environment.X: only a ForEachBody has a current item"),
    "an item of nothing": (
        [each("E", ["a"], told("P", {"Get": "ForEach.Item"}))],
        "reference 'ForEach.Item' must name ForEach.CurrentItem",
    ),
    "a child's name": (
        [each("E", ["a"], PLAIN), processing("P-3")],
        "Steps[1].Name 'P-3' is that of a child of a ForEach step",
    ),
    "a name twice": ([each("E", ["a"], PLAIN), PLAIN], "Steps[1].Name 'P' is used by another step"),
    "a child from outside": (
        [each("E", ["a"], PLAIN), told("A", {"Get": "Steps.P.ProcessingJobName"})],
        "step 'P' runs once per item of 'E', use Steps.E.IterationOutputs[i].P",
    ),
    "no such output": (
        [each("E", ["a"], PLAIN), told("A", {"Get": "Steps.E.IterationOutputs[0].Q.X"})],
        "a ForEach step answers no 'IterationOutputs.0.Q.X'",
    ),
    "an output that is not answered": (
        [each("E", ["a"], PLAIN), told("A", {"Get": "Steps.E.IterationOutputs[0].P.X"})],
        "DescribeProcessingJob answers no 'X'",
    ),
    "nothing picked": (
        [each("E", ["a"], PLAIN), told("A", {"Get": "Steps.E.Selected.ProcessingJobName"})],
        "a ForEach step answers no 'Selected.ProcessingJobName'",
    ),
    "a count as text": (
        [each("E", ["a"], PLAIN), told("A", {"Get": "Steps.E.InputItemCount"})],
        "of type integer to an argument of type string",
    ),
    "a body that needs its loop": (
        [each("E", ["a"], processing("P", "E"))],
        "steps need each other in a cycle: E -> E",
    ),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_a_wrong_loop_is_refused_with_its_path(case: str) -> None:
    steps, expected = PROBLEMS[case]
    found = validate(definition(*steps))
    assert [problem for problem in found if expected in problem], found
