"""Which controls of frameworks such as NIST SP 800-53 the rules decide, and which none does.

People write `crosswalk.toml`. It is joined with the themes of the rules when somebody asks, in
hundredths of a second, so there is no generated file that could be out of date. None of it says
that anybody complies with anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from policies.frameworks import crosswalk
from policies.frameworks.control import Control, Framework
from policies.review.deltas import DELTAS
from policies.rules import RULES

PRIMARY = "nist-800-53-r5"
"""The framework of CrossGuard's one field; the others are tags."""


@cache
def frameworks() -> Mapping[str, Framework]:
    """Every framework by its id, in the order of the crosswalk."""
    return crosswalk.joined(crosswalk.written(), RULES, DELTAS)


@cache
def controls_of(rule_id: str) -> Mapping[str, tuple[Control, ...]]:
    """The controls that a rule is about, by framework; a framework without such is left out."""
    found = {
        name: tuple(each for each in framework.controls if rule_id in (*each.rules, *each.deltas))
        for name, framework in frameworks().items()
    }
    return {name: controls for name, controls in found.items() if controls}
