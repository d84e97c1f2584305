"""EKS and Kubernetes are one thing: clusters have servers, node groups are nodes."""

import base64
import json
import ssl
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from stacks.local.daemon import environment
from stacks.local.kubernetes import control_plane, login, nodes
from stacks.local.kubernetes.client import Client, Kind, Object
from stacks.local.runtime.processes import Children
from stacks.targets.local_kubernetes import state
from stacks.toolchain import control_plane as toolchain
from tests.kits.kubernetes import control_plane_binaries, pod, until
from tests.kits.local_cloud import Cloud, killed_cloud, left_of, running_cloud, trusted_role

__all__ = ["control_plane_binaries"]

ROLE = "arn:aws:iam::123456789012:role/plinth-test"
CLUSTER = "plinth-test"
NAMESPACE = Kind(api_version="v1", kind="Namespace", plural="namespaces", namespaced=False)
TAINT = {"key": nodes.GPU, "value": "true", "effect": "NO_SCHEDULE"}


@pytest.fixture(scope="module")
def cloud(
    tmp_path_factory: pytest.TempPathFactory, control_plane_binaries: toolchain.Kubernetes
) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("home")) as running:
        create_cluster(running)
        yield running


@pytest.fixture
def eks(cloud: Cloud) -> Any:
    return cloud.client("eks")


@pytest.fixture
def server(cloud: Cloud) -> Client:
    return client_of(cloud)


@pytest.fixture
def subnets(cloud: Cloud) -> list[str]:
    """One default subnet in each of two zones."""
    found = cloud.client("ec2").describe_subnets()["Subnets"]
    wanted = ("us-east-1a", "us-east-1b")
    return [s["SubnetId"] for z in wanted for s in found if s["AvailabilityZone"] == z]


def create_cluster(cloud: Cloud) -> Any:
    eks = cloud.client("eks")
    with suppress(ClientError):  # it is there already
        trusted_role(cloud.client("iam"))
    eks.create_cluster(name=CLUSTER, roleArn=ROLE, resourcesVpcConfig={})
    eks.get_waiter("cluster_active").wait(name=CLUSTER, WaiterConfig={"Delay": 1})
    return eks.describe_cluster(name=CLUSTER)["cluster"]


def client_of(cloud: Cloud) -> Client:
    """A client of the cloud itself."""
    return Client.of(cloud.home / "local" / "kubernetes" / control_plane.OWN_KUBECONFIG)


def create_group(eks: Any, name: str, subnets: list[str], **more: Any) -> None:
    scaling = {"minSize": 0, "maxSize": 10, "desiredSize": 2}
    request = {
        "clusterName": CLUSTER,
        "nodegroupName": name,
        "nodeRole": ROLE,
        "subnets": subnets,
        "scalingConfig": scaling,
        "instanceTypes": ["m5.large"],
        **more,
    }
    eks.create_nodegroup(**request)
    eks.get_waiter("nodegroup_active").wait(
        clusterName=CLUSTER, nodegroupName=name, WaiterConfig={"Delay": 1}
    )


def nodes_of(server: Client, group: str) -> dict[str, Object]:
    listed = server.list(nodes.NODE, labelSelector=f"{nodes.GROUP_LABEL}={group}")
    return {item["metadata"]["name"]: item for item in listed}


def drop_group(eks: Any, server: Client, group: str) -> None:
    eks.delete_nodegroup(clusterName=CLUSTER, nodegroupName=group)
    until(lambda: not nodes_of(server, group))


def test_the_cluster_says_where_its_server_is_and_by_which_authority(cloud: Cloud) -> None:
    described = cloud.client("eks").describe_cluster(name=CLUSTER)["cluster"]
    ca = base64.b64decode(described["certificateAuthority"]["data"]).decode()
    context = ssl.create_default_context(cadata=ca)
    asked = urllib.request.Request(
        f"{described['endpoint']}/version",
        headers={"Authorization": f"Bearer {login.token(CLUSTER, cloud.place())}"},
    )
    with urllib.request.urlopen(asked, context=context) as answer:
        assert json.load(answer)["minor"] == "34"


