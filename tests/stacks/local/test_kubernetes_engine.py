"""The real engine deploys a cluster and what runs on it, changes it and takes it down."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s
import pytest

from infra.errors import CheckFailed
from stacks.local.daemon import client as session
from stacks.local.daemon import environment
from stacks.local.kubernetes import nodes, stand_ins
from stacks.local.kubernetes.client import Client
from stacks.local.kubernetes.control_plane import OWN_KUBECONFIG
from stacks.targets.engine import Changes, Stack
from stacks.toolchain import control_plane as toolchain
from tests.kits.kubernetes import control_plane_binaries, until
from tests.kits.local_cloud import running_cloud

__all__ = ["control_plane_binaries"]

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": ["eks.amazonaws.com", "ec2.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        },
    }
)


def kubeconfig(cluster: aws.eks.Cluster) -> pulumi.Output[str]:
    """What a program says to reach an EKS cluster: server, authority, and how to log in."""

    def written(described: list[Any]) -> str:
        endpoint, authority = described
        server = {"server": endpoint, "certificate-authority-data": authority["data"]}
        login = {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "aws",
            "args": ["eks", "get-token", "--cluster-name", "plinth-test"],
        }
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "eks", "cluster": server}],
                "users": [{"name": "eks", "user": {"exec": login}}],
                "contexts": [{"name": "eks", "context": {"cluster": "eks", "user": "eks"}}],
                "current-context": "eks",
            }
        )

    return pulumi.Output.all(cluster.endpoint, cluster.certificate_authority).apply(written)


def cluster_with_gpus(**more: Any) -> aws.eks.Cluster:
    role = aws.iam.Role("role", name="plinth-test-eks", assume_role_policy=TRUST)
    rights = [
        aws.iam.RolePolicyAttachment(
            name, role=role.name, policy_arn=f"arn:aws:iam::aws:policy/{name}"
        )
        for name in (
            "AmazonEKSWorkerNodePolicy",
            "AmazonEC2ContainerRegistryPullOnly",
            "AmazonEKS_CNI_Policy",
        )
    ]
    vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
    subnets = [
        aws.ec2.Subnet(z, vpc_id=vpc.id, cidr_block=f"10.0.{i}.0/24", availability_zone=z)
        for i, z in enumerate(("us-east-1a", "us-east-1b"))
    ]
    cluster = aws.eks.Cluster(
        "cluster",
        name="plinth-test",
        role_arn=role.arn,
        vpc_config=aws.eks.ClusterVpcConfigArgs(subnet_ids=[s.id for s in subnets]),
        **more,
    )
    aws.eks.NodeGroup(
        "gpu",
        cluster_name=cluster.name,
        node_group_name="gpu",
        node_role_arn=role.arn,
        subnet_ids=[s.id for s in subnets],
        instance_types=["g5.xlarge"],
        ami_type="AL2023_x86_64_NVIDIA",
        scaling_config=aws.eks.NodeGroupScalingConfigArgs(min_size=2, max_size=2, desired_size=2),
        opts=pulumi.ResourceOptions(depends_on=rights),
    )
    return cluster


def program(gpus: str, *, wrong: bool = False) -> Callable[[], None]:
    """A cluster with GPU nodes, a namespace with a quota, a queue without an operator."""

    def register() -> None:
        provider = k8s.Provider("eks", kubeconfig=kubeconfig(cluster_with_gpus()))
        options = pulumi.ResourceOptions(provider=provider)
        team = k8s.core.v1.Namespace(
            "team", metadata=k8s.meta.v1.ObjectMetaArgs(name="team"), opts=options
        )
        k8s.core.v1.ResourceQuota(
            "quota",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name="gpus", namespace=team.metadata.apply(lambda found: str(found.name))
            ),
            spec=k8s.core.v1.ResourceQuotaSpecArgs(hard={"requests.nvidia.com/gpu": gpus}),
            opts=options,
        )
        k8s.core.v1.Secret(
            "token",
            metadata=k8s.meta.v1.ObjectMetaArgs(name="token", namespace="default"),
            string_data={"token": pulumi.Output.secret("hunter2")},
            opts=options,
        )
        k8s.apiextensions.CustomResource(
            "queue",
            api_version="kueue.x-k8s.io/v1beta1",
            kind="ClusterQueue",
            metadata=k8s.meta.v1.ObjectMetaArgs(name="all"),
            spec={"cohort": "all"},
            opts=options,
        )
        if wrong:
            k8s.scheduling.v1.PriorityClass(
                "wrong",
                metadata=k8s.meta.v1.ObjectMetaArgs(name="system-mine"),
                value=1,
                opts=options,
            )

    return register


def stack_of(home: Path, cloud: session.CloudInfo, pulumi_cli: Path) -> Stack:
    """A stack of this home's cloud."""
    local = environment.LocalEnvironment(home=home, cloud=cloud)
    local.state.mkdir(parents=True)
    return Stack(
        name="local.cluster",
        pulumi_root=pulumi_cli.parent.parent,
        pulumi_home=home / "pulumi",
        environment=local.engine(),
        secrets_provider="passphrase",
        policy_pack=None,
    )


