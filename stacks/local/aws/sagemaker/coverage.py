"""How faithful the emulator is, field by field: what acts, what is only recorded, what is refused.

A member of a request that stands in none of the three is refused, so nothing is accepted by
oversight. `plinth coverage` prints this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import jmespath

from stacks.local.aws.sagemaker.crud import LIST_MEMBERS
from stacks.local.aws.sagemaker.errors import not_emulated
from stacks.local.aws.sagemaker.fields import FIELDS, RECORDED, REFUSED
from stacks.local.aws.sagemaker.resource_type import Request
from stacks.local.aws.sagemaker.resource_types import RESOURCE_TYPES

Fidelity = Literal["behaves", "recorded"]


@dataclass(frozen=True, kw_only=True)
class Covered:
    """One operation that the emulator answers."""

    operation: str
    fidelity: Fidelity
    """`recorded`: what is created shows up again, nothing happens. Else it behaves."""

    recorded: Mapping[str, str] = field(default_factory=dict)
    """Member that is kept but not acted upon -> why."""

    refused: Mapping[str, str] = field(default_factory=dict)
    """JMESPath of what is answered with NotEmulated -> why."""

    @property
    def note(self) -> str:
        """Both lists in one line of text."""
        parts = (("recorded only", self.recorded), ("refused", self.refused))
        return ". ".join(f"{word}: {', '.join(paths)}" for word, paths in parts if paths)


def check_fields(operation: str, request: Request) -> None:
    """Refuse what would be accepted without being done."""
    for path, why in REFUSED.get(operation, {}).items():
        if jmespath.search(path, request):
            raise not_emulated(f"{operation} with {path}", why)
    known = acting(operation) | RECORDED.get(operation, {}).keys()
    unknown = sorted(request.keys() - known)
    if unknown:
        raise not_emulated(f"{operation} with {', '.join(unknown)}", "nobody has built it")


def acting(operation: str) -> frozenset[str]:
    """Members of the request that the emulator acts upon."""
    for kind in RESOURCE_TYPES:
        if operation == kind.list:
            return LIST_MEMBERS | kind.filters.keys()
        if operation in (kind.describe, kind.delete) and operation not in FIELDS:
            return frozenset({kind.key})
    return FIELDS[operation]


def coverage() -> list[Covered]:
    """Every operation that is answered, by name; the runtime services come last."""
    from stacks.local.aws.sagemaker.api import OPERATIONS
    from stacks.local.aws.sagemaker.features import RUNTIME
    from stacks.local.aws.sagemaker.invoke import REFUSED as REFUSED_HEADERS

    inert = {
        kind.create
        for kind in RESOURCE_TYPES
        if not (kind.on_create or kind.on_update or kind.on_delete)
    }
    control = [
        Covered(
            operation=name,
            fidelity="recorded" if name in inert else "behaves",
            recorded=RECORDED.get(name, {}),
            refused=REFUSED.get(name, {}),
        )
        for name in sorted(OPERATIONS)
    ]
    runtime = [
        Covered(operation="InvokeEndpoint", fidelity="behaves", refused=REFUSED_HEADERS),
        Covered(
            operation="InvokeEndpointAsync",
            fidelity="behaves",
            refused={"Body": "requests are read from InputLocation"},
        ),
        *(Covered(operation=name, fidelity="behaves") for name in sorted(RUNTIME)),
    ]
    return control + runtime
