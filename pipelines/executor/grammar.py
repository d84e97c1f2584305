"""Pipeline variables: how references and functions are written, and what they stand for.

`{"Get": "Parameters.X"}`, `{"Get": "Execution.X"}` and `{"Get": "Steps.S.Path['key'][0].Leaf"}` are
references, inside a ForEach step `{"Get": "ForEach.CurrentItem"}` too; `Std:Join` and `Std:JsonGet`
are functions. `findings` lists what a value refers to, without resolving it; `resolve` replaces
every variable by its value in a frozen `Context`.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from reprlib import repr as shown
from typing import Any, NamedTuple

from pipelines.executor.model import Execution

DEPTH_LIMIT = 64
"""Deeper nesting is refused: no request of SageMaker's comes near it, and recursion has an end."""

_TOKEN = re.compile(r"\.([^.\[\]'\"\s]+)|\['([^']*)'\]|\[\"([^\"]*)\"\]|\[(\d{1,6})\]")

# The describe answers hold these as lists; the SDK addresses their items by this member.
LIST_KEYS = {
    "Outputs": "OutputName",
    "ProcessingInputs": "InputName",
    "FinalMetricDataList": "MetricName",
    "InputDataConfig": "ChannelName",
}

_SCOPES = ("Parameters", "Execution", "Steps", "ForEach")

Path = tuple[str | int, ...]


class GrammarError(ValueError):
    """A variable that is badly written, or that has no value here."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One `{"Get": ...}`, taken apart."""

    scope: str
    """`Parameters`, `Execution`, `Steps` or `ForEach`."""
    name: str
    """Of the parameter, the execution variable or the step."""
    path: Path = ()
    """What of the step is meant. Default: the whole."""

    @property
    def property_file(self) -> str | None:
        """The name of the property file that is meant, if it is one."""
        match self.path:
            case ("PropertyFiles", name):
                return str(name)
        return None


class DefinitionProblem(NamedTuple):
    """A reference, or a problem, and the JSON path where it stands."""

    where: str
    what: Reference | str
    in_json_get: bool = False


@dataclass(frozen=True, kw_only=True)
class PropertyFile:
    """A JSON file that a processing step leaves in one of its outputs."""

    output_name: str
    file_path: str


@dataclass(frozen=True, kw_only=True)
class Context:
    """All that a variable can stand for at one moment of an execution."""

    parameters: Mapping[str, Any]
    execution: Execution
    answers: Mapping[str, Any]
    """The describe answer of every step that has ended well."""
    property_files: Mapping[str, Mapping[str, PropertyFile]]
    """Property files by step and name."""
    read_json: Callable[[str], Any]
    """Reads the JSON document at an S3 URI."""
    job_name: str = ""
    """Name of the job that is being created. Default: no job is."""
    item: Any = None
    """The item of a ForEach step that the step runs for. Default: it runs for none."""


def tokens(text: str) -> Path:
    """The members and indices that a path such as `a.b['c'][0]` walks through."""
    rest, found = text if text.startswith(("[", ".")) else f".{text}", []
    position = 0
    while position < len(rest):
        match = _TOKEN.match(rest, position)
        if match is None:
            raise GrammarError(f"path {text!r} cannot be read from {rest[position:]!r}")
        member, single, double, index = match.groups()
        name = next((part for part in (member, single, double) if part is not None), None)
        found.append(int(index) if name is None else name)
        position = match.end()
    return tuple(found)


def json_path(text: str) -> Path:
    """A path of AWS's JsonPath subset: members, `['x']`, `[i]`, with or without a leading `$`."""
    return tokens(text.removeprefix("$")) if text.removeprefix("$") else ()


def parse(text: str) -> Reference:
    """Take a reference apart."""
    scope, _, rest = text.partition(".")
    if scope not in _SCOPES or not rest:
        known = ", ".join(f"'{scope}.'" for scope in _SCOPES)
        raise GrammarError(f"reference {text!r} must start with one of {known}")
    name, *path = tokens(rest)
    if scope == "ForEach" and name != "CurrentItem":
        raise GrammarError(f"reference {text!r} must name ForEach.CurrentItem")
    if not isinstance(name, str) or (scope not in ("Steps", "ForEach") and path):
        raise GrammarError(f"reference {text!r} must name one {scope.rstrip('s').lower()} value")
    if scope == "Execution" and name not in EXECUTION_VARIABLES:
        known = ", ".join(sorted(EXECUTION_VARIABLES))
        raise GrammarError(f"execution variable {name!r} is not one of {known}")
    return Reference(scope=scope, name=name, path=tuple(path))


