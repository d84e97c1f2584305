"""Executions of pipelines in the local cloud, as clients see them."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.executor import cache_report, lineage
from pipelines.executor.runners import RUNNERS
from pipelines.executor.step_types import WHY_NOT
from stacks.commands import model
from stacks.commands.output import CommandOutput
from stacks.local.aws.sagemaker.api import OPERATIONS
from tests.kits.endpoints import put_artifact, serve_program
from tests.kits.executions import create, ended, execute, function, shell, start, steps_of
from tests.kits.executor import callback, compare, condition, definition, lambda_step
from tests.kits.local_cloud import OWN_IMAGE, ROLE, Cloud, refusal, trusted_role
from tests.kits.path import wait_until

CACHED = {"Enabled": True, "ExpireAfter": "30d"}
DAYS = [{"Name": "Days", "Type": "String", "DefaultValue": "7"}]


@pytest.fixture(scope="module")
def caching(sm: Any) -> str:
    """A pipeline with a cached step that was run once; the ARN of that execution."""
    days = {"Environment": {"DAYS": {"Get": "Parameters.Days"}}}
    after = shell("B", "true", {"Get": "Steps.A.ProcessingJobArn"})
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


def test_a_miss_without_a_job_is_explained_by_definitions_and_parameters(
    cloud: Cloud, sm: Any
) -> None:
    arn = function(cloud, "cached", "def handler(event, _): return {}")
    given = {"days": {"Get": "Parameters.Days"}, "kind": "all"}
    step = lambda_step("L", FunctionArn=arn, Arguments=given, CacheConfig=CACHED)
    create(sm, "cached-function", step, parameters=DAYS)

    def told(**more: Any) -> Any:
        done = execute(sm, "cached-function", **more)["PipelineExecutionArn"]
        return cache_report.explain(sm, done, list(steps_of(sm, done).values()))["L"]

    assert told()["reasons"] == ["no earlier run of this step succeeded"]
    assert told()["hit"] is True
    fourteen = [{"Name": "Days", "Value": "14"}]
    assert told(PipelineParameters=fourteen)["reasons"] == ["parameter Days was '7', is '14'"]
    changed = definition(step | {"Arguments": {**given, "kind": "some"}}, parameters=DAYS)
    sm.update_pipeline(PipelineName="cached-function", PipelineDefinition=json.dumps(changed))
    assert told(PipelineParameters=fourteen)["reasons"] == ["Arguments.kind was 'all', is 'some'"]


def test_a_child_of_a_loop_is_cached_and_explained_by_its_own_name(sm: Any) -> None:
    body = shell("P", "true", {"Get": "ForEach.CurrentItem"}, CacheConfig=CACHED)
    items = [{"Get": "Parameters.Days"}, "b"]
    loop = {"IterableItems": items, "MaxConcurrency": 2, "ForEachBody": [body]}
    create(sm, "cached-loop", {"Name": "E", "Type": "ForEach", "Arguments": loop}, parameters=DAYS)
    execute(sm, "cached-loop")
    done = execute(sm, "cached-loop", PipelineParameters=[{"Name": "Days", "Value": "14"}])
    arn = done["PipelineExecutionArn"]
    told = cache_report.explain(sm, arn, list(steps_of(sm, arn).values()))
    assert told.keys() == {"P-0", "P-1"}
    assert told["P-0"]["reasons"] == ["AppSpecification.ContainerArguments[0] was '7', is '14'"]
    assert told["P-1"]["hit"] is True


@pytest.fixture
def plinth_run(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """What `plinth run` answers of a pipeline, started with these parameters and waited for."""
    monkeypatch.setattr(model, "clients_of", lambda _: cloud.client)
    monkeypatch.setattr(model, "source_commit", lambda: "")

    def start_with(sm: Any, _: Any, name: str, given: dict[str, str]) -> str:
        values = [{"Name": key, "Value": value} for key, value in given.items() if value]
        return str(execute(sm, name, PipelineParameters=values)["PipelineExecutionArn"])

    def answer(name: str, **parameters: str) -> Any:
        workload = SimpleNamespace(pipelines={name: None}, pipeline=lambda _: None)
        settings = SimpleNamespace(workload=workload, names=SimpleNamespace(of=lambda name: name))
        monkeypatch.setattr(model, "workload_stack", lambda name: (name, settings))
        return model.run("local", None, parameters, CommandOutput(as_json=True))

    monkeypatch.setattr(model, "_start", start_with)
    return answer


def test_plinth_run_says_what_came_from_the_cache_and_why_the_rest_did_not(
    plinth_run: Callable[..., Any], caching: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def steps(days: str) -> dict[str, Any]:
        return {step["name"]: step["cache"] for step in plinth_run("caching", Days=days)["steps"]}

    told = steps("21")
    assert told["A"]["hit"] is False and told["B"] is None
    assert told["A"]["reasons"][0].startswith("Environment.DAYS was ")
    assert f"not from the cache: {told['A']['reasons'][0]}" in capsys.readouterr().err
    hit = steps("21")["A"]
    assert hit["hit"] is True and hit["source"].startswith("arn:aws:sagemaker:")
    assert f"from the cache: execution {hit['source'][-12:]}" in capsys.readouterr().err


def test_plinth_run_shows_more_steps_than_a_page_has(
    plinth_run: Callable[..., Any], sm: Any
) -> None:
    names = [f"If{index}" for index in range(101)]
    create(sm, "many", *(condition(name, [compare(1, "Equals", 1)]) for name in names))
    assert {step["name"] for step in plinth_run("many")["steps"]} == set(names)


# Steps that work outside SageMaker


def test_a_condition_reads_what_a_function_returned(cloud: Cloud, sm: Any) -> None:
    """aws/sagemaker-python-sdk#3499."""
    arn = function(cloud, "adds", "def handler(event, _): return {'n': event['a'] + 1}")
    step = lambda_step("L", "n:Integer", FunctionArn=arn, Arguments={"a": {"Get": "Parameters.K"}})
    test = compare({"Get": "Steps.L.OutputParameters['n']"}, "Equals", 8)
    create(
        sm, "adds", step, condition("If", [test], [shell("Yes", "true")], [shell("No", "true")]),
        parameters=[{"Name": "K", "Type": "Integer", "DefaultValue": 7}],
    )  # fmt: skip
    done = execute(sm, "adds")
    assert done["PipelineExecutionStatus"] == "Succeeded"
    steps = steps_of(sm, done["PipelineExecutionArn"])
    assert steps.keys() == {"L", "If", "Yes"}
    outputs = [{"Name": "n", "Value": "8"}]
    assert steps["L"]["Metadata"] == {"Lambda": {"Arn": arn, "OutputParameters": outputs}}


