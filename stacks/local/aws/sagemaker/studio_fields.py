"""Members of requests about Studio, notebooks, images, hubs and projects: kept, or refused."""

from collections.abc import Mapping

from stacks.local.aws.sagemaker.reasons import ACCESS, ACCOUNTING, KEY, MACHINE, NETWORK

NO_SERVER = "no server is behind an app"
SETTINGS = {
    "CodeEditorAppSettings": NO_SERVER,
    "ExecutionRole": NO_SERVER,
    "JupyterLabAppSettings": NO_SERVER,
    "KernelGatewayAppSettings": NO_SERVER,
    "SecurityGroups": NETWORK,
}
"""Of these settings only what they name is looked at, and what is the default for an app."""


def _in(*places: str) -> dict[str, str]:
    return {f"{place}.{member}": why for place in places for member, why in SETTINGS.items()}


DOMAIN = {
    **_in("DefaultUserSettings"),
    "AppSecurityGroupManagement": NETWORK,
    "TagPropagation": NO_SERVER,
}
VERSION = dict.fromkeys(
    (
        "VendorGuidance",
        "JobType",
        "MLFramework",
        "ProgrammingLang",
        "Processor",
        "Horovod",
        "ReleaseNotes",
    ),
    ACCOUNTING,
)
HUB = dict.fromkeys(("HubDescription", "HubDisplayName", "HubSearchKeywords"), ACCOUNTING)
NO_NOTEBOOK = "no notebook server runs"
SCRIPTS = dict.fromkeys(("OnCreate", "OnStart"), "no notebook instance runs the script")
NOTEBOOK = {
    **dict.fromkeys(
        ("InstanceMetadataServiceConfiguration", "PlatformIdentifier", "RootAccess"), NO_NOTEBOOK
    ),
    "InstanceType": MACHINE,
    "IpAddressType": NETWORK,
    "RoleArn": ACCESS,
}

RECORDED: Mapping[str, Mapping[str, str]] = {
    "CreateDomain": {
        **DOMAIN,
        "DomainSettings": NO_SERVER,
        "HomeEfsFileSystemKmsKeyId": KEY,
        "KmsKeyId": KEY,
    },
    "UpdateDomain": {**DOMAIN, "DomainSettingsForUpdate": NO_SERVER},
    "CreateUserProfile": _in("UserSettings"),
    "UpdateUserProfile": _in("UserSettings"),
    "CreateSpace": {"SpaceDisplayName": ACCOUNTING},
    "UpdateSpace": {"SpaceDisplayName": ACCOUNTING},
    "CreateApp": {"RecoveryMode": NO_SERVER, "ResourceSpec.InstanceType": MACHINE},
    "CreateStudioLifecycleConfig": {"StudioLifecycleConfigContent": "no app runs the script"},
    "CreateCodeRepository": {"GitConfig": "nothing is cloned"},
    "UpdateCodeRepository": {"GitConfig": "nothing is cloned"},
    "CreateNotebookInstance": {**NOTEBOOK, "KmsKeyId": KEY},
    "UpdateNotebookInstance": NOTEBOOK,
    "CreateNotebookInstanceLifecycleConfig": SCRIPTS,
    "UpdateNotebookInstanceLifecycleConfig": SCRIPTS,
    "CreateImage": {"RoleArn": ACCESS, "Description": ACCOUNTING, "DisplayName": ACCOUNTING},
    "CreateImageVersion": VERSION,
    "UpdateImageVersion": VERSION,
    "CreateHub": {**HUB, "S3StorageConfig": "contents are kept by this cloud, in no bucket"},
    "UpdateHub": HUB,
    "CreateProject": {
        "ServiceCatalogProvisioningDetails.PathId": "a product has one path here",
        "ServiceCatalogProvisioningDetails.ProvisioningArtifactId": "a product has one template",
    },
    "UpdateProject": {
        "ServiceCatalogProvisioningUpdateDetails.ProvisioningArtifactId": (
            "a product has one template"
        ),
    },
}
"""Operation -> member -> why it is kept without effect."""

PUBLIC_HUB = {"ends_with(HubName, 'SageMakerPublicHub')": "there is no public hub"}

REFUSED: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(
        ("DescribeHub", "DescribeHubContent", "ListHubContents", "ListHubContentVersions"),
        PUBLIC_HUB,
    ),
    "CreateDomain": {"AuthMode=='SSO'": "there is no IAM Identity Center here"},
}
"""Operation -> JMESPath -> why it is answered with NotEmulated."""
