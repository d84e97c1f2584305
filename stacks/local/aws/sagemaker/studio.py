"""Studio's control plane: domains, user profiles, spaces, apps, and what their settings name.

Source: SageMaker API reference, the operations of each; developer guide, "Delete an Amazon
SageMaker AI domain" and "Custom images". No server is behind an app: it says how it is, and the
presigned address of a domain is refused.
"""

import base64
from collections.abc import Mapping
from typing import Any

from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.sagemaker import crud, lifecycles
from stacks.local.aws.sagemaker.derived import invented, living
from stacks.local.aws.sagemaker.errors import ApiError, invalid
from stacks.local.aws.sagemaker.image_versions import IMAGE, IMAGE_VERSION
from stacks.local.aws.sagemaker.resource_type import Exists, Request
from stacks.local.aws.sagemaker.shapes import service
from stacks.local.aws.store import Resource

FIRST_UID = 200001
"""POSIX id of the first home directory in a domain's file system."""

NO_INSTANCE = ("JupyterServer", "Canvas", "RStudioServerPro")
"""Types of app that need no instance type."""


def _script(emulator: Emulator, item: Resource, request: Request) -> None:
    """CreateStudioLifecycleConfig, API reference: the script is in base64."""
    try:
        base64.b64decode(request["StudioLifecycleConfigContent"], validate=True)
    except ValueError as error:
        raise invalid(f"StudioLifecycleConfigContent must be base64 encoded: {error}") from error


LIFECYCLE_CONFIG = living(
    "StudioLifecycleConfig",
    on_create=_script,
    filters={"AppTypeEquals": "StudioLifecycleConfigAppType"},
    kept_by=("domain", "user profile", "space", "app"),
    named_by=("LifecycleConfigArn", "LifecycleConfigArns"),
)
APP_IMAGE_CONFIG = living(
    "AppImageConfig",
    exists=Exists(code="ResourceInUse", text="The ID or Name specified is already in use."),
)
SETTINGS = {
    "AppImageConfigName": APP_IMAGE_CONFIG.name,
    "ImageName": IMAGE.name,
    "LifecycleConfigArn": LIFECYCLE_CONFIG.name,
    "LifecycleConfigArns": LIFECYCLE_CONFIG.name,
    "SageMakerImageArn": IMAGE.name,
    "SageMakerImageVersionArn": IMAGE_VERSION.name,
}
"""What the settings of users, spaces and apps name (ResourceSpec, CustomImage)."""


def _domain(emulator: Emulator, item: Resource, request: Request) -> None:
    """A domain has a network, a file system for its users' homes, and an address."""
    if request.get("AppNetworkAccessType") == "VpcOnly" and "VpcId" not in request:
        raise invalid("VpcId and SubnetIds must be given with AppNetworkAccessType VpcOnly")
    item.fields.setdefault("HomeEfsFileSystemCreation", "Enabled")
    if item.fields["HomeEfsFileSystemCreation"] == "Enabled":
        _home(emulator, item)
    item.set(Url=f"https://{item.name}.studio.{emulator.region}.sagemaker.aws")


def _home(emulator: Emulator, item: Resource) -> None:
    """The file system of a domain, in the account's EFS; nothing mounts it."""
    made = moto_backend("efs", emulator).create_file_system(
        creation_token=item.name,
        performance_mode="generalPurpose",
        encrypted=True,
        kms_key_id=item.fields.get("KmsKeyId", item.fields.get("HomeEfsFileSystemKmsKeyId", "")),
        throughput_mode="bursting",
        provisioned_throughput_in_mibps=0,
        availability_zone_name="",
        backup=False,
        tags=[{"Key": "ManagedByAmazonSageMakerResource", "Value": item.arn}],
    )
    item.set(HomeEfsFileSystemId=made.file_system_id)


