"""EMR Serverless and MSK. No job runs, no broker answers."""

from stacks.local.aws.recorded.recorded import Recorded

UUID = "{hash:.8}-0000-0000-0000-{hash:.12}-1"

KINDS = (
    Recorded(
        service="emr-serverless",
        name="application",
        create="CreateApplication",
        describe="GetApplication",
        list="ListApplications",
        update=("UpdateApplication",),
        delete="DeleteApplication",
        key={"applicationId": "applicationId"},
        member="application",
        made={
            "applicationId": "00{hash}",
            "arn": "arn:aws:emr-serverless:{region}:{account}:/applications/00{hash}",
        },
        sets={"state": "CREATED"},
        times=("createdAt", "updatedAt"),
        arn="arn",
    ),
    Recorded(
        service="kafka",
        name="cluster",
        create="CreateClusterV2",
        describe="DescribeClusterV2",
        list="ListClustersV2",
        update=(
            "UpdateBrokerCount",
            "UpdateBrokerStorage",
            "UpdateBrokerType",
            "UpdateClusterConfiguration",
            "UpdateClusterKafkaVersion",
            "UpdateMonitoring",
            "UpdateSecurity",
        ),
        delete="DeleteCluster",
        key={"ClusterArn": "ClusterArn"},
        member="ClusterInfo",
        made={"ClusterArn": "arn:aws:kafka:{region}:{account}:cluster/{ClusterName}/" + UUID},
        sets={"State": "ACTIVE", "CurrentVersion": "K1"},
        times=("CreationTime",),
        arn="ClusterArn",
        tags="Tags",
        missing="NotFoundException",
    ),
    Recorded(
        service="kafka",
        name="configuration",
        create="CreateConfiguration",
        describe="DescribeConfiguration",
        list="ListConfigurations",
        update=("UpdateConfiguration",),
        delete="DeleteConfiguration",
        key={"Arn": "Arn"},
        made={"Arn": "arn:aws:kafka:{region}:{account}:configuration/{Name}/" + UUID},
        sets={"State": "ACTIVE", "LatestRevision": {"Revision": 1}},
        times=("CreationTime",),
        missing="NotFoundException",
    ),
)
