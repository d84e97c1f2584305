"""`plinth review --explain`: what a review knows of a type or of one of its properties."""

from __future__ import annotations

import re
from collections.abc import Iterator

from infra.errors import UserError

TRIED = ((True, False), (False, True), (30, 1), (1, 30), ("a", None), (None, "a"))
"""Values before and after by which a property shows what its name means."""

TOKEN = re.compile(r"(AWS::\w+::\w+|[\w.-]+:[\w./-]+:\w+)(?:\.(.+))?")


def explained(asked: str) -> str:
    """Lines about a type, or about a property of it; UserError where it is no type."""
    found = TOKEN.fullmatch(asked)
    if found is None:
        raise UserError(
            f"--explain must be TYPE or TYPE.PROPERTY, got {asked!r}",
            fix="name one such as aws:dynamodb/table:Table.deletionProtectionEnabled",
        )
    token, path = found[1], found[2]
    return "\n".join(_of_property(token, path) if path else _of_type(token))


def _of_type(token: str) -> Iterator[str]:
    from policies.review.creations import of_type
    from policies.review.knowledge import WORDS, known
    from policies.review.parts.data_loss import loss_of

    about = known(token)
    yield token
    if not about.is_known and not about.harmless:
        yield "  is not known here: every change of it takes a person"
        return
    for kind, evidence in about.kinds.items():
        yield f"  {WORDS[kind]}: {evidence}"
    loss = loss_of(token)
    yield (
        f"  delete or replace: {loss.risk} risk; {loss.lost}"
        if loss
        else (f"  delete or replace: harmless, since {about.harmless}")
    )
    alone = of_type(token)
    yield "  a new one, beside what is there: " + (alone or "quiet, but for what its inputs say")
    yield "  a change that nobody classified: " + (
        "takes a person" if about.is_sensitive else "is said, and needs nobody"
    )
    if about.sets:
        yield f"  lists without an order: {', '.join(sorted(about.sets))}"
    yield f"  from: {about.source or 'a line in policies/review/knowledge.py'}"


def _of_property(token: str, path: str) -> Iterator[str]:
    from policies.review.differences import Leaf
    from policies.review.knowledge import known
    from policies.review.meaning import meaning
    from policies.review.parts.data_loss import told

    names = tuple(part for part in re.split(r"[.\[\]]+", path) if part)
    yield f"{token}.{path}"
    if told(Leaf(names, None, None), token):
        yield "  a section of its own says what a change of it means"
        return
    for old, new in TRIED:
        found = meaning(Leaf(names, old, new), token)
        yield f"  {_told(old):>5} -> {_told(new):5}  {found.sense}: {found.why}"
    sensitive = known(token).is_sensitive
    yield "  unclear and, of this type, unclassified: " + (
        "take a person" if sensitive else "only unclear takes a person"
    )


def _told(value: object) -> str:
    return "none" if value is None else str(value).lower()
