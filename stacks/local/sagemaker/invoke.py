"""InvokeEndpoint: the request goes to a serving process, and what it says comes back."""

import random
from collections.abc import Mapping
from typing import Any

import urllib3

from stacks.local.sagemaker.capture import Captures, Exchange
from stacks.local.sagemaker.endpoints import Deployment
from stacks.local.sagemaker.errors import ApiError, not_emulated
from stacks.local.sagemaker.servers import HTTP
from stacks.local.sagemaker.world import World

TIMEOUT_SECONDS = 60
"""A model must answer within this time (InvokeEndpoint, API reference)."""

BODY_LIMIT = 25 * 1024 * 1024

REFUSED = {
    "X-Amzn-SageMaker-Target-Model": "multi-model endpoints are not built",
    "X-Amzn-SageMaker-Target-Container-Hostname": "a local model has one container",
    "X-Amzn-SageMaker-Enable-Explanations": "there is no explainer",
    "X-Amzn-SageMaker-Inference-Component": "inference components are not built",
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


def invoke(
    world: World, captures: Captures, endpoint: str, headers: Mapping[str, str], body: bytes
) -> tuple[bytes, dict[str, str]]:
    """Body and headers of the answer; `headers` finds names in any case."""
    for name, why in REFUSED.items():
        if name in headers:
            raise not_emulated(f"InvokeEndpoint with {name}", why)
    item = world.store.find("endpoint", endpoint)
    if item is None:
        raise ApiError("ValidationError", f"Endpoint {endpoint} of account not found.")
    deployment: Deployment = item.live
    fleet = deployment.fleet
    if fleet is None or item.fields["EndpointStatus"] not in ("InService", "Updating"):
        status = item.fields["EndpointStatus"]
        raise ApiError("ValidationError", f"Endpoint {endpoint} is {status}, not InService.")
    if len(body) > BODY_LIMIT:
        raise ApiError("ValidationError", f"the body must have at most {BODY_LIMIT} bytes")
    variant = fleet.choose(headers.get("X-Amzn-SageMaker-Target-Variant"))
    sent = {name: headers[name] for name in FORWARDED if name in headers}
    try:
        answer = HTTP.request(
            "POST",
            f"{variant.next_server().url}/invocations",
            body=body,
            headers={"Content-Type": "application/octet-stream", **sent},
            timeout=TIMEOUT_SECONDS,
        )
    except urllib3.exceptions.HTTPError as error:
        raise _model_error(0, f"the model did not answer: {error}") from error
    if not 200 <= answer.status < 300:
        raise _model_error(answer.status, answer.data.decode(errors="replace"))
    config = fleet.config.get("DataCaptureConfig", {})
    if config.get("EnableCapture") and random.random() * 100 < config["InitialSamplingPercentage"]:
        captures.add(
            config,
            Exchange(
                endpoint=endpoint,
                variant=variant.name,
                headers=sent,
                request=body,
                answer=answer.data,
                answer_type=answer.headers.get("Content-Type", ""),
            ),
        )
    return answer.data, _answer_headers(answer.headers, variant.name)


def _answer_headers(headers: Mapping[str, str], variant: str) -> dict[str, str]:
    shown = {"x-Amzn-Invoked-Production-Variant": variant}
    for name in ("Content-Type", "X-Amzn-SageMaker-Custom-Attributes"):
        if name in headers:
            shown[name] = headers[name]
    return shown


def _model_error(status: int, said: str) -> ApiError:
    members: dict[str, Any] = {"OriginalStatusCode": status, "OriginalMessage": said[:4096]}
    message = f"Received error ({status}) from primary with message {said[:1024]!r}."
    return ApiError("ModelError", message, status=424, **members)
