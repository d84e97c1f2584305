"""Cost and ownership tags."""

import json
from typing import Any

from policies.config import PolicyConfig
from policies.data import Data, Resource
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.tables.taggable import TAGGABLE
from policies.theme import Theme


@rule(
    "FO-001",
    applies_to=TAGGABLE,
    severity="medium",
    fix="add the tag to the resource or to the provider's default_tags",
    url="https://docs.aws.amazon.com/whitepapers/latest/tagging-best-practices/tagging-best-practices.html",
    themes=Theme.INVENTORY,
)
def require_cost_tags(resource: Resource, scope: Scope) -> Result:
    """Every taggable resource carries the required tags with allowed values.

    What has no owner and no cost centre is neither paid for nor switched off by anyone.
    """
    if not scope.config.required_tags:
        return NotApplicable("no tag is required here")
    if _carries_all(resource.inputs.value.get("tags"), scope.config):
        return None
    defaults = _default_tags(resource.provider)
    tags = _as_mapping(resource.inputs)

    def present(tag: str) -> Result:
        value = tags.get(tag)
        if value is None:
            value = defaults.get(tag)
        if not value or not str(value).strip():
            return Fail(f"tag {tag!r} must be set, got none")
        allowed = scope.config.tag_values.get(tag)
        if allowed and value not in allowed:
            return Fail(f"tag {tag!r} must be one of {', '.join(allowed)}, got {value!r}")
        return None

    return every(scope.config.required_tags, present)


def _carries_all(tags: Any, config: PolicyConfig) -> bool:
    """Whether it is plain that nothing is missing; what is not plain is looked at tag by tag."""
    if not isinstance(tags, dict):
        return False
    for tag in config.required_tags:
        value, allowed = tags.get(tag), config.tag_values.get(tag)
        if not isinstance(value, str) or not value.strip() or (allowed and value not in allowed):
            return False
    return True


def _default_tags(provider: Data) -> Data:
    """The provider's default tags; provider inputs carry nested values as JSON text."""
    defaults: Any = provider.get("defaultTags")
    if isinstance(defaults, str):
        defaults = json.loads(defaults)
    return Data((defaults or {}).get("tags") or {}, "provider.defaultTags.tags")


def _as_mapping(inputs: Data) -> Data:
    """Tags as a mapping; Auto Scaling groups give them as a list."""
    if not isinstance(inputs.value.get("tags"), list):
        return Data({key: inputs.value["tags"][key] for key in inputs.keys("tags")}, "tags")
    pairs = {tag.get("key"): tag.value["value"] for tag in inputs.each("tags")}
    return Data(pairs, "tags")
