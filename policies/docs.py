"""The table of rules for the README, made from the rules themselves."""

from collections.abc import Sequence

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
