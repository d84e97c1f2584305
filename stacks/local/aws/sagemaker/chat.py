"""The OpenAI-compatible route: a chat completion is asked of the container, whose words go on.

Source: developer guide, "Invoke endpoints with OpenAI-compatible APIs": the endpoint, or the
inference component, stands in the path; the container answers at /v1/chat/completions, a stream as
server-sent events.
"""

from collections.abc import Mapping

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.errors import ApiError
from stacks.local.aws.sagemaker.invoke import COMPONENT, Question, in_service
from stacks.local.aws.sagemaker.streaming import Stream, opened

PATH = "/v1/chat/completions"


def complete(
    emulator: Emulator,
    endpoint: str,
    component: str | None,
    headers: Mapping[str, str],
    body: bytes,
) -> tuple[Stream, dict[str, str]]:
    """Parts and headers of the container's own answer."""
    if COMPONENT in headers:
        raise ApiError("ValidationError", f"{COMPONENT} is not taken here: name it in the path")
    sent = {name: headers[name] for name in ("Content-Type", "Accept") if name in headers}
    question = Question(headers=sent, body=body, path=PATH, streamed=True)
    to = {COMPONENT: component} if component else {}
    _, stream = in_service(lambda: opened(emulator, endpoint, to, question))
    kind = stream.answer.headers.get("Content-Type", "application/json")
    return Stream(answer=stream.answer, held=stream.held, framed=False), {"Content-Type": kind}
