"""SageMaker images and their versions: names for container images in ECR, which Studio runs.

Source: SageMaker API reference, CreateImageVersion and those beside it. A version is found by its
number or an alias, the newest where the request names none; one whose container image is not in
the account's ECR fails, and says so.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.sagemaker import crud
from stacks.local.aws.sagemaker.derived import living
from stacks.local.aws.sagemaker.errors import ApiError
from stacks.local.aws.sagemaker.resource_type import Exists, Request
from stacks.local.aws.store import Resource

Answer = dict[str, Any]
BASE = re.compile(
    r"(?P<registry>(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[\w-]+)\.amazonaws\.com)/"
    r"(?P<name>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:\w+))?"
)
"""Form of BaseImage (CreateImageVersion, API reference)."""


def _forget_versions(emulator: Emulator, item: Resource, request: Request) -> None:
    """DeleteImage, API reference: with all versions of the image."""
    for version in crud.within(emulator, "image version", item):
        emulator.store.remove(version)


IMAGE = living(
    "Image",
    missing="No Image with the name {name} exists.",
    exists=Exists(
        code="ResourceInUse",
        text="The Image with ImageName {name} already exists. Please use a different ImageName.",
    ),
    on_delete=_forget_versions,
)


def _number(emulator: Emulator, request: Request) -> str:
    """`<image>/<version>`; versions count from 1 and are never given twice."""
    image = crud.get(emulator, IMAGE, request["ImageName"])
    image.live = (image.live or 0) + 1
    return f"{image.name}/{image.live}"


def _version(emulator: Emulator, item: Resource, request: Request) -> None:
    item.set(
        Version=int(item.name.rpartition("/")[2]),
        ImageArn=emulator.arn(f"image/{request['ImageName']}"),
        ClientToken=request["ClientToken"],
    )
    _only_one(emulator, item, request.get("Aliases", ()))
    image, told = _found(emulator, request["BaseImage"])
    item.becomes = {"ContainerImage": image} if image else _failed(told)


def _failed(told: str) -> dict[str, str]:
    return {"ImageVersionStatus": "CREATE_FAILED", "FailureReason": told}


def _found(emulator: Emulator, base: str) -> tuple[str, str]:
    """The container image by its digest, or why there is none."""
    form = BASE.fullmatch(base)
    if form is None:
        return "", f"BaseImage {base} is not an Amazon ECR image URI."
    if (form["account"], form["region"]) != (ACCOUNT_ID, emulator.region):
        return base, ""  # of another registry, which nobody here can look into
    wanted = form["digest"] or form["tag"] or "latest"
    repository = moto_backend("ecr", emulator).repositories.get(form["name"])
    for image in repository.images if repository else ():
        digest = image.get_image_digest()
        if wanted in (digest, *image.image_tags):
            return f"{form['registry']}/{form['name']}@{digest}", ""
    return "", f"BaseImage {base} does not exist in Amazon ECR."


def _only_one(emulator: Emulator, item: Resource, aliases: Any) -> None:
    """An alias is of one version of an image at most (UpdateImageVersion, API reference)."""
    for other in emulator.store.all("image version"):
        taken = set(aliases) & set(other.fields.get("Aliases", ()))
        if other is not item and taken and other.fields["ImageName"] == item.fields["ImageName"]:
            raise ApiError("ResourceInUse", f"{sorted(taken)} are aliases of {other.arn}")


IMAGE_VERSION = living(
    "ImageVersion",
    keys=("ImageName", "Version"),
    parents={"ImageName": IMAGE},
    identify=_number,
    on_create=_version,
    missing="ImageVersion {arn} does not exist.",
)


def _create(emulator: Emulator, request: Request) -> Answer:
    """A token makes one version, however often it is sent (ClientToken)."""
    image = crud.get(emulator, IMAGE, request["ImageName"])
    for version in crud.within(emulator, IMAGE_VERSION.name, image):
        if version.fields["ClientToken"] == request["ClientToken"]:
            return {"ImageVersionArn": version.arn}
    return crud.create(emulator, IMAGE_VERSION, request)


def _numbered(emulator: Emulator, request: Request) -> Request:
    image = crud.get(emulator, IMAGE, request["ImageName"])
    if "Version" in request:
        return request
    alias = request.get("Alias")
    for version in reversed(crud.within(emulator, IMAGE_VERSION.name, image)):
        if alias is None or alias in version.fields.get("Aliases", ()):
            return {**request, "Version": version.fields["Version"]}
    which = f"ImageVersion with Alias {alias} and" if alias else "Latest ImageVersion with"
    told = f"{which} ImageName {image.name} does not exist. Please provide a valid ImageName."
    raise ApiError("ResourceNotFound", told)


def _describe(emulator: Emulator, request: Request) -> Answer:
    return crud.describe(emulator, IMAGE_VERSION, _numbered(emulator, request))


def _delete(emulator: Emulator, request: Request) -> Answer:
    return crud.delete(emulator, IMAGE_VERSION, _numbered(emulator, request))


def _list(emulator: Emulator, request: Request) -> Answer:
    """Of an image that is there (ListImageVersions: ResourceNotFound)."""
    crud.get(emulator, IMAGE, request["ImageName"])
    return crud.listing(emulator, IMAGE_VERSION, request)


def _update(emulator: Emulator, request: Request) -> Answer:
    """What is said of a version, and its aliases; its image stays."""
    with emulator.store.lock:
        item = crud.asked(emulator, IMAGE_VERSION, _numbered(emulator, request))
        added, gone = request.get("AliasesToAdd", []), request.get("AliasesToDelete", [])
        _only_one(emulator, item, added)
        aliases = [*dict.fromkeys((*item.fields.get("Aliases", ()), *added))]
        skip = {"ImageName", "Version", "Alias", "AliasesToAdd", "AliasesToDelete"}
        change = {member: value for member, value in request.items() if member not in skip}
        item.set(**change, Aliases=[alias for alias in aliases if alias not in gone])
    return {"ImageVersionArn": item.arn}


def _list_aliases(emulator: Emulator, request: Request) -> Answer:
    image = crud.get(emulator, IMAGE, request["ImageName"])
    found = [
        alias
        for version in crud.within(emulator, IMAGE_VERSION.name, image)
        if request.get("Version") in (None, version.fields["Version"])
        for alias in version.fields.get("Aliases", ())
        if request.get("Alias") in (None, alias)
    ]
    return crud.paged("SageMakerImageVersionAliases", found, request)


TYPES = (IMAGE, IMAGE_VERSION)
OPERATIONS: Mapping[str, Callable[[Emulator, Request], Answer]] = {
    "CreateImageVersion": _create,
    "DeleteImageVersion": _delete,
    "DescribeImageVersion": _describe,
    "ListAliases": _list_aliases,
    "ListImageVersions": _list,
    "UpdateImageVersion": _update,
}
"""What is found by an alias too, or made once by a token."""