def _update_domain(emulator: Emulator, item: Resource, request: Request) -> None:
    """What may change, and when (UpdateDomain, API reference, of each member)."""
    running = [
        app
        for app in crud.within(emulator, "app", item)
        if app.fields["Status"] in ("InService", "Pending", "Deleting")
    ]
    lost = {*item.fields.get("SubnetIds", ())} - {*request.get("SubnetIds", ())}
    moved = request.get("AppNetworkAccessType") not in (None, item.fields["AppNetworkAccessType"])
    if running and (moved or ("SubnetIds" in request and lost)):
        told = f"Unable to update the network of [{item.arn}] because App(s) are running in it."
        raise ApiError("ResourceInUse", told)
    if "VpcId" in request and item.fields.get("VpcId", request["VpcId"]) != request["VpcId"]:
        raise invalid(f"VpcId of {item.arn} must stay {item.fields['VpcId']}")
    had = item.fields["HomeEfsFileSystemCreation"]
    wanted = request.get("HomeEfsFileSystemCreation", had)
    if (had, wanted) == ("Enabled", "Disabled"):
        raise invalid("HomeEfsFileSystemCreation cannot change from Enabled to Disabled")
    _merge(emulator, item, request)
    if wanted != had:
        _home(emulator, item)


def _merge(emulator: Emulator, item: Resource, request: Request) -> None:
    """Settings that are given replace those of the same name; the others stay.

    A list is replaced whole (developer guide, "Attach a custom SageMaker image").
    """
    change = crud.changes(KINDS[item.kind], request)
    for member, value in change.items():
        had = item.fields.get(member)
        both = isinstance(value, Mapping) and isinstance(had, Mapping)
        item.set(**{member: {**(had or {}), **value} if both else value})


def _delete_domain(emulator: Emulator, item: Resource, request: Request) -> None:
    """The file system is retained unless the request says otherwise (RetentionPolicy)."""
    policy = request.get("RetentionPolicy", {}).get("HomeEfsFileSystem", "Retain")
    home = item.fields.get("HomeEfsFileSystemId")
    if policy == "Delete" and home is not None:
        moto_backend("efs", emulator).delete_file_system(home)


def _uid(emulator: Emulator, item: Resource) -> None:
    """A home directory in the file system of the domain; ids are given once."""
    domain = crud.get(emulator, DOMAIN, item.fields["DomainId"])
    domain.live = (domain.live or 0) + 1
    if "HomeEfsFileSystemId" in domain.fields:
        item.set(HomeEfsFileSystemUid=str(FIRST_UID + domain.live - 1))


def _profile(emulator: Emulator, item: Resource, request: Request) -> None:
    """CreateUserProfile, API reference: single sign-on is for domains of Identity Center alone."""
    for member in ("SingleSignOnUserIdentifier", "SingleSignOnUserValue"):
        if member in request:
            raise invalid(f"{member} cannot be given: the AuthMode of the domain is IAM")
    _uid(emulator, item)


def _delete_profile(emulator: Emulator, item: Resource, request: Request) -> None:
    """A user's spaces go before the user."""
    for space in emulator.store.all(SPACE.name):
        owner = space.fields.get("OwnershipSettings", {}).get("OwnerUserProfileName")
        if f"{space.fields['DomainId']}/{owner}" == item.name:
            told = f"Unable to delete UserProfile [{item.arn}] because Space(s) are associated "
            raise ApiError("ResourceInUse", f"{told}with it.")


def _space(emulator: Emulator, item: Resource, request: Request) -> None:
    """A private space has an owner and says what it is for."""
    owner = request.get("OwnershipSettings", {}).get("OwnerUserProfileName")
    sharing = request.get("SpaceSharingSettings", {}).get("SharingType")
    if (owner is None) != (sharing is None):
        raise invalid("OwnershipSettings and SpaceSharingSettings must be given together")
    if owner is not None:
        crud.get(emulator, USER_PROFILE, f"{request['DomainId']}/{owner}")
    if sharing == "Private" and "SpaceSettings" not in request:
        raise invalid(f"SpaceSettings must be provided for creating private space [{item.arn}]")
    _uid(emulator, item)
    _summarize(item)


def _summarize(item: Resource) -> None:
    """What ListSpaces says of the settings of a space (SpaceDetails)."""
    for member, shape in service().shape_for("SpaceDetails").members.items():
        settings = item.fields.get(member.removesuffix("Summary"))
        if member.endswith("Summary") and settings:
            shown = {name: settings[name] for name in shape.members if name in settings}
            item.fields[member] = shown


