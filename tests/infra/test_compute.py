"""The cluster: its control plane, its add-ons, who may talk to it; and what EC2 says."""

import json
from dataclasses import replace
from typing import Any

import pulumi
import pytest
from moto.ec2.models.instance_types import INSTANCE_TYPES as EC2

from infra.cluster import Cluster, ClusterAccess, ClusterArgs
from infra.component import Role
from infra.instances import INSTANCE_TYPES
from infra.naming import Names
from infra.nodes import Scaling, efa_cards
from policies.data import Resource
from stacks.synth import recorded

NAMES = Names(env="test", account_id="123456789012", region="us-east-1")
TAGS = {"owner": "me"}


def by_type(found: list[Resource], suffix: str) -> list[dict[str, Any]]:
    return [item.inputs.value for item in found if item.type.endswith(suffix)]


@pytest.mark.parametrize("name", sorted(INSTANCE_TYPES))
def test_an_instance_type_says_what_ec2_says(name: str) -> None:
    ours, theirs = INSTANCE_TYPES[name], EC2[name]
    gpus = theirs.get("GpuInfo", {}).get("Gpus", [])
    assert ours.gpus == sum(gpu["Count"] for gpu in gpus)
    assert ours.gpu_name == (gpus[0]["Name"] if gpus else "")
    assert ours.gpu_memory_mib == (gpus[0]["MemoryInfo"]["SizeInMiB"] if gpus else 0)
    assert ours.vcpus == theirs["VCpuInfo"]["DefaultVCpus"]
    assert ours.memory_gib == theirs["MemoryInfo"]["SizeInMiB"] // 1024
    assert ours.nvme_gb == theirs.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0)
    network = theirs["NetworkInfo"]
    assert ours.efa_interfaces == network.get("EfaInfo", {}).get("MaximumEfaInterfaces", 0)
    assert ours.capacity_blocks == ("capacity-block" in theirs["SupportedUsageClasses"])


@pytest.mark.parametrize("name", sorted(n for n, t in INSTANCE_TYPES.items() if t.efa_interfaces))
def test_efa_interfaces_fit_on_the_network_cards_that_ec2_describes(name: str) -> None:
    network = EC2[name]["NetworkInfo"]
    cards = {card["NetworkCardIndex"]: card for card in network["NetworkCards"]}
    chosen = efa_cards(INSTANCE_TYPES[name])
    assert chosen[0] == (0, 0, "interface")
    assert len(chosen) - 1 == network["EfaInfo"]["MaximumEfaInterfaces"]
    assert [device for _, device, _ in chosen[1:]] == [1, *[0] * (len(chosen) - 2)]
    assert len({(card, device) for card, device, _ in chosen}) == len(chosen)
    for index, card in cards.items():
        used = [kind for at, _, kind in chosen if at == index]
        assert len(used) <= card["MaximumNetworkInterfaces"]
        assert set(used) <= set(card["InterfaceTypes"])


def some_role(purpose: str) -> Role:
    arn = f"arn:aws:iam::123456789012:role/{purpose}"
    return Role(purpose, pulumi.Output.from_input(purpose), pulumi.Output.from_input(arn))


def cluster_args(**changes: Any) -> ClusterArgs:
    args = ClusterArgs(
        names=NAMES,
        tags=TAGS,
        version="1.34",
        role_arn="arn:aws:iam::123456789012:role/c",
        node_role_arn="arn:aws:iam::123456789012:role/n",
        subnet_ids=["subnet-1"],
        security_group_id="sg-1",
        kms_key_arn="arn:aws:kms:::key/k",
        volume_key_arn="arn:aws:kms:::key/v",
        system_instance_types=["m6i.large"],
        system_scaling=Scaling(min_size=1, desired_size=1, max_size=2),
        system_release_version="1.34.2-20251120",
        addons={"vpc-cni": "v1.21.1-eksbuild.1", "coredns": "v1.12.4-eksbuild.1"},
    )
    return replace(args, **changes)


def cluster(**changes: Any) -> list[Resource]:
    return recorded(lambda: Cluster("cluster", cluster_args(**changes)))


def test_the_api_server_is_private_unless_somebody_is_allowed() -> None:
    for cidrs, public in (((), False), (("203.0.113.7/32",), True)):
        [made] = by_type(cluster(public_access_cidrs=cidrs), "eks/cluster:Cluster")
        assert made["vpcConfig"]["endpointPrivateAccess"] is True
        assert made["vpcConfig"]["endpointPublicAccess"] is public
        assert made["vpcConfig"].get("publicAccessCidrs", []) == list(cidrs)


def test_every_addon_is_pinned_and_the_network_comes_before_the_nodes() -> None:
    found = cluster()
    addons = {item.inputs.value["addonName"]: item for item in found if "Addon" in item.type}
    versions = {name: item.inputs.value["addonVersion"] for name, item in addons.items()}
    assert versions == {"vpc-cni": "v1.21.1-eksbuild.1", "coredns": "v1.12.4-eksbuild.1"}
    assert "eks/nodeGroup" not in " ".join(addons["vpc-cni"].options.depends_on)
    assert "eks/nodeGroup" in " ".join(addons["coredns"].options.depends_on)


def test_pods_get_subnets_of_their_own_where_the_network_has_them() -> None:
    for subnets in ({}, {"use1-az1": "subnet-pods"}):
        [addon] = [
            item
            for item in by_type(cluster(pod_subnet_ids=subnets), "eks/addon:Addon")
            if item["addonName"] == "vpc-cni"
        ]
        values = json.loads(addon["configurationValues"])
        assert values["env"]["ENABLE_PREFIX_DELEGATION"] == "true"
        configured = values.get("eniConfig", {}).get("subnets", {})
        assert configured == {zone: {"id": subnet} for zone, subnet in subnets.items()}
        assert ("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG" in values["env"]) == bool(subnets)


def test_a_principal_gets_the_access_it_is_given_and_nobody_else_any() -> None:
    assert by_type(cluster(), "eks/accessEntry:AccessEntry") == []
    viewer = ClusterAccess(
        principal_arn="arn:aws:iam::123456789012:role/v",
        policy="AmazonEKSViewPolicy",
        namespaces=("research",),
    )
    member = ClusterAccess(
        principal_arn="arn:aws:iam::123456789012:role/m", kubernetes_groups=("team",)
    )
    found = cluster(access={"viewer": viewer, "member": member})
    entries = by_type(found, "eks/accessEntry:AccessEntry")
    assert {item["principalArn"] for item in entries} == {
        viewer.principal_arn,
        member.principal_arn,
    }
    [association] = by_type(found, "AccessPolicyAssociation")
    assert association["principalArn"] == viewer.principal_arn
    assert association["accessScope"] == {"type": "namespace", "namespaces": ["research"]}


def test_the_kubeconfig_names_the_cluster_and_holds_no_secret() -> None:
    provider = next(
        item for item in cluster() if item.type == "pulumi:providers:kubernetes"
    ).inputs.value
    config = json.loads(provider["kubeconfig"])
    [user] = config["users"]
    assert set(user["user"]) == {"exec"}
    assert user["user"]["exec"]["args"][:4] == [
        "eks",
        "get-token",
        "--cluster-name",
        "plinth-test-cluster",
    ]
    assert provider["deleteUnreachable"] in (False, "false")


def test_what_runs_in_the_cluster_is_gone_before_the_system_nodes_are() -> None:
    provider = next(item for item in cluster() if item.type == "pulumi:providers:kubernetes")
    assert "eks/nodeGroup" in " ".join(provider.options.depends_on)
