"""Cases of what watches an environment: queues, events, dashboards, budgets, trails."""

from tests.provider_case import ALLOW, KEY, RETAGGED, ROLE, TAGS, TOPIC, Case, Ref

FUNCTION = "aws:lambda/function:Function"
QUEUE = "aws:sqs/queue:Queue"
RULE = "aws:cloudwatch/eventRule:EventRule"

CASES: dict[str, Case] = {
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
}
