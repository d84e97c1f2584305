"""The EKS cluster: control plane, system node group, add-ons, who may talk to it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi_kubernetes import Provider

from infra.component import Component, ComponentArgs, Role
from infra.naming import POOL_LABEL
from infra.nodes import Scaling, launch_template, scaling_config

CONTROL_PLANE_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
"""All log types that EKS offers (EKS user guide, control plane logging)."""

BEFORE_NODES = ("eks-pod-identity-agent", "kube-proxy", "vpc-cni")
"""Add-ons that nodes need to become ready; the others need nodes to become healthy."""

SERVICE_ACCOUNTS = {
    "aws-ebs-csi-driver": ("kube-system", "ebs-csi-controller-sa"),
    "vpc-cni": ("kube-system", "aws-node"),
}
"""Add-ons that call AWS: the account that Pod Identity gives their role (EKS user guide, add-ons
with IAM permissions)."""


@dataclass(frozen=True, kw_only=True)
class ClusterAccess:
    """What one IAM principal may do in the cluster."""

    principal_arn: pulumi.Input[str]

    policy: str | None = None
    """EKS access policy, such as `AmazonEKSViewPolicy`. Default: RBAC of the groups decides."""

    namespaces: Sequence[str] = ()
    """Where the policy holds. Default: in the whole cluster."""

    kubernetes_groups: Sequence[str] = ()
    """Groups that RBAC bindings name. Default: none."""


@dataclass(frozen=True, kw_only=True)
class ClusterArgs(ComponentArgs):
    """The control plane and the nodes that the cluster's own services run on."""

    version: str
    """Kubernetes minor version, such as `1.35`."""

    upgrade_policy: str = "STANDARD"
    """What EKS does once standard support ends: upgrade, or keep it at a price (`EXTENDED`)."""

    role_arn: pulumi.Input[str]
    node_role_arn: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[str]]
    security_group_id: pulumi.Input[str]
    """Of the control plane's interfaces and of every node, so that all may talk to each other."""
    kms_key_arn: pulumi.Input[str]

    volume_key_arn: pulumi.Input[str]
    """Key of the nodes' volumes."""

    system_instance_types: Sequence[str]
    system_scaling: Scaling

    system_release_version: str
    """AL2023 image of the system nodes, such as `1.35.6-20260818`: never the latest."""

    addons: Mapping[str, str]
    """EKS add-ons: version by name."""

    addon_roles: Mapping[str, Role] = field(default_factory=dict)
    """Roles of the add-ons that call AWS, by add-on. Default: they use the node's."""

    pod_subnet_ids: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Subnet for pods by zone id (custom networking). Default: pods use the nodes' subnets."""

    public_access_cidrs: Sequence[str] = ()
    """Who may reach the API endpoint from the internet. Default: nobody, it is private: what
    deploys the cluster must then be in the VPC."""

    access: Mapping[str, ClusterAccess] = field(default_factory=dict)
    """IAM principals with access, by a name of our own. Default: nobody."""

    log_retention_days: int = 90
    """Days control plane logs are kept. Default: 90."""

    deletion_protection: bool = True
    """Refuse to delete the cluster. Default: protected."""


