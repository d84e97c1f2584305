"""What is served and what a pipeline runs: of which types a section tells, and what it leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from policies.review.elsewhere import TAKEN_APART
from tests.kits import generated
from tests.kits.each import each
from tests.review.test_creations import AWS, reviewed
from tests.review.test_open_world import loud
from tests.review.test_unsaid import risk

CONFIG = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
PIPELINE = "aws:sagemaker/pipeline:Pipeline"
GUARDED = {"deploymentConfig": {"autoRollbackConfiguration": {"alarms": [{"alarmName": "a"}]}}}


def job(**arguments: Any) -> dict[str, Any]:
    return {"Name": "Train", "Type": "Training", "Arguments": {
        "AlgorithmSpecification": {"TrainingImage": "r/a@sha256:1"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 50},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600}, **arguments}}  # fmt: skip


def gate(*inside: Mapping[str, Any]) -> dict[str, Any]:
    return {"Name": "Good", "Type": "Condition", "Arguments": {
        "Conditions": [{"Type": "GreaterThan", "LeftValue": 1, "RightValue": 0}],
        "IfSteps": list(inside), "ElseSteps": []}}  # fmt: skip


def definition(*steps: Mapping[str, Any], **more: Any) -> str:
    return json.dumps({"Version": "2020-12-01", "Steps": list(steps), **more})


def named(default: object) -> list[dict[str, Any]]:
    return [{"Name": "P", "Type": "Float", "DefaultValue": default}]


FIRST = {"Name": "Check", "Type": "Processing", "Arguments": {}}
WAITS = {**job(), "DependsOn": ["Check"]}

RUN_OTHERWISE = [
    (definition(job()), definition(job(StoppingCondition={"MaxRuntimeInSeconds": 432_000}))),
    (definition(job()), definition(job(AlgorithmSpecification={"TrainingImage": "r/b@sha256:2"}))),
    (definition(job()), definition(job(RoleArn="arn:aws:iam::333333333333:role/admin"))),
    (definition(job(EnableNetworkIsolation=True)), definition(job(EnableNetworkIsolation=False))),
    (definition(job(HyperParameters={"a": "0.1"})), definition(job(HyperParameters={"a": "9"}))),
    (definition(job(OutputDataConfig={"S3OutputPath": "s3://a"})),
     definition(job(OutputDataConfig={"S3OutputPath": "s3://b"}))),
    (definition(job()), definition(job(), {**job(), "Name": "More"})),
    (definition(FIRST, WAITS), definition(FIRST, job())),
    (definition(FIRST, job()),
     definition(FIRST, {**job(), "DependsOn": [{"Step": "Check", "Trigger": "Failed"}]})),
    (definition(job(), Parameters=named(0.8)), definition(job(), Parameters=named(0.79))),
    (definition(job(), Parameters=named("a")), definition(job(), Parameters=named("b"))),
    (definition(job(), PipelineExperimentConfig={"ExperimentName": "a"}),
     definition(job(), PipelineExperimentConfig={"ExperimentName": "b"})),
]  # fmt: skip

RUN_THE_SAME = [
    (definition(job()), json.dumps(json.loads(definition(job())), indent=2)),
    (definition(job()), definition({**job(), "DisplayName": "Train", "Description": "trains"})),
    (definition(job()), definition(job(Tags=[{"Key": "team", "Value": "ml"}]))),
    (definition(job()), definition(job(StoppingCondition={"MaxRuntimeInSeconds": 5400}))),
    (definition(job()), definition(job(), gate())),
    (definition(job(), Metadata={"by": "a"}), definition(job(), Metadata={"by": "b"})),
    (definition(FIRST, job()), definition(FIRST, WAITS)),
]


def of_each(body: str) -> list[tuple[str, dict[str, Any]]]:
    """The definition as either provider has it."""
    return [
        (PIPELINE, {"pipelineDefinition": body}),
        ("aws-native:sagemaker:Pipeline", {"pipelineDefinition": {"pipelineDefinitionBody": body}}),
    ]


@pytest.mark.parametrize(("old", "new"), RUN_OTHERWISE)
def test_what_a_step_runs_otherwise_asks_for_a_person(old: str, new: str) -> None:
    for (token, before), (_, after) in each(zip(of_each(old), of_each(new), strict=True)):
        assert risk(token, before, after) != "low"


@pytest.mark.parametrize(("old", "new"), RUN_THE_SAME)
def test_notes_sizes_and_more_gates_of_a_pipeline_are_quiet(old: str, new: str) -> None:
    for (token, before), (_, after) in each(zip(of_each(old), of_each(new), strict=True)):
        assert risk(token, before, after) == "low"


def test_a_definition_in_another_file_takes_a_person() -> None:
    sides = [{"pipelineDefinition": {"pipelineDefinitionS3Location": {"key": key}}} for key in "ab"]
    assert risk("aws-native:sagemaker:Pipeline", *sides) != "low"
    said = [{**sides[0], "pipelineDescription": text} for text in "ab"]
    assert risk("aws-native:sagemaker:Pipeline", *said) == "low"


@pytest.mark.parametrize("root", [*TAKEN_APART, "primaryContainer"])
@pytest.mark.parametrize("token", ["aws:new/thing:Thing", "aws-native:new:Thing", "x:y/z:W", ""])
def test_what_a_section_takes_apart_of_one_type_is_not_told_of_another(
    root: str, token: str
) -> None:
    tokens = [token] if token else [*TAKEN_APART.get(root, ()), "aws-native:sagemaker:Model"]
    for kind in tokens:
        for sides in (("a", "b"), [{"modelPackageName": x} for x in "ab"],
                      [[{"variantName": "v", "modelName": x}] for x in "ab"]):  # fmt: skip
            assert risk(kind, {root: sides[0]}, {root: sides[1]}) != "low", (kind, root, sides)


def answers(config: Mapping[str, Any] | None, old: str, new: str) -> dict[str, Any]:
    """An endpoint that names another configuration than before."""
    urn = f"{AWS}{ENDPOINT}::endpoint"
    states = [
        {**generated.state(urn, {"endpointConfigName": name, **GUARDED}),
         "propertyDependencies": {"endpointConfigName": [config["urn"]] if config else []}}
        for name in (old, new)
    ]  # fmt: skip
    return {"op": "update", "urn": urn, "oldState": states[0], "newState": states[1],
            "detailedDiff": {"endpointConfigName": {"kind": "update"}}}  # fmt: skip


def configuration(op: str, **differs: tuple[Any, Any]) -> dict[str, Any]:
    """A configuration whose variant differs, under another name."""
    urn = f"{AWS}{CONFIG}::config"
    base = {"variantName": "a", "modelName": "m", "instanceType": "ml.m5.large",
            "initialInstanceCount": 2, "initialVariantWeight": 1}  # fmt: skip
    old, new = (
        generated.state(urn, {"name": name, "productionVariants": [
            base | {key: pair[at] for key, pair in differs.items()}]})
        for at, name in enumerate(("c-1", "c-2"))
    )  # fmt: skip
    if op == "create":
        return {"op": op, "urn": urn, "newState": new}
    changed = ["name", "productionVariants"]
    return {"op": op, "urn": urn, "oldState": old, "newState": new, "replaceReasons": changed,
            "detailedDiff": {key: {"kind": "update-replace"} for key in changed}}  # fmt: skip


def test_an_endpoint_that_answers_by_another_configuration_is_told() -> None:
    urn = answers(None, "c-1", "c-2")["urn"]
    assert urn in loud(reviewed(answers(None, "c-1", "c-2")))
    made = configuration("create")
    assert urn in loud(reviewed(made, answers(made, "c-1", "c-2")))
    bigger = configuration("replace", initialInstanceCount=(2, 3))
    assert urn not in loud(reviewed(bigger, answers(bigger, "c-1", "c-2")))
    other = configuration("replace", modelName=("m", "n"))
    assert other["urn"] in loud(reviewed(other, answers(other, "c-1", "c-2")))
