"""Builds the steps of a pipeline: jobs that share image, role, machine and encryption."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sagemaker.core.network import NetworkConfig
from sagemaker.core.processing import Processor
from sagemaker.core.shapes import (
    OutputDataConfig,
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
    StoppingCondition,
)
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.retry import (
    SageMakerJobExceptionTypeEnum,
    SageMakerJobStepRetryPolicy,
)
from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep
from sagemaker.train.configs import Compute, InputData, Networking
from sagemaker.train.model_trainer import ModelTrainer

from pipelines.compiled import TrainingInputs

OPT_ML = "/opt/ml/processing"
VOLUME_GB = 30
HYPERPARAMETERS = {
    "learning_rate": "0.05",
    "max_iter": "120",
    "max_leaf_nodes": "31",
    "min_samples_leaf": "40",
    "l2_regularization": "1.0",
    "max_features": "0.5",
    "seed": "0",
}

RETRIES = SageMakerJobStepRetryPolicy(
    exception_types=list(SageMakerJobExceptionTypeEnum),
    interval_seconds=60,
    backoff_rate=2.0,
    max_attempts=4,
)
"""Faults of the service, no capacity, a full quota: tried again after 1, 2, 4 and 8 minutes. What a
program refuses stays refused; throttling is retried by SageMaker itself."""


class OfflineSession(PipelineSession):  # type: ignore[misc] # the SDK has no types
    """A session that takes the default bucket's existence on trust.

    `ModelBuilder.register` asks for the bucket although it uploads nothing, and the SDK answers
    by listing the account's buckets. Nothing else of a definition needs an account.
    """

    def default_bucket(self) -> str:
        return str(self._default_bucket_name_override)


@dataclass(frozen=True, kw_only=True)
class StepFactory:
    """Builds steps that share image, role, machine and encryption."""

    inputs: TrainingInputs
    session: OfflineSession

    def processing(
        self,
        name: str,
        *,
        arguments: Sequence[Any] = (),
        reads: Mapping[str, Any] | None = None,
        writes: Mapping[str, Any],
        environment: Mapping[str, str] | None = None,
        report: PropertyFile | None = None,
        isolated: bool = True,
    ) -> ProcessingStep:
        """A job that runs `pipelines.steps.<name>` between S3 prefixes.

        Isolated, its container has no network and no credentials: SageMaker brings its data.
        """
        processor = Processor(
            role=self.inputs.role_arn,
            image_uri=self.inputs.image_uri,
            entrypoint=["python3", "-m", f"pipelines.steps.{name.lower()}"],
            instance_count=1,
            instance_type=self.inputs.instance_type,
            volume_size_in_gb=VOLUME_GB,
            volume_kms_key=self.inputs.volume_kms_key_arn,
            output_kms_key=self.inputs.kms_key_arn,
            max_runtime_in_seconds=self.inputs.max_runtime_seconds,
            env=dict(environment or {}) or None,
            network_config=NetworkConfig(
                enable_network_isolation=isolated,
                encrypt_inter_container_traffic=True,
                security_group_ids=list(self.inputs.security_group_ids),
                subnets=list(self.inputs.subnet_ids),
            ),
            sagemaker_session=self.session,
        )
        return ProcessingStep(
            name=name,
            step_args=processor.run(
                arguments=list(arguments) or None,
                inputs=[_reads(channel, uri) for channel, uri in (reads or {}).items()],
                outputs=[_writes(channel, uri) for channel, uri in writes.items()],
            ),
            property_files=[report] if report else None,
            retry_policies=[RETRIES],
        )

    def training(self, name: str, *, train: Any) -> TrainingStep:
        """A training job of the image's own `train` program, isolated."""
        volume_key = self.inputs.volume_kms_key_arn
        trainer = ModelTrainer(
            training_image=self.inputs.image_uri,
            role=self.inputs.role_arn,
            base_job_name=name.lower(),
            hyperparameters=HYPERPARAMETERS,
            compute=Compute(
                instance_type=self.inputs.instance_type,
                instance_count=1,
                volume_size_in_gb=VOLUME_GB,
                **({"volume_kms_key_id": volume_key} if volume_key else {}),
            ),
            networking=Networking(
                enable_network_isolation=True,
                enable_inter_container_traffic_encryption=True,
                security_group_ids=list(self.inputs.security_group_ids),
                subnets=list(self.inputs.subnet_ids),
            ),
            stopping_condition=StoppingCondition(
                max_runtime_in_seconds=self.inputs.max_runtime_seconds
            ),
            output_data_config=OutputDataConfig(
                s3_output_path=f"{self.artifacts}/models", kms_key_id=self.inputs.kms_key_arn
            ),
            sagemaker_session=self.session,
        )
        return TrainingStep(
            name=name,
            step_args=trainer.train(
                input_data_config=[InputData(channel_name="train", data_source=train)]
            ),
            retry_policies=[RETRIES],
        )

    @property
    def artifacts(self) -> str:
        return f"s3://{self.inputs.artifacts_bucket}/{self.inputs.pipeline_name}"

    def result(self, step: str, output: str) -> Join:
        """Where a run keeps one output of one step."""
        run = run_id()
        return Join(on="/", values=[self.artifacts, "runs", run, step.lower(), output])


def run_id() -> Any:
    return ExecutionVariables.PIPELINE_EXECUTION_ID


def read_report(step: ProcessingStep, report: PropertyFile, path: str) -> JsonGet:
    return JsonGet(step_name=step.name, property_file=report, json_path=path)


def output_uri(step: ProcessingStep, name: str) -> Any:
    return step.properties.ProcessingOutputConfig.Outputs[name].S3Output.S3Uri


def _reads(channel: str, uri: Any) -> ProcessingInput:
    return ProcessingInput(
        input_name=channel,
        s3_input=ProcessingS3Input(
            s3_uri=uri,
            local_path=f"{OPT_ML}/input/{channel}",
            s3_data_type="S3Prefix",
            s3_input_mode="File",
        ),
    )


def _writes(channel: str, uri: Any) -> ProcessingOutput:
    return ProcessingOutput(
        output_name=channel,
        s3_output=ProcessingS3Output(
            s3_uri=uri, local_path=f"{OPT_ML}/output/{channel}", s3_upload_mode="EndOfJob"
        ),
    )
