"""The tables of rules and frameworks in policies/README.md, made from the rules themselves."""

from collections.abc import Sequence

from policies.frameworks.control import Framework
from policies.frameworks.controls import frameworks
from policies.rule import Rule
from policies.rules import RULES

HEADER = "| Id | Asserts | Looks at | Severity | Mandatory |\n|---|---|---|---|---|"


def table(rules: Sequence[Rule] = RULES) -> str:
    """All rules as a Markdown table, sorted by id."""
    return "\n".join([HEADER, *map(_row, rules)])


def _row(rule: Rule) -> str:
    types = [token.rpartition(":")[2] for token in rule.applies_to]
    seen = ", ".join(types) if len(types) <= 3 else f"{len(types)} types"
    what = f"[{rule.description.rstrip('.')}]({rule.url})"
    return f"| {rule.id} | {what} | {rule.kind}: {seen} | {rule.severity} | {rule.mandatory} |"


FRAMEWORKS = (
    "| Framework | Version | Listed | Controls with a rule | Mapping |\n|---|---|---|---|---|"
)


def framework_table() -> str:
    """All frameworks as a Markdown table, with the number of controls that no rule decides."""
    return "\n".join([FRAMEWORKS, *map(_framework_row, frameworks().values())])


def _framework_row(framework: Framework) -> str:
    covered = framework.covered
    automated = sum(control.decided == "automated" for control in covered)
    judged = sum(control.judgement for control in covered)
    parts = f"{automated} automated, {len(covered) - automated} in part"
    share = f"{len(covered)} of {len(framework.controls)}: {parts}"
    mapping = "published" if not judged else f"our judgement in {judged} of them"
    if framework.judgement:
        mapping = "our judgement"
    title = f"[{framework.title}]({framework.source}) `{framework.id}`"
    return f"| {title} | {framework.version} | {framework.scope} | {share} | {mapping} |"
