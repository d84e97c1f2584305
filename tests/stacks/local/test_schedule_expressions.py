"""When AWS's schedule expressions come due."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stacks.local.aws.schedule_expressions import (
    Due,
    NoExpression,
    Timed,
    cron,
    first,
    is_due,
    later,
)

# 2026-11-29 is a Sunday
NOW = datetime(2026, 11, 29, 21, 30, 30)

NEXT = {
    "cron(0 10 * * ? *)": "2026-11-30 10:00",
    "cron(15 12 * * ? *)": "2026-11-30 12:15",
    "cron(0 18 ? * MON-FRI *)": "2026-11-30 18:00",
    "cron(0 8 1 * ? *)": "2026-12-01 08:00",
    "cron(0/15 * * * ? *)": "2026-11-29 21:45",
    "cron(0/10 * ? * MON-FRI *)": "2026-11-30 00:00",
    "cron(0/5 8-17 ? * MON-FRI *)": "2026-11-30 08:00",
    "cron(30 21 * * ? *)": "2026-11-30 21:30",
    "cron(0 0 L * ? *)": "2026-11-30 00:00",
    "cron(0 0 L 2 ? 2028)": "2028-02-29 00:00",
    "cron(0 0 29 2 ? *)": "2028-02-29 00:00",
    "cron(0 9 3W * ? *)": "2026-12-03 09:00",
    "cron(0 9 5W 12 ? 2026)": "2026-12-04 09:00",
    "cron(0 9 1W 8 ? 2027)": "2027-08-02 09:00",
    "cron(0 9 LW 1 ? 2027)": "2027-01-29 09:00",
    "cron(0 9 ? * 3#2 *)": "2026-12-08 09:00",
    "cron(0 9 ? * FRI#1 *)": "2026-12-04 09:00",
    "cron(0 9 ? * 6L *)": "2026-12-25 09:00",
    "cron(0 9 ? * L *)": "2026-12-05 09:00",
    "cron(0 9 ? * 1 *)": "2026-12-06 09:00",
    "cron(0 9 ? * SAT-SUN *)": "2026-12-05 09:00",
    "cron(0 9 1,15 JAN,JUL ? *)": "2027-01-01 09:00",
    "cron(59 23 31 12 ? 2030-2032)": "2030-12-31 23:59",
    "cron(0 0 1 1 ? 2020)": None,
    "cron(0 0 31 2 ? *)": None,
}


@pytest.mark.parametrize("expression", NEXT)
def test_a_cron_comes_due_next(expression: str) -> None:
    found = cron(expression).next(NOW)
    assert (f"{found:%Y-%m-%d %H:%M}" if found else None) == NEXT[expression]


@pytest.mark.parametrize(
    "expression",
    [
        "cron(0 10 * * * *)",
        "cron(0 10 ? * ? *)",
        "cron(60 10 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 10 0 * ? *)",
        "cron(0 10 ? * 8 *)",
        "cron(0 10 ? * MOO *)",
        "cron(0 10 * 13 ? *)",
        "cron(0/0 10 * * ? *)",
        "cron(0 10 * * ?)",
        "every day",
        "rate(0 minutes)",
        "at(tomorrow)",
    ],
)
def test_what_is_no_expression_is_told(expression: str) -> None:
    with pytest.raises(NoExpression):
        first(expression, "UTC", NOW.timestamp())


def test_a_zone_has_its_own_noon_and_its_own_summer() -> None:
    winter = datetime(2026, 1, 15, 0, 0, tzinfo=UTC).timestamp()
    summer = datetime(2026, 7, 15, 0, 0, tzinfo=UTC).timestamp()
    noon = "cron(0 12 * * ? *)"
    assert [
        datetime.fromtimestamp(first(noon, "Europe/Berlin", moment) or 0, UTC).hour
        for moment in (winter, summer)
    ] == [11, 10]


def test_at_comes_due_once_and_a_rate_again() -> None:
    due, now = Due(), 1_000_000.0
    once = Timed(key=("once", ""), expression="at(1970-01-12T13:46:50)")
    often = Timed(key=("often", ""), expression="rate(5 minutes)")
    assert [is_due(due, once, now + s) for s in (0, 9, 10, 11, 600)] == [0, 0, 1, 0, 0]
    assert [is_due(due, often, now + s) for s in (0, 299, 300, 301, 600)] == [0, 0, 1, 0, 1]
    assert later("at(1970-01-12T13:46:50)", "UTC", now) is None


def test_nothing_comes_due_before_its_start_or_after_its_end() -> None:
    due, now = Due(), 1_000_000.0
    timed = Timed(key=("a", ""), expression="rate(1 minute)", start=now + 600, end=now + 700)
    seen = [s for s in range(0, 1000, 10) if is_due(due, timed, now + s)]
    assert seen == [660]


def test_a_changed_expression_is_another_one() -> None:
    due = Due()
    before = Timed(key=("a", "1"), expression="rate(1 hour)")
    assert not is_due(due, before, 0.0)
    assert not is_due(due, Timed(key=("a", "2"), expression="rate(1 minute)"), 10.0)
    assert is_due(due, Timed(key=("a", "2"), expression="rate(1 minute)"), 70.0)
