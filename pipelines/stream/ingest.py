"""Writes the records of a Kinesis stream to feature groups: the handler of a Lambda function.

A message is JSON: `{"entity": "flights", "record": {"flight_id": "...", "event_time": "..."}}`.
PutRecord compares event times, so a message that comes twice or late never makes a record older,
and a batch may be tried again. What can never be written goes to the dead-letter queue with its
content and the reason; what the service could not take now is reported, so that Lambda tries it
again and leaves the rest alone.
"""

import base64
import json
import os
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

NEVER = frozenset({"ValidationError", "ValidationException"})
"""What SageMaker says of a record that it will not take at any time (PutRecord, errors)."""


class Refused(Exception):
    """A message that can never become a record."""


@cache
def client(service: str) -> Any:
    """One client per service for the life of the execution environment."""
    return boto3.client(service)


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Write a batch; what to try again, by its sequence number."""
    failed = []
    for message in event["Records"]:
        kinesis = message["kinesis"]
        data = base64.b64decode(kinesis["data"])
        try:
            put(data)
        except Refused as error:
            bury(data, str(error), kinesis["sequenceNumber"])
        except (BotoCoreError, ClientError) as error:
            failed.append({"itemIdentifier": kinesis["sequenceNumber"]})
            log("retry", reason=str(error), sequence_number=kinesis["sequenceNumber"])
    log("batch", records=len(event["Records"]), failed=len(failed))
    return {"batchItemFailures": failed}


def put(data: bytes) -> None:
    """Write one message as a record of its entity's feature group."""
    group, record = parse(data)
    try:
        client("sagemaker-featurestore-runtime").put_record(FeatureGroupName=group, Record=record)
    except ClientError as error:
        if error.response["Error"]["Code"] in NEVER:
            raise Refused(error.response["Error"]["Message"]) from error
        raise


def parse(data: bytes) -> tuple[str, list[dict[str, str]]]:
    """The feature group and the record of a message; features without a value are left out."""
    groups = json.loads(os.environ["FEATURE_GROUPS"])
    try:
        message = json.loads(data)
    except ValueError as error:
        raise Refused(f"the message must be JSON, got {error}") from error
    if not isinstance(message, dict) or set(message) != {"entity", "record"}:
        raise Refused("the message must have the members entity and record")
    entity, record = message["entity"], message["record"]
    if entity not in groups:
        raise Refused(f"entity must be one of {', '.join(sorted(groups))}, got {entity!r}")
    if not isinstance(record, dict) or not record:
        raise Refused("record must be an object of features")
    compound = sorted(name for name, value in record.items() if isinstance(value, (dict, list)))
    if compound:
        raise Refused(f"features must hold one value each, got more in {', '.join(compound)}")
    return groups[entity], [
        {"FeatureName": name, "ValueAsString": text(value)}
        for name, value in record.items()
        if value is not None
    ]


def text(value: object) -> str:
    """A value as the feature store takes it: it has no booleans, so they are 0 and 1."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def bury(data: bytes, reason: str, sequence_number: str) -> None:
    """Keep what cannot be written where a person finds it."""
    body = {
        "reason": reason,
        "sequence_number": sequence_number,
        "data": base64.b64encode(data).decode(),
    }
    queue_url = os.environ["DEAD_LETTER_QUEUE_URL"]
    client("sqs").send_message(QueueUrl=queue_url, MessageBody=json.dumps(body))
    log("refused", reason=reason, sequence_number=sequence_number)


def log(what: str, **facts: object) -> None:
    """One JSON object per line, as CloudWatch Logs Insights reads them."""
    sys.stdout.write(json.dumps({"event": what, **facts}) + "\n")
