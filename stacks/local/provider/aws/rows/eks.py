"""Clusters and their node groups."""

from collections.abc import Mapping
from typing import Any

from stacks.local.provider.aws.row import (
    EVERYTHING,
    Call,
    HookContext,
    Identity,
    Missing,
    Row,
    Tags,
    Wait,
    named,
    parts,
)
from stacks.local.provider.backend import Properties

MISSING = (Missing("ResourceNotFoundException"),)
CLUSTER_FAILED = ("FAILED",)
NODES_FAILED = ("CREATE_FAILED", "DEGRADED", "DELETE_FAILED")


def tags(arn: str) -> Tags:
    """EKS tags are a map."""
    return Tags(
        create="tags",
        add="TagResource",
        remove="UntagResource",
        member="tags",
        keys="tagKeys",
        key={"resourceArn": f"{{{arn}}}"},
        path="tags",
    )


def logs(scene: HookContext) -> Mapping[str, Any]:
    """The log types that are on, and the others off."""
    on = scene.new.get("enabledClusterLogTypes") or []
    off = sorted(set(scene.old.get("enabledClusterLogTypes") or []) - set(on))
    setups = [{"types": on, "enabled": True}] if on else []
    return {"logging": {"clusterLogging": [*setups, *_disabled(off)]}} if on or off else {}


def _disabled(types: list[str]) -> list[dict[str, Any]]:
    return [{"types": types, "enabled": False}] if types else []


def labels(scene: HookContext) -> Mapping[str, Any]:
    """Labels to set and labels to take away."""
    old, new = scene.old.get("labels") or {}, scene.new.get("labels") or {}
    payload = {"addOrUpdateLabels": new, "removeLabels": sorted(set(old) - set(new))}
    return {"labels": {key: value for key, value in payload.items() if value}}


def taints(scene: HookContext) -> Mapping[str, Any]:
    """Taints to set and taints to take away; key and effect tell them apart."""
    old, new = scene.old.get("taints") or [], scene.new.get("taints") or []
    kept = {(taint["key"], taint["effect"]) for taint in new}
    removed = [taint for taint in old if (taint["key"], taint["effect"]) not in kept]
    payload = {"addOrUpdateTaints": new, "removeTaints": removed}
    return {"taints": {key: value for key, value in payload.items() if value}}


def removed(_: Any, after: Any, __: Properties) -> bool:
    """Whether a value is there no more."""
    return not after


