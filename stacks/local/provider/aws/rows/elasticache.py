"""Caches, their users and their subnets."""

from collections.abc import Callable, Mapping
from typing import Any

from stacks.local.provider.aws.row import Call, HookContext, Missing, Row, Tags, named

RECORDED = "recorded only: no cache answers"
ARN = "arn:aws:elasticache:{region}:{account}:"

CHANGEABLE = (
    "autoMinorVersionUpgrade",
    "automaticFailoverEnabled",
    "description",
    "engine",
    "engineVersion",
    "maintenanceWindow",
    "multiAzEnabled",
    "nodeType",
    "parameterGroupName",
    "securityGroupIds",
    "snapshotRetentionLimit",
    "snapshotWindow",
    "transitEncryptionEnabled",
    "transitEncryptionMode",
)


def tags(kind: str) -> Tags:
    """ElastiCache tags everything by ARN."""
    return Tags(
        add="AddTagsToResource",
        remove="RemoveTagsFromResource",
        key={"ResourceName": f"{ARN}{kind}:{{id}}"},
        path="TagList",
    )


def list_tags(kind: str) -> Call:
    """No describe call tells the tags."""
    return Call("ListTagsForResource", key={"ResourceName": f"{ARN}{kind}:{{id}}"})


def membership(name: str, member: str) -> Callable[[HookContext], Mapping[str, Any] | None]:
    """Lists to add and to remove, for an input that is a set."""

    def build(scene: HookContext) -> Mapping[str, Any] | None:
        old, new = set(scene.old.get(name) or ()), set(scene.new.get(name) or ())
        lists = {f"{member}ToAdd": sorted(new - old), f"{member}ToRemove": sorted(old - new)}
        return {key: value for key, value in lists.items() if value} or None

    return build


def replicas(more: bool) -> Callable[[HookContext], Mapping[str, Any] | None]:
    """There is one call for more replicas and one for fewer; the primary node counts in neither."""

    def build(scene: HookContext) -> Mapping[str, Any] | None:
        old, new = scene.old.get("numCacheClusters", 1), scene.new.get("numCacheClusters", 1)
        if new == old or (new > old) != more:
            return None
        return {"NewReplicaCount": new - 1, "ApplyImmediately": True}

    return build


