"""What the findings of one environment say about the controls of a framework."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from policies.frameworks import Control, Framework
from policies.offline import Finding
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


def results(framework: Framework, findings: Sequence[Finding]) -> list[Result]:
    """Every control that has a rule, as these findings are about it."""
    by_rule: dict[str, Counter[str]] = {}
    for finding in findings:
        if finding.status in COUNTED:
            by_rule.setdefault(finding.rule_id, Counter())[COUNTED[finding.status]] += 1
    return [_result(control, by_rule) for control in framework.covered]


def _result(control: Control, by_rule: Mapping[str, Counter[str]]) -> Result:
    found = {name: by_rule[name] for name in control.rules if name in by_rule}
    total = sum(found.values(), Counter[str]())
    decisive = next((key for key in STATES if total[key]), None)
    return Result(
        control=control,
        counts={key: total[key] for key in STATES},
        told=tuple(name for name, counts in found.items() if decisive and counts[decisive]),
    )


def tally(found: Sequence[Result]) -> dict[State, int]:
    """How many controls are in each state."""
    counted = Counter(result.state for result in found)
    return {state: counted[state] for state in (*STATES.values(), "no resource")}
