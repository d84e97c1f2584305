"""Findings that somebody accepts for a time: data in exemptions.yaml, judged like anything else."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from policies.rule import Verdict

FILE = Path(__file__).with_name("exemptions.yaml")
EXEMPTION = "EXEMPTION"
"""Rule id of the findings about exemptions themselves."""

DELTA = "RV-"
"""Rules about a change: only a review knows whether their entry is needed."""


LONGEST = timedelta(days=366)
"""An exemption for longer is none: nobody looks at it again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exemption:
    """One accepted finding."""

    rule: str
    urn: str
    """Shell pattern over URNs."""
    reason: str
    owner: str
    expires: date
    """The last day on which it holds."""

    def __str__(self) -> str:
        return f"{self.reason} ({self.owner}, until {self.expires})"


@dataclass(frozen=True, slots=True)
class Exempted:
    """A verdict after exemptions, and the exemption that changed it."""

    verdict: Verdict
    exemption: Exemption | None = None


def exempt(
    verdict: Verdict, rule_id: str, urn: str, exemptions: Sequence[Exemption], today: date
) -> Exempted:
    """Turns what is wrong or undecided into `exempt` where a valid exemption covers it."""
    if verdict.status in ("fail", "unknown", "error"):
        for entry in exemptions:
            holds = today <= entry.expires <= today + LONGEST
            if entry.rule == rule_id and holds and fnmatchcase(urn, entry.urn):
                message = f"{entry}; {verdict.message}"
                return Exempted(Verdict("exempt", message, verdict.paths), entry)
    return Exempted(verdict)


def stale(
    exemptions: Sequence[Exemption], used: Collection[Exemption], today: date
) -> Iterator[tuple[Exemption, str]]:
    """The exemptions that have to go, and why."""
    for entry in exemptions:
        if entry.expires < today:
            yield entry, f"exemption of {entry.rule} for {entry.urn} expired: {entry}"
        elif entry.expires > today + LONGEST:
            most = f"at most {LONGEST.days} days"
            yield entry, f"exemption of {entry.rule} for {entry.urn} must last {most}: {entry}"
        elif entry not in used and not entry.rule.startswith(DELTA):
            yield entry, f"exemption of {entry.rule} for {entry.urn} is not needed: {entry}"


def load(path: Path = FILE) -> tuple[Exemption, ...]:
    """The exemptions in a YAML file; ValueError names an entry that is not one."""
    return parse(path.read_text(), path.name)


def parse(text: str, name: str = FILE.name) -> tuple[Exemption, ...]:
    """The exemptions in YAML; ValueError names an entry that is not one."""
    from ruamel.yaml import YAML

    return tuple(
        _entry(raw, f"{name}[{index}]")
        for index, raw in enumerate(YAML(typ="safe").load(text) or ())
    )


def _entry(raw: Any, where: str) -> Exemption:
    wanted = {field.name for field in fields(Exemption)}
    given = set(raw) if isinstance(raw, dict) else set()
    if given != wanted:
        got = ", ".join(sorted(given)) or raw
        raise ValueError(f"{where} must have {', '.join(sorted(wanted))}, got {got}")
    if not isinstance(raw["expires"], date):
        raise ValueError(f"{where}.expires must be a date, got {raw['expires']!r}")
    if not any(character.isalnum() for character in str(raw["urn"])):
        raise ValueError(f"{where}.urn must name resources, got {raw['urn']!r}, which is every one")
    return Exemption(**raw)
