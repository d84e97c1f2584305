"""What watches the platform: alerts, retraining, cost and audit."""

from pathlib import Path

import pulumi

from infra.access import RoleSpec
from infra.alerts import Alerts, AlertsArgs
from infra.audit import Audit, AuditArgs
from infra.cluster import Cluster
from infra.cost import Cost, CostArgs
from infra.drift import NAMESPACE as DRIFT
from infra.drift import Drift, DriftArgs
from infra.gpu_monitoring import GpuMonitoring, GpuMonitoringArgs
from infra.keys import COMMON
from infra.nodes import Scaling
from infra.off_hours import OffHours, OffHoursArgs, ScalableTarget
from infra.retraining import Retraining, RetrainingArgs
from infra.watch import PIPELINES, Graph, Watch, WatchArgs
from pipelines import retraining as retraining_code
from stacks import workload
from stacks.composition import models, serving
from stacks.composition.foundation import BUCKETS, Foundation
from stacks.composition.models import Models
from stacks.image import image_uri
from stacks.settings import Settings
from stacks.settings import operations as configuration

KEY_PURPOSES = {"audit": ("cloudtrail",), "operations": (*COMMON, "budgets", "costalerts")}

COST_TAGS = ("cost_centre", "environment", "owner", "project", "team")
STARTS_WORK = ("job", "pipeline", "retraining")
"""Roles, where there are such, that a spent budget takes the right to start work from."""

RETRAINING_HANDLER = "pipelines.retraining.start.handler"


def roles(settings: Settings) -> dict[str, RoleSpec]:
    """Who starts training runs, stops them at the budget's end, and records configurations."""
    found = {}
    if watches_drift(settings):
        found["drift"] = RoleSpec(service="sagemaker.amazonaws.com", only_in_vpc=True)
        found["drift-schedule"] = RoleSpec(service="scheduler.amazonaws.com")
    if settings.retraining is not None:
        found["retraining"] = RoleSpec(service="lambda.amazonaws.com")
        if settings.retraining.schedules:
            found["retraining-schedule"] = RoleSpec(service="scheduler.amazonaws.com")
    if settings.cost is not None and settings.cost.stop_at_limit:
        found["cost-stop"] = RoleSpec(service="budgets.amazonaws.com")
    if settings.shrinking:
        found["off-hours"] = RoleSpec(service="scheduler.amazonaws.com")
    if settings.audit is not None and settings.audit.create_config_recorder:
        found["config"] = RoleSpec(
            service="config.amazonaws.com", managed_policies=("service-role/AWS_ConfigRole",)
        )
    return found


def watches_drift(settings: Settings) -> bool:
    """Drift is measured on what an endpoint captured."""
    served = settings.endpoint
    captures = served.model_package_arn is not None and served.capture_percent > 0
    return settings.drift is not None and captures


def build(base: Foundation, settings: Settings, served: Models, cluster: Cluster) -> Alerts:
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
    _watch(base, settings, served, alerts)
    if settings.gpu_monitoring is not None and settings.gpu_pools:
        GpuMonitoring(
            "gpu-monitoring",
            GpuMonitoringArgs(
                names=base.common.names,
                tags=base.common.tags,
                prometheus_operator=settings.gpu_monitoring.prometheus_operator,
            ),
            pulumi.ResourceOptions(providers={"kubernetes": cluster.kubernetes}),
        )
    alarm_names = []
    if watches_drift(settings):
        alarm_names.append(_drift(base, settings, served, alerts))
    if settings.retraining is not None:
        _retraining(base, settings, served, alerts, alarm_names=alarm_names)
    if settings.cost is not None:
        _cost(base, settings, settings.cost, alerts)
    if settings.off_hours is not None:
        _off_hours(base, settings, settings.off_hours, served, cluster)
    if settings.audit is not None:
        _audit(base, settings.audit, protect=settings.protect)
    return alerts


def _watch(base: Foundation, settings: Settings, served: Models, alerts: Alerts) -> None:
    names = base.common.names
    pipeline = {"PipelineName": names.of(workload.PIPELINE)}
    graphs = {
        "Runs": Graph(PIPELINES, ("ExecutionStarted", "ExecutionFailed"), pipeline),
        "Length of runs": Graph(PIPELINES, ("ExecutionDuration",), pipeline, "Maximum"),
    }
    if settings.endpoint.model_package_arn is not None:
        graphs |= _endpoint_graphs(names.of(workload.MODEL))
    if settings.retraining is not None:
        queue = {"QueueName": names.of("retraining-dead-letters")}
        depth = "ApproximateNumberOfMessagesVisible"
        graphs["Triggers given up"] = Graph("AWS/SQS", (depth,), queue, "Maximum")
    Watch(
        "watch",
        WatchArgs(
            names=names,
            tags=base.common.tags,
            graphs=graphs,
            pipeline_arn=served.workflow.pipeline_arn,
            job_name_prefix=names.prefix,
            alerts_topic_arn=alerts.topic_arn,
        ),
    )


