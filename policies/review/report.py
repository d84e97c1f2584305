"""The report of a review: a verdict, and sections that every renderer shows alike.

A section is a function of the change and its context. It says what it found as rows to look at and
as data to read by machines, and which facts speak against the change. Nothing here knows a format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal

from policies.config import PolicyConfig
from policies.data import Source
from policies.exemptions import Exemption
from policies.offline import RuleFinding
from policies.review.model import StackChange
from policies.review.one_line import lines, one_line
from policies.review.pack import Pack
from policies.rule import MALFORMED

Risk = Literal["low", "medium", "high", "critical"]
RISKS: tuple[Risk, ...] = ("low", "medium", "high", "critical")
Decision = Literal["no change", "safe", "needs review", "blocked"]
DECISIONS: tuple[Decision, ...] = ("no change", "safe", "needs review", "blocked")

ACKNOWLEDGED = ("RV-001", "RV-005")
"""Rules whose block an exemption lifts: an entry with the rule and the one URN, no pattern."""

UNREAD = "RV-014"
NAMES = 20
"""Names of resources that one line lists."""

SCHEMA_VERSION = 1
"""Of the JSON report; a member that is renamed or removed raises it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """One fact that decides the verdict."""

    rule: str
    """Id of a delta rule or a policy, such as `RV-001`."""
    risk: Risk
    message: str
    fix: str = ""
    urn: str = ""
    source: Source | None = None
    blocks: bool = False
    """Nobody may wave it through: the change has to be different, or exempt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of a section's table."""

    cells: tuple[str, ...]
    risk: Risk = "low"
    urn: str = ""
    urns: tuple[str, ...] = ()
    """What the line is about beside that. Default: it is about one resource."""
    source: Source | None = None
    detail: str = ""
    """Further lines that are folded away, such as a property diff. Default: none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One part of the report."""

    id: str
    title: str
    columns: tuple[str, ...] = ()
    rows: Sequence[Row] = ()
    notes: Sequence[str] = ()
    """Sentences below the table: what was left out, what could not be decided."""
    folded: bool = False
    """Shown on demand: it matters to some readers only."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """The same for machines; plain JSON."""
    reasons: Sequence[Reason] = ()


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a review knows beside the change itself."""

    config: PolicyConfig
    today: date
    exemptions: Sequence[Exemption] = ()
    findings_before: Sequence[RuleFinding] = ()
    findings_after: Sequence[RuleFinding] = ()
    pack_before: Pack | None = None
    pack_after: Pack | None = None
    """The rules at the base and now. Default: nobody compared them."""
    loosened: Sequence[tuple[Risk, str]] = ()
    """What the change does to what judges it: thresholds, reviewers, files of CI."""
    packages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Model package ARN -> what the registry says: `approval`, metrics. Default: nobody asked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Approval:
    """Who has to look at a change; what a pipeline asks before it deploys."""

    risk_class: Risk
    reviewers: tuple[str, ...]
    """Users and teams, those of the risk first."""
    approvals: int
    """How many of them have to agree."""
    auto_approvable: bool
    """Whether a machine may approve it in their place."""
    why_not: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """A finished review."""

    env: str
    origin: str
    commit: str
    base: str
    decision: Decision
    risk: Risk
    reasons: Sequence[Reason]
    """Most dangerous first."""
    tally: Mapping[str, int]
    sections: Sequence[Section]
    warnings: Sequence[str] = ()
    approval: Approval | None = None
    """Default: nobody said who looks at what."""

    @property
    def points(self) -> list[Reason]:
        """The reasons that need a reader, one per rule and fix however many resources it hits."""
        groups: dict[tuple[object, ...], list[Reason]] = {}
        for reason in self.reasons:
            if reason.risk != "low":
                same = _without_name(reason)
                key = (reason.rule, reason.risk, reason.blocks, reason.fix, same)
                groups.setdefault(key, []).append(reason)
        return [_together(found) for found in groups.values()]

    @property
    def headline(self) -> str:
        """The verdict in one line."""
        counts = [
            f"{count} {name}" for name, count in self.tally.items() if count and name != "same"
        ]
        what = ", ".join(counts) or "no change"
        first = f": {self.reasons[0].message}" if self.reasons else ""
        return f"{self.decision} ({self.risk} risk) for {self.env}: {what}{first}"

    def section(self, name: str) -> Section | None:
        """The section with this id, if it had something to say."""
        return next((section for section in self.sections if section.id == name), None)


