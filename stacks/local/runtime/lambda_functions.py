"""Lambda functions as processes: what moto calls where it would start a container.

Each call is a process of its own with the files of the archive and nothing of ours, so that a
function which reaches outside its archive fails here as it would on AWS. Like a container it writes
its own folder alone and sees nothing of what the local cloud keeps, where the kernel lets it.
"""

import io
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from pipelines.toolkit import archives
from stacks.local.runtime import lambda_log, left
from stacks.local.runtime.acting import Acting, CannotAct
from stacks.local.runtime.container import ContainerRuntime, base_environment
from stacks.local.runtime.processes import tail

RUN = Path(__file__).with_name("lambda_process.py")
LOG_LINES = 1000

CODE = archives.Limits(unpacked_bytes=262_144_000)
"""What an archive of code may unpack to (Lambda quotas: deployment package, 250 MB unzipped)."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One attempt to run a function."""

    event: Any
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    qualifier: str = ""
    """Version or alias that was asked for. Default: none was."""

    stream: str = field(default_factory=lambda: uuid.uuid4().hex)
    """What makes the stream of its log its own."""

    def arn(self, function: Any) -> str:
        """By which it was invoked."""
        plain = ":".join(str(function.function_arn).split(":")[:7])
        return f"{plain}:{self.qualifier}" if self.qualifier else plain

    def stream_name(self, function: Any) -> str:
        return f"{datetime.now(UTC):%Y/%m/%d}/[{function.version}]{self.stream}"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of a call."""

    payload: str
    """What the function returned, or what went wrong, as JSON."""

    failed: bool
    events: Sequence[str] = ()
    """Of its log."""

    @property
    def log(self) -> str:
        return "".join(f"{event}\n" for event in self.events)


Act = Callable[[Any], Acting]
"""Function of moto's -> the session that it acts with; CannotAct where Lambda cannot start it."""


def install(host: ContainerRuntime, act: Act) -> None:
    """Let moto's functions run on this machine, and leave streams to the reader of streams."""
    from moto.awslambda.models import LambdaBackend, LambdaFunction

    def run(function: Any, call: Call) -> Answer:
        answer = invoke(host, function, call, act)
        _keep(function, call.stream_name(function), answer.events)
        return answer

    LambdaFunction._invoke_lambda = run
    # moto would call once per record, inside PutRecord
    LambdaBackend.send_kinesis_message = lambda *_, **__: None


def _keep(function: Any, stream: str, events: Sequence[str]) -> None:
    """Write the log of a call to the log group of the function."""
    logs, group, now = function.logs_backend, function.logs_group_name, int(time.time() * 1000)
    logs.ensure_log_group(group)
    if events:
        logs.create_log_stream(group, stream)
        told = [{"timestamp": now, "message": event} for event in events]
        logs.put_log_events(group, stream, told)


def invoke(host: ContainerRuntime, function: Any, call: Call, act: Act) -> Answer:
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
        (directory / "event.json").write_text(json.dumps(call.event))
        answer = _run(host, function, call, directory, log=log, credentials=credentials)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with kept.open("a") as stream:
            stream.write(answer.log)
        return answer
    except archives.Refused as error:
        return _failure("Runtime.InvalidEntrypoint", f"the function's code {error}")
    finally:
        left.remove(directory)
        log.unlink(missing_ok=True)


def _run(
    host: ContainerRuntime,
    function: Any,
    call: Call,
    directory: Path,
    *,
    log: Path,
    credentials: Mapping[str, str],
) -> Answer:
    process = host.children.spawn(
        host.entered([sys.executable, "-P", str(RUN), function.handler], directory),
        purpose=f"function {function.function_name}",
        env=_environment(host, function, call, directory, credentials),
        cwd=directory / "task",
        log=log,
    )
    try:
        status = process.wait(timeout=function.timeout)
        host.children.forget(process.pid)
    except subprocess.TimeoutExpired:
        memory = _memory_mb(process.pid)
        host.children.stop(process, grace_seconds=0)
        return _timed_out(function, call, tail(log, LOG_LINES), memory)
    report = lambda_log.read(_left(directory, "report.json"))
    payload = _left(directory, "answer.json")
    if not payload:
        return _exited(function, call, tail(log, LOG_LINES), lambda_log.exit_reason(status))
    told = [lambda_log.error_text(report.error)] if report.error and status else []
    events = _events(function, call, tail(log, LOG_LINES), told, report)
    return Answer(payload=payload, failed=status != 0, events=events)


def _left(directory: Path, name: str) -> str:
    return left.content(directory, directory / name).decode(errors="replace")


def _timed_out(function: Any, call: Call, printed: str, memory_mb: float) -> Answer:
    """What Lambda answers and logs when it ends a function that takes too long."""
    report = lambda_log.Report(
        duration_ms=function.timeout * 1000, memory_mb=memory_mb, status="timeout"
    )
    told = [lambda_log.time_out_text(call.request_id, function.timeout)]
    message = f"RequestId: {call.request_id} Error: {lambda_log.timed_out(function.timeout)}"
    events = _events(function, call, printed, told, report)
    return _failure("Sandbox.Timedout", message, events)


def _exited(function: Any, call: Call, printed: str, reason: str) -> Answer:
    """What Lambda answers and logs where the program ended without an answer."""
    kind, message = "Runtime.ExitError", f"RequestId: {call.request_id} Error: {reason}"
    told = [f"{message}\n{kind}"]
    report = lambda_log.Report(status="error")
    return _failure(kind, message, _events(function, call, printed, told, report))


def _events(
    function: Any, call: Call, printed: str, told: Sequence[str], report: lambda_log.Report
) -> list[str]:
    line = report.line(call.request_id, int(function.memory_size))
    return lambda_log.events(call.request_id, str(function.version), printed, told, line)


def _memory_mb(pid: int) -> float:
    """What the program and what it started hold now."""
    try:
        first = psutil.Process(pid)
        held = [one.memory_info().rss for one in (first, *first.children(recursive=True))]
    except psutil.Error:
        return 0.0
    return float(max(held)) / (1 << 20)


def _environment(
    host: ContainerRuntime,
    function: Any,
    call: Call,
    directory: Path,
    credentials: Mapping[str, str],
) -> Mapping[str, str]:
    base = base_environment(host.endpoint_url, host.region, credentials)
    return {
        **base,
        "HOME": str(directory),
        "TMPDIR": str(directory / "tmp"),
        "PYTHONPATH": str(directory / "task"),
        "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": str(function.version),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
        "AWS_LAMBDA_LOG_GROUP_NAME": function.logs_group_name,
        "AWS_LAMBDA_LOG_STREAM_NAME": call.stream_name(function),
        "LAMBDA_TASK_ROOT": str(directory / "task"),
        "PLINTH_FUNCTION_ARN": call.arn(function),
        "PLINTH_FUNCTION_TIMEOUT_SECONDS": str(function.timeout),
        "PLINTH_REQUEST_ID": call.request_id,
        **function.environment_vars,
    }


def _failure(kind: str, message: str, events: Sequence[str] = ()) -> Answer:
    told = json.dumps({"errorType": kind, "errorMessage": message})
    return Answer(payload=told, failed=True, events=events)
