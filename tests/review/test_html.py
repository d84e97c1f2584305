"""The HTML review in headless Chromium: on a phone and a desk, light and dark, by keyboard."""

from __future__ import annotations

import json

import pytest

from policies.review.digest import read
from policies.review.render import html
from policies.review.render.graph import graph
from tests.kits.browser import FAINT, FOCUSED, SCHEMES, SIZES, UNNAMED, Shown, chromium, shown
from tests.kits.review import SCENARIOS, Scenario, changed, reviewed

__all__ = ["chromium", "shown"]

every_scenario = pytest.mark.parametrize("name", SCENARIOS)


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    found = {}
    for name, scenario in SCENARIOS.items():
        change = changed(scenario)
        found[name] = html.render(reviewed(scenario, change), graph(change))
    return found


@every_scenario
@pytest.mark.parametrize("size", SIZES)
def test_a_page_fits_its_window_and_asks_nobody_for_anything(
    name: str, size: str, shown: Shown, pages: dict[str, str]
) -> None:
    page = shown.show(name, pages[name], size)
    shown.unfold()
    wide = page.evaluate("[document.documentElement.scrollWidth, document.body.scrollWidth]")
    assert max(wide) <= SIZES[size][0]
    assert shown.asked == [page.url]
    assert shown.said == []


@every_scenario
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_text_stands_out_from_its_ground(
    name: str, scheme: str, shown: Shown, pages: dict[str, str]
) -> None:
    for size in SIZES:
        page = shown.show(name, pages[name], size, scheme)
        shown.unfold()
        seen = page.evaluate(FAINT)
        assert seen["found"] == []
        assert seen["looked"] >= 10
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") == (scheme == "light")


@every_scenario
def test_who_listens_to_a_page_misses_nothing(
    name: str, shown: Shown, pages: dict[str, str]
) -> None:
    assert shown.show(name, pages[name]).evaluate(UNNAMED) == []


@every_scenario
def test_a_keyboard_reaches_and_opens_everything_in_order(
    name: str, shown: Shown, pages: dict[str, str]
) -> None:
    page = shown.show(name, pages[name])
    at = page.evaluate(FOCUSED)
    places, keys = [], ["Enter", "Space"]
    for _ in range(at["all"]):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        places.append(at["place"])
        assert at["outline"] >= 2
        if at["summary"]:
            assert not at["open"]
            page.keyboard.press(keys[len(places) % 2])
            assert page.evaluate(FOCUSED)["open"]
    assert places == list(range(at["all"]))


def test_a_table_stays_a_table_where_its_rows_are_cards(
    shown: Shown, pages: dict[str, str]
) -> None:
    """To a screen reader too, where a style alone could make it a heap of boxes."""
    counts = {}
    for size in SIZES:
        page = shown.show("iam-broadening", pages["iam-broadening"], size)
        tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
        roles = [node["role"]["value"] for node in tree["nodes"] if not node["ignored"]]
        wanted = ("table", "row", "columnheader", "cell", "region", "heading", "main")
        counts[size] = {role: roles.count(role) for role in wanted}
    assert counts["phone"] == counts["desk"]
    assert min(counts["phone"].values()) > 0


CROWDED = """
() => [...document.querySelectorAll("svg g")].filter(box => {
  const edge = box.querySelector("rect").getBoundingClientRect();
  const texts = [...box.querySelectorAll("text")].map(text => text.getBoundingClientRect());
  return texts.some(text => text.right > edge.right - 4 || text.bottom > edge.bottom);
}).map(box => box.textContent)
"""


