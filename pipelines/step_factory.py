"""Steps as the pipelines of all workloads have them: one image, role, network and encryption.

Only this module, and the `build` modules of workloads, import the SageMaker SDK; they run in the
process that compiles definitions. A step's program is a module of the workload, so its code is part
of the image and not of the definition.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from sagemaker.core.model_metrics import MetricsSource, ModelMetrics
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
from sagemaker.core.workflow.conditions import ConditionEquals
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import (
    ParameterFloat,
    ParameterInteger,
    ParameterString,
)
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.retry import (
    SageMakerJobExceptionTypeEnum,
    SageMakerJobStepRetryPolicy,
)
from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train.configs import Compute, InputData, Networking
from sagemaker.train.model_trainer import ModelTrainer

from pipelines.compiled import PipelineInputs

OPT_ML = "/opt/ml/processing"
VOLUME_GB = 30
WORKLOAD_VARIABLE = "PLINTH_WORKLOAD"
"""Which workload's program `serving/image/bin/train` starts."""

RETRIES = SageMakerJobStepRetryPolicy(
    exception_types=list(SageMakerJobExceptionTypeEnum),
    interval_seconds=60,
    backoff_rate=2.0,
    max_attempts=4,
)
"""Faults of the service, no capacity, a full quota: tried again after 1, 2, 4 and 8 minutes. What a
program refuses stays refused; throttling is retried by SageMaker itself."""

CONTRACT = PropertyFile(name="Contract", output_name="report", path="report.json")
EVALUATION = PropertyFile(name="Evaluation", output_name="evaluation", path="evaluation.json")

CONTENT_TYPES = ("text/csv", "application/json", "application/jsonlines")
"""What an endpoint takes and gives: all that `serving/codecs.py` knows."""

PARAMETERS = {str: ParameterString, int: ParameterInteger, float: ParameterFloat}
SHARED_PARAMETERS = {"SourceCommit": "unspecified", "Reason": "started by a person"}
"""What every run may be told: the commit of its program, and why it was started. The model package
keeps both; `pipelines/retraining` sets the reason."""


class OfflineSession(PipelineSession):  # type: ignore[misc] # the SDK has no types
    """A session that takes the default bucket's existence on trust.

    `ModelBuilder.register` asks for the bucket although it uploads nothing, and the SDK answers
    by listing the account's buckets. Nothing else of a definition needs an account.
    """

    def default_bucket(self) -> str:
        return str(self._default_bucket_name_override)


