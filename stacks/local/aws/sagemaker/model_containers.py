"""The containers of a model: one, several in a row or beside each other, or one of many models.

Source: SageMaker API reference, CreateModel, ContainerDefinition and InferenceExecutionConfig;
developer guide, "Inference pipelines", "Multi-container endpoints", "Multi-model endpoints".
"""

from collections.abc import Mapping, Sequence
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.errors import has_program, invalid
from stacks.local.aws.sagemaker.packages import is_there, packaged
from stacks.local.aws.sagemaker.resource_type import Request
from stacks.local.aws.store import Resource
from stacks.local.runtime.s3_files import TransferFailed, split_uri

PRIMARY = "primary"
"""What SageMaker calls the one container of a model."""


MOST = 15
"""Containers of a model (Containers of CreateModel, API reference)."""


def start_model(emulator: Emulator, item: Resource, request: Request) -> None:
    """A model of an unapproved or missing package is refused, and of an image that nobody knows."""
    item.fields.setdefault("EnableNetworkIsolation", False)
    found = containers(emulator, item.fields)
    if len(found) > MOST:
        raise invalid(f"a model has at most {MOST} containers, got {len(found)}")
    _check_names(item.fields, _filled(emulator, item.fields))
    for own in found:
        has_program(own.get("Image", ""), "serve")
        uri = own.get("ModelDataUrl") or own.get("ModelDataSource", {}).get("S3DataSource", {}).get(
            "S3Uri"
        )
        if is_multi_model(own):
            _check_multi_model(own)
        elif uri and not is_there(emulator.s3, uri):
            raise invalid(f"Could not find model data at {uri}.")


def containers(emulator: Emulator, model: Request) -> list[dict[str, Any]]:
    """The containers of a model in their order, packages' content filled in, each with a name.

    ContainerHostname, API reference: ignored where there is one container; where nobody gives
    names, each gets one by its place.
    """
    found = _filled(emulator, model)
    if len(found) == 1 and not is_direct(model):
        return [{name: said for name, said in found[0].items() if name != "ContainerHostname"}]
    return [
        {"ContainerHostname": f"container-{place}", **own} for place, own in enumerate(found, 1)
    ]


def _filled(emulator: Emulator, model: Request) -> list[dict[str, Any]]:
    """The containers as the request and its packages have them."""
    listed = model.get("Containers", [])
    if bool(listed) == ("PrimaryContainer" in model):
        raise invalid("a model needs either PrimaryContainer or Containers")
    named = listed or [model["PrimaryContainer"]]
    return [container for own in named for container in packaged(emulator, own)]


def only_container(emulator: Emulator, model: Request, whose: str) -> dict[str, Any]:
    """The container of a model where there is place for one, and for one model, alone."""
    found = containers(emulator, model)
    if len(found) > 1 or is_multi_model(found[0]):
        raise invalid(f"{whose} must have a model of one container in SingleModel mode")
    return found[0]


def pipeline(emulator: Emulator, model: Request, whose: str) -> list[dict[str, Any]]:
    """The containers of a model that are asked one after the other."""
    found = containers(emulator, model)
    if is_direct(model) or any(is_multi_model(own) for own in found):
        raise invalid(f"{whose} must have a model of containers in SingleModel mode, in Serial")
    return found


def name_of(container: Mapping[str, Any]) -> str:
    """What a container is called in targets, logs, metrics and errors."""
    return str(container.get("ContainerHostname", PRIMARY))


def is_direct(model: Mapping[str, Any]) -> bool:
    """Whether a request goes to the container that it names, not through all of them."""
    return bool(model.get("InferenceExecutionConfig", {}).get("Mode") == "Direct")


def is_multi_model(container: Mapping[str, Any]) -> bool:
    """Whether a container loads models as they are asked for."""
    return bool(container.get("Mode") == "MultiModel")


def _check_names(model: Request, found: Sequence[Mapping[str, Any]]) -> None:
    """Names are given to all containers or to none, each once; direct invocation needs them."""
    names = [own.get("ContainerHostname") for own in found]
    given = [name for name in names if name]
    if len(given) not in (0, len(names)):
        raise invalid(
            "ContainerHostname must be specified for every container of a model or for none, got "
            f"{len(given)} for {len(names)} containers"
        )
    if len(set(given)) < len(given):
        raise invalid(f"ContainerHostname must be unique within a model, got {given}")
    if is_direct(model) and not given:
        raise invalid(
            "ContainerHostname must be specified for every container when "
            "InferenceExecutionConfig.Mode is Direct"
        )


def _check_multi_model(own: Mapping[str, Any]) -> None:
    """ModelDataUrl is the prefix under which the models are."""
    if "ModelDataUrl" not in own:
        raise invalid("ModelDataUrl must be specified for a container in MultiModel mode")
    try:
        split_uri(own["ModelDataUrl"])
    except TransferFailed as error:
        raise invalid(str(error)) from error


def images(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The images of containers, in their order."""
    return [own["Image"] for own in found if own.get("Image")]
