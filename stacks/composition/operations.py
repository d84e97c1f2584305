"""What watches a workload: dashboard, drift, retraining, its own budget."""

from pathlib import Path

import pulumi

from infra.access import RoleSpec, observe
from infra.budget import Budget, BudgetArgs
from infra.dashboard import PIPELINES, Dashboard, DashboardArgs, Graph
from infra.drift import NAMESPACE as DRIFT
from infra.drift import Drift, DriftArgs
from infra.images import pull_images
from infra.naming import REALTIME
from infra.off_hours import OffHours, OffHoursArgs, ScalableTarget
from infra.retraining import Retraining, RetrainingArgs
from infra.storage import put_objects, read_objects
from pipelines import retraining as retraining_code
from stacks.composition import serving
from stacks.composition.base import SAGEMAKER, Base
from stacks.composition.models import Models
from stacks.image import image_uri
from stacks.settings import operations as configuration
from stacks.settings.model import WorkloadSettings

SCHEDULER = "scheduler.amazonaws.com"
STARTS_WORK = ("job", "pipeline", "retraining")
"""Roles, where there are such, that a spent budget takes the right to start work from."""

RETRAINING_HANDLER = "pipelines.retraining.start.handler"
DRIFT_ENTRYPOINT = ("python3", "-m", "pipelines.toolkit.drift")


def roles(settings: WorkloadSettings) -> dict[str, RoleSpec]:
    """Who measures drift, starts training runs, and stops them at the budget's end."""
    found = {}
    if watches_drift(settings):
        found["drift"] = RoleSpec(service=SAGEMAKER, only_in_vpc=True)
        found["drift-schedule"] = RoleSpec(service=SCHEDULER)
    if settings.retraining is not None:
        found["retraining"] = RoleSpec(service="lambda.amazonaws.com")
        if settings.retraining.schedules:
            found["retraining-schedule"] = RoleSpec(service=SCHEDULER)
    if settings.budget is not None and settings.budget.stop_at_limit:
        found["budget-stop"] = RoleSpec(service="budgets.amazonaws.com")
    return found


def watches_drift(settings: WorkloadSettings) -> bool:
    """Drift is measured on what an endpoint captured."""
    return settings.drift is not None and settings.serves and settings.endpoint.capture_percent > 0


def build(base: Base, settings: WorkloadSettings, served: Models) -> None:
    """Build whatever is switched on."""
    drift = _drift(base, settings) if watches_drift(settings) else None
    _watch(base, settings, served, [drift.job_name_prefix] if drift else [])
    if settings.retraining is not None:
        alarm_names = [drift.alarm_name] if drift else []
        _retraining(base, settings, settings.retraining, served, alarm_names)
    if settings.budget is not None:
        _budget(base, settings, settings.budget)
    if settings.off_hours is not None:
        _off_hours(base, settings.off_hours, served)


