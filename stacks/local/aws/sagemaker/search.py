"""Search over what the emulator holds, and packages by the list of their ARNs.

Source: SageMaker API reference, Search, SearchExpression, Filter, NestedFilters. A filter names a
property by its path; of a list any item may fit; `Tags.key` is the value of a tag.
"""

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import features
from stacks.local.aws.sagemaker.crud import paged, shown
from stacks.local.aws.sagemaker.errors import invalid, not_emulated
from stacks.local.aws.sagemaker.resource_type import Request, short_name
from stacks.local.aws.sagemaker.shapes import service
from stacks.local.aws.store import Resource

KINDS = {
    "Endpoint": "endpoint",
    "Experiment": "experiment",
    "ExperimentTrial": "trial",
    "ExperimentTrialComponent": "trial component",
    "FeatureGroup": "feature group",
    "FeatureMetadata": "feature group",
    "HubContent": "hub content",
    "HyperParameterTuningJob": "hyperparameter tuning job",
    "Model": "model",
    "ModelCard": "model card",
    "ModelPackage": "model package",
    "ModelPackageGroup": "model package group",
    "Pipeline": "pipeline",
    "PipelineExecution": "pipeline execution",
    "PipelineVersion": "pipeline",
    "Project": "project",
    "TrainingJob": "training job",
}
"""Resource of a search -> kind of the store."""

MEMBERS = {"ExperimentTrial": "Trial", "ExperimentTrialComponent": "TrialComponent"}
"""Resource of a search -> member of its results. Default: the same word."""

ALL_OF = {"AllParameters": "Parameters", "AllTags": "Tags"}
"""Property -> the list whose keys and values it is, all of them (developer guide, "Find features in
your feature groups", "Find feature groups in your Feature Store")."""

ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}


def search(emulator: Emulator, request: Request) -> dict[str, Any]:
    """Everything of a kind that fits an expression, the last changed first."""
    member, records = _records(emulator, request["Resource"])
    wanted = request.get("SearchExpression", {})
    for name in (*_named(wanted), *(request[key] for key in ("SortBy",) if key in request)):
        _check_property(member, name)
    by = request.get("SortBy", "LastModifiedTime")
    found = [record for record in records if _fits(record, wanted)]
    found.sort(
        key=lambda record: _place(next(_values(record, by), "")),
        reverse=request.get("SortOrder", "Descending") == "Descending",
    )
    answer = paged("Results", [{member: record} for record in found], request)
    return {**answer, "TotalHits": {"Value": len(found), "Relation": "EqualTo"}}


def suggestions(emulator: Emulator, request: Request) -> dict[str, Any]:
    """Names of hyperparameters, tags and metrics that hold a hint (GetSearchSuggestions)."""
    _, records = _records(emulator, request["Resource"])
    query = request.get("SuggestionQuery", {}).get("PropertyNameQuery", {})
    hint = query.get("PropertyNameHint", "").lower()
    names = {name for record in records for name in _suggested(record)}
    found = sorted(name for name in names if hint in name.lower())
    return {"PropertyNameSuggestions": [{"PropertyName": name} for name in found]}


def _suggested(record: Mapping[str, Any]) -> Iterator[str]:
    for name in record.get("HyperParameters", ()):
        yield f"HyperParameters.{name}"
    for tag in record.get("Tags", ()):
        yield f"Tags.{tag['Key']}"
    for metric in (*record.get("FinalMetricDataList", ()), *record.get("Metrics", ())):
        yield f"Metrics.{metric['MetricName']}"


def _records(emulator: Emulator, resource: str) -> tuple[str, list[dict[str, Any]]]:
    """The member of the results, and everything of a kind."""
    if resource not in KINDS:
        raise not_emulated(f"Search of {resource}", f"{', '.join(KINDS)} are searched")
    member = MEMBERS.get(resource, resource)
    if resource == "FeatureMetadata":
        groups = emulator.store.all(KINDS[resource])
        return member, [record for group in groups for record in features.metadata(group)]
    items = emulator.store.all(KINDS[resource])
    if resource == "PipelineVersion":
        items = [version for pipeline in items for version in pipeline.live]
    return member, [_record(emulator, member, item) for item in items]


def batch_describe_packages(emulator: Emulator, request: Request) -> dict[str, Any]:
    """Summaries of packages by ARN, and which of them are not there."""
    members = service().shape_for("BatchDescribeModelPackageSummary").members
    summaries, errors = {}, {}
    for arn in request["ModelPackageArnList"]:
        item = emulator.store.find("model package", short_name(arn))
        if item is None:
            told = f"ModelPackage {arn} does not exist."
            errors[arn] = {"ErrorCode": "ValidationException", "ErrorResponse": told}
        else:
            summaries[arn] = {name: v for name, v in shown(item).items() if name in members}
    return {
        "ModelPackageSummaries": summaries,
        **({"BatchDescribeModelPackageErrorMap": errors} if errors else {}),
    }


