"""What the log of one call of a Lambda function says beside what the function prints.

Sources, Lambda developer guide: "Sending Lambda function logs to CloudWatch Logs" (START, END and
REPORT lines), "Understanding the Lambda execution environment lifecycle" and the troubleshooting
of time-outs; AWS compute blog, "AWS Lambda standardizes billing for INIT Phase" (billed: both).
"""

import json
import math
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stacks.local.runtime.processes import exit_code

SIGNALLED = 128
NUMBERS = ("init_ms", "duration_ms", "memory_mb")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a call took; the numbers are the program's own, so they may be anything."""

    init_ms: float = 0.0
    duration_ms: float = 0.0
    memory_mb: float = 0.0
    error: Mapping[str, Any] | None = None
    """What the handler raised, as Lambda tells it."""

    status: str = ""
    """`timeout` or `error`, where Lambda says how it ended."""

    def line(self, request_id: str, size_mb: int) -> str:
        billed = math.ceil(self.init_ms + self.duration_ms)
        parts = [
            f"REPORT RequestId: {request_id}",
            f"Duration: {self.duration_ms:.2f} ms",
            f"Billed Duration: {billed} ms",
            f"Memory Size: {size_mb} MB",
            f"Max Memory Used: {int(self.memory_mb)} MB",
            *([f"Init Duration: {self.init_ms:.2f} ms"] if self.init_ms else []),
            *([f"Status: {self.status}"] if self.status else []),
        ]
        return "\t".join(parts) + "\t"


def read(text: str) -> Report:
    """What the program said of itself, as far as it can be read."""
    try:
        told = json.loads(text)
        init, took, memory = (max(0.0, float(told[name])) for name in NUMBERS)
    except (ValueError, TypeError, LookupError):
        return Report()
    if not all(map(math.isfinite, (init, took, memory))):
        return Report()
    error = told.get("error")
    shown = error if isinstance(error, Mapping) else None
    return Report(init_ms=init, duration_ms=took, memory_mb=memory, error=shown)


def error_text(error: Mapping[str, Any]) -> str:
    """What Lambda's runtime writes of what a handler raised: one event of several lines."""
    stack = error.get("stackTrace")
    lines = [f"[ERROR] {error.get('errorType')}: {error.get('errorMessage')}"]
    if isinstance(stack, list):
        lines += ["Traceback (most recent call last):", *(str(one).rstrip("\n") for one in stack)]
    return "\n".join(lines)


def timed_out(seconds: float) -> str:
    return f"Task timed out after {seconds:.2f} seconds"


def time_out_text(request_id: str, seconds: float) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{now} {request_id} {timed_out(seconds)}"


def exit_reason(status: int) -> str:
    """How Lambda says that the runtime ended before it answered."""
    code = exit_code(status)
    if code == 0:
        return "Runtime exited without providing a reason"
    if code > SIGNALLED:
        return f"Runtime exited with error: signal: {_signal(code - SIGNALLED)}"
    return f"Runtime exited with error: exit status {code}"


def _signal(number: int) -> str:
    return (signal.strsignal(number) or f"signal {number}").lower()


def events(
    request_id: str, version: str, printed: str, told: Sequence[str], report: str
) -> list[str]:
    """The events of the log of one call, in their order; what is printed is one for each line."""
    return [
        f"START RequestId: {request_id} Version: {version}",
        *printed.splitlines(),
        *told,
        f"END RequestId: {request_id}",
        report,
    ]