OWNER = "arn:aws:iam::123456789012:user/plinth-local"


def let_in(policy: str | None) -> Callable[[], None]:
    """A namespace in a cluster that goes by access entries; its deployer has this policy."""

    def register() -> None:
        mode = {"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": False}
        cluster = cluster_with_gpus(access_config=mode)
        entries: list[pulumi.Resource] = []
        if policy is not None:
            entry = aws.eks.AccessEntry("me", cluster_name=cluster.name, principal_arn=OWNER)
            association = aws.eks.AccessPolicyAssociation(
                "me",
                cluster_name=cluster.name,
                principal_arn=entry.principal_arn,
                policy_arn=f"arn:aws:eks::aws:cluster-access-policy/{policy}",
                access_scope={"type": "cluster"},
            )
            entries.append(association)
        provider = k8s.Provider(
            "eks", kubeconfig=kubeconfig(cluster), opts=pulumi.ResourceOptions(depends_on=entries)
        )
        metadata = k8s.meta.v1.ObjectMetaArgs(name="team")
        options = pulumi.ResourceOptions(provider=provider)
        k8s.core.v1.Namespace("team", metadata=metadata, opts=options)

    return register


@pytest.mark.e2e
def test_a_deployer_without_an_access_entry_is_told_which(
    tmp_path: Path, pulumi_cli: Path, control_plane_binaries: toolchain.Kubernetes
) -> None:
    with running_cloud(tmp_path) as running:
        stack = stack_of(tmp_path, running.info, pulumi_cli)

        def run(operation: Any, register: Callable[[], None]) -> Changes:
            return stack.run(operation, register, lambda done, name: None)

        with pytest.raises(CheckFailed) as refused:
            run("up", let_in(None))
        assert f"the cluster's API must let {OWNER} in, got 401 Unauthorized" in str(refused.value)
        assert f"give {OWNER} an access entry with an access policy" in str(refused.value)
        with pytest.raises(CheckFailed, match='cannot patch resource "namespaces"'):
            run("up", let_in("AmazonEKSViewPolicy"))
        run("up", let_in("AmazonEKSClusterAdminPolicy"))
        assert run("up", let_in("AmazonEKSClusterAdminPolicy")).changed == []
        run("destroy", lambda: None)


@pytest.mark.e2e
def test_a_cluster_and_what_runs_on_it_live_and_go(
    tmp_path: Path, pulumi_cli: Path, control_plane_binaries: toolchain.Kubernetes
) -> None:
    with running_cloud(tmp_path) as running:
        local = environment.LocalEnvironment(home=tmp_path, cloud=running.info)
        stack = stack_of(tmp_path, running.info, pulumi_cli)

        def run(operation: Any, register: Callable[[], None]) -> Changes:
            return stack.run(operation, register, lambda done, name: None)

        assert run("preview", program("2")).counts["create"] == 13
        assert run("up", program("2")).counts["create"] == 13
        client = Client.of(tmp_path / "local" / "kubernetes" / OWN_KUBECONFIG)
        quota = client.kind("v1", "ResourceQuota")
        assert quota is not None
        until(lambda: len(client.list(nodes.NODE)) == 2)
        assert stand_ins.listed(client) == {"kueue.x-k8s.io/v1beta1 ClusterQueue": ["all"]}
        assert set(run("up", program("2")).changed) == set()
        assert run("preview", program("1")).changed == [
            "update kubernetes:core/v1:ResourceQuota quota"
        ]
        run("up", program("1"))
        held = client.get(quota, "team", "gpus")
        assert held is not None and held["spec"]["hard"]["requests.nvidia.com/gpu"] == "1"
        with pytest.raises(CheckFailed, match="system-"):
            run("preview", program("1", wrong=True))
        state = next((local.state / ".pulumi" / "stacks").rglob("local.cluster.json")).read_text()
        told = state + (tmp_path / "local" / "cloud.log").read_text()
        assert "hunter2" not in told and "aHVudGVyMg==" not in told
        assert run("destroy", lambda: None).counts["delete"] == 13
        until(lambda: not local.kubeconfig.exists())
