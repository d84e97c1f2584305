"""Output parameters of Lambda and Callback steps: how they are declared, and their typed values."""

from collections.abc import Iterator, Mapping
from reprlib import repr as shown
from typing import Any

from pipelines.executor.grammar import GrammarError, text_of
from pipelines.executor.parameters import TYPES, coerce

MOST = 50
"""Output parameters of a step (API reference, LambdaStepMetadata and CallbackStepMetadata)."""

_MEMBERS = ("OutputName", "OutputType")


def problems(declared: Any, where: str) -> Iterator[str]:
    """What is wrong with the OutputParameters of a step."""
    if not isinstance(declared, list | tuple) or len(declared) > MOST:
        yield f"{where} must be a list of at most {MOST} outputs, got {shown(declared)}"
        return
    names: set[str] = set()
    for index, item in enumerate(declared):
        here = f"{where}[{index}]"
        if not isinstance(item, Mapping) or item.keys() != set(_MEMBERS):
            yield f"{here} must hold {' and '.join(_MEMBERS)}, got {shown(item)}"
            continue
        name, kind = item["OutputName"], item["OutputType"]
        if not isinstance(name, str) or not 0 < len(name) <= 256:
            yield f"{here}.OutputName must be text of up to 256 characters, got {shown(name)}"
        elif name in names:
            yield f"{here}.OutputName {name!r} is declared twice"
        else:
            names.add(name)
        if not isinstance(kind, str) or kind not in TYPES:
            yield f"{here}.OutputType must be one of {', '.join(TYPES)}, got {shown(kind)}"


def declared(step: Mapping[str, Any]) -> dict[str, str]:
    """Name -> type of the outputs of a step without problems."""
    listed = step.get("OutputParameters") or ()
    return {item["OutputName"]: item["OutputType"] for item in listed}


def values(types: Mapping[str, str], given: Any, source: str) -> dict[str, Any]:
    """The declared outputs as `source` gave them, each of its type; the rest is left out."""
    missing = [name for name in types if not isinstance(given, Mapping) or name not in given]
    if missing:
        raise GrammarError(f"{source} gave no output {', '.join(missing)}, got {shown(given)}")
    return {name: _typed(given[name], kind, name, source) for name, kind in types.items()}


def _typed(value: Any, kind: str, name: str, source: str) -> Any:
    try:
        return coerce(text_of(value) if kind == "String" else value, kind)
    except ValueError:  # GrammarError is one
        told = f"must be of type {kind}, got {shown(value)}"
        raise GrammarError(f"output {name!r} of {source} {told}") from None


def listed(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """Outputs as the metadata of a step shows them: all text."""
    return [{"Name": name, "Value": text_of(value)} for name, value in found.items()]
