"""The training pipeline: ingest, contract gate, features, train, evaluate, gate, register."""

from typing import Any

from sagemaker.core.workflow.conditions import ConditionLessThanOrEqualTo
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep

from pipelines.compiled import PipelineInputs
from pipelines.step_factory import EVALUATION, StepFactory, artifact, output_uri, read_report

WINDOW = ("TrainStart", "TrainEnd", "EvaluationDays")
HYPERPARAMETERS = {
    "learning_rate": "0.2",
    "max_iter": "80",
    "max_leaf_nodes": "31",
    "min_samples_leaf": "100",
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
            *("--routes-feature-group", groups["routes"]),
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
    register = factory.register(
        model=artifact(train), evaluate=evaluate, metrics=("mae", "pinball"), facts=WINDOW
    )
    mae, pinball = (
        read_report(evaluate, EVALUATION, f"metrics.{m}.value") for m in ("mae", "pinball")
    )
    max_mae, max_pinball = factory.parameters["MaxMae"], factory.parameters["MaxPinball"]
    gate = factory.gate(
        "ErrorsSmallEnough",
        [
            ConditionLessThanOrEqualTo(left=mae, right=max_mae),
            ConditionLessThanOrEqualTo(left=pinball, right=max_pinball),
        ],
        [register],
        otherwise="ErrorsTooLarge",
        reason=[
            *("MAE on the evaluation days must be at most", max_mae, "minutes but is", mae),
            *("; pinball loss at most", max_pinball, "but is", pinball),
        ],
    )
    return [features, train, evaluate, gate]
