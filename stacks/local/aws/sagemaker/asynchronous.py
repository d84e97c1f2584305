"""InvokeEndpointAsync: the request waits in a queue, and its answer becomes an object in S3.

Developer guide, "Asynchronous inference": outputs, failures, notifications and the metrics of the
queue, which autoscaling goes by. The local fleet keeps its size, so nothing waits for an instance.
"""

import base64
import json
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.model_constraints import problems
from stacks.local.aws.sagemaker.capture import Captures
from stacks.local.aws.sagemaker.errors import ApiError, not_emulated
from stacks.local.aws.sagemaker.fleet import Fleet
from stacks.local.aws.sagemaker.invoke import (
    FORWARDED,
    Answer,
    Question,
    ask,
    find,
    in_service,
    serving_fleet,
)
from stacks.local.aws.sagemaker.shapes import service
from stacks.local.runtime.acting import Acting
from stacks.local.runtime.s3_files import split_uri

PREFIX = "X-Amzn-SageMaker-"
TTL_SECONDS = 6 * 3600
TIMEOUT_SECONDS = 15 * 60
"""Defaults of InvokeEndpointAsync."""

INCLUDED_BYTES = 128 * 1024
"""The largest answer that a topic hears (AsyncInferenceNotificationConfig, API reference)."""

DEFAULT_CONCURRENCY = 4
"""Of SageMaker's own choice when the configuration does not say; here always this."""


@dataclass(kw_only=True)
class Queue:
    """The requests of one endpoint that have no answer yet."""

    slots: threading.Semaphore
    waiting: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, number: int) -> None:
        with self.lock:
            self.waiting += number


@dataclass(frozen=True, kw_only=True)
class Job:
    """One request on its way."""

    endpoint: str
    role_arn: str
    """Execution role of the model."""

    inference_id: str
    input_location: str
    headers: Mapping[str, str]
    output_location: str
    failure_location: str
    timeout_seconds: float
    expires: float
    received: datetime


