"""What a stack is called: `dev.foundation`, `dev.cluster`, `dev.<workload>`; which there are.

An environment is several stacks. A name with a dot is one stack; a name without one is the
environment, which means all of its stacks in the order in which they are deployed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from infra.errors import UserError
from stacks.paths import ENVIRONMENTS, shown

FOUNDATION, CLUSTER = "foundation", "cluster"
LOCAL = "local"
"""The environment that lives on one machine; `stacks/targets/` alone knows what follows of that."""

PLATFORM = (FOUNDATION, CLUSTER)
"""Layers that are no workload, in the order of deployment."""

ENVIRONMENT_NAME = r"[a-z][a-z0-9-]*"
LAYER_NAME = r"[a-z][a-z0-9_]*"


@dataclass(frozen=True, order=True)
class StackName:
    """One stack of one environment; a layer that is not the platform's is a workload."""

    env: str
    layer: str

    def __str__(self) -> str:
        return f"{self.env}.{self.layer}"

    @classmethod
    def parse(cls, text: str) -> StackName:
        """UserError when it is not the name of a stack."""
        if not re.fullmatch(rf"{ENVIRONMENT_NAME}\.{LAYER_NAME}", text):
            raise UserError(
                f"a stack must be called <environment>.<layer>, got {text!r}",
                fix="name one, such as dev.foundation",
            )
        env, _, layer = text.partition(".")
        return cls(env, layer)

    @property
    def workload(self) -> str | None:
        """The package of its workload; None of a stack of the platform."""
        return None if self.layer in PLATFORM else self.layer

    @property
    def file(self) -> Path:
        """What this layer is made of, in this checkout."""
        return self.file_in(ENVIRONMENTS)

    def file_in(self, folder: Path) -> Path:
        """What this layer is made of; the file's name is Pulumi's."""
        return folder / f"Pulumi.{self}.yaml"

    def sibling(self, layer: str) -> StackName:
        """Another stack of the same environment."""
        return StackName(self.env, layer)

    def needs(self, *, on_cluster: bool) -> tuple[StackName, ...]:
        """The stacks whose contract it reads, in the order of deployment."""
        if self.layer == FOUNDATION:
            return ()
        below = (FOUNDATION, CLUSTER) if self.workload and on_cluster else (FOUNDATION,)
        return tuple(self.sibling(layer) for layer in below)


def environment_file(env: str, folder: Path = ENVIRONMENTS) -> Path:
    """What all stacks of an environment have in common."""
    return folder / f"{env}.yaml"


def environments(folder: Path = ENVIRONMENTS) -> list[str]:
    """Names of the environments that have a file."""
    return sorted(
        path.stem for path in folder.glob("*.yaml") if re.fullmatch(ENVIRONMENT_NAME, path.stem)
    )


def stacks_of(env: str, folder: Path = ENVIRONMENTS) -> tuple[StackName, ...]:
    """The stacks of an environment, by their files, in the order of deployment.

    UserError when there is no such environment.
    """
    known = environments(folder)
    if env not in known:
        raise UserError(
            f"environment must be one of {', '.join(known)}, got {env!r}",
            fix=f"write {shown(environment_file(env, folder))}, or name one of these",
        )
    paths = folder.glob(f"Pulumi.{env}.*.yaml")
    layers = {path.name.removeprefix(f"Pulumi.{env}.").removesuffix(".yaml") for path in paths}
    workloads = sorted(layers - set(PLATFORM))
    ordered = [*(layer for layer in PLATFORM if layer in layers), *workloads]
    return tuple(StackName(env, layer) for layer in ordered)


def one_stack(text: str) -> StackName:
    """The one stack that a person means; UserError for an environment, which has several."""
    found = named(text)
    if "." not in text:
        raise UserError(
            f"one stack must be named, one of {', '.join(map(str, found))}, got {text!r}",
            fix=f"name one, such as {found[-1]}",
        )
    return found[0]


def named(text: str) -> tuple[StackName, ...]:
    """The stacks that a person means by `ENV` or `ENV.LAYER`; UserError when there are none."""
    if "." not in text:
        return stacks_of(text)
    stack = StackName.parse(text)
    known = stacks_of(stack.env)
    if stack not in known:
        raise UserError(
            f"stack must be one of {', '.join(map(str, known))}, got {text!r}",
            fix=f"write {shown(stack.file)}, or name one of these",
        )
    return (stack,)