class Cluster(Component):
    """An EKS cluster with encrypted secrets, all logs, pinned add-ons, and a CPU group for itself.

    `kubernetes` is the provider for what runs in it. It comes after the system nodes, so that on
    the way down everything in the cluster is gone before the nodes that its controllers run on.
    """

    cluster_name: pulumi.Output[str]
    cluster_arn: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    """Of the API server."""

    certificate_authority: pulumi.Output[str]
    """As base64 text."""

    kubeconfig: pulumi.Output[str]
    """For the AWS CLI's `eks get-token`; holds no secret."""

    def __init__(
        self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        cluster = self._control_plane(args)
        self.cluster_name = cluster.name
        self.cluster_arn = cluster.arn
        self.endpoint = cluster.endpoint
        self.certificate_authority = cluster.certificate_authority.apply(_data)
        self.kubeconfig = kubeconfig(cluster, self.names.region)
        identities = [
            self.pod_identity(role, *SERVICE_ACCOUNTS[addon])
            for addon, role in args.addon_roles.items()
        ]
        early = [self._addon(args, addon, identities) for addon in _sorted(args.addons, True)]
        system = self._system_nodes(args, early)
        late = [self._addon(args, addon, [system]) for addon in _sorted(args.addons, False)]
        entries = [self.grant_access(who, access) for who, access in sorted(args.access.items())]
        self.kubernetes = Provider(
            f"{name}-kubernetes",
            kubeconfig=self.kubeconfig,
            cluster_identifier=cluster.arn,  # a new endpoint or certificate is the same cluster
            enable_server_side_apply=True,
            delete_unreachable=False,  # an unreachable cluster has not lost its objects
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*early, system, *late, *entries]),
        )
        self.seal()

    def grant_access(self, who: str, access: ClusterAccess) -> pulumi.Resource:
        """Let an IAM principal talk to the API server."""
        name = f"{self.component_name}-access-{who}"
        entry = aws.eks.AccessEntry(
            name,
            cluster_name=self.cluster_name,
            principal_arn=access.principal_arn,
            kubernetes_groups=list(access.kubernetes_groups),
            tags=self.tags(f"access-{who}"),
            opts=self.child,
        )
        if access.policy is None:
            return entry
        namespaces = list(access.namespaces)
        return aws.eks.AccessPolicyAssociation(
            name,
            cluster_name=self.cluster_name,
            principal_arn=entry.principal_arn,
            policy_arn=self.names.aws_arn("eks", f"cluster-access-policy/{access.policy}"),
            access_scope=(
                {"type": "namespace", "namespaces": namespaces}
                if namespaces
                else {"type": "cluster"}
            ),
            opts=self.child,
        )

    def pod_identity(self, role: Role, namespace: str, service_account: str) -> pulumi.Resource:
        """Let the pods of a service account act as a role that trusts `pods.eks.amazonaws.com`."""
        return aws.eks.PodIdentityAssociation(
            f"{self.component_name}-identity-{role.purpose}",
            cluster_name=self.cluster_name,
            namespace=namespace,
            service_account=service_account,
            role_arn=role.arn,
            tags=self.tags(f"identity-{role.purpose}"),
            opts=self.child,
        )

    def _control_plane(self, args: ClusterArgs) -> aws.eks.Cluster:
        cluster_name = self.names.of("cluster")
        # The group exists before EKS would create it without retention and without a key
        logs = aws.cloudwatch.LogGroup(
            f"{self.component_name}-logs",
            name=f"/aws/eks/{cluster_name}/cluster",
            retention_in_days=args.log_retention_days,
            kms_key_id=args.kms_key_arn,
            tags=self.tags("cluster-logs"),
            opts=self.child,
        )
        public = list(args.public_access_cidrs)
        return aws.eks.Cluster(
            f"{self.component_name}-control-plane",
            name=cluster_name,
            version=args.version,
            upgrade_policy={"support_type": args.upgrade_policy},
            role_arn=args.role_arn,
            enabled_cluster_log_types=list(CONTROL_PLANE_LOGS),
            bootstrap_self_managed_addons=False,  # they are managed add-ons from the start
            access_config={
                "authentication_mode": "API",
                "bootstrap_cluster_creator_admin_permissions": False,
            },
            encryption_config={
                "provider": {"key_arn": args.kms_key_arn},
                "resources": ["secrets"],
            },
            vpc_config=aws.eks.ClusterVpcConfigArgs(
                endpoint_private_access=True,
                endpoint_public_access=bool(public),
                public_access_cidrs=public or None,
                subnet_ids=args.subnet_ids,
                security_group_ids=[args.security_group_id],
            ),
            deletion_protection=args.deletion_protection,
            tags=self.tags("cluster"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[logs]),
        )

    def _system_nodes(
        self, args: ClusterArgs, depends_on: Sequence[pulumi.Resource]
    ) -> aws.eks.NodeGroup:
        template = launch_template(
            self,
            "system",
            disk_gib=50,
            kms_key_arn=args.volume_key_arn,
            security_group_ids=[args.security_group_id],
        )
        return aws.eks.NodeGroup(
            f"{self.component_name}-system",
            cluster_name=self.cluster_name,
            node_group_name=self.names.of("system"),
            node_role_arn=args.node_role_arn,
            subnet_ids=args.subnet_ids,
            instance_types=list(args.system_instance_types),
            ami_type="AL2023_x86_64_STANDARD",
            release_version=args.system_release_version,
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            scaling_config=scaling_config(args.system_scaling),
            update_config={"max_unavailable": 1},
            node_repair_config={"enabled": True},
            labels={POOL_LABEL: "system"},
            tags=self.tags("system"),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=depends_on,
                ignore_changes=["scalingConfig.desiredSize"],  # an autoscaler's to change
            ),
        )

    def _addon(
        self, args: ClusterArgs, addon: str, depends_on: Sequence[pulumi.Resource]
    ) -> aws.eks.Addon:
        values = vpc_cni_values(args, self.names.region) if addon == "vpc-cni" else {}
        return aws.eks.Addon(
            f"{self.component_name}-{addon}",
            cluster_name=self.cluster_name,
            addon_name=addon,
            addon_version=args.addons[addon],
            configuration_values=pulumi.Output.json_dumps(values, sort_keys=True)
            if values
            else None,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            tags=self.tags(addon),
            opts=pulumi.ResourceOptions(parent=self, depends_on=depends_on),
        )


