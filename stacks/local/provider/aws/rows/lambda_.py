"""Functions and what calls them."""

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stacks.local.provider.aws.row import (
    EVERYTHING,
    Call,
    HookContext,
    Missing,
    Row,
    Tags,
    named,
    parts,
    returned,
)

MISSING = (Missing("ResourceNotFoundException"),)
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip archive can tell: the same files are the same bytes."""

CODE = ("code", "s3Bucket", "s3Key", "s3ObjectVersion")

CONFIGURATION = (
    "deadLetterConfig",
    "description",
    "environment",
    "ephemeralStorage",
    "handler",
    "kmsKeyArn",
    "layers",
    "loggingConfig",
    "memorySize",
    "role",
    "runtime",
    "timeout",
    "tracingConfig",
    "vpcConfig",
)

ASYNCHRONOUS = ("destinationConfig", "maximumEventAgeInSeconds", "maximumRetryAttempts")

UNTOLD = ("code", "loggingConfig", "s3Bucket", "s3Key", "s3ObjectVersion")
"""What moto's GetFunction leaves out."""


def concurrency(given: bool) -> Callable[[HookContext], Mapping[str, Any] | None]:
    """There is one call to reserve and one to stop reserving."""

    def build(scene: HookContext) -> Mapping[str, Any] | None:
        return {} if ("reservedConcurrentExecutions" in scene.new) == given else None

    return build


