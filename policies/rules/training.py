"""Jobs that train, alone or in a pipeline: isolation, keys, debugging, lineage, retries."""

from policies.data import Data, Resource
from policies.images import approved
from policies.jobs import (
    NOT_ASKED,
    PIPELINE,
    TRAINING_JOB,
    TUNING_JOB,
    Job,
    definition,
    each,
    gpus,
    jobs,
    machines,
    told,
    volume_key,
)
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule

TRAINS = (TRAINING_JOB, TUNING_JOB, PIPELINE)
COMMIT = ("commit", "source_commit", "git_commit", "git_sha", "revision")
DATASET = ("data_hash", "dataset_hash", "data_version", "dataset_version", "dataset_snapshot")
RETRIES_MAX = 10
"""More attempts hide what is broken and pay for it each time."""


@rule(
    "ML-TJ-003",
    applies_to=TRAINS,
    kind="pipeline",
    severity="high",
    fix="set enable_network_isolation and vpc_config with private subnets;\n"
    "name steps that call AWS in calls_aws of pipelines/<workload>/workload.py",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/train-vpc.html",
    themes="N",
)
def require_isolated_training(resource: Resource, scope: Scope) -> Result:
    """Training runs in the platform's own network and its container reaches nothing outside.

    A container with network isolation has no credentials either, so one that downloads weights or
    reports to a tracker itself cannot have it: give it its input as a channel, or let the
    environment name its step as one that calls AWS.
    """

    def check(job: Job) -> Result:
        return every((_isolation, _network), lambda facet: facet(job, scope))

    return each(jobs(resource, "Training"), check, "trains nothing")


def _isolation(job: Job, scope: Scope) -> Result:
    if job.name in scope.config.calling_steps:
        return None
    path = "enableNetworkIsolation"
    isolated = job.get(path)
    return (
        None
        if isolated is True
        else Fail(f"{job.at(path)} must be true, got {str(isolated).lower()}")
    )


def _network(job: Job, _: Scope) -> Result:
    path = "vpcConfig"
    return None if job.has(f"{path}.subnets") else Fail(f"{job.at(path)} must be set, got none")


@rule(
    "ML-TJ-004",
    applies_to=TRAINS,
    kind="pipeline",
    severity="medium",
    fix="set enable_inter_container_traffic_encryption;\nit costs some time on large clusters",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/train-encrypt.html",
    themes="T",
)
def require_encrypted_training_traffic(resource: Resource, scope: Scope) -> Result:
    """What the instances of one training job tell each other is encrypted.

    A job of one instance talks to nobody, so it is asked for nothing.
    """
    del scope

    def check(job: Job) -> Result:
        path = "enableInterContainerTrafficEncryption"
        if job.get(path) is True:
            return None
        if machines(job) < 2:
            return NOT_ASKED
        return Fail(f"{job.at(path)} must be true, got false")

    return each(jobs(resource, "Training"), check, "no job trains on several instances")


@rule(
    "ML-TJ-005",
    applies_to=TRAINS,
    kind="pipeline",
    severity="high",
    fix="set resource_config.volume_kms_key_id (not on types with local NVMe)\n"
    "and output_data_config.kms_key_id",
    url="https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ResourceConfig.html",
    themes="E",
)
def require_training_keys(resource: Resource, scope: Scope) -> Result:
    """Volumes and results of training are encrypted with a customer managed key.

    Instances with local NVMe encrypt in hardware and CreateTrainingJob refuses a key for their
    volume, so there it must be absent.
    """
    del scope

    def check(job: Job) -> Result:
        return every((volume_key, _output_key), lambda facet: facet(job))

    return each(jobs(resource, "Training"), check, "trains nothing")


def _output_key(job: Job) -> Result:
    path = "outputDataConfig.kmsKeyId"
    return None if job.has(path) else Fail(f"{job.at(path)} must be set, got none")


@rule(
    "ML-TJ-008",
    applies_to=(TRAINING_JOB, PIPELINE),
    kind="pipeline",
    severity="medium",
    fix="leave out remote_debug_config in production;\n"
    "set profiler_config with an S3 path for large jobs",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/train-remote-debugging.html",
    themes="L",
)
def forbid_remote_debugging(resource: Resource, scope: Scope) -> Result:
    """Nobody logs in to a production training container; large jobs are profiled instead.

    Remote debugging opens a shell with the job's role beside production data.
    """
    if not scope.config.production:
        return NotApplicable("trials may be debugged")

    def check(job: Job) -> Result:
        path = "remoteDebugConfig.enableRemoteDebug"
        if job.get(path) is True:
            return Fail(f"{job.at(path)} must not be true, got true")
        least = scope.config.profiled_gpus_min
        if gpus(job) <= least or _is_profiled(job):
            return None
        where = job.at("profilerConfig.s3OutputPath")
        return Fail(f"{where} must be set for more than {least} GPUs, got none")

    return each(jobs(resource, "Training"), check, "trains nothing")


