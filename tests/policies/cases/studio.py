"""Cases of the rules about notebook instances and SageMaker Studio."""

from __future__ import annotations

import base64
from functools import partial
from typing import Any

import pulumi
import pulumi_aws as aws

from policies.rule import Status
from tests.policies.cases.case import KEY, Case, Program, later


def case(rule: str, status: Status, program: Program, says: str = "", **config: Any) -> Case:
    return Case(rule=f"ML-{rule}", status=status, program=program, says=says, config=config)


def undecided(rule: str, program: Program, says: str) -> Case:
    return Case(rule=f"ML-{rule}", status="unknown", program=program, says=says, preview=True)


def elsewhere() -> None:
    aws.sns.Topic("topic")


# Notebook instances


def notebook(**changes: Any) -> None:
    shape: dict[str, Any] = {
        "direct_internet_access": "Disabled",
        "subnet_id": "subnet-1",
        "root_access": "Disabled",
        "kms_key_id": KEY,
        "instance_metadata_service_configuration": {
            "minimum_instance_metadata_service_version": "2"
        },
        "platform_identifier": "notebook-al2023-v1",
    }
    aws.sagemaker.NotebookInstance(
        "notebook", instance_type="ml.t3.medium", role_arn="role", **{**shape, **changes}
    )


def old_metadata(version: Any) -> dict[str, Any]:
    return {"minimum_instance_metadata_service_version": version}


PROPERTIES = [
    ("001", "direct_internet_access", "Enabled", "directInternetAccess"),
    ("001", "direct_internet_access", None, "directInternetAccess"),
    ("002", "subnet_id", None, "subnetId"),
    ("003", "root_access", None, "rootAccess"),
    ("004", "kms_key_id", None, "kmsKeyId"),
    ("005", "instance_metadata_service_configuration", old_metadata("1"), "must be 2, got 1"),
    ("006", "platform_identifier", "notebook-al2-v1", "platformIdentifier"),
]
"""Rule -> the argument that it judges, a wrong value, what is said of it."""


def undecided_notebook(key: str) -> None:
    version = old_metadata("2")
    notebook(**{key: later().apply(lambda _: version) if key.startswith("instance_m") else later()})


INSTANCES = [
    made
    for rule, key, wrong, says in PROPERTIES
    for made in (
        case(f"NB-{rule}", "pass", notebook),
        case(f"NB-{rule}", "fail", partial(notebook, **{key: wrong}), says),
        undecided(
            f"NB-{rule}",
            partial(undecided_notebook, key),
            "",
        ),
        case(f"NB-{rule}", "not_applicable", elsewhere),
    )
]

STOPS = "*/5 * * * * python autostop.py --time 3600"


def encoded(script: str) -> str:
    return base64.b64encode(script.encode()).decode()


def scripted(script: Any = STOPS, **changes: Any) -> None:
    """A notebook instance and the configuration that it starts with."""
    text = encoded(script) if isinstance(script, str) else script
    configuration = aws.sagemaker.NotebookInstanceLifecycleConfiguration(
        "start", name="start", on_start=text
    )
    notebook(lifecycle_config_name=configuration.name, **changes)


def script(text: str) -> Program:
    return lambda: aws.sagemaker.NotebookInstanceLifecycleConfiguration(
        "s", on_create=encoded(text)
    )


def studio_script(text: str) -> None:
    aws.sagemaker.StudioLifecycleConfig(
        "s",
        studio_lifecycle_config_name="s",
        studio_lifecycle_config_app_type="JupyterLab",
        studio_lifecycle_config_content=encoded(text),
    )


SCRIPTS = [
    case("NB-007", "pass", scripted),
    case("NB-007", "fail", notebook, "lifecycleConfigName must be set, got none"),
    case("NB-007", "fail", partial(scripted, "pip install x"), "must stop an idle instance"),
    case("NB-007", "fail", scripted, "after 1800 s, got 3600", idle_minutes_max=30),
    undecided("NB-007", lambda: scripted(later()), "onStart"),
    case(
        "NB-007",
        "not_applicable",
        partial(notebook, lifecycle_config_name="x"),
        "not of this stack",
    ),
    case(
        "NB-008", "pass", script("export TOKEN=$(aws secretsmanager get-secret-value)\ncurl -O x")
    ),
    case("NB-008", "fail", script("export DB_PASSWORD=hunter2hunter2"), "onCreate must hold no"),
    case(
        "NB-008",
        "fail",
        script("aws configure set aws_access_key_id AKIA" + "A" * 16),
        "access key",
    ),
    case(
        "NB-008", "fail", script("curl -s https://x.example/i.sh | sudo bash"), "what it downloads"
    ),
    case(
        "NB-008", "fail", partial(studio_script, "bash <(curl -s https://x)"), "what it downloads"
    ),
    undecided("NB-008", lambda: scripted(later()), "onStart"),
    case(
        "NB-008",
        "not_applicable",
        lambda: aws.sagemaker.NotebookInstanceLifecycleConfiguration("s"),
        "has no script",
    ),
]

# Studio


def idle(most: Any = 60, **changes: Any) -> dict[str, Any]:
    settings = {
        "lifecycle_management": "ENABLED",
        "idle_timeout_in_minutes": 60,
        "max_idle_timeout_in_minutes": most,
    }
    return {"app_lifecycle_management": {"idle_settings": {**settings, **changes}}}


