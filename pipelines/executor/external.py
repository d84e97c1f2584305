"""Steps whose work is done outside SageMaker: a Lambda function, or whoever answers a callback.

Neither can be stopped. A stop request waits for the function; whoever holds a callback's token is
told by a second message and has to answer (API reference, StopPipelineExecution).
"""

import json
import secrets
import string
from typing import Any

from pipelines.executor import outputs
from pipelines.executor.drivers import FIRST_POLL_SECONDS, Call, End, Progress, Services
from pipelines.executor.grammar import GrammarError
from pipelines.executor.model import Callback

LAMBDA_SECONDS = 600
"""The longest that a Lambda step waits for its function (aws/sagemaker-python-sdk#3236)."""

_TOKEN_LENGTH = 10  # API reference, CallbackStepMetadata
_TOKEN_LETTERS = string.ascii_letters + string.digits


def invoke(call: Call, services: Services, progress: Progress) -> End:
    """Call a Lambda function with the step's arguments; what it returns are the outputs."""
    from botocore.exceptions import ReadTimeoutError

    arn = call.own["FunctionArn"]
    progress.move(status="Executing", metadata={"Lambda": {"Arn": arn}})
    payload = json.dumps(call.arguments).encode()
    try:
        answer = services.client("lambda").invoke(FunctionName=arn, Payload=payload)
        returned = answer["Payload"].read().decode()
    except ReadTimeoutError:
        return End("Failed", f"function {arn} did not answer within {LAMBDA_SECONDS} seconds")
    if "FunctionError" in answer:
        return End("Failed", f"function {arn} failed: {returned}")
    return _given(call, _json(returned), f"function {arn}", progress, "Lambda")


def call_back(call: Call, services: Services, progress: Progress) -> End:
    """Send a token to a queue and wait until somebody gives it back."""
    queue = call.own["SqsQueueUrl"]
    token = "".join(secrets.choice(_TOKEN_LETTERS) for _ in range(_TOKEN_LENGTH))
    callback = Callback(token=token)
    services.expect(callback)
    _tell(call, services, token, "Executing")
    progress.move(
        status="Executing", metadata={"Callback": {"CallbackToken": token, "SqsQueueUrl": queue}}
    )
    stopping = False
    while not callback.answered.wait(FIRST_POLL_SECONDS):
        if services.halt.is_set() and not stopping:
            stopping = True
            progress.move(status="Stopping")
            _tell(call, services, token, "Stopping")
    if callback.failure is not None:
        return End("Stopped" if stopping else "Failed", callback.failure)
    return _given(call, callback.outputs, f"the answer to {token}", progress, "Callback")


def _tell(call: Call, services: Services, token: str, status: str) -> None:
    """The message as AWS's examples of callback steps read it."""
    message = {
        "token": token,
        "pipelineExecutionArn": call.context.execution.execution_arn,
        "arguments": call.arguments,
        "status": status,
    }
    queue = call.own["SqsQueueUrl"]
    services.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(message))


def _given(call: Call, given: Any, source: str, progress: Progress, key: str) -> End:
    """The end of a step whose outputs somebody gave."""
    found = outputs.values(call.step.outputs, given, source)
    metadata = dict(progress.state.metadata[key])
    if found:
        metadata["OutputParameters"] = outputs.listed(found)
    progress.move(metadata={key: metadata})
    return End("Succeeded", answer={"OutputParameters": found})


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError as error:
        raise GrammarError(f"the function returned no JSON: {error}") from error
