"""Faults put back: into resources of a real synth, into files, and what a check then says."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from policies.data import Data, Resource
from stacks.checks.check import CheckResult
from stacks.stack_name import StackName
from tests.kits.checks import Script, ask, platform
from tests.kits.stacks import copied, synth

Change = Callable[[dict[str, Any]], None]


def asked(
    check: Callable[..., Any],
    stack: str = "dev.foundation",
    script: Script | None = None,
    *,
    resources: Sequence[Resource] | None = None,
    also: Mapping[str, Sequence[Resource]] | None = None,
    **more: Any,
) -> list[CheckResult]:
    """A check of a real stack's synth, and of others of its environment."""
    found = synth(stack) if resources is None else list(resources)
    others = {StackName.parse(name): list(given) for name, given in (also or {}).items()}
    given = platform(script=script, stack=stack, resources=found, environment=others, **more)
    return ask(check, given)


def with_inputs(resources: Sequence[Resource], type_: str, change: Change) -> list[Resource]:
    """Resources, those of a type with other inputs."""
    made = []
    for one in resources:
        if one.type == type_:
            inputs = json.loads(json.dumps(one.inputs.value))
            change(inputs)
            made.append(Resource(**{**vars_of(one), "inputs": Data(inputs, one.inputs.path)}))
        else:
            made.append(one)
    return made


def vars_of(resource: Resource) -> dict[str, Any]:
    return {name: getattr(resource, name) for name in Resource.__dataclass_fields__}


def edited(folder: Path, file: str, old: str, new: str) -> Path:
    """The environments' files, one of them with another text."""
    made = copied(folder)
    text = (made / file).read_text()
    assert old in text, f"{file} no longer has {old!r}"
    (made / file).write_text(text.replace(old, new, 1))
    return made


def told(found: Sequence[CheckResult], status: str = "fail") -> list[str]:
    return [f"{one.subject}: {one.message}" for one in found if one.status == status]


def roles_there(*there: bool) -> Script:
    """Answers of IAM to questions for one role after another."""
    role = {
        "Path": "/", "RoleName": "r", "RoleId": "A" * 20, "Arn": "arn:aws:iam::1:role/r",
        "CreateDate": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    return {"iam": [("get_role", {"Role": role} if one else "!NoSuchEntity") for one in there]}
