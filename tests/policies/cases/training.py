"""Cases of the rules about jobs that train."""

from __future__ import annotations

from functools import partial
from typing import Any

import pulumi_aws as aws

from policies.rule import Status
from tests.policies.cases.access import pipeline, step, unread_pipeline
from tests.policies.cases.case import ACCOUNT, DIGEST, IMAGE, KEY, Case, Program, later

APPROVED: dict[str, Any] = {"approved_registries": [ACCOUNT]}
TRIAL: dict[str, Any] = {"production": False}
NETWORK = {"subnets": ["subnet-1"], "security_group_ids": ["sg-1"]}
COUNT = {"instance_count": 1, "volume_size_in_gb": 30}


def job(instance_type: Any = "ml.m5.large", *, count: int = 1, **changes: Any) -> None:
    resources = {
        "instance_type": instance_type,
        "instance_count": count,
        "volume_size_in_gb": 30,
        **changes.pop("resources", {}),
    }
    shape: dict[str, Any] = {
        "algorithm_specification": {
            "training_image": changes.pop("image", f"{IMAGE}@{DIGEST}"),
            "training_input_mode": "File",
        },
        "output_data_config": {"s3_output_path": "s3://b/o", **changes.pop("output", {})},
        "resource_config": resources,
        "role_arn": "role",
        "training_job_name": "job",
        "stopping_condition": changes.pop("stop", {"max_runtime_in_seconds": 3600}),
    }
    aws.sagemaker.TrainingJob("job", **{**shape, **changes})


def tuning(
    limits: Any = None, *, gpu: bool = False, stops: Any = "Auto", seconds: Any = 3600
) -> None:
    definition: Any = {
        "algorithm_specification": {"training_image": IMAGE, "training_input_mode": "File"},
        "output_data_config": {"s3_output_path": "s3://b/o"},
        "role_arn": "role",
        "stopping_condition": {"max_runtime_in_seconds": seconds},
        "resource_config": {**COUNT, "instance_type": "ml.g5.xlarge" if gpu else "ml.m5.large"},
    }
    given = {
        "max_number_of_training_jobs": 20,
        "max_parallel_training_jobs": 4,
        "max_runtime_in_seconds": 7200,
    }
    config: Any = {
        "strategy": "Bayesian",
        "resource_limits": {**given, **(limits or {})},
        "training_job_early_stopping_type": stops,
    }
    aws.sagemaker.HyperParameterTuningJob(
        "tuning",
        name="tuning",
        config=config,
        training_job_definition=definition,
    )


