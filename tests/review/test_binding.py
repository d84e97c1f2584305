"""An update that holds to its review: the same state, the same commit, or nothing happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.errors import CheckFailed, UserError
from stacks.commands import deploy
from stacks.commands.output import CommandOutput
from stacks.review.binding import binding, hold, read
from stacks.review.git import clean_commit
from tests.conftest import Clone


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
        hold(binding("c", deployment()), binding("c", deployment(**moved)), "prod")


def test_another_commit_than_the_reviewed_one_is_refused() -> None:
    with pytest.raises(CheckFailed, match="commit was one, is two"):
        hold(binding("one", {}), binding("two", {}), "prod")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"binding": {"commit": "c"}}'])
def test_a_report_that_binds_nothing_is_no_plan(text: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(UserError, match="JSON report of a review that asked the engine"):
        read(path)


def test_nothing_moves_before_the_plan_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Moved:
        env = "dev"

        def deployment(self) -> dict[str, Any]:
            return deployment(id="x")

        def run(self, *arguments: object) -> None:
            raise AssertionError("the engine ran")

    path = tmp_path / "report.json"
    path.write_text(json.dumps({"binding": binding(clean_commit(), deployment())}))
    monkeypatch.setattr(deploy, "cloud_stack", lambda env: Moved())
    with pytest.raises(CheckFailed, match="dev must be as it was reviewed"):
        deploy.up("dev", CommandOutput(as_json=True), plan=path)


@pytest.fixture
def deployed(clone: Clone) -> Clone:
    """The environment local, deployed in a clone of the checkout."""
    clone.ok("up", "local")
    return clone


@pytest.mark.e2e
def test_up_holds_to_a_review_on_local(deployed: Clone, tmp_path: Path) -> None:
    plan = tmp_path / "report.json"
    deployed.ok("review", "local", "--format", "json", "--output", str(plan))
    deployed.ok("up", "local", "--plan", str(plan))
    stale = json.loads(plan.read_text())
    stale["binding"]["state_sha256"] = "0" * 64
    plan.write_text(json.dumps(stale))
    refused = deployed.plinth("up", "local", "--plan", str(plan))
    assert refused.code == 1
    assert "must be as it was reviewed" in refused.err


@pytest.mark.e2e
def test_a_feature_that_changes_its_type_is_a_loss_to_the_engine_itself(deployed: Clone) -> None:
    path = deployed.root / "pipelines" / "steps" / "feature_groups.py"
    text = path.read_text()
    path.write_text(text.replace('"carrier": "String"', '"carrier": "Integral"', 1))
    try:
        done = deployed.plinth("review", "local", "--json")
    finally:
        path.write_text(text)
    rules = {reason["rule"] for reason in done.json["reasons"]}
    assert "RV-001" in rules
    assert done.json["tally"]["replace"] >= 1
