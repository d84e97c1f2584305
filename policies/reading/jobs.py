"""Jobs as rules read them: resources of the stack and steps of pipelines, told by one grammar."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from policies.data import UNKNOWN, Data, Resource, Unknown
from policies.reading.definition import KEPT, Definition, parse
from policies.reading.texts import HOLDING
from policies.rule import Fail, NotApplicable, Result, every
from policies.tables.instances import GPUS, LOCAL_NVME, NO_LOCAL_NVME, NVIDIA

PIPELINE = "aws:sagemaker/pipeline:Pipeline"
TRAINING_JOB = "aws:sagemaker/trainingJob:TrainingJob"
TUNING_JOB = "aws:sagemaker/hyperParameterTuningJob:HyperParameterTuningJob"

RETIRED_GPUS = {
    "p2.xlarge": 1,
    "p2.8xlarge": 8,
    "p2.16xlarge": 16,
    "p3.2xlarge": 1,
    "p3.8xlarge": 4,
    "p3.16xlarge": 8,
}
"""SageMaker still knows these types; EC2's data, and so the table, no longer does."""

_PROCESSING = {
    "resources": "processingResources.clusterConfig",
    "output_key": "processingOutputConfig.kmsKeyId",
    "network": "networkConfig.vpcConfig",
    "isolation": "networkConfig.enableNetworkIsolation",
    "traffic": "networkConfig.enableInterContainerTrafficEncryption",
    "seconds": "stoppingCondition.maxRuntimeInSeconds",
    "image": "appSpecification.imageUri",
}
FACETS: Mapping[str, Mapping[str, str]] = {
    "Training": {
        "resources": "resourceConfig",
        "output_key": "outputDataConfig.kmsKeyId",
        "network": "vpcConfig",
        "isolation": "enableNetworkIsolation",
        "traffic": "enableInterContainerTrafficEncryption",
        "seconds": "stoppingCondition.maxRuntimeInSeconds",
        "image": "algorithmSpecification.trainingImage",
    },
    "Processing": _PROCESSING,
    "QualityCheck": _PROCESSING,
    "ClarifyCheck": _PROCESSING,
    "Transform": {"resources": "transformResources", "output_key": "transformOutput.kmsKeyId"},
    "AutoML": {
        "volume_key": "autoMLJobConfig.securityConfig.volumeKmsKeyId",
        "output_key": "outputDataConfig.kmsKeyId",
        "network": "autoMLJobConfig.securityConfig.vpcConfig",
        "traffic": "autoMLJobConfig.securityConfig.enableInterContainerTrafficEncryption",
        "seconds": "autoMLJobConfig.completionCriteria.maxAutoMLJobRuntimeInSeconds",
    },
}
"""Kind of job -> what rules ask about -> where its request has it; what it cannot have is absent.

From the CreateTrainingJob, CreateProcessingJob, CreateTransformJob and CreateAutoMLJob requests.
"""


@dataclass(frozen=True, slots=True)
class Job:
    """One job, or what a tuning job starts many of."""

    kind: str
    """As pipelines call the step; a job of a tuning job is `Training`."""
    data: Data
    """Its request."""
    name: str = ""
    """The step's. Default: the job is a resource by itself."""
    whole: Data | None = None
    """The request of the tuning job that starts it. Default: it is started alone."""

    @property
    def defined(self) -> bool:
        """Whether it stands in a definition, where keys begin with a capital letter."""
        return bool(self.name)

    def get(self, path: str) -> Any:
        """The value at a path in the resource's spelling, such as `vpcConfig.subnets`."""
        return self.data.get(*self._keys(path))

    def has(self, path: str) -> bool:
        """Whether something is there."""
        return self.data.has(*self._keys(path))

    def each(self, path: str) -> list[Data]:
        """The elements of a list."""
        return self.data.each(*self._keys(path))

    def at(self, path: str) -> str:
        """The path as a person finds it."""
        keys = ".".join(self._keys(path))
        return f"{self.data.path}.{keys}" if self.data.path else keys

    def key(self, name: str) -> str:
        """One key in the spelling of its source."""
        return name[:1].upper() + name[1:] if self.defined else name

    def facet(self, name: str) -> str | None:
        """Where this kind of job has something; None where it cannot have it."""
        return FACETS.get(self.kind, {}).get(name)

    @property
    def resources(self) -> str | None:
        """Where its instances stand; a tuning job may name them for all its jobs."""
        shared = "hyperParameterTuningResourceConfig"
        if self.kind == "Training" and not self.has("resourceConfig") and self.has(shared):
            return shared
        return self.facet("resources")

    def _keys(self, path: str) -> list[str]:
        return [self.key(name) for name in path.split(".")]


def definition(resource: Resource) -> Definition:
    """The definition of a pipeline; raises ValueError where there is none to read."""
    text = resource.inputs.get("pipelineDefinition")
    if text is None and resource.inputs.has("pipelineDefinitionS3Location"):
        raise Unknown("pipelineDefinitionS3Location (what stands there)")
    if not isinstance(text, str):
        raise ValueError(f"pipelineDefinition must be JSON text, got {type(text).__name__}")
    return parse(text)


def jobs(resource: Resource, *kinds: str) -> list[Job]:
    """The jobs of these kinds that a resource is, starts or defines; Tuning counts as Training."""
    found = _defined(definition(resource)) if resource.type == PIPELINE else _own(resource)
    return [job for job in found if job.kind in kinds]


