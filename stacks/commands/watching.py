"""An execution while it runs: its steps as they end, and what its jobs print."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stacks import garbage
from stacks.commands.output import CommandOutput
from stacks.targets.aws_clients import Clients

if TYPE_CHECKING:
    from stacks.executions.job_logs import JobLogs

POLL_SECONDS = 0.3
LOG_SECONDS = 1.0
"""How often logs are asked for; CloudWatch Logs allows 5 such requests a second (quotas)."""

FINAL = ("Succeeded", "CompletedWithFailures", "Failed", "Stopped")
"""Ends of executions and steps."""


@dataclass
class Watch:
    """What has been shown of one execution."""

    clients: Clients
    arn: str
    report: CommandOutput
    logs: JobLogs | None
    """Default: what jobs print is not shown."""

    told: set[str] = field(default_factory=set)
    cached: dict[str, dict[str, Any]] = field(default_factory=dict)
    _logs_due: float = 0.0

    def wait(self, stage: Any) -> tuple[str, list[dict[str, Any]]]:
        """Status and steps of the execution once it has ended."""
        from pipelines.executor import cache_report

        sagemaker = self.clients("sagemaker")
        garbage.take_up()
        while True:
            status = sagemaker.describe_pipeline_execution(PipelineExecutionArn=self.arn)
            steps = cache_report.rows_of(sagemaker, self.arn)
            ended = [step for step in steps if step["StepStatus"] in FINAL]
            fresh = [step for step in ended if step["StepName"] not in self.told]
            running = [step for step in steps if step["StepStatus"] not in FINAL]
            self._show_logs([*fresh, *running], last=bool(fresh))
            self._show_ends(fresh)
            names = ", ".join(step["StepName"] for step in running)
            stage.tick(len(ended), None, names)
            if status["PipelineExecutionStatus"] in FINAL:
                return status["PipelineExecutionStatus"], steps
            time.sleep(POLL_SECONDS)

    def _show_ends(self, fresh: Sequence[Mapping[str, Any]]) -> None:
        self.told |= {step["StepName"] for step in fresh}
        self.cached |= _explained(self.clients("sagemaker"), self.arn, fresh)
        for step in fresh:
            self.report.err.print(
                f"[dim]{seconds_of(step):6.1f} s[/]    {step['StepName']}  {step['StepStatus']}"
            )
            for line in _cache_lines(self.cached.get(step["StepName"])):
                self.report.err.print(f"            {line}", style="dim", markup=False)

    def _show_logs(self, steps: Sequence[Mapping[str, Any]], *, last: bool) -> None:
        """What jobs printed since; a caller who may not read logs hears it once."""
        from botocore.exceptions import ClientError

        if self.logs is None or not (last or time.monotonic() >= self._logs_due):
            return
        self._logs_due = time.monotonic() + LOG_SECONDS
        try:
            for step in steps:
                for line in _printed(self.logs, step):
                    text = f"            {step['StepName']}: {line}"
                    self.report.err.print(text, style="dim", markup=False)
        except ClientError as error:
            self.report.note(f"logs are not shown: {error.response['Error']['Message']}")
            self.logs = None


def seconds_of(step: Mapping[str, Any]) -> float:
    """How long a step ran, rounded to milliseconds."""
    end, start = step.get("EndTime"), step.get("StartTime")
    return round((end - start).total_seconds(), 3) if start and end else 0.0


def _printed(logs: JobLogs, step: Mapping[str, Any]) -> Iterator[str]:
    from stacks.executions.job_logs import log_of

    log = None if "CacheHitResult" in step else log_of(step)
    if log is not None:
        yield from logs.new_lines(log)


def _explained(sagemaker: Any, arn: str, steps: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """What the step cache did; an account that does not let one ask leaves it out."""
    from botocore.exceptions import ClientError

    from pipelines.executor import cache_report

    try:
        return cache_report.explain(sagemaker, arn, list(steps)) if steps else {}
    except ClientError:
        return {}


def _cache_lines(cached: Mapping[str, Any] | None) -> list[str]:
    if cached is None:
        return []
    if cached["hit"]:
        return [f"from the cache: execution {cached['source'].rpartition('/')[2]}"]
    return [f"not from the cache: {reason}" for reason in cached["reasons"]]
