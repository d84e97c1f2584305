"""What a stack, and its environment, cost a month, from the dated price table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stacks.checks.check import CheckResult, Platform, passed, unknown
from stacks.sizing.prices.estimate import Estimate, estimate
from stacks.sizing.prices.table import no_prices, price_table

CHECK = "cost"
SUBJECT = "price per month"
ENDPOINT = "interface endpoint"


def check(platform: Platform) -> Iterator[CheckResult]:
    """Low, expected and high; what has no price is counted, never taken for free."""
    table = price_table(platform.settings.environment.account.region)
    made = estimate(platform.resources, table)
    if missing := no_prices(table):
        yield unknown(CHECK, SUBJECT, f"{missing}: {made.unpriced.total()} things are unpriced")
        return
    yield passed(CHECK, SUBJECT, summary([made]))
    doors = [line for line in made.lines if ENDPOINT in line.what]
    if doors:
        yield passed(
            CHECK,
            "interface endpoints",
            f"${sum(line.expected_usd for line in doors):,.0f} of it a month, for {len(doors)} "
            "services in every zone (plinth:network.interface_endpoints)",
        )
    if made.run_usd:
        yield passed(
            CHECK, "price per pipeline run", f"${made.run_usd:,.2f} at most, every job to its limit"
        )
    if made.unpriced:
        names = ", ".join(f"{count} x {name}" for name, count in sorted(made.unpriced.items()))
        yield unknown(
            CHECK, "unpriced", f"{made.unpriced.total()} things have no price here: {names}"
        )


def check_environment(platform: Platform) -> Iterator[CheckResult]:
    """The same of all stacks of the environment together; a stack that stands alone says it all."""
    table = price_table(platform.settings.environment.account.region)
    if len(platform.by_stack) == 1 or no_prices(table):
        return
    made = [estimate(resources, table) for resources in platform.by_stack.values()]
    unpriced = sum(each.unpriced.total() for each in made)
    left_out = f"; {unpriced} things have no price here" if unpriced else ""
    yield passed(CHECK, f"{SUBJECT}, {len(made)} stacks", f"{summary(made)}{left_out}")


def summary(made: Sequence[Estimate]) -> str:
    """One sentence: three totals, their date and what they leave out."""
    low = sum(each.low_usd for each in made)
    expected = sum(each.expected_usd for each in made)
    high = sum(each.high_usd for each in made)
    dates = [each.as_of for each in made if each.as_of]
    known = f"list prices known on {min(dates)}; " if dates else ""
    by_use = {kind for each in made for kind in each.by_use}
    return (
        f"low ${low:,.0f}, expected ${expected:,.0f}, high ${high:,.0f} "
        f"({known}{len(by_use)} kinds billed by use left out)"
    )