def test_jobs_have_the_tags_of_their_pipeline_and_their_own(cloud: Cloud, sm: Any) -> None:
    step = shell("A", "true")
    step["Arguments"]["Tags"] = [{"Key": "team", "Value": "of-the-step"}]
    arn = create(sm, "tagged", step)
    tags = [{"Key": "team", "Value": "of-the-pipeline"}, {"Key": "cost", "Value": "42"}]
    sm.add_tags(ResourceArn=arn, Tags=tags)
    done = execute(sm, "tagged")
    assert done["PipelineExecutionStatus"] == "Succeeded", done.get("FailureReason")
    job = steps_of(sm, done["PipelineExecutionArn"])["A"]["Metadata"]["ProcessingJob"]["Arn"]
    found = {tag["Key"]: tag["Value"] for tag in sm.list_tags(ResourceArn=job)["Tags"]}
    assert found == {"cost": "42", "team": "of-the-step"}


def test_a_function_that_raises_fails_its_step_with_its_words(cloud: Cloud, sm: Any) -> None:
    arn = function(cloud, "raises", "def handler(event, _): raise ValueError('no flights')")
    create(sm, "function-raises", lambda_step("L", FunctionArn=arn))
    done = execute(sm, "function-raises")
    assert done["PipelineExecutionStatus"] == "Failed"
    assert "no flights" in steps_of(sm, done["PipelineExecutionArn"])["L"]["FailureReason"]


