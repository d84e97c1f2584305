"""What changes in a pipeline: its steps, gates and parameters, not its JSON text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policies.data import Resource
from policies.reading.definition import Definition, Step, parse
from policies.review.differences import Leaf, leaves, same
from policies.review.elsewhere import PIPELINES
from policies.review.gates import differences
from policies.review.meaning import meaning
from policies.review.model import Change, StackChange
from policies.review.report import Context, Reason, Risk, Row, Section
from policies.review.spelling import is_a_set

GATE_LOST = "RV-013"
UNKNOWN = "RV-017"
FIX = {
    GATE_LOST: "keep every gate between data and a registered model",
    UNKNOWN: "read the steps' differences: what runs by them is something else from now on",
}
GATES = ("Condition", "Fail", "QualityCheck", "ClarifyCheck")
"""Steps whose loss lets something through."""


@dataclass(frozen=True, slots=True)
class Line:
    """One difference between two definitions."""

    sign: str
    what: str
    name: str
    detail: str
    risk: Risk = "low"
    rule: str = GATE_LOST
    """Which rule it is about."""


def part(change: StackChange, context: Context) -> Section | None:
    """One row per step, parameter or gate that differs, for every pipeline that changes."""
    del context
    rows, data, reasons, notes = [], [], [], []
    for item in change.changed():
        texts = [_text(side) for side in (item.old, item.new)]
        if item.type not in PIPELINES or item.operation == "create" or same(*texts):
            continue
        before, after = (_definition(text) for text in texts)
        if before is None or after is None:
            notes.append(f"{item.name}: the definition is not known before the update")
            if item.new is not None:
                unread = Line(
                    "?", "definition", item.name, "cannot be read, nor its gates", "medium"
                )
                reasons.append(_reason(item, unread))
            continue
        for line in compared(before, after):
            rows.append(_row(item, line))
            data.append({"urn": item.urn, **_data(line)})
            if line.risk != "low":
                reasons.append(_reason(item, line))
    if not rows and not notes:
        return None
    return Section(
        id="pipelines",
        title="Pipelines",
        columns=("", "pipeline", "what", "difference"),
        rows=rows,
        notes=notes,
        data={"differences": data},
        reasons=reasons,
    )


def _text(side: Resource | None) -> Any:
    """The definition; aws-native has it inside of an object, or in a file of S3."""
    found = side.inputs.value.get("pipelineDefinition") if side else None
    body = found.get("pipelineDefinitionBody", found) if isinstance(found, Mapping) else found
    return body


def _definition(text: Any) -> Definition | None:
    if not isinstance(text, str):
        return None
    try:
        return parse(text)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def compared(before: Definition, after: Definition) -> Iterator[Line]:
    """Every difference that changes what a run does."""
    yield from _parameters(before, after)
    for leaf, how in judged(_around(before), _around(after)):
        yield Line("~", "definition", leaf.text, "differs", how, UNKNOWN)
    for name in sorted({*before.steps, *after.steps}):
        old, new = before.steps.get(name), after.steps.get(name)
        if old is None and new is not None:
            risk: Risk = "low" if new.type in GATES else "medium"
            yield Line("+", f"{new.type} step", name, _after(new), risk, UNKNOWN)
        elif old is not None and new is None:
            gate = old.type in GATES
            yield Line(
                "-",
                f"{old.type} step",
                name,
                "a gate goes" if gate else "",
                "high" if gate else "medium",
            )
        elif old is not None and new is not None:
            yield from _step(old, new, before, after)


def _parameters(before: Definition, after: Definition) -> Iterator[Line]:
    for name in sorted({*before.parameters, *after.parameters}):
        old, new = (d.parameters.get(name) for d in (before, after))
        if old == new:
            continue
        if old is None or new is None:
            yield Line("+" if old is None else "-", "parameter", name, "")
            continue
        told = f"{old.get('DefaultValue')} -> {new.get('DefaultValue')}"
        found = judged({name: old.get("DefaultValue")}, {name: new.get("DefaultValue")}, STEPS_TOO)
        rest = judged(_beside_default(old), _beside_default(new))
        yield Line("~", "parameter", name, told, _worst([*found, *rest]), UNKNOWN)


def _beside_default(parameter: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in parameter.items() if key != "DefaultValue"}


STEPS_TOO = True
"""What a parameter is for, nobody knows: a step of it is more than a size."""


def judged(
    old: Mapping[str, Any], new: Mapping[str, Any], steps: bool = False
) -> list[tuple[Leaf, Risk]]:
    """What differs, leaf by leaf; what is not known to be harmless takes a person."""

    def ordered(path: tuple[str, ...], items: Sequence[Any]) -> bool:
        return not is_a_set(path, items)

    found = [
        (leaf, meaning(leaf, RUNS, watches=steps).sense)
        for key in sorted({*old, *new})
        for leaf in leaves(old.get(key), new.get(key), (key,), ordered)
    ]
    return [(leaf, "low" if sense in FINE else "medium") for leaf, sense in found]


RUNS = PIPELINES[0]
FINE = ("harmless", "stronger", "sized")


def _worst(found: Sequence[tuple[Leaf, Risk]]) -> Risk:
    return "medium" if any(risk == "medium" for _, risk in found) else "low"


def _around(definition: Definition) -> dict[str, Any]:
    """What stands beside the steps and the parameters, but for notes of who made it."""
    told = ("Steps", "Parameters", "Metadata")
    return {key: value for key, value in definition.document.items() if key not in told}


def _step(old: Step, new: Step, before: Definition, after: Definition) -> Iterator[Line]:
    if old.type != new.type:
        yield Line("~", "step", new.name, f"{old.type} becomes {new.type}", "medium")
        return
    guards_before, guards_after = _guards(old, before), _guards(new, after)
    lost = sorted(guards_before - guards_after)
    if lost:
        yield Line("-", f"{new.type} step", new.name, f"no longer behind {', '.join(lost)}", "high")
    gained = sorted(guards_after - guards_before)
    if gained:
        yield Line("+", f"{new.type} step", new.name, f"now behind {', '.join(gained)}")
    told = list(differences(old, new, before, after)) if new.type == "Condition" else []
    for what, how in told:
        yield Line("~", "condition", new.name, what, how)
    yield from _waits(old, new, before, after)
    found = judged(_own(old), _own(new))
    if told:
        found = [pair for pair in found if pair[0].path[0] != "Conditions"]
    if found:
        names = list(dict.fromkeys(leaf.text for leaf, _ in found))
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        risk: Risk = "medium" if new.type in GATES else _worst(found)
        rule = GATE_LOST if new.type in GATES else UNKNOWN
        yield Line("~", f"{new.type} step", new.name, shown, risk, rule)


def _waits(old: Step, new: Step, before: Definition, after: Definition) -> Iterator[Line]:
    """What a step waits for no longer, though that is there still; gates are told already."""
    left = before.before(old) - after.before(new)
    lost = sorted(
        name for name in left if name in after.steps and before.steps[name].type not in GATES
    )
    if lost:
        yield Line(
            "-", f"{new.type} step", new.name, f"no longer after {', '.join(lost)}", "medium"
        )
    if _failures(old) != _failures(new):
        yield Line("~", f"{new.type} step", new.name, "starts after other failures", "medium")


def _failures(step: Step) -> list[str]:
    """The failures after which it starts (developer guide, "Pipeline steps", step dependencies)."""
    entries = step.body.get("DependsOn") or ()
    return sorted(str(e) for e in entries if isinstance(e, Mapping) and e.get("Trigger"))


def _guards(step: Step, definition: Definition) -> set[str]:
    """The gates that must have let something through before this step starts."""
    conditions = {
        f"{branch.condition} ({'if' if branch.outcome == 'IfSteps' else 'else'})"
        for branch in step.branches
    }
    before = {name for name in definition.before(step) if definition.steps[name].type in GATES}
    return conditions | before


def _own(step: Step) -> dict[str, Any]:
    """A step without the steps inside it, which are compared by themselves."""
    inner = ("IfSteps", "ElseSteps", "ForEachBody")
    arguments = {key: value for key, value in step.arguments.items() if key not in inner}
    skip = ("Name", "Type", "Arguments", "DependsOn", "DisplayName", "Description")
    return {**{k: v for k, v in step.body.items() if k not in skip}, **arguments}


def _after(step: Step) -> str:
    return f"after {', '.join(sorted(step.requires))}" if step.requires else "first"


def _row(item: Change, line: Line) -> Row:
    what = f"{line.what} {line.name}"
    return Row(
        cells=(line.sign, item.name, what, line.detail),
        risk=line.risk,
        urn=item.urn,
        source=item.source,
    )


def _reason(item: Change, line: Line) -> Reason:
    return Reason(
        rule=line.rule,
        risk=line.risk,
        message=f"pipeline {item.name}: {line.what} {line.name} {line.detail or 'goes'}",
        fix=FIX[line.rule],
        urn=item.urn,
        source=item.source,
    )


def _data(line: Line) -> dict[str, Any]:
    return {
        "change": line.sign,
        "what": line.what,
        "name": line.name,
        "difference": line.detail,
        "risk": line.risk,
    }
