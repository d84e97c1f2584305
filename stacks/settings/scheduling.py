"""Teams, their shares of the GPUs, and what runs on Kubernetes for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from stacks.pins.table import pins
from stacks.settings.compute import GpuPool
from stacks.settings.part import Part, RoleArn

SYSTEM_NAMESPACES = (
    "amazon-cloudwatch",
    "karpenter",
    "kube-node-lease",
    "kube-public",
    "kube-system",
    "kuberay-system",
    "kueue-system",
    "monitoring",
    "nvidia",
)
"""Where the cluster's own services run; no team may have such a name."""

KUEUE_ADDON = "amazon-sagemaker-hyperpod-taskgovernance"
"""EKS add-on that installs Kueue (SageMaker developer guide, HyperPod task governance)."""

Version = Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,38}[a-z0-9]$")]
Image = Annotated[str, Field(pattern=r"^[^@\s]+@sha256:[0-9a-f]{64}$")]
Gpus = Annotated[int, Field(ge=0)]


class Queues(Part):
    """How the GPUs are shared; without a team there is nothing to share."""

    priorities: dict[Name, Annotated[int, Field(ge=1, le=999)]] = Field(
        default={"inference": 90, "experimentation": 80, "training": 70, "fine-tuning": 50}
    )
    """Priority class -> how important it is. Default: inference goes first, fine-tuning last."""

    kueue_version: Version | None = pins().version("chart/kueue")
    """Version of Kueue's chart; null: native quotas and priorities alone decide. Default:
    pinned."""


class Guardrails(Part):
    """What pods of users may not do; nothing to switch off."""

    system_namespaces: list[str] = Field(default_factory=list)
    """Further namespaces without guardrails. Default: the known ones of the cluster's services."""

    approved_registries: list[str] = Field(default_factory=list)
    """Where else images of teams come from. Default: the account's own registry alone."""


class Team(Part):
    """A team and its share."""

    nominal_gpus: dict[str, Gpus] = Field(default_factory=dict)
    """Pool -> GPUs that are the team's own: it gets them back whenever it asks. Default: none."""

    borrowing_gpus: dict[str, Gpus] = Field(default_factory=dict)
    """Pool -> GPUs beyond, while others leave them idle. Default: none."""

    priorities: Annotated[list[Name], Field(min_length=1)]
    """Classes of `plinth:queues.priorities` that its GPU pods may have."""

    member_role_arns: list[RoleArn] = Field(default_factory=list)
    """IAM roles of its members, which get an EKS access entry. Default: none."""

    group: str = ""
    """Kubernetes group of its members' access entries. Default: `plinth:<team>`."""

    cost_centre: str = ""
    """Who pays for its pods. Default: that of the environment."""

    cpu: Annotated[int, Field(ge=1)] = 64
    """vCPUs that its pods may ask for. Default: 64."""

    memory_gib: Annotated[int, Field(ge=1)] = 256
    """Memory that its pods may ask for. Default: 256 GiB."""

    storage_gib: Annotated[int, Field(ge=0)] = 1024
    """Persistent volumes together. Default: 1024 GiB."""

    max_pods: Annotated[int, Field(ge=1)] = 200
    """Pods at once. Default: 200."""

    pod_security: Literal["restricted", "baseline"] = "restricted"
    """Pod Security Standard of its namespace. Default: restricted, the stricter one."""

    @model_validator(mode="after")
    def _group_is_ours_to_give(self) -> Team:
        if self.group.startswith(("system:", "eks:", "aws:", "amazon:", "iam:")):
            # EKS CreateAccessEntry, kubernetesGroups
            raise ValueError(f"group must not start with a reserved prefix, got {self.group!r}")
        return self


class Ray(Part):
    """A Ray cluster for distributed work of one team; KubeRay runs it."""

    team: Name
    pool: str
    priority: Name
    image: Image
    """Image with Ray, by digest, from an approved registry."""

    ray_version: Version
    """Version of Ray in the image."""

    workers: Annotated[int, Field(ge=1)] = 1
    gpus_per_worker: Annotated[int, Field(ge=1)] = 1
    operator_version: Version = pins().version("chart/kuberay-operator")
    """Version of KubeRay's chart. Default: pinned."""

    def claim(self) -> Claim:
        return Claim(
            "ray", self.team, self.pool, self.priority, self.workers * self.gpus_per_worker
        )


