"""Cases of what watches an environment: queues, events, dashboards, budgets, trails."""

from typing import Any

from tests.stacks.local.provider_cases.case import (
    ALLOW,
    BUCKET,
    KEY,
    RETAGGED,
    ROLE,
    TAGS,
    TOPIC,
    Case,
    Ref,
)

FUNCTION = "aws:lambda/function:Function"
QUEUE = "aws:sqs/queue:Queue"
RULE = "aws:cloudwatch/eventRule:EventRule"

CHANNEL = "aws:cfg/deliveryChannel:DeliveryChannel"
LOCKED = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
RECORDER = "aws:cfg/recorder:Recorder"
BUDGET = "aws:budgets/budget:Budget"
MONITOR = "aws:costexplorer/anomalyMonitor:AnomalyMonitor"


def told(kind: str) -> dict[str, Any]:
    """A notification of a budget."""
    return {
        "notificationType": kind,
        "comparisonOperator": "GREATER_THAN",
        "threshold": 80,
        "thresholdType": "PERCENTAGE",
        "subscriberSnsTopicArns": [Ref(TOPIC, "arn")],
    }


def impact(dollars: str) -> dict[str, Any]:
    """An expression of Cost Explorer."""
    return {
        "dimension": {
            "key": "ANOMALY_TOTAL_IMPACT_ABSOLUTE",
            "matchOptions": ["GREATER_THAN_OR_EQUAL"],
            "values": [dollars],
        }
    }


