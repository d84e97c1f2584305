"""What a verdict takes into account beside the change: acknowledgements, drift, rules, versions."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from rich.console import Console

from policies.config import PolicyConfig
from policies.data import Data, Options, Resource
from policies.exemptions import Exemption
from policies.review.compare import compare
from policies.review.digest import read
from policies.review.drift import drift
from policies.review.model import Change, StackChange
from policies.review.pack import pack
from policies.review.parts import data_loss, exposure, preconditions, promotion
from policies.review.render import html, markdown
from policies.review.render.terminal import show_section
from policies.review.report import Context, Report, Section, review
from policies.rules import RULES
from stacks.review.cost import parts
from stacks.review.git import LOCK, judging, packs, versions
from stacks.sizing.prices.table import price_table
from tests.kits.review import PACKAGE, SCENARIOS, TODAY, changed, reviewed

GROUP = "aws:ec2/securityGroup:SecurityGroup"
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
    return review(change, context, (data_loss.part,))


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


def grounded(change: StackChange, **context: Any) -> Report:
    known = Context(config=PolicyConfig(production=True), today=TODAY, **context)
    return review(change, known, (preconditions.part,))


def stack_of(*changes: Change, **facts: Any) -> StackChange:
    return StackChange(env="prod", origin="preview digest", changes=changes, **facts)


def event(name: str, op: str, urn: str) -> str:
    return json.dumps({name: {"metadata": {"op": op, "urn": urn, "type": BUCKET}}})


def test_drift_is_what_a_refresh_came_to_and_not_that_it_looked() -> None:
    urns = [resource(name).urn for name in ("same", "other", "gone")]
    ends = ["same", "update", "delete"]
    lines = [event("resourcePreEvent", "refresh", urn) for urn in urns]
    lines += [event("resOutputsEvent", op, urn) for op, urn in zip(ends, urns, strict=True)]
    assert drift("\n".join(lines)) == sorted(urns[1:])


def test_drift_that_the_change_would_overwrite_weighs_more() -> None:
    drifted = (unprotected("a").urn, resource("b").urn)
    report = grounded(stack_of(unprotected("a"), drifted=drifted))
    assert [(r.rule, r.risk) for r in report.reasons] == [("RV-009", "high"), ("RV-009", "medium")]
    assert "would overwrite it" in report.reasons[0].message


def test_another_version_of_a_provider_is_told() -> None:
    urn = "urn:pulumi:prod::plinth::pulumi:providers:aws::default_7_51_1"
    old, new = ({"inputs": {"version": version}} for version in ("7.51.1", "7.60.0"))
    change = read(json.dumps({"steps": [{"op": "update", "urn": urn, "oldState": old,
                                         "newState": new}]}))  # fmt: skip
    [reason] = grounded(change).reasons
    assert (reason.rule, reason.message) == (
        "RV-008",
        "provider aws changes from 7.51.1 to 7.60.0",
    )


def test_another_default_provider_is_another_resource_and_told_all_the_same() -> None:
    steps = []
    for op, side, version in (("delete", "oldState", "7.51.1"), ("create", "newState", "7.60.0")):
        urn = f"urn:pulumi:prod::plinth::pulumi:providers:aws::default_{version.replace('.', '_')}"
        steps.append({"op": op, "urn": urn, side: {"inputs": {"version": version}}})
    change = read(json.dumps({"steps": steps}))
    assert change.versions == {"provider aws": ("7.51.1", "7.60.0")}
    assert read(json.dumps({"steps": steps[:1]})).versions == {}
    assert read(json.dumps({"steps": steps[1:]})).versions == {}


def test_a_locked_engine_of_another_version_is_told() -> None:
    before, after = (
        {LOCK: f"pulumi=={v} \\\n  --hash=x\nboto3=={v}\n"} for v in ("3.1.0", "3.2.0")
    )
    assert versions(before, after) == {"pulumi": ("3.1.0", "3.2.0")}


RULE = 'from policies.rule import rule\n\n@rule(\n    "{}",\n)\ndef check(): ...\n'
ENTRY = "- {rule: ML-1, urn: '*a', reason: trial, owner: ml, expires: 2026-03-01}\n"


def test_rules_that_go_and_exemptions_that_come_are_told_by_name() -> None:
    before = pack({"policies/rules/a.py": RULE.format("ML-1"), "policies/exemptions.yaml": "[]"})
    after = pack({"policies/rules/a.py": RULE.format("ML-2"), "policies/exemptions.yaml": ENTRY})
    report = grounded(stack_of(), pack_before=before, pack_after=after)
    messages = [reason.message for reason in report.reasons]
    assert messages[:2] == [
        "ML-1 judges no longer",
        "new exemption of ML-1 for *a: trial (ml, until 2026-03-01)",
    ]
    assert "new: ML-2" in messages[2]
    assert report.decision == "needs review"


def test_the_same_rules_say_nothing() -> None:
    now = packs(judging(None), judging(None))
    assert grounded(stack_of(), pack_before=now[0], pack_after=now[1]).reasons == []
    assert now[0] and {rule.id for rule in RULES} == now[0].rules


def card(package: str) -> Change:
    content = {"model_overview": {"model_id": package}, "intended_uses": {"risk_rating": "Low"}}
    inputs = Data({"content": json.dumps(content), "modelCardStatus": "Approved"})
    urn = "urn:pulumi:prod::plinth::aws:sagemaker/modelCard:ModelCard::card"
    made = Resource(type=urn.split("::")[2], name="card", urn=urn, inputs=inputs, outputs=inputs)
    return Change(operation="create", urn=urn, type=made.type, name="card", new=made)


def test_a_promotion_shows_card_approval_and_metrics_beside_those_of_now() -> None:
    change = changed(SCENARIOS["model-promotion"])
    change = replace(change, changes=[*change.changes, card(f"{PACKAGE}8")])
    packages = {f"{PACKAGE}7": {"approval": "Approved", "auc": 0.71},
                f"{PACKAGE}8": {"approval": "Approved", "auc": 0.74}}  # fmt: skip
    context = Context(config=PolicyConfig(production=True), today=TODAY, packages=packages)
    section = review(change, context, (promotion.part,)).section("promotion")
    assert section
    assert section.rows[0].cells[3] == (
        "approval Approved, auc 0.74 (was 0.71), card Approved, card_risk Low"
    )


def pipeline(hours: int) -> Resource:
    step = {"Name": "Train", "Type": "Training", "Arguments": {
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2},
        "StoppingCondition": {"MaxRuntimeInSeconds": hours * 3600}}}  # fmt: skip
    text = json.dumps({"Version": "2020-12-01", "Parameters": [], "Steps": [step]})
    urn = "urn:pulumi:prod::plinth::aws:sagemaker/pipeline:Pipeline::training"
    inputs = Data({"pipelineDefinition": text})
    return Resource(type=urn.split("::")[2], name="training", urn=urn, inputs=inputs,
                    outputs=inputs)  # fmt: skip


@pytest.mark.parametrize(("hours", "decision"), [(10, "safe"), (10_000, "blocked")])
def test_the_most_that_a_job_can_cost_is_bounded(hours: int, decision: str) -> None:
    change = compare("prod", [pipeline(1)], [pipeline(hours)])
    context = Context(config=PolicyConfig(production=True), today=TODAY)
    spending = parts(price_table("us-east-1"), cost_usd_max=1, gpus_max=0, run_usd_max=500)
    report = review(change, context, spending)
    section = report.section("jobs")
    assert section and section.rows[0].cells[0] == "training/Train"
    assert section.data["after"]["training/Train"] == pytest.approx(0.115 * 2 * hours)
    assert report.decision == decision


def test_what_a_part_cannot_read_is_never_taken_for_harmless() -> None:
    odd = replace(resource("a"), inputs=Data({"ingress": 3}), type=GROUP)
    item = Change(operation="create", urn=odd.urn, type=GROUP, name="a", new=odd)
    context = Context(config=PolicyConfig(production=False), today=TODAY)
    report = review(stack_of(item), context, (exposure.part,))
    assert report.decision == "blocked"
    assert report.reasons[0].rule == "RV-014"


def test_a_log_gets_every_word_of_a_long_line() -> None:
    """A console that wraps nothing must not cut either."""
    console = Console(width=40, record=True, soft_wrap=True, color_system=None)
    note = "word " * 40 + "end"
    show_section(Section(id="s", title="Notes", notes=[note]), console)
    assert f"  {note}" in console.export_text().splitlines()
