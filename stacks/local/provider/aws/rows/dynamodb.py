"""Tables of DynamoDB."""

from collections.abc import Mapping
from typing import Any

from stacks.local.provider.aws.row import Call, HookContext, Missing, Row, Tags, Wait, named

ATTRIBUTE = {"name": "AttributeName", "type": "AttributeType"}
"""Only in the calls with `attributes`: a time to live has an attribute's name too."""


def key_schema(scene: HookContext) -> Mapping[str, Any]:
    """The keys as one list, where Pulumi has an input for each."""
    kinds = {"hashKey": "HASH", "rangeKey": "RANGE"}
    return {
        "KeySchema": [
            {"AttributeName": scene.new[name], "KeyType": kind}
            for name, kind in kinds.items()
            if name in scene.new
        ]
    }


def always(before: Any, after: Any) -> bool:
    """A table's keys are for ever."""
    return True


ROWS = (
    Row(
        token="aws:dynamodb/table:Table",
        service="dynamodb",
        cfn="AWS::DynamoDB::Table",
        create=Call(
            "CreateTable",
            omits=(
                "globalTableSettingsReplicationMode",
                "globalTableSourceArn",
                "keySchemas",
                "provisionedThroughput",
                "resourcePolicy",
                "streamSpecification",
                "vectorIndexes",
            ),
            build=key_schema,
            rename=ATTRIBUTE,
        ),
        read=Call("DescribeTable", result="Table"),
        also=(
            Call("DescribeContinuousBackups"),
            Call("DescribeTimeToLive"),
            Call("ListTagsOfResource", key={"ResourceArn": "{TableArn}"}),
        ),
        then=(
            Call("UpdateContinuousBackups", ("pointInTimeRecovery",)),
            Call("UpdateTimeToLive", ("ttl",)),
        ),
        update=(
            Call("UpdateTable", ("attributes",), rename=ATTRIBUTE),
            *(
                Call("UpdateTable", (name,))
                for name in (
                    "billingMode",
                    "deletionProtectionEnabled",
                    "serverSideEncryption",
                    "tableClass",
                )
            ),
        ),
        delete=Call("DeleteTable"),
        identity=named("name"),
        rename={
            "/name": "TableName",
            "attributes": "AttributeDefinitions",
            "serverSideEncryption": "SSESpecification",
            "kmsKeyArn": "KMSMasterKeyId",
            "pointInTimeRecovery": "PointInTimeRecoverySpecification",
            "enabled": "PointInTimeRecoveryEnabled",
            "ttl": "TimeToLiveSpecification",
        },
        reads={
            "billingMode": "BillingModeSummary.BillingMode",
            "hashKey": "KeySchema[?KeyType=='HASH'].AttributeName | [0]",
            "pointInTimeRecovery": "ContinuousBackupsDescription.PointInTimeRecoveryDescription"
            ".{PointInTimeRecoveryEnabled: PointInTimeRecoveryStatus == 'ENABLED'}",
            "rangeKey": "KeySchema[?KeyType=='RANGE'].AttributeName | [0]",
            "serverSideEncryption": "SSEDescription && SSEDescription"
            ".{Enabled: Status == 'ENABLED', KMSMasterKeyId: KMSMasterKeyArn}",
            "tableClass": "TableClassSummary.TableClass",
            "ttl": "TimeToLiveDescription.AttributeName && TimeToLiveDescription"
            ".{Enabled: TimeToLiveStatus == 'ENABLED', AttributeName: AttributeName}",
        },
        provider_only=("hashKey", "rangeKey"),
        autoname="name",
        defaults={
            "billingMode": "PROVISIONED",
            "deletionProtectionEnabled": False,
            "pointInTimeRecovery.enabled": False,
            "tableClass": "STANDARD",
        },
        replace_on=("name",),
        replace_if={"hashKey": always, "rangeKey": always},
        keyed={"attributes": "name"},
        refuses=(
            "globalSecondaryIndexes",
            "globalTableWitness",
            "importTable",
            "localSecondaryIndexes",
            "onDemandThroughput",
            "readCapacity",
            "replicas",
            "restoreBackupArn",
            "restoreDateTime",
            "restoreSourceName",
            "restoreSourceTableArn",
            "restoreToLatestTime",
            "streamEnabled",
            "streamViewType",
            "warmThroughput",
            "writeCapacity",
        ),
        outputs={"arn": "TableArn"},
        tags=Tags(add="TagResource", remove="UntagResource", key={"ResourceArn": "{TableArn}"}),
        missing=(Missing("ResourceNotFoundException"),),
        wait=Wait(status="TableStatus", good=("ACTIVE",)),
        fidelity="behaves: items, conditions and queries; nothing expires, is backed up or "
        "encrypted",
    ),
)
