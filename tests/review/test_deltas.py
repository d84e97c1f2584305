"""The rules about a change: each is described once, and each is raised by something."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from policies.config import PolicyConfig
from policies.data import UNKNOWN, Data, Options, Resource
from policies.offline import RuleFinding
from policies.review.compare import compare
from policies.review.deltas import DELTAS
from policies.review.model import StackChange
from policies.review.parts.order import FIRST, THEN
from policies.review.render import sarif
from policies.review.report import Context, Report, review
from policies.rules import RULES
from stacks.review.cost import parts
from stacks.sizing.prices.table import price_table
from tests.kits.review import SCENARIOS, reviewed

ROOT = Path(__file__).parents[2]
BY_ID = {delta.id: delta for delta in DELTAS}
CONFIG = PolicyConfig(production=True, undecided_max=0)
SPENDING = parts(price_table("us-east-1"), cost_usd_max=0, gpus_max=0, run_usd_max=0)
ID = r'"((?:RV|FO)-\d{3})"'


def resource(token: str, *, protect: bool = False, **inputs: Any) -> Resource:
    urn = f"urn:pulumi:prod::plinth::{token}::one"
    data = Data(inputs)
    return Resource(
        type=token, name="one", urn=urn, inputs=data, outputs=data, options=Options(protect=protect)
    )


def of(*sides: Resource, **facts: Any) -> Report:
    """What is said of a resource that changes from the first to the last."""
    findings = facts.pop("findings", ())
    change = replace(compare("prod", sides[:1], sides[1:]), **facts)
    context = Context(config=CONFIG, today=date(2026, 1, 15), findings_after=findings)
    return review(change, context, (*FIRST, *SPENDING, *THEN))


def endpoint(name: str) -> Resource:
    return resource("aws:sagemaker/endpoint:Endpoint", endpointConfigName=name)


def pipeline(*steps: Mapping[str, Any]) -> Resource:
    text = json.dumps({"Version": "2020-12-01", "Steps": steps})
    return resource("aws:sagemaker/pipeline:Pipeline", pipelineDefinition=text)


GATE = {"Name": "Good", "Type": "Condition", "Arguments": {"Conditions": []}}
JOB = {
    "Name": "Train",
    "Type": "Training",
    "Arguments": {
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    },
}
QUEUE = "aws:sqs/queue:Queue"
SAME = resource(QUEUE)
UNDECIDED = RuleFinding(
    rule_id="ML-EP-001", severity="high", level="mandatory", status="unknown", urn=SAME.urn,
    message="not known", paths=(),
)  # fmt: skip
GROUP = "aws:ec2/securityGroup:SecurityGroup"

RAISED: Mapping[str, Callable[[], Report]] = {
    "FO-003": lambda: of(pipeline(), pipeline(JOB)),
    "FO-004": lambda: reviewed(SCENARIOS["gpu-growth"]),
    "RV-001": lambda: reviewed(SCENARIOS["feature-group-replacement"]),
    "RV-002": lambda: of(resource(QUEUE, protect=True), resource(QUEUE)),
    "RV-003": lambda: reviewed(SCENARIOS["iam-broadening"]),
    "RV-004": lambda: reviewed(SCENARIOS["public-exposure"]),
    "RV-005": lambda: reviewed(SCENARIOS["key-change"]),
    "RV-006": lambda: of(endpoint("a"), endpoint("b")),
    "RV-007": lambda: reviewed(SCENARIOS["model-promotion"]),
    "RV-008": lambda: of(SAME, SAME, versions={"provider aws": ("7.1.0", "7.2.0")}),
    "RV-009": lambda: of(SAME, SAME, drifted=[SAME.urn]),
    "RV-010": lambda: of(SAME, SAME, findings=[UNDECIDED]),
    "RV-011": lambda: reviewed(SCENARIOS["exemption-expired"]),
    "RV-012": lambda: reviewed(SCENARIOS["feature-group-replacement"]),
    "RV-013": lambda: of(pipeline(GATE), pipeline()),
    "RV-014": lambda: of(resource(GROUP), resource(GROUP, ingress=3)),
    "RV-015": lambda: reviewed(SCENARIOS["gpu-growth"]),
    "RV-017": lambda: of(resource("aws:new/thing:Thing")),
    "RV-016": lambda: of(SAME, SAME, outputs_before={"arn": "x"}, outputs_after={}),
}
"""Rule -> a change that it is about."""


@pytest.mark.parametrize("name", RAISED)
def test_a_rule_about_a_change_is_raised_by_one(name: str) -> None:
    assert name in {reason.rule for reason in RAISED[name]().reasons}


def test_a_change_of_nothing_raises_none() -> None:
    assert of(SAME, SAME).reasons == []


def test_every_rule_about_a_change_is_described_and_tried() -> None:
    rooms = [ROOT / "policies" / "review", ROOT / "stacks" / "review", ROOT / "stacks" / "checks"]
    files = [path for room in rooms for path in room.rglob("*.py")]
    others = [path for path in files if path.name != "deltas.py"]
    used = {name for path in others for name in re.findall(ID, path.read_text())}
    assert used == BY_ID.keys() == RAISED.keys()
    assert [delta.id for delta in DELTAS] == sorted(BY_ID)
    assert not BY_ID.keys() & {rule.id for rule in RULES}


@pytest.mark.parametrize("name", BY_ID)
def test_the_description_of_a_rule_about_a_change_is_whole(name: str) -> None:
    delta = BY_ID[name]
    assert re.fullmatch(r"[a-z]+(-[a-z]+)+", delta.name)
    assert delta.description[0].isupper() and not delta.description.endswith(".")
    assert len(delta.description) <= 100 and "|" not in delta.description
    assert delta.fix and delta.url.startswith("https://")
    assert len(delta.themes) >= 1
    assert len({other.name for other in DELTAS}) == len(DELTAS)


def test_code_scanning_gets_the_description_of_every_rule_it_is_told_of() -> None:
    report = reviewed(SCENARIOS["exemption-expired"])
    [run] = json.loads(sarif.render(report, RULES))["runs"]
    listed = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    for result in run["results"]:
        rule = listed[result["ruleId"]]
        assert rule["shortDescription"]["text"] and rule["helpUri"] and rule["help"]["text"]
    assert listed["RV-011"]["properties"]["security-severity"] == "8.0"


def test_an_unknown_value_of_an_output_may_change_it() -> None:
    facts = {"outputs_before": {"arn": "x"}, "outputs_after": {"arn": UNKNOWN}}
    [reason] = of(SAME, SAME, **facts).reasons
    assert (reason.risk, reason.message.partition(";")[0]) == ("medium", "output arn may change")


def test_an_output_that_comes_needs_no_reader() -> None:
    report = of(SAME, SAME, outputs_before={}, outputs_after={"arn": "x"})
    assert report.reasons == []
    section = report.section("outputs")
    assert section and section.rows[0].cells == ("+", "arn", "", "x")


def test_a_stack_of_which_nobody_knows_the_outputs_says_nothing() -> None:
    change = StackChange(env="prod", origin="preview digest", changes=[])
    context = Context(config=CONFIG, today=date(2026, 1, 15))
    assert review(change, context, THEN).section("outputs") is None


def test_two_findings_of_one_rule_about_one_resource_have_fingerprints_of_their_own() -> None:
    report = reviewed(SCENARIOS["key-change"])
    assert [reason.rule for reason in report.reasons[:2]] == ["RV-005", "RV-005"]
    [run] = json.loads(sarif.render(report))["runs"]
    marks = [result["partialFingerprints"]["plinth/v1"] for result in run["results"]]
    assert len(set(marks)) == len(marks)


def test_a_failed_policy_comes_with_what_to_do_about_it() -> None:
    report = reviewed(SCENARIOS["iam-broadening"])
    [reason] = [reason for reason in report.reasons if reason.rule == "PF-IAM-001"]
    [rule] = [rule for rule in RULES if rule.id == "PF-IAM-001"]
    assert reason.fix == " ".join(rule.fix.split())
