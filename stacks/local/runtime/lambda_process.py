"""One call of a Lambda handler: event.json beside the task folder in, answer.json out.

Runs as a program of its own and imports nothing of ours; exit status 1 says that the handler
raised, and the answer then has Lambda's members of an error. Errors, their words and the format of
log lines are those of AWS's runtime interface client for Python (awslambdaric, bootstrap.py).
report.json says how long it took and how much memory, which is no part of the answer.
"""

import importlib
import json
import logging
import os
import resource
import sys
import sysconfig
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any

LINE = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
RUNTIME = f"/var/lang/lib/python{sys.version_info.major}.{sys.version_info.minor}"

Handler = Callable[[Any, Any], Any]


class Fault(Exception):
    """What Lambda says where the handler is not found, or what it returns is no JSON."""

    def __init__(self, kind: str, message: str, stack: list[str] | None = None) -> None:
        super().__init__(message)
        self.kind, self.stack = kind, stack


class Context:
    """What Lambda tells a handler about its call."""

    def __init__(self) -> None:
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.invoked_function_arn = os.environ["PLINTH_FUNCTION_ARN"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.aws_request_id = os.environ["PLINTH_REQUEST_ID"]
        self.client_context = None
        self.identity = SimpleNamespace(cognito_identity_id=None, cognito_identity_pool_id=None)
        self._end = time.monotonic() + float(os.environ["PLINTH_FUNCTION_TIMEOUT_SECONDS"])

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._end - time.monotonic()) * 1000))


def main() -> int:
    task = Path(os.environ["LAMBDA_TASK_ROOT"])
    os.chdir(task)
    directory, context, begun = task.parent, Context(), time.monotonic()
    _log_as_lambda(context.aws_request_id)
    times, error = {"init_ms": 0.0}, None
    try:
        handler = _handler(sys.argv[1], str(task))
        times["init_ms"] = _since(begun)
        begun = time.monotonic()
        text = _json(handler(json.loads((directory / "event.json").read_text()), context))
    except Fault as fault:
        error = _error(str(fault), fault.kind, fault.stack, context)
    except Exception as raised:  # noqa: BLE001 whatever a handler raises is its answer
        stack = _frames(raised.__traceback__, str(task))
        error = _error(str(raised), type(raised).__name__, stack, context)
    report = {**times, "duration_ms": _since(begun), "memory_mb": _memory_mb()}
    (directory / "report.json").write_text(json.dumps({**report, "error": error}))
    (directory / "answer.json").write_text(json.dumps(error) if error else text)
    return 1 if error else 0


def _handler(told: str, task: str) -> Handler:
    """The function that `module.function` names; Fault in Lambda's words where it is not there."""
    module, dot, name = told.rpartition(".")
    if not dot:
        why = "not enough values to unpack (expected 2, got 1)"
        raise Fault("Runtime.MalformedHandlerName", f"Bad handler '{told}': {why}")
    try:
        found = importlib.import_module(module.replace("/", "."))
    except ImportError as error:
        words = f"Unable to import module '{module}': {error}"
        raise Fault("Runtime.ImportModuleError", words, []) from error
    except SyntaxError as error:
        place = _shown(str(error.filename), task)
        stack = [f'  File "{place}" Line {error.lineno}\n    {error.text}']
        words = f"Syntax error in module '{module}': {error}"
        raise Fault("Runtime.UserCodeSyntaxError", words, stack) from error
    if not hasattr(found, name):
        words = f"Handler '{name}' missing on module '{module}'"
        raise Fault("Runtime.HandlerNotFound", words)
    made: Handler = getattr(found, name)
    return made


def _json(answer: Any) -> str:
    try:
        return json.dumps(answer, allow_nan=False)
    except Exception as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}", []) from error


def _error(message: str, kind: str, stack: list[str] | None, context: Context) -> Mapping[str, Any]:
    told = {"errorMessage": message, "errorType": kind, "requestId": context.aws_request_id}
    return told if stack is None else {**told, "stackTrace": stack}


def _frames(raised: TracebackType | None, task: str) -> list[str]:
    """The frames below ours, their files where they lie in Lambda."""
    found = traceback.extract_tb(raised)
    while found and found[0].filename == __file__:
        found.pop(0)
    return traceback.format_list(
        [(_shown(one.filename, task), one.lineno or 0, one.name, one.line) for one in found]
    )


def _shown(path: str, task: str) -> str:
    """Where Lambda has a file."""
    places = {
        task: "/var/task",
        sysconfig.get_path("purelib"): f"{RUNTIME}/site-packages",
        sysconfig.get_path("stdlib"): RUNTIME,
    }
    for here, there in places.items():
        if path.startswith(f"{here}/"):
            return there + path.removeprefix(here)
    return path


def _log_as_lambda(request_id: str) -> None:
    """The root logger's handler, as Lambda's runtime has one."""

    def named(record: logging.LogRecord) -> bool:
        record.aws_request_id = request_id
        return True

    written = logging.StreamHandler(sys.stdout)
    form = logging.Formatter(LINE, "%Y-%m-%dT%H:%M:%S")
    form.converter = time.gmtime
    written.setFormatter(form)
    written.addFilter(named)
    logging.getLogger().addHandler(written)


def _since(begun: float) -> float:
    return (time.monotonic() - begun) * 1000


def _memory_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    sys.exit(main())
