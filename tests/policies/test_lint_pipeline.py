"""`plinth lint-pipeline FILE` and `plinth policy ENV`: the rules without a deployment."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from policies.config import PolicyConfig
from policies.lint import NoDefinition, line_of, lint, problems
from policies.offline import evaluate
from policies.rules import RULES
from stacks.cli import main
from stacks.commands import policy as commands
from tests.kits.executor import definition, processing

DEFINITIONS = Path("tests/data/definitions")
STRICT = PolicyConfig(production=True)


def linted(name: str) -> dict[str, str]:
    """Rule -> its result, for one of the definitions that somebody else might have written."""
    text = (DEFINITIONS / name).read_text()
    return {finding.rule_id: finding.status for finding in lint(text, name, STRICT)}


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    return int(caught.value.code or 0)


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(content: Any) -> str:
        path = tmp_path / "definition.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


@pytest.mark.parametrize("path", sorted(DEFINITIONS.glob("*.json")), ids=lambda path: path.stem)
def test_a_definition_of_somebody_else_is_judged_by_every_rule(path: Path) -> None:
    results = linted(path.name)
    assert "error" not in results.values(), results
    assert {"ML-PL-001", "ML-PL-007", "ML-TJ-001"} <= set(results)
    assert set(results.values()) >= {"pass", "fail"}


def test_three_shapes_of_definitions_are_there() -> None:
    assert {p.stem for p in DEFINITIONS.glob("*.json")} == {"abalone", "batch-transform", "tuning"}


def test_the_usual_example_has_an_evaluation_gate_and_no_data_gate() -> None:
    results = linted("abalone.json")
    assert (results["ML-PL-001"], results["ML-PL-002"], results["ML-PL-003"]) == (
        "fail",
        "pass",
        "fail",
    )
    assert results["ML-TJ-006"] == "unknown"  # a parameter chooses the instance type


def test_a_transform_is_asked_for_no_stopping_condition() -> None:
    results = linted("batch-transform.json")
    assert (results["ML-PL-006"], results["ML-PL-007"]) == ("pass", "pass")


def test_a_tuning_without_a_bound_in_time_fails() -> None:
    assert linted("tuning.json")["ML-TJ-009"] == "fail"


NO_DEFINITIONS = [
    ("{", "line 1, column 2 must be JSON"),
    ("[]", "must be a JSON object"),
    ("{}", "Steps must be a list, got none"),
    ({"Steps": {}}, "Steps must be a list, got an object"),
    ({"Steps": ["x"]}, "Steps[0] must be an object, got a text"),
    ({"Steps": [{"Type": "Fail"}]}, "Steps[0].Name must be a text, got none"),
    ({"Steps": [{"Name": 1, "Type": "Fail"}]}, "Steps[0].Name must be a text, got 1"),
    ({"Steps": [{"Name": "A", "Type": "Fail", "Arguments": []}]}, "Steps[0].Arguments must be an"),
    (
        {"Steps": [{"Name": "A", "Type": "Fail", "DependsOn": [7]}]},
        "Steps[0].DependsOn[0] must be the name of a step, got 7",
    ),
    (
        {"Steps": [{"Name": "A", "Type": "Condition", "Arguments": {"IfSteps": [{"Name": "B"}]}}]},
        "Steps[0].Arguments.IfSteps[0].Type must be a text, got none",
    ),
    ({"Parameters": [3], "Steps": []}, "Parameters[0] must be an object, got 3"),
    ("[" * 100_000, ""),
]


@pytest.mark.parametrize(("content", "says"), NO_DEFINITIONS)
def test_what_is_no_definition_is_refused_with_its_path(
    content: Any, says: str, written: Any, capsys: Any
) -> None:
    assert exit_code("lint-pipeline", written(content)) == 2
    assert says in capsys.readouterr().err
    text = content if isinstance(content, str) else json.dumps(content)
    with pytest.raises(NoDefinition):
        lint(text, "x", STRICT)


def test_all_that_is_misshapen_is_said_at_once() -> None:
    with pytest.raises(NoDefinition, match=r"Steps\[0\]\.Type .*; Steps\[1\]\.Name "):
        lint(json.dumps({"Steps": [{"Name": "A"}, {"Type": "Fail"}]}), "x", STRICT)


BROKEN = [
    (
        [
            {"Name": "A", "Type": "Fail", "DependsOn": ["B"]},
            {"Name": "B", "Type": "Fail", "DependsOn": ["A"]},
        ],
        "A -> B -> A must not wait for each other (Steps[0], Steps[1])",
    ),
    (
        [{"Name": "A", "Type": "Fail", "Arguments": {"ErrorMessage": {"Get": "Steps.Gone.X"}}}],
        "Steps[0].Arguments.ErrorMessage must name a step, got 'Steps.Gone.X'",
    ),
    ([{"Name": "A", "Type": "Fail", "DependsOn": ["B"]}], "Steps[0].DependsOn[0] must be a step"),
]


@pytest.mark.parametrize(("steps", "says"), BROKEN)
def test_a_cycle_or_a_dangling_reference_is_a_finding_that_blocks(
    steps: list[Any], says: str, written: Any, capsys: Any
) -> None:
    assert exit_code("lint-pipeline", written({"Steps": steps}), "--json") == 1
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    (problem,) = [p for p in result["problems"] if p["rule"] == "ML-PL-007"]
    assert says in problem["message"]
    assert problem["path"].startswith("Steps[0]")
    assert problem["blocks"]


def test_an_environment_says_how_strictly_its_rules_hold(written: Any) -> None:
    unbounded = definition(processing("A"))
    assert exit_code("lint-pipeline", written(unbounded), "--env", "local") == 0
    assert exit_code("lint-pipeline", written(unbounded), "--env", "prod") == 1


def test_sarif_names_the_line_of_each_problem(tmp_path: Path) -> None:
    output = tmp_path / "lint.sarif"
    source = DEFINITIONS / "abalone.json"
    arguments = ("--format", "sarif", "--output", str(output))
    assert exit_code("lint-pipeline", str(source), *arguments) == 1
    (run,) = json.loads(output.read_text())["runs"]
    (found,) = [result for result in run["results"] if result["ruleId"] == "ML-PL-003"]
    place = found["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == source.as_posix()
    line = source.read_text().splitlines()[place["region"]["startLine"] - 1]
    assert '"ModelApprovalStatus"' in line


def test_a_path_that_is_not_there_has_the_line_of_what_is_above_it() -> None:
    text = '{\n "Steps": [\n  {\n   "Name": "A"\n  }\n ]\n}'
    assert line_of(text, "Steps[0].Arguments.X") == 3
    assert line_of(text, "") == 1


def test_each_sentence_of_a_finding_is_a_problem_with_its_path() -> None:
    text = (DEFINITIONS / "abalone.json").read_text()
    found = [p for p in problems(lint(text, "x", STRICT)) if p.finding.rule_id == "ML-PL-006"]
    assert [problem.path for problem in found] == [
        "Steps[0].Arguments.StoppingCondition.MaxRuntimeInSeconds",
        "Steps[2].Arguments.StoppingCondition.MaxRuntimeInSeconds",
    ]


# plinth policy

STACK = "prod.foundation"
NOTEBOOK = f"urn:pulumi:{STACK}::plinth::aws:sagemaker/notebookInstance:NotebookInstance::n"


def state(**inputs: Any) -> dict[str, Any]:
    kept = {"urn": NOTEBOOK, "type": NOTEBOOK.split("::")[2], "inputs": inputs, "outputs": inputs}
    return {"version": 3, "deployment": {"resources": [kept]}}


def judged(capsys: Any, stack: str = STACK) -> dict[str, Any]:
    """What `--json` says of a stack; the sums are its own where it is the only one."""
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    said: dict[str, Any] = result["stacks"][stack]
    assert (result["counts"], result["blocking"]) == (said["counts"], said["blocking"])
    return said


def test_a_state_export_is_judged_and_named(written: Any, capsys: Any) -> None:
    assert exit_code("policy", STACK, "--state", written(state()), "--json") == 1
    result = judged(capsys)
    assert (result["source"], result["resources"]) == ("state export", 1)
    assert set(result["counts"]) == {
        "pass", "fail", "exempt", "not_applicable", "unknown", "error"
    }  # fmt: skip
    assert "ML-NB-001" in {finding["rule_id"] for finding in result["findings"]}


def test_a_preview_digest_is_judged_as_it_would_leave_the_stack(written: Any, capsys: Any) -> None:
    (kept,) = state()["deployment"]["resources"]
    steps = [{"op": "delete", "urn": NOTEBOOK, "oldState": kept}]
    exit_code("policy", STACK, "--digest", written({"steps": steps}), "--json")
    gone = judged(capsys)
    assert (gone["source"], gone["resources"]) == ("preview digest", 0)
    steps = [{"op": "create", "urn": NOTEBOOK, "newState": kept}]
    exit_code("policy", STACK, "--digest", written({"steps": steps}), "--json")
    made = judged(capsys)
    assert made["blocking"] > gone["blocking"]


def test_too_many_undecided_checks_stop_production_only(
    written: Any, capsys: Any, monkeypatch: Any
) -> None:
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    inputs = dict.fromkeys(("subnetId", "kmsKeyId"), unknown)
    asked = [rule for rule in RULES if rule.id in ("ML-NB-002", "ML-NB-004")]
    monkeypatch.setattr("policies.offline.evaluate", partial(evaluate, rules=asked))
    for env, most, code in (("prod", 0, 1), ("prod", 50, 0), ("local", 0, 0)):
        config = PolicyConfig(production=env == "prod", undecided_max=most)
        monkeypatch.setattr(commands, "policy_config", lambda settings, config=config: config)
        stack = f"{env}.foundation"
        urn = NOTEBOOK.replace(STACK, stack)
        step = {"op": "create", "urn": urn, "newState": {"inputs": inputs}}
        digest = written({"steps": [step]})
        assert exit_code("policy", stack, "--digest", digest, "--json") == code
        result = judged(capsys, stack)
        assert (result["counts"]["unknown"], result["blocking"]) == (2, 0)


@pytest.mark.parametrize("content", ["{", "[]", {}, {"deployment": {"resources": [1]}}])
def test_what_is_no_state_is_refused(content: Any, written: Any, capsys: Any) -> None:
    assert exit_code("policy", STACK, "--state", written(content)) == 2
    assert "pulumi stack export" in capsys.readouterr().err


def test_two_sources_at_once_are_refused(written: Any) -> None:
    path = written(state())
    assert exit_code("policy", STACK, "--state", path, "--digest", path) == 2
