"""An update that holds to its review: the same state, the same commit, or nothing happens."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.errors import CheckFailed, UserError
from stacks.commands import deploy
from stacks.commands.output import CommandOutput
from stacks.review.binding import binding, hold, read, refuse_blocked
from stacks.review.git import clean_commit
from stacks.stack_name import StackName, named


def deployment(**of_bucket: Any) -> dict[str, Any]:
    bucket = {"urn": "urn:b", "id": "b", "inputs": {"tags": {}}, "modified": "2026-01-01"}
    return {"manifest": {"time": "2026"}, "resources": [{"urn": "urn:a"}, {**bucket, **of_bucket}]}


def test_the_state_is_the_same_whatever_the_order_and_the_times() -> None:
    other = deployment(modified="2026-02-02")
    other["resources"].reverse()
    assert binding("c", other) == binding("c", deployment())


@pytest.mark.parametrize("moved", [{"id": "x"}, {"inputs": {"tags": {"a": "b"}}}, {"urn": "urn:c"}])
def test_a_state_that_moved_since_the_review_is_refused(moved: dict[str, Any]) -> None:
    with pytest.raises(CheckFailed, match="state_sha256 was"):
        hold(binding("c", deployment()), binding("c", deployment(**moved)), "prod.weather")


@pytest.mark.parametrize(("decision", "stops"), [("blocked", True), ("safe", False), (None, True)])
def test_a_blocked_review_is_no_plan(tmp_path: Path, decision: str | None, stops: bool) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"env": "prod.weather", "decision": decision}))
    refuse_blocked(path, ["prod.cluster"])
    if stops:
        with pytest.raises(CheckFailed, match="must let every stack be deployed"):
            refuse_blocked(path, ["prod.weather"])
    else:
        refuse_blocked(path, ["prod.weather"])


def test_another_commit_than_the_reviewed_one_is_refused() -> None:
    with pytest.raises(CheckFailed, match="commit was one, is two"):
        hold(binding("one", {}), binding("two", {}), "prod.weather")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"env": "e", "binding": {"commit": "c"}}', '{"stacks": {}}']
)
def test_a_report_that_binds_nothing_is_no_plan(text: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(UserError, match="JSON report of a review that asked the engine"):
        read(path)


FACTS = binding(clean_commit(), deployment())
ONE = {"env": "dev.weather", "decision": "safe", "binding": FACTS}
SEVERAL: dict[str, Any] = {
    "name": "dev",
    "stacks": {"dev.weather": ONE, "dev.cluster": {**ONE, "env": "x"}},
}


@pytest.mark.parametrize(
    ("report", "stacks"), [(ONE, ["dev.weather"]), (SEVERAL, ["dev.weather", "dev.cluster"])]
)
def test_a_plan_is_of_one_stack_or_of_several(
    report: dict[str, Any], stacks: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report))
    assert read(path) == dict.fromkeys(stacks, FACTS)


def test_a_plan_of_which_one_stack_is_not_bound_is_none(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    stacks = {**SEVERAL["stacks"], "dev.foundation": {"env": "dev.foundation"}}
    path.write_text(json.dumps({"stacks": stacks}))
    with pytest.raises(UserError, match="JSON report of a review that asked the engine"):
        read(path)


class Standing:
    """The work of `up`, whose engine has a state of its own for each stack and must not run."""

    report = CommandOutput(as_json=True)

    def __init__(self, name: str, **moved: str) -> None:
        self.stacks, self.moved, self.ran = named(name), moved, False
        self.target = self

    def engine(self, stack: StackName, report: CommandOutput) -> Any:
        found = deployment(**({"id": self.moved[stack.layer]} if stack.layer in self.moved else {}))
        return SimpleNamespace(deployment=lambda: found)

    def each(self, act: Any) -> Any:
        self.ran = True
        return {stack: {"changes": {}, "policy": {}} for stack in self.stacks}


def deployed_by_plan(
    monkeypatch: pytest.MonkeyPatch, folder: Path, report: dict[str, Any], name: str, **moved: str
) -> Standing:
    """What is left of an update of this name by this plan, where these stacks moved since."""
    path, work = folder / "report.json", Standing(name, **moved)
    path.write_text(json.dumps(report))
    monkeypatch.setattr(deploy, "prepared", lambda *about, **how: nullcontext(work))
    try:
        deploy.up(name, work.report, plan=path)
    except (CheckFailed, UserError):
        assert not work.ran
        raise
    return work


def all_of(env: str) -> dict[str, Any]:
    of_one = {"decision": "safe", "binding": FACTS}
    return {"stacks": {str(stack): of_one for stack in named(env)}}


def test_nothing_moves_before_the_plan_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckFailed, match=r"dev\.weather must be as it was reviewed"):
        deployed_by_plan(monkeypatch, tmp_path, ONE, "dev.weather", weather="x")
    with pytest.raises(CheckFailed, match=r"dev\.cluster must be as it was reviewed"):
        deployed_by_plan(monkeypatch, tmp_path, all_of("dev"), "dev", cluster="x")


def test_a_plan_of_an_environment_deploys_one_stack_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = all_of("dev")
    assert deployed_by_plan(monkeypatch, tmp_path, plan, "dev").ran
    assert deployed_by_plan(monkeypatch, tmp_path, plan, "dev.cluster", weather="x").ran


@pytest.mark.parametrize("name", ["dev", "dev.cluster", "prod.weather"])
def test_a_plan_of_another_stack_deploys_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="must be about every stack that is deployed"):
        deployed_by_plan(monkeypatch, tmp_path, ONE, name)
