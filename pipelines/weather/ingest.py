"""The pipeline that makes the weather's features: ingest, contract gate, publish."""

from sagemaker.mlops.workflow.pipeline import Pipeline

from pipelines.compiled import PipelineInputs
from pipelines.step_factory import StepFactory, output_uri


def build(inputs: PipelineInputs) -> Pipeline:
    """The pipeline as an SDK object."""
    factory = StepFactory.of(inputs)
    ingest = factory.processing(
        "Ingest",
        arguments=[
            *("--data-bucket", inputs.data_bucket),
            *factory.options("FirstMonth", "LastMonth", "SourceCommit", "Reason"),
        ],
        writes=["raw"],
        isolated=False,  # it reads the months of its run from the bucket
    )
    validate = factory.validation(output_uri(ingest, "raw"), suites=["weather"])
    publish = factory.processing(
        "Publish",
        arguments=["--hourly-feature-group", inputs.feature_groups["hourly"]],
        reads={"raw": output_uri(ingest, "raw")},
        isolated=False,  # it writes to the feature store
    )
    return factory.pipeline([ingest, validate, factory.contract_gate(validate, [publish])])
