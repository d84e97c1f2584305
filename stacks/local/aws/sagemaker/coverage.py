"""How faithful the emulator is, field by field: what acts, what is only recorded, what is refused.

`plinth coverage` prints this table.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from pipelines.executor.step_types import WHY_NOT
from stacks.local.aws.sagemaker import experiment_metrics, features
from stacks.local.aws.sagemaker.api import OPERATIONS
from stacks.local.aws.sagemaker.fields import RECORDED
from stacks.local.aws.sagemaker.invoke import REFUSED as REFUSED_HEADERS
from stacks.local.aws.sagemaker.recorded_operations import RECORDED_OPERATIONS
from stacks.local.aws.sagemaker.refused_fields import REFUSED
from stacks.local.aws.sagemaker.refused_operations import reason
from stacks.local.aws.sagemaker.resource_types import RESOURCE_TYPES
from stacks.local.aws.sagemaker.shapes import operation_names

TAKES_DEFINITIONS = ("CreatePipeline", "UpdatePipeline")
"""Operations that check a pipeline definition: what of it does not run is refused there."""

Fidelity = Literal["behaves", "recorded", "refused"]

RUNS_NOTHING = frozenset({"CreateApp", "CreateNotebookInstance", "StartNotebookInstance"})
"""What would start a server on AWS, of a type that behaves otherwise."""

ABSENT = {
    "EnableSagemakerServicecatalogPortfolio": {
        "AWS's own project templates": "the portfolio brings none; products of the account do"
    },
}
"""Operation -> what of its effect on AWS is not here."""

REFUSED_ASYNC = {"Body": "requests are read from InputLocation"}

OF_RUNTIMES = ("sagemaker-runtime", "sagemaker-featurestore-runtime", "sagemaker-metrics")
"""The services beside `sagemaker` that sign as it does."""


@dataclass(frozen=True, kw_only=True)
class Covered:
    """One operation, and what the emulator makes of it."""

    operation: str
    fidelity: Fidelity
    """`behaves`: something follows from it. `recorded`: what is created shows up again, and nothing
    follows. `refused`: NotEmulated, with the reason."""

    recorded: Mapping[str, str] = field(default_factory=dict)
    """Member that is kept but not acted upon -> why."""

    refused: Mapping[str, str] = field(default_factory=dict)
    """JMESPath of what is answered with NotEmulated, or what of a definition is refused -> why."""

    why: str = ""
    """Why it is refused as a whole. Default: it is not."""

    @property
    def note(self) -> str:
        """The reason, or both lists, in one line of text."""
        if self.why:
            return self.why
        parts = (("recorded only", self.recorded), ("refused", self.refused))
        return ". ".join(f"{word}: {', '.join(paths)}" for word, paths in parts if paths)


def coverage() -> list[Covered]:
    """Every operation of SageMaker, by name; the runtime services come last."""
    inert = {name for kind in RESOURCE_TYPES if kind.is_recorded for name in kind.operations}
    inert |= RECORDED_OPERATIONS.keys() | RUNS_NOTHING
    steps = {f"a step of type {kind}": why for kind, why in sorted(WHY_NOT.items())}
    control = [
        Covered(
            operation=name,
            fidelity="recorded" if name in inert else "behaves",
            recorded=RECORDED.get(name, {}),
            refused={
                **REFUSED.get(name, {}),
                **(steps if name in TAKES_DEFINITIONS else {}),
                **ABSENT.get(name, {}),
            },
        )
        if name in OPERATIONS
        else Covered(operation=name, fidelity="refused", why=reason(name))
        for name in sorted(operation_names())
    ]
    return control + _runtime()


def _runtime() -> list[Covered]:
    done: dict[str, Mapping[str, str]] = {
        "InvokeEndpoint": REFUSED_HEADERS,
        "InvokeEndpointAsync": REFUSED_ASYNC,
        "InvokeEndpointWithResponseStream": REFUSED_HEADERS,
        **{name: {} for name in (*features.RUNTIME, *experiment_metrics.RUNTIME)},
    }
    names = sorted(name for service in OF_RUNTIMES for name in operation_names(service))
    return [
        Covered(operation=name, fidelity="behaves", refused=done[name])
        if name in done
        else Covered(operation=name, fidelity="refused", why=reason(name))
        for name in names
    ]


def totals(rows: Sequence[Covered]) -> dict[str, int]:
    """How many operations are answered how."""
    counted = Counter(row.fidelity for row in rows)
    return {"operations": len(rows), **{name: counted[name] for name in get_args(Fidelity)}}
