"""Inference components: models in a variant that has none of its own, each with its own processes.

Source: SageMaker API reference, CreateInferenceComponent and those beside it; developer guide,
"Deploy models with inference components". A component answers InvokeEndpoint that names it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import crud
from stacks.local.aws.sagemaker.derived import derived
from stacks.local.aws.sagemaker.errors import ApiError, has_program, invalid
from stacks.local.aws.sagemaker.fleet import (
    HEALTH_SECONDS,
    Fleet,
    Variant,
    launch,
    resize,
)
from stacks.local.aws.sagemaker.model_containers import only_container
from stacks.local.aws.sagemaker.resource_type import Exists, Request
from stacks.local.aws.sagemaker.rollout import Deployment, take_down
from stacks.local.aws.sagemaker.servers import ServingFailed
from stacks.local.aws.sagemaker.shapes import now
from stacks.local.aws.store import Resource

KIND, STATUS = "inference component", "InferenceComponentStatus"


def _create(emulator: Emulator, item: Resource, request: Request) -> None:
    if "Specification" not in request or "VariantName" not in request:
        raise invalid("an inference component needs Specification and VariantName")
    endpoint = _endpoint(emulator, request["EndpointName"])
    copies = request.get("RuntimeConfig", {}).get("CopyCount", 1)
    fleet = _planned(emulator, item, request["Specification"], copies)
    item.live = Deployment()
    item.set(
        EndpointArn=endpoint.arn,
        InferenceComponentStatus="Creating",
        **_shown(request["Specification"], copies, running=0),
    )
    _replace(emulator, item, fleet, failed="Failed")


def _update(emulator: Emulator, item: Resource, request: Request) -> None:
    """The new copies stand before the old ones go; where they do not, the old ones stay."""
    specification = request.get("Specification")
    copies = request.get("RuntimeConfig", {}).get("CopyCount", _copies(item))
    if specification is None:
        _resize(emulator, item, copies)
        return
    fleet = _planned(emulator, item, specification, copies)
    item.set(
        InferenceComponentStatus="Updating",
        FailureReason=None,
        LastDeploymentConfig=request.get("DeploymentConfig"),
    )
    _replace(emulator, item, fleet, failed="InService", specification=specification)


def _delete(emulator: Emulator, item: Resource, request: Request) -> None:
    take_down(emulator, item, STATUS)


COMPONENT = derived(
    "InferenceComponent",
    status_field=STATUS,
    ready="",
    missing='Could not find inference component "{arn}".',
    exists=Exists(text='Cannot create already existing inference component "{arn}".'),
    on_create=_create,
    on_update=_update,
    on_delete=_delete,
    deletes_itself=True,
)


def _update_copies(emulator: Emulator, request: Request) -> dict[str, str]:
    """UpdateInferenceComponentRuntimeConfig."""
    with emulator.store.lock:
        item = crud.get(emulator, COMPONENT, request["InferenceComponentName"])
        _resize(emulator, item, request["DesiredRuntimeConfig"]["CopyCount"])
    return {"InferenceComponentArn": item.arn}


OPERATIONS: Mapping[str, Callable[[Emulator, Request], dict[str, str]]] = {
    "UpdateInferenceComponentRuntimeConfig": _update_copies,
}


def of_endpoint(emulator: Emulator, endpoint: str) -> list[Resource]:
    """Components of an endpoint."""
    found = emulator.store.all(KIND)
    return [item for item in found if item.fields["EndpointName"] == endpoint]


def serving(emulator: Emulator, endpoint: str, name: str) -> Variant:
    """The copies that answer for a component; ValidationError where none do."""
    item = emulator.store.find(KIND, name)
    if item is None or item.fields["EndpointName"] != endpoint:
        told = f"Inference Component {name} of endpoint {endpoint} not found."
        raise ApiError("ValidationError", told)
    live: Deployment = item.live
    if live.fleet is None or item.fields[STATUS] not in ("InService", "Updating"):
        told = f"Inference Component {name} is {item.fields[STATUS]}, not InService."
        raise ApiError("ValidationError", told)
    (variant,) = live.fleet.variants.values()
    if not variant.servers:
        emulator.metrics.unserved(name)
        raise ApiError("ValidationError", f"Inference Component {name} has no copy.")
    return variant


def _endpoint(emulator: Emulator, name: str) -> Resource:
    item = emulator.store.find("endpoint", name)
    if item is None:
        raise invalid(f'Could not find endpoint "{emulator.arn(f"endpoint/{name}")}".')
    if item.fields["EndpointStatus"] != "InService":
        raise invalid(f"Endpoint {item.arn} is {item.fields['EndpointStatus']}, not InService.")
    return item


def _planned(emulator: Emulator, item: Resource, specification: Request, copies: int) -> Fleet:
    """The processes of a component, none started yet."""
    endpoint = emulator.store.find("endpoint", item.fields["EndpointName"])
    assert endpoint is not None  # it is not deleted while it has components
    config, name = endpoint.live.fleet.config, item.fields["VariantName"]
    host = endpoint.live.fleet.variants.get(name)
    if host is None or host.container:
        raise invalid(f"{endpoint.arn} has no variant {name!r} without a model of its own")
    if ("ModelName" in specification) == ("Container" in specification):
        raise invalid("Specification needs either ModelName or Container")
    model: Mapping[str, Any] = {"ExecutionRoleArn": config.get("ExecutionRoleArn", "")}
    if "ModelName" in specification:
        found = emulator.store.find("model", specification["ModelName"])
        if found is None:
            arn = emulator.arn(f"model/{specification['ModelName']}")
            raise invalid(f'Could not find model "{arn}".')
        model = found.fields
        own = only_container(emulator, model, "an inference component")
    else:
        said = specification["Container"]
        own = {"Image": said.get("Image", ""), "Environment": said.get("Environment", {})}
        if "ArtifactUrl" in said:
            own["ModelDataUrl"] = said["ArtifactUrl"]
        has_program(own["Image"], "serve")
    startup = specification.get("StartupParameters", {})
    variant = Variant(
        name=name,
        component=item.name,
        weight=1,
        instances=copies,
        container=own,
        role_arn=model.get("ExecutionRoleArn", ""),
        model=model,
        health_seconds=startup.get("ContainerStartupHealthCheckTimeoutInSeconds", HEALTH_SECONDS),
    )
    return Fleet(endpoint=endpoint.name, config=config, variants={name: variant})


def _replace(
    emulator: Emulator,
    item: Resource,
    fleet: Fleet,
    *,
    failed: str,
    specification: Request | None = None,
) -> None:
    """Start a fleet in the background and let it take the place of the one that is there."""
    live: Deployment = item.live

    def work() -> None:
        try:
            launch(emulator, fleet, live.cancelled)
        except ServingFailed as error:
            if not live.cancelled.is_set():
                item.set(InferenceComponentStatus=failed, FailureReason=str(error))
            return
        with emulator.store.lock:
            if live.cancelled.is_set():
                old: Fleet | None = fleet
            else:
                old, live.fleet = live.fleet, fleet
                (variant,) = fleet.variants.values()
                said = specification or item.fields["Specification"]
                shown = _shown(said, variant.instances, running=variant.instances)
                if specification is None:
                    shown.pop("Specification")
                item.set(InferenceComponentStatus="InService", **shown)
        if old is not None:
            old.stop(emulator.host)

    _in_background(emulator, item, work)


def _resize(emulator: Emulator, item: Resource, copies: int) -> None:
    """Start or end copies; at most as many processes run as of a variant."""
    live: Deployment = item.live
    fleet = live.fleet
    assert fleet is not None  # it is in service
    (variant,) = fleet.variants.values()
    item.set(InferenceComponentStatus="Updating", FailureReason=None)

    def work() -> None:
        try:
            resize(emulator, fleet.endpoint, variant, copies, live.cancelled)
        except ServingFailed as error:
            item.set(InferenceComponentStatus="InService", FailureReason=str(error))
            return
        counts = {"DesiredCopyCount": copies, "CurrentCopyCount": copies}
        item.set(InferenceComponentStatus="InService", RuntimeConfig=counts)

    _in_background(emulator, item, work)


def _in_background(emulator: Emulator, item: Resource, work: Callable[[], None]) -> None:
    def broken(error: BaseException) -> None:
        reason = f"InternalServerError: {error!r}"
        item.set(InferenceComponentStatus="Failed", FailureReason=reason)

    emulator.background(work, broken=broken)


def _copies(item: Resource) -> int:
    return int(item.fields["RuntimeConfig"]["DesiredCopyCount"])


def _shown(specification: Request, copies: int, *, running: int) -> dict[str, Any]:
    """Specification and RuntimeConfig as DescribeInferenceComponent says them."""
    shown = {name: value for name, value in specification.items() if name != "Container"}
    if "Container" in specification:
        said = dict(specification["Container"])
        image = said.pop("Image", "")
        deployed = {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": now()}
        shown["Container"] = {**said, "DeployedImage": deployed}
    counts = {"DesiredCopyCount": copies, "CurrentCopyCount": running}
    return {"Specification": shown, "RuntimeConfig": counts}
