"""What a verdict takes into account beside the change: acknowledgements, drift, rules, versions."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from policies.data import Data, Options, Resource
from policies.exemptions import Exemption
from policies.review.model import Change, StackChange
from policies.review.parts import loss
from policies.review.render import html, markdown
from policies.review.report import Context, Report, review
from policies.rule import PolicyConfig
from tests.review_kit import SCENARIOS, TODAY, changed, reviewed

BUCKET = "aws:s3/bucket:Bucket"


def resource(name: str, *, protect: bool = False) -> Resource:
    urn = f"urn:pulumi:prod::plinth::{BUCKET}::{name}"
    empty = Data({})
    options = Options(protect=protect)
    return Resource(type=BUCKET, name=name, urn=urn, inputs=empty, outputs=empty, options=options)


def unprotected(name: str) -> Change:
    old, new = resource(name, protect=True), resource(name)
    return Change(operation="update", urn=old.urn, type=BUCKET, name=name, old=old, new=new)


def deleted(name: str) -> Change:
    old = resource(name)
    return Change(operation="delete", urn=old.urn, type=BUCKET, name=name, old=old)


def judged(*changes: Change, exemptions: tuple[Exemption, ...] = ()) -> Report:
    change = StackChange(env="prod", origin="preview digest", changes=changes)
    context = Context(config=PolicyConfig(production=True), today=TODAY, exemptions=exemptions)
    return review(change, context, (loss.part,))


def test_the_same_reason_for_many_resources_is_one_line_with_their_names() -> None:
    names = [f"bucket-{letter}" for letter in "abcdefghijkl"]
    report = judged(*map(unprotected, names))
    [point] = report.points
    assert len(report.reasons) == 12
    assert point.message == (
        "bucket-a is guarded less: protect; the same for " + ", ".join(names[1:])
    )
    for text in (markdown.render(report), html.render(report)):
        assert text.count("is guarded less") == 1 + 12  # and a row of the table each


def test_reasons_that_differ_stay_apart() -> None:
    report = judged(unprotected("a"), deleted("b"))
    assert [point.rule for point in report.points] == ["RV-001", "RV-002"]


def entry(urn: str, expires: date = date(2026, 2, 1)) -> Exemption:
    return Exemption(rule="RV-001", urn=urn, reason="moved", owner="ml-platform", expires=expires)


def test_a_loss_that_somebody_answers_for_blocks_no_longer_and_stays_in_sight() -> None:
    urn = deleted("data").urn
    report = judged(deleted("data"), exemptions=(entry(urn),))
    assert (report.decision, report.risk) == ("needs review", "critical")
    assert "acknowledged: moved (ml-platform, until 2026-02-01)" in report.reasons[0].message


@pytest.mark.parametrize(
    "exemption", [entry("*"), entry(deleted("data").urn, date(2026, 1, 14))], ids=["*", "expired"]
)
def test_a_pattern_or_an_old_entry_acknowledges_no_loss(exemption: Exemption) -> None:
    assert judged(deleted("data"), exemptions=(exemption,)).decision == "blocked"


def test_an_acknowledgement_is_not_called_unneeded_by_the_rules_about_resources() -> None:
    scenario = SCENARIOS["feature-group-replacement"]
    change = changed(scenario)
    urn = next(item.urn for item in change.of("replace"))
    report = reviewed(replace(scenario, exemptions=(entry(urn),)), change)
    assert not any("is not needed" in reason.message for reason in report.reasons)
    assert report.decision == "needs review"
