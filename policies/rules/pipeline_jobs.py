"""Pipelines: what every job of theirs must have, whatever it does."""

from fnmatch import fnmatchcase

from policies.data import Resource
from policies.jobs import (
    FACETS,
    NOT_ASKED,
    PIPELINE,
    Job,
    each,
    instances,
    jobs,
    machines,
    volume_key,
)
from policies.rule import Fail, Result, Scope, every, rule


@rule(
    "ML-PL-005",
    applies_to=PIPELINE,
    kind="pipeline",
    severity="high",
    fix="give every job step a VPC, encrypted traffic, a volume key (not on local NVMe), an\n"
    "output key and isolation; name steps that call AWS in calls_aws of the workload (workload.py)",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/infrastructure-security.html",
    themes="ETN",
)
def require_secured_steps(resource: Resource, scope: Scope) -> Result:
    """Every job of a pipeline runs in the platform's network, isolated, with customer managed keys.

    A step is asked for what its kind of job can have: a transform has no network of its own, that
    is its model's. A step that calls AWS itself cannot be isolated: the environment names it.
    """

    def isolation(job: Job) -> Result:
        return None if job.name in scope.config.calling_steps else _isolation(job)

    facets = (_network, isolation, _traffic, volume_key, _output_key)
    return each(
        jobs(resource, *FACETS),
        lambda job: every(facets, lambda facet: facet(job)),
        "the pipeline runs no job",
    )


def _network(job: Job) -> Result:
    path = job.facet("network")
    if path is None or job.has(f"{path}.subnets"):
        return None
    return Fail(f"{job.at(path)} must be set, got none")


def _isolation(job: Job) -> Result:
    path = job.facet("isolation")
    if path is None or job.get(path) is True:
        return None
    return Fail(f"{job.at(path)} must be true, got false")


def _traffic(job: Job) -> Result:
    path = job.facet("traffic")
    if path is None or job.get(path) is True:
        return None
    if machines(job) < 2:
        return None
    return Fail(f"{job.at(path)} must be true on several instances, got false")


def _output_key(job: Job) -> Result:
    path = job.facet("output_key")
    if path is None or job.has(path):
        return None
    if job.kind in ("Processing", "QualityCheck", "ClarifyCheck"):
        outputs = path.partition(".")[0]
        if not job.has(outputs):
            return None
    return Fail(f"{job.at(path)} must be set, got none")


@rule(
    "ML-PL-006",
    applies_to=PIPELINE,
    kind="pipeline",
    severity="high",
    fix="set StoppingCondition.MaxRuntimeInSeconds on every job step,\n"
    "and take an instance type that job_instance_types allows",
    url="https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProcessingStoppingCondition.html",
    themes="C",
)
def limit_pipeline_jobs(resource: Resource, scope: Scope) -> Result:
    """Every job of a pipeline is stopped in time and runs on an instance type that is allowed.

    A transform has no stopping condition in SageMaker, so only its instances are judged.
    """

    def check(job: Job) -> Result:
        if job.facet("seconds") is None and not instances(job):
            return NOT_ASKED
        return every((_stopped, _allowed), lambda facet: facet(job, scope))

    return each(jobs(resource, *FACETS), check, "the pipeline runs no job")


def _stopped(job: Job, scope: Scope) -> Result:
    path = job.facet("seconds")
    if path is None:
        return None
    seconds, most = job.get(path), scope.config.training_seconds_max
    if seconds is not None and float(seconds) <= most:
        return None
    return Fail(f"{job.at(path)} must be set and at most {most}, got {seconds or 'none'}")


def _allowed(job: Job, scope: Scope) -> Result:
    patterns = scope.config.job_instance_types
    stray = [
        kind
        for kind, _ in instances(job)
        if not any(fnmatchcase(kind, pattern) for pattern in patterns)
    ]
    if not stray:
        return None
    where = job.at(f"{job.resources}.instanceType")
    return Fail(f"{where} must be one of {', '.join(patterns)}, got {', '.join(stray)}")
