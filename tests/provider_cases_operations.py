"""Cases of what watches an environment: queues, events, dashboards, budgets, trails."""

from tests.provider_case import ALLOW, KEY, RETAGGED, TAGS, TOPIC, Case, Ref

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
}
