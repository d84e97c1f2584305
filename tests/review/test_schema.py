"""The JSON report is what its schema says, in every scenario and with every part of a review."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from policies.review.render import data
from tests.kits.review import SCENARIOS, reviewed
from tests.review.test_deltas import RAISED

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "policies" / "review" / "report.schema.json").read_text())
VALID = Draft202012Validator(SCHEMA)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_report_is_what_the_schema_says(name: str) -> None:
    VALID.validate(json.loads(data.render(reviewed(SCENARIOS[name]))))


@pytest.mark.parametrize("name", RAISED)
def test_a_report_about_any_rule_is_what_the_schema_says(name: str) -> None:
    VALID.validate(json.loads(data.render(RAISED[name]())))


def test_every_section_of_the_schema_is_one_that_a_report_has() -> None:
    reports = [reviewed(scenario) for scenario in SCENARIOS.values()]
    reports += [raised() for raised in RAISED.values()]
    seen = {section.id for report in reports for section in report.sections}
    described = set(SCHEMA["properties"]["sections"]["properties"])
    assert described == {name for name in seen if not name.startswith("unread-")}
    assert any(name.startswith("unread-") for name in seen)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("risk",), "huge"),
        (("extra",), 1),
        (("reasons", 0, "blocks"), "yes"),
        (("sections", "weather"), {"title": "", "notes": []}),
        (("sections", "changes", "resources", 0, "operation"), "same"),
        (("sections", "policies", "counts", "passed"), 1),
        (("approval", "approvals"), -1),
    ],
)
def test_what_is_no_report_is_refused(path: tuple[Any, ...], value: Any) -> None:
    report = copy.deepcopy(json.loads(data.render(reviewed(SCENARIOS["iam-broadening"]))))
    holder = report
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    with pytest.raises(ValidationError):
        VALID.validate(report)