def tunings(resource: Resource) -> list[Job]:
    """The tuning jobs that a resource is or defines."""
    if resource.type == TUNING_JOB:
        return [Job("Tuning", resource.inputs)]
    if resource.type != PIPELINE:
        return []
    steps = definition(resource).of_type("Tuning")
    return [Job("Tuning", _request(step.arguments, step.path), step.name) for step in steps]


def _own(resource: Resource) -> Iterator[Job]:
    if resource.type == TUNING_JOB:
        yield from _tuned(Job("Tuning", resource.inputs))
    else:
        yield Job("Training", resource.inputs)


@lru_cache(maxsize=KEPT)
def _defined(pipeline: Definition) -> tuple[Job, ...]:
    return tuple(_steps(pipeline))


def _steps(pipeline: Definition) -> Iterator[Job]:
    for step in pipeline.steps.values():
        job = Job(step.type, _request(step.arguments, step.path), step.name)
        if step.type == "Tuning":
            yield from _tuned(job)
        else:
            yield job


def _tuned(job: Job) -> Iterator[Job]:
    single = job.key("trainingJobDefinition")
    if job.has("trainingJobDefinition"):
        data = Data(job.data.value[single], job.at("trainingJobDefinition"))
        yield Job("Training", data, job.name, job.data)
    for data in job.each("trainingJobDefinitions"):
        yield Job("Training", data, job.name, job.data)


def _request(arguments: Mapping[str, Any], path: str) -> Data:
    """A step's request: what a run fills in is not known to whoever reads the definition."""
    return Data(settled(arguments), f"{path}.Arguments")


def settled(node: Any) -> Any:
    """A piece of a definition with UNKNOWN for every reference and function."""
    if type(node) is dict:
        if len(node) == 1 and ("Get" in node or next(iter(node)).startswith("Std:")):
            return UNKNOWN
        return {key: settled(item) if type(item) in HOLDING else item for key, item in node.items()}
    return [settled(item) for item in node] if type(node) is list else node


def instances(job: Job) -> list[tuple[str, int]]:
    """Instance types and how many of each; empty for what runs on none of one's choosing."""
    path = job.resources
    if path is None or not job.has(path):
        return []
    groups = job.each(f"{path}.instanceGroups") or job.each(f"{path}.instanceConfigs")
    kind, count = job.key("instanceType"), job.key("instanceCount")
    if groups:
        return [(str(group.get(kind)), int(group.get(count) or 1)) for group in groups]
    instance_type = job.get(f"{path}.instanceType")
    return [(str(instance_type), int(job.get(f"{path}.instanceCount") or 1))]


def machines(job: Job) -> int:
    """How many instances a job runs on, of whatever type."""
    path = job.resources
    if path is None or not job.has(path):
        return 0
    groups = job.each(f"{path}.instanceGroups")
    if groups:
        return sum(int(group.get(job.key("instanceCount")) or 1) for group in groups)
    return int(job.get(f"{path}.instanceCount") or 1)


def gpus(job: Job) -> int:
    """The NVIDIA GPUs of one run of a job."""
    return sum(_gpus(kind.removeprefix("ml."), job) * count for kind, count in instances(job))


def _gpus(instance_type: str, job: Job) -> int:
    family = instance_type.partition(".")[0]
    known = GPUS.get(instance_type, RETIRED_GPUS.get(instance_type))
    if known is None and (family in NVIDIA or not is_known(family)):
        where = job.at(f"{job.resources}.instanceType")
        raise Unknown(f"{where} ({instance_type!r} is not in policies/tables)")
    return known or 0


def is_known(family: str) -> bool:
    """Whether the tables know a family of instances."""
    return family in LOCAL_NVME or family in NO_LOCAL_NVME or family in ("g3", "p2", "p3")


def has_local_nvme(instance_type: str, where: str) -> bool:
    """Whether the hardware of an instance type encrypts its volumes, so that no key fits."""
    family = instance_type.removeprefix("ml.").partition(".")[0]
    if not is_known(family):
        raise Unknown(f"{where} (family {family!r} is not in policies/tables)")
    return family in LOCAL_NVME


def volume_key(job: Job) -> Result:
    """Whether the volume of a job has a key, or must not have one."""
    if (fixed := job.facet("volume_key")) is not None:
        return None if job.has(fixed) else Fail(f"{job.at(fixed)} must be set, got none")
    used = instances(job)
    if not used:
        return None
    path = f"{job.resources}.volumeKmsKeyId"
    nvme = {has_local_nvme(kind, job.at(f"{job.resources}.instanceType")) for kind, _ in used}
    names = ", ".join(sorted({kind for kind, _ in used}))
    if len(nvme) > 1:
        return Fail(f"{names} mixes types with and without local NVMe: no key fits both")
    has_key = job.has(path)
    if nvme == {True}:
        return Fail(f"{job.at(path)} must be absent on {names}") if has_key else None
    return None if has_key else Fail(f"{job.at(path)} must be set on {names}, got none")


def told(job: Job) -> str:
    """Which job, for a message."""
    return f"{job.data.path} ({job.name})" if job.defined else "the job"


NOT_ASKED = NotApplicable("not asked of this job")


def each(found: Iterable[Job], check: Callable[[Job], Result], otherwise: str) -> Result:
    """One check on every job; not applicable where there is none, or the check says so of all."""
    asked = False

    def noted(job: Job) -> Result:
        nonlocal asked
        result = check(job)
        asked = asked or not isinstance(result, NotApplicable)
        return result

    failed = every(found, noted)
    return failed if failed or asked else NotApplicable(otherwise)
