"""`plinth policy ENV --thresholds`: what the rules and the review of an environment go by."""

from __future__ import annotations

import ast
import inspect
import itertools
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from stacks.commands.deploy import policy_config
from stacks.commands.output import CommandOutput
from stacks.settings.load import load

if TYPE_CHECKING:
    from policies.config import PolicyConfig


def thresholds(env: str, report: CommandOutput) -> dict[str, Any]:
    """Every threshold with its value here, its default, where it comes from and what it means."""
    from policies.config import PolicyConfig

    settings = load(env)
    here, default = policy_config(settings).to_dict(), PolicyConfig().to_dict()
    given = PolicyConfig(**asdict(settings.policies)).to_dict()

    def origin(name: str) -> str:
        if given[name] != default[name]:
            return "plinth:policies"
        return "default" if here[name] == default[name] else "other settings"

    rows = [
        {
            "name": name,
            "value": here[name],
            "default": default[name],
            "origin": origin(name),
            "meaning": meaning,
        }
        for name, meaning in meanings(PolicyConfig).items()
    ]
    if not report.as_json:
        _show(env, rows, report)
    return {"env": env, "thresholds": rows}


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


def _show(env: str, rows: list[dict[str, Any]], report: CommandOutput) -> None:
    from rich.console import Group
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(f"threshold and value in {env}", min_width=max(len(r["name"]) for r in rows))
    table.add_column("meaning")
    for row in rows:
        origin = "" if row["origin"] == "default" else f" [dim]({row['origin']})[/]"
        value = f"[bold]{escape(_told(row['value']))}[/]{origin}"
        table.add_row(Group(row["name"], Padding(value, (0, 0, 0, 2))), escape(row["meaning"]))
    report.out.print(table)


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_told(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
