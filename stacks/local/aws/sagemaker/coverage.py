"""How faithful the emulator is, field by field: what acts, what is only recorded, what is refused.

`plinth coverage` prints this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from stacks.local.aws.sagemaker.api import OPERATIONS
from stacks.local.aws.sagemaker.features import RUNTIME
from stacks.local.aws.sagemaker.fields import RECORDED, REFUSED
from stacks.local.aws.sagemaker.invoke import REFUSED as REFUSED_HEADERS
from stacks.local.aws.sagemaker.pipelines import refused_types
from stacks.local.aws.sagemaker.resource_types import RESOURCE_TYPES

TAKES_DEFINITIONS = ("CreatePipeline", "UpdatePipeline")
"""Operations that check a pipeline definition: what of it does not run is refused there."""

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
    """JMESPath of what is answered with NotEmulated, or what of a definition is refused -> why."""

    @property
    def note(self) -> str:
        """Both lists in one line of text."""
        parts = (("recorded only", self.recorded), ("refused", self.refused))
        return ". ".join(f"{word}: {', '.join(paths)}" for word, paths in parts if paths)


def coverage() -> list[Covered]:
    """Every operation that is answered, by name; the runtime services come last."""
    inert = {
        kind.create
        for kind in RESOURCE_TYPES
        if not (kind.on_create or kind.on_update or kind.on_delete)
    }
    steps = {
        f"a step of type {kind}": why for kind, why in sorted(refused_types(OPERATIONS).items())
    }
    control = [
        Covered(
            operation=name,
            fidelity="recorded" if name in inert else "behaves",
            recorded=RECORDED.get(name, {}),
            refused={**REFUSED.get(name, {}), **(steps if name in TAKES_DEFINITIONS else {})},
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