def _without_name(reason: Reason) -> str:
    name = reason.urn.rpartition("::")[2]
    return reason.message.replace(name, "\0") if name else reason.message


def _together(found: Sequence[Reason]) -> Reason:
    """One reason for several that say the same of different resources."""
    first = found[0]
    names = sorted({reason.urn.rpartition("::")[2] for reason in found[1:]})
    if not names:
        return first
    listed = ", ".join(names[:NAMES])
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return replace(first, message=f"{first.message}; the same for {listed}{more}")


Part = Callable[[StackChange, Context], Section | None]
"""A section's function; None: it has nothing to say about this change."""


def review(change: StackChange, context: Context, parts: Sequence[Part]) -> Report:
    """Ask every part, and decide."""
    asked = (_asked(part, change, context) for part in parts)
    sections = [_cleaned(section) for section in asked if section is not None]
    found = [_acknowledged(reason, context) for section in sections for reason in section.reasons]
    ends = {item.urn for item in change.of("delete", "replace")}

    def weight(reason: Reason) -> tuple[object, ...]:
        """What goes comes before what changes, of one risk; a tag that lacks may block too."""
        stays = reason.urn not in ends
        return -RISKS.index(reason.risk), stays, not reason.blocks, reason.rule, reason.urn

    reasons = sorted(found, key=weight)
    sections = [_coloured(section, reasons) for section in sections]
    risk = reasons[0].risk if reasons else "low"
    return Report(
        env=change.env,
        origin=change.origin,
        commit=change.commit,
        base=change.base,
        decision=_decision(change, reasons),
        risk=risk,
        reasons=reasons,
        tally={
            operation: len(change.of(operation))
            for operation in ("delete", "replace", "update", "create", "same")
        },
        sections=sections,
        warnings=list(map(one_line, change.warnings)),
    )


def _coloured(section: Section, reasons: Sequence[Reason]) -> Section:
    """The list of changes shows at each what all parts together think of it."""
    if section.id != "changes":
        return section
    worst: dict[str, Risk] = {}
    for reason in reversed(reasons):  # the most dangerous one last
        worst[reason.urn] = reason.risk
    return replace(section, rows=[replace(row, risk=_worst(row, worst)) for row in section.rows])


def _worst(row: Row, worst: Mapping[str, Risk]) -> Risk:
    found = (worst[urn] for urn in (row.urn, *row.urns) if urn in worst)
    return max((row.risk, *found), key=RISKS.index)


def _cleaned(section: Section) -> Section:
    """Names and values come from programs: none of them writes a line, a link or a title."""
    return replace(
        section,
        rows=[
            replace(row, cells=tuple(map(one_line, row.cells)), detail=lines(row.detail))
            for row in section.rows
        ],
        notes=list(map(one_line, section.notes)),
        reasons=[
            replace(reason, message=one_line(reason.message), fix=one_line(reason.fix))
            for reason in section.reasons
        ],
    )


def _asked(part: Part, change: StackChange, context: Context) -> Section | None:
    """A part's section; what a part cannot read is never taken for harmless."""
    try:
        return part(change, context)
    except MALFORMED as error:
        name = part.__module__.rpartition(".")[2]
        message = f"{name} cannot be judged: {type(error).__name__}: {error}"
        reason = Reason(
            rule=UNREAD,
            risk="high",
            message=message,
            fix="look for a property of a shape that its type does not have",
            blocks=True,
        )
        return Section(id=f"unread-{name}", title=f"Not read: {name}", reasons=[reason])


def _acknowledged(reason: Reason, context: Context) -> Reason:
    """A delta rule's reason blocks no longer where somebody answers for exactly this resource."""
    if not reason.blocks or reason.rule not in ACKNOWLEDGED:
        return reason
    for entry in context.exemptions:
        covers = entry.rule == reason.rule and entry.urn == reason.urn
        if covers and context.today <= entry.expires:
            message = f"{reason.message}; acknowledged: {entry}"
            return replace(reason, message=message, fix="", blocks=False)
    return reason


def _decision(change: StackChange, reasons: Sequence[Reason]) -> Decision:
    if any(reason.blocks for reason in reasons):
        return "blocked"
    if any(RISKS.index(reason.risk) >= RISKS.index("medium") for reason in reasons):
        return "needs review"
    return "safe" if any(True for _ in change.changed()) else "no change"
