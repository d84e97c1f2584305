"""The review of a whole environment: a line for each stack, a report about each that changes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.errors import UserError
from policies.data import Resource
from policies.review.model import StackChange
from stacks.cli import main
from stacks.commands import review as command
from stacks.review.binding import read
from stacks.stack_name import StackName, stacks_of
from tests.kits.review import SCENARIOS, changed

CHANGES = {"cluster": "gpu-growth", "flight_delay": "model-promotion", "weather": "endpoint-canary"}
"""Layer -> what happens to it; to the others, nothing does."""

HARMLESS = {"weather": "endpoint-canary"}
FACTS = {"commit": "c", "state_sha256": "s"}
COLUMNS = 80


class Told:
    """A comparison whose changes are scenarios."""

    happens: Mapping[str, str] = {}
    problem: UserError | None = None

    def __init__(self, name: str, progress: object, **asked: object) -> None:
        self.name = name

    def of(self, stack: StackName, settings: object) -> StackChange:
        return replace(
            changed(SCENARIOS[self.happens.get(stack.layer, "no-change")]), env=str(stack)
        )

    def beside(self, stack: StackName) -> Mapping[StackName, Sequence[Resource]]:
        if self.problem is not None:
            raise self.problem
        return {}

    def binding(self, stack: StackName) -> Mapping[str, str]:
        return {**FACTS, "state_sha256": str(stack)}


def reviewed(
    monkeypatch: pytest.MonkeyPatch, happens: Mapping[str, str], *arguments: str, **facts: Any
) -> int:
    """The exit code of `plinth review` where this happens to the layers of dev."""
    monkeypatch.setattr(command, "Comparison", type("Told", (Told,), {"happens": happens, **facts}))
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    with pytest.raises(SystemExit) as done:
        main(["review", *arguments])
    return int(done.value.code or 0)


def test_a_line_for_each_stack_comes_last_and_fits_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reviewed(monkeypatch, CHANGES, "dev") == 1
    shown = capsys.readouterr()
    head, _, table = shown.out.partition("5 stacks of dev\n")
    lines = [line.rstrip() for line in table.splitlines()]
    assert max(map(len, lines[:7])) <= COLUMNS  # a sentence wraps in a window alone
    assert [line.split("  ")[0] for line in lines[1:7]] == [*map(str, stacks_of("dev")), "dev"]
    rows = {line.split()[0]: line.split(maxsplit=1)[1].split("  ") for line in lines[1:7]}
    told = {name: [cell.strip() for cell in row if cell.strip()] for name, row in rows.items()}
    assert told["dev.foundation"] == ["no change", "low", "none"]
    assert told["dev.cluster"][:2] == ["blocked", "high"]
    assert told["dev.flight_delay"][1:3] == ["medium", "2 replace, 1 update"]
    assert told["dev"][0] == "blocked"
    assert told["dev"][2] == "2 replace, 3 update"
    assert "  approvals of dev.cluster: 2 of @example/ml-platform" in table
    verdicts = 2 * len(CHANGES)  # first and last line of each
    assert head.count(" for dev.") == verdicts, "what does not change needs no report"
    assert "the change of dev.cluster is blocked:\n  ML-K8-006 gpu: " in shown.err


def test_json_has_a_member_per_stack_that_is_a_plan(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "report.json"
    assert reviewed(monkeypatch, HARMLESS, "dev", "--json", "--output", str(path)) == 0
    printed, written = json.loads(capsys.readouterr().out), json.loads(path.read_text())
    assert printed == written
    assert (written["name"], written["env"], written["decision"]) == ("dev", "dev", "safe")
    assert list(written["stacks"]) == sorted(map(str, stacks_of("dev")))
    for name, report in written["stacks"].items():
        assert report["env"] == name
        assert report["decision"] == ("safe" if name == "dev.weather" else "no change")
    assert written["tally"]["update"] == written["stacks"]["dev.weather"]["tally"]["update"] == 1
    assert read(path) == {str(s): {**FACTS, "state_sha256": str(s)} for s in stacks_of("dev")}


def test_a_blocked_stack_blocks_the_environment_and_every_report_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    paths = [tmp_path / name for name in ("report.json", "report.md")]
    written = [argument for path in paths for argument in ("--output", str(path))]
    assert reviewed(monkeypatch, CHANGES, "dev", "--json", *written) == 1
    printed = json.loads(capsys.readouterr().out)
    assert (printed["decision"], printed["exit_code"]) == ("blocked", 1)
    assert printed["stacks"] == json.loads(paths[0].read_text())["stacks"]
    assert "### 🛑 dev: blocked, high risk" in paths[1].read_text()


def test_markdown_is_one_comment_with_a_table_and_the_stacks_that_change(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reviewed(monkeypatch, CHANGES, "dev", "--format", "markdown")
    text = capsys.readouterr().out
    assert text.startswith("<!-- plinth-review plinth/dev -->\n### 🛑 dev: blocked, high risk\n")
    assert text.count("<!--") == 1
    titles = [line.split()[2].rstrip(":") for line in text.splitlines() if line.startswith("### ")]
    assert titles == ["dev", "dev.cluster", "dev.flight_delay", "dev.weather"]
    assert "| 🟠 | dev.cluster | blocked | high | 1 update |" in text
    assert len(text.encode()) <= 65_536


def test_nothing_that_changes_is_said_in_one_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reviewed(monkeypatch, {}, "dev") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "5 stacks of dev"
    assert len(lines) == 2 + len(stacks_of("dev")) + 1


@pytest.mark.parametrize("option", ["--digest", "--drift", "--quotas"])
def test_a_file_about_one_stack_is_refused(
    option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "file.json"
    path.write_text("{}")
    assert reviewed(monkeypatch, {}, "dev", option, str(path)) == 2
    assert "must be about one stack, got environment dev" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["html", "sarif", "infracost"])
def test_a_format_of_one_stack_is_refused_before_anything_is_asked(
    form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reviewed(monkeypatch, {}, "dev", "--format", form) == 2
    error = capsys.readouterr().err
    assert f"must be one of terminal, markdown, json, got {form}" in error
    assert "mocked synth" not in error


def test_a_stack_that_is_broken_keeps_no_other_from_its_review(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = UserError("Pulumi.dev.cluster.yaml:3 must be a number")
    assert reviewed(monkeypatch, {}, "dev.weather", "--json", problem=problem) == 0
    [warning] = json.loads(capsys.readouterr().out)["warnings"]
    assert warning == f"what else is in dev is not counted: {problem.problem}"
