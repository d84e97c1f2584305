"""What a workload is, as data, and how the workloads of this checkout are found.

A workload is a package `pipelines/<name>/` whose `workload.py` holds `WORKLOAD = Workload(...)`. It
names its programs and functions as text (`package.module:function`), so that a declaration can be
read without importing what the workload runs on.
"""

import importlib
import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from infra.errors import UserError
from infra.naming import PLATFORM_WORDS
from pipelines.toolkit.feature_group import FeatureGroup

FOLDER = Path(__file__).parent
RESERVED = frozenset({"cluster", "foundation"})
"""Layers of an environment that are no workload: their stacks have these names."""

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
NAME_LIMIT = 24
"""Characters of a workload's name: `plinth-<env>-<workload>-<role>` must fit into 64, the limit of
IAM roles and feature groups."""

FUNCTION = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+:[a-z0-9_]+")

Parameter = str | int | float
"""A value of a pipeline's parameter; the type of its default is the type of the parameter."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """What a workload's model is for, for the registry, the model card and those who call it."""

    description: str
    kind: Literal["classification", "regression"]
    """What the endpoint answers: a probability, or a number with its quantiles."""

    card: Mapping[str, Any]
    """What the model card says beside the description: `ModelCardArgs` has the names."""

    content_types: Sequence[str] = ("text/csv", "application/json", "application/jsonlines")
    """What the endpoint takes and gives. Default: all that `serving/codecs.py` knows."""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """One pipeline of a workload."""

    description: str
    build: str
    """`module:function` that takes PipelineInputs and returns an SDK `Pipeline`."""

    calls_aws: Mapping[str, str] = field(default_factory=dict)
    """Steps whose programs call AWS, and why. The policies let their containers, and no others,
    have credentials and reach the network. Default: none does."""

    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    """Default by the name that SageMaker knows a parameter by; an environment's file may set
    another, and so may who starts a run. Default: there are none."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One model, or one set of features, and what it lives on."""

    name: str
    """Of the package, with underscores."""

    owner: str
    """The team that answers for it."""

    description: str
    feature_groups: Mapping[str, FeatureGroup] = field(default_factory=dict)
    """Schema by name of the groups that it owns: it alone writes them. Default: none."""

    uses: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Groups of other workloads that it reads, by workload. Default: none."""

    stream_groups: Sequence[str] = ()
    """Groups of its own that a stream may write. Default: none."""

    pipelines: Mapping[str, Pipeline]
    """By name."""

    model: Model | None = None
    """Default: it makes features, or anything but a model."""

    holdout: str | None = None
    """`module:function` that gives questions with known answers from days that no run has seen
    (`pipelines/holdout.py`). Default: a deployed model cannot be scored."""

    score: str | None = None
    """`module:function` that measures answers against the truth. Set where `holdout` is."""

    def __post_init__(self) -> None:
        if wrong := list(_wrong(self)):
            raise UserError(
                f"pipelines/{self.name}/workload.py: " + "; ".join(wrong),
                fix=f"correct the declaration in pipelines/{self.name}/workload.py",
            )

    @property
    def aws_name(self) -> str:
        """Its name in AWS, with hyphens."""
        return self.name.replace("_", "-")

    def pipeline(self, name: str) -> Pipeline:
        """The pipeline of this name, or an error that lists those there are."""
        if name not in self.pipelines:
            known = ", ".join(sorted(self.pipelines))
            raise UserError(
                f"{self.name} has no pipeline called {name!r}", fix=f"name one of: {known}"
            )
        return self.pipelines[name]

    def reads(self) -> list[str]:
        """The logical names of the feature groups that its steps open, its own first.

        Its own are called by their name (`flights`), others by owner and name (`weather.hourly`).
        """
        others = [f"{owner}.{group}" for owner, groups in self.uses.items() for group in groups]
        return [*self.feature_groups, *others]


def find(folder: Path = FOLDER) -> Mapping[str, Workload]:
    """The workloads of this checkout by name, in the order of their names."""
    found = {}
    for path in sorted(folder.glob("*/workload.py")):
        module = importlib.import_module(f"{folder.name}.{path.parent.name}.workload")
        workload: Workload = module.WORKLOAD
        if workload.name != path.parent.name:
            raise UserError(
                f"{folder.name}/{path.parent.name}/workload.py: name must be "
                f"{path.parent.name!r}, as the folder's, got {workload.name!r}",
                fix="give the workload the name of its folder",
            )
        found[workload.name] = workload
    check(found)
    return found


def named(name: str) -> Workload:
    """The workload of this name, or an error that lists those there are."""
    found = find()
    if name not in found:
        raise UserError(
            f"no workload is called {name!r}", fix=f"name one of: {', '.join(found) or 'none'}"
        )
    return found[name]


def check(workloads: Mapping[str, Workload]) -> None:
    """UserError unless these workloads can live in one environment."""
    names = [workload.aws_name for workload in workloads.values()]
    wrong = [
        f"{other} must not start with {name}-: who may touch {name}-* may then touch both"
        for name in names
        for other in names
        if other.startswith(f"{name}-")
    ]
    for workload in workloads.values():
        for owner, groups in workload.uses.items():
            there = workloads[owner].feature_groups if owner in workloads else {}
            wrong += [
                f"{workload.name} uses {owner}.{group}, which nobody declares"
                for group in groups
                if group not in there
            ]
    if wrong:
        raise UserError(
            "pipelines: " + "; ".join(wrong), fix="rename or declare what is named above"
        )


def check_name(name: str) -> None:
    """UserError unless a workload may have this name."""
    if problem := _wrong_name(name):
        raise UserError(f"workload {name!r}: {problem}", fix="choose another name")


def function(path: str) -> Callable[..., Any]:
    """What `module:function` names, imported."""
    module, _, attribute = path.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return found


def _wrong_name(name: str) -> str:
    if not NAME.fullmatch(name) or len(name) > NAME_LIMIT:
        return f"a name must be words of small letters and digits, at most {NAME_LIMIT} characters"
    if keyword.iskeyword(name):
        return f"a name must not be a word of Python's, got {name}"
    if name in RESERVED:
        return f"a name must not be {' or '.join(sorted(RESERVED))}: stacks have these names"
    if name in PLATFORM_WORDS:
        return f"a name must not be {name}: plinth-ENV-{name}-* are names of what the platform owns"
    return ""


def _wrong(workload: Workload) -> list[str]:
    """Everything that does not fit within one declaration."""
    wrong = [_wrong_name(workload.name)]
    functions = {f"pipelines.{name}.build": p.build for name, p in workload.pipelines.items()}
    functions |= {"holdout": workload.holdout or "", "score": workload.score or ""}
    wrong += [
        f"{where} must be <module>:<function>, got {path!r}"
        for where, path in functions.items()
        if path and not FUNCTION.fullmatch(path)
    ]
    if not workload.pipelines:
        wrong.append("pipelines must hold at least one")
    if bool(workload.holdout) != bool(workload.score):
        wrong.append("holdout and score must be set together")
    if workload.holdout and not workload.model:
        wrong.append("holdout must stand beside a model")
    if unknown := sorted(set(workload.stream_groups) - set(workload.feature_groups)):
        wrong.append(f"stream_groups must be of feature_groups, got {', '.join(unknown)}")
    if workload.name in workload.uses:
        wrong.append("uses must name other workloads: its own groups are in feature_groups")
    for name, group in workload.feature_groups.items():
        keys = {group.record_identifier, group.event_time}
        if lacking := sorted(keys - set(group.features)):
            wrong.append(f"feature_groups.{name} must have the features {', '.join(lacking)}")
    return [problem for problem in wrong if problem]
