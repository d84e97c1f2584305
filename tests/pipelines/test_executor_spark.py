"""EMR and EMRServerless steps: what their definitions must hold, and what they ask the services."""

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pipelines.executor import spark_steps
from pipelines.executor.model import Outcome, StepState
from pipelines.executor.plan import refused, validate
from pipelines.executor.run import run
from tests.kits.executor import FakeSageMaker, Json, definition, processing
from tests.pipelines.test_executor import EXECUTION

ROLE = "arn:aws:iam::123456789012:role/spark"
STEP = {"HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["spark-submit", "s3://b/x.py"]}}
GROUPS = {
    "InstanceGroups": [{"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1}]
}
CLUSTER = {"ReleaseLabel": "emr-7.9.0", "Instances": GROUPS}
JOB = {"executionRoleArn": ROLE, "jobDriver": {"sparkSubmit": {"entryPoint": "s3://b/x.py"}}}
APPLICATION = {"releaseLabel": "emr-7.9.0", "type": "SPARK"}


def spark(kind: str, arguments: Json, **more: Any) -> Json:
    return {"Name": "S", "Type": kind, "Arguments": arguments, **more}


def on(cluster: Any, **more: Any) -> Json:
    return spark("EMR", {"ClusterId": cluster, "StepConfig": STEP}, **more)


PROBLEMS: dict[str, tuple[str, Json, str]] = {
    "nowhere": ("EMR", {"StepConfig": STEP}, "one of ClusterId, ClusterConfig, got neither"),
    "twice": (
        "EMR",
        {"StepConfig": STEP, "ClusterId": "j-1", "ClusterConfig": CLUSTER},
        "one of ClusterId, ClusterConfig, got both",
    ),
    "no step": ("EMR", {"ClusterId": "j-1"}, "StepConfig is missing: an EMR step requires it"),
    "no jar": (
        "EMR",
        {"ClusterId": "j-1", "StepConfig": {}},
        "StepConfig.HadoopJarStep is missing: StepConfig requires it",
    ),
    "a number as an argument": (
        "EMR",
        {
            "ClusterId": "j-1",
            "StepConfig": {"HadoopJarStep": {"Jar": "command-runner.jar", "Args": [1]}},
        },
        "HadoopJarStep.Args[0] must be of type string, got 1",
    ),
    "a role of its own cluster": (
        "EMR",
        {"ClusterConfig": CLUSTER, "StepConfig": STEP, "ExecutionRoleArn": ROLE},
        "ExecutionRoleArn needs a ClusterId",
    ),
    "a name": (
        "EMR",
        {"ClusterConfig": {**CLUSTER, "Name": "n"}, "StepConfig": STEP},
        "ClusterConfig.Name is the step's own to say",
    ),
    "alive": (
        "EMR",
        {
            "ClusterConfig": {"Instances": {**GROUPS, "TerminationProtected": True}},
            "StepConfig": STEP,
        },
        "ClusterConfig.Instances.TerminationProtected is the step's own to say",
    ),
    "no machines": (
        "EMR",
        {"ClusterConfig": {"Instances": {}}, "StepConfig": STEP},
        "must hold one of InstanceGroups, InstanceFleets",
    ),
    "unknown": ("EMR", {**on("j-1")["Arguments"], "Jar": "x"}, "Jar is not a member of an EMR"),
    "no job": ("EMRServerless", {"ApplicationId": "00a"}, "JobConfig is missing"),
    "no role": (
        "EMRServerless",
        {"ApplicationId": "00a", "JobConfig": {"jobDriver": {}}},
        "JobConfig.executionRoleArn is missing: StartJobRun requires it",
    ),
    "no release": (
        "EMRServerless",
        {"ApplicationConfig": {"type": "SPARK"}, "JobConfig": JOB},
        "ApplicationConfig.releaseLabel is missing: CreateApplication requires it",
    ),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_a_step_that_the_service_would_refuse_is_refused_by_create_pipeline(case: str) -> None:
    kind, arguments, told = PROBLEMS[case]
    problems = refused(definition(spark(kind, arguments)))
    assert any(told in one and one.startswith("Steps[0].Arguments") for one in problems), problems


@pytest.mark.parametrize(
    ("kind", "path", "fits"),
    [
        ("EMR", "ClusterId", True),
        ("EMR", "Config.Args[1]", True),
        ("EMR", "Status.State", True),
        ("EMR", "Status.Nothing", False),
        ("EMR", "JobFlowId", False),
        ("EMRServerless", "jobRun.state", True),
        ("EMRServerless", "state", False),
    ],
)
def test_a_reference_to_a_step_is_held_against_what_it_answers(
    kind: str, path: str, fits: bool
) -> None:
    own = {"ApplicationId": "00a", "JobConfig": JOB}
    step = on("j-1") if kind == "EMR" else spark(kind, own)
    later = processing("A", Arguments={"Environment": {"X": {"Get": f"Steps.S.{path}"}}})
    problems = validate(definition(step, later))
    assert (problems == []) == fits, problems


@dataclass
class Spark:
    """EMR and EMR Serverless, whose job is in these states one after the other."""

    states: list[str]
    refuses: bool = False
    calls: list[tuple[str, Json]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    asked_since: int = 0
    sagemaker: FakeSageMaker = field(default_factory=FakeSageMaker)

    def client(self, service: str) -> Any:
        return self.sagemaker if service == "sagemaker" else self

    def __getattr__(self, name: str) -> Any:
        def call(**request: Any) -> Json:
            self.calls.append((name, request))
            if self.refuses and name in ("add_job_flow_steps", "start_job_run"):
                raise ClientError({"Error": {"Code": "ValidationException", "Message": "no"}}, name)
            if name in ("cancel_steps", "cancel_job_run"):
                self.stopped.set()
            answer: Json = ANSWERS.get(name, lambda _: {})(self)
            return answer

        return call

    @property
    def state(self) -> str:
        if self.stopped.is_set():
            self.asked_since += 1
            return "CANCELLED" if self.asked_since > 3 else "RUNNING"
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def asked(self, name: str) -> list[Json]:
        return [request for called, request in self.calls if called == name]

    def run(self, *steps: Json, stopping: Any = lambda _: False) -> tuple[Outcome, StepState]:
        states: list[StepState] = []
        whole = definition(*steps)
        assert validate(whole) == []
        outcome = run(
            whole, parameters={}, execution=EXECUTION, client=self.client,
            observe=states.append, stopping=lambda: stopping(states), expect=lambda made: None,
        )  # fmt: skip
        return outcome, [state for state in states if state.name == "S"][-1]


ANSWERS: dict[str, Any] = {
    "run_job_flow": lambda _: {"JobFlowId": "j-made"},
    "add_job_flow_steps": lambda _: {"StepIds": ["s-1"]},
    "describe_cluster": lambda _: {"Cluster": {"LogUri": "s3://logs/"}},
    "describe_step": lambda world: {
        "Step": {
            "Config": {"Args": ["a", "out"]},
            "Status": {"State": world.state, "FailureDetails": {"Message": "it broke"}},
        }
    },
    "create_application": lambda _: {"applicationId": "00made"},
    "start_job_run": lambda _: {"jobRunId": "00run"},
    "get_job_run": lambda world: {"jobRun": {"state": world.state, "stateDetails": "it broke"}},
}


def test_a_step_runs_on_its_cluster_with_its_role_and_leaves_it() -> None:
    world = Spark(states=["PENDING", "RUNNING", "COMPLETED"])
    arguments = {"ClusterId": "j-1", "StepConfig": STEP, "ExecutionRoleArn": ROLE}
    later = processing("A", Arguments={"Environment": {"X": {"Get": "Steps.S.Config.Args[1]"}}})
    outcome, state = world.run(spark("EMR", arguments), later)
    assert outcome.status == "Succeeded"
    (asked,) = world.asked("add_job_flow_steps")
    (added,) = asked["Steps"]
    assert (asked["JobFlowId"], asked["ExecutionRoleArn"]) == ("j-1", ROLE)
    assert (
        added["ActionOnFailure"] == "CONTINUE" and added["HadoopJarStep"] == STEP["HadoopJarStep"]
    )
    assert state.metadata["EMR"] == {
        "ClusterId": "j-1",
        "StepId": "s-1",
        "StepName": added["Name"],
        "LogFilePath": "s3://logs/j-1/steps/s-1",
    }
    assert world.sagemaker.requests["A"]["Environment"] == {"X": "out"}
    assert world.asked("terminate_job_flows") == [], "it was there before"


@pytest.mark.parametrize("refuses", [False, True])
def test_a_cluster_that_is_made_for_a_step_ends_with_it_however_it_ends(refuses: bool) -> None:
    world = Spark(states=["FAILED"], refuses=refuses)
    outcome, state = world.run(spark("EMR", {"ClusterConfig": CLUSTER, "StepConfig": STEP}))
    assert outcome.status == "Failed"
    assert ("no" if refuses else "it broke") in state.failure_reason
    (made,) = world.asked("run_job_flow")
    assert made["Instances"] == {**GROUPS, "KeepJobFlowAliveWhenNoSteps": True}
    assert world.asked("terminate_job_flows") == [{"JobFlowIds": ["j-made"]}]


def test_an_application_that_is_made_for_a_step_ends_with_it() -> None:
    world = Spark(states=["SUBMITTED", "RUNNING", "SUCCESS"])
    job = {**JOB, "name": "mine", "configurationOverrides": {"monitoringConfiguration": {
        "s3MonitoringConfiguration": {"logUri": "s3://logs/"}}}}  # fmt: skip
    arguments = {"ApplicationConfig": APPLICATION, "ExecutionRoleArn": ROLE, "JobConfig": job}
    outcome, state = world.run(spark("EMRServerless", arguments))
    assert outcome.status == "Succeeded"
    assert world.asked("start_job_run") == [{**job, "applicationId": "00made"}]
    assert state.metadata["EMRServerless"] == {
        "ApplicationId": "00made",
        "JobRunId": "00run",
        "JobRunName": "mine",
        "LogFilePath": "s3://logs/applications/00made/jobs/00run",
    }
    assert world.asked("delete_application") == [{"applicationId": "00made"}]


@pytest.mark.parametrize(
    ("step", "cancel"),
    [
        (on("j-1"), "cancel_steps"),
        (spark("EMRServerless", {"ApplicationId": "00a", "JobConfig": JOB}), "cancel_job_run"),
    ],
)
def test_a_stop_request_cancels_what_runs_once(step: Json, cancel: str) -> None:
    world = Spark(states=["RUNNING"])
    outcome, state = world.run(
        step, stopping=lambda states: any("StepId" in str(s.metadata) or "JobRunId" in str(s.metadata) for s in states)  # noqa: E501
    )  # fmt: skip
    assert (outcome.status, state.status) == ("Stopped", "Stopped")
    assert len(world.asked(cancel)) == 1


@pytest.mark.parametrize("state", sorted(spark_steps.ENDS))
def test_every_last_state_ends_the_step(state: str) -> None:
    step = on("j-1")
    _, found = Spark(states=["RUNNING", state]).run(step)
    expected = {"COMPLETED": "Succeeded", "SUCCESS": "Succeeded", "CANCELLED": "Stopped"}
    assert found.status == expected.get(state, "Failed")
