"""The crosswalk, joined with the rules: the text of each framework's JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policies.frameworks.controls import HERE, Decided
from policies.review.deltas import Delta
from policies.rule import Rule

FILE = HERE / "crosswalk.yaml"


def files(rules: Sequence[Rule], deltas: Sequence[Delta]) -> dict[str, str]:
    """File name -> its text, made anew."""
    from ruamel.yaml import YAML

    crosswalk: dict[str, Any] = YAML(typ="safe").load(FILE.read_text())
    return {
        f"{name}.json": json.dumps(_framework(order, name, raw, rules, deltas), indent=1) + "\n"
        for order, (name, raw) in enumerate(crosswalk.items())
    }


def _framework(
    order: int, name: str, raw: Mapping[str, Any], rules: Sequence[Rule], deltas: Sequence[Delta]
) -> dict[str, Any]:
    controls = [*_covered(raw, rules, deltas), *_beyond(raw)]
    ids = [control["id"] for control in controls]
    if twice := sorted({each for each in ids if ids.count(each) > 1}):
        raise ValueError(f"{name} must list a control once, lists {', '.join(twice)} twice")
    if len(ids) != raw.get("total", len(ids)):
        raise ValueError(f"{name} must list all {raw['total']} controls, lists {len(ids)}")
    return {
        "order": order,
        "id": name,
        **{key: raw[key] for key in ("title", "version", "source", "scope")},
        "controls": controls,
    }


def _covered(
    raw: Mapping[str, Any], rules: Sequence[Rule], deltas: Sequence[Delta]
) -> Iterator[dict[str, Any]]:
    known = {rule.id for rule in rules}
    for control, about in raw["controls"].items():
        found = _about(control, about, [*rules, *deltas])
        judging = [name for name in found if name in known]
        if not judging:
            words = ", ".join(about["themes"])
            raise ValueError(f"{control} must have a rule of {words}, or stand in `beyond`")
        leaves = about.get("leaves", "")
        yield _control(
            control,
            about["asks"],
            "partial" if leaves else "automated",
            leaves,
            judgement=_judged(about["themes"], raw["judgement"]),
            rules=judging,
            deltas=[name for name in found if name not in known],
        )


def _about(control: str, about: Mapping[str, Any], rules: Sequence[Rule | Delta]) -> list[str]:
    """The rules with all letters of one of the words, of those that `only` names."""
    themed = [
        rule.id for rule in rules if any(set(word) <= set(rule.themes) for word in about["themes"])
    ]
    only = about.get("only", themed)
    if stray := sorted(set(only) - set(themed)):
        words = ", ".join(about["themes"])
        raise ValueError(f"{control}: {', '.join(stray)} must be rules of {words}")
    return [name for name in themed if name in only]


def _judged(words: Sequence[str], judgement: str) -> bool:
    """Whether nobody publishes that a rule of any of these themes is about the control."""
    letters = {"none": "", "all": "".join(words)}.get(judgement, judgement)
    return all(set(word) & set(letters) for word in words)


def _beyond(raw: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for group in raw["beyond"]:
        for control in group["controls"]:
            yield _control(control, group["asks"], "none", group["why"])


def _control(
    control: str,
    asks: str,
    decided: Decided,
    leaves: str,
    *,
    judgement: bool = False,
    rules: Sequence[str] = (),
    deltas: Sequence[str] = (),
) -> dict[str, Any]:
    return {
        "id": control,
        "asks": asks,
        "decided": decided,
        "leaves": leaves,
        "judgement": judgement,
        "rules": list(rules),
        "deltas": list(deltas),
    }
