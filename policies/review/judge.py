"""What judges a change, before and after it: thresholds, reviewers and files of CI.

A change is judged by what its base says. What it loosens is told by name, so that whoever merges it
decides about that first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from policies.config import PolicyConfig
from policies.review.approval import Reviewers
from policies.review.report import RISKS, Risk

Said = tuple[Risk, str]

ASKED_FOR = ("locked_buckets", "gpu_tags", "gpu_labels", "required_tags")
"""Lists of what must be there; all others list what may be."""

SIZES = ("Small", "Medium", "Large")

DERIVED = ("has_environment_budget", "tracking_registers_models", "calling_steps")
"""What follows from what a stack is made of, and no file of thresholds says."""

GUARDS_OF_CI = (".ci/", ".github/", ".gitlab-ci.yml", "policies/review/")
"""Files that decide who and what stands between a change and the cloud."""


def thresholds(old: PolicyConfig, new: PolicyConfig) -> Iterator[Said]:
    """Every threshold that differs; what is looser, or of which nobody can tell, is high."""
    for field in fields(PolicyConfig):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before == after or field.name in DERIVED:
            continue
        looser = _is_looser(field.name, before, after)
        word = "is looser" if looser else "is stricter" if looser is False else "changes"
        yield (
            "low" if looser is False else "high",
            f"threshold {field.name} {word}: {_told(before)} -> {_told(after)}",
        )


def _is_looser(name: str, old: Any, new: Any) -> bool | None:
    """None: nobody can tell."""
    if isinstance(old, bool):
        return name == "production" and not new
    if name.endswith("_max"):
        sizes = (SIZES.index(new), SIZES.index(old)) if old in SIZES else (new, old)
        return bool(sizes[0] > sizes[1])
    if name.endswith("_min"):
        return bool(new < old)
    return _is_longer(name, old, new)


def _is_longer(name: str, old: Any, new: Any) -> bool | None:
    """A list of what may be that has more, or one of what must be that has less."""
    if isinstance(old, Mapping):
        return _looser_values(old, new)
    if isinstance(old, tuple):
        gone, come = set(old) - set(new), set(new) - set(old)
        return bool(gone if name in ASKED_FOR else come)
    return None


def _looser_values(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a tag may have more values than before; a tag of no list may have any."""
    return any(key not in new or set(new[key]) - set(values) for key, values in old.items())


def _told(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return str(dict(value)) if isinstance(value, Mapping) else str(value)


def reviewers(old: Reviewers, new: Reviewers) -> Iterator[Said]:
    """Who is asked no longer, and what a machine may approve from now on."""
    for risk in RISKS:
        before, after = old.by_risk.get(risk), new.by_risk.get(risk)
        if before == after or before is None:
            continue
        fewer = after is None or after.approvals < before.approvals
        others = () if after is None else after.who
        who = ", ".join(sorted({*before.who} - {*others}))
        come = ", ".join(sorted({*others} - {*before.who}))
        word = "fewer approvals" if fewer else "other people"
        yield "high", f"a change of {risk} risk is approved by {word}; gone: {who}; new: {come}"
    for section, people in old.by_section.items():
        if gone := sorted({*people} - {*new.by_section.get(section, ())}):
            yield "high", f"{', '.join(gone)} are not asked about {section} any longer"
    for pattern, operations in new.automatic.items():
        if added := sorted({*operations} - {*old.automatic.get(pattern, ())}):
            yield "high", f"a machine may approve {', '.join(added)} of {pattern} from now on"


def files(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Said]:
    """Files of CI, and of the review, that come, go or change."""
    for path in sorted({*before, *after}):
        if path.startswith(GUARDS_OF_CI) and before.get(path) != after.get(path):
            word = "goes" if path not in after else "comes" if path not in before else "changes"
            risk: Risk = "medium" if path.startswith("policies/review/") else "high"
            yield risk, f"{path} {word}: it stands between a change and the cloud"
