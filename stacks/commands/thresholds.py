"""`plinth policy ENV --thresholds`: what the rules and the review go by in an environment."""

from __future__ import annotations

import ast
import inspect
import itertools
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from stacks.commands.output import CommandOutput
from stacks.policy_config import policy_config
from stacks.settings.load import load
from stacks.stack_name import named

if TYPE_CHECKING:
    from policies.config import PolicyConfig


def thresholds(name: str, report: CommandOutput) -> dict[str, Any]:
    """Every threshold with its value here, its default, where it comes from and what it means.

    A few follow from what a workload declares: `stacks` has those whose value is another one.
    """
    from policies.config import PolicyConfig

    stacks = named(name)
    settings = {stack: load(stack) for stack in stacks}
    values = {stack: policy_config(chosen).to_dict() for stack, chosen in settings.items()}
    here, default = values[stacks[0]], PolicyConfig().to_dict()
    given = PolicyConfig(**asdict(settings[stacks[0]].environment.policies)).to_dict()

    def origin(threshold: str) -> str:
        if given[threshold] != default[threshold]:
            return "policies"
        used = (value[threshold] for value in values.values())
        return "default" if all(value == default[threshold] for value in used) else "other settings"

    rows = [
        {
            "name": threshold,
            "value": here[threshold],
            "stacks": {
                str(stack): value[threshold]
                for stack, value in values.items()
                if value[threshold] != here[threshold]
            },
            "default": default[threshold],
            "origin": origin(threshold),
            "meaning": meaning,
        }
        for threshold, meaning in meanings(PolicyConfig).items()
    ]
    if not report.as_json:
        _show(name, rows, report)
    return {"name": name, "env": stacks[0].env, "thresholds": rows}


def meanings(config: type[PolicyConfig]) -> dict[str, str]:
    """Threshold -> the text that stands below it where it is declared."""
    found: dict[str, str] = {}
    for part in reversed(config.__mro__[:-1]):
        found.update(_documented(part))
    return found


def _documented(part: type) -> Iterator[tuple[str, str]]:
    [node] = ast.parse(inspect.getsource(part)).body
    body = node.body if isinstance(node, ast.ClassDef) else []
    for field, text in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            yield ast.unparse(field.target), " ".join(ast.literal_eval(text.value).split())


def _show(name: str, rows: list[dict[str, Any]], report: CommandOutput) -> None:
    from rich.console import Group
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(f"threshold and value in {name}", min_width=max(len(r["name"]) for r in rows))
    table.add_column("meaning")
    for row in rows:
        origin = "" if row["origin"] == "default" else f" [dim]({row['origin']})[/]"
        values = [f"[bold]{escape(_told(row['value']))}[/]{origin}"]
        values += [f"{stack}: {escape(_told(value))}" for stack, value in row["stacks"].items()]
        shown = [Padding(value, (0, 0, 0, 2)) for value in values]
        table.add_row(Group(row["name"], *shown), escape(row["meaning"]))
    report.out.print(table)


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_told(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
