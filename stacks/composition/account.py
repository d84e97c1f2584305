"""What watches the account that an environment lives in: budget, anomalies, audit."""

import pulumi

from infra.access import Access, RoleSpec
from infra.alerts import Alerts
from infra.anomalies import Anomalies, AnomaliesArgs
from infra.audit import Audit, AuditArgs
from infra.budget import Budget, BudgetArgs
from infra.component import ComponentArgs
from infra.keys import Keys
from infra.storage import Storage
from stacks.composition.base import BUCKETS
from stacks.settings import operations as configuration
from stacks.settings.model import FoundationSettings

COST_TAGS = ("cost_centre", "environment", "owner", "project", "stack", "team", "workload")


def roles(settings: FoundationSettings) -> dict[str, RoleSpec]:
    """Who records configurations."""
    if settings.audit is None or not settings.audit.create_config_recorder:
        return {}
    managed = ("service-role/AWS_ConfigRole",)
    return {"config": RoleSpec(service="config.amazonaws.com", managed_policies=managed)}


def watch(
    common: ComponentArgs,
    settings: FoundationSettings,
    *,
    keys: Keys,
    access: Access,
    storage: Storage,
    alerts: Alerts,
) -> None:
    """Build whatever is switched on."""
    if settings.cost is not None:
        _cost(common, settings.cost, alerts)
    if settings.audit is not None:
        _audit(common, settings, settings.audit, keys=keys, access=access, storage=storage)


def _cost(common: ComponentArgs, chosen: configuration.Cost, alerts: Alerts) -> None:
    Budget(
        "cost",
        BudgetArgs(
            names=common.names,
            tags=common.tags,
            monthly_limit_usd=chosen.monthly_limit_usd,
            tag=("environment", common.names.env),
            alerts_topic_arn=alerts.topic_arn,
            actual_percents=chosen.actual_percents,
            forecast_percent=chosen.forecast_percent,
            activated_tags=COST_TAGS if chosen.activate_tags else (),
        ),
    )
    Anomalies(
        "anomalies",
        AnomaliesArgs(
            names=common.names,
            tags=common.tags,
            alerts_topic_arn=alerts.topic_arn,
            threshold_usd=chosen.anomaly_threshold_usd,
        ),
    )


def _audit(
    common: ComponentArgs,
    settings: FoundationSettings,
    chosen: configuration.Audit,
    *,
    keys: Keys,
    access: Access,
    storage: Storage,
) -> None:
    Audit(
        "audit",
        AuditArgs(
            names=common.names,
            tags=common.tags,
            kms_key_arn=keys.arn("audit"),
            access_log_bucket_name=common.names.bucket("logs"),
            data_bucket_arns=[storage.bucket(name).arn for name in BUCKETS],
            create_trail=chosen.create_trail,
            config_role=access.role("config") if chosen.create_config_recorder else None,
            retention_days=chosen.retention_days,
            lock=chosen.lock,
            protect=settings.environment.protect,
        ),
        pulumi.ResourceOptions(depends_on=[storage]),
    )
