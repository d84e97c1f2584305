"""Pipelines of shell commands in a running local cloud, started and waited for."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.validate import ParamValidator

from stacks.local.aws.sagemaker.shapes import service
from tests.kits.executor import Json, definition
from tests.kits.local_cloud import ROLE, Cloud, until


def shell(name: str, command: str, *given: Any, **more: Any) -> Json:
    """A Processing step that runs a command of bash; `given` are its arguments."""
    arguments = {
        "RoleArn": ROLE,
        "AppSpecification": {
            "ImageUri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/ml:1",
            "ContainerEntrypoint": ["bash", "-c", command, "x"],
            **({"ContainerArguments": list(given)} if given else {}),
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 5,
            }
        },
        **more.pop("Arguments", {}),
    }
    return {"Name": name, "Type": "Processing", "Arguments": arguments, **more}


def create(sm: Any, name: str, *steps: Json, parameters: Sequence[Json] = ()) -> str:
    """A pipeline of these steps; its ARN."""
    text = json.dumps(definition(*steps, parameters=parameters))
    answer = sm.create_pipeline(PipelineName=name, RoleArn=ROLE, PipelineDefinition=text)
    return str(answer["PipelineArn"])


def start(sm: Any, name: str, **more: Any) -> str:
    """The ARN of a new execution."""
    return str(sm.start_pipeline_execution(PipelineName=name, **more)["PipelineExecutionArn"])


def function(cloud: Cloud, name: str, code: str) -> str:
    """A Python function; its ARN."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("main.py", code)
    made = cloud.client("lambda").create_function(
        FunctionName=name, Role=ROLE, Runtime="python3.13", Handler="main.handler", Timeout=20,
        Code={"ZipFile": packed.getvalue()},
    )  # fmt: skip
    return str(made["FunctionArn"])


def ended(sm: Any, arn: str) -> Mapping[str, Any]:
    """DescribePipelineExecution once it is over."""
    return until(
        lambda: sm.describe_pipeline_execution(PipelineExecutionArn=arn),
        "PipelineExecutionStatus",
    )


def execute(sm: Any, name: str, **more: Any) -> Mapping[str, Any]:
    """Start a pipeline and wait for its end."""
    return ended(sm, start(sm, name, **more))


def steps_of(sm: Any, arn: str) -> dict[str, Any]:
    """The steps of an execution by name, in the order in which they began."""
    answer = sm.list_pipeline_execution_steps(PipelineExecutionArn=arn, SortOrder="Ascending")
    return {step["StepName"]: step for step in answer["PipelineExecutionSteps"]}


def misfit(operation: str, answer: Mapping[str, Any]) -> str:
    """How an answer differs from the output shape that botocore has for it; empty if it fits."""
    shape = service().operation_model(operation).output_shape
    content = {key: value for key, value in answer.items() if key != "ResponseMetadata"}
    report = ParamValidator().validate(content, shape)
    return str(report.generate_report())