def test_the_kubeconfig_is_for_its_owner_alone(cloud: Cloud) -> None:
    local = environment.LocalEnvironment(home=cloud.home, cloud=cloud.info)
    path = Path(local.shell()["KUBECONFIG"])
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_node_group_is_as_many_nodes_with_its_labels_taints_and_devices(
    cloud: Cloud, eks: Any, server: Client, subnets: list[str]
) -> None:
    create_group(
        eks,
        "gpu",
        subnets,
        instanceTypes=["p5.48xlarge"],
        amiType="AL2023_x86_64_NVIDIA",
        labels={"team": "research"},
        taints=[TAINT],
        capacityType="SPOT",
    )
    found = nodes_of(server, "gpu")
    assert sorted(found) == ["gpu-0", "gpu-1"]
    labels = [item["metadata"]["labels"] for item in found.values()]
    assert {label["topology.kubernetes.io/zone"] for label in labels} == {
        "us-east-1a",
        "us-east-1b",
    }
    assert labels[0]["node.kubernetes.io/instance-type"] == "p5.48xlarge"
    assert labels[0]["eks.amazonaws.com/capacityType"] == "SPOT"
    assert labels[0]["team"] == "research"
    first = found["gpu-0"]
    assert first["status"]["capacity"][nodes.GPU] == "8"
    assert {"key": nodes.GPU, "value": "true", "effect": "NoSchedule"} in first["spec"]["taints"]
    until(lambda: state(cloud.home)["nodes_ready"] == 2)
    assert state(cloud.home)["gpus"] == 16
    drop_group(eks, server, "gpu")


def test_nodes_follow_the_group_and_pods_leave_those_that_go(
    eks: Any, server: Client, subnets: list[str]
) -> None:
    create_group(eks, "web", subnets)
    until(lambda: server.get(nodes.NODE, None, "web-1"))
    hogs = [pod(f"hog-{i}", "default", cpu="1500m", memory="1Gi") for i in (0, 1)]
    for item in hogs:
        server.create(nodes.POD, item)

    def placed() -> list[str]:
        found = server.list(nodes.POD, "default")
        return sorted(item["spec"].get("nodeName", "") for item in found)

    until(lambda: placed() == ["web-0", "web-1"])
    scaling = {"minSize": 0, "maxSize": 10, "desiredSize": 1}
    eks.update_nodegroup_config(clusterName=CLUSTER, nodegroupName="web", scalingConfig=scaling)
    until(lambda: sorted(nodes_of(server, "web")) == ["web-0"])
    until(lambda: placed() == ["web-0"])
    scaling["desiredSize"] = 3
    eks.update_nodegroup_config(clusterName=CLUSTER, nodegroupName="web", scalingConfig=scaling)
    until(lambda: sorted(nodes_of(server, "web")) == ["web-0", "web-1", "web-2"])
    drop_group(eks, server, "web")


def test_a_node_that_ends_takes_its_pods_along_though_no_kubelet_says_so(server: Client) -> None:
    """kwok may forget the node before it hears that a pod of it should go."""
    server.create(nodes.NODE, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "lone"}})
    server.create(nodes.POD, pod("left", "default", nodeName="lone"))
    nodes.remove(server, "lone")
    assert server.get(nodes.NODE, None, "lone") is None
    assert server.get(nodes.POD, "default", "left") is None


def test_a_changed_group_changes_its_own_labels_and_taints_alone(
    eks: Any, server: Client, subnets: list[str]
) -> None:
    create_group(eks, "mixed", subnets, labels={"tier": "a"}, taints=[TAINT])
    until(lambda: len(nodes_of(server, "mixed")) == 2)
    server.patch(nodes.NODE, None, "mixed-0", {"metadata": {"labels": {"theirs": "1"}}})
    eks.update_nodegroup_config(
        clusterName=CLUSTER,
        nodegroupName="mixed",
        labels={"addOrUpdateLabels": {"tier2": "b"}, "removeLabels": ["tier"]},
        taints={"removeTaints": [TAINT]},
    )

    def labels() -> dict[str, str]:
        found: dict[str, str] = nodes_of(server, "mixed")["mixed-0"]["metadata"]["labels"]
        return found

    until(lambda: labels().get("tier2") == "b")
    assert labels()["theirs"] == "1"
    assert "tier" not in labels()
    taints = nodes_of(server, "mixed")["mixed-0"]["spec"].get("taints", [])
    assert nodes.GPU not in [taint["key"] for taint in taints]
    drop_group(eks, server, "mixed")


