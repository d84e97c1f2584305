"""The rules and exemptions of a revision, as a review compares them: from files, by no import."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from policies.exemptions import Exemption, parse

EXEMPTIONS = "policies/exemptions.yaml"
ASIDE = ("policies/review/", "policies/frameworks/")
"""What tells about verdicts and decides none."""

_RULE = re.compile(r'@rule\(\s*"([A-Z0-9-]+)"')


@dataclass(frozen=True, slots=True)
class Pack:
    """What judges the stack at one revision."""

    sha256: str
    """Of every file that a verdict depends on."""
    rules: frozenset[str]
    exemptions: frozenset[Exemption]


def pack(files: Mapping[str, str]) -> Pack | None:
    """The pack in these files, by their path in the repository; None where there is none."""
    judging = {
        path: text
        for path, text in files.items()
        if path.startswith("policies/")
        and not path.startswith(ASIDE)
        and path.endswith((".py", ".json", ".yaml"))
        and path != EXEMPTIONS
    }
    if not judging:
        return None
    digest = sha256()
    for path, text in sorted(judging.items()):
        digest.update(f"{path}\0{text}\0".encode())
    found = {name for text in judging.values() for name in _RULE.findall(text)}
    return Pack(
        sha256=digest.hexdigest(),
        rules=frozenset(found),
        exemptions=frozenset(parse(files.get(EXEMPTIONS, ""))),
    )