def test_a_stack_of_hundreds_is_drawn_in_its_boxes_and_folds_away(shown: Shown) -> None:
    urns = [
        f"urn:pulumi:prod::p::aws:iam/role:Role::cluster-node-monitoring-{n:020}"
        for n in range(200)
    ]
    urns[0] = "urn:pulumi:prod::p::aws:s3/b:BucketIntelligentTieringConfiguration::m-name"
    on_it = {"path": [urns[0]]}  # one without an arrow would not be drawn among so many
    steps = [
        {
            "op": "update",
            "urn": urn,
            "oldState": {"inputs": {"path": "/"}},
            "newState": {
                "inputs": {"path": f"/{index}/"},
                "propertyDependencies": on_it if index else {},
            },
        }
        for index, urn in enumerate(urns)
    ]
    change = read(json.dumps({"steps": steps}))
    text = html.render(reviewed(Scenario(decision=""), change), graph(change))
    page = shown.show("hundreds", text)
    assert page.evaluate(CROWDED) == []
    assert page.locator("svg g").count() == 60
    assert page.get_by_text("140 more resources are not drawn").is_visible()
    assert page.evaluate("document.body.scrollHeight") < 10_000
    assert "200 rows" in page.inner_text("body")


def test_alike_changes_are_one_line_and_a_loss_among_many_stands_first(shown: Shown) -> None:
    prefix = "urn:pulumi:prod::p::"
    groups, alarms = ("aws:cloudwatch/logGroup:LogGroup", "aws:cloudwatch/metricAlarm:MetricAlarm")
    steps = [
        {"op": "update", "urn": f"{prefix}{groups}::group-{n}",
         "oldState": {"inputs": {"retentionInDays": 365}},
         "newState": {"inputs": {"retentionInDays": 400}}}
        for n in range(75)
    ] + [
        {"op": "create", "urn": f"{prefix}{alarms}::alarm-{n}", "newState": {"inputs": {}}}
        for n in range(74)
    ]  # fmt: skip
    lost = f"{prefix}aws:cleanrooms/collaboration:Collaboration::zz-partners"
    steps.append({"op": "delete", "urn": lost, "oldState": {"inputs": {}}})
    change = read(json.dumps({"steps": steps}))
    report = reviewed(Scenario(decision=""), change)
    drawing = graph(change)
    page = shown.show("alike", html.render(report, drawing))
    assert page.locator("svg").count() == 0
    assert page.locator(".reasons li").first.inner_text().count("zz-partners")
    section = report.section("changes")
    assert section is not None
    assert [row.cells[:3] for row in section.rows] == [
        ("delete", "cleanrooms.Collaboration", "zz-partners"),
        ("update", "cloudwatch.LogGroup", "75 resources"),
        ("create", "cloudwatch.MetricAlarm", "74 resources"),
    ]
    assert "zz-partners" in report.headline


HOSTILE = (
    '</title></pre></svg><script>alert(1)</script><img src="//x.example/i" onerror="alert(2)">'
)


def test_names_that_are_programs_are_shown_as_text(shown: Shown) -> None:
    urn = f"urn:pulumi:prod::plinth::aws:s3/bucket:Bucket::{HOSTILE}"
    old = {"inputs": {"bucket": "a", "tags": {HOSTILE: "a"}}, "outputs": {}}
    new = {"inputs": {"bucket": "a", "tags": {HOSTILE: HOSTILE}}, "outputs": {}}
    step = {"op": "update", "urn": urn, "oldState": old, "newState": new}
    change = read(json.dumps({"steps": [step]}))
    report = reviewed(Scenario(decision=""), change)
    page = shown.show("hostile", html.render(report, graph(change)))
    shown.unfold()
    assert HOSTILE in page.inner_text("body")
    assert page.locator("script, img").count() == 0
    assert shown.asked == [page.url]
    assert shown.said == []


def test_what_is_wrong_with_a_page_is_seen(shown: Shown, pages: dict[str, str]) -> None:
    """Or the tests above would say nothing."""
    wrong = pages["gpu-growth"].replace("--soft: #5b5b66", "--soft: #9a9aa5")
    wrong = wrong.replace('scope="col"', "").replace("<h2", "<h3").replace("</h2", "</h3")
    wrong = wrong.replace("</main>", '</main><img src="x.png">')
    page = shown.show("wrong", wrong)
    assert page.evaluate(FAINT)["found"][0] == "high risk; read from a mocked synth at: 2.79"
    assert {"levels without a gap", "a header's scope and text"} <= set(page.evaluate(UNNAMED))
    assert len(shown.asked) == 2
