"""SageMaker's control plane of the local cloud without the rest of it: operations in, answers out.

Every answer is held against its shape. What runs a process needs a whole cloud.
"""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import api
from stacks.local.aws.sagemaker.errors import ApiError
from stacks.local.aws.sagemaker.resource_type import ResourceType
from stacks.local.aws.sagemaker.shapes import now, service
from tests.kits.answers import problems, request

GIVEN = {
    "CreateDomain": {"AuthMode": "IAM"},
    "CreateStudioLifecycleConfig": {"StudioLifecycleConfigContent": "ZWNobwo="},
}
"""What the smallest request of an operation does not say well enough."""


class Account:
    """An account in which nothing is. `waits`: for what a call began, before the next."""

    def __init__(self, *, waits: bool = True) -> None:
        self.waits = waits
        host = cast(Any, SimpleNamespace(region="us-east-1"))
        self.emulator = Emulator(host=host, authorizer=cast(Any, None))

    def call(self, operation: str, **members: Any) -> dict[str, Any]:
        answer = api.call(self.emulator, operation, members)
        if self.waits:
            self.later(timedelta(minutes=1))
        assert problems(service().operation_model(operation), answer) == []
        return answer

    def later(self, time: timedelta) -> None:
        """What moves by the clock is where it will be then."""
        api.settle(self.emulator, now() + time)

    def refusal(self, operation: str, **members: Any) -> tuple[str, str]:
        """Code and message of the error that a call must raise."""
        with pytest.raises(ApiError) as caught:
            api.call(self.emulator, operation, members)
        return caught.value.code, caught.value.message

    def made(self, kind: ResourceType) -> dict[str, Any]:
        """The smallest one of a kind, after what it needs: its request and its answer."""
        parents = {member: self.made(kind)[member] for member, kind in kind.parents.items()}
        parents |= GIVEN.get(kind.create, {})
        if kind.create == "CreateApp":
            parents["SpaceName"] = "a1"
            self.call("CreateSpace", **parents)
            parents["AppType"] = "JupyterLab"
        asked = request(kind.create, **parents)
        number = {"Version": 1} if kind.create == "CreateImageVersion" else {}
        return {**asked, **number, **self.call(kind.create, **asked)}
