"""Schedules of EventBridge Scheduler."""

from stacks.local.provider.aws.row import ALL, Call, Missing, Row, named

ROWS = (
    Row(
        token="aws:scheduler/schedule:Schedule",
        service="scheduler",
        cfn="AWS::Scheduler::Schedule",
        create=Call("CreateSchedule"),
        read=Call("GetSchedule"),
        update=(Call("UpdateSchedule", ALL),),
        delete=Call("DeleteSchedule"),
        identity=named("name"),
        rename={
            "eventbridgeParameters": "EventBridgeParameters",
            "sagemakerPipelineParameters": "SageMakerPipelineParameters",
            "pipelineParameters": "PipelineParameterList",
        },
        autoname="name",
        computed=("target.retryPolicy",),
        defaults={
            "actionAfterCompletion": "NONE",
            "scheduleExpressionTimezone": "UTC",
            "state": "ENABLED",
        },
        ordered=("target.sagemakerPipelineParameters.pipelineParameters",),
        replace_on=("name",),
        refuses=(
            "endDate",
            "groupName",
            "namePrefix",
            "startDate",
            "target.ecsParameters.networkConfiguration.assignPublicIp",
            "target.ecsParameters.networkConfiguration.securityGroups",
            "target.ecsParameters.networkConfiguration.subnets",
            "target.ecsParameters.tags (map)",
        ),
        outputs={"arn": "Arn"},
        missing=(Missing("ResourceNotFoundException"),),
        fidelity=(
            "they fire and call functions, queues and universal targets as their role; nothing is "
            "tried again, and flexible windows are not waited for"
        ),
    ),
)
