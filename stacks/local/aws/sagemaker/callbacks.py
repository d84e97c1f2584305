"""Answers to Callback steps: whoever got a token from the queue gives it back here."""

from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.errors import ApiError
from stacks.local.aws.sagemaker.pipelines import EXECUTION
from stacks.local.aws.sagemaker.resource_type import Request


def succeed(emulator: Emulator, request: Request) -> dict[str, Any]:
    """SendPipelineExecutionStepSuccess."""
    given = {item["Name"]: item["Value"] for item in request.get("OutputParameters", ())}
    return _answer(emulator, request, outputs=given)


def fail(emulator: Emulator, request: Request) -> dict[str, Any]:
    """SendPipelineExecutionStepFailure."""
    reason = request.get("FailureReason") or "the callback was answered with a failure"
    return _answer(emulator, request, failure=reason)


def _answer(emulator: Emulator, request: Request, **answer: Any) -> dict[str, Any]:
    """Hand an answer to the step that waits; the same request again changes nothing."""
    token, by = request["CallbackToken"], request.get("ClientRequestToken", "")
    with emulator.store.lock:
        for item in emulator.store.all(EXECUTION):
            callback = item.live.callbacks.get(token)
            if callback is None:
                continue
            if callback.answered.is_set():
                if by and item.live.answers.get(token) == by:
                    return {"PipelineExecutionArn": item.arn}
                raise ApiError(
                    "ConflictException",
                    f"The step of callback token {token} in {item.arn} was answered before.",
                )
            for member, value in answer.items():
                setattr(callback, member, value)
            item.live.answers[token] = by
            callback.answered.set()
            return {"PipelineExecutionArn": item.arn}
    raise ApiError("ResourceNotFound", f"No step waits for callback token {token}.")