def _sorted(addons: Mapping[str, str], early: bool) -> list[str]:
    return sorted(name for name in addons if (name in BEFORE_NODES) == early)


def vpc_cni_values(args: ClusterArgs, region: str) -> dict[str, Any]:
    """Network policies on, addresses in prefixes of 16; pods in subnets of their own, if any.

    (Amazon VPC CNI: prefix mode and custom networking; the add-on makes the ENIConfigs.)
    """
    env = {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"}
    values: dict[str, Any] = {"enableNetworkPolicy": "true", "env": env}
    if args.pod_subnet_ids:
        env["AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"] = "true"
        env["ENI_CONFIG_LABEL_DEF"] = "topology.k8s.aws/zone-id"
        subnets = {zone: {"id": subnet} for zone, subnet in args.pod_subnet_ids.items()}
        values["eniConfig"] = {"create": True, "region": region, "subnets": subnets}
    return values


def _data(authority: Any) -> str:
    return str(authority["data"]) if authority else ""


def kubeconfig(cluster: aws.eks.Cluster, region: str) -> pulumi.Output[str]:
    """How a client reaches the cluster, as text, once EKS has made it."""

    def text(values: Mapping[str, Any]) -> str:
        authority = values["authority"]
        config = client_config(values["name"], values["endpoint"], _data(authority), region)
        return json.dumps(config, sort_keys=True)

    return pulumi.Output.all(
        name=cluster.name, endpoint=cluster.endpoint, authority=cluster.certificate_authority
    ).apply(text)


def client_config(name: str, endpoint: str, certificate: str, region: str) -> dict[str, Any]:
    """A kubeconfig: with the token of whoever runs it, and no secret in it."""
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1",  # what the AWS CLI writes
            "command": "aws",
            "args": ["eks", "get-token", "--cluster-name", name, "--region", region],
            "interactiveMode": "Never",
        }
    }
    server = {"server": endpoint, "certificate-authority-data": certificate}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": server}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
        "users": [{"name": name, "user": user}],
    }
