"""What each environment is made of: the typed content of `stacks/Pulumi.<env>.yaml`.

The only reader of the stack's configuration. One object per component; a wrong key is refused with
its line and the nearest right key, before any resource exists.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from infra.errors import UserError
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

STACKS = Path(__file__).parent.parent
ROOT = STACKS.parent


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


def stack_file(env: str) -> Path:
    """The environment's file."""
    return STACKS / f"Pulumi.{env}.yaml"


def shown(path: Path) -> str:
    """A path as the person sees it: from the root of the repository where it lies inside."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def environments() -> list[str]:
    """Names of the environments that have a file."""
    names = (re.fullmatch(r"Pulumi\.(.+)\.yaml", path.name) for path in STACKS.iterdir())
    return sorted(match.group(1) for match in names if match)


def load(env: str, path: Path | None = None) -> Settings:
    """Settings of an environment; UserError (file:line, what must hold) when they are wrong."""
    path = path or stack_file(env)
    if not path.exists():
        raise UserError(
            f"environment must be one of {', '.join(environments())}, got {env!r}",
            fix=f"write {shown(path)}, or name one of these",
        )
    config, lines = _read(path)
    try:
        settings = Settings.model_validate(config)
    except ValidationError as error:
        raise UserError("\n".join(_problems(path, lines, error))) from None
    own, shared = settings.account.account_id, settings.accounts.environments.get(env)
    if shared not in (None, own):
        line = lines["accounts",]
        raise UserError(
            f"{shown(path)}:{line}: plinth:accounts.environments.{env} must be "
            f"plinth:account.account_id {own!r}, got {shared!r}",
            fix="give the environment one account in both places",
        )
    return settings


def pin_model_package(env: str, arn: str, path: Path | None = None) -> None:
    """Write the model package to serve into the environment's file, keeping all else as it is."""
    path = path or stack_file(env)
    yaml = _yaml()
    document = yaml.load(path.read_text())
    document["config"].setdefault("plinth:endpoint", {})["model_package_arn"] = arn
    draft = path.with_suffix(".yaml.tmp")
    with draft.open("w") as stream:
        yaml.dump(document, stream)
    draft.replace(path)


def _yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML()  # round trip: comments, order and quotes survive
    yaml.width = 4096
    yaml.preserve_quotes = True
    yaml.representer.add_representer(type(None), _null)  # as it was written, not as nothing
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _null(representer: Any, _: None) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _read(path: Path) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    """The `plinth:` objects of a stack file and the line of every key in them."""
    from ruamel.yaml.error import MarkedYAMLError

    try:
        document = _yaml().load(path.read_text()) or {}
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{shown(path)}:{line} must be YAML, got {error.problem}") from None
    config: Any = document.get("config") or {}
    lines: dict[tuple[str, ...], int] = {}
    values: dict[str, Any] = {}
    for key, value in config.items():
        if not key.startswith("plinth:"):
            continue
        name = key.removeprefix("plinth:")
        values[name] = value
        lines[(name,)] = config.lc.key(key)[0] + 1
        lines.update({(name, *rest): line for rest, line in _lines(value)})
    return values, lines


def _lines(value: Any) -> Iterator[tuple[tuple[str, ...], int]]:
    if isinstance(value, Mapping) and hasattr(value, "lc"):
        for key, child in value.items():
            yield (str(key),), value.lc.key(key)[0] + 1
            yield from (((str(key), *rest), line) for rest, line in _lines(child))


UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
"""What pydantic says of a key that is none, in a model and in a dataclass."""


def _problems(
    path: Path, lines: Mapping[tuple[str, ...], int], error: ValidationError
) -> Iterator[str]:
    """One line per problem; a key that is missing because it is misspelt is told once."""
    meant = set()
    # unknown keys first: they explain which required key is missing
    for item in sorted(error.errors(), key=lambda item: item["type"] not in UNKNOWN_KEY):
        where = tuple(str(part) for part in item["loc"])
        line = next((lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in lines), 1)
        place = f"{shown(path)}:{line}: plinth:{'.'.join(where)}"
        if item["type"] in UNKNOWN_KEY:
            known = _keys(where[:-1])
            near = difflib.get_close_matches(where[-1], known, n=1, cutoff=0)
            nearest = (*where[:-1], *near)
            meant.add(nearest)
            yield f"{place} is not a setting; the nearest is plinth:{'.'.join(nearest)}"
        elif item["type"] == "missing":
            if where not in meant:
                yield f"{place} is missing"
        else:
            message = item["msg"].removeprefix("Value error, ").replace("tuple", "list")
            got = f", got {item['input']!r}" if item["type"] != "value_error" else ""
            yield f"{place}: {message[:1].lower()}{message[1:]}{got}"


def _keys(where: tuple[str, ...]) -> list[str]:
    """The keys that the object at this path may have."""
    model: Any = Settings
    for part in where:
        field = _fields(model).get(part)
        if field is None:  # a mapping of named objects: the part is a name of the person's own
            continue
        parts = (field.annotation, *get_args(field.annotation))
        model = next((part for part in parts if _fields(part)), parts[-1])
    return list(_fields(model))


def _fields(model: Any) -> Mapping[str, Any]:
    return getattr(model, "model_fields", None) or getattr(model, "__dataclass_fields__", {})
