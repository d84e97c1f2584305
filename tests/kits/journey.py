"""Everything that an environment `local` does, in steps: what a drill looks at while it happens."""

from __future__ import annotations

import contextlib
import functools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import boto3
from botocore.exceptions import ClientError

from tests.conftest import Clone
from tests.kits import controllers, mlflow_pages, path
from tests.kits.people import REGION, Clients, asked, become, enter, variables

ACCOUNT = "123456789012"
WORKLOADS = ("flight-delay", "block-time")
ENDPOINT, SERVERLESS = "plinth-local-flight-delay-realtime", "plinth-local-flight-delay-serverless"
GROUP = "plinth-local-flight-delay-flights"
WEATHER = "plinth-local-weather-hourly"
ARTIFACTS = f"plinth-local-artifacts-{ACCOUNT}"
TRAINING = "plinth-local-flight-delay-training"
SEEN_SECONDS = 3
"""In which a round of the local cloud sees the state of an alarm."""


@dataclass
class Journey:
    """A clone of the checkout with its environment, and the people in it."""

    clone: Clone
    tell: Callable[[str], None]
    began: list[tuple[str, float]] = field(default_factory=list)
    """Name of each step and when it began, in seconds since the epoch."""

    failed: dict[str, str] = field(default_factory=dict)
    """Step -> why it did not get to its end; later ones are tried nevertheless."""

    def run(self, steps: Mapping[str, Callable[[Journey], None]] | None = None) -> None:
        """Steps in order. Default: all but what takes down."""
        for name, step in (STEPS if steps is None else steps).items():
            self.tell(name)
            self.began.append((name, time.time()))
            try:
                step(self)
            except (AssertionError, ClientError, KeyError, IndexError) as error:
                self.failed[name] = f"{type(error).__name__}: {error}"
                self.tell(f"  {self.failed[name][:2000]}")

    def step_at(self, seconds: float) -> str:
        """The step during which something happened."""
        before = [name for name, began in self.began if began <= seconds]
        return before[-1] if before else "start"

    @cached_property
    def own(self) -> Clients:
        """Clients with the keys of the home."""
        return self.clone.client

    @cached_property
    def deployer(self) -> Mapping[str, str]:
        """Variables of a session of the platform's deployer."""
        url = self.own("sts").meta.endpoint_url
        return variables(enter(self.own, url, "plinth-local-deployer"))

    def person(self, persona: str) -> Clients:
        url = self.own("sts").meta.endpoint_url
        return become(self.own, url, f"plinth-local-{persona}")


def _up(journey: Journey) -> None:
    """The home makes most of the foundation and, at the end, models; the deployer the rest.

    Nobody may make the role with which they deploy; what asks for nothing of it the deployer adds:
    AWS Config's recorder, the trail, GitHub's provider.
    """
    settings = journey.clone.root / "stacks" / "environments" / "Pulumi.local.foundation.yaml"
    whole = settings.read_text() + GITHUB
    less = whole
    for said in ("create_config_recorder: true", "create_provider: true"):
        assert said in less, f"{settings} must say {said}"
        less = less.replace(said, said.replace("true", "false"))
    settings.write_text(less)
    journey.clone.ok("up", "local.foundation")
    settings.write_text(whole)
    _deployer(journey, "up", "local")
    journey.clone.ok("up", "local", "--with-model")


GITHUB = """\
  plinth:access:
    github:
      repository: example-org/ml-platform
      deploy_environment: local
      preview_environment: local-preview
      create_provider: true
"""


def _down(journey: Journey) -> None:
    """The deployer takes down what carries nothing else."""
    for name in ("local.block_time", "local.flight_delay", "local.cluster"):
        _deployer(journey, "destroy", name, "--yes")


def _deployer(journey: Journey, *command: str) -> None:
    done = journey.clone.plinth(*command, "--json", env=journey.deployer)
    assert done.code == 0, done.err[-4000:]


def _again(journey: Journey) -> None:
    """A release of both: updates of the endpoints, watched by their alarms."""
    for workload in ("local.block_time", "local.flight_delay"):
        journey.clone.ok("run", workload, "training")
        journey.clone.ok("approve", workload)
        journey.clone.ok("promote", workload)
        journey.clone.ok("up", workload, timeout=600)
        journey.clone.ok("predict", workload)


