"""`plinth state NAME verify|restore|accept`: whether states are whole, and back to one that is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from infra.errors import CheckFailed
from stacks.stack_name import StackName, named
from stacks.targets.state import State
from stacks.targets.target import Target, target_of

if TYPE_CHECKING:
    from stacks.commands.output import CommandOutput


def verify(name: str, report: CommandOutput) -> dict[str, Any]:
    """Say of each stack whether an engine may act on its state; CheckFailed where one may not."""
    target = target_of(named(name)[0].env)
    found = {stack: target.state_of(stack) for stack in named(name)}
    data = {"name": name, "stacks": {str(stack): _said(state) for stack, state in found.items()}}
    for stack, state in found.items():
        report.say(f"{stack}: {state.damage or 'whole'}{_copies(state)}")
    damaged = {stack: state.damage for stack, state in found.items() if state.damage}
    if damaged:
        lines = "\n".join(f"  {stack} is {what}" for stack, what in damaged.items())
        raise CheckFailed(
            f"states must be what the last updates left, but:\n{lines}",
            fix=f"type `plinth state {next(iter(damaged))} restore`",
            data=data,
        )
    return data


def restore(name: str, report: CommandOutput) -> dict[str, Any]:
    """Put the newest whole copy of each damaged state back; the next `up` reads the cloud first."""
    target = target_of(named(name)[0].env)
    done = {}
    for stack in named(name):
        if target.state_of(stack).damage is None:
            report.say(f"{stack}: whole, left alone")
            continue
        done[str(stack)] = _said(_restored(target, stack, report))
    return {"name": name, "restored": done}


def _restored(target: Target, stack: StackName, report: CommandOutput) -> State:
    with target.ending(report):
        written = target.restore_state(stack)
    report.say(f"{stack}: the state of {_time(written)} is back; type `plinth up {stack}`")
    return target.state_of(stack)


def accept(name: str, report: CommandOutput) -> dict[str, Any]:
    """Take whole states for what they are, because a person changed them on purpose."""
    target = target_of(named(name)[0].env)
    with target.ending(report):
        for stack in named(name):
            target.accept_state(stack)
            report.say(f"{stack}: taken as it is; the next `up` reads the cloud first")
    return {"name": name, "accepted": [str(stack) for stack in named(name)]}


def _said(state: State) -> dict[str, Any]:
    return {"damage": state.damage, "copies": [_time(written) for written in state.copies]}


def _copies(state: State) -> str:
    newest = f", the newest of {_time(state.copies[0])}" if state.copies else ""
    return f"; {len(state.copies)} whole copies{newest}"


def _time(written: float) -> str:
    return datetime.fromtimestamp(written, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
