"""Streams of records."""

from collections.abc import Callable, Mapping
from typing import Any

from stacks.local.provider.aws.row import Call, HookContext, Missing, Row, Tags, named

DAY_HOURS = 24


def retention(longer: bool) -> Callable[[HookContext], Mapping[str, Any] | None]:
    """Kinesis has one call to keep records longer and one to keep them shorter."""

    def build(scene: HookContext) -> Mapping[str, Any] | None:
        wanted = scene.new.get("retentionPeriod", DAY_HOURS)
        now = (scene.describe() or {})["RetentionPeriodHours"]
        fits = wanted > now if longer else wanted < now
        return {"RetentionPeriodHours": wanted} if fits else None

    return build


def shards(scene: HookContext) -> Mapping[str, Any] | None:
    """The number of shards is the program's only where it is not Kinesis's own affair."""
    count, now = scene.new.get("shardCount"), (scene.describe() or {})["OpenShardCount"]
    if count is None or count == now:
        return None
    return {"TargetShardCount": count, "ScalingType": "UNIFORM_SCALING"}


def key(scene: HookContext) -> Mapping[str, Any] | None:
    """The key that encrypts from now on, or the one that encrypted until now."""
    found = scene.new.get("kmsKeyId") or scene.old.get("kmsKeyId")
    return {"EncryptionType": "KMS", "KeyId": found} if found else None


ROWS = (
    Row(
        token="aws:kinesis/stream:Stream",
        service="kinesis",
        cfn="AWS::Kinesis::Stream",
        create=Call("CreateStream", ("name", "shardCount", "streamModeDetails")),
        read=Call("DescribeStreamSummary", result="StreamDescriptionSummary"),
        also=(Call("ListTagsForStream"),),
        then=(
            Call(
                "StartStreamEncryption",
                ("encryptionType", "kmsKeyId"),
                when={"encryptionType": "KMS"},
                build=key,
            ),
            Call("IncreaseStreamRetentionPeriod", ("retentionPeriod",), build=retention(True)),
            Call("DecreaseStreamRetentionPeriod", ("retentionPeriod",), build=retention(False)),
        ),
        update=(
            Call(
                "StopStreamEncryption",
                ("encryptionType",),
                when={"encryptionType": "NONE"},
                build=key,
            ),
            Call(
                "UpdateStreamMode",
                ("streamModeDetails",),
                key={"StreamARN": "{arn}"},
            ),
            Call("UpdateShardCount", ("shardCount",), build=shards),
        ),
        delete=Call("DeleteStream", ("enforceConsumerDeletion",)),
        identity=named("name"),
        rename={
            "name": "StreamName",
            "kmsKeyId": "KeyId",
            "retentionPeriod": "RetentionPeriodHours",
        },
        reads={"shardCount": "OpenShardCount"},
        write_only=("enforceConsumerDeletion", "shardCount"),
        autoname="name",
        defaults={
            "encryptionType": "NONE",
            "enforceConsumerDeletion": False,
            "retentionPeriod": DAY_HOURS,
            "streamModeDetails.streamMode": "PROVISIONED",
        },
        replace_on=("name",),
        refuses=("arn", "maxRecordSizeInKib", "shardLevelMetrics", "warmThroughputMibPs"),
        outputs={"arn": "StreamARN"},
        tags=Tags(
            create="",
            add="AddTagsToStream",
            remove="RemoveTagsFromStream",
            key={"StreamName": "{id}"},
        ),
        missing=(Missing("ResourceNotFoundException"),),
        fidelity="behaves: records are kept per shard and read again; they neither expire nor are "
        "encrypted, and no writer is throttled",
    ),
)
