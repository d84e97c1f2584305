"""What watches an environment: alerts, retraining, cost, audit and policies."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stacks.settings.part import Part

Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
ScheduleExpression = Annotated[str, Field(pattern=r"^(cron|rate)\([^()]+\)$")]


class Alerts(Part):
    emails: list[Email] = Field(default_factory=list)
    """Who is told of alarms, violations, budgets and anomalies. Default: nobody; subscribe to the
    topic by other means."""


class GpuMonitoring(Part):
    prometheus_operator: bool = False
    """The cluster runs Prometheus' operator, so the alerts are a PrometheusRule. Default: a
    ConfigMap with a rules file."""


class Drift(Part):
    """What is compared with the training data; needs an endpoint that captures requests."""

    schedule_expression: ScheduleExpression = "rate(1 day)"
    """In UTC. Default: daily."""

    hours: Annotated[int, Field(ge=1, le=168)] = 24
    """How far back requests are looked at. Default: a day."""

    max_index: Annotated[float, Field(gt=0)] = 0.25
    """Population stability index from which the alarm goes off. Default: a quarter."""

    instance_type: str = "ml.m5.large"


class Retraining(Part):
    on_drift: bool = True
    """Drift alarms start a run. Default: they do, once a model is served and watched."""

    schedules: dict[Name, ScheduleExpression] = Field(default_factory=dict)
    """Further starts, in UTC. Default: none."""

    cool_down_hours: Annotated[int, Field(ge=1, le=24 * 30)] = 24
    """Least time between two starts. Default: a day."""

    max_runs_per_day: Annotated[int, Field(ge=1, le=24)] = 1
    """Most starts in one UTC day. Default: one."""


class Cost(Part):
    monthly_limit_usd: Annotated[int, Field(ge=1)]
    actual_percents: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = (80, 100)
    """Shares of the limit that were spent, each of which is told. Default: 80 and 100."""

    forecast_percent: Annotated[int, Field(ge=1, le=1000)] = 100
    """Share of the limit that the month is expected to reach, which is told. Default: all."""

    anomaly_threshold_usd: Annotated[int, Field(ge=1)] = 100
    """Impact from which an unusual cost is told at once. Default: 100 dollars."""

    stop_at_limit: bool = False
    """Once the limit is spent, no new endpoint, job or run starts until the month ends. Default:
    people decide."""

    activate_tags: bool = False
    """Activate the cost tags, which only the paying account may. Default: it did that itself."""


class Audit(Part):
    create_trail: bool = True
    """Default: recorded here; not needed where the organisation has a trail."""

    create_config_recorder: bool = False
    """An account has room for one recorder of AWS Config a region. Default: leave it as it is."""

    retention_days: Annotated[int, Field(ge=1, le=3650)] = 365
    """Days that the trail is locked and what was recorded is kept. Default: a year."""

    lock: Literal["GOVERNANCE", "COMPLIANCE"] | None = "GOVERNANCE"
    """Who may delete the trail before: those with a special permission (GOVERNANCE), nobody
    (COMPLIANCE), or whoever may delete objects (null). Default: governance."""


class Policies(Part):
    production: bool = True
    """Mandatory rules for production apply. Default: they do."""

    capture_percent_min: Annotated[int, Field(ge=0, le=100)] = 0

    cost_usd_per_month_max: Annotated[float, Field(ge=0)] = 10_000
    """Most that the stack may be expected to cost before a review asks. Default: 10,000."""

    gpus_max: Annotated[int, Field(ge=0)] = 16
    """Most GPUs that pools and endpoints may grow to before a review asks. Default: 16."""