def test_what_a_role_may_not_call_fails_the_step(cloud: Cloud, sm: Any) -> None:
    arn = function(cloud, "closed", "def handler(event, _): return {}")
    trusted_role(cloud.client("iam"), "no-functions", Action="s3:*")
    role = ROLE.replace("plinth-test", "no-functions")
    create(sm, "not-allowed", lambda_step("L", FunctionArn=arn))
    done = execute(sm, "not-allowed", RoleArn=role)
    told = steps_of(sm, done["PipelineExecutionArn"])["L"]["FailureReason"]
    assert "is not authorized to perform: lambda:InvokeFunction" in told


@pytest.fixture(scope="module")
def queue(cloud: Cloud) -> str:
    return str(cloud.client("sqs").create_queue(QueueName="callbacks")["QueueUrl"])


def message(cloud: Cloud, queue: str) -> Any:
    """The next message of a queue, once it is there."""
    sqs, found = cloud.client("sqs"), []

    def arrived() -> bool:
        found.extend(sqs.receive_message(QueueUrl=queue).get("Messages", ()))
        return bool(found)

    wait_until(arrived)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=found[0]["ReceiptHandle"])
    return json.loads(found[0]["Body"])


def waiting(cloud: Cloud, sm: Any, name: str, queue: str) -> tuple[str, Any]:
    """A started pipeline whose callback was sent: ARN of the execution and the message."""
    return waiting_at(sm, name, queue), message(cloud, queue)


def waiting_at(sm: Any, name: str, queue: str) -> str:
    later = shell("A", '[ "$1" = s3://done ]', {"Get": "Steps.K.OutputParameters['s3']"})
    step = callback("K", "s3:String", SqsQueueUrl=queue, Arguments={"a": "b"})
    create(sm, name, step, later)
    return start(sm, name)


def test_the_answer_to_a_callback_reaches_the_next_step(cloud: Cloud, sm: Any, queue: str) -> None:
    """awsdocs/aws-doc-sdk-examples#4994."""
    arn, sent = waiting(cloud, sm, "calls-back", queue)
    token = sent["token"]
    assert sent == {
        "token": token,
        "pipelineExecutionArn": arn,
        "arguments": {"a": "b"},
        "status": "Executing",
    }
    answer = {"OutputParameters": [{"Name": "s3", "Value": "s3://done"}], "CallbackToken": token}
    once = {**answer, "ClientRequestToken": "1" * 32}
    first = sm.send_pipeline_execution_step_success(**once)
    assert first["PipelineExecutionArn"] == arn
    assert sm.send_pipeline_execution_step_success(**once)["PipelineExecutionArn"] == arn
    code, text, _ = refusal(sm.send_pipeline_execution_step_success, **answer)
    assert code == "ConflictException" and "was answered before" in text
    assert ended(sm, arn)["PipelineExecutionStatus"] == "Succeeded"
    step = steps_of(sm, arn)["K"]
    assert step["Metadata"]["Callback"]["OutputParameters"] == answer["OutputParameters"]


def test_a_callback_that_is_answered_with_a_failure_fails(
    cloud: Cloud, sm: Any, queue: str
) -> None:
    """The URL is the one that the queue has in an account."""
    url = "https://sqs.us-east-1.amazonaws.com/123456789012/callbacks"
    assert queue.rpartition("/")[2] == "callbacks"
    arn = waiting_at(sm, "calls-back-badly", url)
    sent = message(cloud, queue)
    sm.send_pipeline_execution_step_failure(
        CallbackToken=sent["token"], FailureReason="no reviewer"
    )
    assert ended(sm, arn)["FailureReason"] == "Step failure: One or multiple steps failed."
    assert steps_of(sm, arn)["K"]["FailureReason"] == "no reviewer"
    code, _, _ = refusal(sm.send_pipeline_execution_step_failure, CallbackToken="a" * 10)
    assert code == "ResourceNotFound"


