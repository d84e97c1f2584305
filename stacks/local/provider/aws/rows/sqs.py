"""Queues and who may send to them."""

from stacks.local.provider.aws.row import Call, Missing, Row, Tags, named, returned

MISSING = (
    Missing("AWS.SimpleQueueService.NonExistentQueue"),
    Missing("QueueDoesNotExist"),
)

ATTRIBUTES = {
    "contentBasedDeduplication": "ContentBasedDeduplication",
    "deduplicationScope": "DeduplicationScope",
    "delaySeconds": "DelaySeconds",
    "fifoQueue": "FifoQueue",
    "fifoThroughputLimit": "FifoThroughputLimit",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "maxMessageSize": "MaximumMessageSize",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "policy": "Policy",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "redrivePolicy": "RedrivePolicy",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
}
"""SQS keeps settings as a map of text."""

# moto forgets the policy when a SetQueueAttributes call does not repeat it
CHANGEABLE = tuple(name for name in ATTRIBUTES if name != "fifoQueue")

ROWS = (
    Row(
        token="aws:sqs/queue:Queue",
        service="sqs",
        cfn="AWS::SQS::Queue",
        create=Call("CreateQueue", ("name", *ATTRIBUTES)),
        read=Call(
            "GetQueueAttributes",
            fixed={"AttributeNames": ["All"]},
            result="Attributes",
            into="Attributes",
        ),
        also=(Call("ListQueueTags"),),
        update=(Call("SetQueueAttributes", CHANGEABLE),),
        delete=Call("DeleteQueue"),
        identity=returned("QueueUrl"),
        key={"QueueUrl": "{id}"},
        rename={
            "/name": "QueueName",
            **{name: f"Attributes.{attribute}" for name, attribute in ATTRIBUTES.items()},
        },
        reads={"name": "{tail}"},
        autoname="name",
        computed=("policy",),
        defaults={
            "contentBasedDeduplication": False,
            "deduplicationScope": "queue",
            "delaySeconds": 0,
            "fifoQueue": False,
            "fifoThroughputLimit": "perQueue",
            "kmsDataKeyReusePeriodSeconds": 300,
            "kmsMasterKeyId": "",
            "maxMessageSize": 1048576,
            "messageRetentionSeconds": 345600,
            "receiveWaitTimeSeconds": 0,
            "redrivePolicy": "",
            "sqsManagedSseEnabled": True,
            "visibilityTimeoutSeconds": 30,
        },
        replace_on=("fifoQueue", "name"),
        refuses=("namePrefix", "redriveAllowPolicy"),
        outputs={"arn": "Attributes.QueueArn", "url": "{id}"},
        tags=Tags(
            create="tags",
            add="TagQueue",
            remove="UntagQueue",
            key={"QueueUrl": "{id}"},
        ),
        missing=MISSING,
        fidelity="behaves: messages are kept, hidden, redriven to the dead letter queue; not "
        "encrypted, and the queue's policy is not checked",
    ),
    Row(
        token="aws:sqs/queuePolicy:QueuePolicy",
        service="sqs",
        cfn="",  # one of CloudFormation's kind belongs to many queues
        create=Call("SetQueueAttributes", ("policy", "queueUrl")),
        read=Call(
            "GetQueueAttributes",
            fixed={"AttributeNames": ["All"]},
            result="Attributes.Policy && {Attributes: Attributes}",
        ),
        update=(Call("SetQueueAttributes", ("policy",)),),
        delete=Call("SetQueueAttributes", fixed={"Attributes": {"Policy": ""}}),
        identity=named("queueUrl"),
        rename={"policy": "Attributes.Policy"},
        replace_on=("queueUrl",),
        missing=MISSING,
        fidelity="behaves: IAM decides by it",
    ),
)
