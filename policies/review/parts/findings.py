"""What the policies say: what is new, what was there before, what is mended."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from policies.data import Source
from policies.exemptions import EXEMPTION
from policies.offline import RuleFinding, unjudged
from policies.review.knowledge import told_unjudged
from policies.review.model import StackChange
from policies.review.report import Context, Reason, Risk, Row, Section
from policies.rules import RULES

UNDECIDED = "RV-010"
EXEMPTED = "RV-011"
BAD = ("fail", "error")
RISKS: dict[str, Risk] = {"low": "low", "medium": "medium", "high": "high", "critical": "critical"}

FIXES = {rule.id: " ".join(rule.fix.split()) for rule in RULES}
"""What each rule says to do about a failure."""


def part(change: StackChange, context: Context) -> Section | None:
    """New findings first; only they speak against the change."""
    before, after = (
        {_key(f): f for f in side if f.status in BAD}
        for side in (context.findings_before, context.findings_after)
    )
    new = [less for key, f in sorted(after.items()) if (less := _beyond(f, before.get(key)))]
    existing = [less for key, f in sorted(after.items()) if (less := _shared(f, before.get(key)))]
    fixed = [less for key, f in sorted(before.items()) if (less := _beyond(f, after.get(key)))]
    undecided = [f for f in context.findings_after if f.status == "unknown"]
    exempt = [f for f in context.findings_after if f.status == "exempt"]
    counts = Counter(str(f.status) for f in context.findings_after)
    groups = (("new", new), ("existing", existing), ("fixed", fixed), ("exempt", exempt))
    rows = [_row(word, f, change) for word, found in groups for f in found]
    silent = _unjudged(change)
    if not counts and not rows and not silent:
        return None
    notes = [_tally(counts)] + ([told_unjudged(silent, SHOWN)] if silent else [])
    if undecided:
        names = sorted({f.rule_id for f in undecided})
        notes.append(f"undecided before the update, {len(undecided)} in all: {', '.join(names)}")
    return Section(
        id="policies",
        title="Policies",
        columns=("", "rule", "resource", "what"),
        rows=rows,
        notes=notes,
        data={
            "new": list(map(_data, new)),
            "existing": list(map(_data, existing)),
            "fixed": list(map(_data, fixed)),
            "exempt": list(map(_data, exempt)),
            "undecided": list(map(_data, undecided)),
            "counts": dict(sorted(counts.items())),
            "unjudged": dict(sorted(silent.items())),
        },
        reasons=[*_reasons(new, change), *_undecided(undecided, context)],
    )


def _unjudged(change: StackChange) -> Counter[str]:
    """What no rule can judge is counted, so that its silence is not taken for a pass."""
    ours = {item.urn for item in change.changes if item.component}
    return unjudged([item for item in change.after() if item.urn not in ours])


SHOWN = 6
"""Types, and parts of a message, that one line names."""


def _key(finding: RuleFinding) -> tuple[str, str, str]:
    return finding.rule_id, finding.urn, finding.message if finding.rule_id == EXEMPTION else ""


def _beyond(finding: RuleFinding, other: RuleFinding | None) -> RuleFinding | None:
    """What of a failure the other does not say: one that is old must not hide one that is new."""
    if other is None:
        return finding
    known = _facets(other)
    beyond = [each for each in finding.message.split("; ") if not _is_known(each, known)]
    return _with(finding, beyond)


def _shared(finding: RuleFinding, other: RuleFinding | None) -> RuleFinding | None:
    if other is None:
        return None
    known = _facets(other)
    return _with(finding, [each for each in finding.message.split("; ") if _is_known(each, known)])


def _facets(finding: RuleFinding) -> set[str]:
    return set(map(_facet, finding.message.split("; ")))


def _facet(text: str) -> str:
    """What fails; that nothing is there is one thing, however it is said."""
    return NOTHING.sub("got none", text)


NOTHING = re.compile(r"got (false|0|none|nothing|'')$", re.I)
LISTED = re.compile(r"(.* must (?:have|log|name|set) )([\w-]+(?:, [\w-]+)*)")


def _is_known(text: str, known: Collection[str]) -> bool:
    """Whether it was said before, or as a part of what was: fewer are missing than were."""
    if _facet(text) in known:
        return True
    mine = LISTED.fullmatch(text)
    others = (found for each in known if (found := LISTED.fullmatch(each)))
    return mine is not None and any(
        mine[1] == other[1] and {*mine[2].split(", ")} < {*other[2].split(", ")} for other in others
    )


def _with(finding: RuleFinding, facets: Sequence[str]) -> RuleFinding | None:
    return replace(finding, message="; ".join(facets)) if facets else None


def _reasons(new: Sequence[RuleFinding], change: StackChange) -> Iterator[Reason]:
    for finding in new:
        stale = finding.rule_id == EXEMPTION
        yield Reason(
            rule=EXEMPTED if stale else finding.rule_id,
            risk="high" if stale else RISKS[finding.severity],
            message=f"{_name(finding)}: {finding.message}" if finding.urn else finding.message,
            fix="renew or remove the exemption" if stale else FIXES.get(finding.rule_id, ""),
            urn=finding.urn,
            source=_source(finding, change),
            blocks=finding.blocks,
        )


def _undecided(found: Sequence[RuleFinding], context: Context) -> Iterator[Reason]:
    """Unknown is not pass: above a number, an update has to be split so that rules can decide."""
    mandatory = [f for f in found if f.level == "mandatory"]
    if not mandatory:
        return
    limit = context.config.undecided_max
    over = context.config.production and len(mandatory) > limit
    yield Reason(
        rule=UNDECIDED,
        risk="high" if over else "low",
        message=f"{len(mandatory)} mandatory checks cannot be decided before the update, "
        f"at most {limit} may be",
        fix="deploy what the values come from first, then the rest",
        blocks=over,
    )


def _row(word: str, finding: RuleFinding, change: StackChange) -> Row:
    risk = RISKS[finding.severity] if word == "new" else "low"
    return Row(
        cells=(word, finding.rule_id, _name(finding), finding.message),
        risk=risk,
        urn=finding.urn,
        source=_source(finding, change),
    )


def _name(finding: RuleFinding) -> str:
    return finding.urn.rpartition("::")[2] or "the stack"


def _source(finding: RuleFinding, change: StackChange) -> Source | None:
    item = change.by_urn.get(finding.urn)
    return item.source if item else None


def _tally(counts: Counter[str]) -> str:
    return ", ".join(
        f"{count} {name.replace('_', ' ')}" for name, count in sorted(counts.items()) if count
    )


def _data(finding: RuleFinding) -> dict[str, object]:
    return {
        "rule": finding.rule_id,
        "severity": finding.severity,
        "level": finding.level,
        "status": finding.status,
        "urn": finding.urn,
        "message": finding.message,
        "paths": list(finding.paths),
    }
