"""Resource types that are kept and shown, and on which nothing acts: what the model does not say.

A cluster has no nodes, a work team nobody who works. Texts of missing things are SageMaker's own
where clients look at them.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.crud import made_id
from stacks.local.aws.sagemaker.derived import invented_once, recorded
from stacks.local.aws.sagemaker.errors import invalid
from stacks.local.aws.sagemaker.resource_type import Request
from stacks.local.aws.store import Resource

LIFECYCLE_BUCKETS = "s3://sagemaker-"
"""Where scripts of a cluster must lie (ClusterLifeCycleConfig, API reference)."""


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
RECORDED_TYPES = (
    FLEET,
    CLUSTER,
    EDGE_PLAN,
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
    recorded(
        "ComputeQuota",
        keys=("ComputeQuotaId",),
        identify=invented_once("ComputeQuota", "Name"),
        **_versioned("ComputeQuotaVersion"),
    ),
    recorded("FlowDefinition"),
    recorded("HumanTaskUi", on_create=_page),
    recorded(
        "PartnerApp",
        key_field="Arn",
        identify=lambda emulator, request: f"app-{made_id().upper()}",
    ),
    recorded("Workforce", missing="No workforce found with name {name}."),
    recorded("Workteam", missing="The work team {name} does not exist.", on_delete=_succeed),
)