def training_step(**changes: Any) -> dict[str, Any]:
    """A step with what most rules want; the resources of a step are merged one level deep."""
    request: dict[str, Any] = {
        "AlgorithmSpecification": {"TrainingImage": f"{IMAGE}@{DIGEST}"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            **changes.pop("resources", {}),
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "OutputDataConfig": {"S3OutputPath": "s3://b/o", "KmsKeyId": KEY},
    }
    body = changes.pop("body", {})
    return {**step("Train", "Training", **{**request, **changes}), **body}


def defined(**changes: Any) -> Program:
    return partial(pipeline, "training", training_step(**changes))


def tuning_step(limits: Any, *, gpu: bool = False) -> Program:
    request = training_step(resources={"InstanceType": "ml.g5.xlarge"} if gpu else {})["Arguments"]
    config = {
        "Strategy": "Bayesian",
        "ResourceLimits": limits,
        "TrainingJobEarlyStoppingType": "Auto",
    }
    made = step(
        "Tune", "Tuning", HyperParameterTuningJobConfig=config, TrainingJobDefinition=request
    )
    return partial(pipeline, "training", made)


NOTHING_TRAINED = partial(pipeline, "training", step("Ask", "Condition"))
PARAMETER = {"Get": "Parameters.X"}


def case(rule: str, status: Status, program: Program, says: str = "", **config: Any) -> Case:
    return Case(rule=f"ML-TJ-{rule}", status=status, program=program, says=says, config=config)


def undecided(rule: str, program: Program, says: str = "", **config: Any) -> Case:
    return Case(
        rule=f"ML-TJ-{rule}",
        status="unknown",
        program=program,
        says=says,
        preview=True,
        config=config,
    )


SPOT: dict[str, Any] = {"enable_managed_spot_training": True}
CHECKPOINT: dict[str, Any] = {"checkpoint_config": {"s3_uri": "s3://b/c"}}
WAIT: dict[str, Any] = {"stop": {"max_runtime_in_seconds": 3600, "max_wait_time_in_seconds": 7200}}
ISOLATED: dict[str, Any] = {"enable_network_isolation": True, "vpc_config": NETWORK}
LIMITS = {"MaxNumberOfTrainingJobs": 10, "MaxParallelTrainingJobs": 2, "MaxRuntimeInSeconds": 3600}
TRACED: dict[str, Any] = {"hyper_parameters": {"git-sha": "1", "dataset_version": "2"}}
REGISTERED = step("Register", "RegisterModel", CustomerMetadataProperties={"commit": "1"})
RETRIES = {"RetryPolicies": [{"ExceptionType": ["SageMaker.JOB_INTERNAL_ERROR"], "MaxAttempts": 3}]}

COST = [
    case("001", "pass", job),
    case("001", "pass", tuning),
    case("001", "pass", defined()),
    case("001", "fail", partial(job, stop=None), "must be set and at most 86400, got none"),
    case("001", "fail", job, "at most 1800, got 3600", training_seconds_max=1800),
    case("001", "fail", partial(tuning, seconds=90_000), "trainingJobDefinition.stoppingCondition"),
    case(
        "001",
        "fail",
        defined(StoppingCondition={}),
        "Steps[0].Arguments.StoppingCondition.MaxRuntimeInSeconds",
    ),
    case("001", "unknown", defined(StoppingCondition={"MaxRuntimeInSeconds": PARAMETER})),
    undecided("001", unread_pipeline, "pipelineDefinition"),
    case("001", "not_applicable", NOTHING_TRAINED, "trains nothing"),
    case("002", "pass", partial(job, **SPOT, **CHECKPOINT, **WAIT)),
    case("002", "pass", partial(job, "ml.g5.xlarge", **SPOT, **CHECKPOINT, **WAIT), **TRIAL),
    case("002", "fail", partial(job, **SPOT, **WAIT), "checkpointConfig.s3Uri must be set"),
    case("002", "fail", partial(job, **SPOT, **CHECKPOINT), "must be at least 3600, got none"),
    case("002", "fail", partial(job, "ml.g5.xlarge"), "for GPUs outside production", **TRIAL),
    case(
        "002",
        "fail",
        defined(EnableManagedSpotTraining=True),
        "Steps[0].Arguments.CheckpointConfig.S3Uri",
    ),
    case("002", "unknown", defined(EnableManagedSpotTraining=PARAMETER)),
    case("002", "not_applicable", job, "nothing trains on spot"),
    case("002", "not_applicable", job, "nothing trains on spot", **TRIAL),
    case("006", "pass", partial(job, "ml.p4d.24xlarge")),
    case("006", "pass", partial(tuning, gpu=True)),
    case(
        "006", "fail", partial(job, "ml.p4d.24xlarge", count=3), "at most 16 GPUs at once, got 24"
    ),
    case(
        "006",
        "fail",
        partial(job, "ml.p3.16xlarge"),
        "at most 4 GPU hours, got 8",
        training_gpu_hours_max=4,
    ),
    case(
        "006",
        "fail",
        partial(tuning, {"max_parallel_training_jobs": 20}, gpu=True),
        "at most 16 GPUs at once, got 20",
    ),
    case(
        "006",
        "fail",
        tuning_step({"MaxNumberOfTrainingJobs": 500, "MaxParallelTrainingJobs": 1}, gpu=True),
        "Steps[0].Arguments.TrainingJobDefinition (Tune) must use at most 384 GPU hours, got 500",
    ),
    case("006", "unknown", defined(resources={"InstanceType": PARAMETER}), "InstanceType"),
    case("006", "unknown", partial(job, "ml.zz9.large"), "'zz9.large' is not in policies/tables"),
    case("006", "not_applicable", job, "trains on no GPUs"),
    case("007", "pass", partial(job, resources={"keep_alive_period_in_seconds": 600})),
    case(
        "007",
        "fail",
        defined(resources={"KeepAlivePeriodInSeconds": 3600}),
        "KeepAlivePeriodInSeconds must be at most 1800, got 3600",
    ),
    case("007", "unknown", defined(resources={"KeepAlivePeriodInSeconds": PARAMETER})),
    case("007", "not_applicable", job, "keeps no warm pool"),
    case("009", "pass", tuning),
    case("009", "pass", tuning_step(LIMITS)),
    case(
        "009",
        "fail",
        partial(tuning, {"max_runtime_in_seconds": None}, stops="Off"),
        "config.trainingJobEarlyStoppingType must be Auto, got Off",
    ),
    case("009", "fail", tuning_step({}), "ResourceLimits.MaxNumberOfTrainingJobs must be set"),
    case("009", "fail", tuning, "at most 5, got 20", tuning_jobs_max=5),
    case("009", "unknown", tuning_step({**LIMITS, "MaxNumberOfTrainingJobs": PARAMETER})),
    case("009", "not_applicable", defined(), "tunes nothing"),
]

SAFETY = [
    case("003", "pass", partial(job, **ISOLATED)),
    case("003", "pass", defined(EnableNetworkIsolation=True, VpcConfig={"Subnets": ["s"]})),
    case("003", "fail", job, "enableNetworkIsolation must be true, got none; vpcConfig must be"),
    case("003", "pass", defined(VpcConfig={"Subnets": ["s"]}), calling_steps=("Train",)),
    case("003", "fail", defined(), "Steps[0].Arguments.VpcConfig must be set"),
    case("003", "fail", defined(), "VpcConfig must be set", calling_steps=("Train",)),
    case(
        "003",
        "fail",
        defined(VpcConfig={"Subnets": ["s"]}),
        "EnableNetworkIsolation must be true",
        calling_steps=("Other",),
    ),
    undecided(
        "003",
        lambda: job(enable_network_isolation=True, vpc_config=later().apply(lambda _: NETWORK)),
    ),
    case("003", "not_applicable", NOTHING_TRAINED),
    case("004", "pass", partial(job, count=2, enable_inter_container_traffic_encryption=True)),
    case(
        "004", "fail", partial(job, count=2), "enableInterContainerTrafficEncryption must be true"
    ),
    case("004", "fail", defined(resources={"InstanceCount": 4}), "Steps[0].Arguments.EnableInter"),
    case("004", "unknown", defined(resources={"InstanceCount": PARAMETER}), "InstanceCount"),
    case("004", "not_applicable", job, "several instances"),
    case(
        "005",
        "pass",
        partial(job, resources={"volume_kms_key_id": KEY}, output={"kms_key_id": KEY}),
    ),
    case("005", "pass", partial(job, "ml.g5.xlarge", output={"kms_key_id": KEY})),
    case("005", "pass", defined(resources={"VolumeKmsKeyId": KEY})),
    case("005", "fail", job, "volumeKmsKeyId must be set on ml.m5.large, got none; outputData"),
    case(
        "005",
        "fail",
        partial(job, "ml.p4d.24xlarge", resources={"volume_kms_key_id": KEY}),
        "volumeKmsKeyId must be absent on ml.p4d.24xlarge",
    ),
    undecided(
        "005", lambda: job(resources={"volume_kms_key_id": later()}, output={"kms_key_id": KEY})
    ),
    case("005", "not_applicable", NOTHING_TRAINED),
    case("008", "pass", job),
    case(
        "008",
        "pass",
        partial(job, "ml.p4d.24xlarge", count=2, profiler_config={"s3_output_path": "s3://b/p"}),
    ),
    case(
        "008",
        "fail",
        partial(job, remote_debug_config={"enable_remote_debug": True}),
        "enableRemoteDebug must not be true",
    ),
    case(
        "008",
        "fail",
        partial(job, "ml.p4d.24xlarge", count=2),
        "profilerConfig.s3OutputPath must be set for more than 8 GPUs",
    ),
    case("008", "unknown", defined(RemoteDebugConfig={"EnableRemoteDebug": PARAMETER})),
    case("008", "not_applicable", job, "trials may be debugged", **TRIAL),
    case("010", "pass", partial(job, **TRACED), **APPROVED),
    case("010", "pass", partial(job, tags={"commit": "1", "data_hash": "2"}), **APPROVED),
    case(
        "010",
        "pass",
        defined(Tags=[{"Key": k, "Value": "1"} for k in ("commit", "data_hash")]),
        **APPROVED,
    ),
    case("010", "fail", job, "must name the commit (commit or source_commit) and the", **APPROVED),
    case("010", "fail", partial(job, image=f"{IMAGE}:1", **TRACED), "pinned by digest", **APPROVED),
    case(
        "010",
        "fail",
        partial(pipeline, "training", training_step(), REGISTERED),
        "(Train) must name the dataset (data_hash or dataset_hash)",
        **APPROVED,
    ),
    undecided("010", lambda: job(image=later(), **TRACED), "trainingImage", **APPROVED),
    case("010", "not_applicable", NOTHING_TRAINED),
    case("011", "pass", partial(job, retry_strategy={"maximum_retry_attempts": 2})),
    case("011", "pass", defined(body=RETRIES)),
    case(
        "011", "fail", job, "retryStrategy.maximumRetryAttempts must be between 1 and 10, got none"
    ),
    case("011", "fail", defined(), "Steps[0].RetryPolicies must be between 1 and 10, got none"),
    case("011", "fail", partial(job, retry_strategy={"maximum_retry_attempts": 30}), "got 30"),
    case("011", "unknown", defined(RetryStrategy={"MaximumRetryAttempts": PARAMETER})),
    case("011", "not_applicable", NOTHING_TRAINED),
]


TRAINING = [*COST, *SAFETY]
