"""The training pipeline: ingest, contract gate, features, train, evaluate, metric gate, register.

This module and `step_factory` alone import the SageMaker SDK, in the process that compiles
definitions.
Each step is a program of `pipelines/steps`, so a step's code is part of the image and not of the
definition.
"""

from dataclasses import dataclass
from typing import Any

import boto3
from sagemaker.core.model_metrics import MetricsSource, ModelMetrics
from sagemaker.core.workflow.conditions import ConditionEquals, ConditionGreaterThanOrEqualTo
from sagemaker.core.workflow.functions import Join
from sagemaker.core.workflow.parameters import (
    ParameterFloat,
    ParameterInteger,
    ParameterString,
)
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep
from sagemaker.serve.model_builder import ModelBuilder

from pipelines.compiled import TrainingInputs
from pipelines.step_factory import OfflineSession, StepFactory, output_uri, read_report, run_id

SUITES = "flights,weather"
CONTENT_TYPES = ("text/csv", "application/json", "application/jsonlines")

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


def build(inputs: TrainingInputs) -> Pipeline:
    """The pipeline as an SDK object; its `definition()` needs neither account nor network."""
    session = OfflineSession(
        boto_session=boto3.Session(region_name=inputs.region),
        default_bucket=inputs.artifacts_bucket,
    )
    factory, parameters = StepFactory(inputs=inputs, session=session), Parameters.of(inputs)
    ingest = _ingest(factory, parameters)
    validate = _validate(factory, ingest)
    modelling = _modelling(factory, parameters, ingest)
    contract_holds = ConditionStep(
        name="ContractHolds",
        conditions=[ConditionEquals(left=read_report(validate, CONTRACT, "passed"), right=True)],
        if_steps=modelling,
        else_steps=[
            FailStep(
                name="ContractBroken",
                error_message=Join(
                    on="",
                    values=["data contract broken: ", read_report(validate, CONTRACT, "message")],
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


def _ingest(factory: StepFactory, parameters: Parameters) -> ProcessingStep:
    return factory.processing(
        "Ingest",
        arguments=["--data-bucket", factory.inputs.data_bucket, *parameters.window],
        writes={"raw": factory.result("Ingest", "raw")},
        report=MANIFEST,
        isolated=False,  # it reads the months of its window from the bucket
    )


def _validate(factory: StepFactory, ingest: ProcessingStep) -> ProcessingStep:
    quarantine = [f"s3://{factory.inputs.data_bucket}/quarantine", run_id()]
    return factory.processing(
        "Validate",
        reads={"raw": output_uri(ingest, "raw")},
        writes={
            "report": factory.result("Validate", "report"),
            "quarantine": Join(on="/", values=quarantine),
        },
        environment={"GREAT_EXPECTATIONS_SUITE": SUITES},
        report=CONTRACT,
    )


def _modelling(factory: StepFactory, parameters: Parameters, ingest: ProcessingStep) -> list[Any]:
    """The steps that only data within the contract may reach."""
    features = factory.processing(
        "Features",
        arguments=[
            *("--flights-feature-group", factory.inputs.flights_feature_group_name),
            *("--weather-feature-group", factory.inputs.weather_feature_group_name),
            *parameters.window,
        ],
        reads={"raw": output_uri(ingest, "raw")},
        writes={name: factory.result("Features", name) for name in ("train", "evaluation")},
        isolated=False,  # it writes to the feature store and reads it back
    )
    train = factory.training("Train", train=output_uri(features, "train"))
    model = train.properties.ModelArtifacts.S3ModelArtifacts
    evaluate = factory.processing(
        "Evaluate",
        arguments=[
            *("--commit", parameters.source_commit),
            *("--execution-id", run_id()),
            *("--experiment", factory.inputs.pipeline_name),
        ],
        reads={"model": model, "evaluation": output_uri(features, "evaluation")},
        writes={"evaluation": factory.result("Evaluate", "evaluation")},
        environment={"MLFLOW_TRACKING_URI": factory.inputs.tracking_arn},
        report=EVALUATION,
        isolated=False,  # it records the run in MLflow
    )
    auc = read_report(evaluate, EVALUATION, "metrics.auc.value")
    high_enough = ConditionStep(
        name="AucHighEnough",
        conditions=[ConditionGreaterThanOrEqualTo(left=auc, right=parameters.auc_threshold)],
        if_steps=[_register(factory, parameters, model, evaluate)],
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
    factory: StepFactory, parameters: Parameters, model: Any, evaluate: ProcessingStep
) -> ModelStep:
    """A model package that waits for a person, with what that person needs to decide."""
    statistics = Join(on="/", values=[output_uri(evaluate, "evaluation"), EVALUATION.path])
    builder = ModelBuilder(
        s3_model_data_url=model,
        image_uri=factory.inputs.image_uri,
        role_arn=factory.inputs.role_arn,
        sagemaker_session=factory.session,
    )
    arguments = builder.register(
        model_package_group_name=factory.inputs.model_package_group_name,
        content_types=list(CONTENT_TYPES),
        response_types=list(CONTENT_TYPES),
        inference_instances=[factory.inputs.instance_type],
        transform_instances=[factory.inputs.instance_type],
        approval_status="PendingManualApproval",
        model_metrics=ModelMetrics(
            model_statistics=MetricsSource(content_type="application/json", s3_uri=statistics)
        ),
        customer_metadata_properties={
            "commit": parameters.source_commit,
            "reason": parameters.reason,
            "data_hash": read_report(evaluate, EVALUATION, "data_hash"),
            "train_start": parameters.train_start,
            "train_end": parameters.train_end,
            "evaluation_days": parameters.evaluation_days.to_string(),
            "execution_id": run_id(),
            # a join makes the text of the number: properties hold texts only
            **{
                metric: Join(
                    on="", values=[read_report(evaluate, EVALUATION, f"metrics.{metric}.value")]
                )
                for metric in ("auc", "brier")
            },
        },
    )
    return ModelStep(name="Register", step_args=arguments)