def test_a_launch_template_says_type_disk_and_efa_interfaces(
    cloud: Cloud, eks: Any, server: Client, subnets: list[str]
) -> None:
    interfaces = [
        {"DeviceIndex": int(card > 0), "NetworkCardIndex": card, "InterfaceType": "efa"}
        for card in range(4)
    ]
    made = cloud.client("ec2").create_launch_template(
        LaunchTemplateName="plinth-test-efa",
        LaunchTemplateData={
            "InstanceType": "p4d.24xlarge",
            "NetworkInterfaces": interfaces,
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 200}}],
        },
    )["LaunchTemplate"]
    create_group(
        eks,
        "efa",
        subnets,
        instanceTypes=[],
        amiType="AL2023_x86_64_NVIDIA",
        launchTemplate={"id": made["LaunchTemplateId"], "version": "1"},
    )
    capacity = nodes_of(server, "efa")["efa-0"]["status"]["capacity"]
    assert (capacity[nodes.GPU], capacity[nodes.EFA]) == ("8", "4")
    assert capacity["ephemeral-storage"] == "200Gi"
    cloud.client("ec2").delete_launch_template(LaunchTemplateId=made["LaunchTemplateId"])

    def described() -> Any:
        return eks.describe_nodegroup(clusterName=CLUSTER, nodegroupName="efa")["nodegroup"]

    until(lambda: described()["status"] == "DEGRADED")
    assert made["LaunchTemplateId"] in described()["health"]["issues"][0]["message"]
    assert len(nodes_of(server, "efa")) == 2
    drop_group(eks, server, "efa")


def test_a_group_of_an_unknown_instance_type_fails_with_the_reason(
    eks: Any, subnets: list[str]
) -> None:
    eks.create_nodegroup(
        clusterName=CLUSTER,
        nodegroupName="odd",
        nodeRole=ROLE,
        subnets=subnets,
        instanceTypes=["p9.huge"],
    )

    def described() -> Any:
        return eks.describe_nodegroup(clusterName=CLUSTER, nodegroupName="odd")["nodegroup"]

    until(lambda: described()["status"] == "CREATE_FAILED")
    assert "p9.huge" in described()["health"]["issues"][0]["message"]
    eks.delete_nodegroup(clusterName=CLUSTER, nodegroupName="odd")


WORKER, PULL, PLUGIN = (
    "AmazonEKSWorkerNodePolicy",
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonEKS_CNI_Policy",
)
NODE_ROLES = {
    "the three of the guide": ((WORKER, PULL, PLUGIN), ""),
    "no kubelet": ((PULL,), "ec2:DescribeInstances"),
    "no images": ((WORKER, PLUGIN), "ecr:GetAuthorizationToken"),
    "no addresses": ((WORKER, PULL), "ec2:AssignPrivateIpAddresses"),
}


def role_of(cloud: Cloud, name: str, policies: Sequence[str], service: str) -> str:
    iam = cloud.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    for policy in policies:
        iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
    return str(made)


@pytest.mark.parametrize("case", NODE_ROLES)
def test_nodes_join_where_their_role_may_do_what_a_node_does(
    cloud: Cloud, eks: Any, server: Client, subnets: list[str], case: str
) -> None:
    policies, denied = NODE_ROLES[case]
    name = case.replace(" ", "-")
    request = {"clusterName": CLUSTER, "nodegroupName": name, "subnets": subnets}
    eks.create_nodegroup(
        **request, nodeRole=role_of(cloud, name, policies, "ec2.amazonaws.com"),
        instanceTypes=["m5.large"],
        scalingConfig={"minSize": 1, "maxSize": 1, "desiredSize": 1},
    )  # fmt: skip

    def described() -> Any:
        return eks.describe_nodegroup(clusterName=CLUSTER, nodegroupName=name)["nodegroup"]

    until(lambda: described()["status"] != "CREATING")
    issues = described()["health"]["issues"]
    assert described()["status"] == ("CREATE_FAILED" if denied else "ACTIVE")
    assert bool(nodes_of(server, name)) != bool(denied)
    assert [(issue["code"], denied in issue["message"]) for issue in issues] == (
        [("NodeCreationFailure", True)] if denied else []
    )
    drop_group(eks, server, name)


