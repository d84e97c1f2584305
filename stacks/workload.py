"""From an environment's values to the inputs of a workload's pipelines, and their definitions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from infra.errors import UserError
from infra.instances import instance_type as known_instance_type
from infra.naming import Names
from pipelines import compiled
from pipelines.compiled import PipelineInputs, Request
from pipelines.holdout import Holdout, Source, holdout
from pipelines.workload import Parameter, Pipeline, Workload, named
from stacks.home import cache
from stacks.image import image_uri
from stacks.settings import Settings

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


def name_of(names: Names, workload: Workload, role: str) -> str:
    """Physical name of what plays this role for a workload: `plinth-dev-flight-delay-job`."""
    return names.of(f"{workload.aws_name}-{role.replace('_', '-')}")


def feature_groups(names: Names, workload: Workload) -> dict[str, str]:
    """AWS names of the groups that a workload's steps open, by their logical names."""
    own = {group: name_of(names, workload, group) for group in workload.feature_groups}
    return own | {
        f"{owner}.{group}": name_of(names, named(owner), group)
        for owner, groups in workload.uses.items()
        for group in groups
    }


def parameters(
    workload: Workload, pipeline: str, chosen: Mapping[str, Parameter]
) -> dict[str, Parameter]:
    """The parameters of a pipeline, with what the environment chose; UserError if it cannot be."""
    declared: Pipeline = workload.pipeline(pipeline)
    where = f"{workload.name} {pipeline}"
    values = dict(declared.parameters)
    for name, value in chosen.items():
        if name not in values:
            near = get_close_matches(name, values, n=1)
            raise UserError(
                f"{where}: parameters must be of {', '.join(values) or 'none'}, got {name!r}",
                fix=f"write {near[0]}" if near else f"remove {name}",
            )
        values[name] = _as_declared(f"{where}: {name}", values[name], value)
    return values


def _as_declared(where: str, default: Parameter, value: Parameter) -> Parameter:
    """The value as what its default is: 1 may stand for 1.0, and nothing else for another."""
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        raise UserError(
            f"{where} must be {type(default).__name__}, as its default {default!r}, got {value!r}",
            fix=f"write it as {type(default).__name__}",
        )
    return value


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
    """What a pipeline must know about its platform, as plain values."""
    key = placeholder(STORAGE_KEY)
    return PipelineInputs(
        workload=workload.name,
        pipeline_name=name_of(names, workload, pipeline),
        region=names.region,
        account_id=names.account_id,
        role_arn=names.role_arn(f"{workload.aws_name}-job"),
        image_uri=image_uri,
        data_bucket=names.bucket("data"),
        artifacts_bucket=names.bucket("artifacts"),
        model_package_group_name=name_of(names, workload, "model") if workload.model else None,
        feature_groups=feature_groups(names, workload),
        tracking_arn=placeholder(TRACKING_APP),
        subnet_ids=[placeholder(subnet(zone)) for zone in zones],
        security_group_ids=[placeholder(JOB_SECURITY_GROUP)],
        kms_key_arn=key,
        volume_kms_key_arn=None if known_instance_type(instance_type).local_nvme else key,
        instance_type=instance_type,
        max_runtime_seconds=max_runtime_seconds,
        parameters=parameters(workload, pipeline, chosen or {}),
    )


def compiled_definitions(requests: Sequence[Request]) -> list[str]:
    """Compiled JSON of these pipelines, from the cache or by the SageMaker SDK (some seconds)."""
    return compiled.definitions(requests, cache=cache() / "definitions")


# Until an environment is several stacks: one workload, by the settings of the single stack.

_ONLY = named("flight_delay")
MODEL = "flight-delay"
PIPELINE = "training"
HOLDOUT_DAYS = 7
CALLS_AWS = _ONLY.pipelines[PIPELINE].calls_aws
MODEL_DESCRIPTION = _ONLY.model.description if _ONLY.model else ""
MODEL_CARD = _ONLY.model.card if _ONLY.model else {}


def training_inputs(settings: Settings, names: Names) -> PipelineInputs:
    """The inputs of the only pipeline of the single stack."""
    training = settings.training
    found = inputs(
        _ONLY,
        PIPELINE,
        names,
        image_uri=image_uri(settings.image, names, _ONLY.name),
        zones=settings.network.availability_zone_ids,
        instance_type=training.instance_type,
        max_runtime_seconds=training.max_runtime_seconds,
        chosen={
            "TrainStart": training.train_start,
            "TrainEnd": training.train_end,
            "EvaluationDays": training.evaluation_days,
            "AucThreshold": training.auc_threshold,
        },
    )
    return replace(
        found,
        pipeline_name=names.of(PIPELINE),
        role_arn=names.role_arn("job"),
        model_package_group_name=names.of(MODEL),
        feature_groups={"flights": names.of("flights"), "weather.hourly": names.of("weather")},
    )


def single_holdout(env: str, settings: Settings, client: Any, days: int) -> Holdout:
    """Days that the model of the single stack has not seen."""
    names = settings.names(env)
    found = training_inputs(settings, names)
    source = Source(
        client=client,
        data_bucket=found.data_bucket,
        feature_groups=found.feature_groups,
        parameters=found.parameters,
    )
    return holdout(_ONLY, source, days)


def definitions(env: str, settings: Settings) -> dict[str, str]:
    """Compiled JSON of the pipeline of the single stack, by its name."""
    request = Request(
        workload=_ONLY, pipeline=PIPELINE, inputs=training_inputs(settings, settings.names(env))
    )
    (text,) = compiled_definitions([request])
    return {PIPELINE: text}