@dataclass(frozen=True, kw_only=True)
class StepFactory:
    """Builds the steps of one pipeline."""

    inputs: PipelineInputs
    session: OfflineSession
    parameters: Mapping[str, Any]
    """SDK parameters by name; every one has a default, so a run needs to name none."""

    @classmethod
    def of(cls, inputs: PipelineInputs) -> "StepFactory":
        """A factory that needs neither account nor network."""
        defaults = {**inputs.parameters, **SHARED_PARAMETERS}
        return cls(
            inputs=inputs,
            session=OfflineSession(
                boto_session=boto3.Session(region_name=inputs.region),
                default_bucket=inputs.artifacts_bucket,
            ),
            parameters={
                name: PARAMETERS[type(value)](name, default_value=value)
                for name, value in defaults.items()
            },
        )

    def pipeline(self, steps: Sequence[Any]) -> Pipeline:
        """The pipeline of these steps, as an SDK object."""
        return Pipeline(
            name=self.inputs.pipeline_name,
            parameters=list(self.parameters.values()),
            pipeline_experiment_config=None,  # runs are tracked in MLflow
            steps=list(steps),
            sagemaker_session=self.session,
        )

    def options(self, *names: str) -> list[Any]:
        """Parameters as a program's options: `TrainStart` is handed on as `--train-start`."""
        found: list[Any] = []
        for name in names:
            found += [f"--{_words(name, '-')}", _text(self.parameters[name])]
        return found

    def processing(
        self,
        name: str,
        *,
        arguments: Sequence[Any] = (),
        reads: Mapping[str, Any] | None = None,
        writes: Sequence[str] = (),
        places: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        report: PropertyFile | None = None,
        isolated: bool = True,
    ) -> ProcessingStep:
        """A job that runs the workload's program of this name between S3 prefixes.

        `MakeFeatures` is `pipelines.<workload>.steps.make_features`. What it writes is kept with
        the run, but for outputs with a place of their own. Isolated, its container has no network
        and no credentials: SageMaker brings its data.
        """
        program = f"pipelines.{self.inputs.workload}.steps.{_words(name, '_')}"
        outputs = {output: self.result(name, output) for output in writes} | dict(places or {})
        processor = Processor(
            role=self.inputs.role_arn,
            image_uri=self.inputs.image_uri,
            entrypoint=["python3", "-m", program],
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
                outputs=[_writes(channel, uri) for channel, uri in outputs.items()],
            ),
            property_files=[report] if report else None,
            retry_policies=[RETRIES],
        )

    def training(
        self, name: str, *, train: Any, hyperparameters: Mapping[str, str]
    ) -> TrainingStep:
        """A training job of the workload's program `train`, isolated."""
        volume_key = self.inputs.volume_kms_key_arn
        trainer = ModelTrainer(
            training_image=self.inputs.image_uri,
            role=self.inputs.role_arn,
            base_job_name=name.lower(),
            hyperparameters=dict(hyperparameters),
            environment={WORKLOAD_VARIABLE: self.inputs.workload},
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

    def validation(self, raw: Any, *, suites: Sequence[str]) -> ProcessingStep:
        """The step Validate: holds raw data to the workload's contracts, sets bad rows aside."""
        folder = f"s3://{self.inputs.data_bucket}/quarantine/{_hyphens(self.inputs.workload)}"
        return self.processing(
            "Validate",
            reads={"raw": raw},
            writes=["report"],
            places={"quarantine": Join(on="/", values=[folder, run_id()])},
            environment={"GREAT_EXPECTATIONS_SUITE": ",".join(suites)},
            report=CONTRACT,
        )

    def contract_gate(self, validate: ProcessingStep, steps: Sequence[Any]) -> ConditionStep:
        """Steps that only data within the contract may reach."""
        return self.gate(
            "ContractHolds",
            [ConditionEquals(left=read_report(validate, CONTRACT, "passed"), right=True)],
            steps,
            otherwise="ContractBroken",
            reason=["data contract broken:", read_report(validate, CONTRACT, "message")],
        )

    def gate(
        self,
        name: str,
        conditions: Sequence[Any],
        steps: Sequence[Any],
        *,
        otherwise: str,
        reason: Sequence[Any],
    ) -> ConditionStep:
        """Steps that run if all conditions hold; else the run fails with the words of `reason`."""
        refusal = FailStep(name=otherwise, error_message=Join(on=" ", values=list(reason)))
        return ConditionStep(
            name=name, conditions=list(conditions), if_steps=list(steps), else_steps=[refusal]
        )

    def evaluation(
        self, *, model: Any, train: Any, evaluation: Any, step: str = "Evaluate"
    ) -> ProcessingStep:
        """The step that judges a model and records the run: it alone reaches MLflow."""
        return self.processing(
            step,
            arguments=[
                *("--commit", self.parameters["SourceCommit"]),
                *("--execution-id", run_id()),
                *("--experiment", self.inputs.pipeline_name),
            ],
            reads={"model": model, "train": train, "evaluation": evaluation},
            writes=["evaluation"],
            environment={"MLFLOW_TRACKING_URI": self.inputs.tracking_arn},
            report=EVALUATION,
            isolated=False,
        )

    def register(
        self,
        *,
        model: Any,
        evaluate: ProcessingStep,
        metrics: Sequence[str],
        facts: Sequence[str],
        content_types: Sequence[str] = CONTENT_TYPES,
    ) -> ModelStep:
        """A model package that waits for a person, with what that person needs to decide.

        It keeps these metrics of the evaluation, and the values of the parameters `facts`.
        """
        statistics = Join(on="/", values=[output_uri(evaluate, "evaluation"), EVALUATION.path])
        builder = ModelBuilder(
            s3_model_data_url=model,
            image_uri=self.inputs.image_uri,
            role_arn=self.inputs.role_arn,
            sagemaker_session=self.session,
        )
        said = {_words(name, "_"): self.parameters[name] for name in facts}
        measured = {
            # a join makes the text of the number: properties hold texts only
            metric: Join(
                on="", values=[read_report(evaluate, EVALUATION, f"metrics.{metric}.value")]
            )
            for metric in metrics
        }
        arguments = builder.register(
            model_package_group_name=self.inputs.model_package_group_name,
            content_types=list(content_types),
            response_types=list(content_types),
            inference_instances=[self.inputs.instance_type],
            transform_instances=[self.inputs.instance_type],
            approval_status="PendingManualApproval",
            model_metrics=ModelMetrics(
                model_statistics=MetricsSource(content_type="application/json", s3_uri=statistics)
            ),
            customer_metadata_properties={
                "commit": self.parameters["SourceCommit"],
                "reason": self.parameters["Reason"],
                "data_hash": read_report(evaluate, EVALUATION, "data_hash"),
                "execution_id": run_id(),
                **{name: _text(parameter) for name, parameter in said.items()},
                **measured,
            },
        )
        return ModelStep(name="Register", step_args=arguments)

    @property
    def artifacts(self) -> str:
        return f"s3://{self.inputs.artifacts_bucket}/{self.inputs.pipeline_name}"

    def result(self, step: str, name: str) -> Join:
        """Where a run keeps one output of one step."""
        return Join(on="/", values=[self.artifacts, "runs", run_id(), step.lower(), name])


def run_id() -> Any:
    """The id of the execution."""
    return ExecutionVariables.PIPELINE_EXECUTION_ID


def read_report(step: ProcessingStep, report: PropertyFile, path: str) -> JsonGet:
    """A value out of a step's report."""
    return JsonGet(step_name=step.name, property_file=report, json_path=path)


def output_uri(step: ProcessingStep, name: str) -> Any:
    """Where a step has put one of its outputs."""
    return step.properties.ProcessingOutputConfig.Outputs[name].S3Output.S3Uri


def artifact(step: TrainingStep) -> Any:
    """Where a training step has put its model."""
    return step.properties.ModelArtifacts.S3ModelArtifacts


def _text(parameter: Any) -> Any:
    return parameter if isinstance(parameter, ParameterString) else parameter.to_string()


def _words(name: str, between: str) -> str:
    """`TrainStart` as `train-start` or `train_start`."""
    return re.sub(r"(?<!^)(?=[A-Z])", between, name).lower()


def _hyphens(name: str) -> str:
    return name.replace("_", "-")


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
