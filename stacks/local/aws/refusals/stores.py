"""Tables, parameters, secrets and streams: requests that AWS does not take, and moto does."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from policies.reading.principals import is_public
from stacks.local.aws.policy_documents import listed
from stacks.local.aws.refusals.account import Account, backend
from stacks.local.aws.refusals.acting import cannot_assume
from stacks.local.aws.refusals.refusal import Condition, Refusal, Request

EXPRESSIONS = (
    "ConditionExpression", "FilterExpression", "KeyConditionExpression", "ProjectionExpression",
    "UpdateExpression",
)  # fmt: skip
PLACEHOLDER = re.compile(r"[:#][A-Za-z0-9_]+")


def _unused(member: str) -> Condition:
    """A placeholder that no expression of the request uses."""

    def condition(request: Request, account: Account) -> Mapping[str, str] | None:
        used = {
            name
            for expression in EXPRESSIONS
            for name in PLACEHOLDER.findall(str(request.get(expression) or ""))
        }
        lost = sorted(name for name in request.get(member) or () if name not in used)
        return {"names": ", ".join(lost)} if lost else None

    return condition


def _filters_keys(request: Request, account: Account) -> Mapping[str, str] | None:
    """A filter over what the table, or the index that is asked, has as its key."""
    table = backend("dynamodb", account.region).tables.get(request.get("TableName"))
    expression = str(request.get("FilterExpression") or "")
    if table is None or not expression:
        return None
    index = request.get("IndexName")
    schemas = [one.schema for one in [*table.indexes, *table.global_indexes] if one.name == index]
    names = {key["AttributeName"] for key in (schemas[0] if schemas else table.schema)}
    aliases = request.get("ExpressionAttributeNames") or {}
    words = re.findall(r"[#:]?[\w.]+", expression)
    hit = next((aliases.get(one, one) for one in words if aliases.get(one, one) in names), None)
    return {"name": hit} if hit else None


def _already(request: Request, account: Account) -> Mapping[str, str] | None:
    table = backend("dynamodb", account.region).tables.get(request.get("TableName"))
    asked = bool((request.get("TimeToLiveSpecification") or {}).get("Enabled"))
    if table is None:
        return None
    held = table.ttl.get("TimeToLiveStatus") == "ENABLED"
    return {"state": "enabled" if asked else "disabled"} if asked == held else None


def _parameter(request: Request, account: Account) -> Any:
    name = str(request.get("Name"))
    found = backend("ssm", account.region)._parameters.get(name)
    return found[-1] if found else None


def _other_type(request: Request, account: Account) -> Mapping[str, str] | None:
    held, kind = _parameter(request, account), request.get("Type")
    if held is None or not kind or not request.get("Overwrite"):
        return None
    return {} if kind != held.parameter_type else None


def _other_pattern(request: Request, account: Account) -> Mapping[str, str] | None:
    pattern = request.get("AllowedPattern")
    try:
        fits = not pattern or re.search(str(pattern), str(request.get("Value") or ""))
    except re.error:
        return None
    return None if fits else {"pattern": str(pattern)}


def _no_path(request: Request, account: Account) -> Mapping[str, str] | None:
    return None if str(request.get("Path", "")).startswith("/") else {}


def _no_function(request: Request, account: Account) -> Mapping[str, str] | None:
    if request.get("RotationLambdaARN"):
        return None
    asked = str(request.get("SecretId"))
    for one in list(backend("secretsmanager", account.region).secrets.values()):
        if asked in (one.name, one.arn):
            return None if one.rotation_lambda_arn else {}
    return None


def _lets_everybody(request: Request, account: Account) -> Mapping[str, str] | None:
    if not request.get("BlockPublicPolicy"):
        return None
    try:
        statements = listed(json.loads(request["ResourcePolicy"]).get("Statement"))
    except (ValueError, AttributeError):
        return None
    return {} if any(is_public(one) for one in statements) else None


def _no_number(request: Request, account: Account) -> Mapping[str, str] | None:
    kind = str(request.get("ShardIteratorType"))
    needed = {"AT_SEQUENCE_NUMBER": "StartingSequenceNumber",
              "AFTER_SEQUENCE_NUMBER": "StartingSequenceNumber",
              "AT_TIMESTAMP": "Timestamp"}.get(kind)  # fmt: skip
    return {"member": needed, "kind": kind} if needed and not request.get(needed) else None


def _no_iterator(request: Request, account: Account) -> Mapping[str, str] | None:
    from moto.kinesis.utils import decompose_shard_iterator

    try:
        decompose_shard_iterator(str(request.get("ShardIterator")))
    except (ValueError, IndexError):
        return {}
    return None


def _no_manifest(request: Request, account: Account) -> Mapping[str, str] | None:
    try:
        found = json.loads(request.get("imageManifest") or "")
    except ValueError:
        return {}
    return None if isinstance(found, dict) else {}


TABLES = "Amazon DynamoDB API, and developer guide, expressions"
PARAMETERS = "Systems Manager API, PutParameter and GetParametersByPath"
SECRETS = "Secrets Manager API, RotateSecret and PutResourcePolicy"
STREAMS = "Kinesis Data Streams API, GetShardIterator and GetRecords; the texts are ours"

EXPRESSED = ("DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem")
MALFORMED = "ValidationException"


def _row(
    service: str, operations: tuple[str, ...], condition: Condition, *, code: str, text: str,
    source: str,
) -> Refusal:  # fmt: skip
    return Refusal(
        service=service, operations=operations, condition=condition, code=code, text=text,
        source=source,
    )  # fmt: skip


STORES = (
    _row(
        "dynamodb", EXPRESSED, _unused("ExpressionAttributeValues"), code=MALFORMED,
        text="Value provided in ExpressionAttributeValues unused in expressions: keys: {{{names}}}",
        source=TABLES,
    ),
    _row(
        "dynamodb", EXPRESSED, _unused("ExpressionAttributeNames"), code=MALFORMED,
        text="Value provided in ExpressionAttributeNames unused in expressions: keys: {{{names}}}",
        source=TABLES,
    ),
    _row(
        "dynamodb", ("Query",), _filters_keys, code=MALFORMED,
        text=(
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: "
            "{name}"
        ),
        source=TABLES,
    ),
    _row(
        "dynamodb", ("UpdateTimeToLive",), _already, code=MALFORMED,
        text="TimeToLive is already {state}", source=TABLES,
    ),
    _row(
        "ssm", ("PutParameter",), _other_type, code="HierarchyTypeMismatchException",
        text="The parameter's type cannot be changed: create a new, unique parameter.",
        source=PARAMETERS,
    ),
    _row(
        "ssm", ("PutParameter",), _other_pattern, code="ParameterPatternMismatchException",
        text="Parameter value, cannot be validated against allowedPattern: {pattern}",
        source=PARAMETERS,
    ),
    _row(
        "ssm", ("GetParametersByPath",), _no_path, code=MALFORMED,
        text=(
            "The parameter doesn't meet the parameter name requirements. The parameter name must "
            'begin with a forward slash "/".'
        ),
        source=PARAMETERS,
    ),
    _row(
        "secretsmanager", ("RotateSecret",), _no_function, code="InvalidRequestException",
        text="No Lambda rotation function ARN is associated with this secret.", source=SECRETS,
    ),
    _row(
        "secretsmanager", ("PutResourcePolicy",), _lets_everybody, code="PublicPolicyException",
        text=(
            "The BlockPublicPolicy parameter is set to true, and the resource policy did not "
            "prevent broad access to the secret."
        ),
        source=SECRETS,
    ),
    _row(
        "kinesis", ("GetShardIterator",), _no_number, code="InvalidArgumentException",
        text="Must specify {member} with ShardIteratorType {kind}.", source=STREAMS,
    ),
    _row(
        "kinesis", ("GetRecords",), _no_iterator, code="InvalidArgumentException",
        text="Invalid ShardIterator.", source=STREAMS,
    ),
    _row(
        "ecr", ("PutImage",), _no_manifest, code="InvalidParameterException",
        text=(
            "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON "
            "syntax'"
        ),
        source="Amazon ECR API, PutImage",
    ),
    _row(
        "firehose", ("CreateDeliveryStream",),
        cannot_assume("ExtendedS3DestinationConfiguration.RoleARN", "firehose"),
        code="InvalidArgumentException",
        text="Firehose is unable to assume role {role}. Please check the role provided.",
        source="hashicorp/terraform-provider-aws, internal/service/firehose/delivery_stream.go",
    ),
)  # fmt: skip
"""What moto takes and AWS does not."""
