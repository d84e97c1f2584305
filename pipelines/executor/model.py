"""What callers of the executor hand in and get back."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Execution:
    """The execution that a run belongs to, as `Execution.*` references see it."""

    pipeline_name: str
    pipeline_arn: str
    execution_id: str
    execution_arn: str
    start_time: datetime
    retried: int = 0
    """How often RetryPipelineExecution started it once more. Default: never."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of the pipeline; what its steps make gets them, as from SageMaker. Default: it has none."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a step that succeeded leaves to its own and to later executions of the pipeline."""

    step: str
    type: str
    execution_arn: str
    """Of the execution in which it really ran."""
    ended: datetime
    answer: Mapping[str, Any]
    """What later steps can refer to."""
    metadata: Mapping[str, Any]
    """AWS's `PipelineExecutionStepMetadata`."""
    compared: Mapping[str, Any]
    """The attributes by which the step cache knows it again."""


@dataclass(frozen=True, kw_only=True)
class Iteration:
    """Which item of which ForEach step a child runs for."""

    parent: str
    index: int
    item: str


@dataclass(kw_only=True, eq=False)
class Callback:
    """A Callback step that waits for its token to come back."""

    token: str
    answered: threading.Event = field(default_factory=threading.Event)
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Default: the answer holds none."""
    failure: str | None = None
    """Default: the answer is a success."""


@dataclass(frozen=True, kw_only=True)
class StepState:
    """A step at one moment, in the words of ListPipelineExecutionSteps."""

    name: str
    type: str
    status: str
    """`Starting`, `Executing`, `Stopping`, `Succeeded`, `Failed` or `Stopped`."""
    start_time: datetime
    end_time: datetime | None = None
    """Default: the step has not ended."""
    failure_reason: str = ""
    """Default: nothing went wrong."""
    attempt: int = 1
    """Which try this is; a retry policy makes more of them. Default: the first."""
    display_name: str = ""
    """Default: the definition gives it none."""
    description: str = ""
    """Default: the definition gives it none."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """AWS's `PipelineExecutionStepMetadata`. Default: the step has made nothing yet."""
    result: Result | None = None
    """Default: the step has not succeeded."""
    iteration: Iteration | None = None
    """Default: it is no child of a ForEach step."""
    cached: bool = False
    """Whether the cache gave the result. Default: the step ran."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an execution ended."""

    status: str
    """`Succeeded`, `CompletedWithFailures`, `Failed` or `Stopped`."""
    failure_reason: str = ""
    """Default: nothing went wrong."""
