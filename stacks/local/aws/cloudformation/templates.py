"""Templates before anything is made of them: whether they can be read, and what they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from stacks.local.aws.cloudformation import resource_types
from stacks.local.aws.cloudformation.changes import references

NO_TEMPLATE = "Either Template URL or Template Body must be specified."


def parsed(text: Any) -> dict[str, Any]:
    """A template as a dictionary; ValidationError where it is none."""
    from moto.cloudformation.exceptions import ValidationError
    from moto.cloudformation.models import Stack

    if not text:
        raise ValidationError(message=NO_TEMPLATE)
    kind = "JSON" if str(text).lstrip().startswith("{") else "YAML"
    try:
        found = Stack.parse_template(text)
    except (ValueError, yaml.YAMLError):
        told = f"Template format error: {kind} not well-formed."
        raise ValidationError(message=told) from None
    if not isinstance(found, dict):
        raise ValidationError(message="Template format error: unsupported structure.")
    return found


def check(backend: Any, text: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The template; refused where a type of it is unknown, or made by nobody here."""
    template = well_formed(text)
    _check_parameters(template, parameters)
    resource_types.check(template, _conditions(backend, template, parameters))
    return template


def well_formed(text: Any) -> dict[str, Any]:
    """The template; refused where a type of it is unknown, or what it refers to is not there."""
    template = parsed(text)
    resource_types.check_form(template)
    _check_references(template)
    return template


def _check_references(template: Mapping[str, Any]) -> None:
    """ValidationError where something refers to what the template has not."""
    resources = template["Resources"]
    known = {*resources, *(template.get("Parameters") or {})}
    after = [one.get("DependsOn") or [] for one in resources.values()]
    depends = {name for one in after for name in ([one] if isinstance(one, str) else one)}
    for block, found in (
        ("Resources", references(resources) | depends),
        ("Outputs", references(template.get("Outputs") or {})),
    ):
        lost = sorted(name for name in found - known if not name.startswith("AWS::"))
        if lost:
            told = f"Unresolved resource dependencies [{', '.join(lost)}] in the {block} block"
            raise invalid(f"Template format error: {told} of the template")


def _check_parameters(template: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """ValidationError where a parameter has no value, or is none of the template's."""
    slots = template.get("Parameters") or {}
    strange = sorted(given.keys() - slots.keys())
    if strange:
        raise invalid(f"Parameters: [{', '.join(strange)}] do not exist in the template")
    lost = sorted(name for name in slots.keys() - given.keys() if "Default" not in slots[name])
    if lost:
        raise invalid(f"Parameters: [{', '.join(lost)}] must have values")


def previous(stack: Any) -> dict[str, Any]:
    """The values of a stack's parameters as they were given, or as its template has them."""
    slots = stack.template_dict.get("Parameters") or {}
    usual = {name: one["Default"] for name, one in slots.items() if "Default" in one}
    return {**usual, **stack.parameters}


def invalid(message: str) -> Exception:
    """ValidationError, as CloudFormation has it."""
    from moto.cloudformation.exceptions import ValidationError

    error: Exception = ValidationError(message=message)
    return error


def check_kinds(stack: Any, text: Any) -> None:
    """The type of a resource cannot be changed."""
    from moto.cloudformation.exceptions import ValidationError

    before, after = stack.resource_map._resource_json_map, parsed(text)["Resources"]
    other = [
        name for name in after if name in before and after[name]["Type"] != before[name]["Type"]
    ]
    if other:
        raise ValidationError(
            message="Update of resource type is not permitted. The new template modifies resource "
            f"type of the following resources: [{', '.join(other)}]"
        )


def resource_map(backend: Any, template: dict[str, Any], parameters: Mapping[str, Any]) -> Any:
    """What moto makes of a template, its parameters and conditions resolved; nothing is made."""
    from moto.cloudformation.parsing import ResourceMap

    made = ResourceMap(
        "", "", dict(parameters), {}, region_name=backend.region_name,
        account_id=backend.account_id, template=template, cross_stack_resources=backend.exports,
    )  # fmt: skip
    made.load_mapping()
    made.load_parameters()
    made.load_conditions()
    return made


def _conditions(
    backend: Any, template: dict[str, Any], parameters: Mapping[str, Any]
) -> Mapping[str, Any]:
    if not template.get("Conditions") or not template.get("Resources"):
        return {}
    found: Mapping[str, Any] = resource_map(backend, template, parameters).lazy_condition_map
    return found
