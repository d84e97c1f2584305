"""InvokeEndpointWithResponseStream: what a container writes goes on to the caller as it comes.

Source: SageMaker runtime API reference; developer guide, "Invoke models for real-time inference":
parts are PayloadPart events; a model that fails after it began is a ModelStreamError.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import urllib3

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.event_stream import CONTENT_TYPE, event, exception
from stacks.local.aws.sagemaker.fleet import Variant, slot
from stacks.local.aws.sagemaker.invoke import (
    TARGET_CONTAINER,
    Question,
    Target,
    answered,
    in_service,
    measuring,
    model_error,
    route,
)
from stacks.local.aws.sagemaker.servers import ServingFailed
from stacks.local.runtime.s3_files import TransferFailed

PART_BYTES = 65_536
"""The longest part; a container that writes less at a time is passed on less at a time."""

FORWARDED = {
    "Content-Type": "Content-Type",
    "X-Amzn-SageMaker-Accept": "Accept",
    "X-Amzn-SageMaker-Custom-Attributes": "X-Amzn-SageMaker-Custom-Attributes",
    "X-Amzn-SageMaker-Inference-Id": "X-Amzn-SageMaker-Inference-Id",
}
"""Header of the request -> header for the container."""

SHOWN = {
    "Content-Type": "X-Amzn-SageMaker-Content-Type",
    "X-Amzn-SageMaker-Custom-Attributes": "X-Amzn-SageMaker-Custom-Attributes",
}
"""Header of the container -> header of the answer."""


@dataclass(kw_only=True, eq=False)
class Stream:
    """The parts of an answer; ends what it holds when it is closed, however far it was read."""

    answer: urllib3.BaseHTTPResponse
    held: ExitStack
    framed: bool = True
    """Whether each part is an event of AWS's stream. Default: it is; else it goes as it came."""

    def __iter__(self) -> Iterator[bytes]:
        try:
            for part in self._parts():
                yield event("PayloadPart", part) if self.framed else part
        except urllib3.exceptions.HTTPError as error:
            if not self.framed:
                raise  # the connection breaks off, as the container's did
            told = {"Message": f"the model broke off: {error}", "ErrorCode": "StreamBroken"}
            yield exception("ModelStreamError", json.dumps(told).encode())

    def _parts(self) -> Iterator[bytes]:
        if self.answer.headers.get("Transfer-Encoding", "").lower() == "chunked":
            yield from self.answer.stream(PART_BYTES)
            return
        while part := self.answer.read1(PART_BYTES):
            yield part

    def close(self) -> None:
        """Called by the server when the caller has everything, or is gone."""
        self.answer.close()
        self.held.close()


def invoke_stream(
    emulator: Emulator, endpoint: str, headers: Mapping[str, str], body: bytes
) -> tuple[Stream, dict[str, str]]:
    """Parts and headers of the answer."""
    sent = {ours: headers[name] for name, ours in FORWARDED.items() if name in headers}
    target = Target(container=headers.get(TARGET_CONTAINER, ""))
    question = Question(headers=sent, body=body, streamed=True, target=target)
    variant, stream = in_service(lambda: opened(emulator, endpoint, headers, question))
    said = stream.answer.headers
    shown = {ours: said[name] for name, ours in SHOWN.items() if name in said}
    told = {"Content-Type": CONTENT_TYPE, "x-Amzn-Invoked-Production-Variant": variant.name}
    return stream, {**told, **shown}


def opened(
    emulator: Emulator, endpoint: str, headers: Mapping[str, str], question: Question
) -> tuple[Variant, Stream]:
    """Who was asked, and the answer as it comes: it is closed by whoever reads it."""
    fleet, variant = route(emulator, endpoint, headers, question)
    with ExitStack() as stack:
        stack.enter_context(slot(variant))
        measure = measuring(emulator, fleet, variant)
        try:
            answer, server, spent = answered(emulator, fleet.endpoint, variant, question, stack)
        except (ServingFailed, TransferFailed, urllib3.exceptions.HTTPError) as error:
            measure(0, 0.0)
            raise model_error(0, f"the model did not answer: {error}") from error
        measure(answer.status, spent)
        if not 200 <= answer.status < 300:
            raise model_error(answer.status, answer.data.decode(errors="replace"), server)
        return variant, Stream(answer=answer, held=stack.pop_all())
