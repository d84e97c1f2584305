"""Jobs that train, alone or in a pipeline: what they may cost."""

from policies.data import Resource
from policies.reading.jobs import (
    NOT_ASKED,
    PIPELINE,
    TRAINING_JOB,
    TUNING_JOB,
    Job,
    each,
    gpus,
    jobs,
    told,
    tunings,
)
from policies.rule import Fail, Result, Scope, every, rule
from policies.theme import Theme

TRAINS = (TRAINING_JOB, TUNING_JOB, PIPELINE)

EARLY_STOPPING_OF_ITS_OWN = ("Hyperband",)
"""Strategies that stop bad jobs themselves; the API refuses `Auto` with them."""


@rule(
    "ML-TJ-001",
    applies_to=TRAINS,
    kind="pipeline",
    severity="high",
    fix="set stopping_condition.max_runtime_in_seconds to what the job needs and a reserve;\n"
    "the limit of the environment is training_seconds_max",
    url="https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html",
    themes=Theme.LIMITS,
)
def limit_training_time(resource: Resource, scope: Scope) -> Result:
    """Every training job is stopped after a time that somebody chose and the environment allows.

    Without one a job that hangs is paid for a whole day.
    """
    most = scope.config.training_seconds_max

    def check(job: Job) -> Result:
        path = "stoppingCondition.maxRuntimeInSeconds"
        seconds = job.get(path)
        if seconds is not None and float(seconds) <= most:
            return None
        return Fail(f"{job.at(path)} must be set and at most {most}, got {seconds or 'none'}")

    return each(jobs(resource, "Training"), check, "trains nothing")


@rule(
    "ML-TJ-002",
    applies_to=TRAINS,
    kind="pipeline",
    severity="medium",
    fix="set checkpoint_config.s3_uri and max_wait_time_in_seconds >= max_runtime_in_seconds;\n"
    "outside production train on spot, or exempt the job",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html",
    themes=Theme.LIMITS | Theme.AVAILABILITY,
)
def require_checkpoints_on_spot(resource: Resource, scope: Scope) -> Result:
    """Spot training can be interrupted and goes on from a checkpoint; trials on GPUs use spot.

    Without a checkpoint an interruption costs the whole run, and spot saves nothing.
    """

    def check(job: Job) -> Result:
        if job.get("enableManagedSpotTraining") is True:
            return every((_checkpoint, _wait), lambda facet: facet(job))
        if not scope.config.production and gpus(job):
            where = job.at("enableManagedSpotTraining")
            return Fail(f"{where} must be true for GPUs outside production, got false")
        return NOT_ASKED

    return each(jobs(resource, "Training"), check, "nothing trains on spot")


def _checkpoint(job: Job) -> Result:
    path = "checkpointConfig.s3Uri"
    return None if job.has(path) else Fail(f"{job.at(path)} must be set on spot, got none")


def _wait(job: Job) -> Result:
    runtime = job.get("stoppingCondition.maxRuntimeInSeconds") or 86_400
    path = "stoppingCondition.maxWaitTimeInSeconds"
    wait = job.get(path)
    if wait is not None and float(wait) >= float(runtime):
        return None
    return Fail(f"{job.at(path)} must be at least {runtime}, got {wait or 'none'}")


@rule(
    "ML-TJ-006",
    applies_to=TRAINS,
    kind="pipeline",
    severity="high",
    fix="use fewer GPUs or a shorter stopping condition;\n"
    "the limits are training_gpus_max and training_gpu_hours_max",
    url="https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ResourceConfig.html",
    themes=Theme.LIMITS,
)
def limit_training_gpus(resource: Resource, scope: Scope) -> Result:
    """A job uses no more GPUs, and no more GPU hours, than the environment allows.

    Hours are GPUs times the time after which the job is stopped: what it may cost, not what it
    will. The jobs of a tuning count together: as many as run at once, and all that it may start.
    """
    found = jobs(resource, "Training")
    return each(found, lambda job: _within_gpus(job, scope), "trains on no GPUs")


