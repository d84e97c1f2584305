"""What the sample notebooks' pipelines are built of: steps of a line or two, and their end."""

import os
import time
from pathlib import Path

import boto3
from sagemaker import image_uris
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.lambda_helper import Lambda
from sagemaker.model import Model
from sagemaker.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
from sagemaker.workflow.execution_variables import ExecutionVariables
from sagemaker.workflow.functions import Join
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.steps import (
    ProcessingStep,
    TrainingStep,
)

ROLE, WORK = os.environ["ROLE"], Path(os.environ["HOME"]) / "work"
OWN, MACHINE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/own:1", "ml.m5.large"
SKLEARN = image_uris.retrieve("sklearn", "us-east-1", "1.2-1")
ps = PipelineSession()
BUCKET = ps.default_bucket()
WORK.mkdir(exist_ok=True)
os.chdir(WORK)
sm, s3 = boto3.client("sagemaker"), boto3.client("s3")
OUT = "/opt/ml/processing/out"


def at(*parts: object) -> Join:
    return Join(on="/", values=[f"s3://{BUCKET}", ExecutionVariables.PIPELINE_EXECUTION_ID, *parts])


def process(name: str, code: str, reads: object = None, files: object = None, **more: object):
    """A step that runs Python; what it writes to `out` is the output of that name."""
    arguments = more.pop("arguments", None)
    (WORK / f"{name}.py").write_text(code)
    processor = ScriptProcessor(ROLE, OWN, ["python3"], 1, MACHINE, sagemaker_session=ps)
    inputs = [
        ProcessingInput(source=one, destination=f"/opt/ml/processing/in{place}")
        for place, one in enumerate(reads or [])
    ]
    args = processor.run(
        str(WORK / f"{name}.py"),
        inputs,
        [ProcessingOutput(output_name="out", source=OUT, destination=at(name))],
        arguments,
    )
    return ProcessingStep(name, step_args=args, property_files=files, **more)


def writes(**files: object) -> str:
    text = "import pathlib\nout = pathlib.Path('/opt/ml/processing/out')\n"
    return text + "".join(f"(out / {n!r}).write_text({t!r})\n" for n, t in files.items())


def output(step):
    return step.properties.ProcessingOutputConfig.Outputs["out"].S3Output.S3Uri


MODEL = (
    "mkdir -p /opt/ml/model/code; printf 'def model_fn(d):\\n    return 2\\n\\n"
    "def predict_fn(rows, k):\\n    return rows * k\\n' > /opt/ml/model/code/inference.py; "
)


def estimator(**more: object) -> Estimator:
    return Estimator(
        OWN,
        ROLE,
        1,
        MACHINE,
        sagemaker_session=ps,
        output_path=f"s3://{BUCKET}/models",
        container_entry_point=["bash", "-c"],
        container_arguments=[
            MODEL + 'grep -o "eta[^,]*" /opt/ml/input/config/hyperparameters.json || true'
        ],
        **more,
    )


def train(name: str, data: object, **more: object) -> TrainingStep:
    fitted = estimator(hyperparameters={"eta": 0.2})
    return TrainingStep(name, step_args=fitted.fit({"train": TrainingInput(data)}), **more)


def model_of(step: TrainingStep) -> Model:
    return Model(
        SKLEARN,
        step.properties.ModelArtifacts.S3ModelArtifacts,
        ROLE,
        env={"SAGEMAKER_PROGRAM": "inference.py"},
        sagemaker_session=ps,
    )


def ended(pipeline: Pipeline, wanted: str = "Succeeded", **parameters: object):
    """Statuses of the steps by name, once the execution has ended as it should."""
    pipeline.upsert(role_arn=ROLE)
    execution = pipeline.start(parameters or None)
    return followed(execution, wanted)


def followed(execution, wanted: str = "Succeeded"):
    while execution.describe()["PipelineExecutionStatus"] in ("Executing", "Stopping"):
        time.sleep(1)
    told, steps = execution.describe(), execution.list_steps()
    assert told["PipelineExecutionStatus"] == wanted, (told.get("FailureReason"), steps)
    return {step["StepName"]: step for step in steps}, execution


def statuses(steps) -> dict[str, str]:
    return {name: step["StepStatus"] for name, step in steps.items()}


def function(name: str, code: str) -> str:
    (WORK / f"{name}_function.py").write_text(code)
    helper = Lambda(
        function_name=name,
        execution_role_arn=ROLE,
        script=str(WORK / f"{name}_function.py"),
        handler=f"{name}_function.handler",
        timeout=60,
        memory_size=256,
        session=ps,
    )
    return helper.create()["FunctionArn"]


def refusal(act) -> str:
    """The text of the error that a call must raise."""
    try:
        act()
    except Exception as error:
        return str(error)
    raise AssertionError("it was taken")


DEPLOY = (
    "import boto3\n"
    "def handler(event, _):\n"
    "    sm = boto3.client('sagemaker')\n"
    "    name = event['endpoint_name']\n"
    "    sm.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[{\n"
    "        'VariantName': 'a', 'ModelName': event['model_name'],\n"
    "        'InstanceType': 'ml.m5.large', 'InitialInstanceCount': 1}])\n"
    "    sm.create_endpoint(EndpointName=name, EndpointConfigName=name)\n"
    "    return {'statusCode': 200, 'endpoint': name}\n"
)
"""A function that puts the model that it is told behind an endpoint."""

TUNED = (
    "import argparse, os, pathlib\nasked = argparse.ArgumentParser()\n"
    "asked.add_argument('--eta')\nprint('loss=' + asked.parse_args().eta + ';')\n"
    "(pathlib.Path(os.environ['SM_MODEL_DIR']) / 'w').write_text('x')\n"
)
"""A script whose loss is its hyperparameter."""


def registered(name: str, model: Model, group: str, **more: object) -> ModelStep:
    """A step that registers a model for CSV."""
    media = {"content_types": ["text/csv"], "response_types": ["text/csv"]}
    return ModelStep(
        name, step_args=model.register(**media, model_package_group_name=group, **more)
    )


def newest(group: str) -> dict:
    """The version that was registered last."""
    found = sm.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"][0]
    return sm.describe_model_package(ModelPackageName=found["ModelPackageArn"])