class LlmServer(Part):
    """A large language model that vLLM serves to other pods."""

    team: Name
    pool: str
    priority: Name = "inference"
    """Default: inference."""

    image: Image
    """Image with vLLM, by digest, from an approved registry."""

    model_path: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$")]
    """Folder with the weights in the environment's bucket `artifacts`."""

    gpus: Annotated[int, Field(ge=1, le=8)] = 1
    """GPUs of one replica. Default: 1."""

    cpu: Annotated[int, Field(ge=1)] = 8
    """vCPUs of one replica. Default: 8."""

    memory_gib: Annotated[int, Field(ge=1)] = 32
    """Memory of one replica. Default: 32 GiB."""

    replicas: Annotated[int, Field(ge=1)] = 1
    """Default: 1; an update then interrupts it."""

    max_replicas: Annotated[int, Field(ge=1)] | None = None
    """Replicas under load; needs an adapter that serves vLLM's metrics to Kubernetes. Default: no
    autoscaling."""

    max_model_len: Annotated[int, Field(ge=1)] | None = None
    """Tokens of prompt and answer. Default: what the model was trained for."""

    client_namespaces: list[Name] = Field(default_factory=list)
    """Namespaces that may ask it beside its own. Default: none."""

    def claim(self, name: str) -> Claim:
        replicas = max(self.replicas, self.max_replicas or 0)
        return Claim(name, self.team, self.pool, self.priority, replicas * self.gpus)


class Claim(NamedTuple):
    """GPUs that a workload of ours takes from a team's share."""

    who: str
    team: str
    pool: str
    priority: str
    gpus: int


def check_teams(teams: Mapping[str, Team], queues: Queues, pools: Mapping[str, GpuPool]) -> None:
    """What no team can see alone: pools and priorities exist, shares fit; ValueError if not."""
    for name, team in teams.items():
        if name in SYSTEM_NAMESPACES or name.startswith(("kube-", "default")):
            raise ValueError(f"a team must not have the name of a system namespace, got {name!r}")
        _must_be_known(f"{name}.nominal_gpus", team.nominal_gpus, pools)
        _must_be_known(f"{name}.borrowing_gpus", team.borrowing_gpus, pools)
        _must_be_known(f"{name}.priorities", team.priorities, queues.priorities)
    for pool, settings in pools.items():
        shares = {name: team.nominal_gpus.get(pool, 0) for name, team in teams.items()}
        promised, there = sum(shares.values()), settings.max_gpus
        if promised > there:
            held = ", ".join(f"{name} {share}" for name, share in shares.items() if share)
            raise ValueError(
                f"nominal_gpus of all teams must be at most the {there} GPUs that pool {pool!r} "
                f"({settings.instance_type}) may have, got {promised}: {held}"
            )


def check_kueue(queues: Queues, addons: Iterable[str]) -> None:
    """Two Kueues in one cluster fight for its custom resources; ValueError for a second."""
    if queues.kueue_version is not None and KUEUE_ADDON in addons:
        raise ValueError(
            f"kueue_version must be null with the add-on {KUEUE_ADDON}, which brings a Kueue, "
            f"got {queues.kueue_version!r}"
        )


def check_claims(claims: Sequence[Claim], teams: Mapping[str, Team]) -> None:
    """Workloads stay within the share and the priorities of their team; ValueError if not."""
    for claim in claims:
        _must_be_known(f"{claim.who}.team", [claim.team], teams)
        team = teams[claim.team]
        _must_be_known(f"{claim.who}.priority", [claim.priority], dict.fromkeys(team.priorities))
        others = [other for other in claims if other[1:3] == claim[1:3]]
        wanted, there = sum(other.gpus for other in others), team.nominal_gpus.get(claim.pool, 0)
        if wanted > there:
            held = ", ".join(f"{other.who} {other.gpus}" for other in others)
            raise ValueError(
                f"workloads of team {claim.team!r} must want at most the {there} GPUs of pool "
                f"{claim.pool!r} that are its own, got {wanted}: {held}"
            )


def _must_be_known(where: str, names: Iterable[str], known: Mapping[str, object]) -> None:
    strangers = [name for name in names if name not in known]
    if strangers:
        raise ValueError(
            f"{where} must name some of {', '.join(known) or 'none'}, got {', '.join(strangers)}"
        )
