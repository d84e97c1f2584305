"""Types of resources in templates: what AWS knows, what somebody makes here, what is neither.

AWS's types and their schemas are those that cfn-lint brings (CloudFormation registry).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from stacks.local.aws.signatures import Refused

PREFIX = "AWS::SageMaker::"
REGION = "us-east-1"
"""Whose schemas are taken: it has every type."""

CUSTOM = ("Custom::", "AWS::CloudFormation::CustomResource")
NOTHING = frozenset(("AWS::CDK::Metadata", "AWS::CloudFormation::WaitConditionHandle"))
"""Types of which AWS makes nothing that does anything by itself either."""

LANGUAGE = "AWS::LanguageExtensions"
"""The one transform whose functions moto knows, but for loops."""


def check_form(template: Mapping[str, Any]) -> None:
    """ValidationError where a template has no resources, or one without a type."""
    _check_transforms(template)
    resources = template.get("Resources")
    if not isinstance(resources, Mapping) or not resources:
        raise _malformed("At least one Resources member must be defined.")
    for name, resource in resources.items():
        if str(name).startswith("Fn::ForEach"):
            raise _not_emulated(f"{name} in a template")
        if not isinstance(resource, Mapping) or not isinstance(resource.get("Type"), str):
            told = "Every Resources object must contain a Type member."
            raise _malformed(f"[/Resources/{name}] {told}")
    strange = sorted({one["Type"] for one in resources.values() if not _known(one["Type"])})
    if strange:
        raise _malformed(f"Unrecognized resource types: [{', '.join(strange)}]")


def check(template: Mapping[str, Any], conditions: Mapping[str, Any]) -> None:
    """NotEmulated for a type that nobody makes here.

    `conditions`: whether each of the template's holds; what depends on another is not made.
    """
    for one in template["Resources"].values():
        if conditions.get(one.get("Condition"), True) and not _made_here(one["Type"]):
            raise _not_emulated(f"the resource type {one['Type']}")


def _check_transforms(template: Mapping[str, Any]) -> None:
    given = template.get("Transform") or []
    for one in [given] if isinstance(given, str | Mapping) else given:
        name = one if isinstance(one, str) else one.get("Name")
        if name != LANGUAGE:
            raise _not_emulated(f"the transform {name}")


def _known(name: str) -> bool:
    return name.startswith(CUSTOM) or name in _aws_types()


def _made_here(name: str) -> bool:
    return name.startswith(CUSTOM) or name in NOTHING or name in _model_map()


def _model_map() -> Mapping[str, Any]:
    from moto.cloudformation.parsing import get_model_map

    found: Mapping[str, Any] = get_model_map()
    return found


@functools.cache
def _aws_types() -> frozenset[str]:
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER as SCHEMAS  # takes a second

    return frozenset(SCHEMAS.get_resource_types(REGION))


@functools.cache
def schema(name: str) -> Mapping[str, Any]:
    """The schema of a type; nothing where AWS has none."""
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER as SCHEMAS

    if name not in _aws_types():
        return {}
    found: Mapping[str, Any] = SCHEMAS.get_resource_schema(REGION, name).schema
    return found


def told(name: str, member: str) -> list[str]:
    """Names of the properties that a member of the schema lists."""
    return [path.split("/")[2] for path in schema(name).get(member, ())]


def _malformed(why: str) -> Exception:
    from moto.cloudformation.exceptions import ValidationError

    error: Exception = ValidationError(message=f"Template format error: {why}")
    return error


def _not_emulated(what: str) -> Refused:
    why = "is not emulated by the local cloud: nobody has built it"
    return Refused("NotEmulated", f"{what} {why}", status=501)
