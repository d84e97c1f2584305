"""Executions as people look at them: what is collected, and the page about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.errors import UserError
from infra.naming import Names
from infra.personas import _explore
from stacks.commands.execution import write_page
from stacks.executions.job_logs import JobLog, JobLogs, log_of
from stacks.executions.page import DRAWN, graph, render, took
from stacks.executions.record import ExecutionRecord, StepRecord, collect
from tests.kits.browser import FAINT, SCHEMES, SIZES, UNNAMED, Shown, chromium, shown
from tests.kits.executions import create, ended, shell, start
from tests.kits.local_cloud import BUCKET, Cloud, running_cloud, s3_output
from tests.stacks.local.test_iam import As, allow, role

__all__ = ["chromium", "shown"]

EXECUTION = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/watched/execution/abcdefghijkl"
NAMES = Names(env="test", account_id="123456789012", region="us-east-1")
OUT = "/opt/ml/processing/out"
SCORES = json.dumps({"metrics": {"mae": {"value": 1.5, "unit": "min"}}, "good": True})
ATTACK = "</pre><script>document.title = 'taken'</script>"
PRINTED = [f"line {number}" for number in range(300)] + [ATTACK]


def judge() -> dict[str, Any]:
    return shell(
        "Judge",
        f"echo '{SCORES}' > {OUT}/scores.json; seq -f 'line %g' 0 299; echo \"$1\"",
        ATTACK,
        Arguments={"ProcessingOutputConfig": s3_output(f"s3://{BUCKET}/judged", OUT)},
        PropertyFiles=[
            {"PropertyFileName": "scores", "OutputName": "output", "FilePath": "scores.json"}
        ],
        CacheConfig={"Enabled": True, "ExpireAfter": "P1D"},
    )


def gate() -> dict[str, Any]:
    value = {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.Judge.PropertyFiles.scores"},
                             "Path": "metrics.mae.value"}}  # fmt: skip
    below = {"Type": "LessThan", "LeftValue": value, "RightValue": 1.0}
    return {
        "Name": "Gate",
        "Type": "Condition",
        "Arguments": {
            "Conditions": [below],
            "IfSteps": [shell("Serve", "echo served")],
            "ElseSteps": [shell("Tell", 'echo "too bad" >&2; exit 3')],
        },
    }


PARAMETERS: list[dict[str, Any]] = [
    {"Name": "ApiToken", "Type": "String", "DefaultValue": "hunter2"},
    {"Name": "Days", "Type": "Integer", "DefaultValue": 7},
]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="module")
def arns(cloud: Cloud) -> list[str]:
    """Two executions of one pipeline, the second with another number of days."""
    sm = cloud.client("sagemaker")
    create(sm, "watched", judge(), gate(), parameters=PARAMETERS)
    first = start(sm, "watched")
    ended(sm, first)
    days = [{"Name": "Days", "Value": "8"}]
    second = start(sm, "watched", PipelineParameters=days)
    ended(sm, second)
    return [first, second]


@pytest.fixture(scope="module")
def record(cloud: Cloud, arns: list[str]) -> ExecutionRecord:
    return collect(cloud.client, arns[0])


def step(record: ExecutionRecord, name: str) -> StepRecord:
    return next(step for step in record.steps if step.name == name)


def test_every_step_is_told_with_what_it_waits_for(record: ExecutionRecord) -> None:
    told = {step.name: (step.type, step.status, step.needs) for step in record.steps}
    assert told == {
        "Judge": ("Processing", "Succeeded", []),
        "Gate": ("Condition", "Succeeded", ["Judge"]),
        "Tell": ("Processing", "Failed", ["Gate"]),
        "Serve": ("Processing", "NotStarted", ["Gate"]),
    }
    assert (record.status, record.pipeline) == ("Failed", "watched")
    assert step(record, "Gate").facts == {"Condition Outcome": "False"}
    assert "exit code: 3" in step(record, "Tell").failure.lower().replace("exitcode", "exit code")
    assert record.notes == []


def test_a_job_is_told_with_places_numbers_and_the_end_of_its_log(record: ExecutionRecord) -> None:
    judged = step(record, "Judge")
    assert [(place.name, place.uri) for place in judged.outputs] == [
        ("output", f"s3://{BUCKET}/judged")
    ]
    assert judged.metrics == {"metrics.mae.value": 1.5}
    assert judged.log == PRINTED[-200:]
    assert judged.facts["instances"] == "1 ml.m5.large"
    assert judged.seconds > 0
    assert step(record, "Tell").log == ["too bad"]


def test_secrets_among_the_parameters_are_not_told(record: ExecutionRecord) -> None:
    assert record.parameters == {"ApiToken": "[secret]", "Days": "7"}
    assert "hunter2" not in render(record)


def test_what_the_cache_did_is_told(cloud: Cloud, arns: list[str]) -> None:
    first, second = (collect(cloud.client, arn) for arn in arns)
    assert step(first, "Judge").cache == {
        "hit": False, "source": None, "reasons": ["no earlier run of this step succeeded"],
    }  # fmt: skip
    reused = step(second, "Judge").cache
    assert reused is not None and (reused["hit"], reused["source"]) == (True, arns[0])
    assert f"The result of {arns[0]}" in render(second)


def test_what_the_caller_may_not_ask_for_is_left_out_and_said(
    cloud: Cloud, arns: list[str]
) -> None:
    looks = As(cloud, role(cloud, "looks", allow("sagemaker:*")))
    found = collect(looks, arns[0])
    assert {step.name for step in found.steps} == {"Judge", "Gate", "Tell", "Serve"}
    assert step(found, "Judge").log == []
    assert [note.partition(":")[0] for note in found.notes] == [
        "its property files", "the logs of its jobs",
    ]  # fmt: skip
    assert "Left out: the logs of its jobs: User: " in render(found)


def test_lines_of_a_log_come_once(cloud: Cloud, record: ExecutionRecord) -> None:
    logs = JobLogs(cloud.client("logs"))
    log = JobLog(group="/aws/sagemaker/ProcessingJobs", job=step(record, "Judge").job)
    assert list(logs.new_lines(log)) == PRINTED
    assert list(logs.new_lines(log)) == []
    never = JobLog(group="/aws/sagemaker/TrainingJobs", job="never-ran")
    assert list(logs.new_lines(never)) == []


def test_our_data_scientists_see_what_jobs_print(cloud: Cloud, arns: list[str]) -> None:
    """What a persona may is enough, and nobody gets rights for the page alone."""
    statements = [
        {"Effect": "Allow", **{key: value for key, value in one.items() if key != "Sid"}}
        for one in _explore(NAMES)
        if one["Sid"] in ("Look", "Logs")
    ]
    scientist = As(cloud, role(cloud, "scientist", *statements))
    found = collect(scientist, arns[0])
    assert step(found, "Judge").log == PRINTED[-200:]
    assert [note.partition(":")[0] for note in found.notes] == ["its property files"]


def test_without_the_definition_the_steps_are_told_as_they_ran(
    cloud: Cloud, arns: list[str]
) -> None:
    denied = {"Effect": "Deny", "Action": "sagemaker:*Definition*", "Resource": "*"}
    found = collect(As(cloud, role(cloud, "blind", allow("*"), denied)), arns[0])
    told = {step.name: (step.type, step.status, step.log[-1:]) for step in found.steps}
    assert told == {
        "Judge": ("Processing", "Succeeded", [ATTACK]),
        "Gate": ("", "Succeeded", []),
        "Tell": ("Processing", "Failed", ["too bad"]),
    }
    assert [note.partition(":")[0] for note in found.notes] == ["its definition"]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"TrainingJob": {"Arn": "arn:x:training-job/a"}}, ("/aws/sagemaker/TrainingJobs", "a")),
        (
            {"QualityCheck": {"CheckType": "x", "CheckJobArn": "arn:x:processing-job/b"}},
            ("/aws/sagemaker/ProcessingJobs", "b"),
        ),
        ({"ProcessingJob": {}}, None),
        ({"Model": {"Arn": "arn:x:model/c"}}, None),
        ({}, None),
    ],
)
def test_the_log_of_a_step_is_its_job_s(
    metadata: dict[str, Any], expected: tuple[str, str] | None
) -> None:
    found = log_of({"Metadata": metadata})
    assert (found and (found.group, found.job)) == expected


@pytest.mark.parametrize("arn", [EXECUTION, EXECUTION.partition("/execution")[0], "nothing"])
def test_an_execution_that_is_none_is_told(arn: str, cloud: Cloud, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{arn} must be an execution of a pipeline, got "):
        write_page(cloud.client, arn, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


# -- the page ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", SIZES)
def test_the_page_fits_stands_out_and_runs_nothing(
    size: str, scheme: str, shown: Shown, record: ExecutionRecord
) -> None:
    page = shown.show("execution", render(record), size, scheme)
    assert page.evaluate(UNNAMED) == []
    shown.unfold()
    wide = page.evaluate("[document.documentElement.scrollWidth, document.body.scrollWidth]")
    assert max(wide) <= SIZES[size][0]
    seen = page.evaluate(FAINT)
    assert seen["found"] == []
    assert seen["looked"] >= 40
    assert page.title() == "watched: Failed"
    assert (shown.asked, shown.said) == ([page.url], [])


def test_what_failed_lies_open(shown: Shown, record: ExecutionRecord) -> None:
    page = shown.show("execution", render(record))
    texts = page.evaluate("[...document.querySelectorAll('details[open]')].map(e => e.textContent)")
    assert len(texts) == 1 and "too bad" in texts[0]


def test_bars_lie_where_their_steps_ran(shown: Shown, record: ExecutionRecord) -> None:
    page = shown.show("execution", render(record))
    bars = page.evaluate(
        "[...document.querySelectorAll('.timeline li')].map(row => {"
        "  const place = row.querySelector('i')?.getBoundingClientRect();"
        "  const name = row.querySelector('a, b').textContent;"
        "  return [name, place?.left ?? null, place?.right ?? null];"
        "})"
    )
    found = {name: (left, right) for name, left, right in bars}
    assert found["Serve"] == (None, None)
    assert found["Judge"][0] < found["Judge"][1] <= found["Tell"][1]
    assert found["Judge"][0] < found["Tell"][0]


def test_more_steps_than_a_picture_can_hold_are_counted(record: ExecutionRecord) -> None:
    one = step(record, "Tell")
    many = [replace(one, name=f"Step{n}", needs=[f"Step{n - 1}"]) for n in range(DRAWN + 30)]
    assert graph(many).hidden == 30
    assert "30 more steps are not drawn" in render(replace(record, steps=many))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (61, "1 min 1 s"), (7260, "2 h 1 min")]
)
def test_durations_are_told_in_words(seconds: float, text: str) -> None:
    assert took(seconds) == text
