"""Whether the roles exist that AWS services have in an account, and nobody makes on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from stacks.checks.check import CheckResult, Platform, failed, passed
from stacks.service_linked_roles import needed

ID = "service-linked roles"
RECORDER = "aws:cfg/recorder:Recorder"


def check(platform: Platform) -> Iterator[CheckResult]:
    """Each is there, or AWS makes it; AWS Config records with its own, unbounded."""
    yield from _recorders(platform)
    iam = None
    for role in needed(platform.resources):
        iam = iam or platform.clients("iam")
        if _exists(iam, role.name):
            yield passed(ID, role.name, "is there")
        elif role.made_on_use:
            yield passed(ID, role.name, f"is not there: {role.service} makes it when it is used")
        else:
            yield failed(
                ID,
                role.name,
                "must be there before: nothing of this stack makes it, and what needs it fails",
                f"plinth bootstrap {platform.env}",
            )


def _recorders(platform: Platform) -> Iterator[CheckResult]:
    for recorder in platform.of_type(RECORDER):
        arn = str(recorder.inputs.get("roleArn"))
        if "/aws-service-role/config." not in arn:
            yield failed(
                ID,
                recorder.name,
                f"AWS Config must record with AWSServiceRoleForConfig, got {arn}: what a boundary "
                "or a policy leaves out is recorded as access denied",
                "give the recorder the service-linked role (infra/audit.py does)",
            )


def _exists(iam: Any, name: str) -> bool:
    try:
        iam.get_role(RoleName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
        return False
    return True
