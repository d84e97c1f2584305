"""Topics and who may publish to them."""

from collections.abc import Mapping
from typing import Any

from stacks.local.provider.aws.row import Call, HookContext, Missing, Row, Tags, named, returned

MISSING = (Missing("NotFound"), Missing("NotFoundException"))

ATTRIBUTES = {
    "archivePolicy": "ArchivePolicy",
    "contentBasedDeduplication": "ContentBasedDeduplication",
    "deliveryPolicy": "DeliveryPolicy",
    "displayName": "DisplayName",
    "fifoThroughputScope": "FifoThroughputScope",
    "fifoTopic": "FifoTopic",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "policy": "Policy",
    "signatureVersion": "SignatureVersion",
    "tracingConfig": "TracingConfig",
}
"""SNS keeps settings as a map of text; SetTopicAttributes changes one of them."""

SUBSCRIPTION = {
    "deliveryPolicy": "DeliveryPolicy",
    "filterPolicy": "FilterPolicy",
    "filterPolicyScope": "FilterPolicyScope",
    "rawMessageDelivery": "RawMessageDelivery",
    "redrivePolicy": "RedrivePolicy",
    "subscriptionRoleArn": "SubscriptionRoleArn",
}
"""The same for a subscription."""

OWNER_ONLY = (
    '{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{"Effect":"Allow","Sid":'
    '"__default_statement_ID","Principal":{"AWS":"*"},"Action":["SNS:Publish","SNS:Subscribe"],'
    '"Resource":"%s","Condition":{"StringEquals":{"AWS:SourceOwner":"%s"}}}]}'
)


def default_policy(scene: HookContext) -> Mapping[str, Any]:
    """What SNS gives a topic at creation; the policy of a topic cannot be taken away."""
    account = scene.id.split(":")[4]
    return {"AttributeValue": OWNER_ONLY % (scene.id, account)}


ROWS = (
    Row(
        token="aws:sns/topic:Topic",
        service="sns",
        cfn="AWS::SNS::Topic",
        create=Call("CreateTopic", ("name", *ATTRIBUTES)),
        read=Call("GetTopicAttributes", result="Attributes", into="Attributes"),
        also=(Call("ListTagsForResource", key={"ResourceArn": "{id}"}),),
        update=tuple(
            Call(
                "SetTopicAttributes",
                (name,),
                fixed={"AttributeName": attribute},
                rename={name: "AttributeValue"},
            )
            for name, attribute in ATTRIBUTES.items()
        ),
        delete=Call("DeleteTopic"),
        identity=returned("TopicArn"),
        key={"TopicArn": "{id}"},
        rename={name: f"Attributes.{attribute}" for name, attribute in ATTRIBUTES.items()},
        reads={"name": "{tail}"},
        autoname="name",
        computed=("policy", "signatureVersion", "tracingConfig", "deliveryPolicy"),
        defaults={
            "contentBasedDeduplication": False,
            "displayName": "",
            "fifoTopic": False,
            "kmsMasterKeyId": "",
        },
        replace_on=("fifoTopic", "name"),
        refuses=(
            "applicationFailureFeedbackRoleArn",
            "applicationSuccessFeedbackRoleArn",
            "applicationSuccessFeedbackSampleRate",
            "firehoseFailureFeedbackRoleArn",
            "firehoseSuccessFeedbackRoleArn",
            "firehoseSuccessFeedbackSampleRate",
            "httpFailureFeedbackRoleArn",
            "httpSuccessFeedbackRoleArn",
            "httpSuccessFeedbackSampleRate",
            "lambdaFailureFeedbackRoleArn",
            "lambdaSuccessFeedbackRoleArn",
            "lambdaSuccessFeedbackSampleRate",
            "maximumMessageSize",
            "namePrefix",
            "sqsFailureFeedbackRoleArn",
            "sqsSuccessFeedbackRoleArn",
            "sqsSuccessFeedbackSampleRate",
        ),
        outputs={"arn": "{id}", "owner": "Attributes.Owner", "policy": "Attributes.Policy"},
        tags=Tags(add="TagResource", remove="UntagResource", key={"ResourceArn": "{id}"}),
        missing=MISSING,
        fidelity="behaves: messages reach SQS and HTTP subscribers; the topic's policy is not "
        "checked",
    ),
    Row(
        token="aws:sns/topicPolicy:TopicPolicy",
        service="sns",
        cfn="AWS::SNS::TopicPolicy",
        create=Call("SetTopicAttributes", ("arn", "policy"), fixed={"AttributeName": "Policy"}),
        read=Call("GetTopicAttributes", result="Attributes", into="Attributes"),
        update=(Call("SetTopicAttributes", ("policy",), fixed={"AttributeName": "Policy"}),),
        delete=Call("SetTopicAttributes", fixed={"AttributeName": "Policy"}, build=default_policy),
        identity=named("arn"),
        rename={"arn": "TopicArn", "policy": "AttributeValue"},
        reads={"policy": "Attributes.Policy"},
        replace_on=("arn",),
        outputs={"owner": "Attributes.Owner"},
        missing=MISSING,
        fidelity="behaves: IAM decides by it",
    ),
    Row(
        token="aws:sns/topicSubscription:TopicSubscription",
        service="sns",
        cfn="AWS::SNS::Subscription",
        create=Call("Subscribe", ("endpoint", "protocol", "topic", *SUBSCRIPTION)),
        read=Call("GetSubscriptionAttributes", result="Attributes", into="Attributes"),
        update=tuple(
            Call(
                "SetSubscriptionAttributes",
                (name,),
                fixed={"AttributeName": attribute},
                rename={name: "AttributeValue"},
            )
            for name, attribute in SUBSCRIPTION.items()
        ),
        delete=Call("Unsubscribe"),
        identity=returned("SubscriptionArn"),
        key={"SubscriptionArn": "{id}"},
        rename={
            "topic": "TopicArn",
            **{name: f"Attributes.{attribute}" for name, attribute in SUBSCRIPTION.items()},
        },
        reads={
            "endpoint": "Attributes.Endpoint",
            "protocol": "Attributes.Protocol",
            "topic": "Attributes.TopicArn",
        },
        provider_only=("confirmationTimeoutInMinutes", "endpointAutoConfirms"),
        defaults={"filterPolicyScope": "MessageAttributes", "rawMessageDelivery": False},
        replace_on=("endpoint", "protocol", "topic"),
        refuses=("replayPolicy",),
        outputs={"arn": "{id}", "ownerId": "Attributes.Owner"},
        missing=MISSING,
        fidelity="behaves for SQS and HTTP; a mail address is recorded, and no mail is sent",
    ),
)
