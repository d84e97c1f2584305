"""Steps of an acceptance, and what becomes of them when one fails."""

from collections.abc import Mapping
from typing import Any

import pytest

from infra.errors import CheckFailed, UserError
from stacks.acceptance.journey import Step, page, unchanged, walk
from stacks.commands import accept
from stacks.commands.output import CommandOutput


def step(name: str, *, fails: bool = False, **more: Any) -> Step:
    def act() -> Mapping[str, Any]:
        if fails:
            raise CheckFailed(f"{name} must hold, got <b>nothing</b>", fix="mend it")
        return {"said": name}

    return Step(name=name, act=act, facts=lambda said: said, **more)


def outcomes(*steps: Step) -> dict[str, str]:
    return {done.name: done.outcome for done in walk(steps, lambda text: None)}


def test_all_steps_pass_in_their_order() -> None:
    done = walk([step("a"), step("b", makes=True), step("c", takes_down=True)], lambda text: None)
    assert [(one.name, one.outcome, one.facts) for one in done] == [
        ("a", "passed", {"said": "a"}),
        ("b", "passed", {"said": "b"}),
        ("c", "passed", {"said": "c"}),
    ]


def test_after_a_failure_only_what_takes_down_comes() -> None:
    assert outcomes(
        step("up", makes=True),
        step("run", fails=True),
        step("up again"),
        step("destroy", takes_down=True),
    ) == {"up": "passed", "run": "failed", "up again": "not run", "destroy": "passed"}


def test_what_failed_half_way_is_taken_down_too() -> None:
    assert outcomes(
        step("up", makes=True, fails=True),
        step("destroy", takes_down=True),
        step("undo", takes_down=True),
    ) == {"up": "failed", "destroy": "passed", "undo": "passed"}


def test_nothing_is_destroyed_where_nothing_was_made() -> None:
    assert outcomes(
        step("look", fails=True), step("up", makes=True), step("destroy", takes_down=True)
    ) == {"look": "failed", "up": "not run", "destroy": "not run"}


def test_an_error_of_ours_is_no_outcome() -> None:
    def act() -> Mapping[str, Any]:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        walk([Step(name="up", act=act)], lambda text: None)
    said: list[str] = []
    left = [step("run"), step("destroy", takes_down=True), step("undo", takes_down=True)]
    with pytest.raises(KeyError):
        walk([Step(name="up", act=act, makes=True), *left], said.append)
    assert said == ["up", "destroy", "undo"]


def test_a_second_update_must_change_nothing() -> None:
    counts = {"create": 0, "update": 2, "replace": 1, "same": 7}
    with pytest.raises(CheckFailed, match="must change nothing, got 2 update, 1 replace"):
        unchanged({"changes": counts})
    assert unchanged({"changes": {"update": 0, "same": 7}}) == {"same": 7}


def test_the_page_shows_a_steps_rows_each_value_with_its_column() -> None:
    rows = [{"operation": "ec2.DescribeVpcs", "local": "text", "here": "<nothing>"}]
    asked = Step(name="answers", act=lambda: {"all": rows}, rows=lambda said: said["all"])
    text = page("Acceptance", {}, walk([asked], lambda text: None))
    assert "<h2>answers</h2>" in text
    assert '<td data-name="local">text<td data-name="here">&lt;nothing&gt;' in text


def test_the_page_shows_every_step_and_escapes_what_they_said() -> None:
    done = walk([step("up", makes=True), step("run", fails=True)], lambda text: None)
    shown = page("Acceptance of dev", {"account": "<123>"}, done)
    assert "run must hold, got &lt;b&gt;nothing&lt;/b&gt;" in shown
    assert "&lt;123&gt;" in shown
    assert "<b>" not in shown
    assert shown.count("<tr>") == 1 + 2
    assert "src=" not in shown
    assert "href=" not in shown


def test_a_protected_environment_is_not_accepted() -> None:
    with pytest.raises(UserError, match="prod must not be protected") as refused:
        accept.accept("prod", CommandOutput(as_json=True), yes=True, output=None)
    assert "environment of its own" in refused.value.fix


def test_without_a_yes_it_says_what_it_costs_and_makes_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = CommandOutput(as_json=False)
    with pytest.raises(UserError, match=r"account 111111111111 .* expected \$[\d,]{3,}"):
        accept.accept("dev", report, yes=False, output=None)
    listed = capsys.readouterr().out.splitlines()
    assert listed[0] == "bootstrap"
    assert listed[-2:] == ["destroy", "undo bootstrap"]
    wanted = [
        "up",
        "verify",
        "second up",
        "run dev.weather ingest",
        "run dev.flight_delay training",
    ]
    places = [listed.index(name) for name in [*wanted, "up with the models"]]
    assert places == sorted(places)
