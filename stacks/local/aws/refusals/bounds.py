"""Members of requests that are longer, more or other than their model says.

A service of AWS checks each request against the model that botocore has, too; clients check the
least of it, and moto hardly anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from stacks.local.aws.model_constraints import problems
from stacks.local.aws.protocols import model_of
from stacks.local.aws.refusals.account import Account
from stacks.local.aws.refusals.refusal import Condition, Refusal, Request

CODES = {
    "athena": "InvalidRequestException",
    "dynamodb": "ValidationException",
    "ecr": "InvalidParameterException",
    "events": "ValidationException",
    "firehose": "ValidationException",
    "iam": "ValidationError",
    "kinesis": "ValidationException",
    "kms": "ValidationException",
    "logs": "InvalidParameterException",
    "scheduler": "ValidationException",
    "secretsmanager": "ValidationException",
    "ssm": "ValidationException",
    "stepfunctions": "ValidationException",
    "sts": "ValidationError",
}
"""Service whose requests are held against its model -> the code of what does not fit."""


def misfit(service: str, operation: str) -> Condition:
    """A request has a member that its model does not allow."""
    shape = model_of(service).operation_model(operation).input_shape

    def condition(request: Request, account: Account) -> Mapping[str, str] | None:
        told = next(problems(request, shape), None) if shape is not None else None
        return {"told": _worded(told)} if told else None

    return condition


NAME = re.compile(r"Value '.*' at '(.+)' failed .* pattern: \[\\w\+=,\.@-\]\+", re.DOTALL)
"""What is said of a name of IAM, which IAM words in its own way (IAM user guide, IAM name
requirements)."""


def _worded(told: str) -> str:
    if name := NAME.fullmatch(told):
        return (
            f"The specified value for {name[1]} is invalid. It must contain only alphanumeric "
            "characters and/or the following: +=,.@_-"
        )
    return f"1 validation error detected: {told}"


def _code(service: str, operation: str) -> str:
    """That of the service, where the operation has it."""
    codes = {one.name for one in model_of(service).operation_model(operation).error_shapes}
    code = CODES[service]
    return code if code in codes or code == "ValidationError" else "ValidationException"


BOUNDS = tuple(
    Refusal(
        service=service,
        operations=(operation,),
        condition=misfit(service, operation),
        code=_code(service, operation),
        text="{told}",
        source=f"botocore's model of {service}",
    )
    for service in CODES
    for operation in model_of(service).operation_names
)
"""One row an operation."""
