"""The rules without an engine: resources in, findings out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from policies.config import PolicyConfig
from policies.data import Resource
from policies.exemptions import EXEMPTION, Exemption, exempt, stale
from policies.rule import Level, Rule, Scope, Severity, Status, Verdict, judge
from policies.rules import RULES


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleFinding:
    """What one rule says about one resource in one environment."""

    rule_id: str
    severity: Severity
    level: Level
    status: Status
    urn: str
    """Empty where the finding is about the stack as a whole."""
    message: str = ""
    paths: tuple[str, ...] = ()
    """For `unknown`: the properties that have to be known."""

    @property
    def blocks(self) -> bool:
        """Whether an update must stop here."""
        return self.level == "mandatory" and self.status in ("fail", "error")


def evaluate(
    resources: Sequence[Resource],
    config: PolicyConfig,
    *,
    rules: Sequence[Rule] = RULES,
    exemptions: Sequence[Exemption] = (),
    today: date | None = None,
) -> list[RuleFinding]:
    """Every rule on every resource that it applies to, by rule and then in the given order.

    A rule without any resource to look at is one `not_applicable` finding of the stack.
    """
    today = today or date.today()
    asked = Scope(config, resources, today, inputs=True)
    stack = Scope(config, resources, today, inputs=False)
    alone = Scope(config, today=today)
    used: set[Exemption] = set()
    findings = []
    for rule in rules:
        seen, scope = (stack, stack) if rule.kind == "stack" else (asked, alone)
        level = rule.level(config)
        subjects = seen.of_type(*rule.applies_to)
        excused = [entry for entry in exemptions if entry.rule == rule.id]
        for resource in subjects:
            verdict = judge(rule, resource, scope)
            if excused:
                exempted = exempt(verdict, rule.id, resource.urn, excused, today)
                verdict = exempted.verdict
                used.update([exempted.exemption] if exempted.exemption else ())
            findings.append(_finding(rule, level, resource.urn, verdict))
        if not subjects:
            findings.append(_finding(rule, level, "", NOTHING_TO_JUDGE))
    findings.extend(_about(entry, why) for entry, why in stale(exemptions, used, today))
    return findings


def unjudged(resources: Sequence[Resource]) -> Counter[str]:
    """Types of cloud resources whose provider no rule knows, such as aws-native's, and how many."""
    return Counter(
        item.type
        for item in resources
        if not item.type.startswith(("aws:", "kubernetes:", "pulumi:", "plinth:"))
    )


NOTHING_TO_JUDGE = Verdict("not_applicable", "the stack has no resource of this kind")


def _finding(rule: Rule, level: Level, urn: str, verdict: Verdict) -> RuleFinding:
    return RuleFinding(
        rule_id=rule.id,
        severity=rule.severity,
        level=level,
        status=verdict.status,
        urn=urn,
        message=verdict.message,
        paths=verdict.paths,
    )


def _about(entry: Exemption, why: str) -> RuleFinding:
    return RuleFinding(
        rule_id=EXEMPTION,
        severity="medium",
        level="advisory",
        status="fail",
        urn=entry.urn,
        message=why,
    )
