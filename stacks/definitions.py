"""From the settings of a workload's stack to the compiled definitions of its pipelines."""

from collections.abc import Mapping

from infra.instances import instance_type as known_instance_type
from infra.naming import Names
from pipelines import compiled
from pipelines.compiled import PipelineInputs, Request
from pipelines.workload import Workload, named
from stacks.image import image_uri
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
        Request(workload=settings.workload, pipeline=name, inputs=inputs(settings, name))
        for name in names
    ]
    return dict(
        zip(names, compiled.definitions(requests, cache=cache() / "definitions"), strict=True)
    )


def inputs(settings: WorkloadSettings, pipeline: str) -> PipelineInputs:
    """What a pipeline must know about its platform, as plain values."""
    workload, names, chosen = settings.workload, settings.names, settings.pipeline(pipeline)
    zones, key = settings.environment.availability_zone_ids, placeholder(STORAGE_KEY)
    has_nvme = known_instance_type(chosen.instance_type).local_nvme
    return PipelineInputs(
        workload=workload.name,
        pipeline_name=names.of(pipeline),
        region=names.region,
        account_id=names.account_id,
        role_arn=names.role_arn("job"),
        image_uri=image_uri(settings.image, names, workload.name),
        data_bucket=names.bucket("data"),
        artifacts_bucket=names.bucket("artifacts"),
        model_package_group_name=names.of("model") if workload.model else None,
        feature_groups=feature_groups(names, workload),
        tracking_arn=placeholder(TRACKING_APP),
        subnet_ids=[placeholder(subnet(zone)) for zone in zones],
        security_group_ids=[placeholder(JOB_SECURITY_GROUP)],
        kms_key_arn=key,
        volume_kms_key_arn=None if has_nvme else key,
        instance_type=chosen.instance_type,
        max_runtime_seconds=chosen.max_runtime_seconds,
        parameters=settings.parameters(pipeline),
    )


def feature_groups(names: Names, workload: Workload) -> dict[str, str]:
    """AWS names of the groups that a workload's steps open, by their logical names."""
    own = {group: names.of(group) for group in workload.feature_groups}
    return own | {
        f"{owner}.{group}": names.of_workload(named(owner).aws_name).of(group)
        for owner, groups in workload.uses.items()
        for group in groups
    }
