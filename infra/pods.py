"""Pods of the environment's cluster that act as a role of another stack."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role


@dataclass(frozen=True, kw_only=True)
class PodsArgs(ComponentArgs):
    """Which pods, and as whom."""

    role: Role
    """It must trust `pods.eks.amazonaws.com` for this service account."""

    namespace: str
    service_account: str


class Pods(Component):
    """The association by which EKS gives a service account's pods a role."""

    def __init__(
        self, name: str, args: PodsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        aws.eks.PodIdentityAssociation(
            f"{name}-identity",
            cluster_name=self.names.platform.of("cluster"),
            namespace=args.namespace,
            service_account=args.service_account,
            role_arn=args.role.arn,
            tags=self.tags("pods"),
            opts=self.child,
        )
        self.seal()