class Queues:
    """The queues by endpoint."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[str, Queue] = {}

    def of(self, endpoint: str, fleet: Fleet) -> Queue:
        """The queue of an endpoint, made at its first request."""
        client = fleet.config["AsyncInferenceConfig"].get("ClientConfig", {})
        each = client.get("MaxConcurrentInvocationsPerInstance", DEFAULT_CONCURRENCY)
        servers = sum(len(variant.servers) for variant in fleet.variants.values())
        with self._lock:
            if endpoint not in self._queues:
                self._queues[endpoint] = Queue(slots=threading.Semaphore(each * max(1, servers)))
            return self._queues[endpoint]

    def measure(self, emulator: Emulator, cloudwatch: Any) -> None:
        """Publish how long the queues of living endpoints are."""
        with self._lock:
            gone = [name for name in self._queues if emulator.store.find("endpoint", name) is None]
            for name in gone:
                del self._queues[name]
            lengths = {name: queue.waiting for name, queue in self._queues.items()}
        for name, length in lengths.items():
            dimensions = [{"Name": "EndpointName", "Value": name}]
            instances = _instances(emulator, name)
            values = {
                "ApproximateBacklogSize": length,
                "ApproximateBacklogSizePerInstance": length / instances,
                "HasBacklogWithoutCapacity": 0,
            }
            data = [
                {"MetricName": metric, "Value": value, "Dimensions": dimensions}
                for metric, value in values.items()
            ]
            cloudwatch.put_metric_data("AWS/SageMaker", data)


def invoke_async(
    emulator: Emulator,
    captures: Captures,
    queues: Queues,
    endpoint: str,
    headers: Mapping[str, str],
) -> tuple[dict[str, str], dict[str, str]]:
    """Accept a request; its body and the headers of the answer, which tell where to look."""
    fleet = serving_fleet(find(emulator, endpoint))
    config = fleet.config.get("AsyncInferenceConfig")
    if config is None:
        raise ApiError("ValidationError", f"Endpoint {endpoint} answers InvokeEndpoint only.")
    if f"{PREFIX}InputLocation" not in headers:
        raise not_emulated("InvokeEndpointAsync with Body", "give InputLocation instead")
    location = headers[f"{PREFIX}InputLocation"]
    shape = service("sagemaker-runtime").operation_model("InvokeEndpointAsync").input_shape
    if problem := next(problems(location, shape.members["InputLocation"], "inputLocation"), ""):
        raise ApiError("ValidationError", f"1 validation error detected: {problem}")
    role_arn = next(iter(fleet.variants.values())).role_arn
    job = _job(endpoint, config["OutputConfig"], headers, role_arn)
    queue = queues.of(endpoint, fleet)
    queue.add(1)

    def work() -> None:
        try:
            with queue.slots:
                _answer(emulator, captures, config["OutputConfig"], job)
        finally:
            queue.add(-1)

    emulator.background(work, broken=lambda error: None)
    told = {f"{PREFIX}OutputLocation": job.output_location}
    if job.failure_location:
        told[f"{PREFIX}FailureLocation"] = job.failure_location
    return {"InferenceId": job.inference_id}, told


def _job(
    endpoint: str, output: Mapping[str, Any], headers: Mapping[str, str], role_arn: str
) -> Job:
    name = headers.get(f"{PREFIX}Filename") or str(uuid.uuid4())
    extension = headers.get(f"{PREFIX}S3OutputPathExtension", "")
    folder = "/".join(part.strip("/") for part in (output["S3OutputPath"], extension) if part)
    failures = output.get("S3FailurePath", "").rstrip("/")
    sent = {plain: headers[plain] for plain in FORWARDED if plain.startswith(PREFIX)
            and plain in headers}  # fmt: skip
    sent |= {
        plain: headers[PREFIX + plain]
        for plain in ("Content-Type", "Accept")
        if PREFIX + plain in headers
    }
    lives = float(headers.get(f"{PREFIX}RequestTTLSeconds", TTL_SECONDS))
    return Job(
        endpoint=endpoint,
        role_arn=role_arn,
        inference_id=headers.get(f"{PREFIX}Inference-Id") or str(uuid.uuid4()),
        input_location=headers[f"{PREFIX}InputLocation"],
        headers=sent,
        output_location=f"{folder}/{name}.out",
        failure_location=f"{failures}/{name}-error.out" if failures else "",
        timeout_seconds=float(headers.get(f"{PREFIX}InvocationTimeoutSeconds", TIMEOUT_SECONDS)),
        expires=time.monotonic() + lives,
        received=datetime.now(UTC),
    )


def _answer(emulator: Emulator, captures: Captures, output: Mapping[str, Any], job: Job) -> None:
    """Ask the container and put what it says, or why it said nothing, into S3, as its role."""
    acting = emulator.act(job.role_arn, emulator.arn(f"endpoint/{job.endpoint}"))
    topics = output.get("NotificationConfig", {})
    try:
        if time.monotonic() > job.expires:
            raise ApiError("RequestExpired", "The request waited longer than RequestTTLSeconds")
        body, kind = _fetch(acting.s3, job.input_location)
        headers = {"Content-Type": kind, **job.headers}
        question = Question(headers=headers, body=body, timeout_seconds=job.timeout_seconds)

        def once() -> Answer:
            fleet = serving_fleet(find(emulator, job.endpoint))
            return ask(emulator, captures, fleet, fleet.choose(None), question)

        answer = in_service(once)
    except (ApiError, ClientError) as error:
        if job.failure_location:
            _store(acting.s3, job.failure_location, str(error).encode(), "text/plain")
        message = _failed(emulator, job, error)
        said = str(getattr(error, "members", {}).get("OriginalMessage", "")).encode()
        if said and _is_included(topics, "ERROR_NOTIFICATION_TOPIC", said):
            message["responseBody"] = _body(said)
        _notify(acting, topics.get("ErrorTopic"), message)
        return
    content_type = answer.headers.get("Content-Type", "application/octet-stream")
    _store(acting.s3, job.output_location, answer.body, content_type)
    message = _completed(emulator, job, content_type)
    if _is_included(topics, "SUCCESS_NOTIFICATION_TOPIC", answer.body):
        message["responseBody"] = _body(answer.body)
    _notify(acting, topics.get("SuccessTopic"), message)


def _fetch(s3: Any, uri: str) -> tuple[bytes, str]:
    """An object and its media type, on which SDKs rely where a request says none."""
    bucket, key = split_uri(uri)
    found = s3.get_object(Bucket=bucket, Key=key)
    return bytes(found["Body"].read()), str(found["ContentType"])


def _store(s3: Any, uri: str, body: bytes, content_type: str) -> None:
    bucket, key = split_uri(uri)
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)


def _is_included(topics: Mapping[str, Any], topic: str, body: bytes) -> bool:
    """Whether a topic hears the answer itself (AsyncInferenceNotificationConfig)."""
    return topic in topics.get("IncludeInferenceResponseIn", ()) and len(body) <= INCLUDED_BYTES


def _body(body: bytes) -> dict[str, str]:
    return {"content": base64.b64encode(body).decode(), "encoding": "BASE64"}


def _message(emulator: Emulator, job: Job) -> dict[str, Any]:
    """Developer guide, "Check prediction results": what both topics hear."""
    request = {"endpointName": job.endpoint, "inputLocation": job.input_location}
    if "Content-Type" in job.headers:
        request["contentType"] = job.headers["Content-Type"]
    return {
        "awsRegion": emulator.region,
        "eventTime": datetime.now(UTC).isoformat(),
        "receivedTime": job.received.isoformat(),
        "requestParameters": request,
        "inferenceId": job.inference_id,
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }


def _completed(emulator: Emulator, job: Job, content_type: str) -> dict[str, Any]:
    told = {"contentType": content_type, "outputLocation": job.output_location}
    return {
        **_message(emulator, job), "invocationStatus": "Completed", "responseParameters": told,
    }  # fmt: skip


def _failed(emulator: Emulator, job: Job, error: Exception) -> dict[str, Any]:
    told = {"outputLocation": job.failure_location} if job.failure_location else {}
    return {
        **_message(emulator, job),
        "invocationStatus": "Failed",
        "failureReason": str(error),
        "responseParameters": told,
    }


def _notify(acting: Acting, topic: str | None, message: Mapping[str, Any]) -> None:
    if topic:
        acting.client("sns").publish(TopicArn=topic, Message=json.dumps(message))


def _instances(emulator: Emulator, endpoint: str) -> int:
    item = emulator.store.find("endpoint", endpoint)
    fleet: Fleet | None = item.live.fleet if item else None
    variants = fleet.variants.values() if fleet else ()
    return max(1, sum(variant.instances for variant in variants))
