"""Spark applications."""

from stacks.local.provider.aws.row import Call, Missing, Row, Tags, returned

SETTINGS = (
    "architecture",
    "autoStartConfiguration",
    "autoStopConfiguration",
    "maximumCapacity",
    "monitoringConfiguration",
    "networkConfiguration",
    "releaseLabel",
    "runtimeConfigurations",
    "schedulerConfiguration",
)

ROWS = (
    Row(
        token="aws:emrserverless/application:Application",
        service="emr-serverless",
        cfn="AWS::EMRServerless::Application",
        create=Call("CreateApplication", ("name", "type", *SETTINGS)),
        read=Call("GetApplication", result="application"),
        update=(Call("UpdateApplication", SETTINGS),),
        delete=Call("DeleteApplication"),
        identity=returned("applicationId"),
        key={"applicationId": "{id}"},
        occupies=("name",),
        defaults={
            "architecture": "X86_64",
            "autoStartConfiguration.enabled": True,
            "autoStopConfiguration.enabled": True,
            "autoStopConfiguration.idleTimeoutMinutes": 15,
        },
        replace_on=("name", "type"),
        # ForceNew (terraform-provider-aws, emrserverless/application.go)
        official={
            "networkConfiguration.securityGroupIds": True,
            "networkConfiguration.subnetIds": True,
        },
        refuses=(
            "imageConfiguration",
            "initialCapacities",
            "interactiveConfiguration",
            "jobLevelCostAllocationConfiguration",
            "monitoringConfiguration.cloudwatchLoggingConfiguration",
        ),
        outputs={"arn": "arn"},
        tags=Tags(
            create="tags",
            add="TagResource",
            remove="UntagResource",
            member="tags",
            keys="tagKeys",
            key={"resourceArn": "{arn}"},
            path="tags",
        ),
        missing=(Missing("ResourceNotFoundException"),),
        fidelity="behaves: Spark runs in one process; sizes and idle time are recorded only",
    ),
)
