"""`plinth policy ENV --thresholds`: what the rules and the review of an environment go by."""

from __future__ import annotations

import ast
import inspect
import itertools
from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from stacks.commands.deploy import policy_config
from stacks.report import Report
from stacks.settings import load

if TYPE_CHECKING:
    from policies.config import PolicyConfig


def thresholds(env: str, report: Report) -> dict[str, Any]:
    """Every threshold with its value here, its default, where it comes from and what it means."""
    from policies.config import PolicyConfig

    here, default = policy_config(load(env)).to_dict(), PolicyConfig().to_dict()
    origins = _origins(PolicyConfig)
    rows = [
        {
            "name": name,
            "value": here[name],
            "default": default[name],
            "origin": "default" if here[name] == default[name] else origins[name],
            "meaning": meaning,
        }
        for name, meaning in meanings(PolicyConfig).items()
    ]
    if not report.as_json:
        _show(env, rows, report)
    return {"env": env, "thresholds": rows}


def _origins(config: type[PolicyConfig]) -> dict[str, str]:
    """Where a value that is not the default was written."""
    from policies.config import Thresholds

    settable = {field.name for field in fields(Thresholds)}
    return {
        field.name: "plinth:policies" if field.name in settable else "other settings"
        for field in fields(config)
    }


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


def _show(env: str, rows: list[dict[str, Any]], report: Report) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.add_column("threshold", overflow="fold", max_width=24)
    table.add_column(f"in {env}", overflow="fold")
    table.add_column("meaning", overflow="fold")
    for row in rows:
        value = escape(_told(row["value"]))
        shown = f"[dim]{value}[/]" if row["origin"] == "default" else f"[bold]{value}[/]"
        table.add_row(row["name"], shown, escape(row["meaning"]))
    report.out.print(table)
    report.say("dim: the default; bold: set under plinth:policies, or follows from other settings")


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_told(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
