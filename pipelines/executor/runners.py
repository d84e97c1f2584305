"""The step types the executor can run through SageMaker's API, one row each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_JOB_ENDS = {"Completed": "Succeeded", "Failed": "Failed", "Stopped": "Stopped"}


@dataclass(frozen=True, kw_only=True)
class Runner:
    """How one step type becomes a resource, and how its end is seen."""

    operation: str
    """The API operation whose request the step's Arguments are."""
    create: str
    describe: str
    arn_field: str
    metadata_key: str
    name_field: str = ""
    """Request member that names the resource. Default: the service names it."""
    describe_field: str = ""
    """Request member of describe that takes the ARN. Default: `name_field` takes the name."""
    stop: str = ""
    """Default: it cannot be stopped, only waited for."""
    status_field: str = ""
    """Default: the resource is ready as soon as it is created."""
    ends: Mapping[str, str] = field(default_factory=lambda: _JOB_ENDS)
    """Terminal status of the resource -> status of the step."""
    failure_field: str = "FailureReason"
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Arguments left out of the request when they only say the service's own default."""


RUNNERS: Mapping[str, Runner] = {
    "Processing": Runner(
        operation="CreateProcessingJob",
        create="create_processing_job",
        describe="describe_processing_job",
        stop="stop_processing_job",
        name_field="ProcessingJobName",
        arn_field="ProcessingJobArn",
        status_field="ProcessingJobStatus",
        metadata_key="ProcessingJob",
    ),
    "Training": Runner(
        operation="CreateTrainingJob",
        create="create_training_job",
        describe="describe_training_job",
        stop="stop_training_job",
        name_field="TrainingJobName",
        arn_field="TrainingJobArn",
        status_field="TrainingJobStatus",
        metadata_key="TrainingJob",
    ),
    "Transform": Runner(
        operation="CreateTransformJob",
        create="create_transform_job",
        describe="describe_transform_job",
        stop="stop_transform_job",
        name_field="TransformJobName",
        arn_field="TransformJobArn",
        status_field="TransformJobStatus",
        metadata_key="TransformJob",
    ),
    "Model": Runner(
        operation="CreateModel",
        create="create_model",
        describe="describe_model",
        name_field="ModelName",
        arn_field="ModelArn",
        metadata_key="Model",
    ),
    "RegisterModel": Runner(
        operation="CreateModelPackage",
        create="create_model_package",
        describe="describe_model_package",
        describe_field="ModelPackageName",
        arn_field="ModelPackageArn",
        status_field="ModelPackageStatus",
        metadata_key="RegisterModel",
        # sagemaker 3.27 core/model_registry.py writes both whatever the caller said. They are
        # members of CreateModelPackage (botocore 1.44), so any other value is passed on.
        defaults={"SkipModelValidation": "None", "CertifyForMarketplace": False},
    ),
}
"""Step type -> its runner. Condition and Fail are decided inside the executor."""
