"""Application Auto Scaling: targets, policies, and what they did (`aws/autoscaling.py`)."""

from stacks.local.aws.recorded.recorded import Recorded

ARN = "arn:aws:{service}:{{region}}:{{account}}:"

TARGET = Recorded(
    service="application-autoscaling",
    name="scalable target",
    create="RegisterScalableTarget",
    linked_service="{ServiceNamespace}.application-autoscaling.amazonaws.com",
    exists="",
    list="DescribeScalableTargets",
    delete="DeregisterScalableTarget",
    key={
        "ServiceNamespace": "ServiceNamespace",
        "ResourceId": "ResourceId",
        "ScalableDimension": "ScalableDimension",
    },
    made={
        "ScalableTargetARN": ARN.format(service="application-autoscaling")
        + "scalable-target/{hash}",
        "RoleARN": "arn:aws:iam::{account}:role/aws-service-role/sagemaker.application-"
        "autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
    },
    times=("CreationTime",),
    arn="ScalableTargetARN",
    tags="Tags",
    missing="ObjectNotFoundException",
)
POLICY = Recorded(
    service="application-autoscaling",
    name="scaling policy",
    create="PutScalingPolicy",
    exists="",
    list="DescribeScalingPolicies",
    delete="DeleteScalingPolicy",
    key={
        "ServiceNamespace": "ServiceNamespace",
        "ResourceId": "ResourceId",
        "ScalableDimension": "ScalableDimension",
        "PolicyName": "PolicyName",
    },
    made={
        "PolicyARN": ARN.format(service="autoscaling")
        + "scalingPolicy:{hash}:resource/{ServiceNamespace}/{ResourceId}:"
        "policyName/{PolicyName}",
    },
    sets={"Alarms": []},
    times=("CreationTime",),
    missing="ObjectNotFoundException",
)
ACTIVITY = Recorded(
    service="application-autoscaling",
    name="scaling activity",
    create="",
    list="DescribeScalingActivities",
    key={"ActivityId": "ActivityId"},
)
KINDS = (TARGET, POLICY, ACTIVITY)