def test_a_stop_waits_until_the_callback_is_answered(cloud: Cloud, sm: Any, queue: str) -> None:
    arn, sent = waiting(cloud, sm, "stops-a-callback", queue)
    sm.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert message(cloud, queue) == sent | {"status": "Stopping"}
    now = sm.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert now["PipelineExecutionStatus"] == "Stopping"
    assert steps_of(sm, arn)["K"]["StepStatus"] == "Stopping"
    sm.send_pipeline_execution_step_failure(CallbackToken=sent["token"])
    assert ended(sm, arn)["PipelineExecutionStatus"] == "Stopped"
    assert steps_of(sm, arn).keys() == {"K"}


@pytest.mark.parametrize("kind", sorted(WHY_NOT))
def test_a_step_type_that_does_not_run_is_refused_by_its_name_with_the_reason(
    kind: str, sm: Any
) -> None:
    step = {"Name": "X", "Type": kind, "Arguments": {}}
    code, message, _ = refusal(lambda: create(sm, f"takes-{kind}", step))
    assert code == "ValidationException"
    assert f"Steps[0].Type '{kind}' is not emulated: {WHY_NOT[kind]}" in message


def test_every_operation_that_steps_ask_for_is_answered() -> None:
    runners = RUNNERS.values()
    asked = {runner.operation for runner in runners} | {runner.lists for runner in runners}
    asked |= {runner.operation.replace("Create", "Describe", 1) for runner in runners}
    called = {name for runner in runners for name in (runner.stop, runner.update)}
    asked |= {name.title().replace("_", "") for name in called}
    asked |= {kind.operation for kind in lineage.KINDS.values()}
    assert asked - {""} | {"AddAssociation", "ListModelPackages"} <= OPERATIONS.keys()


# Endpoints


def deploying(path: str, artifact: str) -> list[Any]:
    """A model, its configuration and the endpoint that serves it; the variant is a parameter."""
    variant = {"Get": "Parameters.Who"}
    named = {"Std:Join": {"On": "-", "Values": ["of-a-pipeline", variant]}}
    container = {
        "Image": OWN_IMAGE,
        "ModelDataUrl": artifact,
        "Environment": {"PATH": path, "NAME": variant},
    }
    serving = {
        "VariantName": "AllTraffic",
        "ModelName": {"Get": "Steps.M.ModelName"},
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    return [
        {"Name": "E", "Type": "Endpoint", "Arguments": {
            "EndpointName": "of-a-pipeline",
            "EndpointConfigName": {"Get": "Steps.C.EndpointConfigName"}}},
        {"Name": "C", "Type": "EndpointConfig", "Arguments": {
            "EndpointConfigName": named, "ProductionVariants": [serving]}},
        {"Name": "M", "Type": "Model", "Arguments": {
            "ExecutionRoleArn": ROLE, "PrimaryContainer": container}},
    ]  # fmt: skip


def test_a_pipeline_deploys_an_endpoint_and_updates_it_the_next_time(
    cloud: Cloud, sm: Any, tmp_path: Path
) -> None:
    artifact = put_artifact(cloud.client("s3"))
    steps = deploying(serve_program(tmp_path), artifact)
    create(sm, "deploys", *steps, parameters=[{"Name": "Who", "Type": "String"}])
    runtime = cloud.client("sagemaker-runtime")

    def served_after(who: str) -> str:
        done = execute(sm, "deploys", PipelineParameters=[{"Name": "Who", "Value": who}])
        assert done["PipelineExecutionStatus"] == "Succeeded", done.get("FailureReason")
        answer = runtime.invoke_endpoint(
            EndpointName="of-a-pipeline", ContentType="text/plain", Body="x"
        )
        return str(answer["Body"].read().decode()).partition("|")[0]

    assert [served_after("one"), served_after("two")] == ["one", "two"]
    broken = execute(sm, "deploys", PipelineParameters=[{"Name": "Who", "Value": "crash"}])
    assert broken["PipelineExecutionStatus"] == "Failed"
    reasons = [
        step.get("FailureReason", "")
        for step in steps_of(sm, broken["PipelineExecutionArn"]).values()
    ]
    assert any("of-a-pipeline-crash is not served: " in reason for reason in reasons)
    sm.delete_endpoint(EndpointName="of-a-pipeline")
