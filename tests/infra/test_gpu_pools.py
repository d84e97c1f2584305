"""GPU pools, managed and Karpenter's: what they register."""

import base64
import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from infra.capacity_block import CapacityBlock, CapacityBlockArgs
from infra.component import Role
from infra.gpu_agents import GpuAgents, GpuAgentsArgs
from infra.gpu_nodes import GpuNodeGroup, GpuNodeGroupArgs
from infra.karpenter.karpenter import Karpenter, KarpenterArgs
from infra.karpenter.pools import KarpenterPool
from infra.naming import Names
from infra.nodes import GpuPool, Scaling
from policies.data import Resource
from stacks.synth import recorded

NAMES = Names(env="test", account_id="123456789012", region="us-east-1")
TAGS = {"owner": "me"}
L4 = GpuPool(instance_type="g6.12xlarge", release_version="1.34.2-20251120")
H100 = replace(L4, instance_type="p5.48xlarge")
BOTTLEROCKET: dict[str, Any] = {
    "ami_family": "bottlerocket-nvidia",
    "release_version": "1.51.0-47438798",
}


def by_type(found: list[Resource], suffix: str) -> list[dict[str, Any]]:
    return [item.inputs.value for item in found if item.type.endswith(suffix)]


def group(pool: GpuPool = L4, **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The node group of a pool, and its launch template."""
    args = GpuNodeGroupArgs(
        names=NAMES,
        tags=TAGS,
        cluster_name="c",
        node_role_arn="arn:aws:iam::123456789012:role/n",
        subnet_ids=["subnet-1"],
        security_group_ids=["sg-1"],
        pool=pool,
        scaling=Scaling(min_size=0, desired_size=0, max_size=1),
    )
    found = recorded(lambda: GpuNodeGroup("pool", replace(args, **changes)))
    [nodes], [template] = (
        by_type(found, "eks/nodeGroup:NodeGroup"),
        by_type(found, "LaunchTemplate"),
    )
    return nodes, template


def test_a_gpu_node_keeps_other_pods_off_and_says_what_it_has() -> None:
    nodes, _ = group()
    assert nodes["taints"] == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}]
    assert nodes["labels"]["nvidia.com/gpu.count"] == "4"
    assert nodes["labels"]["nvidia.com/gpu.product"] == "L4"
    assert "vpc.amazonaws.com/efa.present" not in nodes["labels"]


def test_a_gpu_pool_without_gpus_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must have GPUs, got 'm5\.large'"):
        replace(L4, instance_type="m5.large")


def test_a_node_has_a_pinned_image_an_encrypted_volume_and_hides_its_credentials() -> None:
    nodes, template = group(kms_key_arn="arn:aws:kms:::key/ebs")
    assert nodes["releaseVersion"] == "1.34.2-20251120"
    [volume] = template["blockDeviceMappings"]
    assert volume["ebs"]["encrypted"] == "true"
    assert volume["ebs"]["kmsKeyId"] == "arn:aws:kms:::key/ebs"
    assert template["metadataOptions"]["httpTokens"] == "required"
    assert template["metadataOptions"]["httpPutResponseHopLimit"] == 1


def test_an_autoscaler_and_the_program_do_not_fight_over_the_size() -> None:
    args = GpuNodeGroupArgs(
        names=NAMES,
        tags=TAGS,
        cluster_name="c",
        node_role_arn="arn",
        subnet_ids=["subnet-1"],
        security_group_ids=["sg-1"],
        pool=L4,
        scaling=Scaling(min_size=0, desired_size=0, max_size=1),
    )
    [nodes] = [
        item
        for item in recorded(lambda: GpuNodeGroup("pool", args))
        if item.type.endswith("eks/nodeGroup:NodeGroup")
    ]
    assert nodes.options.ignore_changes == ("scalingConfig.desiredSize",)


def test_a_pool_with_efa_has_every_device_in_the_groups_that_let_it_through() -> None:
    nodes, template = group(replace(H100, efa=True), security_group_ids=["sg-1", "sg-efa"])
    interfaces = template["networkInterfaces"]
    assert [item["interfaceType"] for item in interfaces].count("efa-only") == 32
    assert all(item["securityGroups"] == ["sg-1", "sg-efa"] for item in interfaces)
    assert "vpcSecurityGroupIds" not in template
    assert nodes["labels"]["vpc.amazonaws.com/efa.present"] == "true"


@pytest.mark.parametrize("placed", [True, False])
def test_nodes_share_a_placement_group_only_if_the_pool_says_so(placed: bool) -> None:
    _, template = group(replace(H100, efa=True, placement_group=placed))
    assert ("placement" in template) == placed


def test_a_reservation_is_named_in_the_launch_template() -> None:
    nodes, template = group(reservation_id="cr-1")
    target = template["capacityReservationSpecification"]["capacityReservationTarget"]
    assert target == {"capacityReservationId": "cr-1"}
    assert nodes["capacityType"] == "ON_DEMAND"
    assert "instanceMarketOptions" not in template


def test_a_capacity_block_is_a_market_of_its_own_and_its_template_names_the_type() -> None:
    nodes, template = group(H100, reservation_id="cr-1", capacity_type="CAPACITY_BLOCK")
    assert template["instanceMarketOptions"] == {"marketType": "capacity-block"}
    assert template["instanceType"] == "p5.48xlarge"
    assert nodes.get("instanceTypes") is None


def user_data(pool: GpuPool) -> str:
    return base64.b64decode(group(pool)[1]["userData"]).decode()


def test_local_disks_become_one_array_on_either_image() -> None:
    assert "strategy: RAID0" in user_data(L4)
    commands = tomllib.loads(user_data(replace(L4, **BOTTLEROCKET)))["settings"]
    assert "k8s-ephemeral-storage" in commands["bootstrap-commands"]


def test_mig_cuts_every_gpu_and_the_node_offers_the_slices() -> None:
    pool = replace(H100, mig_profile="1g.10gb", **BOTTLEROCKET)
    nvidia = tomllib.loads(user_data(pool))["settings"]["kubelet-device-plugins"]["nvidia"]
    assert nvidia["device-partitioning-strategy"] == "mig"
    assert nvidia["mig"]["profile"] == {"h100.80gb": "1g.10gb"}
    assert group(pool)[0]["labels"]["nvidia.com/gpu.count"] == "56"


def test_time_slicing_is_counted_and_told_to_the_device_plugin_of_the_image() -> None:
    labels = group(replace(L4, time_slicing_replicas=3))[0]["labels"]
    assert labels["nvidia.com/gpu.count"] == "12"
    pool = replace(L4, time_slicing_replicas=3, **BOTTLEROCKET)
    nvidia = tomllib.loads(user_data(pool))["settings"]["kubelet-device-plugins"]["nvidia"]
    assert nvidia["time-slicing"] == {"replicas": 3}
    [configs] = [
        item["values"]["config"]["map"]
        for item in by_type(recorded(agents), "helm.sh/v3:Release")
        if item["chart"] == "nvidia-device-plugin"
    ]
    chosen = json.loads(configs[labels["nvidia.com/device-plugin.config"]])
    assert chosen["sharing"]["timeSlicing"]["resources"] == [
        {"name": "nvidia.com/gpu", "replicas": 3}
    ]


def agents(**changes: Any) -> GpuAgents:
    args = GpuAgentsArgs(
        names=NAMES,
        tags=TAGS,
        device_plugin_version="0.17.4",
        dcgm_exporter_version="4.8.2",
        efa_device_plugin_version="v0.5.7",
        time_slicing_replicas=[3],
    )
    return GpuAgents("gpu-agents", replace(args, **changes))


def test_every_chart_is_pinned_and_tolerates_the_gpu_taint() -> None:
    releases = by_type(recorded(lambda: agents(efa=True)), "helm.sh/v3:Release")
    assert {item["chart"]: item["version"] for item in releases} == {
        "aws-efa-k8s-device-plugin": "v0.5.7",
        "dcgm-exporter": "4.8.2",
        "nvidia-device-plugin": "0.17.4",
    }
    for item in releases:
        assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in item[
            "values"
        ]["tolerations"]
    assert len(by_type(recorded(agents), "helm.sh/v3:Release")) == 2


def some_role(purpose: str) -> Role:
    arn = f"arn:aws:iam::123456789012:role/{purpose}"
    return Role(purpose, pulumi.Output.from_input(purpose), pulumi.Output.from_input(arn))


TRAINING = KarpenterPool(
    pool=replace(H100, efa=True),
    gpu_limit=16,
    purpose="training",
    capacity_types=["reserved", "on-demand"],
    subnet_ids={"use1-az1": "subnet-1"},
    reservation_tags={"pool": "training"},
    startup_taints=["fsx.csi.aws.com/agent-not-ready"],
)
SERVING = KarpenterPool(
    pool=L4,
    gpu_limit=8,
    purpose="serving",
    capacity_types=["spot", "on-demand"],
    subnet_ids={"use1-az1": "subnet-1", "use1-az2": "subnet-2"},
    expire_after_hours=720,
    termination_grace_hours=1,
)


def karpenter(pools: Mapping[str, KarpenterPool] | None = None, **changes: Any) -> list[Resource]:
    def program() -> Karpenter:
        args = KarpenterArgs(
            names=NAMES,
            tags=TAGS,
            cluster_name="plinth-test-cluster",
            role=some_role("karpenter"),
            node_role=some_role("node"),
            security_group_ids=["sg-1"],
            efa_security_group_id="sg-efa",
            pools=pools or {"training": TRAINING, "serving": SERVING},
            version="1.14.0",
            repository="oci://public.ecr.aws/karpenter",
        )
        return Karpenter("karpenter", replace(args, **changes))

    return recorded(program)


def specs(kind: str, **changes: Any) -> dict[str, Any]:
    return {
        item["metadata"]["name"]: item["spec"] for item in by_type(karpenter(**changes), f":{kind}")
    }


def test_a_pool_is_bounded_in_gpus_and_not_only_in_cpus() -> None:
    limits = {name: spec["limits"] for name, spec in specs("NodePool").items()}
    assert limits == {
        "training": {"nvidia.com/gpu": "16", "cpu": "384"},
        "serving": {"nvidia.com/gpu": "8", "cpu": "96"},
    }


def test_karpenter_takes_no_node_from_training_and_a_tenth_from_serving() -> None:
    pools = specs("NodePool")
    assert pools["training"]["disruption"] == {
        "consolidationPolicy": "WhenEmpty",
        "consolidateAfter": "Never",
        "budgets": [{"nodes": "0"}],
    }
    assert pools["training"]["template"]["spec"]["expireAfter"] == "Never"
    assert pools["serving"]["disruption"]["budgets"] == [{"nodes": "10%"}]
    assert pools["serving"]["template"]["spec"]["expireAfter"] == "720h"
    grace = {
        name: pool["template"]["spec"]["terminationGracePeriod"] for name, pool in pools.items()
    }
    assert grace == {"training": "24h", "serving": "1h"}


def test_a_pool_says_type_market_and_zone_and_keeps_other_pods_off() -> None:
    spec = specs("NodePool")["training"]["template"]["spec"]
    assert {item["key"]: item["values"] for item in spec["requirements"]} == {
        "node.kubernetes.io/instance-type": ["p5.48xlarge"],
        "karpenter.sh/capacity-type": ["reserved", "on-demand"],
        "topology.k8s.aws/zone-id": ["use1-az1"],
    }
    assert spec["taints"] == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}]
    assert spec["startupTaints"] == [
        {"key": "fsx.csi.aws.com/agent-not-ready", "effect": "NoExecute"}
    ]


def test_a_node_class_has_a_pinned_image_and_hides_the_credentials_of_its_nodes() -> None:
    spec = specs("EC2NodeClass", kms_key_arn="arn:aws:kms:::key/ebs")["training"]
    assert spec["amiSelectorTerms"] == [{"alias": "al2023@v20251120"}]
    assert spec["metadataOptions"]["httpPutResponseHopLimit"] == 1
    [volume] = spec["blockDeviceMappings"]
    assert volume["ebs"]["encrypted"] is True
    assert volume["ebs"]["kmsKeyID"] == "arn:aws:kms:::key/ebs"
    assert spec["instanceStorePolicy"] == "RAID0"
    assert len(spec["networkInterfaces"]) == 33
    assert spec["capacityReservationSelectorTerms"] == [{"tags": {"pool": "training"}}]


def test_only_nodes_with_efa_are_in_its_security_group() -> None:
    groups = {
        name: [item["id"] for item in spec["securityGroupSelectorTerms"]]
        for name, spec in specs("EC2NodeClass").items()
    }
    assert groups == {"training": ["sg-1", "sg-efa"], "serving": ["sg-1"]}


def test_bottlerocket_is_named_by_its_own_version() -> None:
    pool = replace(SERVING, pool=replace(L4, **BOTTLEROCKET))
    spec = specs("EC2NodeClass", pools={"serving": pool})["serving"]
    assert spec["amiSelectorTerms"] == [{"alias": "bottlerocket@v1.51.0"}]
    assert spec["blockDeviceMappings"][0]["deviceName"] == "/dev/xvdb"


def test_nodes_are_drained_before_ec2_takes_them() -> None:
    found = karpenter()
    rules = {
        (pattern["source"][0], pattern["detail-type"][0])
        for pattern in (
            json.loads(item["eventPattern"]) for item in by_type(found, "eventRule:EventRule")
        )
    }
    assert ("aws.ec2", "EC2 Spot Instance Interruption Warning") in rules
    assert ("aws.health", "AWS Health Event") in rules
    assert len(rules) == 5
    assert len(by_type(found, "eventTarget:EventTarget")) == 5
    [values] = [
        item["values"]
        for item in by_type(found, "helm.sh/v3:Release")
        if item["name"] == "karpenter"
    ]
    assert values["settings"]["interruptionQueue"] == "plinth-test-karpenter"


def test_karpenter_runs_on_nodes_that_it_does_not_manage() -> None:
    [values] = [
        item["values"]
        for item in by_type(karpenter(), "helm.sh/v3:Release")
        if item["name"] == "karpenter"
    ]
    assert values["nodeSelector"] == {"plinth.dev/pool": "system"}


def test_the_last_node_is_gone_before_the_controller_is() -> None:
    found = {item.name: item for item in karpenter()}
    pool, node_class = found["karpenter-training"], found["karpenter-training-class"]
    assert node_class.urn in pool.options.depends_on
    assert found["karpenter-karpenter"].urn in node_class.options.depends_on
    before = " ".join(found["karpenter-karpenter"].options.depends_on)
    assert "karpenter-launch-karpenter" in before and "karpenter-spot" in before


def test_karpenter_ends_and_starts_only_what_carries_the_tags_of_its_cluster() -> None:
    policies = {
        item["name"]: json.loads(item["policy"])["Statement"]
        for item in by_type(karpenter(), "rolePolicy:RolePolicy")
    }
    launch, look = policies["karpenter-launch"], policies["karpenter-look"]
    owned = "kubernetes.io/cluster/plinth-test-cluster"
    for statement in launch:
        if "ec2:TerminateInstances" in statement["Action"]:
            assert statement["Condition"]["StringEquals"] == {f"aws:ResourceTag/{owned}": "owned"}
        if any("instance/*" in resource for resource in statement["Resource"]):
            assert owned in json.dumps(statement["Condition"])
        if statement["Action"] == ["iam:PassRole"]:
            assert statement["Resource"] == ["arn:aws:iam::123456789012:role/node"]
    reading = ("Describe", "List", "Get")
    everywhere = [item for item in look if item["Resource"] == ["*"]]
    actions = [action for item in everywhere for action in item["Action"]]
    assert all(action.split(":")[1].startswith(reading) for action in actions)


def test_somebody_hears_of_the_end_of_a_capacity_block_and_its_nodes_drain_before() -> None:
    def program() -> None:
        CapacityBlock(
            "block",
            CapacityBlockArgs(
                names=NAMES,
                tags=TAGS,
                reservation_id="cr-1",
                ends_at="2026-12-01T11:30:00Z",
                pool="training",
                topic_arn="arn:aws:sns:us-east-1:123456789012:alerts",
                role=some_role("capacity-block"),
            ),
        )

    found = recorded(program)
    due = {item["name"]: item for item in by_type(found, "schedule:Schedule")}
    notice, drain = due["plinth-test-block-notice"], due["plinth-test-block-drain"]
    assert notice["scheduleExpression"] == "at(2026-11-30T11:30:00)"
    assert drain["scheduleExpression"] == "at(2026-12-01T10:15:00)"
    assert json.loads(drain["target"]["input"]) == {
        "ClusterName": "plinth-test-cluster",
        "NodegroupName": "plinth-test-training",
        "ScalingConfig": {"MinSize": 0, "DesiredSize": 0},
    }
    [rule] = by_type(found, "eventRule:EventRule")
    assert json.loads(rule["eventPattern"])["detail"] == {"capacity-reservation-id": ["cr-1"]}
