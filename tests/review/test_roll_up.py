"""The reviews of several environments side by side."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from policies.review.render import data
from policies.review.roll_up import by_stack, rolled
from stacks.cli import cli
from tests.kits.review import SCENARIOS, reviewed


def report(scenario: str, env: str) -> dict[str, Any]:
    made = replace(reviewed(SCENARIOS[scenario]), env=env)
    found = json.loads(data.render(made))
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def three() -> list[dict[str, Any]]:
    wanted = {"dev": "model-promotion", "staging": "model-promotion", "prod": "gpu-growth"}
    return [report(scenario, env) for env, scenario in wanted.items()]


def test_what_differs_between_environments_comes_first(three: list[dict[str, Any]]) -> None:
    section = rolled(three)
    assert section.columns == ("", "dev", "staging", "prod")
    rows = {row.cells[0]: (row.cells[1:], row.risk) for row in section.rows}
    assert rows["decision"] == (("needs review", "needs review", "blocked"), "high")
    assert rows["serves, by model"] == (("delay/7 to delay/8", "delay/7 to delay/8", ""), "medium")
    assert rows["sagemaker.Endpoint endpoint"] == (
        ("update endpointConfigName", "update endpointConfigName", ""), "medium",
    )  # fmt: skip
    assert rows["eks.NodeGroup gpu"] == (("", "", "update scalingConfig"), "medium")
    assert section.notes == [
        "0 changes are alike in dev, staging, prod; 4 are not in all or differ"
    ]


def test_a_change_that_is_the_same_everywhere_is_called_alike(three: list[dict[str, Any]]) -> None:
    section = rolled(three[:2])
    assert section.notes == ["3 changes are alike in dev, staging; 0 are not in all or differ"]
    assert {row.risk for row in section.rows} == {"low"}


def test_the_one_change_that_differs_stands_above_those_that_do_not(
    three: list[dict[str, Any]],
) -> None:
    other = json.loads(json.dumps(three[0])) | {"env": "prod"}
    model = next(c for c in other["sections"]["changes"]["resources"] if c["name"] == "model")
    model["operation"] = "update"
    changes = [row for row in rolled([three[0], other]).rows if row.cells[0].startswith("sage")]
    assert [(row.cells[0], row.risk) for row in changes] == [
        ("sagemaker.Model model", "medium"),
        ("sagemaker.Endpoint endpoint", "low"),
        ("sagemaker.EndpointConfiguration configuration", "low"),
    ]


def test_a_cost_that_nobody_could_tell_is_not_nothing(three: list[dict[str, Any]]) -> None:
    untold = json.loads(json.dumps(three[0]))
    del untold["sections"]["cost"]
    costs = next(row for row in rolled([untold, three[2]]).rows if row.cells[0] == "expected cost")
    assert costs.cells[1:] == ("not known", "+$0.00 a month")


def test_the_same_environment_twice_is_refused(three: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="of different environments, got dev, dev"):
        rolled([three[0], three[0]])


def test_the_review_of_a_whole_environment_is_refused(three: list[dict[str, Any]]) -> None:
    whole = {"name": "dev", "stacks": {"dev.cluster": three[0]}}
    with pytest.raises(ValueError, match="report 2 must be of one stack, got all of dev"):
        rolled([three[0], whole])


def test_what_the_stacks_of_an_environment_add_is_not_known_where_one_is_not() -> None:
    reports = [report("gpu-growth", "dev.cluster"), report("no-change", "dev.weather")]
    assert by_stack("dev", reports).rows[-1].cells[-1] == "+$0.00 a month"
    reports[1]["sections"] = {}
    assert by_stack("dev", reports).rows[-1].cells[-1] == "+$0.00 a month", "it does not change"
    del reports[0]["sections"]["cost"]
    assert by_stack("dev", reports).rows[-1].cells[-1] == "not known"


def test_the_command_writes_markdown_and_refuses_what_is_no_report(
    three: list[dict[str, Any]], tmp_path: Path
) -> None:
    files = []
    for number, one in enumerate(three):
        files.append(str(tmp_path / f"{number}.json"))
        Path(files[-1]).write_text(json.dumps(one))
    output = tmp_path / "roll-up.md"
    done = CliRunner().invoke(cli, ["compare-reviews", *files, "--output", str(output)])
    assert done.exit_code == 0, done.output
    assert "| | dev | staging | prod |" in output.read_text().replace("| |  |", "| |")
    shown = CliRunner().invoke(cli, ["compare-reviews", *files])
    assert "eks.NodeGroup gpu" in shown.output and "4 are not in all" in shown.output
    for text in ("[]", "{}", "x"):
        Path(files[0]).write_text(text)
        with pytest.raises(Exception, match="must be the JSON report of a review"):
            CliRunner().invoke(cli, ["compare-reviews", *files], catch_exceptions=False)
    with pytest.raises(Exception, match="must be a file, got No such file"):
        CliRunner().invoke(cli, ["compare-reviews", str(tmp_path / "none")], catch_exceptions=False)


def test_a_review_that_wants_no_approval_says_so() -> None:
    section = rolled([report("no-change", "dev")])
    assert ("approvals", "none wanted") in [row.cells for row in section.rows]
