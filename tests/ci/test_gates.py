"""What a deployment waits for, and what is said of what drifted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.kits.fake_github import REPOSITORY, recorded, serving

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / ".ci"))  # its scripts import each other by name, as they do in CI

import drift  # noqa: E402
import gate  # noqa: E402
import touched  # noqa: E402
import verdict  # noqa: E402
from github import GitHub  # noqa: E402

STACKS = ["dev.weather", "prod.foundation"]


@pytest.mark.parametrize(
    ("found", "issues", "done", "calls"),
    [
        ({"dev.weather": "", "prod.foundation": "- queue"}, [], "opened", ["POST /issues"]),
        ({"dev.weather": "", "prod.foundation": "- queue"}, "recorded", "changed",
         ["PATCH /issues/7"]),
        ({"dev.weather": "", "prod.foundation": ""}, "recorded", "closed", ["PATCH /issues/7"]),
        ({"dev.weather": "", "prod.foundation": ""}, [], "left alone", []),
        ({"dev.weather": ""}, "recorded", "left alone", []),  # nobody knows about the other
    ],
)  # fmt: skip
def test_one_issue_says_what_drifted(
    found: dict[str, str], issues: Any, done: str, calls: list[str]
) -> None:
    listed = recorded("issues") if issues == "recorded" else []
    with serving({"/issues": listed}) as server:
        github = GitHub(server.url, REPOSITORY, "token")
        assert drift.settle(github, found, STACKS) == done
        assert [f"{method} {path}" for method, path, _ in server.written] == calls


def test_an_issue_shows_what_drifted_as_text() -> None:
    shown = drift.body({"prod.foundation": "\x1b[31m~ a\x1b[0m\n```\n@all"}, ["dev.weather"])
    assert "#### prod.foundation\n\n```\n~ a\n'''\n@all\n```" in shown
    assert "Not looked at: dev.weather" in shown


def test_an_issue_has_room_for_every_stack() -> None:
    shown = drift.body({str(stack): "~ ä" * 20_000 for stack in touched.known(ROOT)}, [])
    assert len(shown.encode()) < 65_536
    assert shown.count("#### ") == len(touched.known(ROOT)) > 10


WEATHER = touched.Stack("prod", "weather")


def report(
    env: str = "prod.weather", decision: str = "safe", risk: str = "low", *, alone: object = True
) -> dict[str, object]:
    approval = {"auto_approvable": alone}
    return {"env": env, "decision": decision, "risk": risk, "approval": approval}


@pytest.mark.parametrize(
    ("text", "gate_"),
    [
        (json.dumps(report()), "prod-weather-low"),
        (json.dumps(report(alone=False)), "prod-weather-medium"),
        (json.dumps(report(alone="true")), "prod-weather-medium"),
        (json.dumps({**report(), "approval": None}), "prod-weather-medium"),
        (json.dumps(report(decision="no change", alone=False)), "prod-weather-low"),
        (json.dumps(report(decision="needs review", risk="high")), "prod-weather-high"),
        (json.dumps(report(decision="no change")), "prod-weather-low"),
        (json.dumps(report(env="dev.weather")), "prod-weather-critical"),
        (json.dumps(report(risk="none\nx=y")), "prod-weather-critical"),
        (json.dumps(report(decision="sure")), "prod-weather-critical"),
        ("[]", "prod-weather-critical"),
        ("", "prod-weather-critical"),
    ],
)
def test_a_risk_class_is_a_gate_and_what_cannot_be_read_is_critical(text: str, gate_: str) -> None:
    assert gate.gates([WEATHER], text) == [gate_]


def test_every_stack_of_an_environment_has_a_gate_of_its_own() -> None:
    foundation, cluster = (touched.Stack("prod", layer) for layer in touched.PLATFORM)
    members = {
        "prod.foundation": report("prod.foundation", "needs review", "critical"),
        "prod.weather": report(),
    }
    found = gate.gates([foundation, cluster, WEATHER], json.dumps({"stacks": members}))
    assert found == ["prod-foundation-critical", "prod-cluster-critical", "prod-weather-low"]


def test_a_blocked_change_has_no_gate() -> None:
    with pytest.raises(SystemExit, match="blocked"):
        gate.gates([WEATHER], json.dumps(report(decision="blocked", risk="critical")))
    members = {"prod.weather": report(decision="blocked")}
    with pytest.raises(SystemExit, match=r"prod\.weather is blocked"):
        gate.gates([WEATHER], json.dumps({"stacks": members}))


def protected(*teams: str) -> dict[str, Any]:
    rules = [{"type": "required_reviewers", "reviewers": list(teams)}] if teams else []
    return {"protection_rules": [*rules, {"type": "wait_timer"}]}


@pytest.mark.parametrize(
    ("answers", "stops"),
    [
        ({}, True),
        ({"/environments/prod-weather-high": protected()}, True),
        ({"/environments/prod-weather-high": protected("leads")}, False),
    ],
)
def test_a_gate_without_reviewers_lets_nobody_through(answers: dict[str, Any], stops: bool) -> None:
    text = json.dumps(report(decision="needs review", risk="high"))
    with serving(answers) as fake:
        github = GitHub(fake.url, REPOSITORY, "token")
        if stops:
            with pytest.raises(SystemExit, match="prod-weather-high must have required reviewers"):
                gate.main("prod.weather", text, github=github)
        else:
            assert "prod-weather-high" in gate.main("prod.weather", text, github=github)
        low = json.dumps(report())
        assert gate.main("prod.weather", low, github=github) == 'gates=["prod-weather-low"]'


@pytest.mark.parametrize("decision", ["blocked", "sure", None])
def test_a_blocked_review_fails_the_check(decision: str | None, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for fine in ("safe", "needs review", "no change"):
        path.write_text(json.dumps({"decision": fine, "headline": "h"}))
        assert verdict.main(path) == "h"
    path.write_text(json.dumps({"decision": decision, "headline": "a\x1bb"}))
    with pytest.raises(SystemExit, match="ab"):
        verdict.main(path)
    path.write_text("[]")
    with pytest.raises(SystemExit, match="must be the report"):
        verdict.main(path)


def test_gates_are_one_output_of_a_step() -> None:
    assert gate.main("prod.weather", "") == 'gates=["prod-weather-critical"]'
    with pytest.raises(SystemExit, match="NAME must be one of dev, prod, staging"):
        gate.main("prod\ngates=[]", "{}")


@pytest.mark.parametrize(("code", "left"), [(0, ""), (7, "~ queue\n"), (1, None)])
def test_drift_that_nobody_could_look_for_leaves_no_file(
    code: int, left: str | None, tmp_path: Path
) -> None:
    fake = tmp_path / "pulumi"
    fake.write_text(f"#!/bin/sh\necho '~ queue'\nexit {code}\n")
    fake.chmod(0o755)
    path = tmp_path / "drift" / "dev.weather.txt"
    done = subprocess.run(
        [ROOT / ".ci" / "drifted", "dev.weather", path.parent],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        check=False,
    )
    assert (path.read_text() if path.exists() else None) == left
    assert done.returncode == (1 if left is None else 0)
