"""What the environment costs a month, from the dated price table."""

from __future__ import annotations

from collections.abc import Iterator

from stacks.checks.check import CheckResult, Platform, passed, unknown
from stacks.sizing.prices.estimate import Estimate, estimate
from stacks.sizing.prices.table import no_prices, price_table

CHECK = "cost"
SUBJECT = "price per month"


def check(platform: Platform) -> Iterator[CheckResult]:
    """Low, expected and high; what has no price is counted, never taken for free."""
    table = price_table(platform.settings.account.region)
    made = estimate(platform.resources, table)
    if missing := no_prices(table):
        yield unknown(CHECK, SUBJECT, f"{missing}: {made.unpriced.total()} things are unpriced")
        return
    yield passed(CHECK, SUBJECT, summary(made))
    if made.run_usd:
        yield passed(
            CHECK, "price per pipeline run", f"${made.run_usd:,.2f} at most, every job to its limit"
        )
    if made.unpriced:
        names = ", ".join(f"{count} x {name}" for name, count in sorted(made.unpriced.items()))
        yield unknown(
            CHECK, "unpriced", f"{made.unpriced.total()} things have no price here: {names}"
        )


def summary(made: Estimate) -> str:
    """One sentence: three totals, their date and what they leave out."""
    return (
        f"low ${made.low_usd:,.0f}, expected ${made.expected_usd:,.0f}, high ${made.high_usd:,.0f} "
        f"(list prices known on {made.as_of}; {len(made.by_use)} kinds billed by use left out)"
    )
