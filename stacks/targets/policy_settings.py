"""What the policy pack is told, and whether it can stop an update; what is exempt from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import UserError
from stacks.local.runtime import files
from stacks.paths import ROOT, home
from stacks.stack_name import StackName

if TYPE_CHECKING:
    from policies.config import PolicyConfig
    from policies.exemptions import Exemption

PACK = ROOT / "policies"
VARIABLE = "PLINTH_POLICY_CONFIG"
"""Tells the policy pack, which runs in a process of its own, which file to read."""


def file_of(stack: StackName) -> Path:
    """Where the pack finds the thresholds of a stack."""
    return home() / stack.env / "policy-config" / f"{stack.layer}.json"


def write(stack: StackName, config: PolicyConfig) -> None:
    """Hand the thresholds to the pack."""
    text = json.dumps(config.to_dict(), sort_keys=True)
    files.write(file_of(stack), text.encode())


def exemptions() -> Sequence[Exemption]:
    """The exemptions of this repository; UserError names the entry that is not one."""
    from policies.exemptions import load

    try:
        return load()
    except ValueError as error:
        raise UserError(f"policies/exemptions.yaml: {error}") from None


def whole_stack_can_block(config: PolicyConfig) -> bool:
    """Whether a mandatory rule looks at the whole stack.

    The engine asks such rules at the end of an update, when everything exists; a preview asks them
    before anything does.
    """
    from policies.rules import RULES

    return any(rule.kind == "stack" and rule.level(config) == "mandatory" for rule in RULES)
