"""Changes rebuilt after public reports, each with what its review must and must not say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from policies.review.render import data, html, markdown, sarif
from policies.review.render.graph import graph
from policies.review.report import RISKS
from stacks.review.change import read_digest
from stacks.review.report import report_of
from stacks.settings.load import load
from stacks.stack_name import StackName

FOLDER = Path(__file__).parents[1] / "data" / "reviews"
CASES = sorted(path.name.removesuffix(".expect.json") for path in FOLDER.glob("*.expect.json"))
STACK = StackName("prod", "foundation")


def test_there_are_cases() -> None:
    assert len(CASES) >= 6


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_judged_as_its_report_asks(name: str) -> None:
    wanted: dict[str, Any] = json.loads((FOLDER / f"{name}.expect.json").read_text())
    change = read_digest(str(STACK), FOLDER / f"{name}.json")
    report = report_of(change, load(STACK), "no-base", None)  # whatever is edited here just now
    texts = [
        data.render(report),
        sarif.render(report),
        *(form.render(report, graph(change.quiet())) for form in (markdown, html)),
    ]
    reasons = " | ".join(reason.message for reason in report.reasons)
    assert report.decision in wanted.get("decision", [report.decision])
    assert report.decision not in wanted.get("decision_not", [])
    for pattern in wanted.get("contains", []):
        assert re.search(pattern, texts[0], re.I), pattern
    for pattern in wanted.get("reason_contains", []):
        assert re.search(pattern, reasons, re.I), pattern
    for text in texts:
        for absent in wanted.get("absent", []):
            assert absent not in text
    assert not {reason.rule for reason in report.reasons} & set(wanted.get("no_rule", []))
    for rule, risk in wanted.get("reason_risk", {}).items():
        found = [reason.risk for reason in report.reasons if reason.rule == rule]
        assert found and RISKS.index(max(found, key=RISKS.index)) >= RISKS.index(risk)
    for operation, count in wanted.get("tally", {}).items():
        assert report.tally[operation] == count