def _stream(journey: Journey) -> None:
    """Records that are written, and one that cannot be: it goes to the dead letters."""
    features = journey.own("sagemaker").describe_feature_group(FeatureGroupName=GROUP)
    types = {item["FeatureName"]: item["FeatureType"] for item in features["FeatureDefinitions"]}
    record: dict[str, Any] = {
        name: 1 if kind == "Integral" else 1.5 if kind == "Fractional" else "x"
        for name, kind in types.items()
    }
    record[features["EventTimeFeatureName"]] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    key = features["RecordIdentifierFeatureName"]
    record[key] = "drill" if types[key] == "String" else 7
    messages = [{"entity": "flights", "record": record}, {"entity": "nobody", "record": {"a": 1}}]
    entries = [{"Data": json.dumps(one).encode(), "PartitionKey": "p"} for one in messages]
    kinesis = journey.own("kinesis")
    name = "plinth-local-flight-delay-stream"
    kinesis.put_records(StreamName=name, Records=entries)
    runtime = journey.own("sagemaker-featurestore-runtime")
    written = {"FeatureGroupName": GROUP, "RecordIdentifierValueAsString": str(record[key])}
    path.wait_until(lambda: bool(runtime.get_record(**written).get("Record")))
    sqs = journey.own("sqs")
    queue = sqs.get_queue_url(QueueName=f"{name}-dead-letters")["QueueUrl"]
    path.wait_until(lambda: _holds_messages(sqs, queue))


