"""Open, change or close the one issue that says which environments drifted.

    python .ci/drift.py FOLDER

FOLDER holds what the nightly jobs found: `ENV.txt`, empty where nothing drifted. An environment
without a file was not looked at, which is said and closes nothing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from github import BOT, GitHub, of_environment

TAG = "<!-- plinth-drift -->"
TITLE = "What is deployed is not what the state says"
TEXT_BYTES = 8_000
"""Of each environment: an issue holds 65,536."""

CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def found_in(folder: Path) -> dict[str, str]:
    """Environment -> what drifted, empty for nothing."""
    return {path.stem: path.read_text(errors="replace") for path in sorted(folder.glob("*.txt"))}


def body(found: Mapping[str, str], missing: Sequence[str]) -> str:
    """The issue's text, of the environments that drifted."""
    parts = [TAG, "Found by the nightly run. `plinth up ENV` undoes it, or change the program.", ""]
    for env, text in found.items():
        clean = CONTROL.sub("", text).replace("```", "'''").encode()[:TEXT_BYTES]
        parts += [f"#### {env}", "", "```", clean.decode(errors="ignore").strip(), "```", ""]
    parts += [f"Not looked at: {', '.join(missing)}", ""] if missing else []
    return "\n".join(parts)


def settle(github: GitHub, found: Mapping[str, str], envs: Sequence[str]) -> str:
    """Make the issue say what was found; a word about what was done."""
    drifted = {env: text for env, text in found.items() if text.strip()}
    missing = [env for env in envs if env not in found]
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
    sys.stdout.write(settle(of_environment(), found_in(Path(sys.argv[1])), sys.argv[2:]) + "\n")
