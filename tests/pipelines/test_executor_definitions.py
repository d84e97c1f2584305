"""Definitions that the executor must refuse, each problem named with its path."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.executor import grammar as g
from pipelines.executor.parameters import check as check_parameters
from pipelines.executor.plan import validate
from tests.kits.executor import (
    PARAMETERS,
    REPORT,
    ROLE,
    YES,
    Json,
    compare,
    condition,
    definition,
    fail,
    json_get,
    processing,
    training,
)


def step_with(**changes: Any) -> Json:
    return definition(processing("A") | changes, parameters=PARAMETERS)


def environment(value: Any) -> Json:
    return definition(
        processing("A", Arguments={"Environment": {"X": value}}), parameters=PARAMETERS
    )


def on(**cluster: Any) -> Json:
    step = processing("A")
    step["Arguments"]["ProcessingResources"]["ClusterConfig"].update(cluster)
    return definition(step, parameters=PARAMETERS)


PROBLEMS: dict[str, tuple[Any, str]] = {
    "no instance type": (
        on(InstanceType="ml.m5.lage"),
        "ClusterConfig.InstanceType must be a ProcessingInstanceType, such as ml.m5.large, ",
    ),
    "no instance": (on(InstanceCount=0), "ClusterConfig.InstanceCount must be at least 1"),
    "no object": ([], "definition must be an object"),
    "version": (definition(processing("A")) | {"Version": "1"}, "Version must be"),
    "unknown member": (definition(processing("A")) | {"Extra": 1}, "Extra is not a member"),
    "steps": (definition() | {"Steps": {}}, "Steps must be a list"),
    "no type": (step_with(Type="Procesing"), "Steps[0].Type must be one of AutoML, Callback"),
    "a type with its reason": (
        step_with(Type="AutoML"),
        "Steps[0].Type 'AutoML' is not emulated: nothing here searches for models by itself",
    ),
    "name": (step_with(Name="a b"), "Steps[0].Name must be up to 64 letters"),
    "member": (step_with(Other=1), "Steps[0].Other is not emulated for a Processing step"),
    "retries": (step_with(RetryPolicies={}), "Steps[0].RetryPolicies must be a list"),
    "retry": (step_with(RetryPolicies=[1]), "Steps[0].RetryPolicies[0] must be an object, got 1"),
    "retry of nothing": (
        step_with(RetryPolicies=[{"MaxAttempts": 2}]),
        "Steps[0].RetryPolicies[0].ExceptionType must be a list of SageMaker.CAPACITY_ERROR",
    ),
    "retry of what does not exist": (
        step_with(RetryPolicies=[{"ExceptionType": ["AlgorithmError"]}]),
        "Steps[0].RetryPolicies[0].ExceptionType must be a list of SageMaker.CAPACITY_ERROR",
    ),
    "retry member": (
        step_with(RetryPolicies=[{"ExceptionType": ["Step.THROTTLING"], "Attempts": 2}]),
        "Steps[0].RetryPolicies[0].Attempts is not a member of a retry policy",
    ),
    "retry bound": (
        step_with(RetryPolicies=[{"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 21}]),
        "Steps[0].RetryPolicies[0].MaxAttempts must be a number from 0 to 20, got 21",
    ),
    "retry by count and by time": (
        step_with(
            RetryPolicies=[
                {"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 2, "ExpireAfterMin": 5}
            ]
        ),
        "Steps[0].RetryPolicies[0] must have one of MaxAttempts, ExpireAfterMin, got both",
    ),
    "retry of what cannot be": (
        definition(fail("A") | {"RetryPolicies": []}),
        "Steps[0].RetryPolicies is not emulated for a Fail step",
    ),
    "a long failure": (
        definition(fail("A") | {"Arguments": {"ErrorMessage": "x" * 3073}}),
        "Steps[0].Arguments.ErrorMessage must be text of up to 3072 characters, got 'xxx",
    ),
    "retry reference": (
        step_with(
            RetryPolicies=[
                {
                    "ExceptionType": ["Step.THROTTLING"],
                    "IntervalSeconds": {"Get": "Parameters.Days"},
                }
            ]
        ),
        "Steps[0].RetryPolicies[0].IntervalSeconds must be a number from 0 to 43200, got {",
    ),
    "duplicate": (
        definition(processing("A"), condition("If", [YES], [processing("A")])),
        "Steps[1].Arguments.IfSteps[0].Name 'A' is used by another step",
    ),
    "dangling need": (
        definition(processing("A", "B")),
        "Steps[0].DependsOn[0]: step 'B' is not in the definition",
    ),
    "a condition with more": (
        definition(condition("If", [YES | {"Values": [1]}])),
        "Conditions[0].Values is not a member of a condition of type Equals",
    ),
    "a condition of lists": (
        definition(condition("If", [YES | {"LeftValue": [1]}])),
        "Conditions[0].LeftValue must be a scalar or a variable, got [1]",
    ),
    "needs as text": (
        definition(processing("A"), processing("B") | {"DependsOn": "A"}),
        "Steps[1].DependsOn must be a list, got 'A'",
    ),
    "property files as an object": (
        step_with(PropertyFiles={"PropertyFileName": "R"}),
        "Steps[0].PropertyFiles must be a list, got {'PropertyFileName': 'R'}",
    ),
    "a property file twice": (
        step_with(PropertyFiles=[*REPORT, *REPORT]),
        "Steps[0].PropertyFiles[1].PropertyFileName 'F' is declared twice",
    ),
    "after the end": (
        definition(fail("A"), processing("B", "A")),
        "Steps[1].DependsOn[0]: no step comes after the Fail step 'A': it ends the execution",
    ),
    "trigger": (
        definition(
            processing("B"), processing("A") | {"DependsOn": [{"Step": "B", "Trigger": "Some"}]}
        ),
        "Steps[1].DependsOn[0].Trigger must be one of Completed, Failed, Stopped, Any, got 'Some'",
    ),
    "cycle": (
        definition(processing("A", "B"), processing("B", "A")),
        "steps need each other in a cycle: ",
    ),
    "both branches": (
        definition(condition("If", [YES], [processing("A")], [processing("B", "A")])),
        "Steps[0].Arguments.ElseSteps[0]: can never run",
    ),
    "parameter": (
        environment({"Get": "Parameters.Nope"}),
        "Steps[0].Arguments.Environment.X: parameter 'Nope' is not declared",
    ),
    "scope": (environment({"Get": "Secrets.X"}), "Environment.X: reference 'Secrets.X' must start"),
    "execution": (environment({"Get": "Execution.X"}), "execution variable 'X' is not one of"),
    "reference": (environment({"Get": 1}), "Environment.X: a reference must be text"),
    "function": (environment({"Std:Len": 1}), "function 'Std:Len' is not one of"),
    "join": (environment({"Std:Join": {"Values": [None]}}), "Std:Join.Values[0]: must be a scalar"),
    "wrong type": (
        environment({"Get": "Parameters.Days"}),
        "Environment.X: cannot assign 'Parameters.Days' of type integer",
    ),
    "wrong literal": (environment(3), "Environment.X must be of type string, got 3"),
    "argument": (
        definition(processing("A", Arguments={"Image": "x"})),
        "Steps[0].Arguments.Image is not a member of CreateProcessingJobRequest",
    ),
    "missing argument": (
        step_with(Arguments={"RoleArn": ROLE}),
        "Steps[0].Arguments.AppSpecification is missing",
    ),
    "answer": (
        definition(processing("A"), training("T", uri={"Get": "Steps.A.Nope"})),
        "DescribeProcessingJob answers no 'Nope'",
    ),
    "property file": (
        definition(processing("A"), condition("If", [compare(json_get("x"), "Equals", 1)])),
        "step 'A' has no property file 'F'",
    ),
    "output": (
        step_with(PropertyFiles=[REPORT[0] | {"OutputName": "x"}]),
        "Steps[0].PropertyFiles[0].OutputName 'x' is no output of the step",
    ),
    "path": (
        definition(
            processing("A", PropertyFiles=REPORT),
            condition("If", [compare(json_get("a..b"), "Equals", 1)]),
        ),
        "Steps[1].Arguments.Conditions[0].LeftValue.Std:JsonGet.Path: path 'a..b' cannot be read",
    ),
    "comparison": (
        definition(condition("If", [{"Type": "Near"}])),
        "Steps[0].Arguments.Conditions[0].Type must be one of",
    ),
    "half a comparison": (
        definition(condition("If", [{"Type": "Not", "Condition": {"Type": "Equals"}}])),
        "Steps[0].Arguments.Conditions[0].Condition.LeftValue is missing",
    ),
    "parameter name": (
        definition(processing("A"), parameters=[PARAMETERS[0] | {"Name": "a b"}]),
        "Parameters[0].Name must be up to 256 letters, digits, - or _, got 'a b'",
    ),
    "display name": (
        step_with(DisplayName="x" * 257),
        "Steps[0].DisplayName must be text of up to 256 characters",
    ),
    "description": (step_with(Description=3), "Steps[0].Description must be text of up to 3072"),
    "default": (
        definition(processing("A"), parameters=[PARAMETERS[0] | {"DefaultValue": "x"}]),
        "Parameters[0].DefaultValue must be of type Integer, got 'x'",
    ),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_a_problem_is_named_with_its_path(case: str) -> None:
    broken, expected = PROBLEMS[case]
    assert [problem for problem in validate(broken) if expected in problem], validate(broken)


def test_wrong_parameters_are_refused_before_anything_runs() -> None:
    whole = definition(
        processing("A"), parameters=[*PARAMETERS, {"Name": "Must", "Type": "String"}]
    )
    given_values = {"Days": "x", "Commit": "zzz", "Nope": "1", "Auc": "nan"}
    problems = check_parameters(whole, given_values)
    assert [problem.split("'")[1] for problem in problems] == [
        "Nope",
        "Days",
        "Auc",
        "Commit",
        "Must",
    ]


VALID = json.dumps(
    definition(
        processing(
            "A", PropertyFiles=REPORT, RetryPolicies=[{"ExceptionType": ["Step.THROTTLING"]}]
        ),
        training(
            "T", uri={"Get": "Steps.A.ProcessingOutputConfig.Outputs['report'].S3Output.S3Uri"}
        ),
        condition("If", [compare(json_get("x"), "Equals", 1)], [fail("Bad")], needs=["T"]),
        parameters=PARAMETERS,
    )
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Get", "Std:Join", "Values", "Type", "Name"]), inner)
    ),
    max_leaves=5,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container and key inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = [(value, key) for key, _ in items]
    for container, key in list(found):
        if isinstance(container[key], dict | list):
            found += places(container[key])
    return found


@settings(max_examples=150, derandomize=True)
@given(st.data())
def test_a_mutated_definition_never_crashes_validate(data: st.DataObject) -> None:
    broken = json.loads(VALID)
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(places(broken)))
        if data.draw(st.booleans()):
            container[key] = data.draw(JUNK)
        elif isinstance(container, dict):
            container.pop(key)
        if not places(broken):
            break
    assert {isinstance(problem, str) for problem in validate(broken)} <= {True}


def test_deep_nesting_is_a_problem_and_not_a_crash() -> None:
    bomb: Any = "x"
    for _ in range(500):
        bomb = [{"a": bomb}]
    nested = definition(processing("A", Arguments={"Environment": bomb}))
    assert any("nested deeper" in problem for problem in validate(nested))
    step = condition("C0", [YES])
    for index in range(1, 200):
        step = condition(f"C{index}", [YES], [step])
    assert any("nested deeper" in problem for problem in validate(definition(step)))


def test_a_path_is_read_in_all_of_its_spellings() -> None:
    spellings = ("a.b[0]", "$.a['b'][0]", '["a"].b[0]', "$['a']['b'][0]")
    assert {g.json_path(text) for text in spellings} == {("a", "b", 0)}
    assert g.json_path("$") == ()