def _drift(journey: Journey) -> None:
    """The schedules of drift come due."""
    scheduler, sagemaker = journey.own("scheduler"), journey.own("sagemaker")
    due = (datetime.now(UTC) + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%S")
    for workload in WORKLOADS:
        name = f"plinth-local-{workload}-drift"
        found = scheduler.get_schedule(Name=name)
        kept = ("Name", "GroupName", "FlexibleTimeWindow", "Target")
        scheduler.update_schedule(
            **{member: found[member] for member in kept}, ScheduleExpression=f"at({due})"
        )
    for workload in WORKLOADS:
        start = f"plinth-local-{workload[:4]}"  # the rest of the name is a digest

        def ended(start: str = start) -> bool:
            listed = sagemaker.list_processing_jobs(NameContains=start)
            return any(
                job["ProcessingJobStatus"] in ("Completed", "Failed")
                for job in listed["ProcessingJobSummaries"]
            )

        path.wait_until(ended)


def _retrain(journey: Journey) -> None:
    """An alarm of drift starts the training, through the function; a second one finds it cooling.

    The drift that was measured may have set the alarm off already.
    """
    cloudwatch, sagemaker = journey.own("cloudwatch"), journey.own("sagemaker")
    since = next(began for name, began in journey.began if name == "drift")
    pipelines = [f"plinth-local-{workload}-training" for workload in WORKLOADS]
    for state in ("ALARM", "OK", "ALARM"):
        for workload in WORKLOADS:
            cloudwatch.set_alarm_state(
                AlarmName=f"plinth-local-{workload}-drift", StateValue=state, StateReason="drill"
            )
        time.sleep(SEEN_SECONDS)

    def started(pipeline: str) -> bool:
        found = _executions(sagemaker, pipeline)
        return any(one["StartTime"].timestamp() >= since for one in found)

    path.wait_until(lambda: all(started(name) for name in pipelines))
    path.wait_until(
        lambda: all(
            one["PipelineExecutionStatus"] != "Executing"
            for name in pipelines
            for one in _executions(sagemaker, name)
        )
    )


def _executions(sagemaker: Any, pipeline: str) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = sagemaker.list_pipeline_executions(PipelineName=pipeline)[
        "PipelineExecutionSummaries"
    ]
    return found


def _gives_up(journey: Journey) -> None:
    """SageMaker answers no alarm: what the functions failed on thrice goes to the dead letters."""
    journey.clone.ok("fault", "inject", "5xx", "sagemaker", "--operation", "*PipelineExecution*")
    cloudwatch, sqs = journey.own("cloudwatch"), journey.own("sqs")
    queues = [
        sqs.get_queue_url(QueueName=f"plinth-local-{workload}-retraining-dead-letters")["QueueUrl"]
        for workload in WORKLOADS
    ]
    for state in ("OK", "ALARM"):
        for workload in WORKLOADS:
            cloudwatch.set_alarm_state(
                AlarmName=f"plinth-local-{workload}-drift", StateValue=state, StateReason="drill"
            )
        time.sleep(SEEN_SECONDS)
    try:
        for queue in queues:
            path.wait_until(functools.partial(_holds_messages, sqs, queue))
    finally:
        journey.clone.ok("fault", "clear")


def _holds_messages(sqs: Any, queue_url: str) -> bool:
    return bool(sqs.receive_message(QueueUrl=queue_url).get("Messages"))


def _tracked(journey: Journey) -> None:
    mlflow_pages.look(journey.clone)


def _scales(journey: Journey) -> None:
    """The deployer lets an endpoint scale, as the stack of a workload with a policy does."""
    said = journey.deployer
    session = boto3.Session(
        said["AWS_ACCESS_KEY_ID"],
        said["AWS_SECRET_ACCESS_KEY"],
        said["AWS_SESSION_TOKEN"],
        region_name=REGION,
    )
    where = journey.own("sts").meta.endpoint_url
    scaling = session.client("application-autoscaling", endpoint_url=where)
    described = journey.own("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
    variant = described["ProductionVariants"][0]["VariantName"]
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{ENDPOINT}/variant/{variant}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    scaling.deregister_scalable_target(**target)


def _controllers(journey: Journey) -> None:
    controllers.work(journey.clone)


def _stop(journey: Journey) -> None:
    """Runs of every pipeline that somebody stops while a job of theirs works."""
    sagemaker = journey.own("sagemaker")
    for pipeline in (TRAINING, "plinth-local-block-time-training", "plinth-local-weather-ingest"):
        for kind in ("Processing", "Training"):
            _stopped_during(sagemaker, pipeline, kind)


def _stopped_during(sagemaker: Any, pipeline: str, kind: str) -> None:
    """One run that is stopped during a step of a kind; a pipeline without one ends by itself."""
    arn = sagemaker.start_pipeline_execution(PipelineName=pipeline)["PipelineExecutionArn"]

    def works() -> bool:
        steps = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)
        now = [one for one in steps["PipelineExecutionSteps"] if one["StepStatus"] == "Executing"]
        return any(f"{kind}Job" in one.get("Metadata", {}) for one in now)

    def over() -> bool:
        said = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        return bool(said["PipelineExecutionStatus"] not in ("Executing", "Stopping"))

    path.wait_until(lambda: works() or over())
    with contextlib.suppress(ClientError):  # over in the meantime
        sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    path.wait_until(over)


def _serve(journey: Journey) -> None:
    """The endpoint that starts a process when somebody asks."""
    with contextlib.suppress(ClientError):
        journey.own("sagemaker-runtime").invoke_endpoint(
            EndpointName=SERVERLESS, ContentType="application/json", Body=b"[]"
        )


def _approver(journey: Journey) -> None:
    person = journey.person("approver")
    sagemaker = person("sagemaker")
    groups = {"ModelPackageGroupName": "plinth-local-flight-delay-model"}
    sagemaker.describe_model_package_group(**groups)
    versions = sagemaker.list_model_packages(**groups)["ModelPackageSummaryList"]
    newest = versions[0]["ModelPackageArn"]
    sagemaker.describe_model_package(ModelPackageName=newest)
    sagemaker.update_model_package(ModelPackageArn=newest, ModelApprovalStatus="Rejected")
    _read(person, ARTIFACTS)


def _read(person: Clients, bucket: str) -> None:
    s3 = person("s3")
    found = s3.list_objects_v2(Bucket=bucket, MaxKeys=50)["Contents"]
    s3.get_object(Bucket=bucket, Key=found[0]["Key"])


def _explores(journey: Journey, persona: str) -> Clients:
    """Jobs of one's own, a look at everything, features, logs, data."""
    person = journey.person(persona)
    sagemaker, logs = person("sagemaker"), person("logs")
    name = f"plinth-local-{persona}-drill"
    for kind in ("Processing", "Training"):
        request = _like(journey.own("sagemaker"), kind, name)
        tags = [{"Key": "owner", "Value": "anna"}]
        getattr(sagemaker, f"create_{kind.lower()}_job")(**request, Tags=tags)
        with contextlib.suppress(ClientError):  # over in the meantime
            getattr(sagemaker, f"stop_{kind.lower()}_job")(**{f"{kind}JobName": name})
    sagemaker.list_pipelines()
    asked(sagemaker.search, Resource="TrainingJob")
    tuning = {"HyperParameterTuningJobName": name}
    asked(sagemaker.stop_hyper_parameter_tuning_job, **tuning)
    sagemaker.describe_pipeline(PipelineName=TRAINING)
    runtime = person("sagemaker-featurestore-runtime")
    key = {"FeatureGroupName": GROUP, "RecordIdentifierValueAsString": "drill"}
    runtime.get_record(**key)
    several = {"FeatureGroupName": GROUP, "RecordIdentifiersValueAsString": ["drill"]}
    runtime.batch_get_record(Identifiers=[several])
    group = {"logGroupName": "/aws/sagemaker/TrainingJobs"}
    asked(logs.filter_log_events, **group)
    asked(logs.get_log_events, **group, logStreamName="x")
    asked(logs.start_query, **group, startTime=0, endTime=1, queryString="fields @message")
    for bucket in (path.DATA, ARTIFACTS):
        _read(person, bucket)
    return person


COPIED = {
    "Processing": ("ProcessingInputs", "ProcessingOutputConfig", "ProcessingResources",
                   "StoppingCondition", "AppSpecification", "NetworkConfig", "RoleArn"),
    "Training": ("AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig",
                 "ResourceConfig", "VpcConfig", "StoppingCondition"),
}  # fmt: skip


def _like(sagemaker: Any, kind: str, name: str) -> dict[str, Any]:
    """A job as the last one of a pipeline was, on the smallest machine."""
    listed = getattr(sagemaker, f"list_{kind.lower()}_jobs")(NameContains="pipelines-")
    last = listed[f"{kind}JobSummaries"][0][f"{kind}JobName"]
    found = getattr(sagemaker, f"describe_{kind.lower()}_job")(**{f"{kind}JobName": last})
    request = {member: found[member] for member in COPIED[kind] if found.get(member)}
    return {**request, f"{kind}JobName": name}


def _scientist(journey: Journey) -> None:
    _explores(journey, "data-scientist")


def _engineer(journey: Journey) -> None:
    person = _explores(journey, "ml-engineer")
    sagemaker = person("sagemaker")
    arn = sagemaker.start_pipeline_execution(PipelineName=TRAINING)["PipelineExecutionArn"]
    asked(sagemaker.stop_pipeline_execution, PipelineExecutionArn=arn)
    asked(sagemaker.retry_pipeline_execution, PipelineExecutionArn=arn)
    runtime = person("sagemaker-runtime")
    body = {"EndpointName": ENDPOINT, "ContentType": "application/json"}
    asked(runtime.invoke_endpoint, **body, Body=b"[]")
    asked(runtime.invoke_endpoint_async, **body, InputLocation="s3://b/k")
    person("cloudwatch").describe_alarms()
    now = datetime.now(UTC)
    hour = {"StartTime": now - timedelta(hours=1), "EndTime": now}
    asked(person("cloudwatch").get_metric_data, MetricDataQueries=[], **hour)


STEPS: Mapping[str, Callable[[Journey], None]] = {
    "up with models": _up,
    "release": _again,
    "scaling": _scales,
    "stream": _stream,
    "serverless": _serve,
    "drift": _drift,
    "retraining": _retrain,
    "dead letters": _gives_up,
    "tracking": _tracked,
    "controllers": _controllers,
    "stop": _stop,
    "approver": _approver,
    "data scientist": _scientist,
    "ML engineer": _engineer,
}
"""In order; later ones need what earlier ones made."""

TAKES_DOWN: Mapping[str, Callable[[Journey], None]] = {"down": _down}
"""After everybody has looked at what stood."""


@contextlib.contextmanager
def destroyed(clone: Clone) -> Iterator[Clone]:
    """A clone of which nothing is left afterwards."""
    try:
        yield clone
    finally:
        clone.end()
