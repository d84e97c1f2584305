"""Who has to look at a change, and whether a machine may approve it.

People and teams are data (policies/reviewers.yaml). What a machine may approve is an allow-list of
types there; permissions, networks, keys and state are never among them, whatever the list says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from policies.review.knowledge import known
from policies.review.model import Change, StackChange
from policies.review.parts import access, data_loss, exposure, keys
from policies.review.report import RISKS, Approval, Report, Risk, Section

FILE = Path(__file__).parent.parent / "reviewers.yaml"
NAME = re.compile(r"@?[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
"""A user or a team of GitHub."""

TOUCHES = {
    "access": "permissions",
    "exposure": "network",
    "keys": "keys",
    "loss": "data",
    "cost": "cost",
    "gpus": "GPUs",
    "jobs": "job costs",
    "promotion": "models",
    "pipelines": "pipelines",
    "outputs": "other stacks",
    "quotas": "quotas",
}
"""Section of a report -> what somebody may be asked to look at because of it."""

NETWORK = ("aws:ec2/", "aws:vpc/", "aws:lb/", "aws:alb/", "aws:route53/")
OF_PERMISSIONS = ("aws:iam/", "aws:eks/access", "aws:lambda/permission", "aws:ram/")
OF_KEYS = ("aws:kms/", "aws:secretsmanager/", "aws:acm/")
SHOWN = 3
"""Reasons against a machine that one line lists."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Who is asked, and how many of them have to agree."""

    who: tuple[str, ...] = ()
    approvals: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Reviewers:
    """The people of a project."""

    by_risk: Mapping[Risk, Ask] = field(default_factory=dict)
    by_section: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    automatic: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Pattern of a type -> operations on it that a machine may approve. Default: none."""


def load(path: Path = FILE) -> Reviewers:
    """The reviewers in a YAML file; ValueError says where it is wrong."""
    return parse(path.read_text(), path.name)


def parse(text: str, name: str = FILE.name) -> Reviewers:
    """The reviewers in YAML; ValueError says where it is wrong."""
    from ruamel.yaml import YAML

    raw = _object(YAML(typ="safe").load(text), name, ("risk", "touches", "automatic"))
    risks = _object(raw.get("risk"), f"{name}: risk", RISKS)
    touches = _object(raw.get("touches"), f"{name}: touches", tuple(TOUCHES))
    automatic = _object(raw.get("automatic"), f"{name}: automatic", ())
    return Reviewers(
        by_risk={
            risk: _ask(risks[risk], f"{name}: risk.{risk}") for risk in RISKS if risk in risks
        },
        by_section={key: _names(who, f"{name}: touches.{key}") for key, who in touches.items()},
        automatic={
            key: _words(found, f"{name}: automatic.{key}") for key, found in automatic.items()
        },
    )


def _object(value: Any, where: str, keys: Sequence[str]) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError(f"{where} must be a mapping, got {value!r}")
    stray = sorted(set(value) - set(keys)) if keys else []
    if stray:
        raise ValueError(f"{where} must have {', '.join(keys)}, got {', '.join(stray)}")
    return value


def _ask(value: Any, where: str) -> Ask:
    found = _object(value, where, ("who", "approvals"))
    approvals = found.get("approvals", 0)
    if type(approvals) is not int or approvals < 0:
        raise ValueError(f"{where}.approvals must be 0 or more, got {approvals!r}")
    who = _names(found.get("who") or [], f"{where}.who")
    if approvals and not who:
        raise ValueError(f"{where}.who must name somebody for {approvals} approvals, got nobody")
    return Ask(who, approvals)


def _names(value: Any, where: str) -> tuple[str, ...]:
    for name in _words(value, where):
        if not NAME.fullmatch(name):
            raise ValueError(f"{where} must name users or teams such as @org/team, got {name!r}")
    return tuple(value)


def _words(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{where} must be a list of words, got {value!r}")
    return tuple(value)


def asked(report: Report, change: StackChange, reviewers: Reviewers) -> Report:
    """The report with who has to approve it."""
    why: dict[str, list[str]] = {}
    ask = reviewers.by_risk.get(report.risk, Ask())
    if report.decision != "no change":
        for name in ask.who:
            why.setdefault(name, []).append(f"{report.risk} risk")
        for section in report.sections:
            for name in reviewers.by_section.get(section.id, ()) if _touched(section) else ():
                why.setdefault(name, []).append(TOUCHES[section.id])
    against = list(_against(report, change, reviewers))
    approval = Approval(
        risk_class=report.risk,
        reviewers=tuple(why),
        approvals=ask.approvals if report.decision != "no change" else 0,
        auto_approvable=not against,
        why_not=tuple(against),
    )
    told = replace(report, approval=approval)
    if report.decision == "no change":
        return told
    section = Section(id="approval", title="Who looks at it", notes=list(_notes(told, why)))
    return replace(told, sections=[section, *report.sections])


def _touched(section: Section) -> bool:
    risks = [row.risk for row in section.rows] + [reason.risk for reason in section.reasons]
    return any(risk != "low" for risk in risks)


def _against(report: Report, change: StackChange, reviewers: Reviewers) -> Iterator[str]:
    """Everything that keeps a machine from approving the change."""
    if report.decision == "no change":
        return
    if report.decision != "safe":
        yield f"the decision is: {report.decision}"
    if report.origin == "mocked synth":
        yield "no engine was asked: a mocked synth knows no state"
    if report.warnings:
        yield "the input does not tell everything"
    for reason in report.reasons:
        if reason.rule == "RV-010":
            yield "mandatory checks cannot be decided before the update"
    cost = report.section("cost")
    if cost is None or "after" not in cost.data:
        yield "the cost cannot be told"
    found = (_forbids(item, reviewers) for item in change.changed())
    yield from dict.fromkeys(text for text in found if text)


def _forbids(item: Change, reviewers: Reviewers) -> str | None:
    """Why this one change needs a person."""
    kind = item.type.rpartition(":")[2]
    never = _never(item)
    if never:
        return f"{item.operation} of {kind} touches {never}"
    for pattern, operations in reviewers.automatic.items():
        if fnmatchcase(item.type, pattern) and item.operation in operations:
            return None
    return f"{item.operation} of {kind} is not on the list"


def _never(item: Change) -> str:
    """What no machine approves."""
    if item.type.startswith(OF_KEYS) or any(keys.names_a_key(p) for p in item.properties):
        return "keys"
    if item.type.startswith(OF_PERMISSIONS):
        return "permissions"
    if access.documents(item.resource):
        return "permissions"
    if item.type.startswith(NETWORK) or item.type in exposure.OPENINGS:
        return "the network"
    if item.operation in ("delete", "replace") or item.type in data_loss.LOSSES:
        return "state"
    return _by_kind(item.type)


def _by_kind(token: str) -> str:
    about = known(token)
    if about.harmless:
        return ""
    if not about.is_known:
        return "what nobody here knows"
    return next((word for kind, word in NEVER.items() if kind in about.kinds), "")


NEVER = {"grants": "permissions", "opens": "the network", "state": "state"}
"""Kind of a type -> what of it no machine approves."""


def _notes(report: Report, why: Mapping[str, Sequence[str]]) -> Iterator[str]:
    approval = report.approval
    assert approval is not None
    count = approval.approvals
    who = "; ".join(f"{name} ({', '.join(found)})" for name, found in why.items())
    wanted = f"{count} {'approval' if count == 1 else 'approvals'} wanted" if count else ""
    yield ": ".join(part for part in (wanted, who or "nobody has to") if part)
    if report.decision == "blocked":
        yield "blocked: no approval lets it through as it is"
    elif approval.auto_approvable:
        yield "a machine may approve it"
    elif report.decision == "safe":
        shown = "; ".join(approval.why_not[:SHOWN])
        more = len(approval.why_not) - SHOWN
        yield f"it takes a person: {shown}" + (f"; and {more} more" if more > 0 else "")
