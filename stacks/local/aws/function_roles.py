"""What Lambda does with the role of a function beside the program in it.

Sources, Lambda developer guide: "Securing Lambda environment variables" (Decrypt of the key),
"Sending Lambda function logs to CloudWatch Logs", "Process Amazon Kinesis Data Streams records",
"Retaining records for a Kinesis event source" and "Capturing records of asynchronous invocations"
(the role sends to the queue). A function without the right to its log runs on; that it was denied
is counted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from policies.data import UNKNOWN
from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.emulator import Emulator
from stacks.local.aws.iam.asked import Check
from stacks.local.runtime.acting import Acting, CannotAct

READS_STREAM = ("DescribeStream", "DescribeStreamSummary", "GetRecords", "GetShardIterator",
                "ListShards")  # fmt: skip
LOGS = ("logs:CreateLogStream", "logs:PutLogEvents")

log = logging.getLogger(__name__)


def acting(emulator: Emulator, function: Any) -> Acting:
    """The session with which a function runs; CannotAct where Lambda could not start it."""
    subnets = (function.vpc_config or {}).get("SubnetIds", ())
    made = emulator.act(
        function.role, service="lambda", session_name=function.function_name, subnets=subnets
    )
    ask, key = emulator.authorizer.refuses, made.environment["AWS_ACCESS_KEY_ID"]
    head = f"arn:aws:logs:{emulator.region}:{ACCOUNT_ID}:log-group:/aws/lambda"
    for action in LOGS:
        ask(key, Check(action=action, resource=f"{head}/{function.function_name}:log-stream:x"))
    used = function.kms_key_arn if function.environment_vars else None
    arn = emulator.authorizer.key(used) if used else None
    told = ask(key, _through("lambda", "kms:Decrypt", arn, emulator)) if arn else ""
    if told:
        raise CannotAct(
            "Lambda was unable to decrypt the environment variables because KMS access was denied. "
            "Please check the function's KMS key settings. KMS Exception: AccessDeniedException "
            f"KMS Message: {told}"
        )
    return made


def may_read(emulator: Emulator, function: Any, stream: Any) -> bool:
    """Whether Lambda, as the function's role, may read a stream."""
    checks = [Check(action=f"kinesis:{name}", resource=stream.arn) for name in READS_STREAM]
    if stream.key_id and (arn := emulator.authorizer.key(stream.key_id)):
        checks.append(_through("kinesis", "kms:Decrypt", arn, emulator))
    return _may(emulator, function, checks)


def may_send(emulator: Emulator, function: Any, queue: Any) -> bool:
    """Whether Lambda, as the function's role, may send what was given up to a queue."""
    checks = [Check(action="sqs:SendMessage", resource=queue.queue_arn)]
    name = queue.kms_master_key_id
    if name and (arn := emulator.authorizer.key(name)):
        checks += [
            _through("sqs", action, arn, emulator)
            for action in ("kms:GenerateDataKey", "kms:Decrypt")
        ]
    return _may(emulator, function, checks)


def _may(emulator: Emulator, function: Any, checks: list[Check]) -> bool:
    for told in _refused(emulator, function, checks):
        log.warning("%s: %s", function.function_name, told)
        return False
    return True


def _refused(emulator: Emulator, function: Any, checks: list[Check]) -> Iterator[str]:
    for check in checks:
        told = emulator.authorizer.refuses_role(function.role, function.function_name, check)
        if told:
            yield told


def _through(service: str, action: str, key: str, emulator: Emulator) -> Check:
    known = {
        "kms:ViaService": f"{service}.{emulator.region}.amazonaws.com",
        "kms:EncryptionContextKeys": UNKNOWN,
    }
    return Check(action=action, resource=key, known=known)
