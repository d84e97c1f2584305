"""Frameworks such as NIST SP 800-53: which of their controls the rules decide, and which none does.

`crosswalk.yaml` is written by people. `python -m policies.frameworks` joins it with the themes of
the rules into one JSON file per framework, which is all that is read here: by the pack, the
review and the command line. None of it says that anybody complies with anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).parent

PRIMARY = "nist-800-53-r5"
"""The framework of CrossGuard's one field; the others are tags."""

Decided = Literal["automated", "partial", "none"]
"""Rules decide what of it is configuration; a part of that; nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """One control, criterion, article or recommendation."""

    id: str
    asks: str
    """What it wants, in our words."""
    decided: Decided
    leaves: str
    """What no rule decides of it, and whose it is. Empty where rules decide all."""
    judgement: bool
    """The mapping is our own reading: no public tool publishes it."""
    rules: tuple[str, ...]
    """Those that judge a state of a stack; their findings are its results."""
    deltas: tuple[str, ...]
    """Those that a review asks about a change."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Framework:
    """One framework in one version."""

    id: str
    title: str
    version: str
    source: str
    scope: str
    """Which of its controls are listed."""
    controls: tuple[Control, ...]

    @property
    def judgement(self) -> bool:
        """Whether all of the mapping is our own reading."""
        return all(control.judgement for control in self.covered)

    @property
    def starred(self) -> str:
        """Its id, with a star where all of the mapping is our own reading."""
        return f"{self.id}*" if self.judgement else self.id

    @property
    def covered(self) -> list[Control]:
        """Those with a rule."""
        return [control for control in self.controls if control.decided != "none"]

    @property
    def uncovered(self) -> list[Control]:
        """Those without."""
        return [control for control in self.controls if control.decided == "none"]


@cache
def frameworks() -> Mapping[str, Framework]:
    """Every framework by its id, in the order of the crosswalk."""
    found = [_framework(json.loads(path.read_text())) for path in HERE.glob("*.json")]
    return {item.id: item for _, item in sorted(found, key=lambda pair: pair[0])}


def _framework(raw: dict[str, Any]) -> tuple[int, Framework]:
    order = raw.pop("order")
    controls = [
        Control(**{**each, "rules": tuple(each["rules"]), "deltas": tuple(each["deltas"])})
        for each in raw.pop("controls")
    ]
    return order, Framework(**raw, controls=tuple(controls))


@cache
def controls_of(rule_id: str) -> Mapping[str, tuple[Control, ...]]:
    """The controls that a rule is about, by framework; a framework without such is left out."""
    found = {
        name: tuple(each for each in framework.controls if rule_id in (*each.rules, *each.deltas))
        for name, framework in frameworks().items()
    }
    return {name: controls for name, controls in found.items() if controls}
