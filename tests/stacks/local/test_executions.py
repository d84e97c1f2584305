"""Executions of pipelines in the local cloud, as clients see them."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.executor import cache_report
from stacks.commands import model
from stacks.commands.output import CommandOutput
from tests.kits.executions import create, execute, shell, steps_of
from tests.kits.local_cloud import Cloud, running_cloud

CACHED = {"Enabled": True, "ExpireAfter": "30d"}
DAYS = [{"Name": "Days", "Type": "String", "DefaultValue": "7"}]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="module")
def sm(cloud: Cloud) -> Any:
    return cloud.client("sagemaker")


@pytest.fixture(scope="module")
def caching(sm: Any) -> str:
    """A pipeline with a cached step that was run once; the ARN of that execution."""
    days = {"Environment": {"DAYS": {"Get": "Parameters.Days"}}}
    after = shell("B", '[ "$1" = "$0" ]', {"Get": "Steps.A.ProcessingJobArn"})
    after["Arguments"]["AppSpecification"]["ContainerEntrypoint"] = ["bash", "-c", "true"]
    create(
        sm, "caching", shell("A", "date", Arguments=days, CacheConfig=CACHED), after,
        parameters=DAYS,
    )  # fmt: skip
    first = execute(sm, "caching")
    assert first["PipelineExecutionStatus"] == "Succeeded"
    return str(first["PipelineExecutionArn"])


def test_a_second_run_takes_the_step_from_the_cache(sm: Any, caching: str) -> None:
    second = execute(sm, "caching")
    assert second["PipelineExecutionStatus"] == "Succeeded"
    before, now = steps_of(sm, caching), steps_of(sm, second["PipelineExecutionArn"])
    assert "CacheHitResult" not in before["A"]
    assert now["A"]["CacheHitResult"] == {"SourcePipelineExecutionArn": caching}
    assert now["A"]["Metadata"] == before["A"]["Metadata"]
    assert "CacheHitResult" not in now["B"], "its cache is off"
    job = now["B"]["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    given = sm.describe_processing_job(ProcessingJobName=job)["AppSpecification"]
    assert given["ContainerArguments"] == [before["A"]["Metadata"]["ProcessingJob"]["Arn"]]


def test_another_pipeline_has_a_cache_of_its_own(sm: Any, caching: str) -> None:
    create(sm, "caching-too", shell("A", "date", CacheConfig=CACHED))
    first = execute(sm, "caching-too")["PipelineExecutionArn"]
    assert "CacheHitResult" not in steps_of(sm, first)["A"]


def test_a_miss_is_explained_by_what_differs(sm: Any, caching: str) -> None:
    changed = execute(sm, "caching", PipelineParameters=[{"Name": "Days", "Value": "14"}])
    arn = changed["PipelineExecutionArn"]
    steps = list(steps_of(sm, arn).values())
    assert cache_report.explain(sm, arn, steps) == {
        "A": {"hit": False, "source": None, "reasons": ["Environment.DAYS was '7', is '14'"]}
    }
    first = list(steps_of(sm, caching).values())
    told = cache_report.explain(sm, caching, first)
    assert told["A"]["reasons"] == ["no earlier run of this step succeeded"]


def test_plinth_run_says_what_came_from_the_cache_and_why_the_rest_did_not(
    cloud: Cloud, caching: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workload = SimpleNamespace(pipelines={"caching": None}, pipeline=lambda _: None)
    settings = SimpleNamespace(workload=workload, names=SimpleNamespace(of=lambda name: name))
    monkeypatch.setattr(model, "workload_stack", lambda name: (name, settings))
    monkeypatch.setattr(model, "clients_of", lambda _: cloud.client)
    monkeypatch.setattr(model, "source_commit", lambda: "")
    monkeypatch.setattr(
        model,
        "_start",
        lambda sm, _, name, given: execute(
            sm, name, PipelineParameters=[{"Name": "Days", "Value": given["Days"]}]
        )["PipelineExecutionArn"],
    )

    def steps(days: str) -> dict[str, Any]:
        result = model.run("local", None, {"Days": days}, CommandOutput(as_json=True))
        return {step["name"]: step["cache"] for step in result["steps"]}

    told = steps("21")
    assert told["A"]["hit"] is False and told["B"] is None
    assert told["A"]["reasons"][0].startswith("Environment.DAYS was ")
    assert f"not from the cache: {told['A']['reasons'][0]}" in capsys.readouterr().err
    hit = steps("21")["A"]
    assert hit["hit"] is True and hit["source"].startswith("arn:aws:sagemaker:")
    assert f"from the cache: execution {hit['source'][-12:]}" in capsys.readouterr().err
