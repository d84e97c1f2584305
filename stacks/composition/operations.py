"""What watches the platform: alerts, and what starts a training run by itself."""

from pathlib import Path

import pulumi

from infra.access import RoleSpec
from infra.alerts import Alerts, AlertsArgs
from infra.keys import COMMON
from infra.retraining import Retraining, RetrainingArgs
from pipelines import retraining as retraining_code
from stacks.composition.foundation import Foundation
from stacks.composition.models import Models
from stacks.settings import Settings

KEY_PURPOSES = {"operations": (*COMMON, "budgets", "costalerts")}

RETRAINING_HANDLER = "pipelines.retraining.start.handler"


def roles(settings: Settings) -> dict[str, RoleSpec]:
    """Who starts training runs."""
    found = {}
    if settings.retraining is not None:
        found["retraining"] = RoleSpec(service="lambda.amazonaws.com")
        if settings.retraining.schedules:
            found["retraining-schedule"] = RoleSpec(service="scheduler.amazonaws.com")
    return found


def build(base: Foundation, settings: Settings, models: Models) -> Alerts:
    """Build the alerts topic and whatever is switched on."""
    alerts = Alerts(
        "alerts",
        AlertsArgs(
            names=base.common.names,
            tags=base.common.tags,
            kms_key_arn=base.keys.arn("operations"),
            emails=settings.alerts.emails,
        ),
    )
    if settings.retraining is not None:
        _retraining(base, settings, models, alerts, alarm_names=[])
    return alerts


def _retraining(
    base: Foundation,
    settings: Settings,
    models: Models,
    alerts: Alerts,
    *,
    alarm_names: list[str],
) -> None:
    chosen, names = settings.retraining, base.common.names
    assert chosen is not None
    role = base.access.role("retraining")
    Retraining(
        "retraining",
        RetrainingArgs(
            names=names,
            tags=base.common.tags,
            pipeline_name=models.workflow.pipeline_name,
            pipeline_arn=models.workflow.pipeline_arn,
            code=_archive(Path(retraining_code.__file__).parent),
            handler=RETRAINING_HANDLER,
            role=role,
            schedule_role=base.access.role("retraining-schedule") if chosen.schedules else None,
            kms_key_arn=base.keys.arn("operations"),
            alarm_names=alarm_names if chosen.on_drift else (),
            schedules=chosen.schedules,
            cool_down_hours=chosen.cool_down_hours,
            max_runs_per_day=chosen.max_runs_per_day,
            log_retention_days=settings.cluster.log_retention_days,
            alarm_action_arns=[alerts.topic_arn],
            protect=settings.protect,
        ),
        pulumi.ResourceOptions(depends_on=[base.keys.grant_use(role, "operations")]),
    )


def _archive(folder: Path) -> pulumi.AssetArchive:
    """A package's modules under its own name; the archive's hash is their content's."""
    package = f"{folder.parent.name}/{folder.name}"
    return pulumi.AssetArchive(
        {
            f"{package}/{path.name}": pulumi.StringAsset(path.read_text())
            for path in sorted(folder.glob("*.py"))
        }
    )
