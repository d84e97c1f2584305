"""What watches the account that an environment lives in: budget, anomalies, audit."""

import pulumi

from infra.alerts import Alerts
from infra.anomalies import Anomalies, AnomaliesArgs
from infra.audit import Audit, AuditArgs
from infra.budget import Budget, BudgetArgs
from infra.component import ComponentArgs
from infra.storage import Storage
from stacks.composition.base import BUCKETS
from stacks.composition.ground import Ground
from stacks.settings import operations as configuration

COST_TAGS = ("cost_centre", "environment", "owner", "project", "stack", "team", "workload")


def watch(ground: Ground, storage: Storage, alerts: Alerts) -> None:
    """Build whatever is switched on."""
    settings = ground.settings
    if settings.cost is not None:
        _cost(ground.common, settings.cost, alerts)
        if settings.environment.owns_account:
            _anomalies(ground.common, settings.cost, alerts)
    if settings.audit is not None:
        _audit(ground, settings.audit, storage)


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


def _anomalies(common: ComponentArgs, chosen: configuration.Cost, alerts: Alerts) -> None:
    """Of the whole account, so that one of the environments that share it is told."""
    if chosen.anomaly_threshold_usd is None:
        return
    Anomalies(
        "anomalies",
        AnomaliesArgs(
            names=common.names,
            tags=common.tags,
            alerts_topic_arn=alerts.topic_arn,
            monitor_arn=chosen.anomaly_monitor_arn,
            threshold_usd=chosen.anomaly_threshold_usd,
        ),
    )


def _audit(ground: Ground, chosen: configuration.Audit, storage: Storage) -> None:
    names = ground.common.names
    Audit(
        "audit",
        AuditArgs(
            names=names,
            tags=ground.common.tags,
            kms_key_arn=ground.keys.arn("audit"),
            access_log_bucket_name=names.bucket("logs"),
            data_bucket_arns=[storage.bucket(name).arn for name in BUCKETS],
            create_trail=chosen.create_trail,
            record_configurations=chosen.create_config_recorder,
            retention_days=chosen.retention_days,
            lock=chosen.lock,
            protect=ground.settings.environment.protect,
        ),
        pulumi.ResourceOptions(depends_on=[storage]),
    )
