"""What a preview is: whole, of one stack, about its own steps, and without anything secret."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from rich.console import Console

from policies.config import PolicyConfig
from policies.review.digest import read
from policies.review.model import StackChange
from policies.review.one_line import one_line
from policies.review.parts.order import FIRST, THEN
from policies.review.render import data, html, markdown, sarif
from policies.review.render.graph import graph
from policies.review.render.terminal import show
from policies.review.report import Context, Report, review
from policies.review.shape import Malformed
from policies.secret_names import is_published, says_secret

URN = "urn:pulumi:prod.foundation::plinth::"
QUEUE = "aws:sqs/queue:Queue"


def state(token: str, name: str, inputs: Any, **more: Any) -> dict[str, Any]:
    urn = f"{URN}{token}::{name}"
    return {"urn": urn, "custom": True, "type": token, "id": "i", "inputs": inputs,
            "outputs": inputs, **more}  # fmt: skip


def step(op: str, token: str = QUEUE, name: str = "one", **sides: Any) -> dict[str, Any]:
    return {"op": op, "urn": f"{URN}{token}::{name}", **sides}


def report_of(change: StackChange) -> Report:
    context = Context(config=PolicyConfig(production=True), today=date(2026, 1, 15))
    return review(change, context, (*FIRST, *THEN))


def read_steps(*steps: Any, **members: Any) -> StackChange:
    return read(json.dumps({"steps": list(steps), **members}), "prod.foundation")


SAME = step("same", oldState=state(QUEUE, "one", {}), newState=state(QUEUE, "one", {}))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "an empty object: that is what a failing"),
        ('{"resource_changes": []}', "the plan of Terraform"),
        ('{"version": 3, "deployment": {"resources": []}}', "an exported state of Pulumi"),
        ('{"schema_version": 1, "decision": "safe"}', "the report of a review"),
        ('{"Resources": {}}', "a template of CloudFormation"),
        ('{"steps": [], "steps": []}', "got 'steps' twice"),
        ('{"steps": [], "x": {"op": 1, "op": 2}}', "got 'op' twice"),
        ('{"steps": [], "changeSummary": {"delete": 2}}', "delete must be the number of its"),
        (json.dumps({"steps": [SAME, {**SAME, "op": "update"}], "changeSummary": {"same": 1}}),
         "update must be the number of its steps"),
        ('{"config": {}, "duration": 1}', "an object with config, duration"),
        ('{"projects": []}', "an object with projects"),
        ('{"steps": [], "changeSummary": {"same": "3"}}', "same must be a number of steps"),
        (json.dumps({"steps": [{**SAME, "op": "create"}]}), "must have no oldState for create"),
        (json.dumps({"steps": [{**SAME, "newState": {**SAME["newState"], "type": "a:b/c:D"}}]}),
         "type must be that of its URN"),
        ('{"preludeEvent": {}}', "must end with its summaryEvent"),
        ('{"summaryEvent": {"resourceChanges": {"create": 1}}}', "create must be the number"),
        (json.dumps({"steps": [json.loads(json.dumps(SAME).replace("prod.f", "dev.f"))]}),
         "must name it, got 'dev.foundation'"),
        (json.dumps({"steps": [SAME, json.loads(json.dumps(SAME).replace("prod.f", "dev.f"))]}),
         "must be of one stack"),
    ],
)  # fmt: skip
def test_what_is_no_whole_preview_of_this_stack_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        read(text, "prod.foundation")


def test_a_digest_of_counts_alone_is_no_change_where_nothing_but_sames_is_counted() -> None:
    whole = {"changeSummary": {"same": 3}, "duration": 1}
    assert report_of(read(json.dumps(whole), "prod.foundation")).decision == "no change"
    with pytest.raises(Malformed, match="delete must be the number"):
        read(json.dumps({"changeSummary": {"same": 3, "delete": 1}}), "prod.foundation")


def test_what_is_called_the_same_and_differs_is_an_update() -> None:
    old, new = (state("aws:kms/key:Key", "k", {"isEnabled": on}) for on in (True, False))
    change = read_steps(step("same", "aws:kms/key:Key", "k", oldState=old, newState=new))
    report = report_of(change)
    assert (report.tally["update"], report.risk) == (1, "high")
    with pytest.raises(Malformed, match=r"newState\.urn must be"):
        read_steps(step("same", QUEUE, "one", oldState=old, newState=new))


def test_what_goes_is_named_before_what_changes() -> None:
    gone = state("aws:new/thing:Thing", "zz", {})
    steps = [step("delete", gone["type"], "zz", oldState=gone)]
    for number in range(20):
        old, new = (state("aws:new/a:A", f"a{number}", {f"p{number}": n}) for n in ("a", "b"))
        steps.append(step("update", "aws:new/a:A", f"a{number}", oldState=old, newState=new))
    assert "zz" in report_of(read_steps(*steps)).headline


def test_what_the_engine_does_not_vouch_for_takes_a_person() -> None:
    report = report_of(read_steps(SAME, maybeCorrupt=True))
    assert (report.decision, report.reasons[0].rule) == ("needs review", "RV-014")


def test_a_preview_without_steps_and_counts_is_not_taken_for_no_change() -> None:
    assert report_of(read_steps()).decision == "needs review"


def test_an_import_takes_over_what_somebody_may_manage() -> None:
    report = report_of(read_steps(step("import", newState=state(QUEUE, "one", {}))))
    assert any("takes over what is there already: i" in r.message for r in report.reasons)
    assert report.decision == "needs review"


def test_an_old_one_that_goes_is_not_the_one_that_stays() -> None:
    old = state("aws:dynamodb/table:Table", "t", {}, delete=True)
    live = state("aws:dynamodb/table:Table", "t", {})
    same = step("same", live["type"], "t", oldState=live, newState=live)
    change = read_steps(step("delete", live["type"], "t", oldState=old), same)
    report = report_of(change)
    assert (report.tally["same"], report.tally["delete"]) == (1, 0)
    assert (report.decision, report.risk) == ("needs review", "medium")


def test_a_refresh_that_found_something_else_is_drift() -> None:
    was, is_now = state(QUEUE, "one", {"a": 1}), state(QUEUE, "one", {"a": 2})
    assert read_steps(step("refresh", oldState=was, newState=was)).drifted == []
    found = report_of(read_steps(step("refresh", oldState=was, newState=is_now)))
    assert [reason.rule for reason in found.reasons] == ["RV-009"]


def test_an_update_that_shows_nothing_is_told_as_such() -> None:
    one = state("aws:new/thing:Thing", "x", {"a": 1})
    update = step("update", one["type"], "x", oldState=one, newState=one)
    report = report_of(read_steps(update))
    assert report.decision == "needs review"
    assert "shows no input that differs" in report.reasons[0].message


def everything(report: Report, change: StackChange) -> str:
    console = Console(file=io.StringIO(), width=100)
    with console.capture() as captured:
        show(report, console)
    drawn = graph(change.quiet())
    return "\n".join(
        [data.render(report), markdown.render(report, drawn), html.render(report, drawn),
         sarif.render(report), captured.get()]
    )  # fmt: skip


def wrapped(value: str) -> dict[str, str]:
    return {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
            "plaintext": json.dumps(value)}  # fmt: skip


SECRET = "kubernetes:core/v1:Secret"
CONFIG, POD = "kubernetes:core/v1:ConfigMap", "kubernetes:core/v1:Pod"
INSTANCE = "aws:ec2/instance:Instance"


def arguments(value: str) -> Any:
    return {"spec": {"containers": [{"name": "a", "args": ["--api-token", value]}]}}


def script(value: str) -> Any:
    text = f"#!/bin/sh\nDB_PASSWORD={value} serve\n"
    return {"userDataBase64": base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    ("token", "old", "new"),
    [
        ("aws:rds/instance:Instance", {"x": "canary-1"}, {"x": wrapped("canary-2")}),
        ("aws:rds/instance:Instance", {"x": wrapped("canary-1")}, {"x": "canary-2"}),
        ("aws:rds/instance:Instance", {"x": [{"y": "canary-1"}]}, {"x": [{"y": wrapped("c")}]}),
        (SECRET, {"data": {"a": "canary-1"}}, {"data": {"a": "canary-2"}}),
        (SECRET, {"stringData": {"a": "canary-1"}}, {"stringData": {"b": "canary-2"}}),
        ("aws:rds/instance:Instance", {"masterPassword": "canary-1"}, {"masterPassword": "c"}),
        (CONFIG, {"data": {"url": "db://me:canary-1@h"}}, {"data": {"url": "db://me:canary-2@h"}}),
        (CONFIG, {"data": {"a.cfg": "x: 1\npassword: canary-1"}}, {"data": {"a.cfg": "x: 2\n"}}),
        (CONFIG, {"data": {"a.cfg": '{"token": "canary-1"}'}}, {"data": {"a.cfg": "{}"}}),
        (POD, arguments("canary-1"), arguments("canary-2")),
        (
            INSTANCE,
            {"userData": "export TOKEN=canary-1\n"},
            {"userData": "export TOKEN=canary-2\n"},
        ),
        (INSTANCE, script("canary-1"), script("canary-2")),
    ],
)
def test_what_is_or_was_secret_is_shown_on_neither_side(token: str, old: Any, new: Any) -> None:
    sides = {"oldState": state(token, "s", old), "newState": state(token, "s", new)}
    change = read_steps(step("update", token, "s", **sides))
    report = report_of(change)
    assert report.decision == "needs review"
    shown = everything(report, change)
    assert "canary" not in shown
    assert base64.b64encode(b"#!/bin/sh\nDB").decode()[:12] not in shown


LAMBDA, PIPELINE = "aws:lambda/function:Function", "aws:sagemaker/pipeline:Pipeline"


def environment(name: str, value: str) -> Any:
    return {"spec": {"containers": [{"name": "a", "env": [{"name": name, "value": value}]}]}}


def definition(value: str) -> dict[str, str]:
    parameters = [{"Name": "ApiToken", "Type": "String", "DefaultValue": value}]
    return {"pipelineDefinition": json.dumps({"Version": "2020-12-01", "Parameters": parameters})}


@pytest.mark.parametrize(
    ("token", "old", "new"),
    [
        *(
            (LAMBDA, {"environment": {"variables": {name: f"canary-{n}"}}},
             {"environment": {"variables": {name: "canary-new"}}})
            for n, name in enumerate(
                ("DB_PASSWORD", "GITHUB_TOKEN", "API_KEY", "aws_secret_access_key", "SSH-KEY",
                 "Credentials", "db.passwd", "SlackWebhookKey", "sentry_dsn", "Authorization")
            )
        ),
        (POD, environment("DB_PASSWORD", "canary-1"), environment("DB_PASSWORD", "canary-2")),
        (PIPELINE, definition("canary-1"), definition("canary-2")),
        (LAMBDA, {"layers": json.dumps([{"token": "canary-1"}])}, {"layers": "[]"}),
    ],
)  # fmt: skip
def test_a_value_whose_name_says_secret_is_shown_nowhere(token: str, old: Any, new: Any) -> None:
    sides = {"oldState": state(token, "s", old), "newState": state(token, "s", new)}
    change = read_steps(step("update", token, "s", **sides))
    report = report_of(change)
    assert "canary" not in everything(report, change)
    [item] = change.changes
    assert item.differences, "that it changes is seen"


@pytest.mark.parametrize("name", ["kmsKeyId", "key", "bucketKey", "tokenExpiration", "secretArn"])
def test_a_value_whose_name_does_not_say_secret_is_shown(name: str) -> None:
    sides = {
        side: state("aws:rds/instance:Instance", "s", {name: value})
        for side, value in (("oldState", "seen-1"), ("newState", "seen-2"))
    }
    change = read_steps(step("update", "aws:rds/instance:Instance", "s", **sides))
    assert "seen-2" in everything(report_of(change), change)


METHOD = "aws:apigateway/method:Method"
CLIENT = "aws:cognito/userPoolClient:UserPoolClient"
RUN_AS = "arn:aws:iam::111122223333:role/seen"


@pytest.mark.parametrize(
    ("token", "old", "new"),
    [
        (METHOD, {"authorization": "AWS_IAM"}, {"authorization": "NONE"}),
        (CLIENT, {"tokenValidityUnits": {"accessToken": "days"}},
         {"tokenValidityUnits": {"accessToken": "minutes"}}),
        ("aws:apigateway/integration:Integration", {"credentials": f"{RUN_AS}-1"},
         {"credentials": f"{RUN_AS}-2"}),
    ],
)  # fmt: skip
def test_a_word_of_awss_own_is_shown_whatever_its_name_says(
    token: str, old: dict[str, Any], new: dict[str, Any]
) -> None:
    sides = {"oldState": state(token, "s", old), "newState": state(token, "s", new)}
    change = read_steps(step("update", token, "s", **sides))
    report = report_of(change)
    [(leaf, _)] = change.changes[0].differences
    assert str(leaf.new) in everything(report, change)
    assert "[secret]" not in everything(report, change)
    assert report.decision in ("needs review", "blocked")


@pytest.mark.parametrize(
    "value", ["canary NONE", "Bearer canary", "canary", "arn:canary", "arn:aws:canary:b c"]
)
def test_what_is_no_word_of_awss_own_is_hidden_on_both_sides(value: str) -> None:
    sides = {
        side: state(METHOD, "s", {"authorization": said})
        for side, said in (("oldState", "AWS_IAM"), ("newState", value))
    }
    change = read_steps(step("update", METHOD, "s", **sides))
    assert "canary" not in everything(report_of(change), change)


def test_every_word_that_awss_schemas_list_under_such_a_name_is_published() -> None:
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER as SCHEMAS

    listed = {
        (name, word)
        for kind in SCHEMAS.get_resource_types("us-east-1")
        for name, words in enumerated(SCHEMAS.get_resource_schema("us-east-1", kind).schema)
        if says_secret(name)
        for word in words
    }
    assert ("AccessToken", "hours") in listed
    assert {pair for pair in listed if not is_published(*pair)} == set()


def enumerated(schema: Any) -> Iterator[tuple[str, list[str]]]:
    """Name and listed words of every property, at any depth."""
    for key, value in schema.items() if isinstance(schema, dict) else ():
        if key in ("properties", "definitions"):
            for name, inner in value.items():
                if isinstance(inner, dict) and "enum" in inner:
                    yield name, [word for word in inner["enum"] if isinstance(word, str)]
                yield from enumerated(inner)
        else:
            yield from enumerated(value)


def test_the_same_secret_in_its_wrapping_is_no_difference() -> None:
    sides = [state(QUEUE, "s", {"x": wrapped("a")}) for _ in range(2)]
    update = step("update", QUEUE, "s", oldState=sides[0], newState=sides[1])
    [item] = read_steps(update).changes
    assert item.differences == ()


HOSTILE = "a\x1b]8;;http://evil\x07b\u202ec\nfake line @octocat owner/repo#12"


def test_a_name_moves_no_cursor_opens_no_link_and_mentions_nobody() -> None:
    assert one_line(HOSTILE) == "a]8;;http://evilbc fake line @octocat owner/repo#12"
    token = "aws:new/thing:Thing"
    old = state(token, HOSTILE, {})
    change = read_steps({"op": "delete", "urn": f"{URN}{token}::{HOSTILE}", "oldState": old})
    report = report_of(change)
    comment = markdown.render(report, graph(change.quiet()))
    for text in (comment, html.render(report), *(reason.message for reason in report.reasons)):
        assert not {"\x1b", "\u202e", "\x07"} & set(text)
    assert "\nfake line" not in report.headline
    assert "@octocat" not in comment and "repo#12" not in comment


def test_many_equal_updates_are_one_line_and_the_verdict_comes_last() -> None:
    steps = []
    for number in range(30):
        old, new = (state(QUEUE, f"q{number}", {"delaySeconds": n}) for n in (1, 2))
        steps.append(step("update", QUEUE, f"q{number}", oldState=old, newState=new))
    gone = state("aws:new/thing:Thing", "lost", {})
    steps.append(step("delete", gone["type"], "lost", oldState=gone))
    change = read_steps(*steps)
    report = report_of(change)
    section = report.section("changes")
    assert section is not None
    assert [row.cells[2] for row in section.rows] == ["lost", "30 resources"]
    assert section.rows[0].risk == "medium"
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as captured:
        show(report, console)
    shown = captured.get().splitlines()
    assert shown[-1] == "needs review (medium risk) for prod.foundation"
    assert max(map(len, shown)) <= 80
    assert "lost" in markdown.render(report, graph(change.quiet())).partition("####")[0]