CASES: dict[str, Case] = {
    BUDGET: Case(
        inputs={
            "name": "plinth-monthly",
            "budgetType": "COST",
            "timeUnit": "MONTHLY",
            "limitAmount": "100",
            "limitUnit": "USD",
            "costFilters": [{"name": "TagKeyValue", "values": ["user:environment$test"]}],
            "notifications": [told("ACTUAL")],
            "tags": TAGS,
        },
        change={
            "limitAmount": "200",
            "notifications": [told("ACTUAL"), told("FORECASTED")],
            "tags": RETAGGED,
        },
    ),
    "aws:budgets/budgetAction:BudgetAction": Case(
        inputs={
            "budgetName": Ref(BUDGET, "name"),
            "actionType": "APPLY_IAM_POLICY",
            "approvalModel": "AUTOMATIC",
            "notificationType": "ACTUAL",
            "executionRoleArn": Ref(ROLE, "arn"),
            "actionThreshold": {
                "actionThresholdType": "PERCENTAGE",
                "actionThresholdValue": 100,
            },
            "definition": {
                "iamActionDefinition": {"policyArn": "arn:aws:iam::aws:policy/p", "roles": ["r"]}
            },
            "subscribers": [{"subscriptionType": "SNS", "address": Ref(TOPIC, "arn")}],
            "tags": TAGS,
        },
        change={"approvalModel": "MANUAL", "tags": RETAGGED},
    ),
    MONITOR: Case(
        inputs={
            "name": "plinth-anomalies",
            "monitorType": "DIMENSIONAL",
            "monitorDimension": "SERVICE",
            "tags": TAGS,
        },
        change={"name": "plinth-unusual", "tags": RETAGGED},
    ),
    "aws:costexplorer/anomalySubscription:AnomalySubscription": Case(
        inputs={
            "name": "plinth-anomalies",
            "frequency": "IMMEDIATE",
            "monitorArnLists": [Ref(MONITOR, "arn")],
            "subscribers": [{"type": "SNS", "address": Ref(TOPIC, "arn")}],
            "thresholdExpression": impact("100"),
            "tags": TAGS,
        },
        change={"thresholdExpression": impact("200"), "tags": RETAGGED},
    ),
    "aws:costexplorer/costAllocationTag:CostAllocationTag": Case(
        inputs={"tagKey": "team", "status": "Active"},
        change={"status": "Inactive"},
        stays=True,
    ),
    "aws:cloudwatch/dashboard:Dashboard": Case(
        inputs={"dashboardName": "plinth", "dashboardBody": '{"widgets": []}'},
        change={"dashboardBody": '{"periodOverride": "auto", "widgets": []}'},
    ),
    RULE: Case(
        inputs={
            "name": "plinth-approved",
            "description": "A model package is approved",
            "eventPattern": '{"source": ["aws.sagemaker"]}',
            "tags": TAGS,
        },
        change={"eventPattern": '{"source": ["aws.ec2"]}', "tags": RETAGGED},
        drop=("description",),
    ),
    "aws:cloudwatch/eventTarget:EventTarget": Case(
        inputs={
            "rule": Ref(RULE, "name"),
            "targetId": "queue-1",
            "arn": Ref(QUEUE, "arn"),
            "inputTransformer": {
                "inputPaths": {"name": "$.detail.name"},
                "inputTemplate": "<name>",
            },
            "retryPolicy": {"maximumEventAgeInSeconds": 3600, "maximumRetryAttempts": 4},
            "deadLetterConfig": {"arn": Ref(QUEUE, "arn")},
        },
        change={"retryPolicy": {"maximumEventAgeInSeconds": 60, "maximumRetryAttempts": 4}},
        drop=("inputTransformer",),
    ),
    "aws:sns/topicSubscription:TopicSubscription": Case(
        inputs={
            "topic": Ref(TOPIC, "arn"),
            "protocol": "sqs",
            "endpoint": Ref(QUEUE, "arn"),
            "filterPolicy": '{"kind": ["drift"]}',
        },
        change={"rawMessageDelivery": True, "filterPolicy": '{"kind": ["cost"]}'},
    ),
    QUEUE: Case(
        inputs={
            "name": "plinth-failed",
            "kmsMasterKeyId": Ref(KEY, "arn"),
            "messageRetentionSeconds": 1209600,
            "visibilityTimeoutSeconds": 60,
            "policy": ALLOW % "sqs:SendMessage",
            "tags": TAGS,
        },
        change={"messageRetentionSeconds": 3600, "tags": RETAGGED},
        drop=("visibilityTimeoutSeconds",),
    ),
    "aws:sqs/queuePolicy:QueuePolicy": Case(
        inputs={"queueUrl": Ref(QUEUE, "url"), "policy": ALLOW % "sqs:SendMessage"},
        change={"policy": ALLOW % "sqs:ReceiveMessage"},
    ),
    "aws:dynamodb/table:Table": Case(
        inputs={
            "name": "plinth-records",
            "billingMode": "PAY_PER_REQUEST",
            "hashKey": "pipeline",
            "rangeKey": "day",
            "attributes": [{"name": "pipeline", "type": "S"}, {"name": "day", "type": "N"}],
            "serverSideEncryption": {"enabled": True, "kmsKeyArn": Ref(KEY, "arn")},
            "pointInTimeRecovery": {"enabled": True},
            "ttl": {"enabled": True, "attributeName": "expires"},
            "tags": TAGS,
        },
        change={"pointInTimeRecovery": {"enabled": False}, "tags": RETAGGED},
    ),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": Case(
        inputs={
            "functionName": Ref(FUNCTION, "name"),
            "maximumRetryAttempts": 1,
            "destinationConfig": {"onFailure": {"destination": Ref(QUEUE, "arn")}},
        },
        change={"maximumRetryAttempts": 0},
    ),
    "aws:lambda/permission:Permission": Case(
        inputs={
            "function": Ref(FUNCTION, "name"),
            "statementId": "alarms",
            "action": "lambda:InvokeFunction",
            "principal": "events.amazonaws.com",
            "sourceArn": Ref(RULE, "arn"),
        },
        change={"principal": "sns.amazonaws.com"},
        replaces=True,
    ),
    "aws:scheduler/schedule:Schedule": Case(
        inputs={
            "name": "plinth-weekly",
            "description": "Trains again",
            "scheduleExpression": "cron(0 3 ? * SUN *)",
            "flexibleTimeWindow": {"mode": "OFF"},
            "target": {
                "arn": Ref(FUNCTION, "arn"),
                "roleArn": Ref(ROLE, "arn"),
                "input": '{"id": "1"}',
                "deadLetterConfig": {"arn": Ref(QUEUE, "arn")},
            },
        },
        change={"scheduleExpression": "rate(7 days)", "state": "DISABLED"},
        drop=("description",),
    ),
    RECORDER: Case(
        inputs={
            "name": "plinth",
            "roleArn": Ref(ROLE, "arn"),
            "recordingGroup": {"allSupported": True, "includeGlobalResourceTypes": True},
        },
        change={"recordingGroup": {"allSupported": True, "includeGlobalResourceTypes": False}},
    ),
    CHANNEL: Case(
        inputs={"name": Ref(RECORDER, "name"), "s3BucketName": Ref(BUCKET, "bucket")},
        change={"s3KeyPrefix": "config"},
    ),
    "aws:cfg/recorderStatus:RecorderStatus": Case(
        inputs={"name": Ref(CHANNEL, "name"), "isEnabled": True},
        change={"name": "other"},
        replaces=True,
    ),
    "aws:cfg/rule:Rule": Case(
        inputs={
            "name": "plinth-tls",
            "source": {"owner": "AWS", "sourceIdentifier": "S3_BUCKET_SSL_REQUESTS_ONLY"},
            "tags": TAGS,
        },
        change={"description": "TLS only", "tags": RETAGGED},
    ),
    "aws:codebuild/project:Project": Case(
        inputs={
            "name": "plinth-runner",
            "description": "Deploys",
            "serviceRole": Ref(ROLE, "arn"),
            "encryptionKey": Ref(KEY, "arn"),
            "buildTimeout": 60,
            "artifacts": {"type": "NO_ARTIFACTS"},
            "environment": {
                "type": "LINUX_CONTAINER",
                "computeType": "BUILD_GENERAL1_SMALL",
                "image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
                "environmentVariables": [{"name": "STACK", "value": "dev.cluster"}],
            },
            "source": {"type": "S3", "location": "bucket/runner.zip", "buildspec": "{}"},
            "logsConfig": {
                "cloudwatchLogs": {"status": "ENABLED", "groupName": "/aws/codebuild/r"}
            },
            "vpcConfig": {
                "vpcId": "vpc-1",
                "subnets": ["subnet-1"],
                "securityGroupIds": ["sg-1"],
            },
            "tags": TAGS,
        },
        change={"buildTimeout": 90, "tags": RETAGGED},
        drop=("description",),
    ),
    "aws:cloudtrail/trail:Trail": Case(
        inputs={
            "name": "plinth-trail",
            "s3BucketName": Ref(BUCKET, "bucket"),
            "isMultiRegionTrail": True,
            "enableLogFileValidation": True,
            "kmsKeyId": Ref(KEY, "arn"),
            "advancedEventSelectors": [
                {
                    "name": "management",
                    "fieldSelectors": [{"field": "eventCategory", "equals": ["Management"]}],
                }
            ],
            "tags": TAGS,
        },
        change={"enableLogging": False, "enableLogFileValidation": False, "tags": RETAGGED},
    ),
    LOCKED: Case(
        inputs={
            "bucket": Ref(BUCKET, "bucket"),
            "objectLockEnabled": "Enabled",
            "rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 7}},
        },
        change={"rule": {"defaultRetention": {"mode": "COMPLIANCE", "days": 7}}},
    ),
}
