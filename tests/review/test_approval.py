"""Who has to look at a change, what a machine may approve, and what a reader is spared."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from policies.config import PolicyConfig
from policies.data import Data, Options, Resource
from policies.review import approval
from policies.review.approval import Reviewers, asked, parse
from policies.review.model import Change, StackChange
from policies.review.parts import blast_radius, changes
from policies.review.parts.order import FIRST, THEN
from policies.review.render import markdown, mermaid
from policies.review.render.graph import Box, Graph, Node, graph
from policies.review.report import Context, Report, Section, review
from stacks.review.cost import parts
from stacks.sizing.prices.table import price_table
from tests.kits.each import each
from tests.kits.review import SCENARIOS, changed, reviewed

DASHBOARD = "aws:cloudwatch/dashboard:Dashboard"
EVERYTHING = Reviewers(automatic={"*": ("create", "update", "replace", "delete")})
DASHBOARDS = Reviewers(automatic={DASHBOARD: ("create", "update")})
SPENDING = parts(price_table("us-east-1"), cost_usd_max=10, gpus_max=1, run_usd_max=1)


def resource(token: str, name: str = "one", **inputs: Any) -> Resource:
    urn = f"urn:pulumi:prod::plinth::{token}::{name}"
    return Resource(type=token, name=name, urn=urn, inputs=Data(inputs), outputs=Data(inputs))


def updated(old: Resource, new: Resource) -> Change:
    from policies.review.compare import compare

    [item] = compare("prod", [old], [new]).changes
    return item


def created(token: str, **inputs: Any) -> Change:
    made = resource(token, **inputs)
    return Change(operation="create", urn=made.urn, type=token, name=made.name, new=made)


def deleted(token: str) -> Change:
    gone = resource(token)
    return Change(operation="delete", urn=gone.urn, type=token, name=gone.name, old=gone)


def judged(*items: Change, reviewers: Reviewers, **facts: Any) -> Report:
    facts = {"origin": "local preview", **facts}
    change = StackChange(env="prod", changes=items, **facts)
    context = Context(config=PolicyConfig(production=True), today=date(2026, 1, 15))
    return asked(review(change, context, (*FIRST, *SPENDING, *THEN)), change, reviewers)


def test_those_who_are_asked_follow_the_risk_and_what_is_touched() -> None:
    report = reviewed(SCENARIOS["iam-broadening"])
    assert report.approval
    assert report.approval.risk_class == "critical"
    assert report.approval.approvals == 2
    assert report.approval.reviewers == (
        "@example/ml-platform", "@example/ml-leads", "@example/security",
    )  # fmt: skip
    calm = reviewed(SCENARIOS["endpoint-canary"]).approval
    assert calm and (calm.reviewers, calm.approvals) == (("@example/ml-platform",), 1)
    nothing = reviewed(SCENARIOS["no-change"]).approval
    assert nothing and (nothing.reviewers, nothing.approvals) == ((), 0)


def test_a_machine_may_approve_what_is_on_the_list_alone() -> None:
    fine = judged(created(DASHBOARD), reviewers=DASHBOARDS)
    assert fine.approval and fine.approval.auto_approvable
    alarm = created("aws:cloudwatch/metricAlarm:MetricAlarm")
    both = judged(created(DASHBOARD), alarm, reviewers=DASHBOARDS)
    assert both.approval and both.approval.why_not == ("create of MetricAlarm is not on the list",)


@pytest.mark.parametrize(
    ("item", "what"),
    [
        (created("aws:iam/role:Role"), "permissions"),
        (created("aws:iam/instanceProfile:InstanceProfile"), "permissions"),
        (created("aws:sns/topicPolicy:TopicPolicy"), "permissions"),
        (created("aws:eks/accessEntry:AccessEntry"), "permissions"),
        (created("aws:ec2/vpc:Vpc"), "the network"),
        (created("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"), "the network"),
        (created("aws:lambda/functionUrl:FunctionUrl"), "the network"),
        (created("aws:kms/alias:Alias"), "keys"),
        (created("aws:dynamodb/table:Table"), "state"),
        (deleted("aws:sqs/queue:Queue"), "state"),
        (created("aws:sns/topic:Topic"), "permissions"),
        (created("aws:new/thing:Thing"), "what nobody here knows"),
    ],
)
def test_no_list_lets_a_machine_approve_permissions_networks_keys_or_state(
    item: Change, what: str
) -> None:
    found = judged(item, reviewers=EVERYTHING).approval
    assert found and not found.auto_approvable
    assert any(reason.endswith(f"touches {what}") for reason in found.why_not)


def test_another_key_of_a_queue_is_a_matter_of_keys() -> None:
    sides = [resource("aws:sqs/queue:Queue", kmsMasterKeyId=key) for key in ("a", "b")]
    found = judged(updated(*sides), reviewers=EVERYTHING).approval
    assert found and "update of Queue touches keys" in found.why_not


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"origin": "mocked synth"}, "a mocked synth knows no state"),
        ({"drifted": ("urn:pulumi:prod::plinth::a:b/c:C::d",)}, "the decision is: needs review"),
        ({"skipped": ("urn:pulumi:prod::plinth::a:b/c:C::d",)}, "the decision is: needs review"),
        ({"failures": ("boom",)}, "the decision is: blocked"),
        ({"warnings": ("no edges",)}, "the input does not tell everything"),
    ],
)
def test_what_is_not_known_for_sure_takes_a_person(facts: Mapping[str, Any], why: str) -> None:
    found = judged(created(DASHBOARD), reviewers=DASHBOARDS, **facts).approval
    assert found and not found.auto_approvable
    assert why in " | ".join(found.why_not)


def test_a_cost_that_nobody_can_tell_takes_a_person() -> None:
    change = StackChange(env="prod", origin="local preview", changes=[created(DASHBOARD)])
    context = Context(config=PolicyConfig(production=True), today=date(2026, 1, 15))
    found = asked(review(change, context, FIRST), change, DASHBOARDS).approval
    assert found and found.why_not == ("the cost cannot be told",)


def test_the_reviewers_of_this_repository_can_be_read() -> None:
    found = approval.load()
    assert set(found.by_risk) == {"low", "medium", "high", "critical"}
    assert found.by_risk["critical"].approvals > found.by_risk["low"].approvals
    assert found.by_section["access"] and found.automatic


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "must be a mapping, got []"),
        ("people: {}", "must have risk, touches, automatic, got people"),
        ("risk: {huge: {}}", "risk must have low, medium, high, critical, got huge"),
        ("risk: {low: {approvals: two}}", "risk.low.approvals must be 0 or more, got 'two'"),
        ("risk: {low: {approvals: 1}}", "risk.low.who must name somebody for 1 approvals"),
        ('touches: {keys: ["a\\nb=c"]}', "touches.keys must name users or teams such as @org/team"),
        ("touches: {weather: [a]}", "touches must have access"),
        ("automatic: {x: create}", "automatic.x must be a list of words, got 'create'"),
    ],
)
def test_a_file_of_reviewers_that_is_wrong_says_where(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse(text)


def test_a_file_without_anybody_asks_nobody() -> None:
    assert parse("") == Reviewers()


def test_a_github_job_gets_risk_class_and_reviewers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stacks.commands.output import CommandOutput as Progress
    from stacks.commands.review import review as command

    made = resource(DASHBOARD)
    urn = made.urn.replace("urn:pulumi:prod::", "urn:pulumi:dev.cluster::")
    step = {"op": "create", "urn": urn, "newState": {"inputs": {}}}
    (tmp_path / "digest.json").write_text(json.dumps({"steps": [step]}))
    outputs = tmp_path / "outputs"
    outputs.write_text("before=1\n")
    monkeypatch.setenv("GITHUB_OUTPUT", str(outputs))
    result = command(
        "dev.cluster", Progress(as_json=True), digest=tmp_path / "digest.json",
        form="json", output=[tmp_path / "report.json"],
    )  # fmt: skip
    lines = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
    assert lines.pop("before") == "1"
    assert lines == {
        "decision": result["decision"],
        "risk_class": result["approval"]["risk_class"],
        "reviewers": ",".join(result["approval"]["reviewers"]),
        "approvals": str(result["approval"]["approvals"]),
        "auto_approvable": "false" if result["approval"]["why_not"] else "true",
    }


def retagged(count: int, **tags: str) -> StackChange:
    from policies.review.compare import compare

    sides = [
        [resource(DASHBOARD, f"d{i}", tags={"team": "ml", **found}) for i in range(count)]
        for found in ({"cost_centre": "a"}, tags)
    ]
    return compare("prod", *sides)


def rows(change: StackChange) -> Section:
    section = changes.part(change, Context(config=PolicyConfig(production=True), today=date.max))
    assert section
    return section


def test_tags_that_change_alike_on_many_resources_are_one_line() -> None:
    section = rows(retagged(83, cost_centre="b"))
    [row] = section.rows
    assert row.cells == ("update", "tags", "83 resources", "cost_centre a -> b")
    assert row.detail.count("\n") == 82
    assert len(section.data["resources"]) == 83


def test_tags_that_come_and_go_are_told_by_their_sign() -> None:
    [row] = rows(retagged(3, owner="x")).rows
    assert row.cells[3] == "- cost_centre a, + owner x"


def test_a_tag_beside_something_else_is_a_line_of_its_own() -> None:
    change = retagged(3, cost_centre="b")
    new = change.changes[0].new
    assert new
    other = replace(new, options=Options(protect=True))
    mixed = [replace(change.changes[0], new=other), *change.changes[1:]]
    assert len(rows(replace(change, changes=mixed)).rows) == 3


def test_nothing_hangs_on_a_tag() -> None:
    change = changed(SCENARIOS["key-change"])
    context = Context(config=PolicyConfig(production=True), today=date.max)
    assert blast_radius.part(change, context)
    quiet = retagged(5, cost_centre="b")
    [first, *others] = quiet.changes
    assert first.new
    hangs = {"body": (first.urn,)}
    others = [replace(c, new=c.new and replace(c.new, dependencies=hangs)) for c in others]
    quiet = replace(quiet, changes=[first, *others])
    assert blast_radius.reach(first.urn, blast_radius.dependents(quiet.after()))
    assert blast_radius.part(quiet, context) is None
    assert graph(quiet.quiet()).nodes == []


NODE = re.compile(r'  n\d+\["[\w ._+/?-]+"\]:::(delete|replace|update|create|same)')
LINE = re.compile(rf"flowchart LR|{NODE.pattern}|  n\d+ --> n\d+|  classDef \w+ [a-z:,]+")


@pytest.mark.parametrize(
    "name", ['"] end', "a\n  click n0 href", "]]>```", "#quot;", "`x`", "\u202e", "%%{init}%%"]
)
def test_a_name_stays_inside_its_box(name: str) -> None:
    nodes = [Node(Box(urn, name, "Queue", "update"), 0, 0) for urn in ("a", "b")]
    text = mermaid.render(Graph(nodes, [("a", "b")], 0))
    for line in each(text.split("\n")):
        assert LINE.fullmatch(line), line


def test_the_drawing_of_a_comment_is_bounded_and_says_what_it_leaves_out() -> None:
    nodes = [Node(Box(str(i), f"q{i}", "Queue", "update"), 0, i) for i in range(50)]
    found = Graph(nodes, [(str(i), str(i + 1)) for i in range(49)], 7)
    text = mermaid.render(found)
    assert text.count(":::") == mermaid.NODES
    assert mermaid.hidden(found) == 17
    assert "17 more resources are not drawn" in markdown.render(report_of(), found)


def test_a_drawing_never_takes_a_comment_over_its_limit() -> None:
    change = changed(SCENARIOS["key-change"])
    report = reviewed(SCENARIOS["key-change"], change)
    whole = markdown.render(report, graph(change))
    assert "```mermaid" in whole
    size = len(whole.encode())
    drawn = set()
    for limit in range(700, size + 1, 50):
        text = markdown.render(report, graph(change), limit_bytes=limit)
        assert len(text.encode()) <= limit
        drawn.add("```mermaid" in text)
        assert text.count("```mermaid") == text.count("classDef update")
    assert drawn == {True, False}


def report_of() -> Report:
    return reviewed(SCENARIOS["no-change"])


def test_resources_of_which_none_hangs_on_another_are_no_picture() -> None:
    assert mermaid.render(graph(retagged(3, cost_centre="b"))) == ""
