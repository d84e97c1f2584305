"""A stack's cost in the words of Infracost's JSON, for tools that read that.

The expected figures alone: Infracost knows no low and high. A line here is one cost component.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from stacks.sizing.prices.estimate import Estimate, Line

VERSION = "0.2"
"""Of Infracost's output schema."""


def block(project: str, before: Estimate, after: Estimate, hours_per_month: int) -> dict[str, Any]:
    """What `infracost diff --format json` would print, if it knew Pulumi and SageMaker."""
    past, now = (_costs(made.lines) for made in (before, after))
    added = {key: now.get(key, 0.0) - past.get(key, 0.0) for key in {*past, *now}}
    changed = {key: usd for key, usd in added.items() if round(usd, 4)}
    breakdowns = {
        "pastBreakdown": _breakdown(past, hours_per_month),
        "breakdown": _breakdown(now, hours_per_month),
        "diff": _breakdown(changed, hours_per_month),
    }
    names = {"past": "pastBreakdown", "": "breakdown", "diff": "diff"}
    totals = {
        f"{prefix}{'T' if prefix else 't'}otal{period}Cost": breakdowns[name][f"total{period}Cost"]
        for prefix, name in names.items()
        for period in ("Hourly", "Monthly")
    }
    summary = _summary(after)
    project_of = {"name": project, "metadata": {}, **breakdowns, "summary": summary}
    return {
        "version": VERSION,
        "currency": "USD",
        "projects": [project_of],
        **totals,
        "summary": summary,
    }


Costs = Mapping[tuple[str, str], float]
"""Name and component -> US dollars a month."""


def _costs(lines: Sequence[Line]) -> Costs:
    found: dict[tuple[str, str], float] = defaultdict(float)
    for line in lines:
        found[line.name, line.what] += line.expected_usd
    return found


def _breakdown(costs: Costs, hours_per_month: int) -> dict[str, Any]:
    resources = [
        {
            "name": name,
            "metadata": {},
            "hourlyCost": _text(sum(of.values()) / hours_per_month),
            "monthlyCost": _text(sum(of.values())),
            "costComponents": [_component(what, usd) for what, usd in sorted(of.items())],
        }
        for name in sorted({name for name, _ in costs})
        if (of := {what: usd for (owner, what), usd in costs.items() if owner == name})
    ]
    total = sum(costs.values())
    return {
        "resources": resources,
        "totalHourlyCost": _text(total / hours_per_month),
        "totalMonthlyCost": _text(total),
    }


def _component(what: str, usd: float) -> dict[str, Any]:
    return {
        "name": what,
        "unit": "months",
        "monthlyQuantity": "1",
        "price": _text(usd),
        "monthlyCost": _text(usd),
        "usageBased": False,
        "priceNotFound": False,
    }


def _summary(made: Estimate) -> dict[str, Any]:
    priced = len({line.name for line in made.lines})
    return {
        "totalDetectedResources": priced + made.unpriced.total() + len(made.by_use),
        "totalSupportedResources": priced,
        "totalUnsupportedResources": made.unpriced.total(),
        "totalUsageBasedResources": len(made.by_use),
        "totalNoPriceResources": 0,
        "unsupportedResourceCounts": dict(sorted(made.unpriced.items())),
    }


def _text(usd: float) -> str:
    return f"{round(usd, 4) + 0:.4f}".rstrip("0").rstrip(".")
