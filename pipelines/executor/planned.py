"""What a plan is made of: frozen steps, with all that decides when and how they run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pipelines.executor.grammar import PropertyFile
from pipelines.executor.model import Iteration
from pipelines.executor.parameters import Parameter
from pipelines.executor.retries import RetryPolicy


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """One step, with all that decides when it runs."""

    name: str
    type: str
    where: str
    """JSON path of the step in its definition."""
    arguments: Mapping[str, Any]
    """Without the steps that are nested in it."""
    needs: frozenset[str] = frozenset()
    """Steps that must have succeeded before. Default: it can start at once."""
    triggers: Mapping[str, str] = field(default_factory=dict)
    """Steps that must have ended before -> `Failed`, `Stopped` or `Any`. Default: none."""
    branch: tuple[str, bool] | None = None
    """The Condition step it is nested in and the outcome it runs on. Default: it is not nested."""
    property_files: Mapping[str, PropertyFile] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)
    """Members that its type has beside Arguments. Default: it has none."""
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Name -> type of what it puts out by OutputParameters. Default: nothing."""
    cache_lifetime: timedelta | None = None
    """How old a result may be that is used again. Default: the step runs every time."""
    retry_policies: tuple[RetryPolicy, ...] = ()
    """Default: what fails once has failed."""
    display_name: str = ""
    """Default: it is shown by its name."""
    description: str = ""
    """Default: it has none."""
    loop: str = ""
    """The ForEach step whose body it is in. Default: it is in none."""
    body: tuple["PlannedStep", ...] = ()
    """What a ForEach step runs per item, in topological order. Default: it is none."""
    selector: Mapping[str, Any] | None = None
    """What a ForEach step picks one iteration by. Default: it picks none."""
    alias: str = ""
    """What the other children of its item call it. Default: its name."""
    iteration: Iteration | None = None
    """Default: it is no child of a ForEach step."""

    @property
    def waits_for(self) -> Mapping[str, str]:
        """Step -> the end of it that this one waits for."""
        return {**dict.fromkeys(self.needs, "Succeeded"), **self.triggers}

    @property
    def known_as(self) -> str:
        """The name by which steps that need it refer to it."""
        return self.alias or self.name


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Steps in topological order, and the parameters they may use."""

    steps: tuple[PlannedStep, ...]
    parameters: tuple[Parameter, ...]
