"""Model Monitor: its jobs, its schedules, and who hears of what they find."""

import re
from collections.abc import Mapping

from policies.data import Data, Resource
from policies.reading.endpoints import ALARM, acts, is_gpu, matching, metrics
from policies.reading.jobs import PIPELINE, Job, has_local_nvme, jobs
from policies.reading.predicates import ON, SET, Must
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

DATA_QUALITY = "aws:sagemaker/dataQualityJobDefinition:DataQualityJobDefinition"
NATIVE: Mapping[str, str] = {
    f"aws-native:sagemaker:{name}JobDefinition": f"{name[:1].lower()}{name[1:]}JobOutputConfig"
    for name in ("ModelBias", "ModelQuality", "ModelExplainability")
}
"""Job definitions that pulumi-aws lacks -> where they have their output."""

SCHEDULE = "aws:sagemaker/monitoringSchedule:MonitoringSchedule"
EVENT_RULE = "aws:cloudwatch/eventRule:EventRule"
EVENT_TARGET = "aws:cloudwatch/eventTarget:EventTarget"
CHECKS = ("QualityCheck", "ClarifyCheck")

_NETWORK = {
    "network": "networkConfig.vpcConfig",
    "isolation": "networkConfig.enableNetworkIsolation",
    "traffic": "networkConfig.enableInterContainerTrafficEncryption",
}
_SECONDS = "stoppingCondition.maxRuntimeInSeconds"
_HOURS_PER_MONTH = 730


def _places(output: str, resources: str = "jobResources") -> dict[str, str]:
    """Where a kind of monitoring job has what rules ask about."""
    return {
        "output_key": f"{output}.kmsKeyId",
        "resources": f"{resources}.clusterConfig",
        **_NETWORK,
    }


_INLINE = _places("monitoringOutputConfig", "monitoringResources")


def _hardened(job: Job, places: Mapping[str, str]) -> Fail | None:
    """A job encrypts what it writes and keeps, is isolated, and stays in the VPC.

    Containers of one instance send each other nothing, and local NVMe takes no key.
    """
    cluster = places["resources"]
    wanted: dict[str, Must] = {
        places["output_key"]: SET,
        places["network"]: SET,
        places["isolation"]: ON,
    }
    instance_type = str(job.get(f"{cluster}.instanceType"))
    if not has_local_nvme(instance_type, job.at(f"{cluster}.instanceType")):
        wanted[f"{cluster}.volumeKmsKeyId"] = SET
    if "seconds" in places:
        wanted[places["seconds"]] = SET
    if (job.get(f"{cluster}.instanceCount") or 1) > 1:
        wanted[places["traffic"]] = ON
    return every(wanted.items(), lambda item: _meets(job, *item))


def _meets(job: Job, path: str, must: Must) -> Fail | None:
    value = job.get(path)
    return None if must.holds(value) else Fail(f"{job.at(path)} {must.says}, got {value!r}")


@rule(
    "ML-MO-001",
    applies_to=DATA_QUALITY,
    severity="medium",
    fix="set kms_key_id of the output, volume_kms_key_id, network_config and stopping_condition",
    url="https://docs.aws.amazon.com/sagemaker/latest/APIReference/"
    "API_CreateDataQualityJobDefinition.html",
    themes=Theme.ENCRYPTION_AT_REST | Theme.ENCRYPTION_IN_TRANSIT | Theme.NETWORK_ISOLATION,
)
def require_hardened_data_quality_job(resource: Resource, scope: Scope) -> Result:
    """Data-quality jobs are encrypted, isolated, in the VPC, and stop.

    Traffic between containers matters from the second instance on.
    """
    del scope
    places = {**_places("dataQualityJobOutputConfig"), "seconds": _SECONDS}
    return _hardened(Job("Monitoring", resource.inputs), places)


@rule(
    "ML-MO-002",
    applies_to=(*NATIVE, PIPELINE),
    severity="medium",
    fix="set the output's and the volume's key, network isolation and a VPC; from two instances\n"
    "on also inter-container traffic encryption",
    url="https://docs.aws.amazon.com/securityhub/latest/userguide/sagemaker-controls.html",
    themes=Theme.ENCRYPTION_AT_REST | Theme.ENCRYPTION_IN_TRANSIT | Theme.NETWORK_ISOLATION,
)
def require_hardened_model_checks(resource: Resource, scope: Scope) -> Result:
    """Jobs that check quality, bias and explanations of a model are encrypted and isolated.

    As definitions of Model Monitor, and as QualityCheck and ClarifyCheck steps of a pipeline.
    """
    del scope
    if resource.type in NATIVE:
        return _hardened(Job("Monitoring", resource.inputs), _places(NATIVE[resource.type]))
    steps = jobs(resource, *CHECKS)
    if not steps:
        return NotApplicable("the pipeline has no such step")
    places = _places("processingOutputConfig", "processingResources")
    return every(steps, lambda step: _hardened(step, places))


