"""Data capture: what an endpoint was asked and answered, as JSON Lines in S3.

Written under `<DestinationS3Uri>/<endpoint>/<variant>/yyyy/mm/dd/hh/` in SageMaker's format, one
object per flush and variant.
"""

import base64
import json
import logging
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from stacks.local.aws.sagemaker.shapes import now
from stacks.local.runtime.acting import CannotAct
from stacks.local.runtime.s3_files import split_uri

log = logging.getLogger(__name__)

ENCODINGS = {"text/csv": "CSV", "application/json": "JSON", "application/jsonlines": "JSON"}
"""Content type -> how the data stands in the record. Default: BASE64."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request to an endpoint and its answer."""

    endpoint: str
    variant: str
    headers: Mapping[str, str]
    request: bytes
    answer: bytes
    answer_type: str
    role_arn: str
    """Execution role of the model, which writes it."""

    time: datetime = field(default_factory=now)


class Captures:
    """Captured exchanges that wait to be written."""

    def __init__(self, s3_of: Callable[[str], Any]) -> None:
        self._s3_of = s3_of  # ARN of a role -> a client that signs as it
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)

    def add(self, config: Mapping[str, Any], exchange: Exchange) -> None:
        line = json.dumps(record(config, exchange))
        key = (
            config["DestinationS3Uri"], exchange.endpoint, exchange.variant, exchange.role_arn,
        )  # fmt: skip
        with self._lock:
            self._waiting[key].append(line)

    def flush(self) -> None:
        """Write what waits; what cannot be written is dropped with a warning, as on AWS."""
        with self._lock:
            waiting, self._waiting = self._waiting, defaultdict(list)
        time = now()
        for (destination, endpoint, variant, role), lines in waiting.items():
            bucket, prefix = split_uri(destination)
            name = f"{time:%Y/%m/%d/%H/%M-%S}-{time.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
            key = "/".join(part for part in (prefix.strip("/"), endpoint, variant, name) if part)
            try:
                self._s3_of(role).put_object(Bucket=bucket, Key=key, Body="\n".join(lines).encode())
            except (CannotAct, ClientError) as error:
                log.warning("%d captured records of %s are lost: %s", len(lines), endpoint, error)


def record(config: Mapping[str, Any], exchange: Exchange) -> dict[str, Any]:
    """One line of a capture file."""
    modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
    data = {}
    if modes & {"Input", "InputAndOutput"}:
        sent = exchange.headers.get("Content-Type", "")
        data["endpointInput"] = _side(config, "INPUT", exchange.request, sent)
    if modes & {"Output", "InputAndOutput"}:
        data["endpointOutput"] = _side(config, "OUTPUT", exchange.answer, exchange.answer_type)
    metadata = {
        "eventId": str(uuid.uuid4()),
        "inferenceTime": exchange.time.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
    inference = exchange.headers.get("X-Amzn-SageMaker-Inference-Id")
    attributes = exchange.headers.get("X-Amzn-SageMaker-Custom-Attributes")
    return {
        "captureData": data,
        "eventMetadata": {
            **metadata,
            **({"inferenceId": inference} if inference else {}),
            **({"customAttributes": [attributes]} if attributes else {}),
        },
        "eventVersion": "0",
    }


def _side(config: Mapping[str, Any], mode: str, body: bytes, content_type: str) -> dict[str, str]:
    kind = content_type.partition(";")[0].strip().lower()
    declared = config.get("CaptureContentTypeHeader", {})
    encoding = ENCODINGS.get(kind, "BASE64")
    if kind in declared.get("CsvContentTypes", []):
        encoding = "CSV"
    elif kind in declared.get("JsonContentTypes", []):
        encoding = "JSON"
    raw = encoding == "BASE64"
    text = base64.b64encode(body).decode() if raw else body.decode(errors="replace")
    return {
        "observedContentType": content_type,
        "mode": mode,
        "data": text,
        "encoding": encoding,
    }
