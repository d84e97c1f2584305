"""Which changes replace a resource, for a review that has no engine to ask.

Three sources, by the provider of the type: the table that deploys `local`, where the official
provider's word counts before AWS's (`official` of a row), the fields that Kubernetes' validation
keeps, and for other AWS types `createOnlyProperties` of CloudFormation's
resource schemas, which the providers of both go by. What none of them knows is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from policies.review.compare import Differ
    from policies.review.model import Change, Kind
    from stacks.local.provider.backend import Difference

KUBERNETES = "kubernetes:"
LOOKED_UP = "us-east-1"
"""Region of the schemas: it has every type, and what replaces one differs in none."""


def differ(region: str) -> Differ:
    """How the providers of our types compare inputs."""
    from policies.review.compare import Differ

    def properties(token: str, old: Any, new: Any) -> Sequence[tuple[str, Kind, bool]]:
        if known := _compared(token, old, new):
            return [(c.path, c.kind, c.replaces) for c in known.changes]
        return _by_schema(token, old, new)

    def delete_first(token: str, old: Any, new: Any) -> bool:
        if known := _compared(token, old, new):
            return known.delete_first
        return "name" in new and old.get("name") == new["name"]

    return Differ(properties=properties, delete_first=delete_first)


def undecided(changes: Sequence[Change]) -> list[str]:
    """A warning per update of a type whose replacements nobody here knows."""
    return [
        f"whether {', '.join(sorted({item.root for item in change.properties}))} replaces "
        f"{change.name} ({change.type}) takes an engine to say"
        for change in changes
        if change.operation == "update"
        and change.properties
        and not _is_ours(change.type)
        and _create_only(change.type) is None
    ]


def _is_ours(token: str) -> bool:
    from stacks.local.provider.aws.table import ROWS

    return token in ROWS or token.startswith(KUBERNETES)


def _compared(token: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference | None:
    """As the official provider compares, by the local table; None where that has no such type."""
    from stacks.local.provider.backend import Subject

    if not _is_ours(token):
        return None
    subject = Subject(urn="", token=token, name="")
    if token.startswith(KUBERNETES):
        from stacks.local.provider.kubernetes.diff import difference

        return difference(subject, _wire(old), _wire(new))
    from stacks.local.provider.aws import backend
    from stacks.local.provider.aws.table import ROWS

    return backend.difference(ROWS[token], _wire(old), _wire(new), "official")


def _wire(value: Any) -> Any:
    """With the unknown values of the provider protocol."""
    from policies.data import UNKNOWN
    from stacks.local.provider.backend import UNKNOWN as SENTINEL

    if value is UNKNOWN:
        return SENTINEL
    if isinstance(value, Mapping):
        return {key: _wire(item) for key, item in value.items()}
    return [_wire(item) for item in value] if isinstance(value, list) else value


def _by_schema(
    token: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Sequence[tuple[str, Kind, bool]]:
    from policies.review.compare import top_level

    found = top_level(token, old, new)
    fixed = (_create_only(token) if found else None) or frozenset()
    return [(path, kind, path.lower() in fixed) for path, kind, _ in found]


@cache
def _create_only(token: str) -> frozenset[str] | None:
    """Lower-case names of the inputs that only a new resource can have; None: no such schema.

    `aws:sagemaker/notebookInstance:NotebookInstance` is `AWS::SageMaker::NotebookInstance`; its own
    name is `name` to pulumi-aws.
    """
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER as SCHEMAS  # takes a second

    module, _, kind = token.rpartition(":")
    service = module.partition(":")[2].partition("/")[0]
    wanted = f"aws::{service}::{kind}".lower()
    names = SCHEMAS.get_resource_types(LOOKED_UP)
    name = next((name for name in names if name.lower() == wanted), None)
    if name is None:
        return None
    schema = SCHEMAS.get_resource_schema(LOOKED_UP, name).schema
    fixed = {path.split("/")[2].lower() for path in schema.get("createOnlyProperties", ())}
    return frozenset("name" if each == f"{kind}name".lower() else each for each in fixed)