@rule(
    "ML-MO-003",
    applies_to=SCHEDULE,
    kind="stack",
    severity="medium",
    fix="set network_config, kms_key_id and volume_kms_key_id of monitoring_job_definition, or\n"
    "name a job definition of this stack",
    url="https://docs.aws.amazon.com/securityhub/latest/userguide/sagemaker-controls.html",
    themes=Theme.ENCRYPTION_IN_TRANSIT | Theme.NETWORK_ISOLATION,
)
def require_hardened_schedule(resource: Resource, scope: Scope) -> Result:
    """What a monitoring schedule starts is encrypted and isolated, inline or by name."""
    found = _job(resource, scope)
    if found is None:
        return NotApplicable("its job definition is not in this stack")
    return _hardened(*found)


def _config(schedule: Resource) -> Data:
    key = "monitoringScheduleConfig"
    return Data(schedule.outputs.value[key], key)


def _job(schedule: Resource, scope: Scope) -> tuple[Job, Mapping[str, str]] | None:
    """What a schedule starts, inline or by name, and where that has what rules ask about."""
    config, key = _config(schedule), "monitoringJobDefinition"
    if config.has(key):
        return Job("Monitoring", Data(config.value[key], f"{config.path}.{key}")), _INLINE
    wanted = config.get("monitoringJobDefinitionName")
    for found in scope.of_type(DATA_QUALITY, *NATIVE):
        if wanted in (found.outputs.get("name"), found.outputs.get("jobDefinitionName")):
            output = NATIVE.get(found.type, "dataQualityJobOutputConfig")
            return Job("Monitoring", found.outputs), _places(output)
    return None


@rule(
    "ML-MO-004",
    applies_to=SCHEDULE,
    kind="stack",
    severity="medium",
    fix="add an alarm with actions whose dimension is the schedule, or an EventRule on its\n"
    "processing jobs with a target",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-interpreting-cloudwatch.html",
    themes=Theme.MODEL_MONITORING,
)
def require_heard_violations(resource: Resource, scope: Scope) -> Result:
    """Somebody hears of what a production monitoring schedule finds.

    A report that lies in a bucket is read after the damage.
    """
    if not scope.config.production:
        return NotApplicable("outside production the report is enough")
    name = str(resource.outputs.get("name"))

    def watches(alarm: Resource) -> bool:
        keys = ("ScheduleName", "MonitoringSchedule")
        names = {each.get("dimensions", key) for each in metrics(alarm) for key in keys}
        return name in names and acts(alarm)

    def tells(target: Resource) -> bool:
        rules = scope.named_by(target, EVENT_RULE, "rule")
        return any(f'"{name}' in str(found.outputs.get("eventPattern")) for found in rules)

    alarms, targets = scope.of_type(ALARM), scope.of_type(EVENT_TARGET)
    if matching(alarms, watches) or matching(targets, tells):
        return None
    return Fail(f"an alarm with actions or an event must tell of {name}, got none")


_DAILY = re.compile(r"cron\(0 (\d+) \? \* \* \*\)")
_EVERY = re.compile(r"cron\(0 \d+/(\d+) \? \* \* \*\)")


def runs_per_month(expression: str) -> int:
    """How often a schedule of Model Monitor runs; it knows hours and days, or once (NOW)."""
    if expression == "NOW":
        return 1
    if expression == "cron(0 * ? * * *)":
        return _HOURS_PER_MONTH
    if _DAILY.fullmatch(expression):
        return 31
    if match := _EVERY.fullmatch(expression):
        return 31 * -(-24 // int(match.group(1)))
    raise ValueError(f"Model Monitor has no schedule {expression!r}")


@rule(
    "ML-MO-005",
    applies_to=SCHEDULE,
    kind="stack",
    severity="low",
    mandatory="never",
    fix="run it less often, on fewer instances or with a shorter max_runtime_in_seconds",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-schedule-expression.html",
    themes=Theme.LIMITS,
)
def limit_monitoring_hours(resource: Resource, scope: Scope) -> Result:
    """A schedule uses no GPU, and at most monitoring_hours_per_month_max instance hours.

    Counted as if every run took as long as it may; without a limit that is the whole hour between
    two runs of an hourly schedule.
    """
    found = _job(resource, scope)
    if found is None:
        return NotApplicable("its job definition is not in this stack")
    job, places = found
    cluster = places["resources"]
    instance_type = str(job.get(f"{cluster}.instanceType"))
    if is_gpu(instance_type):
        return Fail(f"monitoring must not use GPUs, got {instance_type}")
    hours = _hours(job) * int(job.get(f"{cluster}.instanceCount") or 1)
    expression = _config(resource).get("scheduleConfig", "scheduleExpression") or "NOW"
    total = hours * runs_per_month(str(expression))
    most = scope.config.monitoring_hours_per_month_max
    if total <= most:
        return None
    return Fail(f"must use at most {most} instance hours a month, got up to {total:g}")


def _hours(job: Job) -> float:
    """The longest that a run may take; inline, a schedule has a list of limits."""
    seconds = [each.get("maxRuntimeInSeconds") for each in job.each("stoppingConditions")]
    return float(max(seconds, default=0) or job.get(_SECONDS) or 3600) / 3600
