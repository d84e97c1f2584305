"""The step cache: which results are used again, by AWS's table, and what differs where none is."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.executor import cache, cache_report
from pipelines.executor.model import Result, StepState
from pipelines.executor.plan import validate
from tests.kits.executor import FakeSageMaker, Json, condition, definition, processing, training
from tests.kits.executor import compare as condition_of
from tests.pipelines.test_executor import Run, execute

ON = {"Enabled": True, "ExpireAfter": "30d"}
FIRST = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/demo/execution/first"
CONTAINER = {"ImageUri": "image:1", "ContainerEntrypoint": ["python3"]}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30d", 30 * 86_400),
        ("5y", 5 * 365 * 86_400),
        ("T16m", 16 * 60),
        ("30dT5h", 30 * 86_400 + 5 * 3600),
        ("PT1H", 3600),
        ("p30d", 30 * 86_400),
        ("P4DT12H", 4 * 86_400 + 12 * 3600),
        ("P1M", 30 * 86_400),
        ("2w", 14 * 86_400),
        ("", None),
        ("P", None),
        ("30", None),
        ("PT", None),
        ("1h", None),
        ("30 days", None),
        ("99999999999999y", None),
    ],
)
def test_a_duration_is_read_as_aws_writes_it(text: str, seconds: int | None) -> None:
    found = cache.duration(text)
    assert (found and found.total_seconds()) == seconds


def cached(name: str = "A", config: Any = ON, **changes: Any) -> Json:
    made = processing(name, CacheConfig=config)
    return made | {"Arguments": made["Arguments"] | changes}


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (cached(config=[]), "Steps[0].CacheConfig must be an object, got []"),
        (cached(config={"Enabled": "yes"}), "CacheConfig.Enabled must be true or false, got 'yes'"),
        (cached(config={"Enabled": True, "ExpireAfter": "1h"}), "must be an ISO 8601 duration"),
        (cached(config={"Enabled": True, "ExpireAfter": 3}), "ExpireAfter must be an ISO 8601"),
        (cached(config={"Enabled": True, "After": 3}), "CacheConfig.After is not a member of a"),
        (condition("A", [condition_of(1, "Equals", 1)]) | {"CacheConfig": ON},
         "Steps[0].CacheConfig is not emulated for a Condition step"),
    ],
)  # fmt: skip
def test_a_wrong_cache_is_a_problem_with_its_path(step: Json, problem: str) -> None:
    assert [told for told in validate(definition(step)) if problem in told]


def left_by(run: Run, **changes: Any) -> Result:
    """What the last step of a run leaves to later ones, as if an earlier execution had."""
    result = run.states[-1].result
    assert result is not None
    whole = {name: getattr(result, name) for name in Result.__dataclass_fields__}
    return Result(**{**whole, "execution_arn": FIRST, **changes})


def again(step: Json, *past: Result) -> Run:
    return execute([step], past=lambda name: [result for result in past if result.step == name])


SAME: dict[str, Json] = {
    "nothing else": cached(),
    "another instance": cached(
        ProcessingResources={
            "ClusterConfig": {
                "InstanceType": "ml.c5.xlarge",
                "InstanceCount": 1,
                "VolumeSizeInGB": 9,
            }
        }
    ),
    "another output": cached(ProcessingOutputConfig={"Outputs": []}),
    "another role": cached(RoleArn="arn:aws:iam::123456789012:role/other-of-a-pipeline"),
    "no environment, said": cached(Environment={}),
}


@pytest.mark.parametrize("case", SAME)
def test_a_result_is_used_again_where_nothing_that_aws_compares_differs(case: str) -> None:
    first = execute([cached()])
    second = again(SAME[case], left_by(first))
    assert second.sagemaker.created() == []
    state = second.state("A")
    assert (state.status, state.cached) == ("Succeeded", True)
    assert state.result is not None and state.result.execution_arn == FIRST
    assert state.metadata == first.state("A").metadata, "it shows the job that ran"


OTHER: dict[str, Json] = {
    "another program": cached(
        AppSpecification={"ImageUri": "image:1", "ContainerEntrypoint": ["x"]}
    ),
    "another image": cached(AppSpecification=CONTAINER | {"ImageUri": "image:2"}),
    "an environment": cached(Environment={"DAYS": "7"}),
    "an input": cached(
        ProcessingInputs=[
            {
                "InputName": "in",
                "S3Input": {
                    "S3Uri": "s3://b/in",
                    "LocalPath": "/opt/ml/processing/in",
                    "S3DataType": "S3Prefix",
                },
            }
        ]
    ),
    "the cache off": processing("A", CacheConfig={"Enabled": False, "ExpireAfter": "30d"}),
    "no cache": processing("A"),
    "another name": cached("B"),
}


@pytest.mark.parametrize("case", OTHER)
def test_a_step_runs_where_something_that_aws_compares_differs(case: str) -> None:
    step = OTHER[case]
    second = again(step, left_by(execute([cached()])))
    assert second.sagemaker.created() == [step["Name"]]
    assert not second.states[-1].cached


def test_a_result_is_used_until_it_is_too_old_and_the_newest_first() -> None:
    first, now = execute([cached()]), datetime.now(UTC)
    old, new = now - timedelta(days=29), now - timedelta(days=1)
    expired = left_by(first, ended=now - timedelta(days=31))
    assert again(cached(), expired).sagemaker.created() == ["A"]
    forever = cached(config={"Enabled": True})
    assert again(forever, expired).sagemaker.created() == []
    results = [left_by(first, ended=new, execution_arn="new"), left_by(first, ended=old)]
    result = again(cached(), *results).state("A").result
    assert result is not None and result.execution_arn == "new"


def test_later_steps_see_the_job_that_ran_and_are_found_in_the_cache_by_it() -> None:
    uri = {"Get": "Steps.A.ProcessingOutputConfig.Outputs['report'].S3Output.S3Uri"}
    where = {"Outputs": [{"OutputName": "report", "S3Output": {
        "S3Uri": "s3://b/of-this-run", "LocalPath": "/opt/ml/processing/report",
        "S3UploadMode": "EndOfJob"}}]}  # fmt: skip
    first = left_by(execute([cached()]))
    later = execute(
        [cached(ProcessingOutputConfig=where), training("T", uri=uri)], past=lambda _: [first]
    )
    channel = later.sagemaker.requests["T"]["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    assert channel["S3Uri"] == "s3://b/A", "of the earlier job, not of this run's arguments"


def test_a_failed_run_leaves_nothing() -> None:
    states: list[StepState] = execute([cached()], FakeSageMaker(ends={"A": "Failed"})).states
    assert states[-1].status == "Failed"
    assert [state.result for state in states] == [None, None, None]


CHANGED: dict[str, tuple[Any, Any, list[str]]] = {
    "nothing": ({"A": [1]}, {"A": [1]}, []),
    "a value": ({"E": {"D": "7"}}, {"E": {"D": "14"}}, ["E.D was '7', is '14'"]),
    "more": ({"E": {}}, {"E": {"D": "14"}}, ["E.D was nothing, is '14'"]),
    "less": ({"E": {"D": "14"}}, {}, ["E was {'D': '14'}, is nothing"]),
    "an item by its place": (
        {"C": ["a", "b"]},
        {"C": ["a", "c", "d"]},
        ["C[1] was 'b', is 'c'", "C[2] was nothing, is 'd'"],
    ),
    "an item by its name": (
        {"InputDataConfig": [{"ChannelName": "train", "S3Uri": "s3://b/1"}]},
        {"InputDataConfig": [{"ChannelName": "train", "S3Uri": "s3://b/2"}]},
        ["InputDataConfig['train'].S3Uri was 's3://b/1', is 's3://b/2'"],
    ),
    "a secret": (
        {"E": {"DB_PASSWORD": "old"}},
        {"E": {"DB_PASSWORD": "new"}},
        ["E.DB_PASSWORD is another (a secret is not shown)"],
    ),
}


@pytest.mark.parametrize("case", CHANGED)
def test_what_differs_is_named_with_both_values(case: str) -> None:
    before, now, expected = CHANGED[case]
    assert list(cache.differences(before, now)) == expected


@dataclass
class Executions:
    """SageMaker with two executions of a pipeline of one step, whose jobs are alike."""

    steps: dict[str, Json]
    """ARN -> the step of its definition, the newest first."""

    def list_pipeline_executions(self, **_: Any) -> Json:
        return {"PipelineExecutionSummaries": [{"PipelineExecutionArn": arn} for arn in self.steps]}

    def describe_pipeline_definition_for_execution(self, PipelineExecutionArn: str) -> Json:
        return {"PipelineDefinition": json.dumps(definition(self.steps[PipelineExecutionArn]))}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_pipeline_execution_steps"
        return SimpleNamespace(paginate=lambda **asked: [self.page(**asked)])

    def page(self, PipelineExecutionArn: str, SortOrder: str) -> Json:
        now = datetime.now(UTC)
        name = self.steps[PipelineExecutionArn]["Name"]
        row = {"StepName": name, "StepStatus": "Succeeded", "StartTime": now, "EndTime": now}
        metadata = {"QualityCheck": {"CheckJobArn": "arn:processing-job/q"}}
        return {"PipelineExecutionSteps": [{**row, "Metadata": metadata}]}

    def list_pipeline_parameters_for_execution(self, **_: Any) -> Json:
        return {"PipelineParameters": []}

    def describe_processing_job(self, ProcessingJobName: str) -> Json:
        return {"AppSpecification": CONTAINER}


def test_a_check_that_ran_again_is_explained_by_what_its_job_does_not_show() -> None:
    step = cached("Q") | {"Type": "QualityCheck", "CheckType": "DATA_QUALITY", "SkipCheck": True}
    larger = cached("Q", ProcessingResources={"ClusterConfig": {
        "InstanceType": "ml.c5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 9}})  # fmt: skip
    arns = (f"{FIRST}-2", FIRST)
    now = step | {"Arguments": larger["Arguments"], "RegisterNewBaseline": True}
    fake = Executions({arns[0]: now, arns[1]: step})
    told = cache_report.explain(fake, arns[0], cache_report.rows_of(fake, arns[0]))
    assert told["Q"]["reasons"] == ["RegisterNewBaseline was nothing, is True"]
