"""What one environment is made of: one object per component."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator, model_validator

from infra.naming import Names
from policies.config import Thresholds
from stacks.settings.compute import (
    Cluster,
    GpuAgents,
    GpuPool,
    Karpenter,
    Scaling,
    check_pools,
)
from stacks.settings.data import Feast, Features, Kafka, Spark, Stream, check_reach
from stacks.settings.foundation import (
    Access,
    Account,
    Accounts,
    FileSystem,
    Keys,
    Network,
    Storage,
    Tags,
    check_file_system,
)
from stacks.settings.models import (
    Endpoint,
    Endpoints,
    Image,
    Llm,
    Registry,
    Tracking,
    Training,
    check_jobs_reach,
)
from stacks.settings.operations import (
    Alerts,
    Audit,
    Cost,
    Drift,
    GpuMonitoring,
    OffHours,
    Retraining,
    check_off_hours,
    check_tag_values,
)
from stacks.settings.part import Part
from stacks.settings.scheduling import (
    Guardrails,
    LlmServer,
    Name,
    Queues,
    Ray,
    Team,
    check_claims,
    check_kueue,
    check_teams,
)


class Settings(Part):
    """One environment."""

    account: Account
    accounts: Accounts = Accounts()
    tags: Tags
    protect: bool = True
    """Refuse to delete what holds data. Default: protected."""

    network: Network
    keys: Keys = Keys()
    access: Access = Access()
    storage: Storage = Storage()
    cluster: Cluster
    gpu_pools: dict[str, GpuPool] = Field(default_factory=dict)
    filesystem: FileSystem | None = None
    """Default: pods read the data bucket itself."""

    karpenter: Karpenter = Karpenter()
    gpu_agents: GpuAgents = GpuAgents()
    queues: Queues = Queues()
    guardrails: Guardrails = Guardrails()
    teams: dict[Name, Team] = Field(default_factory=dict)
    ray: Ray | None = None
    """Default: no Ray cluster."""

    llm_kubernetes: dict[Name, LlmServer] = Field(default_factory=dict, validate_default=True)
    """Language models on EKS. Default: none."""

    features: Features = Features()
    stream: Stream | None = None
    """Default: no stream; batches alone fill the feature groups."""

    feast: Feast | None = None
    """Default: SageMaker's feature store alone."""

    spark: Spark | None = None
    """Default: no EMR Serverless application."""

    kafka: Kafka | None = None
    """Default: no MSK cluster."""

    image: Image
    training: Training = Training()
    registry: Registry = Registry()
    tracking: Tracking = Tracking()
    endpoint: Endpoint = Endpoint()
    endpoints: Endpoints = Endpoints()
    llm: Llm | None = None
    """Default: no language model."""

    alerts: Alerts = Alerts()
    gpu_monitoring: GpuMonitoring | None = None
    """Default: no dashboard and no alerts for GPU nodes."""

    drift: Drift | None = None
    """Default: nobody compares requests with the training data."""

    retraining: Retraining | None = None
    """Default: only a person starts training runs."""

    cost: Cost | None = None
    """Default: no budget and no detection of anomalies."""

    off_hours: OffHours | None = None
    """Default: everything runs around the clock."""

    audit: Audit | None = None
    """Default: somebody else records who did what."""

    policies: Thresholds = Thresholds()
    """What the rules and the review go by. Default: the strictest."""

    @field_validator("stream")
    @classmethod
    def _stream_reaches(cls, stream: Stream | None, info: ValidationInfo) -> Stream | None:
        if stream and "network" in info.data:
            check_reach(info.data["network"])
        return stream

    @field_validator("gpu_pools")
    @classmethod
    def _pools_fit(cls, pools: dict[str, GpuPool], info: ValidationInfo) -> dict[str, GpuPool]:
        if {"cluster", "network"} <= info.data.keys():
            zones = info.data["network"].availability_zone_ids
            check_pools(info.data["cluster"], pools, zones)
        return pools

    @field_validator("filesystem")
    @classmethod
    def _file_system_is_near(
        cls, system: FileSystem | None, info: ValidationInfo
    ) -> FileSystem | None:
        if system and {"gpu_pools", "network"} <= info.data.keys():
            pools: dict[str, GpuPool] = info.data["gpu_pools"]
            zones = {name: pool.zone for name, pool in pools.items() if pool.zone}
            check_file_system(system, info.data["network"], zones)
        return system

    @field_validator("queues")
    @classmethod
    def _one_kueue(cls, queues: Queues, info: ValidationInfo) -> Queues:
        if "cluster" in info.data:
            check_kueue(queues, info.data["cluster"].addons)
        return queues

    @field_validator("teams")
    @classmethod
    def _shares_fit(cls, teams: dict[str, Team], info: ValidationInfo) -> dict[str, Team]:
        if {"gpu_pools", "queues"} <= info.data.keys():  # these are valid themselves
            check_teams(teams, info.data["queues"], info.data["gpu_pools"])
        return teams

    @field_validator("llm_kubernetes")
    @classmethod
    def _claims_fit(
        cls, servers: dict[str, LlmServer], info: ValidationInfo
    ) -> dict[str, LlmServer]:
        claims = [server.claim(name) for name, server in servers.items()]
        if {"teams", "ray"} <= info.data.keys():
            ray: Ray | None = info.data["ray"]
            check_claims([*claims, ray.claim()] if ray else claims, info.data["teams"])
        return servers

    @field_validator("policies")
    @classmethod
    def _tags_are_allowed(cls, policies: Thresholds, info: ValidationInfo) -> Thresholds:
        if "tags" in info.data:
            check_tag_values(info.data["tags"], policies.tag_values)
        return policies

    @model_validator(mode="after")
    def _jobs_reach(self) -> Settings:
        check_jobs_reach(self.network, self.tracking)
        return self

    @model_validator(mode="after")
    def _off_hours_save(self) -> Settings:
        if self.off_hours is not None:
            scaled = [self.endpoint.autoscaling, self.endpoints.asynchronous, self.llm]
            check_off_hours(self.cluster.system_scaling, self.shrinking, any(scaled))
        return self

    @property
    def shrinking(self) -> dict[str, Scaling]:
        """Managed node groups that are smaller outside working hours, by purpose."""
        if self.off_hours is None:
            return {}
        groups = {"system": self.cluster.system_scaling}
        for name, pool in self.gpu_pools.items():
            if pool.scaling is not None and pool.reservation is None:  # which is paid at any hour
                groups[name] = pool.scaling
        return {key: sizes for key, sizes in groups.items() if sizes.min_size < sizes.desired_size}

    def names(self, env: str) -> Names:
        """The names of everything in this environment."""
        account = self.account
        return Names(env=env, account_id=account.account_id, region=account.region)
