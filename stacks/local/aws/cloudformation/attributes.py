"""`Fn::GetAtt` of resources that moto made.

What moto does not know of a resource it leaves as it stands in the template, or loses with all
outputs of the stack. A property of the resource is its attribute, too, where the schema names both
so; any other one that nobody has is a reason for the stack to fail.
"""

from __future__ import annotations

import functools
from typing import Any

from stacks.local.aws.cloudformation.resource_types import schema
from stacks.local.aws.cloudformation.sagemaker_resources import Refused

GET = "Fn::GetAtt"


def install() -> None:
    """For every stack of this process."""
    from moto.cloudformation import parsing

    clean = parsing.clean_json

    @functools.wraps(clean)
    def cleaned(node: Any, resources: Any) -> Any:
        if isinstance(node, dict) and GET in node:
            where = node[GET]
            name, attribute = where.split(".", 1) if isinstance(where, str) else where
            made = resources.get(name)
            if made is not None:
                return _attribute(made, name, cleaned(attribute, resources), resources)
        return clean(node, resources)

    parsing.clean_json = cleaned


def _attribute(made: Any, name: str, attribute: str, resources: Any) -> Any:
    from moto.cloudformation.exceptions import (
        UnformattedGetAttTemplateException,
        ValidationError,
    )
    from moto.cloudformation.parsing import clean_json

    try:
        found = made.get_cfn_attribute(attribute)
    except (AttributeError, NotImplementedError, UnformattedGetAttTemplateException):
        found = None
    if found is not None:
        return found
    told = resources._resource_json_map[name]
    properties = told.get("Properties") or {}
    if attribute in properties:
        return clean_json(properties[attribute], resources)
    known = schema(told["Type"])
    if known and attribute.partition(".")[0] not in known["properties"]:
        said = UnformattedGetAttTemplateException.description.format(name, attribute)
        raise ValidationError("Bad Request", said)
    raise Refused(f"the attribute {attribute} of {told['Type']} is not emulated by the local cloud")
