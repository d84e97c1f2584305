"""InvokeEndpoint: the request goes to a serving process, and what it says comes back."""

import functools
import random
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from uuid import uuid4

import urllib3

from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import components
from stacks.local.aws.sagemaker.capture import Captures, Exchange
from stacks.local.aws.sagemaker.errors import ApiError, not_emulated
from stacks.local.aws.sagemaker.fleet import Fleet, Variant, awake, slot
from stacks.local.aws.sagemaker.model_containers import (
    PRIMARY,
    is_direct,
    is_multi_model,
    name_of,
)
from stacks.local.aws.sagemaker.multi_model import TARGET, Observe, Unloadable
from stacks.local.aws.sagemaker.rollout import Deployment
from stacks.local.aws.sagemaker.servers import Ending, Server, ServingFailed
from stacks.local.aws.store import Resource
from stacks.local.runtime.s3_files import TransferFailed

TIMEOUT_SECONDS = 60
"""A model must answer within this time (InvokeEndpoint, API reference)."""

BODY_LIMIT = 6_291_456
"""Bytes of a request (InvokeEndpoint, API reference: Body has at most 6291456)."""

SERVERLESS_BODY_LIMIT = 4 * 1024 * 1024
"""The same of a serverless variant (developer guide, "Invoke a serverless endpoint": 4 MB)."""

NEEDS_COMPONENT = (
    "Inference Component Name header is required for endpoints to which you plan to deploy "
    "inference components."
)

COMPONENT = "X-Amzn-SageMaker-Inference-Component"
TARGET_CONTAINER = "X-Amzn-SageMaker-Target-Container-Hostname"
OCTETS = "application/octet-stream"

REROUTES, REROUTE_SECONDS = 500, 0.02
"""How often a request looks for a server while those that it found are being taken out."""

Asked = TypeVar("Asked")

REFUSED = {
    "X-Amzn-SageMaker-Enable-Explanations": "there is no explainer",
    "X-Amzn-SageMaker-Session-Id": "sessions are not built",
    "X-Amzn-SageMaker-Prefix-Aware-Id": "prefix-aware routing is not built",
}
"""Request header -> why it cannot be honoured."""

