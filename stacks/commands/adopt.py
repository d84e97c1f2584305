"""`plinth adopt`: existing resources become the program's own, under their ids.

A preview with the engine's import says what would happen. A replacement is always refused, a change
in place unless it is asked for; what may be adopted is written to
`stacks/environments/adopt/<stack>.yaml`, and
the next `up` imports it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.errors import CheckFailed, UserError
from stacks.adoption import load_adopted, save_adopted
from stacks.commands.output import CommandOutput
from stacks.paths import shown
from stacks.stack_name import StackName, one_stack
from stacks.targets.work import prepared

IMPORT, SAME, UPDATE = "import", "same", "update"


def adopt(
    name: str, file: str | None, named: Mapping[str, str], report: CommandOutput, *, update: bool
) -> dict[str, Any]:
    """Check that a stack can adopt these resources, then write them down."""
    stack = one_stack(name)
    wanted = {**(load_adopted(stack, Path(file)) if file else {}), **named}
    if not wanted:
        raise UserError(
            "something must be named to adopt, got nothing",
            fix=f"plinth adopt {stack} --import aws:s3/bucket:Bucket storage-data my-bucket",
        )
    already = load_adopted(stack)
    _check_known(stack, wanted)
    with prepared(str(stack), report) as work:
        changes = work.operate("preview", stack, {**already, **wanted})
    verdict = judge(wanted, changes.steps)
    refused = [*verdict.refused, *(() if update else verdict.changed)]
    if refused:
        lines = "\n".join(f"  {line}" for line in refused)
        raise CheckFailed(
            f"adoption must change nothing, but:\n{lines}",
            fix="change the resource, or the program, until they agree; nothing was written"
            if verdict.refused
            else "change the resource or the program, or accept these with --update; nothing was "
            "written",
            data={"stack": str(stack), "refused": refused},
        )
    for line in verdict.changed:
        report.say(f"the next `up` changes {line}")
    path = save_adopted(stack, {**already, **wanted})
    for key, resource_id in sorted(wanted.items()):
        report.say(f"adopts {key} as {resource_id}")
    report.say(f"written to {shown(path)}; type `plinth up {stack}`")
    return {"stack": str(stack), "adopted": dict(sorted(wanted.items())), "file": shown(path)}


def _check_known(stack: StackName, wanted: Mapping[str, str]) -> None:
    """Every name is one of the program's resources."""
    from stacks.synth import synth_of

    known = {f"{resource.type}::{resource.name}" for resource in synth_of(stack)}
    for key in sorted(set(wanted) - known):
        near = difflib.get_close_matches(key, known, n=1, cutoff=0)
        raise UserError(
            f"{key} must be a resource of the program, is not; the nearest is {near[0]}",
            fix=f"see the names in `plinth preview {stack}`",
        )


@dataclass(frozen=True, kw_only=True)
class AdoptionResult:
    """What an adoption would do other than adopt."""

    refused: list[str]
    """What is not an adoption at all: a replacement, another id."""

    changed: list[str]
    """What would be changed in place."""


def judge(wanted: Mapping[str, str], steps: Sequence[Mapping[str, Any]]) -> AdoptionResult:
    """Read the engine's steps for the adopted resources.

    An import that fits is one step, one that does not is followed by the step that mends it.
    """
    by_key: dict[str, list[Mapping[str, Any]]] = {}
    for step in steps:
        parts = step["urn"].split("::")
        by_key.setdefault(f"{parts[2].rpartition('$')[2]}::{parts[3]}", []).append(step)
    refused, changed = [], []
    for key, resource_id in sorted(wanted.items()):
        for step in by_key.get(key, [{"op": "do nothing"}]):
            old_id = (step.get("oldState") or {}).get("id")
            if step["op"] not in (IMPORT, SAME, UPDATE):
                refused.append(f"{key} would {step['op']} {old_id or ''}".rstrip())
            elif old_id not in (None, resource_id):
                refused.append(f"{key} is {old_id} already, not {resource_id}")
            elif step["op"] == UPDATE:
                changed += [f"{key}: {line}" for line in differences(step)]
    return AdoptionResult(refused=refused, changed=changed)


def differences(step: Mapping[str, Any]) -> Iterator[str]:
    """Property by property, what exists and what the program asks for."""
    old = (step.get("oldState") or {}).get("inputs") or {}
    new = (step.get("newState") or {}).get("inputs") or {}
    for path in sorted(step.get("detailedDiff") or {}):
        top = path.partition(".")[0].partition("[")[0]
        yield f"{path} is {old.get(top)!r}, must be {new.get(top)!r}"