def _is_profiled(job: Job) -> bool:
    return (
        job.has("profilerConfig.s3OutputPath")
        and job.get("profilerConfig.disableProfiler") is not True
    )


@rule(
    "ML-TJ-010",
    applies_to=TRAINS,
    kind="pipeline",
    severity="medium",
    fix="pin the image by digest; name the commit and the dataset in hyper-parameters, tags or\n"
    "what RegisterModel keeps (commit, data_hash)",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/lineage-tracking.html",
    themes="SD",
)
def require_reproducible_training(resource: Resource, scope: Scope) -> Result:
    """Training says which image, which commit and which data it was made of.

    The image is pinned by digest, because a tag moves. Commit and dataset stand in the job's
    tags, hyper-parameters or environment, or in the metadata of the model that is registered.
    """
    registered = _registered(resource)

    def check(job: Job) -> Result:
        return every((_pinned, _traced), lambda facet: facet(job, scope, registered))

    return each(jobs(resource, "Training"), check, "trains nothing")


def _pinned(job: Job, scope: Scope, _: set[str]) -> Result:
    path = "algorithmSpecification.trainingImage"
    if not job.has(path):
        return None  # an algorithm of a marketplace, or a serverless job
    found = approved(str(job.get(path)), scope)
    return Fail(f"{job.at(path)}: {found.message}") if isinstance(found, Fail) else found


def _traced(job: Job, _: Scope, registered: set[str]) -> Result:
    names = registered | _labels(job)
    missing = [
        f"the {what} ({' or '.join(keys[:2])})"
        for what, keys in (("commit", COMMIT), ("dataset", DATASET))
        if not names & set(keys)
    ]
    return Fail(f"{told(job)} must name {' and '.join(missing)}") if missing else None


def _labels(job: Job) -> set[str]:
    """Names of tags, hyper-parameters and variables; whatever their values."""
    names: set[str] = set()
    for key in ("hyperParameters", "staticHyperParameters", "environment"):
        names |= job.data.keys(job.key(key))
    tags = job.data.value.get(job.key("tags"))
    if isinstance(tags, list):
        names |= {str(tag.get("Key")) for tag in job.each("tags")}
    elif isinstance(tags, dict):
        names |= set(tags)
    return {name.lower().replace("-", "_") for name in names}


def _registered(resource: Resource) -> set[str]:
    if resource.type != PIPELINE:
        return set()
    steps = definition(resource).of_type("RegisterModel")
    return {
        name.lower().replace("-", "_")
        for step in steps
        for name in Data(step.arguments).keys("CustomerMetadataProperties")
    }


@rule(
    "ML-TJ-011",
    applies_to=TRAINS,
    kind="pipeline",
    severity="low",
    fix="set retry_strategy.maximum_retry_attempts, or RetryPolicies on the step,\n"
    f"between 1 and {RETRIES_MAX}",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-retry-policy.html",
    themes="H",
)
def require_training_retries(resource: Resource, scope: Scope) -> Result:
    """Training is tried again after a fault of the service, and not without end."""
    del scope
    pipeline = definition(resource) if resource.type == PIPELINE else None

    def check(job: Job) -> Result:
        attempts = _attempts(job)
        path = job.at("retryStrategy.maximumRetryAttempts")
        if pipeline is not None:
            policies = pipeline.steps[job.name].body.get("RetryPolicies") or ()
            attempts += [policy.get("MaxAttempts", RETRIES_MAX) for policy in policies]
            path = f"{pipeline.steps[job.name].path}.RetryPolicies"
        if attempts and all(1 <= count <= RETRIES_MAX for count in attempts):
            return None
        got = ", ".join(map(str, attempts)) or "none"
        return Fail(f"{path} must be between 1 and {RETRIES_MAX}, got {got}")

    return each(jobs(resource, "Training"), check, "trains nothing")


def _attempts(job: Job) -> list[int]:
    """A resource of pulumi-aws calls a tuning job's one strategy `retryStrategies`."""
    found = [strategy.get("maximumRetryAttempts") for strategy in job.each("retryStrategies")]
    if (single := job.get("retryStrategy.maximumRetryAttempts")) is not None:
        found.append(single)
    return [int(count) for count in found]
