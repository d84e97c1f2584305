"""Gates of pipelines: operator, old and new number, and whether more gets through."""

from __future__ import annotations

from typing import Any

import pytest

from policies.data import UNKNOWN
from policies.review.compare import compare
from policies.review.parts import pipelines
from policies.review.report import Report, review
from tests.review.test_approval import resource
from tests.review.test_deltas import pipeline
from tests.review.test_who_gets_in import CONTEXT

AUC = {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.m"}, "Path": "auc"}}
REGISTER = {"Name": "Register", "Type": "RegisterModel", "Arguments": {}}
OTHER = {"Name": "Stop", "Type": "Fail", "Arguments": {}}


def condition(
    operator: str = "GreaterThanOrEqualTo", right: Any = 0.7, *, turned: bool = False
) -> dict[str, Any]:
    sides = [[OTHER], [REGISTER]] if turned else [[REGISTER], [OTHER]]
    compared = {"Type": operator, "LeftValue": AUC, "RightValue": right}
    return {"Name": "Good", "Type": "Condition", "Arguments": {
        "Conditions": [compared], "IfSteps": sides[0], "ElseSteps": sides[1]}}  # fmt: skip


def of(old: Any, new: Any) -> Report:
    change = compare("prod", [pipeline(old)], [pipeline(new)])
    return review(change, CONTEXT, (pipelines.part,))


@pytest.mark.parametrize(
    ("new", "risk", "says"),
    [
        (
            condition(right=0.6),
            "high",
            "GreaterThanOrEqualTo 0.7 -> GreaterThanOrEqualTo 0.6: more",
        ),
        (condition(right=0.8), "low", ""),
        (condition("GreaterThan"), "low", ""),
        (condition("LessThanOrEqualTo"), "high", "-> LessThanOrEqualTo 0.7: more gets through"),
        (condition("Equals"), "high", "-> Equals 0.7: more gets through"),
    ],
)
def test_a_condition_says_whether_more_gets_through(new: Any, risk: str, says: str) -> None:
    report = of(condition(), new)
    assert report.risk == risk
    assert says in " ".join(reason.message for reason in report.reasons)


def test_where_the_model_stands_behind_the_else_it_is_the_other_way_round() -> None:
    assert of(condition(turned=True), condition(right=0.8, turned=True)).risk == "high"
    assert of(condition(turned=True), condition(right=0.6, turned=True)).risk == "low"


def test_a_condition_that_goes_is_told_with_its_number() -> None:
    none = condition()
    none["Arguments"]["Conditions"] = []
    report = of(condition(), none)
    assert report.risk == "high" and "0.7 goes: more gets through" in report.reasons[0].message


def test_a_parameter_that_a_condition_reads_is_its_number() -> None:
    import json

    def with_default(value: float) -> Any:
        step = condition(right={"Get": "Parameters.Least"})
        made = pipeline(step)
        document = json.loads(made.inputs.value["pipelineDefinition"])
        document["Parameters"] = [{"Name": "Least", "Type": "Float", "DefaultValue": value}]
        return resource(made.type, pipelineDefinition=json.dumps(document))

    change = compare("prod", [with_default(0.7)], [with_default(0.5)])
    report = review(change, CONTEXT, (pipelines.part,))
    assert report.risk == "high"
    assert "0.7 (Parameters.Least) -> GreaterThanOrEqualTo 0.5" in report.reasons[0].message


def test_a_definition_that_becomes_unknown_takes_a_person() -> None:
    old = pipeline(condition())
    new = resource(old.type, pipelineDefinition=UNKNOWN)
    report = review(compare("prod", [old], [new]), CONTEXT, (pipelines.part,))
    assert report.decision == "needs review"
