"""Stacks as tests need them: with another setting, with a model that is served, synthesized."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from policies.data import Resource
from policies.offline import RuleFinding
from stacks.paths import ENVIRONMENTS
from stacks.settings.load import load, load_workload
from stacks.settings.model import Settings, WorkloadSettings
from stacks.stack_name import StackName, environments, stacks_of
from stacks.synth import synthesize

NOTHING = '{"Version": "2020-12-01", "Steps": []}'
"""A pipeline's definition for tests that are not about it."""

ALL = [stack for env in environments() for stack in stacks_of(env)]
WORKLOADS = [stack for stack in ALL if stack.workload]


def named(text: str) -> StackName:
    return StackName.parse(text)


def copied(folder: Path) -> Path:
    """The environments' files in a folder of the test's own."""
    return Path(shutil.copytree(ENVIRONMENTS, folder / "environments"))


def no_definitions(settings: Settings) -> dict[str, str]:
    """Empty definitions of the pipelines that a stack has."""
    if not isinstance(settings, WorkloadSettings):
        return {}
    return dict.fromkeys(settings.workload.pipelines, NOTHING)


def changed(settings: Settings, **parts: Any) -> Any:
    """Settings with other parts; those of the environment as `environment={...}`."""
    environment = parts.pop("environment", None)
    if environment is not None:
        parts["environment"] = settings.environment.model_copy(update=environment)
    return settings.model_copy(update=parts)


def fields_of(settings: Settings) -> dict[str, Any]:
    """What a settings object was made of."""
    return {name: getattr(settings, name) for name in type(settings).model_fields}


def package(settings: WorkloadSettings) -> str:
    """A version of the workload's model."""
    return settings.names.arn("sagemaker", f"model-package/{settings.names.of('model')}/7")


def serving(stack: str, **endpoint: Any) -> WorkloadSettings:
    """A workload with a pinned model."""
    settings = load_workload(named(stack))
    pinned = {"model_package_arn": package(settings), **endpoint}
    served: WorkloadSettings = changed(
        settings, endpoint=settings.endpoint.model_copy(update=pinned)
    )
    return served


def synth(
    stack: str, settings: Settings | None = None, definitions: Mapping[str, str] | None = None
) -> list[Resource]:
    """What a stack registers; with the settings of its file unless others are given."""
    if settings is None and definitions is None:
        return _of_file(stack)
    chosen = settings or load(named(stack))
    given = no_definitions(chosen) if definitions is None else definitions
    return synthesize(named(stack), chosen, given)


@cache
def _of_file(stack: str) -> list[Resource]:
    settings = load(named(stack))
    return synthesize(named(stack), settings, no_definitions(settings))


def only_an_account_knows(finding: RuleFinding | Mapping[str, Any]) -> bool:
    """Undecided by nature: whether SageMaker says its account for these roles is not documented."""
    said = asdict(finding) if isinstance(finding, RuleFinding) else finding
    role = said["urn"].rpartition("::")[2] in ("access-features", "access-tracking")
    return role and (said["rule_id"], said["status"]) == ("PF-IAM-002", "unknown")
