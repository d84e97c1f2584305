"""The crosswalk that people write, joined with the rules."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from policies.frameworks.control import Control, Framework
from policies.review.deltas import Delta
from policies.rule import Rule
from policies.theme import PUBLISHED, Theme

FILE = Path(__file__).with_suffix(".toml")
AND = " + "
"""Between the themes of which a rule must have all."""

OURS: Mapping[str, Theme] = {"all": ~Theme(0), "unpublished": ~PUBLISHED, "none": Theme(0)}
"""The word of a framework's `judgement` -> the themes that are mapped by our own reading."""


def written() -> dict[str, Any]:
    """What people wrote, by framework."""
    return tomllib.loads(FILE.read_text())


def joined(
    crosswalk: Mapping[str, Any], rules: Sequence[Rule], deltas: Sequence[Delta]
) -> dict[str, Framework]:
    """Every framework by its id, in the order of the crosswalk."""
    return {name: _framework(name, raw, rules, deltas) for name, raw in crosswalk.items()}


def _framework(
    name: str, raw: Mapping[str, Any], rules: Sequence[Rule], deltas: Sequence[Delta]
) -> Framework:
    controls = (*_covered(raw, rules, deltas), *_beyond(raw))
    ids = [control.id for control in controls]
    if twice := sorted({each for each in ids if ids.count(each) > 1}):
        raise ValueError(f"{name} must list a control once, lists {', '.join(twice)} twice")
    if len(ids) != raw.get("total", len(ids)):
        raise ValueError(f"{name} must list all {raw['total']} controls, lists {len(ids)}")
    return Framework(
        id=name,
        title=raw["title"],
        version=raw["version"],
        source=raw["source"],
        scope=raw["scope"],
        controls=controls,
    )


def _covered(
    raw: Mapping[str, Any], rules: Sequence[Rule], deltas: Sequence[Delta]
) -> Iterator[Control]:
    known = {rule.id for rule in rules}
    ours = OURS[raw["judgement"]]
    for control, about in raw["controls"].items():
        asked = [Theme.named(word.split(AND)) for word in about["themes"]]
        found = _about(control, about, asked, [*rules, *deltas])
        judging = tuple(name for name in found if name in known)
        if not judging:
            words = ", ".join(about["themes"])
            raise ValueError(f"{control} must have a rule of {words}, or stand in `beyond`")
        leaves = about.get("leaves", "")
        yield Control(
            id=control,
            asks=about["asks"],
            decided="partial" if leaves else "automated",
            leaves=leaves,
            judgement=all(themes & ours for themes in asked),
            rules=judging,
            deltas=tuple(name for name in found if name not in known),
        )


def _about(
    control: str, about: Mapping[str, Any], asked: Sequence[Theme], rules: Sequence[Rule | Delta]
) -> list[str]:
    """The rules that have all themes of one of those asked, of the rules that `only` names."""
    themed = [rule.id for rule in rules if any(themes in rule.themes for themes in asked)]
    only = about.get("only", themed)
    if stray := sorted(set(only) - set(themed)):
        words = ", ".join(about["themes"])
        raise ValueError(f"{control}: {', '.join(stray)} must be rules of {words}")
    return [name for name in themed if name in only]


def _beyond(raw: Mapping[str, Any]) -> Iterator[Control]:
    for group in raw["beyond"]:
        for control in group["controls"]:
            yield Control(
                id=control,
                asks=group["asks"],
                decided="none",
                leaves=group["why"],
                judgement=False,
                rules=(),
                deltas=(),
            )