def _within_gpus(job: Job, scope: Scope) -> Result:
    used = gpus(job)
    if not used:
        return NOT_ASKED
    limits = "hyperParameterTuningJobConfig" if job.defined else "config"
    whole = Job("Tuning", job.whole, job.name) if job.whole else None
    resource_limits = f"{limits}.resourceLimits"
    parallel = whole.get(f"{resource_limits}.maxParallelTrainingJobs") or 1 if whole else 1
    started = whole.get(f"{resource_limits}.maxNumberOfTrainingJobs") or parallel if whole else 1
    seconds = job.get("stoppingCondition.maxRuntimeInSeconds") or 86_400
    at_once, hours = used * int(parallel), used * int(started) * float(seconds) / 3600
    most, most_hours = scope.config.training_gpus_max, scope.config.training_gpu_hours_max
    if at_once > most:
        return Fail(f"{told(job)} must use at most {most} GPUs at once, got {at_once}")
    if hours > most_hours:
        return Fail(f"{told(job)} must use at most {most_hours} GPU hours, got {hours:g}")
    return None


@rule(
    "ML-TJ-007",
    applies_to=TRAINS,
    kind="pipeline",
    severity="medium",
    fix="set resource_config.keep_alive_period_in_seconds no longer than\n"
    "keep_alive_seconds_max, or leave it out",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/train-warm-pools.html",
    themes=Theme.LIMITS,
)
def limit_warm_pools(resource: Resource, scope: Scope) -> Result:
    """A warm pool waits only for a short time: idle instances cost as much as busy ones."""
    most = scope.config.keep_alive_seconds_max

    def check(job: Job) -> Result:
        path = "resourceConfig.keepAlivePeriodInSeconds"
        seconds = job.get(path)
        if seconds is None:
            return NOT_ASKED
        return (
            None
            if seconds <= most
            else Fail(f"{job.at(path)} must be at most {most}, got {seconds}")
        )

    return each(jobs(resource, "Training"), check, "keeps no warm pool")


@rule(
    "ML-TJ-009",
    applies_to=(TUNING_JOB, PIPELINE),
    kind="pipeline",
    severity="high",
    fix="set max_number_of_training_jobs, max_parallel_training_jobs and max_runtime_in_seconds,\n"
    "and training_job_early_stopping_type Auto",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-early-stopping.html",
    themes=Theme.LIMITS,
)
def limit_tuning(resource: Resource, scope: Scope) -> Result:
    """A tuning is bounded in jobs, in jobs at once and in time, and gives up on bad jobs early."""
    return each(tunings(resource), lambda job: _bounded(job, scope), "tunes nothing")


def _bounded(job: Job, scope: Scope) -> Result:
    config = scope.config
    root = "hyperParameterTuningJobConfig" if job.defined else "config"
    limits = {
        "maxNumberOfTrainingJobs": config.tuning_jobs_max,
        "maxParallelTrainingJobs": config.tuning_parallel_jobs_max,
        "maxRuntimeInSeconds": config.training_seconds_max,
    }

    def bounded(name: str) -> Result:
        path = f"{root}.resourceLimits.{name}"
        value, most = job.get(path), limits[name]
        if value is not None and float(value) <= most:
            return None
        return Fail(f"{job.at(path)} must be set and at most {most}, got {value or 'none'}")

    def stops_early(name: str) -> Result:
        if job.get(f"{root}.strategy") in EARLY_STOPPING_OF_ITS_OWN:
            return None
        value = job.get(f"{root}.{name}")
        where = job.at(f"{root}.{name}")
        return None if value == "Auto" else Fail(f"{where} must be Auto, got {value or 'none'}")

    checks = [*((bounded, name) for name in limits), (stops_early, "trainingJobEarlyStoppingType")]
    return every(checks, lambda pair: pair[0](pair[1]))