def user(lab: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "execution_role": "role",
        "jupyter_lab_app_settings": idle() if lab is None else lab,
        "code_editor_app_settings": idle(),
        **more,
    }


def domain(protect: bool = True, **changes: Any) -> None:
    shape: dict[str, Any] = {
        "app_network_access_type": "VpcOnly",
        "auth_mode": "SSO",
        "kms_key_id": KEY,
        "tag_propagation": "ENABLED",
        "default_user_settings": user(),
        "retention_policy": {"home_efs_file_system": "Retain"},
    }
    aws.sagemaker.Domain(
        "domain",
        domain_name="domain",
        subnet_ids=["subnet-1"],
        vpc_id="vpc-1",
        opts=pulumi.ResourceOptions(protect=protect),
        **{**shape, **changes},
    )


def starting_with(instance_type: Any, key: str = "jupyter_lab_app_settings") -> dict[str, Any]:
    return user(**{key: {**idle(), "default_resource_spec": {"instance_type": instance_type}}})


def space(instance_type: str) -> None:
    settings: Any = {"default_resource_spec": {"instance_type": instance_type}}
    aws.sagemaker.Space(
        "space",
        domain_id="d",
        space_name="s",
        space_settings={"kernel_gateway_app_settings": settings},
    )


def sharing(option: Any = "Allowed", key: Any = KEY) -> dict[str, Any]:
    return user(sharing_settings={"notebook_output_option": option, "s3_kms_key_id": key})


CANVAS = user(canvas_app_settings={"workspace_settings": {"s3_artifact_path": "s3://b/c"}})
RED = {"classification": "tlp:red"}

DOMAINS = [
    case("SD-001", "pass", domain),
    case("SD-001", "fail", partial(domain, app_network_access_type=None), "must be VpcOnly"),
    undecided("SD-001", lambda: domain(app_network_access_type=later()), "appNetworkAccessType"),
    case("SD-001", "not_applicable", elsewhere),
    case("SD-002", "pass", domain),
    case(
        "SD-002", "fail", partial(domain, kms_key_id=None, auth_mode="IAM"), "kmsKeyId must be set"
    ),
    case("SD-002", "fail", partial(domain, auth_mode="IAM"), "authMode must be SSO, got IAM"),
    undecided("SD-002", lambda: domain(kms_key_id=later()), "kmsKeyId"),
    case("SD-002", "not_applicable", elsewhere),
    case("SD-003", "pass", domain),
    case(
        "SD-003", "fail", partial(domain, default_user_settings=user({})), "jupyterLabAppSettings"
    ),
    case("SD-003", "fail", partial(domain, default_user_settings=user(idle(600))), "got 600"),
    case(
        "SD-003",
        "fail",
        partial(domain, default_user_settings=user(idle(lifecycle_management="DISABLED"))),
        "lifecycleManagement must be ENABLED, got DISABLED",
    ),
    undecided(
        "SD-003",
        lambda: domain(default_user_settings=user(idle(later().apply(lambda _: 60)))),
        "maxIdleTimeoutInMinutes",
    ),
    case("SD-003", "not_applicable", elsewhere),
    case("SD-004", "pass", domain),
    case("SD-004", "fail", partial(domain, protect=False), "protect must be true"),
    case(
        "SD-004",
        "fail",
        partial(domain, retention_policy={"home_efs_file_system": "Delete"}),
        "homeEfsFileSystem must be Retain, got Delete",
    ),
    undecided(
        "SD-004", lambda: domain(retention_policy={"home_efs_file_system": later()}), "homeEfs"
    ),
    case("SD-004", "not_applicable", partial(domain, protect=False), production=False),
    case("SD-005", "pass", partial(domain, default_user_settings=starting_with("ml.t3.medium"))),
    case("SD-005", "fail", partial(space, "ml.g5.xlarge"), "kernelGatewayAppSettings.default"),
    case(
        "SD-005",
        "fail",
        partial(domain, default_user_settings=starting_with("ml.t3.medium")),
        "must be one of system, got ml.t3.medium",
        studio_instance_types=["system"],
    ),
    undecided(
        "SD-005", lambda: domain(default_user_settings=starting_with(later())), "instanceType"
    ),
    case("SD-005", "not_applicable", domain, "names no default instance type"),
    case("SD-006", "pass", domain),
    case("SD-006", "fail", partial(domain, tag_propagation=None), "tagPropagation must be ENABLED"),
    undecided("SD-006", lambda: domain(tag_propagation=later()), "tagPropagation"),
    case("SD-006", "not_applicable", elsewhere),
    case("SD-007", "pass", partial(domain, default_user_settings=sharing())),
    case("SD-007", "pass", partial(domain, default_user_settings=sharing("Disabled"), tags=RED)),
    case("SD-007", "fail", partial(domain, default_user_settings=sharing(key=None)), "s3KmsKeyId"),
    case(
        "SD-007", "fail", partial(domain, default_user_settings=CANVAS), "workspaceSettings.s3Kms"
    ),
    case(
        "SD-007", "fail", partial(domain, default_user_settings=sharing(), tags=RED), "be Disabled"
    ),
    undecided("SD-007", lambda: domain(default_user_settings=sharing(later())), "sharingSettings"),
    case("SD-007", "not_applicable", domain, "shares nothing"),
]

STUDIO = [*INSTANCES, *SCRIPTS, *DOMAINS]
