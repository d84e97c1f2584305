"""A program of SageMaker's SDK that makes a pipeline of the steps that need no job's image, runs it
twice and prints its steps. It is run as anybody would run it: with AWS_ENDPOINT_URL alone.
"""

import json
import sys
import time
from typing import Any

from sagemaker.core.lambda_helper import Lambda
from sagemaker.core.processing import Processor
from sagemaker.core.shapes import ProcessingOutput, ProcessingS3Output
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.mlops.workflow.cleanup_step import CleanupStep, S3CleanupSource
from sagemaker.mlops.workflow.for_each_step import (
    CurrentItem,
    ForEachSelector,
    ForEachStep,
    IterationOutput,
)
from sagemaker.mlops.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.retry import StepExceptionTypeEnum, StepRetryPolicy
from sagemaker.mlops.workflow.selective_execution_config import SelectiveExecutionConfig
from sagemaker.mlops.workflow.step_dependency import StepDependency, TriggerCondition
from sagemaker.mlops.workflow.steps import CacheConfig, ProcessingStep

ROLE, FUNCTION, BUCKET = sys.argv[1:]
SESSION = PipelineSession(default_bucket=BUCKET)
TEXT, NUMBER = LambdaOutputTypeEnum.String, LambdaOutputTypeEnum.Float


def says(name: str, command: str, *given: Any, **more: Any) -> Any:
    """A Processing step that runs a command of bash and keeps what it writes into `out`."""
    processor = Processor(
        role=ROLE, image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/ml:1",
        entrypoint=["bash", "-c", command, "x"], instance_count=1, instance_type="ml.m5.large",
        sagemaker_session=SESSION,
    )  # fmt: skip
    place = Join(on="/", values=[f"s3://{BUCKET}", ExecutionVariables.PIPELINE_EXECUTION_ID, name])
    output = ProcessingS3Output(
        s3_uri=place, local_path="/opt/ml/processing/out", s3_upload_mode="EndOfJob"
    )
    outputs = [ProcessingOutput(output_name="out", s3_output=output)]
    made = processor.run(arguments=list(given) or None, outputs=outputs)
    return ProcessingStep(name=name, step_args=made, **more)


def function(name: str, inputs: Any, *outputs: tuple[str, Any], **more: Any) -> Any:
    """A Lambda step; an output is its name and type."""
    named = [LambdaOutput(key, kind) for key, kind in outputs]
    called = Lambda(function_arn=FUNCTION)
    return LambdaStep(name=name, lambda_func=called, inputs=inputs, outputs=named, **more)


again = StepRetryPolicy(exception_types=[StepExceptionTypeEnum.THROTTLING], max_attempts=3)
write = "cd /opt/ml/processing/out; echo 1 > one; echo 2 > two"
prepare = says(
    "Prepare", write, cache_config=CacheConfig(enable_caching=True, expire_after="PT1H"),
    retry_policies=[again],
)  # fmt: skip
uri = prepare.properties.ProcessingOutputConfig.Outputs["out"].S3Output.S3Uri
items = function("Items", {"uri": uri}, ("items", TEXT))
score = function("Score", {"name": CurrentItem().name}, ("score", NUMBER))
loop = ForEachStep(
    name="Each", iterable_items=items.properties.Outputs["items"], max_concurrency=2,
    for_each_body=[score, says("Say", 'test "$1" = a -o "$1" = bb', CurrentItem().name)],
    selector=ForEachSelector("MaxBy", IterationOutput(score).OutputParameters["score"]),
)  # fmt: skip
best = function("Best", {"best": loop.properties.Selected.OutputParameters["score"]})
fails = says("Fails", "exit 3", depends_on=[loop])
tell = function(
    "Tell", {"why": fails.properties.FailureReason},
    depends_on=[StepDependency(fails, TriggerCondition.FAILED)],
)  # fmt: skip
clean = CleanupStep(
    name="Clean", depends_on=[tell],
    s3_sources=[S3CleanupSource(prepare, [Join(on="/", values=[uri, "one"])])],
)  # fmt: skip
pipeline = Pipeline(
    name="sdk", steps=[prepare, items, loop, best, fails, tell, clean], sagemaker_session=SESSION
)


def told(execution: Any) -> dict[str, Any]:
    """How an execution ended, and its steps."""
    # the waiter of SDK 3.27 does not know CompletedWithFailures
    while execution.describe()["PipelineExecutionStatus"] in ("Executing", "Stopping"):
        time.sleep(0.3)
    return {"status": execution.describe()["PipelineExecutionStatus"], "steps": {
        step["StepName"]: {key: step[key] for key in (
            "StepStatus", "CacheHitResult", "SelectiveExecutionResult", "IterationContext"
        ) if key in step} for step in execution.list_steps()}}  # fmt: skip


pipeline.upsert(role_arn=ROLE)
first, second = told(pipeline.start()), told(pipeline.start())
selected = SelectiveExecutionConfig(selected_steps=["Best"])
third = told(pipeline.start(selective_execution_config=selected))
sys.stdout.write(json.dumps([first, second, third]))
