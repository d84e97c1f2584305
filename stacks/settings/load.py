"""Settings of an environment and of its stacks, read from their files.

The only reader of the stacks' configuration. A wrong key is refused with its line and the nearest
right key, before any resource exists.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from infra.errors import UserError
from pipelines.workload import Workload, find
from policies.review import hidden
from policies.secret_names import says_secret
from stacks.paths import ENVIRONMENTS, shown
from stacks.reading import mapping, yaml_of
from stacks.settings.environment import Environment
from stacks.settings.model import ClusterSettings, FoundationSettings, Settings, WorkloadSettings
from stacks.settings.part import Part
from stacks.stack_name import (
    CLUSTER,
    FOUNDATION,
    StackName,
    environment_file,
    environments,
    named,
    stacks_of,
)

ADDED = ("environment", "name", "workload")
"""What the loader adds to the content of a file."""

Model = TypeVar("Model", bound=Part)


def load_environment(env: str, folder: Path = ENVIRONMENTS) -> Environment:
    """What all stacks of an environment have in common; UserError says what is wrong where."""
    path = environment_file(env, folder)
    if not path.exists():
        raise UserError(
            f"environment must be one of {', '.join(environments(folder))}, got {env!r}",
            fix=f"write {shown(path)}, or name one of these",
        )
    source = _source(path, prefix="")
    environment = _validated(Environment, source, name=env)
    _check_owner(environment, source, folder)
    return environment


@lru_cache(maxsize=64)
def _account(path: Path, changed: int) -> Mapping[str, Any]:
    """What an environment's file says of its account; read again once it has changed."""
    account: Mapping[str, Any] = _source(path, prefix="").values.get("account") or {}
    return account if isinstance(account, Mapping) else {}


def _check_owner(environment: Environment, source: Source, folder: Path) -> None:
    """Environments that share an account name the same one of them as its owner."""
    own, owner = environment.account, environment.account.owner
    sharing = {environment.name: owner}
    for other in environments(folder):
        path = environment_file(other, folder)
        account = _account(path, path.stat().st_mtime_ns)
        if account.get("account_id") == own.account_id:
            sharing[other] = account.get("owner")
    if owner is not None and owner not in sharing:
        names = ", ".join(sorted(sharing))
        problem = f"account.owner must be of this account's environments ({names}), got {owner!r}"
    elif len(sharing) > 1 and (owner is None or len(set(sharing.values())) > 1):
        named_owners = ", ".join(f"{env}: {who}" for env, who in sorted(sharing.items()))
        problem = (
            f"account.owner must be the same of all environments of account {own.account_id}, "
            f"which has one recorder, one cost monitor and one provider of a kind, "
            f"got {named_owners}"
        )
    else:
        return
    line = source.lines.get(("account", "owner"), source.lines[("account",)])
    raise UserError(
        f"{shown(source.path)}:{line}: {problem}", fix="name one of them as owner in each file"
    )


def load(stack: StackName, folder: Path = ENVIRONMENTS) -> Settings:
    """Settings of a stack; UserError (file:line, what must hold) when they are wrong."""
    if stack.layer == FOUNDATION:
        return load_foundation(stack.env, folder)
    if stack.layer == CLUSTER:
        return load_cluster(stack.env, folder)
    return load_workload(stack, folder)


def load_foundation(env: str, folder: Path = ENVIRONMENTS) -> FoundationSettings:
    """Settings of the stack that everything else of an environment stands on."""
    return _layer(FoundationSettings, StackName(env, FOUNDATION), folder)


def load_cluster(env: str, folder: Path = ENVIRONMENTS) -> ClusterSettings:
    """Settings of an environment's cluster."""
    stack = StackName(env, CLUSTER)
    settings = _layer(ClusterSettings, stack, folder)
    for workload in (other.workload for other in stacks_of(env, folder) if other.workload):
        prefix = f"{workload.replace('_', '-')}-"
        if taken := sorted(pool for pool in settings.gpu_pools if pool.startswith(prefix)):
            raise UserError(
                f"{shown(stack.file_in(folder))}: plinth:gpu_pools must not be called like what "
                f"the workload {workload} owns, got {', '.join(taken)}",
                fix="give these pools other names",
            )
    _check_reach(stack, settings, folder)
    return settings


def _check_reach(stack: StackName, settings: ClusterSettings, folder: Path) -> None:
    """Somebody reaches the API of the cluster, or nothing in it can be made."""
    if settings.cluster.public_access_cidrs:
        return
    foundation = StackName(stack.env, FOUNDATION).file_in(folder)
    if _source(foundation, prefix="plinth:").values.get("runner") is None:
        raise UserError(
            f"{shown(stack.file_in(folder))}: plinth:cluster must be reached by whoever deploys "
            "it, got neither public_access_cidrs nor a plinth:runner of the foundation",
            fix="name your address in public_access_cidrs, such as [203.0.113.7/32], or write "
            f"`plinth:runner: {{}}` in {shown(foundation)}",
        )


def load_workload(stack: StackName, folder: Path = ENVIRONMENTS) -> WorkloadSettings:
    """Settings of a workload in an environment."""
    return _layer(WorkloadSettings, stack, folder, workload=_declared(stack, folder))


def dependencies(stack: StackName, folder: Path = ENVIRONMENTS) -> tuple[StackName, ...]:
    """The stacks that must stand before this one, in the order of deployment."""
    on_cluster = bool(stack.workload) and load_workload(stack, folder).on_cluster
    return stack.needs(on_cluster=on_cluster)


