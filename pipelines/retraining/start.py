"""Starts a pipeline when a trigger is granted: the handler of a Lambda function.

A trigger is an alarm that changed to ALARM or a schedule. The record in DynamoDB is written on the
condition that nobody else wrote it since it was read: that is the lock. Nothing has to give it
back, because the next trigger asks SageMaker whether the last execution is still running. Nothing
here approves or deploys a model.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

import boto3
from botocore.exceptions import ClientError

from pipelines.retraining.decision import Record, RetrainingLimits, decide

REASON_CHARACTERS = 256
"""A value of CustomerMetadataProperties (CreateModelPackage)."""

NOT_IN_REASONS = re.compile(r"[^\w .:/=+\-@]")
"""What that value must not hold."""


@cache
def client(service: str) -> Any:
    """One client per service for the life of the execution environment."""
    return boto3.client(service)


@cache
def table() -> Any:
    """The table with one record per pipeline."""
    return boto3.resource("dynamodb").Table(os.environ["RECORDS_TABLE"])


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Start the pipeline, or say why not; raises when AWS fails, so that Lambda tries again."""
    pipeline, reason = os.environ["PIPELINE_NAME"], reason_of(event)
    record = read(pipeline)
    verdict = decide(
        record,
        RetrainingLimits(
            cool_down=timedelta(seconds=int(os.environ["COOL_DOWN_SECONDS"])),
            max_runs_per_day=int(os.environ["MAX_RUNS_PER_DAY"]),
        ),
        event_id=str(event["id"]),
        reason=reason,
        now=datetime.now(UTC),
        running=status(record.execution_arn),
    )
    claim = verdict.claim
    if claim is None or not write(pipeline, claim, held=record.version):
        refusal = verdict.refusal or "another trigger was granted at the same time"
        return say(started=False, reason=reason, refusal=refusal)
    answer = client("sagemaker").start_pipeline_execution(
        PipelineName=pipeline,
        ClientRequestToken=sha256(claim.event_id.encode()).hexdigest(),
        PipelineExecutionDescription=reason,
        PipelineParameters=[{"Name": "Reason", "Value": reason}],
    )
    arn = answer["PipelineExecutionArn"]
    write(pipeline, replace(claim, execution_arn=arn), held=claim.version)
    return say(started=True, reason=reason, execution_arn=arn)


def reason_of(event: Mapping[str, Any]) -> str:
    """Why, in words that fit into the properties of a model package."""
    detail = event.get("detail", {})
    if "alarmName" in detail:
        state = detail.get("state", {})
        text = f"alarm {detail['alarmName']}: {state.get('reason', state.get('value', ''))}"
    else:
        text = str(detail.get("reason") or event.get("detail-type") or "unspecified")
    return NOT_IN_REASONS.sub(" ", text)[:REASON_CHARACTERS]


def read(pipeline: str) -> Record:
    """What is remembered, as of now."""
    answer = table().get_item(Key={"pipeline": pipeline}, ConsistentRead=True)
    return Record.of(answer.get("Item", {}))


def write(pipeline: str, record: Record, *, held: int) -> bool:
    """Write the record unless somebody wrote it since version `held` was read."""
    try:
        table().put_item(
            Item={"pipeline": pipeline, **asdict(record)},
            ConditionExpression="attribute_not_exists(version) OR version = :held",
            ExpressionAttributeValues={":held": held},
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    return True


def status(execution_arn: str) -> str:
    """State of an execution; empty when there is none, or SageMaker no longer knows it."""
    if not execution_arn:
        return ""
    try:
        answer = client("sagemaker").describe_pipeline_execution(PipelineExecutionArn=execution_arn)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ResourceNotFound", "ValidationException"):
            return ""
        raise
    return str(answer["PipelineExecutionStatus"])


def say(**facts: Any) -> dict[str, Any]:
    """The answer, also as a line of the log."""
    sys.stdout.write(json.dumps({"event": "trigger", **facts}) + "\n")
    return facts