def _update_space(emulator: Emulator, item: Resource, request: Request) -> None:
    """SpaceSettings, API reference: the type of the app stays."""
    asked = request.get("SpaceSettings", {})
    had = item.fields.get("SpaceSettings", {}).get("AppType")
    if asked.get("AppType", had) != had:
        raise invalid("Updating AppType for Space is not supported.")
    _merge(emulator, item, request)
    _summarize(item)


def _app(emulator: Emulator, item: Resource, request: Request) -> None:
    """CreateApp, API reference: an app is of a user profile or of a space, on an instance."""
    owners = [kind for kind in (USER_PROFILE, SPACE) if kind.name_field in request]
    if len(owners) != 1:
        raise invalid("an app needs either UserProfileName or SpaceName")
    owner = crud.get(emulator, owners[0], f"{request['DomainId']}/{request[owners[0].name_field]}")
    lifecycles.check_there(owners[0], owner)
    kind = request["AppType"]
    if owner.fields.get("SpaceSettings", {}).get("AppType", kind) != kind:
        raise invalid(f"AppType {kind} does not fit the SpaceSettings of [{owner.arn}]")
    spec = {**_default(emulator, owner, kind), **request.get("ResourceSpec", {})}
    if kind == "KernelGateway" and "InstanceType" not in spec:
        raise invalid("InstanceType must be in ResourceSpec of the app, the profile or the domain")
    if kind not in NO_INSTANCE:
        spec.setdefault("InstanceType", "ml.t3.medium")
    if config := spec.get("LifecycleConfigArn"):
        of = crud.get(emulator, LIFECYCLE_CONFIG, config).fields["StudioLifecycleConfigAppType"]
        if of != kind:
            raise invalid(f"[{config}] is for apps of type {of}, not {kind}")
    item.set(ResourceSpec=spec or {"InstanceType": "system"})


def _default(emulator: Emulator, owner: Resource, kind: str) -> dict[str, Any]:
    """The ResourceSpec for a type of app: the domain's, over it that of the profile or space."""
    domain = crud.get(emulator, DOMAIN, owner.fields["DomainId"])
    found: dict[str, Any] = {}
    space = "DefaultSpaceSettings" if owner.kind == SPACE.name else "DefaultUserSettings"
    for settings in (
        domain.fields.get(space, {}),
        owner.fields.get("UserSettings", {}),
        owner.fields.get("SpaceSettings", {}),
    ):
        found |= settings.get(f"{kind}AppSettings", {}).get("DefaultResourceSpec", {})
    return found


DOMAIN = living(
    "Domain",
    keys=("DomainId",),
    identify=invented("d-"),
    children=("user profile", "space"),
    renamed={"DomainSettingsForUpdate": "DomainSettings"},
    made={"AppNetworkAccessType": "PublicInternetOnly", "TagPropagation": "DISABLED"},
    refers=SETTINGS,
    on_create=_domain,
    on_update=_update_domain,
    on_delete=_delete_domain,
)
USER_PROFILE = living(
    "UserProfile",
    keys=("DomainId", "UserProfileName"),
    parents={"DomainId": DOMAIN},
    children=("app",),
    refers=SETTINGS,
    on_create=_profile,
    on_update=_merge,
    on_delete=_delete_profile,
)
SPACE = living(
    "Space",
    keys=("DomainId", "SpaceName"),
    parents={"DomainId": DOMAIN},
    children=("app",),
    refers=SETTINGS,
    on_create=_space,
    on_update=_update_space,
)
APP = living(
    "App",
    keys=("DomainId", "UserProfileName", "SpaceName", "AppType", "AppName"),
    parents={"DomainId": DOMAIN},
    refers=SETTINGS,
    on_create=_app,
)
TYPES = (DOMAIN, USER_PROFILE, SPACE, APP, LIFECYCLE_CONFIG, APP_IMAGE_CONFIG)
KINDS = {kind.name: kind for kind in TYPES}
