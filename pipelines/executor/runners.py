"""The step types the executor can run through SageMaker's API, one row each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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
    keeps_name: bool = False
    """Whether the definition may name the resource. Default: every execution names its own."""
    update: str = ""
    """What is called where the resource is there. Default: it is always created."""
    update_members: tuple[str, ...] = ()
    """What of the request the update takes."""
    holder: str = ""
    """Request member that names what the resource is in, which is made where it is not there.
    Default: it is in nothing that has to be made."""
    create_holder: str = ""
    takes_tags: bool = True
    """Whether what is made can have tags of its own."""
    served: str = ""
    """Request member that must hold in the end: an update that was rolled back is a failure.
    Default: what the status says is all."""
    name_length: int = 63
    """Characters that the resource's name may have. Default: as jobs have."""
    lists: str = ""
    """An operation whose answer steps may refer to as well. Default: describe says everything."""
    more: Callable[[Any, Mapping[str, Any]], Mapping[str, Any]] = lambda sagemaker, answer: {}
    """Client and describe answer -> the members of that list."""


TOP_TRAINING_JOBS = 50
"""Training jobs that a Tuning step offers (SageMaker Python SDK, TuningStep)."""


def _top_training_jobs(sagemaker: Any, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The training jobs of a tuning job, the best first."""
    config, several = answer["HyperParameterTuningJobConfig"], answer.get("TrainingJobDefinitions")
    objective = config.get("HyperParameterTuningJobObjective") or (
        several or [answer.get("TrainingJobDefinition", {})]
    )[0].get("TuningObjective", {})
    maximize = objective.get("Type") == "Maximize"
    listed: Mapping[str, Any] = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=answer["HyperParameterTuningJobName"],
        SortBy="FinalObjectiveMetricValue",
        SortOrder="Descending" if maximize else "Ascending",
        MaxResults=TOP_TRAINING_JOBS,
    )
    return {"TrainingJobSummaries": listed["TrainingJobSummaries"]}


_PROCESSING = Runner(
    operation="CreateProcessingJob",
    create="create_processing_job",
    describe="describe_processing_job",
    stop="stop_processing_job",
    name_field="ProcessingJobName",
    arn_field="ProcessingJobArn",
    status_field="ProcessingJobStatus",
    metadata_key="ProcessingJob",
)

RUNNERS: Mapping[str, Runner] = {
    "Processing": _PROCESSING,
    "QualityCheck": replace(_PROCESSING, metadata_key="QualityCheck"),
    "ClarifyCheck": replace(_PROCESSING, metadata_key="ClarifyCheck"),
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
    "Tuning": Runner(
        operation="CreateHyperParameterTuningJob",
        create="create_hyper_parameter_tuning_job",
        describe="describe_hyper_parameter_tuning_job",
        stop="stop_hyper_parameter_tuning_job",
        name_field="HyperParameterTuningJobName",
        arn_field="HyperParameterTuningJobArn",
        status_field="HyperParameterTuningJobStatus",
        metadata_key="TuningJob",
        name_length=32,
        lists="ListTrainingJobsForHyperParameterTuningJob",
        more=_top_training_jobs,
    ),
    "Model": Runner(
        operation="CreateModel",
        create="create_model",
        describe="describe_model",
        name_field="ModelName",
        arn_field="ModelArn",
        metadata_key="Model",
    ),
    "EndpointConfig": Runner(
        operation="CreateEndpointConfig",
        create="create_endpoint_config",
        describe="describe_endpoint_config",
        name_field="EndpointConfigName",
        arn_field="EndpointConfigArn",
        metadata_key="EndpointConfig",
        keeps_name=True,
    ),
    # EndpointStep of the SDK (sagemaker.mlops.workflow 1.27): created, or updated where it exists
    "Endpoint": Runner(
        operation="CreateEndpoint",
        create="create_endpoint",
        describe="describe_endpoint",
        name_field="EndpointName",
        arn_field="EndpointArn",
        metadata_key="Endpoint",
        keeps_name=True,
        update="update_endpoint",
        update_members=("EndpointName", "EndpointConfigName"),
        served="EndpointConfigName",
        status_field="EndpointStatus",
        ends={
            "InService": "Succeeded",
            "Failed": "Failed",
            "OutOfService": "Failed",
            "UpdateRollbackFailed": "Failed",
        },
    ),
    "InferenceComponent": Runner(
        operation="CreateInferenceComponent",
        create="create_inference_component",
        describe="describe_inference_component",
        name_field="InferenceComponentName",
        arn_field="InferenceComponentArn",
        metadata_key="InferenceComponent",
        keeps_name=True,
        update="update_inference_component",
        update_members=("InferenceComponentName", "Specification", "RuntimeConfig"),
        status_field="InferenceComponentStatus",
        ends={"InService": "Succeeded", "Failed": "Failed"},
    ),
    "RegisterModel": Runner(
        operation="CreateModelPackage",
        create="create_model_package",
        describe="describe_model_package",
        describe_field="ModelPackageName",
        arn_field="ModelPackageArn",
        status_field="ModelPackageStatus",
        metadata_key="RegisterModel",
        # sample notebooks and the SDK's own tests of pipelines name groups that nobody makes
        holder="ModelPackageGroupName",
        create_holder="create_model_package_group",
        takes_tags=False,  # a version has those of its group (API reference, CreateModelPackage)
        # sagemaker 3.27 core/model_registry.py writes both whatever the caller said. They are
        # members of CreateModelPackage (botocore 1.44), so any other value is passed on.
        defaults={"SkipModelValidation": "None", "CertifyForMarketplace": False},
    ),
}
"""Step type -> its runner. What else there is to a type is in its driver."""
