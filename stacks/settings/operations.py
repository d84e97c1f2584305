"""What watches an environment: alerts, retraining, cost, governance and policies."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stacks.settings.part import Part

Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
ScheduleExpression = Annotated[str, Field(pattern=r"^(cron|rate)\([^()]+\)$")]


class Alerts(Part):
    emails: list[Email] = Field(default_factory=list)
    """Who is told of alarms, violations, budgets and anomalies. Default: nobody; subscribe to the
    topic by other means."""


class Retraining(Part):
    on_drift: bool = True
    """Drift alarms start a run. Default: they do, once a model is served and watched."""

    schedules: dict[Name, ScheduleExpression] = Field(default_factory=dict)
    """Further starts, in UTC. Default: none."""

    cool_down_hours: Annotated[int, Field(ge=1, le=24 * 30)] = 24
    """Least time between two starts. Default: a day."""

    max_runs_per_day: Annotated[int, Field(ge=1, le=24)] = 1
    """Most starts in one UTC day. Default: one."""


class Policies(Part):
    production: bool = True
    """Mandatory rules for production apply. Default: they do."""

    capture_percent_min: Annotated[int, Field(ge=0, le=100)] = 0
