"""Name the GitHub environment in which a deployment waits for people: one per risk class.

    python .ci/gate.py ENV REPORT.json

Prints `gate=ENV-RISK` for GITHUB_OUTPUT. Give `ENV-low` no reviewers, `ENV-critical` those who may
lose data. What cannot be read is critical.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

RISKS = ("low", "medium", "high", "critical")


def gate(env: str, report: str) -> str:
    """The environment for a report; SystemExit where the change is blocked."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*", env):
        raise SystemExit(f"ENV must be the name of an environment, got {env!r}")
    try:
        found = json.loads(report)
        decision, risk = found["decision"], found["risk"]
        named = found["env"]
    except (ValueError, KeyError, TypeError):
        return f"{env}-critical"
    if decision == "blocked":
        raise SystemExit(f"the change of {env} is blocked: {found.get('headline', '')}")
    known = risk in RISKS and decision in ("safe", "needs review", "no change") and named == env
    return f"{env}-{risk}" if known else f"{env}-critical"


if __name__ == "__main__":
    sys.stdout.write(f"gate={gate(sys.argv[1], Path(sys.argv[2]).read_text())}\n")
