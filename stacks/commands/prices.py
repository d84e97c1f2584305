"""`plinth prices`: the list prices that estimates are made of, how old they are, what they lack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

from infra.errors import CheckFailed, UserError
from stacks.commands.output import CommandOutput

if TYPE_CHECKING:
    from stacks.sizing.prices.check import Lacking, Stale

KINDS = {"region": "regions", "resource type": "resource types", "instance type": "instance types"}


def listed(region: str | None, service: str | None, report: CommandOutput) -> dict[str, Any]:
    """Every figure with its unit, date and source."""
    from stacks.sizing.prices.table import no_prices, price_table, regions

    figures = []
    for name in [region] if region else regions():
        table = price_table(name)
        if missing := no_prices(table):
            raise UserError(missing, fix=f"write stacks/sizing/prices/tables/{name}.yaml")
        for (group, figure), price in table.prices.items():
            if service in (None, group):
                figures.append({"region": name, "service": group, "figure": figure, **vars(price)})
    if not figures:
        raise UserError(
            f"--service must be one of {', '.join(sorted({g for g, _ in table.prices}))}, "
            f"got {service}"
        )
    for at in figures:
        report.say(
            f"{at['region']}  {at['service']:<12} {at['figure']:<28} ${at['usd']:<10g} "
            f"{at['as_of']}  {at['unit']}  {at['source']}"
        )
    return {"figures": figures}


def check(
    report: CommandOutput,
    *,
    max_age_days: int,
    region: str | None = None,
    today: date | None = None,
) -> dict[str, Any]:
    """Fail where figures are old, or something that an environment may use has none."""
    from stacks.local.provider.aws.table import ROWS
    from stacks.settings.load import load
    from stacks.sizing.prices.check import Lacking, lacking, stale
    from stacks.sizing.prices.table import price_table, regions
    from stacks.stack_name import environments, stacks_of

    day = today or date.today()
    tables = [price_table(name) for name in regions() if region in (None, name)]
    settings = [load(stack) for env in environments() for stack in stacks_of(env)]
    used = [item for item in settings if region in (None, item.environment.account.region)]
    old = [found for table in tables for found in stale(table, day, max_age_days)]
    bare = lacking(used, ROWS)
    if region and not tables and not used:
        bare.append(Lacking(kind="region", name=region, used_by=()))
    result = {
        "ok": not old and not bare,
        "today": day.isoformat(),
        "max_age_days": max_age_days,
        "figures": {table.region: len(table.prices) for table in tables},
        "stale": [asdict(found) for found in old],
        "lacking": [asdict(found) for found in bare],
    }
    for table in tables:
        oldest = min(price.as_of for price in table.prices.values())
        report.say(f"{table.region}: {len(table.prices)} figures, the oldest of {oldest}")
    _show(old, bare, max_age_days, report)
    if not result["ok"]:
        count = sum(found.figures for found in old)
        raise CheckFailed(
            f"prices must be at most {max_age_days} days old and cover what environments may use, "
            f"got {count} that are older and {len(bare)} that are missing",
            fix="open the sources, then write figures and dates into stacks/sizing/prices/tables/",
            data=result,
        )
    return result


def _show(old: Sequence[Stale], bare: Sequence[Lacking], limit: int, report: CommandOutput) -> None:
    for at in old:
        report.say(
            f"stale    {at.region} {at.group}: {at.figures} figures of {at.as_of}, "
            f"{at.age_days} days old, at most {limit}: {at.source}"
        )
    for kind, title in KINDS.items():
        for item in bare:
            if item.kind == kind:
                envs = f" ({', '.join(item.used_by)})" if item.used_by else ""
                report.say(f"lacking  {title}: {item.name}{envs}")
