"""Fail a check where a review blocks its change, or says nothing: branch protection can require it.

python .ci/verdict.py REPORT.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

DECISIONS = ("safe", "needs review", "no change")


def main(path: Path) -> str:
    """A line about the verdict; SystemExit where nobody may merge by it."""
    try:
        report = json.loads(path.read_text())
        decision, headline = report["decision"], str(report.get("headline", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SystemExit(f"{path} must be the report of a review: {error}") from None
    line = "".join(character for character in headline if character.isprintable())
    if decision not in DECISIONS:
        raise SystemExit(f"the change is {decision}: {line}")
    return line


if __name__ == "__main__":
    sys.stdout.write(main(Path(sys.argv[1])) + "\n")
