"""What must be true of a deployed resource, as data: one call, one place in its answer, one value.

A row holds for every resource of its type that the program registers. Requests and wanted values
are JMESPath expressions over the resource's inputs, so the program stays the one source.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jmespath
from botocore.exceptions import ClientError

from policies.data import Resource
from stacks.checks.check import CheckResult, Platform, Unanswered, attempt, failed, passed, unknown


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One fact about every resource of a type."""

    check: str
    type: str
    """Resource type, from whose inputs the rest is computed."""

    service: str
    operation: str
    """Method of the boto3 client."""

    request: Mapping[str, str]
    """Member of the request -> JMESPath over the inputs."""

    query: str
    """JMESPath over the answer."""

    wanted: str
    """JMESPath over the inputs, or a literal such as `'ACTIVE'`."""

    must: str
    """What must hold, in words: a failure starts with them."""


def _eks(type_: str, operation: str, query: str, wanted: str, must: str) -> Expectation:
    request = {
        "Cluster": {"name": "name"},
        "NodeGroup": {"clusterName": "clusterName", "nodegroupName": "nodeGroupName"},
        "Addon": {"clusterName": "clusterName", "addonName": "addonName"},
    }[type_]
    return Expectation(
        check="cluster",
        type=f"aws:eks/{type_[0].lower()}{type_[1:]}:{type_}",
        service="eks",
        operation=operation,
        request=request,
        query=query,
        wanted=wanted,
        must=must,
    )


def _bucket(operation: str, query: str, wanted: str, must: str) -> Expectation:
    return Expectation(
        check="buckets",
        type="aws:s3/bucket:Bucket",
        service="s3",
        operation=operation,
        request={"Bucket": "bucket"},
        query=query,
        wanted=wanted,
        must=must,
    )


def _alarm(query: str, wanted: str, must: str) -> Expectation:
    return Expectation(
        check="alarms",
        type="aws:cloudwatch/metricAlarm:MetricAlarm",
        service="cloudwatch",
        operation="describe_alarms",
        request={"AlarmNames": "[name]"},
        query=query,
        wanted=wanted,
        must=must,
    )