def variable(value: Any) -> tuple[str, Any] | None:
    """The key and content of a reference or function, or None for plain data."""
    if isinstance(value, Mapping) and len(value) == 1:
        ((key, content),) = value.items()
        if key == "Get" or (isinstance(key, str) and key.startswith("Std:")):
            return key, content
    return None


def findings(value: Any, where: str, *, depth: int = 0) -> Iterator[DefinitionProblem]:
    """Everything that a value refers to, and everything wrong with how it says so."""
    if depth > DEPTH_LIMIT:
        yield DefinitionProblem(where, f"nested deeper than {DEPTH_LIMIT} levels")
        return
    found = variable(value)
    if found is not None:
        yield from _variable_findings(*found, where=where, depth=depth + 1)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from findings(item, f"{where}.{key}", depth=depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from findings(item, f"{where}[{index}]", depth=depth + 1)


def _variable_findings(
    key: str, content: Any, *, where: str, depth: int
) -> Iterator[DefinitionProblem]:
    if key == "Get":
        yield _reference_finding(content, where)
    elif key == "Std:Join":
        yield from _join_findings(content, f"{where}.{key}", depth)
    elif key == "Std:JsonGet":
        yield from _json_get_findings(content, f"{where}.{key}", depth)
    else:
        yield DefinitionProblem(where, f"function {key!r} is not one of Std:Join, Std:JsonGet")


def _reference_finding(content: Any, where: str, *, in_json_get: bool = False) -> DefinitionProblem:
    if not isinstance(content, str):
        return DefinitionProblem(where, f"a reference must be text, got {shown(content)}")
    try:
        return DefinitionProblem(where, parse(content), in_json_get)
    except GrammarError as error:
        return DefinitionProblem(where, str(error))


def _join_findings(content: Any, where: str, depth: int) -> Iterator[DefinitionProblem]:
    if not isinstance(content, Mapping) or not isinstance(content.get("Values"), list | tuple):
        yield DefinitionProblem(where, "Std:Join must hold On (text) and Values (a list)")
        return
    if not isinstance(content.get("On", ""), str):
        yield DefinitionProblem(f"{where}.On", f"must be text, got {shown(content['On'])}")
    for index, item in enumerate(content["Values"]):
        here = f"{where}.Values[{index}]"
        if item is None or (isinstance(item, list | tuple | Mapping) and variable(item) is None):
            yield DefinitionProblem(here, f"must be a scalar or a variable, got {shown(item)}")
        else:
            yield from findings(item, here, depth=depth)


def _json_get_findings(content: Any, where: str, depth: int) -> Iterator[DefinitionProblem]:
    if not isinstance(content, Mapping) or not isinstance(content.get("Path"), str):
        yield DefinitionProblem(
            where, "Std:JsonGet must hold Path (text) and one of PropertyFile, S3Uri"
        )
        return
    try:
        json_path(content["Path"])
    except GrammarError as error:
        yield DefinitionProblem(f"{where}.Path", str(error))
    if ("PropertyFile" in content) == ("S3Uri" in content):
        yield DefinitionProblem(where, "Std:JsonGet must hold one of PropertyFile, S3Uri")
    elif "S3Uri" in content:
        yield from findings(content["S3Uri"], f"{where}.S3Uri", depth=depth)
    else:
        found = variable(content["PropertyFile"])
        target = found[1] if found is not None and found[0] == "Get" else None
        finding = _reference_finding(target, f"{where}.PropertyFile", in_json_get=True)
        if isinstance(finding.what, Reference) and finding.what.property_file is None:
            finding = DefinitionProblem(
                finding.where, "must refer to Steps.<step>.PropertyFiles.<name>"
            )
        yield finding


def resolve(value: Any, context: Context) -> Any:
    """The value with every variable replaced by what it stands for."""
    found = variable(value)
    if found is not None:
        key, content = found
        return _FUNCTIONS[key](content, context)
    if isinstance(value, Mapping):
        return {key: resolve(item, context) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(item, context) for item in value]
    return value


def text_of(value: Any) -> str:
    """A scalar as SageMaker writes it into text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, str | int | float):
        return str(value)
    raise GrammarError(f"cannot join {shown(value)}: it is no scalar")


def timestamp(moment: datetime) -> str:
    """A moment as ISO 8601 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _get(content: str, context: Context) -> Any:
    reference = parse(content)
    if reference.scope == "Execution":
        return EXECUTION_VARIABLES[reference.name](context)
    if reference.scope == "ForEach":
        return walk(_item(context.item, reference.path, content), reference.path, content)
    table = context.parameters if reference.scope == "Parameters" else context.answers
    if reference.name not in table:
        raise GrammarError(f"{content} has no value: {reference.name!r} is not there")
    return walk(table[reference.name], reference.path, content)


def _item(item: Any, path: Path, content: str) -> Any:
    """The item of a ForEach step; one with members is an object, or the JSON of one."""
    if item is None:
        raise GrammarError(f"{content} has no value: it runs for no item")
    try:
        return json.loads(item) if path and isinstance(item, str) else item
    except ValueError as error:
        raise GrammarError(f"{content} has no value: the item is no JSON: {error}") from error


def _join(content: Mapping[str, Any], context: Context) -> str:
    values = (text_of(resolve(item, context)) for item in content["Values"])
    return str(content.get("On", "")).join(values)


def _json_get(content: Mapping[str, Any], context: Context) -> Any:
    uri = _property_file_uri(content, context)
    return walk(context.read_json(uri), json_path(content["Path"]), f"{content['Path']} of {uri}")


def _property_file_uri(content: Mapping[str, Any], context: Context) -> str:
    if "S3Uri" in content:
        return str(resolve(content["S3Uri"], context))
    reference = parse(content["PropertyFile"]["Get"])
    file = context.property_files[reference.name][reference.property_file or ""]
    output = ("ProcessingOutputConfig", "Outputs", file.output_name, "S3Output", "S3Uri")
    if reference.name not in context.answers:
        raise GrammarError(f"step {reference.name!r} has left no property file: it did not end")
    folder = walk(context.answers[reference.name], output, f"the output of {reference.name}")
    return f"{str(folder).rstrip('/')}/{file.file_path.lstrip('/')}"


def walk(value: Any, path: Path, what: str) -> Any:
    """What a path ends at inside an answer or a document."""
    parent: str | int = ""
    for token in path:
        value = _child(value, token, parent, what)
        parent = token
    return value


def _child(value: Any, token: str | int, parent: str | int, what: str) -> Any:
    if isinstance(value, Mapping) and token in value:
        return value[token]
    if isinstance(value, list | tuple):
        if isinstance(token, int) and token < len(value):
            return value[token]
        key = LIST_KEYS.get(str(parent))
        for item in value:
            if key is not None and isinstance(item, Mapping) and item.get(key) == token:
                return item
    raise GrammarError(f"{what} has no {token!r}")


_FUNCTIONS: dict[str, Callable[[Any, Context], Any]] = {
    "Get": _get,
    "Std:Join": _join,
    "Std:JsonGet": _json_get,
}

EXECUTION_VARIABLES: dict[str, Callable[[Context], str]] = {
    "StartDateTime": lambda context: timestamp(context.execution.start_time),
    "CurrentDateTime": lambda _: timestamp(datetime.now(UTC)),
    "PipelineName": lambda context: context.execution.pipeline_name,
    "PipelineArn": lambda context: context.execution.pipeline_arn,
    "PipelineExecutionId": lambda context: context.execution.execution_id,
    "PipelineExecutionArn": lambda context: context.execution.execution_arn,
    "TrainingJobName": lambda context: context.job_name,
    "ProcessingJobName": lambda context: context.job_name,
}
"""What `Execution.*` offers."""
