"""Cases of what fills the feature store: streams, functions, tables, caches, engines."""

from typing import Any

from tests.provider_case import KEY, RETAGGED, ROLE, TAGS, Case, Ref

STREAM = "aws:kinesis/stream:Stream"
FUNCTION = "aws:lambda/function:Function"
QUEUE = "aws:sqs/queue:Queue"

ASSET = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17"}
ARCHIVE = {"4dabf18193072939515e22adb298388d": "0def7320c3a5731c473e5ecbe6d01bc7"}
"""How the engine marks what is an asset or an archive."""


def code(text: str) -> dict[str, Any]:
    """An archive of one module, as it reaches a provider."""
    asset = {**ASSET, "hash": f"hash of {text}", "text": text}
    return {**ARCHIVE, "hash": f"hash of all of {text}", "assets": {"main.py": asset}}


CASES: dict[str, Case] = {
    STREAM: Case(
        inputs={
            "name": "plinth-events",
            "streamModeDetails": {"streamMode": "ON_DEMAND"},
            "retentionPeriod": 48,
            "encryptionType": "KMS",
            "kmsKeyId": Ref(KEY, "arn"),
            "tags": TAGS,
        },
        change={"retentionPeriod": 24, "tags": RETAGGED},
    ),
    "aws:lambda/eventSourceMapping:EventSourceMapping": Case(
        inputs={
            "eventSourceArn": Ref(STREAM, "arn"),
            "functionName": Ref(FUNCTION, "arn"),
            "startingPosition": "TRIM_HORIZON",
            "batchSize": 10,
            "maximumBatchingWindowInSeconds": 1,
            "maximumRetryAttempts": 3,
            "bisectBatchOnFunctionError": True,
            "functionResponseTypes": ["ReportBatchItemFailures"],
            "destinationConfig": {"onFailure": {"destinationArn": Ref(QUEUE, "arn")}},
            "tags": TAGS,
        },
        change={"batchSize": 20, "enabled": False, "tags": RETAGGED},
    ),
    FUNCTION: Case(
        inputs={
            "name": "plinth-ingest",
            "role": Ref(ROLE, "arn"),
            "runtime": "python3.13",
            "architectures": ["arm64"],
            "handler": "main.handler",
            "code": code("def handler(event, context): return 1"),
            "memorySize": 256,
            "timeout": 60,
            "environment": {"variables": {"a": "b"}},
            "reservedConcurrentExecutions": 5,
            "kmsKeyArn": Ref(KEY, "arn"),
            "tags": TAGS,
        },
        change={
            "code": code("def handler(event, context): return 2"),
            "timeout": 30,
            "environment": {"variables": {"a": "c"}},
            "tags": RETAGGED,
        },
        drop=("reservedConcurrentExecutions",),
    ),
}