def package(scene: HookContext) -> Mapping[str, Any] | None:
    """The zip archive of `code`, made in memory; without one, what the other inputs name."""
    archive = scene.new.get("code")
    if archive is None:
        return {}
    if "path" in archive and Path(archive["path"]).is_file():
        return {"ZipFile": Path(archive["path"]).read_bytes()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in sorted(files(archive).items()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, content)
    return {"ZipFile": out.getvalue()}


def files(archive: Mapping[str, Any], prefix: str = "") -> dict[str, bytes]:
    """Content by name of an archive that the program puts together or that is a folder."""
    if "path" in archive:
        root = Path(archive["path"])
        found = [path for path in root.rglob("*") if path.is_file()]
        return {prefix + path.relative_to(root).as_posix(): path.read_bytes() for path in found}
    held: dict[str, bytes] = {}
    for name, asset in archive["assets"].items():
        if "assets" in asset:
            held |= files(asset, f"{prefix}{name}/")
        elif "text" in asset:
            held[prefix + name] = asset["text"].encode()
        elif Path(asset["path"]).is_dir():
            held |= files(asset, f"{prefix}{name}/")
        else:
            held[prefix + name] = Path(asset["path"]).read_bytes()
    return held


def wrapped(scene: HookContext) -> Mapping[str, Any] | None:
    """CreateFunction has the archive inside Code."""
    packed = package(scene)
    return {"Code": packed} if packed else {}


ROWS = (
    Row(
        token="aws:lambda/eventSourceMapping:EventSourceMapping",
        service="lambda",
        cfn="AWS::Lambda::EventSourceMapping",
        create=Call("CreateEventSourceMapping", omits=("loggingConfig",)),
        read=Call("GetEventSourceMapping"),
        also=(Call("ListTags", key={"Resource": "{EventSourceMappingArn}"}),),
        update=(
            Call(
                "UpdateEventSourceMapping",
                (
                    "batchSize",
                    "bisectBatchOnFunctionError",
                    "destinationConfig",
                    "enabled",
                    "functionName",
                    "functionResponseTypes",
                    "maximumBatchingWindowInSeconds",
                    "maximumRecordAgeInSeconds",
                    "maximumRetryAttempts",
                    "parallelizationFactor",
                ),
            ),
        ),
        delete=Call("DeleteEventSourceMapping"),
        identity=returned("UUID"),
        key={"UUID": "{id}"},
        rename={"destinationArn": "Destination"},
        reads={"enabled": "State != 'Disabled'", "functionName": "FunctionArn"},
        computed=("batchSize", "parallelizationFactor", "startingPosition"),
        defaults={"enabled": True},
        replace_on=("eventSourceArn", "startingPosition"),
        refuses=(
            "amazonManagedKafkaEventSourceConfig",
            "documentDbEventSourceConfig",
            "filterCriteria",
            "kmsKeyArn",
            "metricsConfig",
            "provisionedPollerConfig",
            "queues",
            "scalingConfig",
            "selfManagedEventSource",
            "selfManagedKafkaEventSourceConfig",
            "sourceAccessConfigurations",
            "startingPositionTimestamp",
            "topics",
            "tumblingWindowInSeconds",
            "useResourceTimeoutForPropagation",
        ),
        outputs={
            "arn": "EventSourceMappingArn",
            "functionArn": "FunctionArn",
            "state": "State",
            "uuid": "UUID",
        },
        tags=Tags(
            add="TagResource",
            remove="UntagResource",
            member="Tags",
            key={"Resource": "{EventSourceMappingArn}"},
        ),
        missing=MISSING,
        fidelity="behaves for Kinesis: batches, partial failures, bisection, retries and the "
        "destination on failure; records do not grow too old, filters are not applied",
    ),
    Row(
        token="aws:lambda/function:Function",
        service="lambda",
        cfn="AWS::Lambda::Function",
        create=Call(
            "CreateFunction",
            ("architectures", "name", "packageType", *CONFIGURATION, *CODE[1:]),
            build=wrapped,
        ),
        read=Call("GetFunction", result="Configuration"),
        also=(Call("GetFunction", result="{Tags: Tags, Concurrency: Concurrency}"),),
        then=(
            Call(
                "PutFunctionConcurrency", ("reservedConcurrentExecutions",), build=concurrency(True)
            ),
        ),
        update=(
            Call("UpdateFunctionCode", ("architectures", *CODE), build=package),
            Call("UpdateFunctionConfiguration", CONFIGURATION),
            Call(
                "DeleteFunctionConcurrency",
                ("reservedConcurrentExecutions",),
                when={"reservedConcurrentExecutions": None},
            ),
        ),
        delete=Call("DeleteFunction"),
        identity=named("name"),
        rename={
            "/name": "FunctionName",
            "/code": "ZipFile",
            "/s3Bucket": "Code.S3Bucket",
            "/s3Key": "Code.S3Key",
            "/s3ObjectVersion": "Code.S3ObjectVersion",
        },
        reads={
            "reservedConcurrentExecutions": "Concurrency.ReservedConcurrentExecutions",
        },
        write_only=UNTOLD,
        autoname="name",
        defaults={
            "architectures": ["x86_64"],
            "description": "",
            "ephemeralStorage.size": 512,
            "memorySize": 128,
            "packageType": "Zip",
            "timeout": 3,
            "tracingConfig.mode": "PassThrough",
        },
        replace_on=("name", "packageType"),
        refuses=(
            "capacityProviderConfig",
            "codeSha256",
            "codeSigningConfigArn",
            "durableConfig",
            "fileSystemConfig",
            "imageConfig",
            "imageUri",
            "publish",
            "publishTo",
            "replaceSecurityGroupsOnDestroy",
            "replacementSecurityGroupIds",
            "skipDestroy",
            "snapStart",
            "sourceCodeHash",
            "sourceKmsKeyArn",
            "tenancyConfig",
            "useResourceTimeoutForPropagation",
            "vpcConfig.vpcId",
        ),
        outputs={"arn": "FunctionArn", "lastModified": "LastModified", "version": "Version"},
        tags=Tags(add="TagResource", remove="UntagResource", key={"Resource": "{FunctionArn}"}),
        missing=MISSING,
        fidelity="behaves: a Python function from an archive runs as a process with its timeout, "
        "logs START, END and REPORT, is retried where nobody waits for it and has dead letters; "
        "its memory is not limited, it shares this machine's network",
    ),
    Row(
        token="aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
        service="lambda",
        cfn="AWS::Lambda::EventInvokeConfig",
        create=Call("PutFunctionEventInvokeConfig"),
        read=Call("GetFunctionEventInvokeConfig"),
        update=(Call("PutFunctionEventInvokeConfig", ASYNCHRONOUS),),
        delete=Call("DeleteFunctionEventInvokeConfig"),
        identity=named("functionName"),
        defaults={"maximumRetryAttempts": 2},
        replace_on=("functionName",),
        refuses=("qualifier",),
        missing=MISSING,
        fidelity="behaves: retries after a second and two, where AWS waits as many minutes, and "
        "destinations (queue, topic, function, bus, on failure a bucket); events that wait are "
        "lost when the cloud ends",
    ),
    Row(
        token="aws:lambda/permission:Permission",
        service="lambda",
        cfn="AWS::Lambda::Permission",
        create=Call("AddPermission", omits=("revisionId",)),
        read=Call(
            "GetPolicy",
            key={"FunctionName": "{function}"},
            result="contains(Policy, '\"{statementId}\"') && {Policy: Policy} || `null`",
        ),
        delete=Call("RemovePermission"),
        identity=parts("/", "function", "statementId"),
        rename={"function": "FunctionName", "principalOrgId": "PrincipalOrgID"},
        write_only=("action", "eventSourceToken", "principal", "sourceAccount", "sourceArn"),
        autoname="statementId",
        replace_on=EVERYTHING,  # the API has no update call
        refuses=(
            "functionUrlAuthType",
            "invokedViaFunctionUrl",
            "principalOrgId",
            "qualifier",
            "statementIdPrefix",
        ),
        missing=MISSING,
        fidelity="recorded by moto: no call is authorised against it",
    ),
)
