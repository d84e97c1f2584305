"""What the findings of one environment say about the controls of a framework."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from policies.frameworks.control import Control, Framework
from policies.offline import RuleFinding
from policies.rule import Status

State = Literal["failed", "undecided", "passed", "exempt", "no resource"]
"""Of the findings about a control: one fails; else one is unknown; else one passes; else all that
there are were accepted for a time; else no rule met anything to judge."""

COUNTED: Mapping[Status, str] = {
    "pass": "pass",
    "fail": "fail",
    "error": "fail",
    "unknown": "unknown",
    "exempt": "exempt",
}
STATES: Mapping[str, State] = {
    "fail": "failed",
    "unknown": "undecided",
    "pass": "passed",
    "exempt": "exempt",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One control in one environment."""

    control: Control
    counts: Mapping[str, int]
    """Findings by `pass`, `fail`, `unknown` and `exempt`; those that there are none of, too."""
    told: tuple[str, ...]
    """The rules that decide the state: those that failed, or are undecided, and so on."""

    @property
    def state(self) -> State:
        """What that amounts to."""
        return next((state for key, state in STATES.items() if self.counts[key]), "no resource")


Counts = Mapping[str, Mapping[str, int]]
"""Rule -> its findings by `pass`, `fail`, `unknown` and `exempt`."""


def by_rule(findings: Iterable[RuleFinding]) -> Counts:
    """The findings, counted once for all frameworks."""
    found: dict[str, dict[str, int]] = {}
    for finding in findings:
        if key := COUNTED.get(finding.status):
            counts = found.setdefault(finding.rule_id, dict.fromkeys(STATES, 0))
            counts[key] += 1
    return found


def results(framework: Framework, counts: Counts) -> list[Result]:
    """Every control that has a rule, as these findings are about it."""
    return [_result(control, counts) for control in framework.covered]


def _result(control: Control, counts: Counts) -> Result:
    found = {name: counts[name] for name in control.rules if name in counts}
    total = {key: sum(each[key] for each in found.values()) for key in STATES}
    decisive = next((key for key in STATES if total[key]), None)
    told = [name for name, each in found.items() if decisive and each[decisive]]
    return Result(control=control, counts=total, told=tuple(told))


def tally(found: Sequence[Result]) -> dict[State, int]:
    """How many controls are in each state."""
    counted = Counter(result.state for result in found)
    return {state: counted[state] for state in (*STATES.values(), "no resource")}
