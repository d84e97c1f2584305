"""What watches an environment: alerts, retraining, cost, audit and policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from stacks.settings.compute import Scaling
from stacks.settings.part import Part

Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
Cron = Annotated[str, Field(pattern=r"^cron\([^\s()]+( [^\s()]+){5}\)$")]
"""Six fields, as EventBridge Scheduler and Application Auto Scaling both take them."""

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
    pipeline: str = "training"
    """The pipeline that is started. Default: the one called training."""

    on_drift: bool = True
    """Drift alarms start a run. Default: they do, once a model is served and watched."""

    schedules: dict[Name, ScheduleExpression] = Field(default_factory=dict)
    """Further starts, in UTC. Default: none."""

    cool_down_hours: Annotated[int, Field(ge=1, le=24 * 30)] = 24
    """Least time between two starts. Default: a day."""

    max_runs_per_day: Annotated[int, Field(ge=1, le=24)] = 1
    """Most starts in one UTC day. Default: one."""

    log_retention_days: int = 90
    """Days that the log of the function which starts runs is kept. Default: 90."""


class Limit(Part):
    """A month's spending, and when somebody hears of it."""

    monthly_limit_usd: Annotated[int, Field(ge=1)]
    actual_percents: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = (80, 100)
    """Shares of the limit that were spent, each of which is told. Default: 80 and 100."""

    forecast_percent: Annotated[int, Field(ge=1, le=1000)] = 100
    """Share of the limit that the month is expected to reach, which is told. Default: all."""


class Cost(Limit):
    """What the whole environment may cost."""

    anomaly_threshold_usd: Annotated[int, Field(ge=1)] | None = 100
    """Impact from which an unusual cost of the account is told at once; null: nobody looks, and
    nobody does where another environment owns the account. Default: 100 dollars."""

    anomaly_monitor_arn: (
        Annotated[str, Field(pattern=r"^arn:aws[\w-]*:ce::\d{12}:anomalymonitor/.+$")] | None
    ) = None
    """The monitor of all services that the account has already, such as the one that AWS makes in
    new accounts. Default: one is made."""

    activate_tags: bool = False
    """Activate the cost tags, which only the paying account may. Default: it did that itself."""


class Budget(Limit):
    """What one workload may cost."""

    stop_at_limit: bool = False
    """Once the limit is spent, no new endpoint, job or run of the workload starts until the month
    ends. Default: people decide."""


class OffHours(Part):
    """When nobody works: a cluster's managed node groups shrink to `min_size`, what autoscales of a
    workload shrinks to one.

    Karpenter's pools, pools in a reservation (it is paid for either way) and endpoints without
    autoscaling stay as they are.
    """

    begin: Cron
    """When the evening begins, such as `cron(0 19 ? * MON-FRI *)`."""

    end: Cron
    """When the morning begins. Weekends are off where both name working days alone."""

    timezone: str = "UTC"
    """IANA name, such as `Europe/Berlin`. Default: UTC."""

    @field_validator("begin", "end")
    @classmethod
    def _names_days_once(cls, expression: str) -> str:
        fields = expression.removeprefix("cron(").removesuffix(")").split()
        if (fields[2] == "?") == (fields[4] == "?"):
            raise ValueError(
                "one of day of month and day of week (the third and the fifth field) must be ?, "
                f"got {expression!r}"
            )
        return expression

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError(f"timezone must be an IANA name, such as Europe/Berlin, got {name!r}")
        return name

    @model_validator(mode="after")
    def _ends(self) -> OffHours:
        if self.begin == self.end:
            raise ValueError(f"begin and end must differ, got {self.begin!r} twice")
        return self


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


def check_off_hours(system: Scaling, shrinking: Mapping[str, Scaling]) -> None:
    """Something shrinks, and the cluster keeps a node for its own services; ValueError if not."""
    if not shrinking:
        raise ValueError(
            "off_hours must have something to shrink, got none: give a managed node group a "
            "min_size below its desired_size"
        )
    if system.min_size == 0:
        raise ValueError(
            "cluster.system_scaling.min_size must be 1 or more with off_hours, got 0: Karpenter "
            "runs there, and nodes that nobody uses go only while it does"
        )
