"""What an environment asks of its resources: thresholds from its file, and what follows from it.

Every front-end judges by one `PolicyConfig`: `Thresholds` are the mapping `plinth:policies` of the
environment's file, the rest follows from its other settings. Standard library only; the settings
have pydantic check the types and limits that stand here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, ClassVar, Literal


class Within:
    """What a value must hold besides its type, in pydantic's words: `ge`, `le`, `pattern`..."""

    def __init__(self, **limits: Any) -> None:
        self.limits = limits

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> dict[str, Any]:
        """Pydantic asks this of annotations that are not its own; here nothing loads it."""
        return {**handler(source), **self.limits}


Percent = Annotated[int, Within(ge=0, le=100, strict=True)]
Count = Annotated[int, Within(ge=1, strict=True)]
Limit = Annotated[int, Within(ge=0, strict=True)]
"""None at all is a limit too."""

Usd = Annotated[float, Within(ge=0, strict=True)]
Text = Annotated[str, Within(min_length=1)]
Patterns = tuple[Text, ...]
"""Shell-style, such as `ml.m5.*`."""

MinorVersion = Annotated[str, Within(pattern=r"^1\.\d\d$")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """What an environment's file can set under `plinth:policies`."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    production: bool = True
    """Rules that are mandatory in production only are mandatory here. Default: they are."""

    approved_registries: Patterns = ()
    """AWS accounts or host patterns that images may come from besides the environment's own
    account. Default: no other."""

    locked_buckets: Patterns = ()
    """Patterns of the buckets that need object lock, such as audit logs. Default: none."""

    tag_values: Mapping[Text, Patterns] = field(default_factory=dict)
    """Required tag -> the values it may have. Default: any value that is not empty."""

    expiry_tag: Text = "expires"
    """Tag with the last day, such as 2026-06-30, of what is there for a time. Default: expires."""

    lifetime_days_max: Limit = 30
    """Days that always-on GPUs outside production may be there for. Default: 30."""

    capture_percent_min: Percent = 10
    """Least share of requests that a production endpoint captures. Default: 10 %."""

    capture_buckets: Patterns = ("*",)
    """Patterns of the buckets that may hold captured requests. Default: any bucket."""

    endpoint_instance_types: Patterns = ("*",)
    """Patterns of the instance types that endpoints may run on. Default: any that is current."""

    endpoint_capacity_max: Limit = 20
    """Most instances or copies that an autoscaler of an endpoint may start. Default: 20."""

    gpu_tags: Patterns = ("workload",)
    """Tags that an endpoint configuration with GPUs also carries. Default: what it serves."""

    model_buckets: Patterns = ()
    """Patterns of buckets outside the stack that models may come from. Default: none."""

    inference_log_days_min: Count = 180
    """Days that logs of endpoints are kept. Default: 180, the six months of the EU's AI Act."""

    monitoring_hours_per_month_max: Limit = 800
    """Most instance hours of one monitoring schedule. Default: about one instance all the time."""

    feature_capacity_units_max: Limit = 1000
    """Most provisioned capacity units of a feature group, each way. Default: 1,000."""

    artifact_buckets: Patterns = ("*",)
    """Patterns of the buckets that may hold what MLflow records. Default: any bucket."""

    tracking_server_size_max: Literal["Small", "Medium", "Large"] = "Small"
    """Largest size of an MLflow tracking server. Default: Small."""

    kubernetes_version_min: MinorVersion = "1.32"
    """Oldest Kubernetes of a cluster. Default: 1.32, which EKS supports until 2027."""

    gpus_per_pool_max: Limit = 64
    """Most GPUs that one pool may grow to. Default: 64."""

    gpu_disk_gib_min: Count = 100
    """Least disk of a node with accelerators, whose images are large. Default: 100 GiB."""

    gpu_labels: Patterns = ("nvidia.com/gpu.product", "nvidia.com/gpu.count")
    """Labels that name a node's GPUs. Default: those of NVIDIA's GPU feature discovery."""

    spot_label: Text = "plinth.dev/checkpoints"
    """Label of pools whose work survives the loss of a node. Default: plinth.dev/checkpoints."""

    job_instance_types: Patterns = ("*",)
    """Patterns of the instance types that jobs may run on. Default: any."""

    training_seconds_max: Count = 86_400
    """Longest run of one job. Default: a day, what SageMaker itself takes if nobody says."""

    training_gpus_max: Limit = 16
    """Most GPUs that one job, or all parallel jobs of one tuning, may use. Default: 16."""

    training_gpu_hours_max: Limit = 384
    """Most GPU hours that one job or tuning may use up. Default: 16 GPUs for a day."""

    profiled_gpus_min: Count = 8
    """GPUs from which a job has to be profiled. Default: 8."""

    volume_gib_max: Count = 1024
    """Largest volume of a training job that needs no exemption. Default: 1,024 GiB."""

    keep_alive_seconds_max: Limit = 1_800
    """Longest that a warm pool waits for the next job, at full price. Default: half an hour."""

    tuning_jobs_max: Count = 100
    """Most jobs of one tuning. Default: 100."""

    tuning_parallel_jobs_max: Count = 10
    """Most of them at once. Default: 10."""

    parallel_steps_max: Count = 50
    """Most steps of a pipeline at once. Default: 50, as many as SageMaker takes if nobody says."""

    studio_instance_types: Patterns = ("system", "ml.t3.*", "ml.m5.*", "ml.c5.*", "ml.r5.*")
    """Patterns of the instance types that Studio and spaces start with. Default: small ones
    without GPUs."""

    idle_minutes_max: Count = 120
    """Longest that a notebook may idle before it stops. Default: two hours."""

    notebook_platforms: Patterns = (
        "notebook-al2-v3",
        "notebook-al2023-v1",
        "notebook-al2023-v2",
    )
    """Platforms that SageMaker still patches. Default: those of the API that are not retired."""

    undecided_max: Limit = 20
    """Most mandatory checks of a production update that may be unknown. Default: 20."""

    cost_usd_per_month_max: Usd = 10_000
    """Most that the stack may be expected to cost before a review asks. Default: 10,000."""

    run_usd_max: Usd = 500
    """Most that one run of every pipeline may cost before a review asks. Default: 500."""

    gpus_max: Limit = 16
    """Most GPUs that pools and endpoints may grow to before a review asks. Default: 16."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyConfig(Thresholds):
    """All that the rules of one environment go by; plain JSON on its way to the pack."""

    required_tags: Patterns = ()
    """Tags that every taggable resource carries: the keys of `plinth:tags`, environment and
    project. Default: none."""

    trusted_accounts: Patterns = ()
    """Accounts that may read the model registry: those of `plinth:accounts`. Default: no other
    account."""

    weights_uris: Patterns = ()
    """Patterns of the S3 URIs of weights that nobody here trained, such as a language model's, and
    which no registry approves. Default: none."""

    calling_steps: Patterns = ()
    """Steps of pipelines, by name, whose programs call AWS and so have a network and credentials.
    Default: every container is isolated."""

    has_environment_budget: bool = False
    """Whether a budget of the environment counts this stack too, in the stack that all others stand
    on. Default: the stack needs one itself."""

    tracking_registers_models: bool = True
    """Whether MLflow in production also enters its models in the SageMaker registry. False: the
    pipeline registers them. Default: it does."""

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> PolicyConfig:
        """Reads plain JSON; a key that does not exist is an error and not silently a default."""
        if stray := sorted(set(raw) - {f.name for f in fields(cls)}):
            raise ValueError(f"policy configuration has no {', '.join(stray)}")
        values: dict[str, Any] = {key: _frozen(value) for key, value in raw.items()}
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON that `from_dict` reads back."""
        return {f.name: _thawed(getattr(self, f.name)) for f in fields(self)}


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _frozen(item) for key, item in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _thawed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _thawed(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
