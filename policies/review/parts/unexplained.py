"""What nobody can say to be harmless: differences that no word explains, updates that show none."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from policies.data import UNKNOWN as LATER
from policies.review.creations import asks
from policies.review.differences import Leaf
from policies.review.knowledge import WORDS, is_revised, known
from policies.review.model import Change, StackChange, lifted
from policies.review.parts.changes import short
from policies.review.parts.data_loss import UNKNOWN, guards, is_next_revision
from policies.review.report import Context, Reason, Risk, Row, Section
from policies.review.tagged import moved

SHOWN = 6
"""Properties that one line names."""


def part(change: StackChange, context: Context) -> Section | None:
    """One row per resource with a difference that nobody classified."""
    del context
    made = {item.urn for item in change.of("create", "replace")}
    found: list[tuple[Change, str, Risk]] = [
        (item, what, risk)
        for item in change.changed()
        if not item.component and not item.external and _is_judged(item)
        for what, risk in _unexplained(item, made)
    ]
    found += [
        (item, f"something goes by its tags: {what}", "medium") for item, what in moved(change)
    ]
    if not found:
        return None
    return Section(
        id="unexplained",
        title="Not known to be harmless",
        columns=("resource", "type", "what"),
        rows=[
            Row(
                cells=(item.name, short(item.type), what),
                risk=risk,
                urn=item.urn,
                source=item.source,
            )
            for item, what, risk in found
        ],
        folded=True,
        data={"changes": [{"urn": item.urn, "what": what} for item, what, _ in found]},
        reasons=[_reason(item, what, risk) for item, what, risk in found if risk != "low"],
    )


def _is_judged(item: Change) -> bool:
    """Whether nobody else asks about it: an end does by itself, but for that of a revision."""
    return is_next_revision(item) or item.operation in ("create", "update")


def _unexplained(item: Change, made: Collection[str]) -> Iterator[tuple[str, Risk]]:
    about = known(item.type)
    if item.operation == "create":
        if why := asks(item, made):
            yield why, "medium"
        return
    names = [
        leaf.text
        for leaf in guards(item, "unclassified")
        if not _is_of_a_revision(item, leaf, made)
    ]
    names = list(dict.fromkeys(names))
    risk: Risk = "medium" if about.is_sensitive else "low"
    if names:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        why = ", ".join(WORDS[kind] for kind in about.kinds) if about.is_known else "is not known"
        says = f"nobody here knows what a change of {', '.join(names[:SHOWN])}{more} does"
        yield f"{says}, and {short(item.type)} {why or 'is known to hold nothing'}", risk
    elif _shows_nothing(item):
        yield "the engine updates it and shows no input that differs", risk


def _is_of_a_revision(item: Change, leaf: Leaf, made: Collection[str]) -> bool:
    """Whether it names the next revision of what it named before, which is judged by itself."""
    if leaf.new is not LATER or len(leaf.path) > 1 or item.old is None or item.new is None:
        return False
    before, after = (side.dependencies.get(leaf.path[0], ()) for side in (item.old, item.new))
    revised = (urn in made and is_revised(urn.split("::")[2].rpartition("$")[2]) for urn in after)
    return bool(after) and set(before) == set(after) and all(revised)


def _shows_nothing(item: Change) -> bool:
    """An update without a difference, in inputs or options: what it does, nobody is told."""
    if item.operation == "replace":
        return not item.differences and not item.retags
    if item.operation != "update" or item.differences or item.retags:
        return False
    options = lifted(item.old, item.new) if item.old and item.new else []
    return not options and bool(item.unshown or not item.properties)


def _reason(item: Change, what: str, risk: Risk) -> Reason:
    return Reason(
        rule=UNKNOWN,
        risk=risk,
        message=f"{item.name}: {what}",
        fix="read the property diff: what is not known to be harmless takes a person",
        urn=item.urn,
        source=item.source,
    )
