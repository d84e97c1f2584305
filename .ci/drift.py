"""Open, change or close the one issue that says which stacks drifted.

    python .ci/drift.py FOLDER

FOLDER holds what the nightly jobs found: `ENV.LAYER.txt`, empty where nothing drifted. A stack that
this checkout has a file for, and the folder none, was not looked at: that is said, and closes
nothing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import touched
from github import BOT, GitHub, of_environment

TAG = "<!-- plinth-drift -->"
TITLE = "What is deployed is not what the state says"
TEXTS_BYTES = 56_000
"""Of all stacks that drifted, each an equal share: an issue holds 65,536."""

CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def found_in(folder: Path) -> dict[str, str]:
    """Stack -> what drifted, empty for nothing."""
    return {path.stem: path.read_text(errors="replace") for path in sorted(folder.glob("*.txt"))}


def body(found: Mapping[str, str], missing: Sequence[str]) -> str:
    """The issue's text, of the stacks that drifted."""
    says = "Found by the nightly run. `plinth up ENV.LAYER` undoes it, or change the program."
    parts, share = [TAG, says, ""], TEXTS_BYTES // max(1, len(found))
    for stack, text in found.items():
        clean = CONTROL.sub("", text).replace("```", "'''").encode()[:share]
        parts += [f"#### {stack}", "", "```", clean.decode(errors="ignore").strip(), "```", ""]
    parts += [f"Not looked at: {', '.join(missing)}", ""] if missing else []
    return "\n".join(parts)


def settle(github: GitHub, found: Mapping[str, str], stacks: Sequence[str]) -> str:
    """Make the issue say what was found; a word about what was done."""
    drifted = {stack: text for stack, text in found.items() if text.strip()}
    missing = [stack for stack in stacks if stack not in found]
    mine = [
        issue
        for issue in github.all("/issues?state=open")
        if "pull_request" not in issue
        and issue["user"]["login"] == BOT
        and (issue["body"] or "").startswith(TAG)
    ]
    text = body(drifted, missing)
    if drifted and not mine:
        github.call("POST", "/issues", {"title": TITLE, "body": text})
        return "opened"
    if drifted:
        github.call("PATCH", f"/issues/{mine[0]['number']}", {"body": text})
        return "changed"
    if missing or not mine:
        return "left alone"
    for issue in mine:
        github.call(
            "PATCH", f"/issues/{issue['number']}", {"state": "closed", "state_reason": "completed"}
        )
    return "closed"


if __name__ == "__main__":
    every = [str(stack) for stack in touched.known(Path(__file__).resolve().parents[1])]
    sys.stdout.write(settle(of_environment(), found_in(Path(sys.argv[1])), every) + "\n")
