"""What SageMaker's CreatePipeline refuses, `plinth lint-pipeline` says first: one validator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.executor.plan import refused, validate
from stacks.cli import main
from tests.kits.executor import condition, definition, processing

FLOAT = [{"Name": "F", "Type": "Float", "DefaultValue": 0.5}]
METRIC = {"Get": "Steps.A.PropertyFiles.R"}
WRITES = {
    "AppSpecification": {"ImageUri": "i", "ContainerEntrypoint": ["python3"]},
    "ProcessingOutputConfig": {
        "Outputs": [
            {"OutputName": "out", "S3Output": {"S3Uri": "s3://b/o", "S3UploadMode": "EndOfJob"}}
        ]
    },
}


def step(name: str = "A", **changes: Any) -> Any:
    return processing(name) | changes


def arguments(**changes: Any) -> Any:
    made = processing("A")
    return {**made, "Arguments": {**made["Arguments"], **changes}}


def program(*told: Any) -> Any:
    application = {"ImageUri": "i", "ContainerEntrypoint": ["x"], "ContainerArguments": list(told)}
    return arguments(AppSpecification=application)


def training(value: str) -> Any:
    return {
        "Name": "T",
        "Type": "Training",
        "Arguments": {
            "AlgorithmSpecification": {"TrainingImage": "i", "TrainingInputMode": "File"},
            "HyperParameters": {"long": value},
            "OutputDataConfig": {"S3OutputPath": "s3://b/m"},
            "RoleArn": "arn:aws:iam::123456789012:role/job",
        },
    }


def read(path: Any) -> Any:
    """A condition on a property file of step A."""
    left = {"Std:JsonGet": {"PropertyFile": METRIC, "Path": path}}
    return condition("C", [{"Type": "Equals", "LeftValue": left, "RightValue": 1}])


FILES = [{"PropertyFileName": "R", "OutputName": "out", "FilePath": "e.json"}]
GOOD = {**arguments(**WRITES), "PropertyFiles": FILES}

REFUSED: dict[str, tuple[Any, str]] = {
    "a float in an argument": (definition(program({"Get": "Parameters.F"}), parameters=FLOAT),
        "ContainerArguments[0]: cannot assign 'Parameters.F' of type float"),
    "a number in an argument": (definition(program(3)), "must be of type string, got 3"),
    "an argument too long": (definition(program("x" * 260)), "at most 256 characters, got 260"),
    "a hyperparameter too long": (definition(training("x" * 2501)), "at most 2500 characters"),
    "Not with Expression": (
        definition(condition("C", [{"Type": "Not", "Expression": {"Type": "Equals"}}])),
        "Conditions[0].Condition is missing"),
    "a Join as JSON path": (
        definition(GOOD, read({"Std:Join": {"On": ".", "Values": ["a", "b"]}})),
        "Std:JsonGet must hold Path (text)"),
    "a property file of no output": (
        definition({**GOOD, "PropertyFiles": [{**FILES[0], "OutputName": "other"}]}),
        "PropertyFiles[0].OutputName 'other' is no output of the step"),
    "a property file that is not there": (
        definition({**GOOD, "PropertyFiles": []}, read("a")), "has no property file 'R'"),
    "21 attempts": (
        definition(step(RetryPolicies=[{"ExceptionType": ["Step.THROTTLING"],
                                        "MaxAttempts": 21}])), "must be a number from 0 to 20"),
    "a name with a space": (definition(step("a b")), "Steps[0].Name must be up to 64 letters"),
    "a name too long": (definition(step("a" * 65)), "Steps[0].Name must be up to 64 letters"),
    "a name twice": (definition(step(), step()), "'A' is used by another step"),
    "a cycle": (
        definition(step("A", DependsOn=["B"]), step("B", DependsOn=["A"])), "need each other"),
    "a dangling reference": (
        definition(program({"Get": "Steps.Gone.ProcessingJobArn"})), "'Gone' is not in the"),
    "an answer that is not there": (
        definition(step(), step("B", Arguments=program({"Get": "Steps.A.Model"})["Arguments"])),
        "answers no 'Model'"),
    "a parameter that nobody declared": (
        definition(program({"Get": "Parameters.Gone"})), "parameter 'Gone' is not declared"),
    "a default of another type": (
        definition(step(), parameters=[{**FLOAT[0], "DefaultValue": "half"}]), "of type Float"),
    "a type that is none": (definition(step(Type="Procesing")), "Steps[0].Type must be one of"),
    "an argument that is missing": (
        definition({**step(), "Arguments": {}}), "CreateProcessingJob requires it"),
    "a version that is none": ({**definition(step()), "Version": "1"}, "Version must be"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_createpipeline_refuses_is_said_first_and_exits_1(
    name: str, tmp_path: Path, capsys: Any
) -> None:
    written, says = REFUSED[name]
    assert [fault for fault in refused(written) if says in fault], refused(written)
    path = tmp_path / "definition.json"
    path.write_text(json.dumps(written))
    for more in ((), ("--json",)):
        with pytest.raises(SystemExit) as ended:
            main(["lint-pipeline", str(path), "--env", "local", *more])
        assert ended.value.code == 1
    told = capsys.readouterr().out
    assert told.startswith("refused ")
    result = json.loads(told.splitlines()[-1])
    assert [fault["message"] for fault in result["refused"]] == refused(written)


def test_a_good_definition_has_no_faults() -> None:
    assert refused(definition(GOOD, read("a.b[0]"))) == []


@pytest.mark.parametrize(
    "step",
    [step(CacheConfig={"Enabled": True, "ExpireAfter": "30d"}), step(Type="EMR"),
     step(DependsOn=[{"Step": "B", "Trigger": "Any"}])],
)  # fmt: skip
def test_what_only_the_executor_lacks_is_no_fault_of_the_definition(step: Any) -> None:
    told = definition(step, processing("B"))
    assert validate(told) != [] and refused(told) == []


def test_sarif_has_the_faults_with_their_lines(tmp_path: Path) -> None:
    path, output = tmp_path / "definition.json", tmp_path / "lint.sarif"
    path.write_text(json.dumps(REFUSED["a name with a space"][0], indent=1))
    with pytest.raises(SystemExit):
        main(["lint-pipeline", str(path), "--format", "sarif", "--output", str(output)])
    (run,) = json.loads(output.read_text())["runs"]
    first = run["results"][0]
    assert (first["ruleId"], first["level"]) == ("CreatePipeline", "error")
    line = first["locations"][0]["physicalLocation"]["region"]["startLine"]
    assert '"a b"' in path.read_text().splitlines()[line - 1]
