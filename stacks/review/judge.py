"""The judge of a change is its base: thresholds, exemptions and reviewers of before it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import UserError
from stacks.policy_config import policy_config
from stacks.settings.load import load
from stacks.settings.model import Settings
from stacks.stack_name import StackName

if TYPE_CHECKING:
    from policies.config import PolicyConfig
    from policies.exemptions import Exemption
    from policies.review.approval import Reviewers
    from policies.review.report import Risk

ENVIRONMENTS = "stacks/environments/"
REVIEWERS = "policies/reviewers.yaml"
EXEMPTIONS = "policies/exemptions.yaml"


@dataclass(frozen=True, kw_only=True)
class Judge:
    """By what a change is judged, and what it changes about that."""

    config: PolicyConfig
    exemptions: Sequence[Exemption]
    reviewers: Reviewers
    loosened: Sequence[tuple[Risk, str]]
    moved: Sequence[str] = ()
    """Where the stack stood before, if it is another place now."""


def judge(
    stack: StackName,
    settings: Settings,
    exemptions: Sequence[Exemption],
    before: Mapping[str, str],
    after: Mapping[str, str],
) -> Judge:
    """The judge of a change between these files; without a base, what is there now."""
    from policies.review import judge as compared

    now = policy_config(settings)
    people = _reviewers(after.get(REVIEWERS))
    if not before:
        return Judge(config=now, exemptions=exemptions, reviewers=people, loosened=())
    found: list[tuple[Risk, str]] = []
    base = _settings(stack, before, found)
    old = base[1] if base else now
    asked = people
    if REVIEWERS in before and before[REVIEWERS] != after.get(REVIEWERS):
        asked = _reviewers(before[REVIEWERS])
        found += compared.reviewers(asked, people)
    found += [*compared.thresholds(old, now), *compared.files(before, after)]
    return Judge(
        config=old,
        exemptions=_exemptions(before, exemptions, found),
        reviewers=asked,
        loosened=found,
        moved=list(_moved(base[0], settings)) if base else (),
    )


def _moved(old: Settings, new: Settings) -> Iterator[str]:
    """Another account or region makes the whole stack anew, elsewhere."""
    for name in ("account_id", "region"):
        before, after = (getattr(side.environment.account, name) for side in (old, new))
        if before != after:
            yield f"the environment's {name} changes from {before} to {after}: all of it moves"


def _settings(
    stack: StackName, files: Mapping[str, str], found: list[tuple[Risk, str]]
) -> tuple[Settings, PolicyConfig] | None:
    """Settings and thresholds of the stack at the base; None where it was none."""
    there = {path: text for path, text in files.items() if path.startswith(ENVIRONMENTS)}
    if f"{ENVIRONMENTS}{stack.file.name}" not in there:
        return None
    with tempfile.TemporaryDirectory(prefix="plinth-thresholds-") as name:
        folder = Path(name)
        for path, text in there.items():
            (folder / Path(path).name).write_text(text)
        try:
            settings = load(stack, folder)
            return settings, policy_config(settings, folder)
        except UserError as error:
            problem = error.problem.replace(f"{folder}/", ENVIRONMENTS)
            found.append(("high", f"the base's thresholds cannot be read: {problem}"))
            return None


def _exemptions(
    files: Mapping[str, str], now: Sequence[Exemption], found: list[tuple[Risk, str]]
) -> Sequence[Exemption]:
    """Those of the base that are still there: what a change adds does not excuse it."""
    from policies.exemptions import parse

    try:
        old = parse(files.get(EXEMPTIONS, ""))
    except ValueError as error:
        found.append(("high", f"the base's exemptions cannot be read: {error}"))
        return ()
    return [entry for entry in now if entry in old]


def _reviewers(text: str | None) -> Reviewers:
    from policies.review import approval

    try:
        return approval.load() if text is None else approval.parse(text)
    except ValueError as error:
        raise UserError(str(error), fix="mend policies/reviewers.yaml") from None