ROWS = (
    Row(
        token="aws:eks/accessEntry:AccessEntry",
        service="eks",
        cfn="AWS::EKS::AccessEntry",
        create=Call("CreateAccessEntry"),
        read=Call("DescribeAccessEntry", result="accessEntry"),
        update=(Call("UpdateAccessEntry", ("kubernetesGroups", "userName")),),
        delete=Call("DeleteAccessEntry"),
        identity=parts(":", "clusterName", "principalArn"),
        rename={"userName": "username"},
        computed=("kubernetesGroups", "type", "userName"),
        replace_on=("clusterName", "principalArn", "type"),
        outputs={
            "accessEntryArn": "accessEntryArn",
            "createdAt": "createdAt",
            "kubernetesGroups": "kubernetesGroups",
            "modifiedAt": "modifiedAt",
        },
        volatile=("modifiedAt",),
        tags=tags("accessEntryArn"),
        missing=MISSING,
        fidelity="lets its principal into the local API server as EKS does; the aws-auth "
        "ConfigMap is not read",
    ),
    Row(
        token="aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        service="eks",
        cfn="",
        create=Call("AssociateAccessPolicy"),
        read=Call(
            "ListAssociatedAccessPolicies",
            key={"clusterName": "{clusterName}", "principalArn": "{principalArn}"},
            result="associatedAccessPolicies[?policyArn=='{policyArn}'] | [0]",
        ),
        delete=Call("DisassociateAccessPolicy"),
        identity=parts("#", "clusterName", "principalArn", "policyArn"),
        replace_on=EVERYTHING,
        outputs={"associatedAt": "associatedAt", "modifiedAt": "modifiedAt"},
        missing=MISSING,
        fidelity="decides in the local API server by AWS's rules of the policy; those of EKS "
        "Auto Mode and of other services allow nothing",
    ),
    Row(
        token="aws:eks/addon:Addon",
        service="eks",
        cfn="AWS::EKS::Addon",
        create=Call("CreateAddon", rename={"resolveConflictsOnCreate": "resolveConflicts"}),
        read=Call("DescribeAddon", result="addon"),
        update=(
            Call(
                "UpdateAddon",
                (
                    "addonVersion",
                    "configurationValues",
                    "resolveConflictsOnUpdate",
                    "serviceAccountRoleArn",
                ),
                rename={"resolveConflictsOnUpdate": "resolveConflicts"},
            ),
        ),
        delete=Call("DeleteAddon", ("preserve",)),
        identity=parts(":", "clusterName", "addonName"),
        write_only=("preserve", "resolveConflictsOnCreate", "resolveConflictsOnUpdate"),
        provider_only=("resolveConflictsOnCreate",),
        computed=("addonVersion", "configurationValues"),
        replace_on=("addonName", "clusterName", "namespaceConfig"),
        # the describe answer tells the ids of associations; they are resources of their own here
        refuses=("podIdentityAssociations",),
        outputs={
            "addonVersion": "addonVersion",
            "arn": "addonArn",
            "configurationValues": "configurationValues",
            "createdAt": "createdAt",
            "modifiedAt": "modifiedAt",
        },
        volatile=("modifiedAt",),
        tags=tags("addonArn"),
        missing=MISSING,
        wait=Wait(
            status="status",
            good=("ACTIVE",),
            bad=("CREATE_FAILED", "DEGRADED", "UPDATE_FAILED"),
            reason="health.issues",
        ),
        fidelity="recorded only: nothing of it runs in the local cluster, and its version is not "
        "looked up",
    ),
    Row(
        token="aws:eks/cluster:Cluster",
        service="eks",
        cfn="AWS::EKS::Cluster",
        create=Call("CreateCluster", omits=("logging",), build=logs),
        read=Call("DescribeCluster", result="cluster"),
        update=(
            # One kind of change per call, as EKS demands
            Call("UpdateClusterConfig", ("vpcConfig",)),
            Call("UpdateClusterConfig", ("enabledClusterLogTypes",), build=logs),
            Call("UpdateClusterConfig", ("accessConfig",)),
            Call("UpdateClusterConfig", ("deletionProtection",)),
            Call("UpdateClusterConfig", ("upgradePolicy",)),
            Call("UpdateClusterConfig", ("kubernetesNetworkConfig",)),
            Call("UpdateClusterVersion", ("version",)),
        ),
        delete=Call("DeleteCluster"),
        identity=named("name"),
        rename={"vpcConfig": "resourcesVpcConfig", "encryptionConfig": "encryptionConfig[0]"},
        reads={"enabledClusterLogTypes": "logging.clusterLogging[?enabled].types | [0]"},
        write_only=(
            "accessConfig",
            "bootstrapSelfManagedAddons",
            "deletionProtection",
            "upgradePolicy",
        ),
        autoname="name",
        computed=(
            "version",
            "kubernetesNetworkConfig",
            "vpcConfig.publicAccessCidrs",
            "vpcConfig.endpointPrivateAccess",
            "vpcConfig.endpointPublicAccess",
        ),
        replace_on=(
            "accessConfig.bootstrapClusterCreatorAdminPermissions",
            "bootstrapSelfManagedAddons",
            "encryptionConfig",
            "kubernetesNetworkConfig.ipFamily",
            "kubernetesNetworkConfig.serviceIpv4Cidr",
            "name",
            "roleArn",
        ),
        # another key is refused by the API, none any more replaces (terraform-provider-aws,
        # eks/cluster.go, CustomizeDiff)
        official={"encryptionConfig": removed},
        refuses=(
            "computeConfig",
            "controlPlaneScalingConfig",
            "defaultAddonsToRemoves",
            "forceUpdateVersion",
            "kubeApiServerConfig",
            "kubeControllerManagerConfig",
            "kubeSchedulerConfig",
            "kubernetesNetworkConfig.serviceIpv6Cidr",
            "outpostConfig",
            "remoteNetworkConfig",
            "storageConfig",
            "vpcConfig.clusterSecurityGroupId",
            "vpcConfig.vpcId",
            "zonalShiftConfig",
        ),
        outputs={
            "arn": "arn",
            "certificateAuthority": "certificateAuthority",
            "createdAt": "createdAt",
            "endpoint": "endpoint",
            "identities": "[{oidcs: [{issuer: identity.oidc.issuer}]}]",
            "platformVersion": "platformVersion",
            "status": "status",
        },
        tags=tags("arn"),
        missing=MISSING,
        wait=Wait(status="status", good=("ACTIVE",), bad=CLUSTER_FAILED, reason="health.issues"),
        fidelity="the first cluster gets a real API server of Kubernetes 1.34, whatever version "
        "it asks for, where `plinth toolchain kubernetes` has built one; versions cannot be "
        "upgraded, and deletion protection and upgrade policy are not kept",
    ),
    Row(
        token="aws:eks/nodeGroup:NodeGroup",
        service="eks",
        cfn="AWS::EKS::Nodegroup",
        create=Call("CreateNodegroup"),
        read=Call("DescribeNodegroup", result="nodegroup"),
        update=(
            Call("UpdateNodegroupConfig", ("scalingConfig", "updateConfig", "nodeRepairConfig")),
            Call("UpdateNodegroupConfig", ("labels",), build=labels),
            Call("UpdateNodegroupConfig", ("taints",), build=taints),
            Call(
                "UpdateNodegroupVersion",
                ("launchTemplate", "releaseVersion", "version", "forceUpdateVersion"),
                rename={"forceUpdateVersion": "force"},
            ),
        ),
        delete=Call("DeleteNodegroup"),
        identity=parts(":", "clusterName", "nodeGroupName"),
        rename={
            "nodeGroupName": "nodegroupName",
            "nodeRoleArn": "nodeRole",
            "sourceSecurityGroupIds": "sourceSecurityGroups",
            "subnetIds": "subnets",
        },
        # moto keeps no update and repair settings, and makes up a remote access of its own
        write_only=("forceUpdateVersion", "nodeRepairConfig", "remoteAccess", "updateConfig"),
        autoname="nodeGroupName",
        ordered=("instanceTypes",),
        defaults={"capacityType": "ON_DEMAND"},
        computed=(
            "amiType",
            "diskSize",
            "instanceTypes",
            "launchTemplate.id",
            "launchTemplate.name",
            "releaseVersion",
            "version",
        ),
        replace_on=(
            "amiType",
            "capacityType",
            "clusterName",
            "diskSize",
            "instanceTypes",
            "launchTemplate.id",
            "launchTemplate.name",
            "nodeGroupName",
            "nodeRoleArn",
            "remoteAccess",
            "subnetIds",
            "tags",  # moto tags clusters alone; EKS would tag the group in place
        ),
        official={"tags": False},
        refuses=("nodeGroupNamePrefix", "warmPoolConfig"),
        outputs={
            "amiType": "amiType",
            "arn": "nodegroupArn",
            "diskSize": "diskSize",
            "instanceTypes": "instanceTypes",
            "releaseVersion": "releaseVersion",
            "status": "status",
            "version": "version",
        },
        tags=tags("nodegroupArn"),
        missing=MISSING,
        wait=Wait(status="status", good=("ACTIVE",), bad=NODES_FAILED, reason="health.issues"),
        fidelity="nodes with the labels, taints and devices of the first instance type, their "
        "kubelets played by kwok; launch template and version cannot be changed in place, and "
        "update and repair settings are not kept",
    ),
    Row(
        token="aws:eks/podIdentityAssociation:PodIdentityAssociation",
        service="eks",
        cfn="AWS::EKS::PodIdentityAssociation",
        create=Call("CreatePodIdentityAssociation"),
        read=Call("DescribePodIdentityAssociation", result="association"),
        update=(
            Call(
                "UpdatePodIdentityAssociation",
                ("disableSessionTags", "policy", "roleArn", "targetRoleArn"),
            ),
        ),
        delete=Call("DeletePodIdentityAssociation"),
        # the official provider's import id; its resource id leaves out the cluster, which
        # the describe call demands
        identity=Identity(
            inputs=("clusterName", "associationId"),
            separator=",",
            returned="join(',', [association.clusterName, association.associationId])",
        ),
        key={"clusterName": "{clusterName}", "associationId": "{associationId}"},
        replace_on=("clusterName", "namespace", "serviceAccount"),
        occupies=("clusterName", "namespace", "serviceAccount"),
        outputs={
            "associationArn": "associationArn",
            "associationId": "associationId",
            "externalId": "externalId",
        },
        tags=tags("associationArn"),
        missing=MISSING,
        fidelity="recorded only: no pod of the local cluster gets credentials",
    ),
)
