"""What the stacks of an environment are made of: one typed object per kind of stack.

Each has `environment`, which the loader adds: it is the content of the environment's own file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import Field, InstanceOf, ValidationInfo, field_validator, model_validator

from infra.errors import UserError
from infra.naming import Names
from pipelines.workload import Parameter, Workload
from stacks.parameters import parameters
from stacks.settings.compute import Cluster, GpuAgents, GpuPool, Karpenter, Scaling, check_pools
from stacks.settings.data import Feast, Features, Kafka, Spark, Stream
from stacks.settings.environment import Environment
from stacks.settings.foundation import (
    Access,
    FileSystem,
    Keys,
    Network,
    Runner,
    Storage,
    check_file_system,
)
from stacks.settings.models import (
    Endpoint,
    Endpoints,
    Image,
    Llm,
    Pipeline,
    Pods,
    Registry,
    Tracking,
    check_tracking,
)
from stacks.settings.operations import (
    Alerts,
    Audit,
    Budget,
    Cost,
    Drift,
    GpuMonitoring,
    OffHours,
    Retraining,
    check_off_hours,
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


class Layer(Part):
    """What every kind of stack has."""

    environment: Environment
    """Not of this file: the content of the environment's own."""

    @property
    def names(self) -> Names:
        """The names of everything in this stack."""
        return self.environment.names


class FoundationSettings(Layer):
    """Network, keys, buckets, people, and what watches the account."""

    network: Network
    keys: Keys = Keys()
    access: Access = Access()
    storage: Storage = Storage()
    filesystem: FileSystem | None = None
    """Default: pods read the data bucket itself."""

    spark: Spark | None = None
    """Default: no EMR Serverless application."""

    kafka: Kafka | None = None
    """Default: no MSK cluster."""

    runner: Runner | None = None
    """What deploys the cluster from inside the VPC. Default: nothing; the API of the cluster is
    reached from outside (`public_access_cidrs`)."""

    tracking: Tracking = Tracking()
    alerts: Alerts = Alerts()
    cost: Cost | None = None
    """Default: no budget and no detection of anomalies."""

    audit: Audit | None = None
    """Default: somebody else records who did what."""

    @field_validator("filesystem")
    @classmethod
    def _file_system_is_here(
        cls, system: FileSystem | None, info: ValidationInfo
    ) -> FileSystem | None:
        if system and "environment" in info.data:
            check_file_system(system, info.data["environment"].availability_zone_ids)
        return system

    @model_validator(mode="after")
    def _account_has_one_owner(self) -> FoundationSettings:
        if self.environment.owns_account:
            return self
        github = self.access.github
        for setting, wanted in (
            ("audit.create_config_recorder", self.audit and self.audit.create_config_recorder),
            ("access.github.create_provider", github and github.create_provider),
        ):
            if wanted:
                raise ValueError(
                    f"{setting} must be false: account.owner of the environment says that "
                    f"{self.environment.account.owner!r} has the one of the account, got true"
                )
        return self

    @model_validator(mode="after")
    def _runner_reaches_out(self) -> FoundationSettings:
        if self.runner is not None and self.network.nat_gateways == "none":
            raise ValueError(
                "runner must have a way to package registries (network.nat_gateways), got none"
            )
        return self

    @model_validator(mode="after")
    def _tracking_is_reached(self) -> FoundationSettings:
        check_tracking(self.network, self.tracking)
        return self


class ClusterSettings(Layer):
    """EKS, its nodes, and who gets the GPUs."""

    cluster: Cluster
    gpu_pools: dict[str, GpuPool] = Field(default_factory=dict)
    karpenter: Karpenter = Karpenter()
    gpu_agents: GpuAgents = GpuAgents()
    queues: Queues = Queues()
    guardrails: Guardrails = Guardrails()
    teams: dict[Name, Team] = Field(default_factory=dict)
    ray: Ray | None = None
    """Default: no Ray cluster."""

    llm_kubernetes: dict[Name, LlmServer] = Field(default_factory=dict, validate_default=True)
    """Language models on EKS. Default: none."""

    gpu_monitoring: GpuMonitoring | None = None
    """Default: no dashboard and no alerts for GPU nodes."""

    off_hours: OffHours | None = None
    """When node groups shrink. Default: they run around the clock."""

    @field_validator("gpu_pools")
    @classmethod
    def _pools_fit(cls, pools: dict[str, GpuPool], info: ValidationInfo) -> dict[str, GpuPool]:
        if {"cluster", "environment"} <= info.data.keys():
            zones = info.data["environment"].availability_zone_ids
            check_pools(info.data["cluster"], pools, zones)
        return pools

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

    @model_validator(mode="after")
    def _off_hours_save(self) -> ClusterSettings:
        if self.off_hours is not None:
            check_off_hours(self.cluster.system_scaling, self.shrinking)
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


