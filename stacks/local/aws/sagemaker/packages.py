"""Model packages and their groups: versions, approval, what a model may use."""

import json
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import crud
from stacks.local.aws.sagemaker.errors import ApiError, invalid, not_emulated
from stacks.local.aws.sagemaker.resource_type import Request, ResourceType, short_name
from stacks.local.aws.store import Resource, Store
from stacks.local.runtime.s3_files import TransferFailed, split_uri

GROUP, PACKAGE = "model package group", "model package"


def start_group(emulator: Emulator, item: Resource, request: Request) -> None:
    """A group is ready at once."""
    item.set(ModelPackageGroupStatus="Completed")


def delete_group(emulator: Emulator, item: Resource, request: Request) -> None:
    """A group is deleted after its packages."""
    left = [
        p for p in emulator.store.all(PACKAGE) if p.fields.get("ModelPackageGroupName") == item.name
    ]
    if left:
        raise ApiError(
            "ConflictException",
            f"Model Package Group {item.arn} cannot be deleted since it contains "
            f"{len(left)} Model Package version{'s' * (len(left) > 1)}",
        )


def put_policy(emulator: Emulator, request: Request) -> dict[str, str]:
    """Keep the policy of a group; a new one takes the old one's place."""
    group = _group(emulator, request)
    try:
        policy = json.loads(request["ResourcePolicy"])
    except ValueError as error:
        raise invalid(f"ResourcePolicy must be a JSON document: {error}") from error
    if not isinstance(policy, dict) or "Statement" not in policy:
        raise invalid("ResourcePolicy must be a JSON object with a Statement")
    group.fields["ResourcePolicy"] = request["ResourcePolicy"]
    return {"ModelPackageGroupArn": group.arn}


def get_policy(emulator: Emulator, request: Request) -> dict[str, str]:
    """The policy of a group that has one."""
    return {"ResourcePolicy": _policy(_group(emulator, request))}


def delete_policy(emulator: Emulator, request: Request) -> dict[str, str]:
    """Forget the policy of a group that has one."""
    group = _group(emulator, request)
    _policy(group)
    del group.fields["ResourcePolicy"]
    return {}


def _policy(group: Resource) -> str:
    if "ResourcePolicy" not in group.fields:
        raise invalid(f"Cannot find resource policy for: {group.arn}.")
    return str(group.fields["ResourcePolicy"])


def package_name(emulator: Emulator, request: Request) -> str:
    """`<group>/<version>`, or the name of a package without versions.

    Versions count from 1 and are never given twice.
    """
    named = [name for name in ("ModelPackageName", "ModelPackageGroupName") if name in request]
    if len(named) > 1:
        raise invalid(
            "Both ModelPackageName and ModelPackageGroupName are provided in the input. Cannot "
            "determine which one to use."
        )
    if not named:
        raise invalid("Missing ARN.")
    if named == ["ModelPackageName"]:
        return str(request["ModelPackageName"])
    group = _group(emulator, request)
    version = (group.live or 0) + 1
    group.live = version
    return f"{group.name}/{version}"


def create_package(emulator: Emulator, kind: ResourceType, request: Request) -> dict[str, Any]:
    """A token makes one package, however often it is sent (ClientToken)."""
    token = request.get("ClientToken")
    with emulator.store.lock:
        for package in emulator.store.all(PACKAGE) if token else ():
            if package.fields.get("ClientToken") == token:
                return {"ModelPackageArn": package.arn}
        if "ModelPackageGroupName" in request and request.get("Tags"):
            raise invalid(
                "Tags cannot be given with ModelPackageGroupName: the package uses its group's"
            )
        _check_artefacts(emulator, request)
        return crud.create(emulator, kind, request)


def start_package(emulator: Emulator, item: Resource, request: Request) -> None:
    """Register a version: complete, and waiting for approval unless it came approved.

    A package without versions is approved by nobody.
    """
    item.set(
        ModelPackageStatus="Completed",
        ModelPackageStatusDetails={"ValidationStatuses": [], "ImageScanStatuses": []},
        ModelApprovalStatus=None,
        ClientToken=request.get("ClientToken"),
    )
    item.fields["ModelPackageType"] = ["Unversioned", "Both"]  # what a list may ask for
    if "ModelPackageName" in request:
        return
    group = _group(emulator, request)
    item.fields["ModelPackageType"] = ["Versioned", "Both"]
    item.set(
        ModelPackageName=None,  # only an unversioned package has one (sagemaker-python-sdk#5606)
        ModelPackageGroupName=group.name,
        ModelPackageVersion=int(item.name.rpartition("/")[2]),
        ModelApprovalStatus=request.get("ModelApprovalStatus", "PendingManualApproval"),
    )


