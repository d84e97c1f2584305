"""Resource types that are kept and shown, and on which nothing acts: what the model does not say.

A notebook instance has no notebook behind it, a cluster no nodes, a work team nobody who works.
Texts of missing things are SageMaker's own where clients look at them.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.crud import made_id
from stacks.local.aws.sagemaker.derived import invented_once, recorded
from stacks.local.aws.sagemaker.errors import invalid
from stacks.local.aws.sagemaker.resource_type import Exists, Request
from stacks.local.aws.store import Resource

RECORD_NOT_FOUND = "RecordNotFound"
"""All that SageMaker says of a notebook instance that is not there."""

DISASSOCIATED = {
    "DisassociateAcceleratorTypes": "AcceleratorTypes",
    "DisassociateAdditionalCodeRepositories": "AdditionalCodeRepositories",
    "DisassociateDefaultCodeRepository": "DefaultCodeRepository",
    "DisassociateLifecycleConfig": "NotebookInstanceLifecycleConfigName",
}
"""Member of UpdateNotebookInstance -> member that it takes away."""

LIFECYCLE_BUCKETS = "s3://sagemaker-"
"""Where scripts of a cluster must lie (ClusterLifeCycleConfig, API reference)."""

LIFECYCLE = {"LifecycleConfigName": "NotebookInstanceLifecycleConfigName"}


def _groups(emulator: Emulator, item: Resource, request: Request) -> None:
    """What DescribeCluster says of instance groups: their wanted size, and that nothing runs."""
    own = item.fields.get("InstanceGroups", ())
    known = {group["InstanceGroupName"]: group for group in own if "TargetCount" in group}
    for group in request.get("InstanceGroups", ()):
        source = group.get("LifeCycleConfig", {}).get("SourceS3Uri", LIFECYCLE_BUCKETS)
        if not source.startswith(LIFECYCLE_BUCKETS):
            raise invalid(f"SourceS3Uri must start with {LIFECYCLE_BUCKETS}, got {source!r}")
        shown = {name: value for name, value in group.items() if name != "InstanceCount"}
        counts = {"TargetCount": group["InstanceCount"], "CurrentCount": 0}
        known[group["InstanceGroupName"]] = {**shown, **counts, "Status": "InService"}
    for name in request.get("InstanceGroupsToDelete", ()):
        known.pop(name, None)
    given = {m: v for m, v in request.items() if m not in ("ClusterName", "Tags")}
    given.pop("InstanceGroupsToDelete", None)
    item.set(**{**given, "InstanceGroups": list(known.values())})


def _page(emulator: Emulator, item: Resource, request: Request) -> None:
    """DescribeHumanTaskUi shows the digest of the template, not its text."""
    digest = sha256(request["UiTemplate"]["Content"].encode()).hexdigest()
    item.set(UiTemplate={"ContentSha256": digest})


def _versioned(member: str) -> Mapping[str, Any]:
    """What is updated from one version to the next (TargetVersion, API reference)."""

    def update(emulator: Emulator, item: Resource, request: Request) -> None:
        if request["TargetVersion"] != item.fields[member]:
            raise invalid(f"TargetVersion must be {item.fields[member]}, the version that is there")
        kept = {m: v for m, v in request.items() if m != "TargetVersion"}
        item.set(**{**kept, member: item.fields[member] + 1})

    return {"made": {member: 1}, "on_update": update}


def in_status(item: Resource, wanted: tuple[str, ...], to: str) -> None:
    """Notebook instances change in some statuses only (API reference of each operation)."""
    status = item.fields["NotebookInstanceStatus"]
    if status not in wanted:
        raise invalid(
            f"Status ({status}) not in ([{', '.join(wanted)}]). Unable to transition to ({to}) "
            f"for Notebook Instance ({item.arn})."
        )


def _address(emulator: Emulator, item: Resource, request: Request) -> None:
    """Where Jupyter would answer; nothing does here."""
    item.set(Url=f"{item.name}.notebook.{emulator.region}.sagemaker.aws")


def _delete_notebook(emulator: Emulator, item: Resource, request: Request) -> None:
    in_status(item, ("Stopped", "Failed"), "Deleting")


def _update_notebook(emulator: Emulator, item: Resource, request: Request) -> None:
    in_status(item, ("Stopped", "Failed"), "Updating")
    gone = [lost for member, lost in DISASSOCIATED.items() if request.get(member)]
    skip = {"NotebookInstanceName", *DISASSOCIATED}
    change = {LIFECYCLE.get(m, m): v for m, v in request.items() if m not in skip}
    item.set(**dict.fromkeys(gone), **change)


def _succeed(emulator: Emulator, item: Resource, request: Request) -> None:
    item.set(Success=True)


def _plan(emulator: Emulator, item: Resource, request: Request) -> None:
    """A plan counts no deployments: no stage of it is started."""
    item.fields["Stages"] = [stage_of(stage) for stage in request.get("Stages", ())]


def stage_of(stage: Request) -> dict[str, Any]:
    """A stage of an edge deployment plan as it is described before it was started."""
    counts = ("EdgeDeploymentSuccessInStage", "EdgeDeploymentPendingInStage")
    none = {**dict.fromkeys(counts, 0), "EdgeDeploymentFailedInStage": 0}
    return {
        "StageName": stage["StageName"],
        "DeviceSelectionConfig": stage["DeviceSelectionConfig"],
        "DeploymentConfig": stage.get("DeploymentConfig", {"FailureHandlingPolicy": "DO_NOTHING"}),
        "DeploymentStatus": {"StageStatus": "READYTODEPLOY", **none},
    }


FLEET = recorded(
    "DeviceFleet", missing="No devicefleet with name {name} found.", children=("device",)
)
CLUSTER = recorded(
    "Cluster",
    arn="cluster/{id}",
    made={"InstanceGroups": []},
    on_create=_groups,
    on_update=_groups,
)
EDGE_PLAN = recorded(
    "EdgeDeploymentPlan",
    arn="edge-deployment/{name}",
    parents={"DeviceFleetName": FLEET},
    made=dict.fromkeys(
        ("EdgeDeploymentSuccess", "EdgeDeploymentPending", "EdgeDeploymentFailed"), 0
    ),
    on_create=_plan,
)
NOTEBOOK = recorded(
    "NotebookInstance",
    exists=Exists(text="Cannot create a duplicate Notebook Instance ({arn})"),
    missing=RECORD_NOT_FOUND,
    renamed={**LIFECYCLE, "SecurityGroupIds": "SecurityGroups"},
    filters={"AdditionalCodeRepositoryEquals": "AdditionalCodeRepositories"},
    on_create=_address,
    # defaults of CreateNotebookInstance (API reference)
    made={"DirectInternetAccess": "Enabled", "RootAccess": "Enabled", "VolumeSizeInGB": 5},
    on_update=_update_notebook,
    on_delete=_delete_notebook,
)

RECORDED_TYPES = (
    FLEET,
    CLUSTER,
    EDGE_PLAN,
    NOTEBOOK,
    recorded("AIWorkloadConfig"),
    recorded(
        "Algorithm",
        made={"AlgorithmStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []}},
    ),
    recorded(
        "ClusterSchedulerConfig",
        keys=("ClusterSchedulerConfigId",),
        identify=invented_once("ClusterSchedulerConfig", "Name"),
        **_versioned("ClusterSchedulerConfigVersion"),
    ),
    recorded("CodeRepository", missing='Cannot find CodeRepository: "{arn}".'),
    recorded(
        "ComputeQuota",
        keys=("ComputeQuotaId",),
        identify=invented_once("ComputeQuota", "Name"),
        **_versioned("ComputeQuotaVersion"),
    ),
    recorded("FlowDefinition"),
    recorded("HumanTaskUi", on_create=_page),
    recorded(
        "NotebookInstanceLifecycleConfig",
        # the text by which AWS's own controller knows it (aws-controllers-k8s/sagemaker-controller)
        missing="Unable to describe Notebook Instance Lifecycle Config '{arn}'. (Details: Notebook "
        "Instance Lifecycle Config does not exist.)",
        exists=Exists(
            text="Unable to create Notebook Instance Lifecycle Config {arn}. (Details: Notebook "
            "Instance Lifecycle Config already exists.)"
        ),
    ),
    recorded(
        "PartnerApp",
        key_field="Arn",
        identify=lambda emulator, request: f"app-{made_id().upper()}",
    ),
    recorded("Workforce", missing="No workforce found with name {name}."),
    recorded("Workteam", missing="The work team {name} does not exist.", on_delete=_succeed),
)
