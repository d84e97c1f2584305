"""Queues and functions that let services in."""

from __future__ import annotations

import json
from typing import Any

HEAD = "us-east-1:123456789012"
SERVICES = ["events.amazonaws.com", "s3.amazonaws.com", "sns.amazonaws.com"]


def open_queue(sqs: Any, name: str) -> str:
    """The URL of a new queue that rules, buckets and topics may send to."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": SERVICES},
        "Action": "sqs:SendMessage",
        "Resource": f"arn:aws:sqs:{HEAD}:{name}",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return str(sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"])


def let_invoke(functions: Any, name: str, service: str, **more: Any) -> None:
    """Let a service call a function."""
    functions.add_permission(
        FunctionName=name, StatementId=service.partition(".")[0], Principal=service,
        Action="lambda:InvokeFunction", **more,
    )  # fmt: skip