def _record(emulator: Emulator, resource: str, item: Resource) -> dict[str, Any]:
    shape = _shape(resource)
    tags = emulator.store.tags.get(item.arn, {})
    all_of_it = {**shown(item), "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}
    known = {name: value for name, value in all_of_it.items() if name in shape.members}
    return {"Model": known} if resource == "Model" else known


def _named(wanted: Mapping[str, Any]) -> Iterator[str]:
    """The properties that an expression asks for."""
    yield from (one["Name"] for one in wanted.get("Filters", ()))
    yield from (one["NestedPropertyName"] for one in wanted.get("NestedFilters", ()))
    for inner in wanted.get("SubExpressions", ()):
        yield from _named(inner)


def _check_property(member: str, name: str) -> None:
    """ValidationException for a property that the resource has not (API reference, Filter)."""
    first = name.partition(".")[0]
    known = {*_shape(member).members, *ALL_OF, "Metrics", "Tags"}
    if first[:1].upper() + first[1:] not in known:
        raise invalid(f"{name} is no valid property of {member}")


def _shape(member: str) -> Any:
    """The model of a search's record; of a model it is one level below."""
    shape = service().shape_for("SearchRecord").members[member]
    return shape.members["Model"] if member == "Model" else shape


def _fits(record: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    told = [
        *(_holds(record, one) for one in wanted.get("Filters", ())),
        *(_nested(record, one) for one in wanted.get("NestedFilters", ())),
        *(_fits(record, one) for one in wanted.get("SubExpressions", ())),
    ]
    return not told or (any if wanted.get("Operator") == "Or" else all)(told)


def _nested(record: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether one item of a list fits all filters, whose names begin with that of the list."""
    name = wanted["NestedPropertyName"]
    inner = [
        {**one, "Name": one["Name"].removeprefix(f"{name}.")} for one in wanted.get("Filters", ())
    ]
    items = record.get(name, ())
    return any(all(_holds(item, one) for one in inner) for item in items)


def _holds(record: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    values = list(_values(record, wanted["Name"]))
    how = str(wanted.get("Operator", "Equals"))
    if how in ("Exists", "NotExists"):
        return bool(values) == (how == "Exists")
    if "Value" not in wanted:
        raise invalid(f"a filter with {how} must have a Value")
    asked = str(wanted["Value"])
    if how == "NotEquals":
        return all(_text(value) != asked for value in values)
    if how == "Contains":
        return any(asked in _text(value) for value in values)
    if how == "In":
        return any(_text(value) in asked.split(",") for value in values)
    if how in ORDER:
        return any(_ordered(ORDER[how], value, asked) for value in values)
    return any(_text(value) == asked for value in values)


def _values(record: Any, path: str) -> Iterator[Any]:
    """What a path names; several things where it leads through a list."""
    name, _, rest = path.partition(".")
    if isinstance(record, Sequence) and not isinstance(record, str):
        keyed = [entry for entry in record if isinstance(entry, Mapping)]
        for entry in keyed:
            if entry.get("Key", entry.get("MetricName")) == path:  # a tag, or a metric
                yield entry.get("Value", entry.get("Last"))
            elif entry.get("MetricName", path) == path.rpartition(".")[0]:  # of a component
                yield from _values(entry, path.rpartition(".")[2])
            else:
                yield from _values(entry, path)
        return
    if not isinstance(record, Mapping):
        return
    if path in ALL_OF and isinstance(held := record.get(ALL_OF[path]), Sequence):
        yield from (entry[name] for entry in held for name in ("Key", "Value"))
        return
    path = path if path in record else path[:1].upper() + path[1:]
    name = path.partition(".")[0]
    if path in record and (not rest or not isinstance(record[path], Mapping | list)):
        yield _plain(record[path])
    elif name in record and rest:
        yield from _values(record[name], rest)
    elif name == "Metrics" and "FinalMetricDataList" in record:
        yield from _values(record["FinalMetricDataList"], rest)


def _plain(value: Any) -> Any:
    """A parameter of a trial component is a text or a number in a structure."""
    if isinstance(value, Mapping) and len(value) == 1:
        return value.get("NumberValue", value.get("StringValue", value))
    return value


def _place(value: Any) -> tuple[float, str]:
    """Where a value stands in an order: texts before numbers, each among their own."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (value, "") if is_number else (-math.inf, _text(value))


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value).lower() if isinstance(value, bool) else str(value)


def _ordered(than: Callable[[Any, Any], bool], value: Any, asked: str) -> bool:
    try:
        if isinstance(value, datetime):
            moment = datetime.fromisoformat(asked)
            return than(value, moment if moment.tzinfo else moment.replace(tzinfo=value.tzinfo))
        return than(float(value), float(asked))
    except (TypeError, ValueError):
        return than(_text(value), asked)
