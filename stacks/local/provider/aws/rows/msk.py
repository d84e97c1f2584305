"""Kafka clusters."""

from collections.abc import Callable, Mapping
from typing import Any

from stacks.local.provider.aws.row import (
    EVERYTHING,
    Call,
    HookContext,
    Missing,
    Row,
    Tags,
    returned,
)

MISSING = (Missing("NotFoundException"),)
BROKERS = "brokerNodeGroupInfo"
TAGS = Tags(add="TagResource", remove="UntagResource", key={"ResourceArn": "{id}"})


def changed(path: str, member: str) -> Callable[[HookContext], Mapping[str, Any] | None]:
    """Each property of the brokers has a call of its own, and the version that it changes."""

    def value(inputs: Mapping[str, Any]) -> Any:
        found: Any = inputs
        for part in path.split("."):
            found = (found or {}).get(part)
        return found

    def build(scene: HookContext) -> Mapping[str, Any] | None:
        wanted = value(scene.new)
        if wanted is None or wanted == value(scene.old):
            return None
        if member == "TargetBrokerEBSVolumeInfo":
            wanted = [{"KafkaBrokerNodeId": "ALL", "VolumeSizeGB": wanted}]
        return {member: wanted, **version(scene)}

    return build


def version(scene: HookContext) -> Mapping[str, Any]:
    """Which version of the cluster a change starts from."""
    return {"CurrentVersion": (scene.describe() or {})["CurrentVersion"]}


ROWS = (
    Row(
        token="aws:msk/cluster:Cluster",
        service="kafka",
        cfn="AWS::MSK::Cluster",
        create=Call("CreateClusterV2", omits=("serverless",)),
        read=Call("DescribeClusterV2", result="ClusterInfo"),
        update=(
            Call(
                "UpdateBrokerCount",
                ("numberOfBrokerNodes",),
                build=changed("numberOfBrokerNodes", "TargetNumberOfBrokerNodes"),
            ),
            Call(
                "UpdateBrokerType",
                (BROKERS,),
                build=changed(f"{BROKERS}.instanceType", "TargetInstanceType"),
            ),
            Call(
                "UpdateBrokerStorage",
                (BROKERS,),
                build=changed(
                    f"{BROKERS}.storageInfo.ebsStorageInfo.volumeSize", "TargetBrokerEBSVolumeInfo"
                ),
            ),
            Call(
                "UpdateClusterKafkaVersion",
                ("kafkaVersion",),
                build=changed("kafkaVersion", "TargetKafkaVersion"),
            ),
            Call("UpdateClusterConfiguration", ("configurationInfo",), build=version),
            Call("UpdateMonitoring", ("enhancedMonitoring", "loggingInfo"), build=version),
            Call("UpdateSecurity", ("clientAuthentication", "encryptionInfo"), build=version),
        ),
        delete=Call("DeleteCluster"),
        identity=returned("ClusterArn"),
        key={"ClusterArn": "{id}"},
        occupies=("clusterName",),
        body="Provisioned",
        rename={
            "azDistribution": "BrokerAZDistribution",
            "encryptionAtRestKmsKeyArn": "EncryptionAtRest.DataVolumeKMSKeyId",
            "iam": "Iam.Enabled",
            "scram": "Scram.Enabled",
            "unauthenticated": "Unauthenticated.Enabled",
            "certificateAuthorityArns": "CertificateAuthorityArnList",
            "cloudwatchLogs": "CloudWatchLogs",
        },
        # the recorder shows what a cluster was created with
        write_only=(
            BROKERS,
            "clientAuthentication",
            "configurationInfo",
            "encryptionInfo",
            "enhancedMonitoring",
            "kafkaVersion",
            "loggingInfo",
            "numberOfBrokerNodes",
        ),
        replace_on=(
            f"{BROKERS}.azDistribution",
            f"{BROKERS}.clientSubnets",
            f"{BROKERS}.securityGroups",
            "clusterName",
            "encryptionInfo.encryptionAtRestKmsKeyArn",
            "encryptionInfo.encryptionInTransit.inCluster",
        ),
        refuses=(
            "openMonitoring",
            "rebalancing",
            "storageMode",
        ),
        outputs={
            "arn": "ClusterArn",
            "bootstrapBrokersSaslIam": "b-1.{clusterName}.invalid:9098",
            "currentVersion": "CurrentVersion",
        },
        tags=TAGS,
        missing=MISSING,
        fidelity="recorded only: no broker answers",
    ),
    Row(
        token="aws:msk/configuration:Configuration",
        service="kafka",
        cfn="AWS::MSK::Configuration",
        create=Call("CreateConfiguration"),
        read=Call("DescribeConfiguration"),
        update=(Call("UpdateConfiguration", ("description", "serverProperties")),),
        delete=Call("DeleteConfiguration"),
        identity=returned("Arn"),
        key={"Arn": "{id}"},
        occupies=("name",),
        write_only=("serverProperties",),
        replace_on=("kafkaVersions", "name"),
        outputs={"arn": "Arn", "latestRevision": "LatestRevision.Revision"},
        volatile=("latestRevision",),
        missing=MISSING,
        fidelity="recorded only: there is no broker to configure, and one revision",
    ),
    Row(
        token="aws:msk/serverlessCluster:ServerlessCluster",
        service="kafka",
        cfn="AWS::MSK::ServerlessCluster",
        create=Call("CreateClusterV2", omits=("provisioned",)),
        read=Call("DescribeClusterV2", result="ClusterInfo"),
        delete=Call("DeleteCluster"),
        identity=returned("ClusterArn"),
        key={"ClusterArn": "{id}"},
        occupies=("clusterName",),
        body="Serverless",
        replace_on=EVERYTHING,
        outputs={
            "arn": "ClusterArn",
            "bootstrapBrokersSaslIam": "boot.{clusterName}.invalid:9098",
        },
        tags=TAGS,
        missing=MISSING,
        fidelity="recorded only: no broker answers",
    ),
)