def _declared(stack: StackName, folder: Path) -> Workload:
    """The workload that a stack is of; UserError when no package declares it."""
    found = find()
    if stack.layer not in found:
        raise UserError(
            f"{shown(stack.file_in(folder))} must be of a workload ({', '.join(found)}), "
            f"got {stack.layer!r}",
            fix=f"write pipelines/{stack.layer}/workload.py, or delete the file",
        )
    return found[stack.layer]


def workload_stack(name: str) -> tuple[StackName, WorkloadSettings]:
    """The stack of a workload; UserError where `name` is an environment or a platform's layer."""
    stacks = [stack for stack in named(name) if stack.workload]
    if len(stacks) != 1 or "." not in name:
        env = name.partition(".")[0]
        workloads = [str(stack) for stack in named(env) if stack.workload]
        raise UserError(
            f"a workload must be named, one of {', '.join(workloads) or 'none'}, got {name!r}",
            fix=f"type the command with {workloads[0]}" if workloads else "add a workload first",
        )
    return stacks[0], load_workload(stacks[0])


def _layer(model: type[Model], stack: StackName, folder: Path, **added: Any) -> Model:
    known, path = stacks_of(stack.env, folder), stack.file_in(folder)
    if stack not in known:
        raise UserError(
            f"stack must be one of {', '.join(map(str, known))}, got {str(stack)!r}",
            fix=f"write {shown(path)}, or name one of these",
        )
    environment = load_environment(stack.env, folder)
    return _validated(model, _source(path, prefix="plinth:"), environment=environment, **added)


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a file says, and where."""

    path: Path
    prefix: str
    """Before each of its keys in the file."""

    values: Mapping[str, Any]
    lines: Mapping[tuple[str, ...], int]
    """Of every key, by its path."""


def _validated(model: type[Model], source: Source, **added: Any) -> Model:
    """The content of a file as a model; UserError with a line per problem."""
    values = {key: value for key, value in source.values.items() if key not in added}
    strangers = [key for key in source.values if key in added]
    if strangers:
        line = source.lines[(strangers[0],)]
        raise UserError(
            f"{shown(source.path)}:{line}: {source.prefix}{strangers[0]} must not be set, "
            "it follows from the file's name",
            fix="delete the line",
        )
    try:
        return model.model_validate({**values, **added})
    except ValidationError as error:
        raise UserError("\n".join(_problems(source, model, error))) from None


def yaml_reader() -> Any:
    """Reads and writes a file so that comments, order and quotes survive."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 4096
    yaml.preserve_quotes = True
    yaml.representer.add_representer(type(None), _null)  # as it was written, not as nothing
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _null(representer: Any, _: None) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _source(path: Path, *, prefix: str) -> Source:
    """The keys of an environment's file, or the `plinth:` objects of a stack's."""
    content: Any = yaml_of(path, yaml_reader())
    if prefix:
        content = mapping(content.get("config"), f"{shown(path)}: config")
    lines: dict[tuple[str, ...], int] = {}
    values: dict[str, Any] = {}
    for key, value in content.items():
        if not key.startswith(prefix):
            continue
        name = key.removeprefix(prefix)
        values[name] = value
        lines[(name,)] = content.lc.key(key)[0] + 1
        lines.update({(name, *rest): line for rest, line in _lines(value)})
    return Source(path=path, prefix=prefix, values=values, lines=lines)


def _lines(value: Any) -> Iterator[tuple[tuple[str, ...], int]]:
    if isinstance(value, Mapping) and hasattr(value, "lc"):
        for key, child in value.items():
            yield (str(key),), value.lc.key(key)[0] + 1
            yield from (((str(key), *rest), line) for rest, line in _lines(child))


UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
"""What pydantic says of a key that is none, in a model and in a dataclass."""


def _problems(source: Source, model: type[Part], error: ValidationError) -> Iterator[str]:
    """One line per problem; a key that is missing because it is misspelt is told once."""
    meant, lines, prefix = set(), source.lines, source.prefix
    # unknown keys first: they explain which required key is missing
    for item in sorted(error.errors(), key=lambda item: item["type"] not in UNKNOWN_KEY):
        where = tuple(str(part) for part in item["loc"])
        line = next((lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in lines), 1)
        place = f"{shown(source.path)}:{line}"
        if where:  # what is about several settings is about the whole file
            place += f": {prefix}{'.'.join(where)}"
        if item["type"] in UNKNOWN_KEY:
            known = _keys(model, where[:-1])
            near = difflib.get_close_matches(where[-1], known, n=1, cutoff=0)
            nearest = (*where[:-1], *near)
            meant.add(nearest)
            yield f"{place} is not a setting; the nearest is {prefix}{'.'.join(nearest)}"
        elif item["type"] == "missing":
            if where not in meant:
                yield f"{place} is missing"
        else:
            message = item["msg"].removeprefix("Value error, ").replace("tuple", "list")
            given = (
                "[secret]" if any(map(says_secret, where)) else repr(hidden.shown(item["input"]))
            )
            got = f", got {given}" if item["type"] != "value_error" else ""
            yield f"{place}: {message[:1].lower()}{message[1:]}{got}"


def _keys(root: type[Part], where: tuple[str, ...]) -> list[str]:
    """The keys that the object at this path may have."""
    model: Any = root
    for part in where:
        field = _fields(model).get(part)
        if field is None:  # a mapping of named objects: the part is a name of the person's own
            continue
        parts = (field.annotation, *get_args(field.annotation))
        model = next((part for part in parts if _fields(part)), parts[-1])
    return [name for name in _fields(model) if model is not root or name not in ADDED]


def _fields(model: Any) -> Mapping[str, Any]:
    return getattr(model, "model_fields", None) or getattr(model, "__dataclass_fields__", {})