def _watch(
    base: Base, settings: WorkloadSettings, served: Models, job_name_prefixes: list[str]
) -> None:
    names = base.names
    graphs = {}
    for name in sorted(served.workflows):
        pipeline = {"PipelineName": names.of(name)}
        ran = ("ExecutionStarted", "ExecutionFailed")
        graphs[f"Runs of {name}"] = Graph(PIPELINES, ran, pipeline)
        graphs[f"Length of {name}"] = Graph(PIPELINES, ("ExecutionDuration",), pipeline, "Maximum")
    if settings.serves:
        graphs |= _endpoint_graphs(names.of(REALTIME))
    if settings.retraining is not None:
        queue = {"QueueName": names.of("retraining-dead-letters")}
        depth = "ApproximateNumberOfMessagesVisible"
        graphs["Triggers given up"] = Graph("AWS/SQS", (depth,), queue, "Maximum")
    Dashboard(
        "watch",
        DashboardArgs(
            names=names,
            tags=base.common.tags,
            graphs=graphs,
            pipeline_arns=[workflow.pipeline_arn for workflow in served.workflows.values()],
            # a long name is cut, then its beginning is another one
            job_name_prefixes=sorted({f"{names.prefix}-", *job_name_prefixes}),
            alerts_topic_arn=base.contract.alerts_topic_arn,
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


def _drift(base: Base, settings: WorkloadSettings) -> Drift:
    chosen, package, names = settings.drift, settings.endpoint.model_package_arn, base.names
    assert chosen is not None and package is not None
    endpoint_name, data = names.of(REALTIME), names.bucket("data")
    role, reports = base.access.role("drift"), f"monitoring/{endpoint_name}"
    may = base.access.allow(
        role,
        base.attach(),
        base.use_keys("operations", "serving", "storage"),
        base.mount_volumes("operations"),
        observe(names),
        pull_images(names),
        read_objects(
            names, {"artifacts": [f"{names.prefix}-*"], "data": [f"capture/{endpoint_name}/*"]}
        ),
        put_objects(names, {"data": [f"{reports}/*"]}),
    )
    return Drift(
        "drift",
        DriftArgs(
            names=names,
            tags=base.common.tags,
            endpoint_name=endpoint_name,
            model_package_arn=package,
            image_uri=image_uri(settings.image, names, settings.workload.name),
            entrypoint=DRIFT_ENTRYPOINT,
            capture_uri=f"s3://{data}/capture/{endpoint_name}",
            report_uri=f"s3://{data}/{reports}/drift",
            role=role,
            schedule_role=base.access.role("drift-schedule"),
            kms_key_arn=base.key("operations"),
            subnet_ids=base.subnet_ids,
            security_group_ids=[base.contract.job_security_group_id],
            schedule_expression=chosen.schedule_expression,
            hours=chosen.hours,
            max_index=chosen.max_index,
            instance_type=chosen.instance_type,
            alarm_action_arns=[base.contract.alerts_topic_arn],
        ),
        pulumi.ResourceOptions(depends_on=[may]),
    )


def _retraining(
    base: Base,
    settings: WorkloadSettings,
    chosen: configuration.Retraining,
    served: Models,
    alarm_names: list[str],
) -> None:
    role, workflow = base.access.role("retraining"), served.workflows[chosen.pipeline]
    Retraining(
        "retraining",
        RetrainingArgs(
            names=base.names,
            tags=base.common.tags,
            pipeline_name=workflow.pipeline_name,
            pipeline_arn=workflow.pipeline_arn,
            code=_archive(Path(retraining_code.__file__).parent),
            handler=RETRAINING_HANDLER,
            role=role,
            schedule_role=base.access.role("retraining-schedule") if chosen.schedules else None,
            kms_key_arn=base.key("operations"),
            alarm_names=alarm_names if chosen.on_drift else (),
            schedules=chosen.schedules,
            cool_down_hours=chosen.cool_down_hours,
            max_runs_per_day=chosen.max_runs_per_day,
            log_retention_days=chosen.log_retention_days,
            alarm_action_arns=[base.contract.alerts_topic_arn],
            protect=base.environment.protect,
        ),
        pulumi.ResourceOptions(depends_on=[base.access.allow(role, base.use_keys("operations"))]),
    )


def _budget(base: Base, settings: WorkloadSettings, chosen: configuration.Budget) -> None:
    stops, tags = chosen.stop_at_limit, base.common.tags
    starting = [role for role in map(base.access.find, STARTS_WORK) if role is not None]
    Budget(
        "budget",
        BudgetArgs(
            names=base.names,
            tags=tags,
            monthly_limit_usd=chosen.monthly_limit_usd,
            tag=("stack", tags["stack"]),
            alerts_topic_arn=base.contract.alerts_topic_arn,
            actual_percents=chosen.actual_percents,
            forecast_percent=chosen.forecast_percent,
            stop_role=base.access.role("budget-stop") if stops else None,
            stopped_roles=starting if stops else (),
            idle_variants=({base.names.of(REALTIME): serving.CHAMPION} if settings.serves else {}),
        ),
    )


def _off_hours(base: Base, chosen: configuration.OffHours, served: Models) -> None:
    OffHours(
        "off-hours",
        OffHoursArgs(
            names=base.names,
            tags=base.common.tags,
            **chosen.model_dump(),
            scalable_targets={
                name: ScalableTarget(
                    resource_id=scaled.resource_id,
                    scalable_dimension=scaled.scalable_dimension,
                    min_capacity=scaled.min_capacity,
                    max_capacity=scaled.max_capacity,
                )
                for name, scaled in served.scaled.items()
            },
        ),
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
