"""What each environment is made of: the typed content of `stacks/Pulumi.<env>.yaml`.

The only reader of the stack's configuration. One object per component; a wrong key is refused with
its line and the nearest right key, before any resource exists.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from infra.errors import UserError
from infra.naming import Names

STACKS = Path(__file__).parent
ROOT = STACKS.parent


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Account(_Settings):
    """Where the environment lives. Names and ARNs are computed from it, not looked up."""

    account_id: Annotated[str, Field(pattern=r"^\d{12}$")]
    region: str = "us-east-1"


class Network(_Settings):
    cidr_block: str
    availability_zones: Annotated[list[str], Field(min_length=2)]
    interface_endpoints: list[str]

    @model_validator(mode="after")
    def _has_room(self) -> Network:
        size = ipaddress.IPv4Network(self.cidr_block).prefixlen
        if not 16 <= size <= 20:
            raise ValueError(f"cidr_block must be a /16 to /20, got {self.cidr_block!r}")
        return self


class Keys(_Settings):
    deletion_window_days: Annotated[int, Field(ge=7, le=30)] = 30


class Storage(_Settings):
    noncurrent_days: Annotated[int, Field(ge=1)] = 90


class Scaling(_Settings):
    min_size: Annotated[int, Field(ge=0)]
    desired_size: Annotated[int, Field(ge=0)]
    max_size: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _is_ordered(self) -> Scaling:
        if not self.min_size <= self.desired_size <= self.max_size:
            raise ValueError(
                "min_size <= desired_size <= max_size must hold, got "
                f"{self.min_size}, {self.desired_size}, {self.max_size}"
            )
        return self


class Cluster(_Settings):
    version: str
    system_instance_types: list[str]
    system_scaling: Scaling
    log_retention_days: int = 90


class GpuPool(_Settings):
    instance_type: str
    scaling: Scaling
    capacity_type: Literal["ON_DEMAND", "SPOT"] = "ON_DEMAND"
    disk_gib: Annotated[int, Field(ge=50)] = 200


class Image(_Settings):
    """The workload image, by digest."""

    digest: Annotated[str, Field(pattern=r"^(context|sha256:[0-9a-f]{64})$")]
    """`context`: the digest of the build context, for environments that run it from source."""


class Training(_Settings):
    train_start: str = "2013-01-01"
    train_end: str = "2013-03-01"
    evaluation_days: Annotated[int, Field(ge=1, le=60)] = 14
    auc_threshold: Annotated[float, Field(gt=0.5, lt=1)] = 0.65
    instance_type: str = "ml.m5.large"
    max_runtime_seconds: Annotated[int, Field(ge=60)] = 3600
    max_parallel_steps: Annotated[int, Field(ge=1, le=50)] = 2


class Endpoint(_Settings):
    model_package_arn: str | None = None
    """The approved package to serve; `plinth promote` writes it. Without one nothing is served."""

    instance_type: str = "ml.m5.large"
    instance_count: Annotated[int, Field(ge=1)] = 1
    traffic_routing: Literal["ALL_AT_ONCE", "CANARY"] = "CANARY"
    canary_percent: Annotated[int, Field(ge=1, le=50)] = 10
    wait_interval_seconds: Annotated[int, Field(ge=0, le=3600)] = 600
    latency_p99_ms: Annotated[int, Field(ge=1)] = 500
    capture_percent: Annotated[int, Field(ge=0, le=100)] = 0


class Policies(_Settings):
    production: bool = True
    """Mandatory rules for production apply. Default: they do."""

    capture_percent_min: Annotated[int, Field(ge=0, le=100)] = 0


class Tags(_Settings):
    """Who owns and pays for every resource of the environment."""

    owner: str
    team: str
    cost_centre: str


class Settings(_Settings):
    """One environment."""

    account: Account
    tags: Tags
    protect: bool = True
    """Refuse to delete what holds data. Default: protected."""

    network: Network
    keys: Keys = Keys()
    storage: Storage = Storage()
    cluster: Cluster
    gpu_pools: dict[str, GpuPool] = {}
    image: Image
    training: Training = Training()
    endpoint: Endpoint = Endpoint()
    policies: Policies = Policies()

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
        return Settings.model_validate(config)
    except ValidationError as error:
        raise UserError("\n".join(_problems(path, lines, error))) from None


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
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


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


def _problems(
    path: Path, lines: Mapping[tuple[str, ...], int], error: ValidationError
) -> Iterator[str]:
    """One line per problem; a key that is missing because it is misspelt is told once."""
    meant = set()
    # unknown keys first: they explain which required key is missing
    for item in sorted(error.errors(), key=lambda item: item["type"] != "extra_forbidden"):
        where = tuple(str(part) for part in item["loc"])
        line = next((lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in lines), 1)
        place = f"{shown(path)}:{line}: plinth:{'.'.join(where)}"
        if item["type"] == "extra_forbidden":
            known = _keys(where[:-1])
            near = difflib.get_close_matches(where[-1], known, n=1, cutoff=0)
            nearest = (*where[:-1], *near)
            meant.add(nearest)
            yield f"{place} is not a setting; the nearest is plinth:{'.'.join(nearest)}"
        elif item["type"] == "missing":
            if where not in meant:
                yield f"{place} is missing"
        else:
            message = item["msg"].removeprefix("Value error, ")
            got = f", got {item['input']!r}" if item["type"] != "value_error" else ""
            yield f"{place}: {message[:1].lower()}{message[1:]}{got}"


def _keys(where: tuple[str, ...]) -> list[str]:
    """The keys that the object at this path may have."""
    model: Any = Settings
    for part in where:
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        if field is None:  # a mapping of named objects: the part is a name of the person's own
            continue
        model = (field.annotation, *get_args(field.annotation))[-1]
    return list(model.model_fields) if hasattr(model, "model_fields") else []
