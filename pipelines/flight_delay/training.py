"""The training pipeline: ingest, contract gate, features, train, evaluate, gate, register."""

from typing import Any

from sagemaker.core.workflow.conditions import ConditionGreaterThanOrEqualTo
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep

from pipelines.compiled import PipelineInputs
from pipelines.step_factory import EVALUATION, StepFactory, artifact, output_uri, read_report

WINDOW = ("TrainStart", "TrainEnd", "EvaluationDays")
HYPERPARAMETERS = {
    "learning_rate": "0.05",
    "max_iter": "120",
    "max_leaf_nodes": "31",
    "min_samples_leaf": "40",
    "l2_regularization": "1.0",
    "max_features": "0.5",
    "seed": "0",
}


def build(inputs: PipelineInputs) -> Pipeline:
    """The pipeline as an SDK object."""
    factory = StepFactory.of(inputs)
    ingest = factory.processing(
        "Ingest",
        arguments=["--data-bucket", inputs.data_bucket, *factory.options(*WINDOW)],
        writes=["raw"],
        isolated=False,  # it reads the months of its window from the bucket
    )
    validate = factory.validation(output_uri(ingest, "raw"), suites=["flights"])
    modelling = factory.contract_gate(validate, _modelling(factory, ingest))
    return factory.pipeline([ingest, validate, modelling])


def _modelling(factory: StepFactory, ingest: ProcessingStep) -> list[Any]:
    """The steps that only data within the contract may reach."""
    groups = factory.inputs.feature_groups
    features = factory.processing(
        "Features",
        arguments=[
            *("--flights-feature-group", groups["flights"]),
            *("--weather-feature-group", groups["weather.hourly"]),
            *factory.options(*WINDOW),
        ],
        reads={"raw": output_uri(ingest, "raw")},
        writes=["train", "evaluation"],
        isolated=False,  # it writes to the feature store and reads it back
    )
    train = factory.training(
        "Train", train=output_uri(features, "train"), hyperparameters=HYPERPARAMETERS
    )
    evaluate = factory.evaluation(
        model=artifact(train),
        train=output_uri(features, "train"),
        evaluation=output_uri(features, "evaluation"),
    )
    auc, threshold = read_report(evaluate, EVALUATION, "metrics.auc.value"), "AucThreshold"
    register = factory.register(
        model=artifact(train),
        evaluate=evaluate,
        metrics=("auc", "brier"),
        facts=WINDOW,
    )
    gate = factory.gate(
        "AucHighEnough",
        [ConditionGreaterThanOrEqualTo(left=auc, right=factory.parameters[threshold])],
        [register],
        otherwise="AucTooLow",
        reason=[
            *("AUC on the evaluation days must be at least", factory.parameters[threshold]),
            *("but is", auc),
        ],
    )
    return [features, train, evaluate, gate]
