"""Lambda functions as processes: what moto calls where it would start a container.

Each call is a process of its own with the files of the archive and nothing of ours, so that a
function which reaches outside its archive fails here as it would on AWS. Like a container it writes
its own folder alone and sees nothing of what the local cloud keeps, where the kernel lets it.
"""

import io
import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipelines.toolkit import archives
from stacks.local.runtime import left
from stacks.local.runtime.acting import Acting, CannotAct
from stacks.local.runtime.container import ContainerRuntime, base_environment
from stacks.local.runtime.processes import tail

RUN = Path(__file__).with_name("lambda_process.py")
LOG_LINES = 1000

CODE = archives.Limits(unpacked_bytes=262_144_000)
"""What an archive of code may unpack to (Lambda quotas: deployment package, 250 MB unzipped)."""

Answer = tuple[str, bool, str]
"""What the function returned or what went wrong as JSON, whether it went wrong, and the log."""


Act = Callable[[Any], Acting]
"""Function of moto's -> the session that it acts with; CannotAct where Lambda cannot start it."""


def install(host: ContainerRuntime, act: Act) -> None:
    """Let moto's functions run on this machine, and leave streams to the reader of streams."""
    from moto.awslambda.models import LambdaBackend, LambdaFunction

    def run(function: Any, event: Any = None) -> Answer:
        answer = invoke(host, function, event, act)
        function.logs_backend.ensure_log_group(function.logs_group_name)
        function.save_logs(answer[2])
        return answer

    LambdaFunction._invoke_lambda = run
    # moto would call once per record, inside PutRecord
    LambdaBackend.send_kinesis_message = lambda *_, **__: None


def invoke(host: ContainerRuntime, function: Any, event: Any, act: Act) -> Answer:
    """Run a function of moto's on an event and wait for it."""
    if function.package_type != "Zip" or not str(function.run_time).startswith("python"):
        return _failure(
            "Runtime.NotEmulated",
            "the local cloud runs Python functions from zip archives, got "
            f"{function.package_type} {function.run_time}",
        )
    try:
        credentials = act(function).environment
    except CannotAct as error:
        return _failure("AccessDeniedException", str(error))
    directory = host.state / "functions" / function.function_name / uuid.uuid4().hex
    log = directory.with_suffix(".txt")  # which it does not see
    kept = host.logs / "functions" / f"{function.function_name}.log"
    try:
        archives.unpack_zip(io.BytesIO(function.code_bytes), directory / "task", CODE)
        (directory / "event.json").write_text(json.dumps(event))
        answer = _run(host, function, directory, log, credentials)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with kept.open("a") as stream:
            stream.write(answer[2])
        return answer
    except archives.Refused as error:
        return _failure("Runtime.InvalidEntrypoint", f"the function's code {error}")
    finally:
        left.remove(directory)
        log.unlink(missing_ok=True)


def _run(
    host: ContainerRuntime,
    function: Any,
    directory: Path,
    log: Path,
    credentials: Mapping[str, str],
) -> Answer:
    process = host.children.spawn(
        host.entered([sys.executable, "-P", str(RUN), function.handler], directory),
        purpose=f"function {function.function_name}",
        env=_environment(host, function, directory, credentials),
        cwd=directory / "task",
        log=log,
    )
    try:
        status = process.wait(timeout=function.timeout)
        host.children.forget(process.pid)
    except subprocess.TimeoutExpired:
        host.children.stop(process, grace_seconds=0)
        message = f"{process.pid} Task timed out after {function.timeout:.2f} seconds"
        return _failure("Sandbox.Timedout", message, tail(log, LOG_LINES))
    answer = left.content(directory, directory / "answer.json").decode(errors="replace")
    if not answer:
        message = f"the process ended with exit status {status}"
        return _failure("Runtime.ExitError", message, tail(log, LOG_LINES))
    return answer, status != 0, tail(log, LOG_LINES)


def _environment(
    host: ContainerRuntime, function: Any, directory: Path, credentials: Mapping[str, str]
) -> Mapping[str, str]:
    base = base_environment(host.endpoint_url, host.region, credentials)
    return {
        **base,
        "HOME": str(directory),
        "TMPDIR": str(directory / "tmp"),
        "PYTHONPATH": str(directory / "task"),
        "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
        "LAMBDA_TASK_ROOT": str(directory / "task"),
        "PLINTH_FUNCTION_ARN": function.function_arn,
        "PLINTH_FUNCTION_TIMEOUT_SECONDS": str(function.timeout),
        **function.environment_vars,
    }


def _failure(kind: str, message: str, log: str = "") -> Answer:
    return json.dumps({"errorType": kind, "errorMessage": message}), True, log