def test_the_network_plugin_may_have_a_role_of_its_own(
    cloud: Cloud, eks: Any, server: Client, subnets: list[str]
) -> None:
    plugin = role_of(cloud, "plugin", [PLUGIN], "pods.eks.amazonaws.com")
    association = eks.create_pod_identity_association(
        clusterName=CLUSTER, namespace="kube-system", serviceAccount="aws-node", roleArn=plugin
    )["association"]
    nodes_role = role_of(cloud, "nodes", [WORKER, PULL], "ec2.amazonaws.com")
    create_group(eks, "plugged", subnets, nodeRole=nodes_role)

    def described() -> Any:
        return eks.describe_nodegroup(clusterName=CLUSTER, nodegroupName="plugged")["nodegroup"]

    cloud.client("iam").detach_role_policy(
        RoleName="plugin", PolicyArn=f"arn:aws:iam::aws:policy/{PLUGIN}"
    )
    until(lambda: described()["status"] == "DEGRADED")
    assert len(nodes_of(server, "plugged")) == 2
    cloud.client("iam").attach_role_policy(
        RoleName="plugin", PolicyArn=f"arn:aws:iam::aws:policy/{PLUGIN}"
    )
    until(lambda: described()["status"] == "ACTIVE")
    assert described()["health"]["issues"] == []
    drop_group(eks, server, "plugged")
    eks.delete_pod_identity_association(
        clusterName=CLUSTER, associationId=association["associationId"]
    )


def test_a_program_that_dies_starts_again_with_what_it_knew(cloud: Cloud, server: Client) -> None:
    kind = server.kind("v1", "ConfigMap")
    assert kind is not None
    server.create(kind, {"metadata": {"name": "kept", "namespace": "default"}})
    victims = [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(cloud.home) in " ".join(process.info["cmdline"] or ())
        and {"etcd", "kube-apiserver"} & set(process.info["cmdline"])
    ]
    assert len(victims) == 2
    for victim in victims:
        victim.kill()

    def kept() -> bool:
        try:
            return server.get(kind, "default", "kept") is not None
        except Exception:  # noqa: BLE001 whatever a server that is not there yet causes
            return False

    until(kept)


def test_a_deleted_cluster_takes_its_server_along_and_the_next_has_a_new_one(
    tmp_path: Path, control_plane_binaries: toolchain.Kubernetes
) -> None:
    with running_cloud(tmp_path) as running:
        first = create_cluster(running)
        assert len(left_of(tmp_path)) == 5
        running.client("eks").delete_cluster(name=CLUSTER)
        until(lambda: not left_of(tmp_path))
        until(lambda: not (tmp_path / "local" / "kubernetes").exists())
        second = create_cluster(running)
        assert first["endpoint"] != second["endpoint"]


def test_a_killed_cloud_leaves_its_cluster_to_the_next_and_no_process(
    tmp_path: Path, control_plane_binaries: toolchain.Kubernetes
) -> None:
    children = Children(folder=tmp_path / "local" / "run")
    with running_cloud(tmp_path) as running:
        first = create_cluster(running)
        name = {"metadata": {"name": "kept"}}
        client_of(running).create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", **name})
        before = {child.pid for child in children.recorded()}
        after = killed_cloud(running)
        found = after.client("eks").describe_cluster(name=CLUSTER)["cluster"]
        assert (found["status"], found["endpoint"]) == ("ACTIVE", first["endpoint"])
        assert found["certificateAuthority"] == first["certificateAuthority"]
        assert client_of(after).get(NAMESPACE, None, "kept") is not None
        own = {child.pid for child in children.recorded()}
        assert len(own) == len(left_of(tmp_path)) == 5 and not own & before


def test_without_the_programs_a_cluster_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLINTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    with running_cloud(tmp_path) as running:
        assert create_cluster(running)["endpoint"].endswith(".amazonaws.com/")
        assert "plinth toolchain kubernetes" in state(tmp_path)["kubernetes"]
        local = environment.LocalEnvironment(home=tmp_path, cloud=running.info)
        assert "KUBECONFIG" not in local.shell()
        assert left_of(tmp_path) == []


def test_a_server_that_does_not_start_fails_the_cluster_with_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bin"
    broken.mkdir()
    for name in (*toolchain.PROGRAMS, "kwok"):
        (broken / name).write_text(
            "#!/bin/sh\necho Kubernetes v1.34.2\necho no such flag\nexit 3\n"
        )
        (broken / name).chmod(0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(broken))
    found = toolchain.find()
    assert found is not None and found.origin == "KUBEBUILDER_ASSETS"
    with running_cloud(tmp_path) as running:
        eks = running.client("eks")
        eks.create_cluster(name=CLUSTER, roleArn=ROLE, resourcesVpcConfig={})

        def described() -> Any:
            return eks.describe_cluster(name=CLUSTER)["cluster"]

        until(lambda: described()["status"] == "FAILED")
        assert "no such flag" in described()["health"]["issues"][0]["message"]