def _endpoint_graphs(endpoint_name: str) -> dict[str, Graph]:
    """What callers get, and how far their requests are from the training data."""
    variant = {"EndpointName": endpoint_name, "VariantName": serving.CHAMPION}
    errors = ("Invocation4XXErrors", "Invocation5XXErrors", "InvocationModelErrors")
    return {
        "Requests": Graph("AWS/SageMaker", ("Invocations",), variant),
        "Errors": Graph("AWS/SageMaker", errors, variant),
        "Latency, microseconds": Graph(
            "AWS/SageMaker", ("ModelLatency", "OverheadLatency"), variant, "p99"
        ),
        "Drift": Graph(DRIFT, ("worst_drift",), {"EndpointName": endpoint_name}, "Maximum"),
    }


def _drift(base: Foundation, settings: Settings, served: Models, alerts: Alerts) -> str:
    """The name of the alarm that goes off on drift."""
    chosen, package, names = settings.drift, settings.endpoint.model_package_arn, base.common.names
    assert chosen is not None and package is not None
    endpoint_name = names.of(workload.MODEL)
    role = base.access.role("drift")
    may = [
        base.storage.grant_read(role, "artifacts"),
        base.storage.grant_read_write(role, "data"),
        base.keys.grant_use(role, "operations", "serving", "storage"),
        base.access.grant_observe(role),
        base.network.grant_attach(role),
    ]
    served.registry.grant_pull(role)
    drift = Drift(
        "drift",
        DriftArgs(
            names=names,
            tags=base.common.tags,
            endpoint_name=endpoint_name,
            model_package_arn=package,
            image_uri=image_uri(settings.image, names, "flight_delay"),
            entrypoint=["python3", "-m", "pipelines.toolkit.drift"],
            capture_uri=f"s3://{names.bucket('data')}/capture/{endpoint_name}",
            report_uri=f"s3://{names.bucket('data')}/monitoring/{endpoint_name}/drift",
            role=role,
            schedule_role=base.access.role("drift-schedule"),
            kms_key_arn=base.keys.arn("operations"),
            subnet_ids=base.network.private_subnet_ids,
            security_group_ids=[base.network.job_security_group_id],
            schedule_expression=chosen.schedule_expression,
            hours=chosen.hours,
            max_index=chosen.max_index,
            instance_type=chosen.instance_type,
            alarm_action_arns=[alerts.topic_arn],
        ),
        pulumi.ResourceOptions(depends_on=may),
    )
    return drift.alarm_name


def _retraining(
    base: Foundation,
    settings: Settings,
    served: Models,
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
            pipeline_name=served.workflow.pipeline_name,
            pipeline_arn=served.workflow.pipeline_arn,
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


def _cost(base: Foundation, settings: Settings, chosen: configuration.Cost, alerts: Alerts) -> None:
    stops = chosen.stop_at_limit
    there = {*models.roles(settings), *roles(settings)}
    served = settings.endpoint.model_package_arn is not None
    idle = {base.common.names.of(workload.MODEL): serving.CHAMPION} if served else {}
    starting = [base.access.role(name) for name in STARTS_WORK if name in there]
    Cost(
        "cost",
        CostArgs(
            names=base.common.names,
            tags=base.common.tags,
            monthly_limit_usd=chosen.monthly_limit_usd,
            alerts_topic_arn=alerts.topic_arn,
            actual_percents=chosen.actual_percents,
            forecast_percent=chosen.forecast_percent,
            anomaly_threshold_usd=chosen.anomaly_threshold_usd,
            stop_role=base.access.role("cost-stop") if stops else None,
            stopped_roles=starting if stops else (),
            idle_variants=idle,
            activated_tags=COST_TAGS if chosen.activate_tags else (),
        ),
    )


def _off_hours(
    base: Foundation,
    settings: Settings,
    chosen: configuration.OffHours,
    served: Models,
    cluster: Cluster,
) -> None:
    OffHours(
        "off-hours",
        OffHoursArgs(
            names=base.common.names,
            tags=base.common.tags,
            **chosen.model_dump(),
            node_groups={
                name: Scaling(**sizes.model_dump()) for name, sizes in settings.shrinking.items()
            },
            scalable_targets={
                name: ScalableTarget(
                    resource_id=scaled.resource_id,
                    scalable_dimension=scaled.scalable_dimension,
                    min_capacity=scaled.min_capacity,
                    max_capacity=scaled.max_capacity,
                )
                for name, scaled in served.scaled.items()
            },
            role=base.access.role("off-hours") if settings.shrinking else None,
        ),
        pulumi.ResourceOptions(depends_on=[cluster]),
    )


def _audit(base: Foundation, chosen: configuration.Audit, *, protect: bool) -> None:
    Audit(
        "audit",
        AuditArgs(
            names=base.common.names,
            tags=base.common.tags,
            kms_key_arn=base.keys.arn("audit"),
            access_log_bucket_name=base.common.names.bucket("logs"),
            data_bucket_arns=[base.storage.bucket(name).arn for name in BUCKETS],
            create_trail=chosen.create_trail,
            config_role=base.access.role("config") if chosen.create_config_recorder else None,
            retention_days=chosen.retention_days,
            lock=chosen.lock,
            protect=protect,
        ),
        pulumi.ResourceOptions(depends_on=[base.storage]),
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
