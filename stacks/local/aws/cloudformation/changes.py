"""What a change set would change, as DescribeChangeSet lists it.

Source: CloudFormation API reference, ResourceChange and ResourceChangeDetail. Whether a property
can be changed in place is in the schema of the type (createOnlyProperties).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stacks.local.aws.cloudformation.resource_types import told

OTHERS = ("Metadata", "CreationPolicy", "UpdatePolicy", "DeletionPolicy", "UpdateReplacePolicy")
"""What of a resource beside its properties is a change."""

Change = dict[str, Any]


@dataclass(kw_only=True)
class Comparison:
    """A stack as it is and as a template has it; both maps are moto's."""

    before: Any
    after: Any
    parameters: frozenset[str]
    """Those whose values change."""

    replaced: set[str] = field(default_factory=set)

    def changes(self) -> list[Change]:
        """In the order of the names; what refers to a replaced resource changes as well."""
        old, new = there(self.before), there(self.after)
        found: dict[str, Change] = {}
        for _ in new:  # as often as they can depend on each other
            modified = {
                name: change
                for name in new
                if name in old and (change := self._modified(name, old[name], new[name]))
            }
            done, found = modified == found, modified
            if done:
                break
        added = [_one("Add", name, new[name]["Type"]) for name in new if name not in old]
        removed = [
            {**_one("Remove", name, old[name]["Type"]), **self._physical(name)}
            for name in old
            if name not in new
        ]
        return sorted([*added, *found.values(), *removed], key=lambda one: one["LogicalResourceId"])

    def _physical(self, name: str) -> dict[str, str]:
        made = self.before._parsed_resources.get(name)
        told = getattr(made, "physical_resource_id", None)
        return {"PhysicalResourceId": str(told)} if told else {}

    def _modified(self, name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Change | None:
        kind, details = new["Type"], [*self._details(old, new)]
        scope = ["Properties"] if details else []
        scope += [one for one in OTHERS if old.get(one) != new.get(one)]
        if not scope:
            return None
        fixed = told(kind, "createOnlyProperties")
        maybe = told(kind, "conditionalCreateOnlyProperties")
        replacement = "False"
        for detail in details:
            at = detail["Target"]
            if at["Name"] in fixed:
                sure = detail["Evaluation"] == "Static"
                at["RequiresRecreation"] = "Always"
                replacement = "True" if sure or replacement == "True" else "Conditional"
            elif at["Name"] in maybe:
                at["RequiresRecreation"] = "Conditionally"
                replacement = "True" if replacement == "True" else "Conditional"
        if replacement != "False":
            self.replaced.add(name)
        return {
            **_one("Modify", name, kind),
            **self._physical(name),
            "Replacement": replacement,
            "Scope": scope,
            "Details": details,
        }

    def _details(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Each property that changes, and why."""
        before, after = old.get("Properties") or {}, new.get("Properties") or {}
        for name in sorted({*before, *after}):
            here = after.get(name)
            if before.get(name) != here:
                yield _detail(name, "Static", "DirectModification")
            for parameter in sorted(references(here) & self.parameters):
                yield {**_detail(name, "Static", "ParameterReference"), "CausingEntity": parameter}
            for resource in sorted(references(here) & self.replaced):
                yield {**_detail(name, "Dynamic", "ResourceReference"), "CausingEntity": resource}


def there(resources: Any) -> dict[str, Any]:
    """The resources of a map whose conditions hold."""
    conditions = getattr(resources, "lazy_condition_map", None) or {}
    return {
        name: one
        for name, one in resources._resource_json_map.items()
        if one.get("Condition") not in conditions or conditions[one["Condition"]]
    }


def references(value: Any) -> frozenset[str]:
    """What a part of a template refers to."""
    if isinstance(value, list):
        return frozenset().union(*map(references, value))
    if not isinstance(value, Mapping):
        return frozenset()
    found = frozenset().union(*map(references, value.values()))
    if isinstance(value.get("Ref"), str):
        found |= {value["Ref"]}
    attribute = value.get("Fn::GetAtt")
    if attribute:
        found |= {attribute[0] if isinstance(attribute, list) else attribute.partition(".")[0]}
    return found | _substituted(value.get("Fn::Sub"))


def _substituted(told: Any) -> frozenset[str]:
    """What a text of Fn::Sub refers to, less its own names and what is meant as it stands."""
    text, own = (told[0], told[1]) if isinstance(told, list) else (told or "", {})
    names = [part.partition("}")[0] for part in str(text).split("${")[1:]]
    found = {name.partition(".")[0].strip() for name in names if not name.startswith("!")}
    return frozenset(found - own.keys())


def _one(action: str, name: str, kind: str) -> Change:
    return {"Action": action, "LogicalResourceId": name, "ResourceType": kind}


def _detail(name: str, evaluation: str, source: str) -> dict[str, Any]:
    target = {"Attribute": "Properties", "Name": name, "RequiresRecreation": "Never"}
    return {"Target": target, "Evaluation": evaluation, "ChangeSource": source}