class WorkloadSettings(Layer):
    """One workload: what of its declaration an environment runs, and how."""

    workload: InstanceOf[Workload]
    """Not of this file: what the workload's package declares."""

    image: Image
    features: Features = Features()
    stream: Stream | None = None
    """Default: no stream; batches alone fill the feature groups."""

    feast: Feast | None = None
    """Default: SageMaker's feature store alone."""

    pipelines: dict[str, Pipeline] = Field(default_factory=dict)
    """By a name of the declaration. Default: as the workload declares them."""

    registry: Registry = Registry()
    endpoint: Endpoint = Endpoint()
    endpoints: Endpoints = Endpoints()
    llm: Llm | None = None
    """Default: no language model."""

    pods: Pods | None = None
    """Default: nothing of it runs on the cluster."""

    drift: Drift | None = None
    """Default: nobody compares requests with the training data."""

    retraining: Retraining | None = None
    """Default: only a person starts training runs."""

    budget: Budget | None = None
    """Default: the environment's alone."""

    off_hours: OffHours | None = None
    """When what autoscales shrinks to one. Default: never by the clock."""

    @field_validator("features")
    @classmethod
    def _names_own_groups(cls, features: Features, info: ValidationInfo) -> Features:
        if "workload" in info.data:
            known = info.data["workload"].feature_groups
            _must_be_declared("groups", features.groups, known)
        return features

    @field_validator("stream")
    @classmethod
    def _stream_has_groups(cls, stream: Stream | None, info: ValidationInfo) -> Stream | None:
        if stream and "workload" in info.data and not info.data["workload"].stream_groups:
            raise ValueError("a stream must have a group to fill, got no stream_groups declared")
        return stream

    @field_validator("pipelines")
    @classmethod
    def _names_own_pipelines(
        cls, pipelines: dict[str, Pipeline], info: ValidationInfo
    ) -> dict[str, Pipeline]:
        if "workload" in info.data:
            declared = info.data["workload"].pipelines
            _must_be_declared("pipelines", pipelines, declared)
            for name, chosen in pipelines.items():
                _parameters(name, declared[name].parameters, chosen.parameters)
        return pipelines

    @field_validator("endpoint")
    @classmethod
    def _serves_a_model(cls, endpoint: Endpoint, info: ValidationInfo) -> Endpoint:
        pinned = endpoint.model_package_arn is not None
        if pinned and "workload" in info.data and info.data["workload"].model is None:
            raise ValueError(
                "model_package_arn must be of a workload with a model, got one of none"
            )
        return endpoint

    @model_validator(mode="after")
    def _off_hours_save(self) -> WorkloadSettings:
        scaled = [self.endpoint.autoscaling, self.endpoints.asynchronous, self.llm]
        if self.off_hours is not None and not any(scaled):
            raise ValueError("off_hours must have an endpoint with autoscaling to shrink, got none")
        return self

    @model_validator(mode="after")
    def _retrains_a_pipeline(self) -> WorkloadSettings:
        if self.retraining is not None:
            _must_be_declared(
                "retraining.pipeline", [self.retraining.pipeline], self.workload.pipelines
            )
        return self

    @property
    def names(self) -> Names:
        """The names of what this workload owns."""
        return self.environment.names.of_workload(self.workload.aws_name)

    def pipeline(self, name: str) -> Pipeline:
        """How this environment runs a pipeline of the workload."""
        return self.pipelines.get(name, Pipeline())

    def parameters(self, name: str) -> dict[str, Parameter]:
        """The parameters of a pipeline: the declaration's defaults, and what was chosen here."""
        declared = self.workload.pipelines[name].parameters
        return parameters(name, declared, self.pipeline(name).parameters)

    @property
    def serves(self) -> bool:
        """A model package is pinned."""
        return self.endpoint.model_package_arn is not None

    @property
    def on_cluster(self) -> bool:
        """Some of it runs on the environment's cluster."""
        return self.pods is not None


Settings = FoundationSettings | ClusterSettings | WorkloadSettings


def _parameters(
    name: str, declared: Mapping[str, Parameter], chosen: Mapping[str, Parameter]
) -> None:
    try:
        parameters(name, declared, chosen)
    except UserError as error:
        raise ValueError(f"{error.problem}; {error.fix}") from None


def _must_be_declared(where: str, named: Iterable[str], known: Mapping[str, object]) -> None:
    """ValueError names what the workload does not declare."""
    unknown = sorted(set(named) - set(known))
    if unknown:
        names = ", ".join(known) or "none"
        raise ValueError(f"{where} must be of {names}, got {', '.join(unknown)}")
