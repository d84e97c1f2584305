"""Volumes of pods that name no class: EKS has no default one."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from infra.component import Component, ComponentArgs


@dataclass(frozen=True, kw_only=True)
class DefaultVolumesArgs(ComponentArgs):
    """How they are encrypted. The component's provider for Kubernetes is the cluster's."""

    kms_key_arn: pulumi.Input[str]
    """The role of the EBS CSI driver must be allowed to use it."""


class DefaultVolumes(Component):
    """A default StorageClass: gp3, encrypted with our key, in the zone of the pod.

    A claim without a class would wait for ever (EKS user guide, Amazon EBS CSI driver: since
    Kubernetes 1.30 no class is a default one).
    """

    def __init__(
        self, name: str, args: DefaultVolumesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        kubernetes.storage.v1.StorageClass(
            f"{name}-class",
            metadata={
                "name": "gp3",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            provisioner="ebs.csi.aws.com",
            parameters={"type": "gp3", "encrypted": "true", "kmsKeyId": args.kms_key_arn},
            volume_binding_mode="WaitForFirstConsumer",
            reclaim_policy="Delete",
            allow_volume_expansion=True,
            opts=self.child,
        )
        self.seal()
