"""Whether a trigger may start a run now: pure, so that every rule can be tested by itself."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

RUNNING = frozenset({"Executing", "Stopping", "Starting"})
"""States in which an execution still occupies the pipeline (PipelineExecutionStatus)."""


@dataclass(frozen=True, kw_only=True)
class RetrainingLimits:
    """How often a pipeline may be started by itself."""

    cool_down: timedelta
    """Least time between two starts."""

    max_runs_per_day: int
    """Most starts in one UTC day."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is remembered about the last start; the lock is the record's version."""

    version: int = 0
    """Raised with every start, so that of two triggers at once only one can write."""

    event_id: str = ""
    """The trigger that was granted: delivered twice, it starts nothing twice."""

    started_at: str = ""
    """ISO 8601, UTC. Empty: never."""

    runs_that_day: int = 0
    execution_arn: str = ""
    """Empty while the start is under way."""

    reason: str = ""

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> "Record":
        """From a DynamoDB item, whose numbers are decimals."""
        kinds = {name: type(value) for name, value in asdict(cls()).items()}
        return cls(**{name: kinds[name](item[name]) for name in kinds if name in item})


@dataclass(frozen=True)
class RetrainingDecision:
    """The record to write, or why there is none."""

    claim: Record | None
    refusal: str = ""


def decide(
    record: Record,
    limits: RetrainingLimits,
    *,
    event_id: str,
    reason: str,
    now: datetime,
    running: str,
) -> RetrainingDecision:
    """Grant a start or refuse it; `running` is the state of the last execution, or empty."""
    if event_id == record.event_id:
        if record.execution_arn:
            return RetrainingDecision(
                None, f"event {event_id} already started {record.execution_arn}"
            )
        return RetrainingDecision(record)  # the function died between the claim and the start
    if running in RUNNING:
        return RetrainingDecision(None, f"{record.execution_arn} is {running}: one run at a time")
    runs_today = 0
    if record.started_at:
        last = datetime.fromisoformat(record.started_at)
        if now - last < limits.cool_down:
            until = (last + limits.cool_down).isoformat(timespec="seconds")
            return RetrainingDecision(None, f"cooling down until {until}")
        runs_today = record.runs_that_day if last.date() == now.date() else 0
    if runs_today >= limits.max_runs_per_day:
        return RetrainingDecision(
            None, f"{runs_today} runs today, {limits.max_runs_per_day} are allowed"
        )
    return RetrainingDecision(
        replace(
            record,
            version=record.version + 1,
            event_id=event_id,
            started_at=now.astimezone(UTC).isoformat(timespec="seconds"),
            runs_that_day=runs_today + 1,
            execution_arn="",
            reason=reason,
        )
    )
