"""What a template declares, as ValidateTemplate and GetTemplateSummary tell it.

moto 5.2.5 says nothing of capabilities, of parameters the names alone, and refuses by the advice of
cfn-lint what CloudFormation takes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stacks.local.aws.cloudformation import requests, templates


def install() -> None:
    """For the one CloudFormation of this process."""
    from moto.cloudformation.responses import CloudFormationResponse

    CloudFormationResponse.validate_template = validate_template
    CloudFormationResponse.get_template_summary = get_template_summary


def validate_template(response: Any) -> Any:
    """ValidateTemplate: whether it can be read; properties are looked at when they are made."""
    from moto.core.responses import ActionResult

    template = _template(response)
    parameters = [
        {name: value for name, value in one.items() if name not in SUMMARY_ALONE}
        for one in _parameters(template)
    ]
    return ActionResult({**_declared(template), "Parameters": parameters})


def get_template_summary(response: Any) -> Any:
    """GetTemplateSummary: of a template, or of the one that a stack has."""
    from moto.core.responses import ActionResult

    template = _template(response)
    metadata = template.get("Metadata")
    told = {
        **_declared(template),
        "Metadata": json.dumps(metadata) if metadata else None,
        "Parameters": _parameters(template),
        "ResourceTypes": sorted({one["Type"] for one in template["Resources"].values()}),
        "Version": str(template.get("AWSTemplateFormatVersion") or "") or None,
    }
    return ActionResult({name: value for name, value in told.items() if value is not None})


SUMMARY_ALONE = ("ParameterType", "ParameterConstraints")
"""Members of a parameter that ValidateTemplate leaves out."""


def _template(response: Any) -> dict[str, Any]:
    text = requests.template_text(response)
    if text is None and (name := response._get_param("StackName")):
        text = response.cloudformation_backend.get_stack(name).template
    return templates.well_formed(text)


def _declared(template: Mapping[str, Any]) -> dict[str, Any]:
    needed = requests.capabilities(template)
    given = template.get("Transform") or []
    transforms = [given] if isinstance(given, str | Mapping) else given
    told: dict[str, Any] = {
        "Description": template.get("Description") or "",
        "Capabilities": sorted(needed),
        "DeclaredTransforms": [one if isinstance(one, str) else one["Name"] for one in transforms],
    }
    kinds = requests.acknowledged_types(template)
    if kinds:
        said = f"The following resource(s) require capabilities: [{', '.join(kinds)}]"
        told["CapabilitiesReason"] = said
    return told


def _parameters(template: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, one in (template.get("Parameters") or {}).items():
        told = {"ParameterKey": name, "ParameterType": one.get("Type", "String")}
        told["NoEcho"] = str(one.get("NoEcho", "")).lower() == "true"
        if "Default" in one:
            told["DefaultValue"] = str(one["Default"])
        if "Description" in one:
            told["Description"] = one["Description"]
        allowed = [str(value) for value in one.get("AllowedValues", ())]
        told["ParameterConstraints"] = {"AllowedValues": allowed} if allowed else {}
        found.append(told)
    return found