ROWS = (
    Row(
        token="aws:elasticache/replicationGroup:ReplicationGroup",
        service="elasticache",
        cfn="AWS::ElastiCache::ReplicationGroup",
        create=Call(
            "CreateReplicationGroup",
            (
                "atRestEncryptionEnabled",
                "kmsKeyId",
                "numCacheClusters",
                "port",
                "replicationGroupId",
                "subnetGroupName",
                "userGroupIds",
                *CHANGEABLE,
            ),
        ),
        read=Call("DescribeReplicationGroups", result="ReplicationGroups[0]"),
        also=(list_tags("replicationgroup"),),
        update=(
            Call("ModifyReplicationGroup", CHANGEABLE, fixed={"ApplyImmediately": True}),
            Call(
                "ModifyReplicationGroup",
                ("userGroupIds",),
                build=membership("userGroupIds", "UserGroupIds"),
            ),
            Call("IncreaseReplicaCount", ("numCacheClusters",), build=replicas(True)),
            Call("DecreaseReplicaCount", ("numCacheClusters",), build=replicas(False)),
        ),
        delete=Call("DeleteReplicationGroup"),
        identity=named("replicationGroupId"),
        rename={
            "description": "ReplicationGroupDescription",
            "maintenanceWindow": "PreferredMaintenanceWindow",
            "nodeType": "CacheNodeType",
            "parameterGroupName": "CacheParameterGroupName",
            "subnetGroupName": "CacheSubnetGroupName",
        },
        reads={"description": "Description"},
        # told by the clusters of a group, which do not exist here
        write_only=(
            "automaticFailoverEnabled",
            "engineVersion",
            "maintenanceWindow",
            "multiAzEnabled",
            "numCacheClusters",
            "parameterGroupName",
            "port",
            "securityGroupIds",
            "subnetGroupName",
            "userGroupIds",
        ),
        computed=("engineVersion", "maintenanceWindow", "parameterGroupName", "snapshotWindow"),
        defaults={"autoMinorVersionUpgrade": True, "snapshotRetentionLimit": 0},
        replace_on=(
            "atRestEncryptionEnabled",
            "kmsKeyId",
            "port",
            "replicationGroupId",
            "subnetGroupName",
        ),
        refuses=(
            "applyImmediately",
            "authToken",
            "authTokenUpdateStrategy",
            "authTokenWo",
            "authTokenWoVersion",
            "clusterMode",
            "dataTieringEnabled",
            "durability",
            "finalSnapshotIdentifier",
            "globalReplicationGroupId",
            "ipDiscovery",
            "logDeliveryConfigurations",
            "networkType",
            "nodeGroupConfigurations",
            "notificationTopicArn",
            "numNodeGroups",
            "preferredCacheClusterAzs",
            "replicasPerNodeGroup",
            "securityGroupNames",
            "snapshotArns",
            "snapshotName",
        ),
        outputs={"arn": "ARN", "primaryEndpointAddress": "{id}.invalid"},
        tags=tags("replicationgroup"),
        missing=(Missing("ReplicationGroupNotFoundFault"),),
        fidelity=RECORDED,
    ),
    Row(
        token="aws:elasticache/subnetGroup:SubnetGroup",
        service="elasticache",
        cfn="AWS::ElastiCache::SubnetGroup",
        create=Call("CreateCacheSubnetGroup"),
        read=Call("DescribeCacheSubnetGroups", result="CacheSubnetGroups[0]"),
        also=(list_tags("subnetgroup"),),
        update=(Call("ModifyCacheSubnetGroup", ("description", "subnetIds")),),
        delete=Call("DeleteCacheSubnetGroup"),
        identity=named("name"),
        rename={"name": "CacheSubnetGroupName", "description": "CacheSubnetGroupDescription"},
        write_only=("subnetIds",),
        replace_on=("name",),
        outputs={"arn": "ARN"},
        tags=tags("subnetgroup"),
        missing=(Missing("CacheSubnetGroupNotFoundFault"),),
        fidelity=RECORDED,
    ),
    Row(
        token="aws:elasticache/user:User",
        service="elasticache",
        cfn="AWS::ElastiCache::User",
        create=Call("CreateUser"),
        read=Call("DescribeUsers", result="Users[0]"),
        also=(list_tags("user"),),
        update=(Call("ModifyUser", ("accessString", "authenticationMode", "engine")),),
        delete=Call("DeleteUser"),
        identity=named("userId"),
        write_only=("authenticationMode",),
        replace_on=("userId", "userName"),
        # a password would stand in the state
        refuses=(
            "authenticationMode.passwordCount",
            "noPasswordRequired",
            "passwords",
            "passwordsWo",
            "passwordsWoVersion",
        ),
        outputs={"arn": "ARN"},
        tags=tags("user"),
        missing=(Missing("UserNotFound"),),
        fidelity=RECORDED,
    ),
    Row(
        token="aws:elasticache/userGroup:UserGroup",
        service="elasticache",
        cfn="AWS::ElastiCache::UserGroup",
        create=Call("CreateUserGroup"),
        read=Call("DescribeUserGroups", result="UserGroups[0]"),
        also=(list_tags("usergroup"),),
        update=(
            Call("ModifyUserGroup", ("userIds",), build=membership("userIds", "UserIds")),
            Call("ModifyUserGroup", ("engine",)),
        ),
        delete=Call("DeleteUserGroup"),
        identity=named("userGroupId"),
        write_only=("userIds",),
        replace_on=("userGroupId",),
        outputs={"arn": "ARN"},
        tags=tags("usergroup"),
        missing=(Missing("UserGroupNotFound"),),
        fidelity=RECORDED,
    ),
)
