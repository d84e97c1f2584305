"""`plinth reset`: forget what an environment of this machine holds, without an engine.

For data that nobody wants any more, or that no engine can delete: `destroy` asks the engine, stack
by stack, and is what leaves an account as it was.
"""

from __future__ import annotations

from typing import Any

from infra.errors import UserError
from stacks.commands.output import CommandOutput
from stacks.stack_name import named
from stacks.targets.target import target_of


def reset(
    name: str, report: CommandOutput, *, confirmed: bool, wait: bool = False
) -> dict[str, Any]:
    """End the cloud and forget its data and the states of its stacks; `wait` for who changes them.

    Keys, logs and MLflow's database stay.
    """
    stack, *_ = named(name)
    target = target_of(stack.env)
    target.wait = wait
    if "." in name:
        raise UserError(
            f"what is forgotten must be a whole environment, got {name}",
            fix=f"type `plinth destroy {name} --yes`",
        )
    if not confirmed:
        raise UserError(
            f"forgetting {name} deletes its data, models and endpoints and must be confirmed",
            fix=f"type `plinth reset {name} --yes`",
        )
    with target.ending(report):
        target.forget(report)
    report.say(f"{name}: nothing is left but keys, logs and MLflow's database")
    return {"name": name, "env": target.env, "seconds": report.seconds}
