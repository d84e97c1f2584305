"""The cost of a change in the words of Infracost's JSON."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from infra.errors import UserError
from policies.data import UNKNOWN, Data
from policies.review.model import Change
from stacks.commands.review import rendered
from stacks.sizing.infracost import block
from stacks.sizing.prices.estimate import Estimate, Line
from tests.kits.review import SCENARIOS, STACK, changed, reviewed


def made(*lines: tuple[str, str, float], **unpriced: int) -> Estimate:
    found = [Line(name=n, what=w, low_usd=0, expected_usd=usd, high_usd=999) for n, w, usd in lines]
    return Estimate(lines=found, unpriced=Counter(unpriced), by_use={"Bucket": "by use"})


@pytest.fixture
def told() -> dict[str, Any]:
    before = made(("gpu", "g6", 73.0), ("nat", "hours", 32.85))
    after = made(("gpu", "g6", 146.0), ("nat", "hours", 32.85), ("db", "hours", 7.3), Thing=2)
    return block("prod", before, after, 730)


def test_totals_are_those_of_before_afterwards_and_between(told: dict[str, Any]) -> None:
    assert (told["pastTotalMonthlyCost"], told["totalMonthlyCost"]) == ("105.85", "186.15")
    assert (told["diffTotalMonthlyCost"], told["diffTotalHourlyCost"]) == ("80.3", "0.11")


def test_a_difference_lists_what_changes_alone(told: dict[str, Any]) -> None:
    [project] = told["projects"]
    costs = {item["name"]: item["monthlyCost"] for item in project["diff"]["resources"]}
    assert costs == {"db": "7.3", "gpu": "73"}
    assert {item["name"] for item in project["pastBreakdown"]["resources"]} == {"gpu", "nat"}


def test_what_has_no_price_is_counted(told: dict[str, Any]) -> None:
    assert told["summary"] == {
        "totalDetectedResources": 6,
        "totalSupportedResources": 3,
        "totalUnsupportedResources": 2,
        "totalUsageBasedResources": 1,
        "totalNoPriceResources": 0,
        "unsupportedResourceCounts": {"Thing": 2},
    }


def test_the_command_tells_the_same_total_as_the_report() -> None:
    change = changed(SCENARIOS["gpu-growth"])
    report = reviewed(SCENARIOS["gpu-growth"], change)
    section = report.section("cost")
    assert section
    found = json.loads(rendered(report, change, STACK, "infracost"))
    assert [project["name"] for project in found["projects"]] == ["plinth/prod.flight_delay"]
    total = float(found["totalMonthlyCost"])
    assert total == pytest.approx(section.data["after"]["expected"], abs=0.01)
    assert found["diffTotalMonthlyCost"] == "0"


def test_a_cost_that_only_the_update_knows_is_refused() -> None:
    change = changed(SCENARIOS["gpu-growth"])
    report = reviewed(SCENARIOS["gpu-growth"], change)
    later = [with_unknown_size(item) for item in change.changes]
    with pytest.raises(UserError, match="known only during the update: scalingConfig"):
        rendered(report, replace(change, changes=later), STACK, "infracost")


def with_unknown_size(item: Change) -> Change:
    if item.new is None or "nodeGroup" not in item.type:
        return item
    inputs = {**item.new.inputs.value, "scalingConfig": UNKNOWN}
    return replace(item, new=replace(item.new, inputs=Data(inputs)))
