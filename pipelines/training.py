"""The training pipeline: ingest, contract gate, features, train, evaluate, metric gate, register.

The only module that imports the SageMaker SDK; it runs in the process that compiles definitions.
Each step is a program of `pipelines/steps`, so a step's code is part of the image and not of the
definition.
"""

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
from sagemaker.core.workflow.conditions import ConditionEquals, ConditionGreaterThanOrEqualTo
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

from pipelines.compiled import TrainingInputs

OPT_ML = "/opt/ml/processing"
VOLUME_GB = 30
SUITES = "flights,weather"
CONTENT_TYPES = ("text/csv", "application/json", "application/jsonlines")
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

MANIFEST = PropertyFile(name="Manifest", output_name="raw", path="manifest.json")
CONTRACT = PropertyFile(name="Contract", output_name="report", path="report.json")
EVALUATION = PropertyFile(name="Evaluation", output_name="evaluation", path="evaluation.json")


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What a run may change; every one has a default, so a run needs to name none."""

    train_start: ParameterString
    train_end: ParameterString
    evaluation_days: ParameterInteger
    auc_threshold: ParameterFloat
    source_commit: ParameterString
    reason: ParameterString
    """Why the run was started: `pipelines/retraining` says it, and the model package keeps it."""

    @classmethod
    def of(cls, inputs: TrainingInputs) -> "Parameters":
        return cls(
            train_start=ParameterString("TrainStart", default_value=inputs.train_start),
            train_end=ParameterString("TrainEnd", default_value=inputs.train_end),
            evaluation_days=ParameterInteger(
                "EvaluationDays", default_value=inputs.evaluation_days
            ),
            auc_threshold=ParameterFloat("AucThreshold", default_value=inputs.auc_threshold),
            source_commit=ParameterString("SourceCommit", default_value="unspecified"),
            reason=ParameterString("Reason", default_value="started by a person"),
        )

    @property
    def window(self) -> list[Any]:
        """Arguments of the steps that cut the window out of the data."""
        return [
            *("--train-start", self.train_start),
            *("--train-end", self.train_end),
            *("--evaluation-days", self.evaluation_days.to_string()),
        ]


class OfflineSession(PipelineSession):  # type: ignore[misc] # the SDK has no types
    """A session that takes the default bucket's existence on trust.

    `ModelBuilder.register` asks for the bucket although it uploads nothing, and the SDK answers
    by listing the account's buckets. Nothing else of a definition needs an account.
    """

    def default_bucket(self) -> str:
        return str(self._default_bucket_name_override)


@dataclass(frozen=True, kw_only=True)
class Shop:
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
        run = _run_id()
        return Join(on="/", values=[self.artifacts, "runs", run, step.lower(), output])


def build(inputs: TrainingInputs) -> Pipeline:
    """The pipeline as an SDK object; its `definition()` needs neither account nor network."""
    session = OfflineSession(
        boto_session=boto3.Session(region_name=inputs.region),
        default_bucket=inputs.artifacts_bucket,
    )
    shop, parameters = Shop(inputs=inputs, session=session), Parameters.of(inputs)
    ingest = _ingest(shop, parameters)
    validate = _validate(shop, ingest)
    modelling = _modelling(shop, parameters, ingest)
    contract_holds = ConditionStep(
        name="ContractHolds",
        conditions=[ConditionEquals(left=_ask(validate, CONTRACT, "passed"), right=True)],
        if_steps=modelling,
        else_steps=[
            FailStep(
                name="ContractBroken",
                error_message=Join(
                    on="", values=["data contract broken: ", _ask(validate, CONTRACT, "message")]
                ),
            )
        ],
    )
    return Pipeline(
        name=inputs.pipeline_name,
        parameters=list(vars(parameters).values()),
        pipeline_experiment_config=None,  # runs are tracked in MLflow
        steps=[ingest, validate, contract_holds],
        sagemaker_session=session,
    )


def _ingest(shop: Shop, parameters: Parameters) -> ProcessingStep:
    return shop.processing(
        "Ingest",
        arguments=["--data-bucket", shop.inputs.data_bucket, *parameters.window],
        writes={"raw": shop.result("Ingest", "raw")},
        report=MANIFEST,
        isolated=False,  # it reads the months of its window from the bucket
    )


def _validate(shop: Shop, ingest: ProcessingStep) -> ProcessingStep:
    quarantine = [f"s3://{shop.inputs.data_bucket}/quarantine", _run_id()]
    return shop.processing(
        "Validate",
        reads={"raw": _output(ingest, "raw")},
        writes={
            "report": shop.result("Validate", "report"),
            "quarantine": Join(on="/", values=quarantine),
        },
        environment={"GREAT_EXPECTATIONS_SUITE": SUITES},
        report=CONTRACT,
    )


def _modelling(shop: Shop, parameters: Parameters, ingest: ProcessingStep) -> list[Any]:
    """The steps that only data within the contract may reach."""
    features = shop.processing(
        "Features",
        arguments=[
            *("--flights-feature-group", shop.inputs.flights_feature_group_name),
            *("--weather-feature-group", shop.inputs.weather_feature_group_name),
            *parameters.window,
        ],
        reads={"raw": _output(ingest, "raw")},
        writes={name: shop.result("Features", name) for name in ("train", "evaluation")},
        isolated=False,  # it writes to the feature store and reads it back
    )
    train = shop.training("Train", train=_output(features, "train"))
    model = train.properties.ModelArtifacts.S3ModelArtifacts
    evaluate = shop.processing(
        "Evaluate",
        arguments=[
            *("--commit", parameters.source_commit),
            *("--execution-id", _run_id()),
            *("--experiment", shop.inputs.pipeline_name),
        ],
        reads={"model": model, "evaluation": _output(features, "evaluation")},
        writes={"evaluation": shop.result("Evaluate", "evaluation")},
        environment={"MLFLOW_TRACKING_URI": shop.inputs.tracking_arn},
        report=EVALUATION,
        isolated=False,  # it records the run in MLflow
    )
    auc = _ask(evaluate, EVALUATION, "metrics.auc.value")
    high_enough = ConditionStep(
        name="AucHighEnough",
        conditions=[ConditionGreaterThanOrEqualTo(left=auc, right=parameters.auc_threshold)],
        if_steps=[_register(shop, parameters, model, evaluate)],
        else_steps=[
            FailStep(
                name="AucTooLow",
                error_message=Join(
                    on=" ",
                    values=[
                        *("AUC on the evaluation days must be at least", parameters.auc_threshold),
                        *("but is", auc),
                    ],
                ),
            )
        ],
    )
    return [features, train, evaluate, high_enough]


def _register(
    shop: Shop, parameters: Parameters, model: Any, evaluate: ProcessingStep
) -> ModelStep:
    """A model package that waits for a person, with what that person needs to decide."""
    statistics = Join(on="/", values=[_output(evaluate, "evaluation"), EVALUATION.path])
    builder = ModelBuilder(
        s3_model_data_url=model,
        image_uri=shop.inputs.image_uri,
        role_arn=shop.inputs.role_arn,
        sagemaker_session=shop.session,
    )
    arguments = builder.register(
        model_package_group_name=shop.inputs.model_package_group_name,
        content_types=list(CONTENT_TYPES),
        response_types=list(CONTENT_TYPES),
        inference_instances=[shop.inputs.instance_type],
        transform_instances=[shop.inputs.instance_type],
        approval_status="PendingManualApproval",
        model_metrics=ModelMetrics(
            model_statistics=MetricsSource(content_type="application/json", s3_uri=statistics)
        ),
        customer_metadata_properties={
            "commit": parameters.source_commit,
            "reason": parameters.reason,
            "data_hash": _ask(evaluate, EVALUATION, "data_hash"),
            "train_start": parameters.train_start,
            "train_end": parameters.train_end,
            "evaluation_days": parameters.evaluation_days.to_string(),
            "execution_id": _run_id(),
            # a join makes the text of the number: properties hold texts only
            **{
                metric: Join(on="", values=[_ask(evaluate, EVALUATION, f"metrics.{metric}.value")])
                for metric in ("auc", "brier")
            },
        },
    )
    return ModelStep(name="Register", step_args=arguments)


def _run_id() -> Any:
    return ExecutionVariables.PIPELINE_EXECUTION_ID


def _ask(step: ProcessingStep, report: PropertyFile, path: str) -> JsonGet:
    return JsonGet(step_name=step.name, property_file=report, json_path=path)


def _output(step: ProcessingStep, name: str) -> Any:
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
