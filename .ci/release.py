"""Tag the version that pyproject.toml and CHANGELOG.md agree on: `make release`.

    python .ci/release.py

The tag's message is the version's section of the changelog. Nothing is pushed: the last line says
how.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECTION = re.compile(r"^## (\S+)(?: - (\d{4}-\d{2}-\d{2}))?\n(.*?)(?=^## |\Z)", re.M | re.S)


def sections(changelog: str) -> Mapping[str, tuple[str, str]]:
    """Version -> its date (empty for Unreleased) and what changed, newest first."""
    return {name: (date, text.strip()) for name, date, text in SECTION.findall(changelog)}


def message(version: str, changelog: str) -> str:
    """What the tag says; SystemExit where the changelog is not ready for it."""
    known = sections(changelog)
    if known.get("Unreleased", ("", ""))[1]:
        raise SystemExit(
            f"CHANGELOG.md must have nothing under Unreleased when {version} is tagged\n"
            f"  fix: move it to a section `## {version} - YYYY-MM-DD`"
        )
    date, text = known.get(version, ("", ""))
    if not date or not text:
        raise SystemExit(
            f"CHANGELOG.md must say what changed in {version}, the version of pyproject.toml\n"
            f"  fix: write a section `## {version} - YYYY-MM-DD`"
        )
    return f"Plinth {version} ({date})\n\n{text}\n"


def git(*args: str, root: Path = ROOT) -> str:
    """What git answers."""
    done = subprocess.run(["git", *args], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"git {args[0]} must work, got {done.stderr.strip()}")
    return done.stdout.strip()


def main(root: Path = ROOT) -> str:
    """Make the tag; how to publish it."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    text = message(version, (root / "CHANGELOG.md").read_text())
    if changed := git("status", "--porcelain", root=root):
        raise SystemExit(f"the checkout must have no changes, got\n{changed}\n  fix: commit them")
    git("tag", "--annotate", f"v{version}", "--cleanup=verbatim", "--message", text, root=root)
    return f"tagged v{version}; publish it with: git push origin v{version}"


if __name__ == "__main__":
    sys.stdout.write(main() + "\n")
