"""SageMaker Studio: domains, user profiles and spaces."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from policies.data import Data, Resource
from policies.reading.predicates import SET, Must, meets, one_of
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

DOMAIN = "aws:sagemaker/domain:Domain"
PROFILE = "aws:sagemaker/userProfile:UserProfile"
SPACE = "aws:sagemaker/space:Space"

IDLE_APPS = ("jupyterLabAppSettings", "codeEditorAppSettings")
APPS = (*IDLE_APPS, "jupyterServerAppSettings", "kernelGatewayAppSettings", "rSessionAppSettings")
SETTINGS = ("defaultUserSettings", "defaultSpaceSettings", "userSettings", "spaceSettings")
CONFIDENTIAL = ("tlp:red", "tlp-red", "red", "restricted", "confidential")
"""Values of a tag `classification` (or `tlp`) for data that must stay inside."""


@rule(
    "ML-SD-001",
    applies_to=DOMAIN,
    severity="high",
    fix="set app_network_access_type VpcOnly, with VPC endpoints for what Studio calls;\n"
    "apps have to be deleted before it changes",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/studio-notebooks-and-internet-access.html",
    themes=Theme.NETWORK_ISOLATION,
)
def require_private_studio(resource: Resource, scope: Scope) -> Result:
    """Studio's traffic stays in the platform's network.

    AWS takes its own network, with the internet behind it, where a program says nothing.
    """
    del scope
    return meets(resource.inputs, {"appNetworkAccessType": one_of("VpcOnly")})


@rule(
    "ML-SD-002",
    applies_to=DOMAIN,
    severity="medium",
    fix="set kms_key_id and auth_mode SSO;\nboth replace the domain: back up its file system first",
    url="https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateDomain.html",
    themes=Theme.ENCRYPTION_AT_REST | Theme.LEAST_PRIVILEGE,
)
def require_studio_identity(resource: Resource, scope: Scope) -> Result:
    """Studio's file system has a customer managed key, and people come in as themselves.

    With IAM sign-in everybody who may open a profile is that profile.
    """
    del scope
    return meets(resource.inputs, {"kmsKeyId": SET, "authMode": one_of("SSO")})


@rule(
    "ML-SD-003",
    applies_to=DOMAIN,
    severity="medium",
    fix="set app_lifecycle_management.idle_settings with lifecycle_management ENABLED\n"
    "and max_idle_timeout_in_minutes for JupyterLab and Code Editor",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/studio-updated-idle-shutdown.html",
    themes=Theme.LIMITS,
)
def require_idle_shutdown(resource: Resource, scope: Scope) -> Result:
    """JupyterLab and Code Editor stop when nobody uses them, and nobody can put that off for long.

    The most that a person may choose is what counts; the time at first may not be longer either.
    """
    most = scope.config.idle_minutes_max
    within = Must(
        f"must be set and at most {most}",
        lambda minutes: minutes is not None and float(minutes) <= most,
    )
    return meets(
        resource.inputs,
        {
            f"defaultUserSettings.{app}.appLifecycleManagement.idleSettings.{key}": must
            for app in IDLE_APPS
            for key, must in (
                ("lifecycleManagement", one_of("ENABLED")),
                ("maxIdleTimeoutInMinutes", within),
                ("idleTimeoutInMinutes", within),
            )
        },
    )


@rule(
    "ML-SD-004",
    applies_to=DOMAIN,
    severity="high",
    fix="set retention_policy.home_efs_file_system Retain\n"
    "and create the domain with ResourceOptions(protect=True)",
    url="https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_RetentionPolicy.html",
    themes=Theme.AVAILABILITY,
)
def require_kept_home_directories(resource: Resource, scope: Scope) -> Result:
    """What people keep in their home directories outlives the domain, in production."""
    if not scope.config.production:
        return NotApplicable("only a production domain holds what cannot be made again")
    path = "retentionPolicy.homeEfsFileSystem"
    kept = Must("must be Retain", lambda value: value in (None, "Retain"))  # Retain by default
    if not resource.options.protect:
        return Fail("protect must be true, got false")
    return meets(resource.inputs, {path: kept})


@rule(
    "ML-SD-005",
    applies_to=(DOMAIN, PROFILE, SPACE),
    severity="medium",
    fix="leave GPUs to whoever chooses them for a task;\n"
    "take a default that studio_instance_types allows",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/notebooks-available-instance-types.html",
    themes=Theme.LIMITS,
)
def limit_studio_instances(resource: Resource, scope: Scope) -> Result:
    """Apps of Studio start on an instance type that the environment allows: by default no GPUs.

    What a default costs, everybody pays who never looked at it.
    """
    found = list(_defaults(resource.inputs))
    if not found:
        return NotApplicable("names no default instance type")
    patterns = scope.config.studio_instance_types

    def allowed(spec: Data) -> Result:
        kind = spec.get("instanceType")
        if any(fnmatchcase(str(kind), pattern) for pattern in patterns):
            return None
        return Fail(f"{spec.path}.instanceType must be one of {', '.join(patterns)}, got {kind}")

    return every(found, allowed)


def _defaults(inputs: Data) -> Iterator[Data]:
    """Every `defaultResourceSpec` that names an instance type, known or not."""
    for settings in SETTINGS:
        for app in APPS if settings in inputs.value else ():
            specified = inputs.value[settings].get(app, {}).get("defaultResourceSpec", {})
            if "instanceType" in specified:
                yield Data(specified, f"{settings}.{app}.defaultResourceSpec")


@rule(
    "ML-SD-006",
    applies_to=DOMAIN,
    severity="medium",
    fix="set tag_propagation ENABLED;\nwithout it nobody can say whose apps cost what",
    url="https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateDomain.html",
    themes=Theme.INVENTORY,
)
def require_tag_propagation(resource: Resource, scope: Scope) -> Result:
    """What people start in Studio carries the tags of its domain, space and user."""
    del scope
    return meets(resource.inputs, {"tagPropagation": one_of("ENABLED")})


@rule(
    "ML-SD-007",
    applies_to=DOMAIN,
    severity="low",
    fix="set sharing_settings.s3_kms_key_id and canvas workspace_settings.s3_kms_key_id;\n"
    "for confidential data set notebook_output_option Disabled",
    url="https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_SharingSettings.html",
    themes=Theme.RETENTION,
)
def limit_studio_sharing(resource: Resource, scope: Scope) -> Result:
    """What Studio and Canvas put into buckets is encrypted, and confidential output is not shared.

    Data is confidential where the domain's tag `classification` or `tlp` says so. Downloads from
    the browser have no switch in the API: only the network keeps data inside.
    """
    del scope
    settings = Data(resource.inputs.get("defaultUserSettings") or {}, "defaultUserSettings")
    sharing = settings.get("sharingSettings") or {}
    workspace = settings.get("canvasAppSettings", "workspaceSettings") or {}
    tags = {str(resource.tag(name)).lower() for name in ("classification", "tlp")}
    confidential = bool(tags & set(CONFIDENTIAL))
    if not sharing and not workspace and not confidential:
        return NotApplicable("shares nothing")
    wanted = {}
    if sharing.get("notebookOutputOption") == "Allowed":
        wanted["sharingSettings.s3KmsKeyId"] = SET
    if workspace.get("s3ArtifactPath"):
        wanted["canvasAppSettings.workspaceSettings.s3KmsKeyId"] = SET
    if confidential:
        wanted["sharingSettings.notebookOutputOption"] = one_of("Disabled")
    return meets(settings, wanted)
