"""Cases of registry, tracking, model cards and autoscaling."""

from tests.stacks.local.provider_cases.case import (
    ALLOW,
    REPOSITORY,
    RETAGGED,
    ROLE,
    TAGS,
    Case,
    Ref,
)

PACKAGES = "aws:sagemaker/modelPackageGroup:ModelPackageGroup"
SUBJECT = {
    "serviceNamespace": "sagemaker",
    "scalableDimension": "sagemaker:variant:DesiredInstanceCount",
    "resourceId": "endpoint/plinth-endpoint/variant/champion",
}

CASES: dict[str, Case] = {
    "aws:appautoscaling/policy:Policy": Case(
        inputs={
            **SUBJECT,
            "name": "plinth-tracking",
            "policyType": "TargetTrackingScaling",
            "targetTrackingScalingPolicyConfiguration": {
                "targetValue": 60,
                "scaleInCooldown": 300,
                "customizedMetricSpecification": {
                    "namespace": "AWS/SageMaker",
                    "metricName": "ApproximateBacklogSizePerInstance",
                    "statistic": "Average",
                    "dimensions": [{"name": "EndpointName", "value": "e"}],
                },
            },
        },
        change={
            "targetTrackingScalingPolicyConfiguration": {
                "targetValue": 90.5,
                "predefinedMetricSpecification": {
                    "predefinedMetricType": "SageMakerVariantInvocationsPerInstance"
                },
            }
        },
        after=("aws:appautoscaling/target:Target",),
    ),
    "aws:appautoscaling/scheduledAction:ScheduledAction": Case(
        inputs={
            **SUBJECT,
            "name": "plinth-begin",
            "schedule": "cron(0 19 ? * MON-FRI *)",
            "timezone": "Europe/Berlin",
            "scalableTargetAction": {"minCapacity": 1, "maxCapacity": 1},
        },
        change={
            "schedule": "cron(0 20 ? * MON-FRI *)",
            "scalableTargetAction": {"minCapacity": 0, "maxCapacity": 2},
        },
    ),
    "aws:appautoscaling/target:Target": Case(
        inputs={**SUBJECT, "minCapacity": 1, "maxCapacity": 4, "tags": TAGS},
        change={"maxCapacity": 6, "tags": RETAGGED},
    ),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": Case(
        inputs={"repository": Ref(REPOSITORY), "policy": ALLOW % "ecr:BatchGetImage"},
        change={"policy": ALLOW % "ecr:GetDownloadUrlForLayer"},
    ),
    "aws:sagemaker/modelCard:ModelCard": Case(
        inputs={
            "modelCardName": "plinth-card",
            "modelCardStatus": "Draft",
            "content": '{"model_overview": {}}',
            "tags": TAGS,
        },
        change={
            "modelCardStatus": "Approved",
            "content": '{"business_details": {}}',
            "tags": RETAGGED,
        },
    ),
    "aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy": Case(
        inputs={
            "modelPackageGroupName": Ref(PACKAGES),
            "resourcePolicy": ALLOW % "sagemaker:DescribeModelPackage",
        },
        change={"resourcePolicy": ALLOW % "sagemaker:CreateModel"},
    ),
    "aws:sagemaker/mlflowTrackingServer:MlflowTrackingServer": Case(
        inputs={
            "trackingServerName": "plinth-server",
            "artifactStoreUri": "s3://plinth-test-data/mlflow",
            "roleArn": Ref(ROLE, "arn"),
            "tags": TAGS,
        },
        change={"automaticModelRegistration": True, "tags": RETAGGED},
    ),
}
