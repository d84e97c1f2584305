"""Properties of a template's resource against its schema, before anybody makes the resource.

CloudFormation refuses what a type's schema does not allow, and moto makes it without. Texts may
stand for numbers and flags, as in templates whose parameters are texts.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stacks.local.aws.cloudformation.resource_types import schema

KEYWORDS = (
    "additionalProperties", "allOf", "anyOf", "enum", "items", "maxItems", "maxLength", "maximum",
    "minItems", "minLength", "minimum", "oneOf", "pattern", "patternProperties", "properties",
    "$ref", "required", "type",
)  # fmt: skip
"""Of a schema that are held here; what cfn-lint adds to schemas is advice of its own."""

WORDS = {
    "additionalProperties": "extraneous key [{}] is not permitted",
    "required": "required key [{}] not found",
}


def problems(name: str, properties: Mapping[str, Any]) -> list[str]:
    """What the schema of a type does not allow, in the words of CloudFormation's handlers."""
    found = _validator(name).iter_errors(_given(properties)) if schema(name) else iter(())
    return sorted({told for error in found for told in _told(error)})


def _given(value: Any) -> Any:
    """Without what `AWS::NoValue` left out, and moto's text types as plain ones."""
    if isinstance(value, Mapping):
        return {str(name): _given(own) for name, own in value.items() if own is not None}
    if isinstance(value, list | tuple):
        return [_given(own) for own in value if own is not None]
    return value


def _told(error: Any) -> Iterator[str]:
    place = "/".join(("#", *(str(step) for step in error.absolute_path)))
    if error.validator in WORDS:
        for name in _names(error):
            yield f"{place}: {WORDS[error.validator].format(name)}"
    elif error.validator in ("anyOf", "oneOf"):
        yield f"{place}: #: no subschema matched out of the total {len(error.validator_value)}"
    else:
        yield f"{place}: {error.message}"


def _names(error: Any) -> list[str]:
    """Of the keys that are too many, or not there."""
    if error.validator == "required":
        return [name for name in error.validator_value if name not in error.instance]
    known = error.schema.get("properties", {})
    patterns = error.schema.get("patternProperties", {})
    return [
        name
        for name in error.instance
        if name not in known and not any(re.search(one, name) for one in patterns)
    ]


@functools.cache
def _validator(name: str) -> Any:
    from jsonschema import Draft7Validator, validators

    usual = Draft7Validator.VALIDATORS
    held: dict[str, Any] = {word: usual[word] for word in KEYWORDS}
    held |= {"type": _type, "enum": _enum, "pattern": _pattern}
    kind = validators.create(
        Draft7Validator.META_SCHEMA, held, type_checker=Draft7Validator.TYPE_CHECKER
    )
    return kind(schema(name))


def _type(_: Any, types: Any, instance: Any, __: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    wanted = [types] if isinstance(types, str) else types
    if not any(IS.get(one, _anything)(instance) for one in wanted):
        got = NAMES.get(type(instance).__name__, type(instance).__name__)
        said = " or ".join(one.capitalize() for one in wanted)
        yield ValidationError(f"expected type: {said}, found: {got}")


def _enum(_: Any, values: Any, instance: Any, __: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if _text(instance) not in {_text(one) for one in values}:
        yield ValidationError(f"#: {instance} is not a valid enum value")


def _pattern(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    try:
        matches = not isinstance(instance, str) or re.search(pattern, instance)
    except re.error:  # a pattern of Java's that Python cannot read
        return
    if not matches:
        yield ValidationError(f"string [{instance}] does not match pattern {pattern}")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return _is_number(value) and float(value).is_integer()


def _anything(_: Any) -> bool:
    return True


IS: Mapping[str, Callable[[Any], bool]] = {
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool) or str(value).lower() in ("true", "false"),
    "integer": _is_integer,
    "number": _is_number,
    "object": lambda value: isinstance(value, Mapping),
    "string": lambda value: isinstance(value, str | int | float | bool),
}
"""Type of a schema -> whether a value of a template is one, or a text that stands for one."""

NAMES = {
    "bool": "Boolean",
    "dict": "JSONObject",
    "float": "Double",
    "int": "Integer",
    "list": "JSONArray",
    "str": "String",
}
"""What Python calls a value -> what CloudFormation's handlers do."""
