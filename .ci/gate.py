"""Name the GitHub environments where a deployment waits for people: one per stack and risk class.

    python .ci/gate.py NAME REPORT.json

NAME is ENV.LAYER, or ENV for all of its stacks; the report is what `plinth review NAME` wrote.
Prints `gates=["ENV-LAYER-RISK", ...]` for GITHUB_OUTPUT. Give `dev-weather-low` no reviewers, and
`prod-foundation-critical` those who may lose data. Only what a machine may approve, or no
change, waits at `low`, where nobody has to agree; what cannot be read is critical.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

import touched
from github import GitHub, of_environment

ROOT = Path(__file__).resolve().parents[1]
RISKS = ("low", "medium", "high", "critical")
DECISIONS = ("safe", "needs review", "no change")


def gates(stacks: Sequence[touched.Stack], report: str) -> list[str]:
    """An environment for each stack; SystemExit where a change is blocked."""
    members = _members(report)
    return [_gate(stack, members.get(str(stack), {})) for stack in stacks]


def _members(report: str) -> Mapping[str, Mapping[str, Any]]:
    """The report of each stack, by its name; none of what is no report."""
    try:
        found = json.loads(report)
        members = found["stacks"] if "stacks" in found else {found["env"]: found}
        return {name: member for name, member in members.items() if isinstance(member, dict)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _gate(stack: touched.Stack, report: Mapping[str, Any]) -> str:
    decision, risk = report.get("decision"), report.get("risk")
    if decision == "blocked":
        raise SystemExit(f"the change of {stack} is blocked: {report.get('headline', '')}")
    known = risk in RISKS and decision in DECISIONS and report.get("env") == str(stack)
    if known and risk == "low" and not _needs_nobody(report):
        risk = "medium"
    return f"{stack.env}-{stack.layer}-{risk if known else 'critical'}"


def _needs_nobody(report: Mapping[str, Any]) -> bool:
    """Whether a machine may approve it: no risk word says so, only this answer of the review."""
    approval = report.get("approval")
    alone = isinstance(approval, Mapping) and approval.get("auto_approvable") is True
    return report["decision"] == "no change" or alone


def held(found: Sequence[str], github: GitHub) -> None:
    """SystemExit unless each gate above `low` has reviewers whom GitHub waits for.

    A job that names an environment which does not exist makes it, without any.
    """
    open_ = [gate for gate in found if not gate.endswith("-low") and not _reviewers(gate, github)]
    if open_:
        raise SystemExit(
            f"{', '.join(open_)} must have required reviewers, got none\n"
            "  fix: make these environments in the repository's settings, with those of "
            "policies/reviewers.yaml"
        )


def _reviewers(gate: str, github: GitHub) -> int:
    """How many people and teams GitHub waits for."""
    try:
        found = github.call("GET", f"/environments/{quote(gate, safe='')}")
    except HTTPError as error:
        if error.code == NOT_FOUND:
            return 0
        raise
    rules = found.get("protection_rules", ())
    asked = [rule for rule in rules if rule.get("type") == "required_reviewers"]
    return sum(len(rule.get("reviewers") or ()) for rule in asked)


NOT_FOUND = 404


def main(name: str, report: str, root: Path = ROOT, github: GitHub | None = None) -> str:
    """The line for GITHUB_OUTPUT."""
    found = gates(touched.of(name, touched.known(root)), report)
    if github is not None:
        held(found, github)
    return f"gates={json.dumps(found)}"


if __name__ == "__main__":
    line = main(sys.argv[1], Path(sys.argv[2]).read_text(), github=of_environment())
    sys.stdout.write(line + "\n")
