"""What changes in a pipeline: its steps, gates and parameters, not its JSON text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policies.reading.definition import Definition, Step, parse
from policies.review.gates import differences
from policies.review.model import Change, StackChange
from policies.review.report import Context, Reason, Risk, Row, Section

GATE_LOST = "RV-013"
PIPELINE = "aws:sagemaker/pipeline:Pipeline"
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


def part(change: StackChange, context: Context) -> Section | None:
    """One row per step, parameter or gate that differs, for every pipeline that changes."""
    del context
    rows, data, reasons, notes = [], [], [], []
    for item in change.changed():
        if item.type != PIPELINE or item.operation == "create":
            continue
        before, after = (_definition(side) for side in (item.old, item.new))
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


def _definition(side: Any) -> Definition | None:
    text = side.inputs.value.get("pipelineDefinition") if side else None
    if not isinstance(text, str):
        return None
    try:
        return parse(text)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def compared(before: Definition, after: Definition) -> Iterator[Line]:
    """Every difference that changes what a run does."""
    yield from _parameters(before, after)
    for name in sorted({*before.steps, *after.steps}):
        old, new = before.steps.get(name), after.steps.get(name)
        if old is None and new is not None:
            yield Line("+", f"{new.type} step", name, _after(new))
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
        else:
            yield Line(
                "~", "parameter", name, f"{old.get('DefaultValue')} -> {new.get('DefaultValue')}"
            )


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
    paths = sorted(_differences(_own(old), _own(new)))
    if paths and not (told and paths == ["Conditions"]):
        risk: Risk = "medium" if new.type in GATES or "ModelApprovalStatus" in paths else "low"
        shown = ", ".join(paths[:4]) + (f" and {len(paths) - 4} more" if len(paths) > 4 else "")
        yield Line("~", f"{new.type} step", new.name, shown, risk)


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


def _differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {*old, *new}:
            yield from _differences(
                old.get(key), new.get(key), f"{path}.{key}" if path else str(key)
            )
    elif json.dumps(old, sort_keys=True, default=str) != json.dumps(
        new, sort_keys=True, default=str
    ):
        yield path


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
        rule=GATE_LOST,
        risk=line.risk,
        message=f"pipeline {item.name}: {line.what} {line.name} {line.detail or 'goes'}",
        fix="keep every gate between data and a registered model",
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
