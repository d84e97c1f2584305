"""Scalable targets, their policies and their scheduled actions."""

from stacks.local.provider.aws.row import ALL, Call, Missing, Row, Tags, parts

MISSING = (Missing("ObjectNotFoundException"),)
SUBJECT = ("serviceNamespace", "resourceId", "scalableDimension")

# Resource ids contain slashes and colons, so the parts of an id stand between bars
ROWS = (
    Row(
        token="aws:appautoscaling/policy:Policy",
        service="application-autoscaling",
        cfn="AWS::ApplicationAutoScaling::ScalingPolicy",
        create=Call("PutScalingPolicy"),
        read=Call(
            "DescribeScalingPolicies",
            key={
                "ServiceNamespace": "{serviceNamespace}",
                "ResourceId": "{resourceId}",
                "ScalableDimension": "{scalableDimension}",
                "PolicyNames": ["{name}"],
            },
            result="ScalingPolicies[?PolicyName=='{name}'] | [0]",
        ),
        update=(Call("PutScalingPolicy", ALL),),
        delete=Call("DeleteScalingPolicy"),
        identity=parts("|", *SUBJECT, "name"),
        rename={"/name": "PolicyName"},
        replace_on=(*SUBJECT, "name"),
        outputs={"arn": "PolicyARN", "alarmArns": "Alarms[].AlarmARN"},
        missing=MISSING,
        fidelity="of SageMaker: its alarms move instances and copies; predictive ones do "
        "nothing, and of AWS's metrics those of concurrency are not published",
    ),
    Row(
        token="aws:appautoscaling/scheduledAction:ScheduledAction",
        service="application-autoscaling",
        cfn="",  # there it is a property of the scalable target
        create=Call("PutScheduledAction"),
        read=Call(
            "DescribeScheduledActions",
            key={
                "ServiceNamespace": "{serviceNamespace}",
                "ResourceId": "{resourceId}",
                "ScalableDimension": "{scalableDimension}",
                "ScheduledActionNames": ["{name}"],
            },
            result="ScheduledActions[0]",
        ),
        update=(Call("PutScheduledAction", ALL),),
        delete=Call("DeleteScheduledAction"),
        identity=parts("|", *SUBJECT, "name"),
        rename={"/name": "ScheduledActionName"},
        defaults={"timezone": "UTC"},
        refuses=("endTime", "startTime"),
        replace_on=(*SUBJECT, "name"),
        outputs={"arn": "ScheduledActionARN"},
        missing=MISSING,
        fidelity="of SageMaker: it fires and moves the bounds, and what is beyond them",
    ),
    Row(
        token="aws:appautoscaling/target:Target",
        service="application-autoscaling",
        cfn="AWS::ApplicationAutoScaling::ScalableTarget",
        create=Call("RegisterScalableTarget"),
        read=Call(
            "DescribeScalableTargets",
            key={
                "ServiceNamespace": "{serviceNamespace}",
                "ResourceIds": ["{resourceId}"],
                "ScalableDimension": "{scalableDimension}",
            },
            result="ScalableTargets[?ResourceId=='{resourceId}'] | [0]",
        ),
        also=(Call("ListTagsForResource", key={"ResourceARN": "{ScalableTargetARN}"}),),
        update=(
            Call(
                "RegisterScalableTarget",
                ("maxCapacity", "minCapacity", "roleArn", "suspendedState"),
            ),
        ),
        delete=Call("DeregisterScalableTarget"),
        identity=parts("|", *SUBJECT),
        computed=("roleArn", "suspendedState"),
        replace_on=SUBJECT,
        outputs={"arn": "ScalableTargetARN", "roleArn": "RoleARN"},
        tags=Tags(
            add="TagResource", remove="UntagResource", key={"ResourceARN": "{ScalableTargetARN}"}
        ),
        missing=MISSING,
        fidelity="of SageMaker: alarms of its policies move it; at most two processes run",
    ),
)
