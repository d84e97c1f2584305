"""EMR Serverless and MSK. What a job run does is in `emr/serverless.py`; no broker answers."""

from stacks.local.aws.recorded.recorded import Recorded

UUID = "{hash:.8}-0000-0000-0000-{hash:.12}-1"

APPLICATIONS = "arn:aws:emr-serverless:{region}:{account}:/applications"

APPLICATION = Recorded(
    service="emr-serverless",
    name="application",
    create="CreateApplication",
    linked_service="ops.emr-serverless.amazonaws.com",
    describe="GetApplication",
    list="ListApplications",
    update=("StartApplication", "StopApplication", "UpdateApplication"),
    delete="DeleteApplication",
    key={"applicationId": "applicationId"},
    member="application",
    made={
        "applicationId": "00{hash}",
        "id": "00{hash}",
        "arn": APPLICATIONS + "/00{hash}",
    },
    sets={"state": "CREATED"},
    times=("createdAt", "updatedAt"),
    arn="arn",
)
JOB_RUN = Recorded(
    service="emr-serverless",
    name="job run",
    create="StartJobRun",
    describe="GetJobRun",
    list="ListJobRuns",
    update=("CancelJobRun",),
    key={"applicationId": "applicationId", "jobRunId": "jobRunId"},
    member="jobRun",
    made={
        "jobRunId": "00{hash}",
        "id": "00{hash}",
        "arn": APPLICATIONS + "/{applicationId}/jobruns/00{hash}",
        "createdBy": "arn:aws:iam::{account}:root",  # who asked is not known here
    },
    sets={"state": "SUBMITTED", "stateDetails": "", "mode": "BATCH", "attempt": 1},
    times=("createdAt", "updatedAt", "attemptCreatedAt", "attemptUpdatedAt"),
    rename={"executionRoleArn": "executionRole"},
    arn="arn",
)

KINDS = (
    APPLICATION,
    JOB_RUN,
    Recorded(
        service="kafka",
        name="cluster",
        create="CreateClusterV2",
        linked_service="kafka.amazonaws.com",
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
