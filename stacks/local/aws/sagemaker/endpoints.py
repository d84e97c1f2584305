"""Endpoints as resources: created when their processes answer, updated blue/green, deleted dead.

An update starts the new fleet beside the old one and moves the traffic, in the steps of its
deployment configuration, when every process of it is healthy and as long as no alarm of the
rollback configuration goes off. A failed update keeps the old configuration InService and says why
in FailureReason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import components
from stacks.local.aws.sagemaker.errors import invalid
from stacks.local.aws.sagemaker.fleet import (
    Fleet,
    Variant,
    launch,
    plan,
    resize,
)
from stacks.local.aws.sagemaker.model_containers import images, only_container, pipeline
from stacks.local.aws.sagemaker.resource_type import Request
from stacks.local.aws.sagemaker.rollout import Deployment, check_sizes, plan_of, shift, take_down
from stacks.local.aws.sagemaker.servers import ServingFailed
from stacks.local.aws.sagemaker.shapes import now
from stacks.local.aws.store import Resource

CONFIG = "endpoint configuration"

SERVERLESS_STEP_MB = 1024
"""Memory of a serverless endpoint is 1 to 6 of these (ServerlessConfig, API reference: 1 GB
increments)."""


def create_config(emulator: Emulator, item: Resource, request: Request) -> None:
    """A configuration names models that exist, and variants that can stand together.

    Models of one container alone: developer guide, "Serverless Inference: feature exclusions" and
    "Shadow variants: exclusions". InvokeEndpointAsync (API reference) names no target.
    """
    production, shadows = request["ProductionVariants"], request.get("ShadowProductionVariants", [])
    variants = [*production, *shadows]
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) < len(names):
        raise invalid(f"variant names must be unique, got {names}")
    if shadows and (len(production), len(shadows)) != (1, 1):
        raise invalid("a shadow variant needs exactly one production variant, and one shadow only")
    _check_hosts(request, variants)
    with_model = [variant for variant in variants if "ModelName" in variant]
    if len(with_model) not in (0, len(variants)):
        raise invalid("either every variant has a ModelName or none has")
    if not with_model and "ExecutionRoleArn" not in request:
        raise invalid("variants without ModelName need ExecutionRoleArn")
    for variant in with_model:
        model = emulator.store.find("model", variant["ModelName"])
        if model is None:
            arn = emulator.arn(f"model/{variant['ModelName']}")
            raise invalid(f'Could not find model "{arn}".')
        if shadows or "ServerlessConfig" in variant:
            kind = "a serverless endpoint" if "ServerlessConfig" in variant else "a shadow test"
            only_container(emulator, model.fields, kind)
        if "AsyncInferenceConfig" in request:
            pipeline(emulator, model.fields, "an asynchronous endpoint")


def _check_hosts(request: Request, variants: list[Mapping[str, Any]]) -> None:
    """A variant runs on something; developer guide, "Serverless Inference: feature exclusions"."""
    for variant in variants:
        if not variant.keys() & {"InstanceType", "InstancePools", "ServerlessConfig"}:
            name = variant["VariantName"]
            raise invalid(f"variant {name} must have an InstanceType or a ServerlessConfig")
    if not any("ServerlessConfig" in variant for variant in variants):
        return
    excluded = [
        name
        for name in ("AsyncInferenceConfig", "DataCaptureConfig", "KmsKeyId", "VpcConfig")
        if name in request
    ]
    if len(variants) > 1:
        excluded.append("more than one variant")
    serverless = variants[0]["ServerlessConfig"]
    size = serverless["MemorySizeInMB"]
    if size % SERVERLESS_STEP_MB:
        sizes = ", ".join(str(SERVERLESS_STEP_MB * steps) for steps in range(1, 7))
        raise invalid(
            f"Value '{size}' at 'MemorySizeInMB' failed to satisfy constraint: Member must satisfy "
            f"enum value set: [{sizes}]"
        )
    most, kept = serverless["MaxConcurrency"], serverless.get("ProvisionedConcurrency", 0)
    if kept > most:  # ProductionVariantServerlessConfig, API reference
        raise invalid(f"ProvisionedConcurrency ({kept}) must not exceed MaxConcurrency ({most})")
    if "InstanceType" in variants[0]:
        excluded.append("InstanceType")
    if excluded:
        raise invalid(f"a serverless endpoint cannot have {', '.join(excluded)}")


def create_endpoint(emulator: Emulator, item: Resource, request: Request) -> None:
    """Start the fleet of a new endpoint in the background."""
    fleet = plan(emulator, item.name, _config(emulator, request["EndpointConfigName"]))
    deployment = Deployment()
    item.live = deployment
    item.fields.pop("DeploymentConfig", None)
    item.set(EndpointStatus="Creating", LastDeploymentConfig=request.get("DeploymentConfig"))

    def work() -> None:
        try:
            _machines(emulator, "CreateEndpoint")
            launch(emulator, fleet, deployment.cancelled)
        except ServingFailed as error:
            if not deployment.cancelled.is_set():
                item.set(EndpointStatus="Failed", FailureReason=str(error))
            return
        with emulator.store.lock:
            if deployment.cancelled.is_set():
                fleet.stop(emulator.host)
                return
            deployment.fleet = fleet
            item.set(EndpointStatus="InService", **_described(fleet))

    emulator.background(
        work, broken=lambda e: item.set(EndpointStatus="Failed", FailureReason=str(e))
    )


def update_endpoint(emulator: Emulator, item: Resource, request: Request) -> None:
    """Replace the fleet by that of another configuration, blue/green."""
    deployment: Deployment = item.live
    blue = deployment.fleet
    planned = plan(emulator, item.name, _config(emulator, request["EndpointConfigName"]))
    _check_components(emulator, item, planned)
    fleet = _retain(planned, blue, request)
    settings = request.get("DeploymentConfig")
    if request.get("RetainDeploymentConfig"):
        settings = item.fields.get("LastDeploymentConfig")
    check_sizes(settings or {}, next(iter(fleet.variants.values())).instances)
    item.set(EndpointStatus="Updating", FailureReason=None, LastDeploymentConfig=settings)

    item.set(PendingDeploymentSummary=_pending(request["EndpointConfigName"], fleet))
    steps = plan_of(settings or {}, next(iter(fleet.variants.values())).instances)

    def work() -> None:
        try:
            _machines(emulator, "UpdateEndpoint")
            launch(emulator, fleet, deployment.cancelled)
            shift(emulator, deployment, fleet, steps)
        except ServingFailed as error:
            old: Fleet | None = fleet
            shown: dict[str, Any] = {"FailureReason": str(error)}
        else:
            old = blue
            shown = {"EndpointConfigName": request["EndpointConfigName"], **_described(fleet)}
            deployment.cancelled.wait(steps.termination_seconds)
        with emulator.store.lock:
            deleted = deployment.cancelled.is_set()
            if not deleted:
                item.set(EndpointStatus="InService", PendingDeploymentSummary=None, **shown)
        for stopped in (blue, fleet) if deleted else (old,):
            if stopped:
                stopped.stop(emulator.host)

    def broken(error: BaseException) -> None:
        reason = f"InternalServerError: {error!r}"
        item.set(EndpointStatus="InService", PendingDeploymentSummary=None, FailureReason=reason)

    emulator.background(work, broken=broken)


def _machines(emulator: Emulator, operation: str) -> None:
    """ServingFailed where a fault says that there is no machine for it."""
    if reason := emulator.faults.no_capacity(operation):
        raise ServingFailed(reason)


def _check_components(emulator: Emulator, item: Resource, planned: Fleet) -> None:
    """An update keeps the components, so their variants must be there afterwards."""
    for held in components.of_endpoint(emulator, item.name):
        host = planned.variants.get(held.fields["VariantName"])
        if host is None or host.container:
            raise invalid(f"the configuration has no place for the component {held.name}")


def delete_endpoint(emulator: Emulator, item: Resource, request: Request) -> None:
    """Stop the processes, then forget the endpoint."""
    if held := components.of_endpoint(emulator, item.name):
        raise invalid(f"{item.arn} cannot be deleted: it has the component {held[0].name}.")
    take_down(emulator, item, "EndpointStatus")


def update_weights(emulator: Emulator, item: Resource, request: Request) -> None:
    """Move traffic between the running variants."""
    wanted = request["DesiredWeightsAndCapacities"]
    fleet: Fleet = item.live.fleet
    for change in wanted:
        variant = fleet.variants[change["VariantName"]]
        if "DesiredInstanceCount" in change and variant.serverless is not None:
            raise invalid(f"Variant {variant.name!r} is serverless and has no instances.")
        keeps_one = bool(variant.container) and "AsyncInferenceConfig" not in fleet.config
        if keeps_one and change.get("DesiredInstanceCount") == 0:
            raise invalid(f"DesiredInstanceCount of variant {variant.name!r} must be at least 1.")
    counts = {
        change["VariantName"]: change["DesiredInstanceCount"]
        for change in wanted
        if "DesiredInstanceCount" in change
    }
    for change in wanted:
        variant = fleet.variants[change["VariantName"]]
        variant.weight = change.get("DesiredWeight", variant.weight)
    item.set(**_described(fleet))
    if any(fleet.variants[name].instances != count for name, count in counts.items()):
        _resize(emulator, item, fleet, counts)


def check_variants(emulator: Emulator, item: Resource, wanted: Sequence[Request]) -> None:
    """Each change is of another variant of the configuration (texts as moto 5.2.5 has them).

    What is in service stays so without its configuration, which may be deleted.
    """
    config: str = item.fields["EndpointConfigName"]
    fleet: Fleet | None = item.live.fleet
    known = set(fleet.variants if fleet else _variant_names(emulator, config))
    names = [change["VariantName"] for change in wanted]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise invalid(f'The variant name "{name}" was non-unique within the request.')
        if name not in known:
            raise invalid(
                f'The variant name(s) "{name}" is/are not present within endpoint configuration '
                f'"{config}".'
            )


def _variant_names(emulator: Emulator, config: str) -> list[str]:
    return [str(one["VariantName"]) for one in _config(emulator, config)["ProductionVariants"]]


def _resize(emulator: Emulator, item: Resource, fleet: Fleet, counts: Mapping[str, int]) -> None:
    """Give variants other numbers of instances, in the background."""
    live: Deployment = item.live
    described = _described(fleet)
    for shown in described["ProductionVariants"]:
        shown["DesiredInstanceCount"] = counts.get(
            shown["VariantName"], shown.get("DesiredInstanceCount")
        )
    item.set(EndpointStatus="Updating", FailureReason=None, **described)

    def work() -> None:
        reason = None
        try:
            for name, count in counts.items():
                resize(emulator, fleet.endpoint, fleet.variants[name], count, live.cancelled)
        except ServingFailed as error:
            reason = str(error)
        if not live.cancelled.is_set():
            item.set(EndpointStatus="InService", FailureReason=reason, **_described(fleet))

    def broken(error: BaseException) -> None:
        item.set(EndpointStatus="InService", FailureReason=f"InternalServerError: {error!r}")

    emulator.background(work, broken=broken)


def _config(emulator: Emulator, name: str) -> Mapping[str, Any]:
    config = emulator.store.find(CONFIG, name)
    if config is None:
        arn = emulator.arn(f"endpoint-config/{name}")
        raise invalid(f'Could not find endpoint configuration "{arn}".')
    return dict(config.fields)


def _retain(fleet: Fleet, blue: Fleet | None, request: Request) -> Fleet:
    """The new fleet with the properties of the old one that the request asks to keep."""
    if blue is None or not request.get("RetainAllVariantProperties"):
        return fleet
    excluded = request.get("ExcludeRetainedVariantProperties", [])
    left_out = {entry["VariantPropertyType"] for entry in excluded}
    for name, variant in fleet.variants.items():
        if name in blue.variants and "DesiredWeight" not in left_out:
            variant.weight = blue.variants[name].weight
        if name in blue.variants and "DesiredInstanceCount" not in left_out:
            variant.instances = blue.variants[name].instances
    if "DataCaptureConfig" not in left_out and "DataCaptureConfig" in blue.config:
        kept = {**fleet.config, "DataCaptureConfig": blue.config["DataCaptureConfig"]}
        return replace(fleet, config=kept)
    return fleet


def _pending(config: str, fleet: Fleet) -> dict[str, Any]:
    """What DescribeEndpoint says of an update under way."""
    variants = [{"VariantName": variant.name} for variant in fleet.variants.values()]
    return {"EndpointConfigName": config, "ProductionVariants": variants, "StartTime": now()}


def _described(fleet: Fleet) -> dict[str, Any]:
    """The members of DescribeEndpoint that follow from the fleet."""
    capture = fleet.config.get("DataCaptureConfig")
    shown = capture and {
        "EnableCapture": capture.get("EnableCapture", False),
        "CaptureStatus": "Started" if capture.get("EnableCapture") else "Stopped",
        "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
        "DestinationS3Uri": capture["DestinationS3Uri"],
        "KmsKeyId": capture.get("KmsKeyId", ""),
    }
    shadow = [_described_variant(fleet.shadow)] if fleet.shadow else None
    return {
        "ProductionVariants": [_described_variant(v) for v in fleet.variants.values()],
        "ShadowProductionVariants": shadow,
        "DataCaptureConfig": shown,
        "AsyncInferenceConfig": fleet.config.get("AsyncInferenceConfig"),
    }


def _described_variant(variant: Variant) -> dict[str, Any]:
    deployed = [
        {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": now()}
        for image in images(variant.containers)
    ]
    shown: dict[str, Any] = {
        "VariantName": variant.name,
        "CurrentWeight": variant.weight,
        "DesiredWeight": variant.weight,
    }
    if deployed:
        shown["DeployedImages"] = deployed
    if variant.serverless is not None:
        both = ("CurrentServerlessConfig", "DesiredServerlessConfig")
        return {**shown, **dict.fromkeys(both, variant.serverless)}
    both = ("CurrentInstanceCount", "DesiredInstanceCount")
    return {**shown, **dict.fromkeys(both, variant.instances)}
