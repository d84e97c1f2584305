"""The review of a stack change: ten scenarios in five formats, and the inputs it reads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

import pytest
from rich.console import Console

from policies.data import UNKNOWN, Data, Unknown
from policies.review.digest import read
from policies.review.model import StackChange
from policies.review.render import data, html, markdown, sarif
from policies.review.render.graph import graph
from policies.review.render.terminal import show
from policies.review.report import Report, Row, Section
from policies.review.shape import Malformed
from policies.rules import RULES
from stacks.paths import shown as shown_path
from tests.kits.review import SCENARIOS, STACK, changed, reviewed

every_scenario = pytest.mark.parametrize("name", SCENARIOS)
FORMATS = ("terminal", "markdown", "html", "sarif", "json")
SUFFIX = {"terminal": "txt", "markdown": "md", "html": "html", "sarif": "sarif", "json": "json"}


@pytest.fixture(scope="module")
def changes() -> dict[str, StackChange]:
    return {name: changed(scenario) for name, scenario in SCENARIOS.items()}


@pytest.fixture(scope="module")
def reports(changes: dict[str, StackChange]) -> dict[str, Report]:
    return {name: reviewed(SCENARIOS[name], change) for name, change in changes.items()}


def text_of(form: str, report: Report, change: StackChange) -> str:
    if form == "terminal":
        console = Console(width=100, record=True, highlight=False, color_system=None)
        with console.capture() as captured:
            show(report, console)
        return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"
    if form == "markdown":
        return markdown.render(report, graph(change.quiet()))
    if form == "html":
        return html.render(report, graph(change.quiet()))
    if form == "sarif":
        shown = [rule for rule in RULES if rule.id in {reason.rule for reason in report.reasons}]
        return sarif.render(report, shown, stack_file=shown_path(STACK.file))
    return data.render(report)


@every_scenario
def test_a_scenario_is_judged_as_a_person_would(name: str, reports: dict[str, Report]) -> None:
    scenario, report = SCENARIOS[name], reports[name]
    reasons = " | ".join(reason.message for reason in report.reasons)
    assert report.decision == scenario.decision, report.headline
    for part in scenario.says:
        assert part in reasons


@every_scenario
@pytest.mark.parametrize("form", FORMATS)
def test_a_report_looks_as_it_was_accepted(
    name: str,
    form: str,
    reports: dict[str, Report],
    changes: dict[str, StackChange],
    golden: Callable[[str, str], None],
) -> None:
    golden(f"review/{name}.{SUFFIX[form]}", text_of(form, reports[name], changes[name]))


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_change_gives_the_same_bytes(form: str) -> None:
    scenario = SCENARIOS["feature-group-replacement"]
    texts = {
        text_of(form, reviewed(scenario, c), c) for c in (changed(scenario), changed(scenario))
    }
    assert len(texts) == 1


def test_a_comment_is_never_longer_than_github_takes(
    reports: dict[str, Report], changes: dict[str, StackChange]
) -> None:
    report = reports["first-deployment"]
    for limit in (65_536, 8_000, 2_000, 700):
        text = markdown.render(report, limit_bytes=limit)
        assert len(text.encode()) <= limit
        assert "prod.flight_delay: safe" in text


def test_a_name_in_markdown_stays_readable_and_is_the_tag_by_which_a_comment_is_found() -> None:
    assert markdown.tag("plinth", str(STACK)) == f"<!-- plinth-review plinth/{STACK} -->"
    section = Section(id="s", title="max_size of _that_ and __this__ is a_b_")
    text = markdown.of_section(section)
    assert "max_size of &#95;that&#95; and &#95;&#95;this&#95;&#95; is a_b&#95;" in text


URN = "urn:pulumi:prod::plinth::aws:s3/bucket:Bucket::"


def digest(*steps: Mapping[str, object]) -> str:
    return json.dumps({"steps": list(steps)})


def state(**inputs: object) -> dict[str, object]:
    return {"inputs": inputs, "outputs": {}}


def test_the_steps_of_a_replacement_are_one_change() -> None:
    old, new = state(bucket="a"), state(bucket="b")
    one = URN + "data"
    change = read(
        digest(
            {"op": "create-replacement", "urn": one, "oldState": old, "newState": new},
            {"op": "replace", "urn": one, "oldState": old, "newState": new,
             "replaceReasons": ["bucket"]},
            {"op": "delete-replaced", "urn": one, "oldState": old},
        )
    )  # fmt: skip
    [item] = change.changes
    assert (item.operation, item.delete_first) == ("replace", False)
    assert [(p.path, p.old, p.new) for p in item.forced_by] == [("bucket", "a", "b")]


def test_a_replacement_that_deletes_first_says_so() -> None:
    old, new = state(bucket="a"), state(bucket="a", region="x")
    one = URN + "data"
    change = read(
        digest(
            {"op": "delete-replaced", "urn": one, "oldState": old},
            {"op": "replace", "urn": one, "oldState": old, "newState": new},
            {"op": "create-replacement", "urn": one, "oldState": old, "newState": new},
        )
    )
    assert change.changes[0].delete_first


def test_a_replacement_by_an_unknown_value_may_turn_out_to_be_none() -> None:
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    one = {"op": "replace", "urn": URN + "data", "oldState": state(bucket="a"),
           "newState": state(bucket=unknown), "replaceReasons": ["bucket"]}  # fmt: skip
    [item] = read(digest(one)).changes
    assert item.may_stay
    assert item.forced_by[0].new is UNKNOWN


def test_a_secret_never_reaches_a_report() -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
              "value": '"hunter2"'}  # fmt: skip
    one = {"op": "update", "urn": URN + "data", "oldState": state(tags={"a": "b"}),
           "newState": state(tags={"a": secret})}  # fmt: skip
    change = read(digest(one))
    assert "hunter2" not in repr(change)
    assert "[secret]" in repr(change)


def test_a_line_of_the_program_comes_from_the_first_frame_that_is_ours() -> None:
    frames = [{"sourcePosition": "project:///.venv/lib/site-packages/pulumi/x.py#3"},
              {"sourcePosition": "project:///stacks/composition/models.py#42"}]  # fmt: skip
    one = {"op": "create", "urn": URN + "data", "newState": {**state(), "stackTrace": frames}}
    assert str(read(digest(one)).changes[0].source) == "stacks/composition/models.py:42"


def outputs_of(op: str, old: Mapping[str, object] | None, new: Mapping[str, object]) -> Data:
    [item] = read(digest({"op": op, "urn": URN + "data", "oldState": old, "newState": new})).changes
    assert item.new
    return item.new.outputs


def test_what_stays_keeps_the_outputs_that_a_digest_does_not_repeat() -> None:
    old = {"id": "b", "inputs": {"acl": "x", "tags": {}}, "outputs": {"arn": "a", "acl": "x"}}
    same = outputs_of("same", old, {"inputs": old["inputs"]})
    assert (same.get("id"), same.get("arn"), same.get("acl")) == ("b", "a", "x")
    changed = outputs_of("update", old, {"inputs": {"tags": {"a": "b"}}})
    assert (changed.get("arn"), changed.get("acl"), changed.get("tags")) == ("a", None, {"a": "b"})


def test_what_the_cloud_makes_of_a_new_resource_is_unknown_and_not_nothing() -> None:
    made = outputs_of("create", None, {"inputs": {"acl": "x"}})
    assert made.get("acl") == "x"
    for key in ("id", "arn"):
        with pytest.raises(Unknown):
            made.get(key)


@pytest.mark.parametrize("field", ["diagnostics", "changeSummary"])
def test_a_digest_whose_frame_is_odd_is_refused(field: str) -> None:
    with pytest.raises(Malformed, match=f"{field} must be"):
        read(json.dumps({"steps": [], field: 3}))


def test_a_long_table_is_folded_away_in_a_comment() -> None:
    rows = [Row(cells=(str(number),)) for number in range(markdown.VISIBLE_ROWS + 1)]
    tables = [Section(id="x", title="x", columns=("",), rows=some) for some in (rows, rows[:-1])]
    folded = ["<details>" in markdown.of_section(table) for table in tables]
    assert folded == [True, False]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must be JSON, got none"),
        ("[]", "event 1 must be an object"),
        ('{"steps": 3}', "steps must be a list, got int"),
        ('{"steps": [{"op": "vanish", "urn": "a"}]}', r"steps\[0\]\.op must be one of"),
        (
            '{"steps": [{"op": "delete", "urn": "a::b::c::d"}]}',
            "must have an oldState or a newState",
        ),
        ('{"steps": [{"op": "delete", "urn": "a"}]}', "must be a URN"),
    ],
)
def test_what_is_no_preview_is_refused_with_its_path(text: str, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        read(text)


def test_what_scrolls_can_be_reached_by_keyboard_and_has_a_name(
    reports: dict[str, Report], changes: dict[str, StackChange]
) -> None:
    name = "feature-group-replacement"
    page = text_of("html", reports[name], changes[name])
    scrolling = re.findall(r'<div class="scroll[^>]*>', page)
    assert len(scrolling) > 3
    for tag in scrolling:
        assert 'tabindex="0"' in tag
        assert 'role="region"' in tag
        assert "aria-label" in tag
    assert "outline: none" not in page
    assert "<script" not in page and "http://" not in page.replace("http://www.w3.org", "")
