"""What a review was about: the state of the stack and the commit, so that `up` can hold to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from infra.errors import CheckFailed, UserError
from stacks.reading import json_of

FACTS = ("commit", "state_sha256")


def binding(commit: str, deployment: Mapping[str, Any]) -> dict[str, str]:
    """Commit and state as text to compare; an engine's times are no part of the state."""
    resources = [
        {key: value for key, value in item.items() if key not in ("created", "modified")}
        for item in deployment.get("resources") or ()
    ]
    told = json.dumps(sorted(resources, key=lambda item: str(item.get("urn"))), sort_keys=True)
    return {"commit": commit, "state_sha256": sha256(told.encode()).hexdigest()}


def read(path: Path) -> dict[str, dict[str, str]]:
    """The binding of each stack in a review's JSON report; UserError where the file is none."""
    try:
        report = json_of(path)
        members = report["stacks"] if "stacks" in report else {report["env"]: report}
        found = {stack: _facts(member["binding"]) for stack, member in members.items()}
    except (ValueError, AttributeError, KeyError, TypeError):
        found = {}
    if not found:
        raise UserError(
            f"{path} must be the JSON report of a review that asked the engine",
            fix="write it with `plinth review ENV --format json --output FILE`",
        )
    return found


def refuse_blocked(path: Path, stacks: Sequence[str]) -> None:
    """CheckFailed where the review of a stack that is to be deployed blocked its change."""
    report = json_of(path)
    members = report["stacks"] if "stacks" in report else {report["env"]: report}
    decisions = {stack: members[stack].get("decision") for stack in stacks if stack in members}
    blocked = [stack for stack, found in decisions.items() if found not in DEPLOYABLE]
    if blocked:
        told = ", ".join(f"{stack} ({decisions[stack]})" for stack in blocked)
        raise CheckFailed(
            f"{path} must let every stack be deployed, got {told}",
            fix="mend what the review names, and review again",
        )


DEPLOYABLE = ("safe", "needs review", "no change")


def _facts(member: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(member[name]) for name in FACTS}


def hold(wanted: Mapping[str, str], now: Mapping[str, str], env: str) -> None:
    """CheckFailed unless commit and state are those of the review."""
    moved = [name for name in FACTS if wanted[name] != now[name]]
    if moved:
        lines = "\n".join(
            f"  {name} was {wanted[name][:12]}, is {now[name][:12] or 'unknown'}" for name in moved
        )
        raise CheckFailed(
            f"{env} must be as it was reviewed, got:\n{lines}",
            fix=f"review it again: `plinth review {env} --format json --output FILE`",
        )
