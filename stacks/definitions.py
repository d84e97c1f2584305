"""From the settings of a workload's stack to the compiled definitions of its pipelines."""

from collections.abc import Mapping, Sequence

from infra.instances import instance_type as known_instance_type
from infra.naming import Names
from pipelines import compiled
from pipelines.compiled import PipelineInputs, Request
from pipelines.workload import Parameter, Workload, named
from stacks.image import image_uri
from stacks.parameters import parameters
from stacks.paths import cache
from stacks.settings.model import Settings, WorkloadSettings

JOB_SECURITY_GROUP = "job-security-group-id"
STORAGE_KEY = "storage-key-arn"
TRACKING_APP = "tracking-app-arn"
"""Names of what AWS invents. The compiled definition has `{{name}}` until the stack knows it, so
that its bytes are those of the sources and the settings alone."""


def subnet(zone: str) -> str:
    """Name of what AWS invents for the private subnet in a zone."""
    return f"private-subnet-id-{zone}"


def placeholder(name: str) -> str:
    """What stands in the compiled definition for something that AWS invents."""
    return "{{" + name + "}}"


def filled_in(definition: str, values: Mapping[str, str]) -> str:
    """The definition with what AWS invented."""
    for name, value in values.items():
        definition = definition.replace(placeholder(name), value)
    return definition


def definitions(settings: Settings) -> dict[str, str]:
    """Compiled JSON of every pipeline of a workload, from the cache or by the SageMaker SDK.

    The SDK takes some seconds. A stack that is no workload's has no pipeline.
    """
    if not isinstance(settings, WorkloadSettings):
        return {}
    names = list(settings.workload.pipelines)
    requests = [
        Request(workload=settings.workload, pipeline=name, inputs=of_settings(settings, name))
        for name in names
    ]
    return dict(
        zip(names, compiled.definitions(requests, cache=cache() / "definitions"), strict=True)
    )


def of_settings(settings: WorkloadSettings, pipeline: str) -> PipelineInputs:
    """What a pipeline must know about the platform of its environment."""
    workload, names, chosen = settings.workload, settings.names, settings.pipeline(pipeline)
    return inputs(
        workload,
        pipeline,
        names,
        image_uri=image_uri(settings.image, names, workload.name),
        zones=settings.environment.availability_zone_ids,
        instance_type=chosen.instance_type,
        max_runtime_seconds=chosen.max_runtime_seconds,
        chosen=chosen.parameters,
    )


def inputs(
    workload: Workload,
    pipeline: str,
    names: Names,
    *,
    image_uri: str,
    zones: Sequence[str],
    instance_type: str,
    max_runtime_seconds: int,
    chosen: Mapping[str, Parameter] | None = None,
) -> PipelineInputs:
    """What a pipeline must know about a platform, as plain values."""
    own, key = names.of_workload(workload.aws_name), placeholder(STORAGE_KEY)
    has_nvme = known_instance_type(instance_type).local_nvme
    declared = workload.pipeline(pipeline).parameters
    return PipelineInputs(
        workload=workload.name,
        pipeline_name=own.of(pipeline),
        region=own.region,
        account_id=own.account_id,
        role_arn=own.role_arn("job"),
        image_uri=image_uri,
        data_bucket=own.bucket("data"),
        artifacts_bucket=own.bucket("artifacts"),
        model_package_group_name=own.of("model") if workload.model else None,
        feature_groups=feature_groups(names, workload),
        tracking_arn=placeholder(TRACKING_APP),
        subnet_ids=[placeholder(subnet(zone)) for zone in zones],
        security_group_ids=[placeholder(JOB_SECURITY_GROUP)],
        kms_key_arn=key,
        volume_kms_key_arn=None if has_nvme else key,
        instance_type=instance_type,
        max_runtime_seconds=max_runtime_seconds,
        parameters=parameters(f"{workload.name} {pipeline}", declared, chosen or {}),
    )


def feature_groups(names: Names, workload: Workload) -> dict[str, str]:
    """AWS names of the groups that a workload's steps open, by their logical names."""
    own = names.of_workload(workload.aws_name)
    mine = {group: own.of(group) for group in workload.feature_groups}
    return mine | {
        f"{owner}.{group}": names.of_workload(named(owner).aws_name).of(group)
        for owner, groups in workload.uses.items()
        for group in groups
    }
