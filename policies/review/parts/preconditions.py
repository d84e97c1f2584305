"""What a review stands on: a whole preview, no drift, versions of engine and providers, rules."""

from __future__ import annotations

from collections.abc import Iterator

from policies.review.amounts import is_a_patch
from policies.review.model import StackChange
from policies.review.parts.changes import shown
from policies.review.report import UNREAD, Context, Reason, Row, Section

VERSION = "RV-008"
DRIFTED = "RV-009"
RULES = "RV-011"


def part(change: StackChange, context: Context) -> Section | None:
    """Nothing where the ground is the same as at the base."""
    reasons = [
        *_failures(change),
        *_doubts(change),
        *_moved(change),
        *_reconfigured(change),
        *_taken_over(change),
        *_partial(change),
        *_drift(change),
        *_versions(change),
        *_rules(context),
    ]
    if not reasons and not change.drifted:
        return None
    packs = (context.pack_before, context.pack_after)
    return Section(
        id="ground",
        title="What this review stands on",
        columns=("rule", "what"),
        rows=[Row(cells=(r.rule, r.message), risk=r.risk, urn=r.urn) for r in reasons],
        data={
            "failures": list(change.failures),
            "skipped": sorted(change.skipped),
            "drifted": sorted(change.drifted),
            "versions": {name: list(pair) for name, pair in sorted(change.versions.items())},
            "rules_sha256": [pack.sha256 if pack else None for pack in packs],
        },
        reasons=reasons,
    )


LONG = 300
"""Characters of an engine's error that a line shows."""


def _failures(change: StackChange) -> Iterator[Reason]:
    """A preview that ended early does not tell what it did not come to."""
    for error in change.failures:
        text = error if len(error) <= LONG else f"{error[:LONG]}…"
        yield Reason(
            rule=UNREAD,
            risk="high",
            message=f"the preview did not finish: {text}",
            fix="mend the error and preview again: what the engine did not reach is not in here",
            blocks=True,
        )


def _doubts(change: StackChange) -> Iterator[Reason]:
    """What the engine itself does not vouch for takes a person."""
    for doubt in change.doubts:
        yield Reason(
            rule=UNREAD,
            risk="high",
            message=f"{doubt}: it may leave steps out",
            fix="preview again, and compare with what the engine shows in the terminal",
        )


def _moved(change: StackChange) -> Iterator[Reason]:
    """Another region, account, role or cluster: everything behind it is made anew, elsewhere."""
    for what in change.moved:
        yield Reason(
            rule=VERSION,
            risk="critical",
            message=what,
            fix="make a second stack there and move what matters; keep this one until it is empty",
            blocks=True,
        )


def _reconfigured(change: StackChange) -> Iterator[Reason]:
    for what in change.reconfigured:
        yield Reason(
            rule=VERSION,
            risk="medium",
            message=f"{what}, and nobody here knows what that does to all behind it",
            fix="change a provider alone, and read what it says of this input",
        )


def _taken_over(change: StackChange) -> Iterator[Reason]:
    """An import manages from now on what somebody else may manage still."""
    for item in change.changed():
        if item.imported:
            found = item.resource.outputs.value.get("id")
            yield Reason(
                rule=VERSION,
                risk="medium",
                message=f"{item.name} takes over what is there already"
                + (f": {shown(found)}" if isinstance(found, str) else ""),
                fix="see that nobody else manages it, and that its inputs are as it is",
                urn=item.urn,
                source=item.source,
            )


def _partial(change: StackChange) -> Iterator[Reason]:
    """A part of an update, and it cannot be told from the whole."""
    for urn in sorted(change.skipped):
        yield Reason(
            rule=VERSION,
            risk="medium",
            message=f"{urn.rpartition('::')[2]} would be created and is left out: "
            "--target or --exclude is in use",
            fix="preview the whole stack: what else is left out, the engine does not tell",
            urn=urn,
        )


def _drift(change: StackChange) -> Iterator[Reason]:
    """What the update overwrites unseen is worse than what it leaves alone."""
    hit = {item.urn for item in change.changed()} & set(change.drifted)
    for urn in sorted(change.drifted):
        name = urn.rpartition("::")[2]
        fate = ", and this change would overwrite it" if urn in hit else ""
        yield Reason(
            rule=DRIFTED,
            risk="high" if urn in hit else "medium",
            message=f"{name} is no longer what the state says{fate}",
            fix="take over by `pulumi refresh` what was changed beside the program, or undo it",
            urn=urn,
        )


def _versions(change: StackChange) -> Iterator[Reason]:
    for name, (old, new) in sorted(change.versions.items()):
        yield Reason(
            rule=VERSION,
            risk="low" if is_a_patch(old, new) else "medium",
            message=f"{name} changes from {old or 'none'} to {new or 'none'}",
            fix="read its release notes; change the version alone, before anything else",
        )


def _rules(context: Context) -> Iterator[Reason]:
    """Rules that are weakened by the very change that they judge."""
    for risk, message in context.loosened:
        yield Reason(
            rule=RULES,
            risk=risk,
            message=message,
            fix="change it alone, and have its owners approve that first",
        )
    old, new = context.pack_before, context.pack_after
    if old is None or new is None or old == new:
        return
    for rule in sorted(old.rules - new.rules):
        yield Reason(
            rule=RULES,
            risk="high",
            message=f"{rule} judges no longer",
            fix="bring the rule back, or exempt single resources for a time",
        )
    for entry in sorted(new.exemptions - old.exemptions, key=str):
        message = f"new exemption of {entry.rule} for {entry.urn}: {entry}"
        yield Reason(rule=RULES, risk="high", message=message, fix="ask its owner")
    for entry in sorted(old.exemptions - new.exemptions, key=str):
        message = f"exemption of {entry.rule} for {entry.urn} goes: {entry}"
        yield Reason(rule=RULES, risk="low", message=message)
    if old.sha256 != new.sha256:
        added = ", ".join(sorted(new.rules - old.rules)) or "none"
        yield Reason(
            rule=RULES,
            risk="medium",
            message=f"the rules change from {old.sha256[:12]} to {new.sha256[:12]}; new: {added}",
            fix="have the owners of the rules look at them",
        )