FORWARDED = (
    "Content-Type",
    "Accept",
    "X-Amzn-SageMaker-Custom-Attributes",
    "X-Amzn-SageMaker-Inference-Id",
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """Whom a request is for behind its endpoint."""

    model: str = ""
    """Which model of a container in MultiModel mode. Default: there is none."""

    container: str = ""
    """ContainerHostname of the container that alone is asked. Default: each, in their order."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a model is asked."""

    headers: Mapping[str, str]
    body: bytes
    target: Target = Target()
    path: str = "/invocations"
    """Where a container in SingleModel mode is asked."""

    timeout_seconds: float = TIMEOUT_SECONDS
    streamed: bool = False
    """Whether the answer is read later, part by part. Default: it is read whole."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What it says, and which variant it belongs to."""

    variant: str
    headers: Mapping[str, str]
    body: bytes


def invoke(
    emulator: Emulator, captures: Captures, endpoint: str, headers: Mapping[str, str], body: bytes
) -> tuple[bytes, dict[str, str]]:
    """Body and headers of the answer; `headers` finds names in any case."""
    sent = {name: headers[name] for name in FORWARDED if name in headers}
    target = Target(model=headers.get(TARGET, ""), container=headers.get(TARGET_CONTAINER, ""))
    question = Question(headers=sent, body=body, target=target)

    def once() -> tuple[Fleet, Variant, Answer]:
        fleet, variant = route(emulator, endpoint, headers, question)
        return fleet, variant, ask(emulator, captures, fleet, variant, question)

    fleet, variant, answer = in_service(once)
    _copy_to_shadow(emulator, captures, fleet, variant, question)
    return answer.body, _answer_headers(answer)


def in_service(once: Callable[[], Asked]) -> Asked:
    """Ask whoever serves now; while that one is being taken out, whoever serves in its place."""
    for _ in range(REROUTES):
        try:
            return once()
        except Ending:
            time.sleep(REROUTE_SECONDS)
    raise model_error(0, "no server of the endpoint takes requests")


def route(
    emulator: Emulator, endpoint: str, headers: Mapping[str, str], question: Question
) -> tuple[Fleet, Variant]:
    """Who is asked; refuses what a request asks beyond that."""
    for name, why in REFUSED.items():
        if name in headers:
            raise not_emulated(f"InvokeEndpoint with {name}", why)
    fleet = serving_fleet(find(emulator, endpoint))
    if "AsyncInferenceConfig" in fleet.config:
        raise ApiError("ValidationError", f"Endpoint {endpoint} answers InvokeEndpointAsync only.")
    component = headers.get(COMPONENT)
    if component is not None:
        variant = components.serving(emulator, endpoint, component)
    else:
        variant = fleet.choose(headers.get("X-Amzn-SageMaker-Target-Variant"))
    if not variant.container:
        raise ApiError("ValidationError", NEEDS_COMPONENT)
    _check_target(endpoint, variant, question.target)
    limit = BODY_LIMIT if variant.serverless is None else SERVERLESS_BODY_LIMIT
    if len(question.body) > limit:
        told = f"the body must have at most {limit} bytes, got {len(question.body)}"
        raise ApiError("ValidationError", told)
    return fleet, variant


def _check_target(endpoint: str, variant: Variant, target: Target) -> None:
    """A target stands where one of several can be meant, and nowhere else.

    The texts on models are AWS's (aws/amazon-sagemaker-examples#1026,
    aws/sagemaker-tensorflow-serving-container#166); of those on containers the developer guide
    says when they come ("Invoke a multi-container endpoint with direct invocation").
    """
    asked = variant.containers
    told = ""
    if is_direct(variant.model):
        names = [name_of(one) for one in asked]
        asked = [one for one in asked if name_of(one) == target.container]
        if not target.container:
            told = f"Request {uuid4()} is missing a target container hostname header."
        elif not asked:
            told = f"Container {target.container} not found for endpoint {endpoint}, it has {names}"
    elif target.container:
        told = (
            f"Endpoint {endpoint} is not a multi-container endpoint with direct invocation and "
            "does not support target container hostname header."
        )
    is_multi = any(is_multi_model(one) for one in asked)
    if not told and is_multi and not target.model:
        told = f"Request {uuid4()} is missing a target model header."
    elif not told and target.model and not is_multi:
        told = (
            f"Endpoint {endpoint} is not a multi-model endpoint and does not support target model "
            "header."
        )
    if told:
        raise ApiError("ValidationError", told)


def find(emulator: Emulator, endpoint: str) -> Resource:
    """The endpoint, or the runtime's own answer for a missing one."""
    item = emulator.store.find("endpoint", endpoint)
    if item is None:
        raise ApiError("ValidationError", f"Endpoint {endpoint} of account {ACCOUNT_ID} not found.")
    return item


def serving_fleet(item: Resource) -> Fleet:
    """The fleet that gets this request, by the share of an update under way.

    Where its servers start again after a cloud that was killed, a client asks again by itself.
    """
    deployment: Deployment = item.live
    fleet = deployment.fleet_for(random.random())
    status = item.fields["EndpointStatus"]
    if status == "SystemUpdating":
        told = f"Endpoint {item.name} is {status}: its servers start again. Try your call again."
        raise ApiError("ServiceUnavailable", told, status=503)
    if fleet is None or status not in ("InService", "Updating"):
        raise ApiError("ValidationError", f"Endpoint {item.name} is {status}, not InService.")
    return fleet


def ask(
    emulator: Emulator, captures: Captures, fleet: Fleet, variant: Variant, question: Question
) -> Answer:
    """Ask one of the variant's processes; measured, and captured in part."""
    with slot(variant):
        measure = measuring(emulator, fleet, variant)
        try:
            with ExitStack() as held:
                answer, server, spent = answered(emulator, fleet.endpoint, variant, question, held)
        except (ServingFailed, TransferFailed, urllib3.exceptions.HTTPError) as error:
            measure(0, 0.0)
            raise model_error(0, f"the model did not answer: {error}") from error
        except Unloadable as error:
            measure(error.status, 0.0)
            raise model_error(error.status, error.said) from error
        measure(answer.status, spent)
    if not 200 <= answer.status < 300:
        raise model_error(answer.status, answer.data.decode(errors="replace"), server)
    _capture(captures, fleet, variant, question, answer)
    return Answer(variant=variant.name, headers=answer.headers, body=answer.data)


def measuring(emulator: Emulator, fleet: Fleet, variant: Variant) -> Callable[[int, float], None]:
    """Counts one invocation once its status (0: none) and the model's seconds are known."""
    begun = time.perf_counter()

    def measure(status: int, spent: float) -> None:
        told: dict[str, Any] = {
            "status": status,
            "instances": max(1, variant.instances),
            "component": variant.component,
        }
        overhead = time.perf_counter() - begun - spent
        emulator.metrics.add(
            fleet.endpoint, variant.name, **told, model_seconds=spent, overhead_seconds=overhead
        )

    return measure


def answered(
    emulator: Emulator, endpoint: str, variant: Variant, question: Question, held: ExitStack
) -> tuple[Any, Server, float]:
    """The answer of an instance, the container that gave it, and the seconds that it took.

    One that refuses the connection has read nothing, so another may be asked: when a server dies,
    what it was working on is lost and nothing else. None is ended before `held` is closed.
    Ending: all of them are being taken out.
    """
    refused: list[Server] = []
    while True:
        server = awake(emulator, endpoint, variant, refused, question.target.model)
        asked = time.perf_counter()
        try:
            with ExitStack() as mine:
                mine.enter_context(server.holding())
                observe = functools.partial(emulator.metrics.observe, endpoint, variant.name)
                answer, said = _through(server, question, observe)
                held.push(mine.pop_all())
            return answer, said, time.perf_counter() - asked
        except (Ending, urllib3.exceptions.NewConnectionError):
            refused.append(server)
            if len(refused) >= len(variant.servers):
                raise


def _through(
    server: Server, question: Question, observe: Callable[..., None]
) -> tuple[Any, Server]:
    """The last answer of an instance, and whose it is: one that is no success is the last.

    What a container of an inference pipeline says, the next one is asked; what the answer has to be
    in (Accept) is for the last of them to know.
    """
    asked = [one for one in server.containers if question.target.container in ("", one.name)]
    body, headers = question.body, {"Content-Type": OCTETS, **question.headers}
    for place, one in enumerate(asked, 1):
        is_last = place == len(asked)
        begun = time.perf_counter()
        told = {name: text for name, text in headers.items() if is_last or name != "Accept"}
        answer = _post(one, replace(question, headers=told, body=body), observe, is_last=is_last)
        if server.others:
            spent = (time.perf_counter() - begun) * 1e6
            observe("ContainerLatency", spent, container=one.name)
        if is_last or not 200 <= answer.status < 300:
            break
        body = answer.data
        headers |= {"Content-Type": answer.headers.get("Content-Type", OCTETS)}
    return answer, one


def _post(server: Server, question: Question, observe: Observe, *, is_last: bool) -> Any:
    """What one container says; its model is loaded before where it has many."""
    told: dict[str, Any] = {
        "body": question.body,
        "headers": question.headers,
        "timeout": question.timeout_seconds,
        "preload_content": not (question.streamed and is_last),
    }
    if server.models is None:
        return server.request("POST", question.path, **told)
    with server.models.path_of(server, question.target.model, observe) as path:
        told["headers"] = {**question.headers, TARGET: question.target.model}
        return server.request("POST", path, **{**told, "preload_content": True})


def _copy_to_shadow(
    emulator: Emulator, captures: Captures, fleet: Fleet, variant: Variant, question: Question
) -> None:
    """Give the shadow its share of copies; what it says is captured and goes nowhere."""
    shadow = fleet.shadow
    if shadow is None or random.random() * variant.weight >= shadow.weight:
        return

    def work() -> None:
        try:
            ask(emulator, captures, fleet, shadow, question)
        except (ApiError, Ending):
            return  # counted in the shadow's metrics, or taken out

    emulator.background(work, broken=lambda error: None)


def _capture(
    captures: Captures, fleet: Fleet, variant: Variant, question: Question, answer: Any
) -> None:
    config = fleet.config.get("DataCaptureConfig", {})
    if config.get("EnableCapture") and random.random() * 100 < config["InitialSamplingPercentage"]:
        captures.add(
            config,
            Exchange(
                endpoint=fleet.endpoint,
                variant=variant.name,
                headers=question.headers,
                request=question.body,
                answer=answer.data,
                answer_type=answer.headers.get("Content-Type", ""),
                role_arn=variant.role_arn,
            ),
        )


def _answer_headers(answer: Answer) -> dict[str, str]:
    shown = {"x-Amzn-Invoked-Production-Variant": answer.variant}
    for name in ("Content-Type", "X-Amzn-SageMaker-Custom-Attributes"):
        if name in answer.headers:
            shown[name] = answer.headers[name]
    return shown


def model_error(status: int, said: str, server: Server | None = None) -> ApiError:
    """SageMaker's error, with the log's path where it has a link to CloudWatch."""
    members: dict[str, Any] = {"OriginalStatusCode": status, "OriginalMessage": said[:4096]}
    whose = PRIMARY if server is None else server.name
    side = "client" if 400 <= status < 500 else "server"
    message = f'Received {side} error ({status}) from {whose} with message "{said[:1024]}".'
    if server is not None:
        message += f" See {server.log} for more information."
        members |= {"LogStreamArn": server.log_stream} if server.log_stream else {}
    return ApiError("ModelError", message, status=424, **members)