def _check_artefacts(emulator: Emulator, request: Request) -> None:
    """What a package's containers load must be there when it is made."""
    for container in request.get("InferenceSpecification", {}).get("Containers", ()):
        uri = container.get("ModelDataUrl")
        if uri and not is_there(emulator.s3, uri):
            bucket, _, key = uri.partition("://")[2].partition("/")
            raise invalid(
                f"Cannot find S3 object: {key} in bucket {bucket}. Please check if your S3 object "
                "exists and has proper permissions for SageMaker."
            )


def is_there(s3: Any, uri: str) -> bool:
    """Whether an object of this address exists, or one below it where it is a prefix."""
    try:
        bucket, key = split_uri(uri)
        found = s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
    except (TransferFailed, s3.exceptions.ClientError):
        return False
    keys = [item["Key"] for item in found.get("Contents", [])]
    return any(name == key or key.endswith("/") or not key for name in keys)


def update_package(emulator: Emulator, item: Resource, request: Request) -> None:
    """Approval, stage of life, description and metadata of a version."""
    metadata = {
        **item.fields.get("CustomerMetadataProperties", {}),
        **request.get("CustomerMetadataProperties", {}),
    }
    for name in request.get("CustomerMetadataPropertiesToRemove", []):
        metadata.pop(name, None)
    names = (
        "ModelApprovalStatus",
        "ApprovalDescription",
        "InferenceSpecification",
        "ModelCard",
        "ModelLifeCycle",
        "SourceUri",
    )
    item.set(**{name: request[name] for name in names if name in request})
    item.set(CustomerMetadataProperties=metadata or None)


def list_type(request: Request) -> str:
    """ListModelPackages, API reference: of a group its versions, else those without versions."""
    default = "Versioned" if "ModelPackageGroupName" in request else "Unversioned"
    return str(request.get("ModelPackageType", default))


def packaged(emulator: Emulator, own: Request) -> list[dict[str, Any]]:
    """A container of a model; of a package its containers, in their order.

    ContainerDefinition has variables beside ModelPackageName, and no word on which of several
    containers gets them.
    """
    if "ModelPackageName" not in own:
        return [dict(own)]
    name = short_name(own["ModelPackageName"])
    package = emulator.store.find(PACKAGE, name)
    if package is None:
        raise invalid(f"ModelPackage {emulator.arn(f'model-package/{name}')} does not exist.")
    approval = package.fields.get("ModelApprovalStatus", "Approved")
    if approval != "Approved":
        raise invalid(
            f"Model package version {package.arn} must be approved before it is deployed, "
            f"its ModelApprovalStatus is {approval!r}"
        )
    specification = package.fields.get("InferenceSpecification")
    if not specification:
        raise invalid(f"Model package version {package.arn} has no InferenceSpecification")
    held = specification["Containers"]
    if len(held) > 1 and (more := sorted(own.keys() - {"ModelPackageName"})):
        what = f"{', '.join(more)} beside a ModelPackageName of {len(held)} containers"
        raise not_emulated(what, "AWS does not say whose they are")
    return [_filled(container, own) for container in held]


def _filled(container: Request, own: Request) -> dict[str, Any]:
    environment = {**container.get("Environment", {}), **own.get("Environment", {})}
    return {**container, **own, "Environment": environment}


def _group(emulator: Emulator, request: Request) -> Resource:
    name = short_name(request.get("ModelPackageGroupName", ""))
    group = emulator.store.find(GROUP, name)
    if group is None:
        raise invalid("Model Package Group does not exist.")
    return group


def group_policy(store: Store, arn: str) -> str | None:
    """The resource policy of the group that an ARN names or that a package is in."""
    kind, _, name = arn.rpartition(":")[2].partition("/")
    if ":sagemaker:" not in arn or kind not in ("model-package", "model-package-group"):
        return None
    group = store.find(GROUP, name.partition("/")[0])
    found = group.fields.get("ResourcePolicy") if group else None
    return str(found) if found else None
