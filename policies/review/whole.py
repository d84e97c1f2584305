"""What a preview must be as a whole: a digest, of one stack, with all steps that it counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from policies.review.shape import Malformed, mapping

OTHERS: Mapping[str, str] = {
    "resource_changes": "the plan of Terraform or OpenTofu",
    "terraform_version": "a file of Terraform or OpenTofu",
    "planned_values": "the plan of Terraform or OpenTofu",
    "deployment": "an exported state of Pulumi",
    "resourcePlans": "an update plan of Pulumi",
    "Changes": "a change set of CloudFormation",
    "Resources": "a template of CloudFormation",
    "schema_version": "the report of a review",
    "runs": "a SARIF file",
    "kind": "an object of Kubernetes",
}
"""A member that gives another tool's file away -> what it is."""


def refuse_others(whole: Mapping[str, Any]) -> None:
    """Name what is no digest; an empty object is what a preview that failed prints."""
    if not whole:
        raise Malformed(
            "a preview must be a digest with steps, got an empty object: that is what a failing "
            "`pulumi preview --json` prints"
        )
    for member, what in OTHERS.items():
        if member in whole:
            raise Malformed(f"a preview must be a digest or engine events, got {what}")
    if not any(str(member).endswith("Event") for member in whole):
        members = ", ".join(sorted(map(str, whole)))[:80]
        raise Malformed(f"a preview must be a digest with steps, got an object with {members}")


LOGICAL = ("create", "update", "delete", "replace", "import")
"""Steps that the engine counts, one for one; a replacement's two halves are none of them."""


def counted(counts: Any, steps: Sequence[Mapping[str, Any]], where: str) -> None:
    """Refuse a preview that holds other steps than its own count says."""
    counted = mapping(counts or {}, where)
    for op, count in counted.items():
        if type(count) is not int or count < 0:
            raise Malformed(f"{where}.{op} must be a number of steps, got {count!r}")
    for op in LOGICAL if counted else ():
        told = sum(step.get("op") == op for step in steps)
        if counted.get(op, 0) != told:
            raise Malformed(
                f"{where}.{op} must be the number of its steps ({told}), got {counted.get(op, 0)}"
            )


def of_one_stack(urns: Iterable[str], env: str) -> None:
    """Refuse a preview of several stacks, or of another than the one under review."""
    stacks = {tuple(urn.split("::")[:2]) for urn in urns}
    if len(stacks) > 1:
        names = ", ".join(sorted("::".join(stack) for stack in stacks))
        raise Malformed(f"the URNs of a preview must be of one stack, got {names[:200]}")
    for found in {stack.removeprefix("urn:pulumi:") for stack, _ in stacks} if env else ():
        # an environment that has layers was one stack before, of its own name
        if found != env and found != env.partition(".")[0] and found.partition(".")[0] != env:
            raise Malformed(f"the URNs of a preview of {env} must name it, got {found[:80]!r}")