EXPECTATIONS = (
    _alarm(
        "MetricAlarms[0].[Namespace, MetricName]",
        "[namespace, metricName]",
        "must watch its metric",
    ),
    _alarm(
        "[sort(not_null(MetricAlarms[0].Dimensions[].Name, `[]`)), "
        "sort(not_null(MetricAlarms[0].Dimensions[].Value, `[]`))]",
        "[sort(keys(not_null(dimensions, `{}`))), sort(values(not_null(dimensions, `{}`)))]",
        "must watch these dimensions",
    ),
    _alarm(
        "MetricAlarms[0].[Threshold, EvaluationPeriods, ComparisonOperator]",
        "[threshold, evaluationPeriods, comparisonOperator]",
        "must fire at its threshold",
    ),
    _alarm("MetricAlarms[0].ActionsEnabled", "`true`", "must have its actions enabled"),
    _bucket("get_bucket_versioning", "Status", "'Enabled'", "must keep versions"),
    _bucket(
        "get_public_access_block",
        "PublicAccessBlockConfiguration.[BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, "
        "RestrictPublicBuckets]",
        "`[true, true, true, true]`",
        "must block public access in all four ways",
    ),
    Expectation(
        check="buckets",
        type="aws:s3/bucketServerSideEncryptionConfiguration:"
        "BucketServerSideEncryptionConfiguration",
        service="s3",
        operation="get_bucket_encryption",
        request={"Bucket": "bucket"},
        query="ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault"
        ".SSEAlgorithm",
        wanted="rules[0].applyServerSideEncryptionByDefault.sseAlgorithm",
        must="must encrypt with",
    ),
    _eks("Cluster", "describe_cluster", "cluster.status", "'ACTIVE'", "must be active"),
    _eks("Cluster", "describe_cluster", "cluster.version", "version", "must run Kubernetes"),
    _eks("NodeGroup", "describe_nodegroup", "nodegroup.status", "'ACTIVE'", "must be active"),
    _eks(
        "NodeGroup",
        "describe_nodegroup",
        "nodegroup.scalingConfig.[minSize, maxSize]",
        "scalingConfig.[minSize, maxSize]",
        "must have these bounds",
    ),
    _eks("Addon", "describe_addon", "addon.status", "'ACTIVE'", "must be active"),
    _eks("Addon", "describe_addon", "addon.addonVersion", "addonVersion", "must have the version"),
    Expectation(
        check="features",
        type="aws:sagemaker/featureGroup:FeatureGroup",
        service="sagemaker",
        operation="describe_feature_group",
        request={"FeatureGroupName": "featureGroupName"},
        query="FeatureGroupStatus",
        wanted="'Created'",
        must="must be created",
    ),
    Expectation(
        check="logs",
        type="aws:cloudwatch/logGroup:LogGroup",
        service="logs",
        operation="describe_log_groups",
        request={"logGroupNamePrefix": "name"},
        query="logGroups[0].[logGroupName, retentionInDays]",
        wanted="[name, retentionInDays]",
        must="must keep its events for days",
    ),
    Expectation(
        check="registry",
        type="aws:sagemaker/modelPackageGroup:ModelPackageGroup",
        service="sagemaker",
        operation="describe_model_package_group",
        request={"ModelPackageGroupName": "modelPackageGroupName"},
        query="ModelPackageGroupStatus",
        wanted="'Completed'",
        must="must be complete",
    ),
    Expectation(
        check="streams",
        type="aws:kinesis/stream:Stream",
        service="kinesis",
        operation="describe_stream_summary",
        request={"StreamName": "name"},
        query="StreamDescriptionSummary.[StreamStatus, EncryptionType]",
        wanted="['ACTIVE', 'KMS']",
        must="must be active and encrypted",
    ),
    Expectation(
        check="tables",
        type="aws:dynamodb/table:Table",
        service="dynamodb",
        operation="describe_table",
        request={"TableName": "name"},
        query="Table.TableStatus",
        wanted="'ACTIVE'",
        must="must be active",
    ),
    Expectation(
        check="functions",
        type="aws:lambda/function:Function",
        service="lambda",
        operation="get_function_configuration",
        request={"FunctionName": "name"},
        query="State",
        wanted="'Active'",
        must="must be active",
    ),
    Expectation(
        check="rules",
        type="aws:cloudwatch/eventRule:EventRule",
        service="events",
        operation="describe_rule",
        request={"Name": "name"},
        query="State",
        wanted="not_null(state, 'ENABLED')",
        must="must be in the state",
    ),
)


def check(platform: Platform) -> Iterator[CheckResult]:
    """Every expectation of every resource; those that hold are one line per resource."""
    answers: dict[str, Any] = {}
    for resource in platform.resources:
        rows = [row for row in EXPECTATIONS if row.type == resource.type]
        found = [(row, _wrong(platform, row, resource, answers)) for row in rows]
        bad = [finding for _, finding in found if finding is not None]
        yield from bad
        if rows and not bad:
            words = "; ".join(row.must.removeprefix("must ") for row in rows)
            yield passed(rows[0].check, resource.name, words)


def _wrong(
    platform: Platform, row: Expectation, resource: Resource, answers: dict[str, Any]
) -> CheckResult | None:
    """Nothing where the expectation holds."""
    inputs = resource.inputs.value
    request = {member: jmespath.search(path, inputs) for member, path in row.request.items()}
    key = f"{row.service} {row.operation} {request}"
    if key not in answers:
        answers[key] = attempt(lambda: _asked(platform, row, request))
    answer = answers[key]
    if isinstance(answer, Unanswered):
        return unknown(row.check, resource.name, f"{row.must}; {answer.reason}")
    got, wanted = jmespath.search(row.query, answer), jmespath.search(row.wanted, inputs)
    if got == wanted:
        return None
    return failed(
        row.check,
        resource.name,
        f"{row.must} {_shown(wanted)}, got {_shown(got)}",
        f"type `plinth up {platform.stack}`; if it stays, look at {row.service} {row.operation}",
    )


def _shown(value: Any) -> str:
    return ", ".join(map(_shown, value)) if isinstance(value, list) else str(value)


MISSING = ("NotFound", "NoSuch", "ValidationException", "ResourceNotFound", "404")
"""Parts of the codes with which services say that there is no such thing."""


def _asked(platform: Platform, row: Expectation, request: Mapping[str, Any]) -> Any:
    try:
        return getattr(platform.clients(row.service), row.operation)(**request)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if any(part in code for part in MISSING):
            return {}
        raise
