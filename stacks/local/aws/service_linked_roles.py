"""Roles of AWS services in the local account, by the names that AWS gives them.

moto derives the name from the service (moto 5.2.5, `create_service_linked_role`): that of
spot.amazonaws.com becomes AWSServiceRoleForspot, where AWS says AWSServiceRoleForEC2Spot.

The account is one that is prepared for the platform, as `GRANTED` of its quotas are, so those that
somebody has to make are there. Of the others AWS makes one when its service is used first, if who
uses it may call iam:CreateServiceLinkedRole (IAM user guide, "Create a service-linked role"): the
rows of the recorder say for what (`recorded/recorded.py`).
"""

from __future__ import annotations

import json
from typing import Any

from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.service_linked_roles import ROLES

NAMES = {role.service: role.name for role in ROLES}
HOUR_SECONDS = "3600"
"""How long a session of such a role lasts (IAM user guide, service-linked roles)."""


def install() -> None:
    """Let moto's IAM create those whose names are known as AWS does."""
    from moto.iam.models import IAMBackend

    derived = IAMBackend.create_service_linked_role

    def named(backend: Any, service_name: str, description: str, suffix: str) -> Any:
        if service_name not in NAMES or suffix:
            return derived(backend, service_name, description, suffix)
        return _create(backend, service_name, description)

    IAMBackend.create_service_linked_role = named


def make() -> None:
    """Make the roles that nothing makes on the way."""
    for role in ROLES:
        if not role.made_on_use:
            ensure(role.service)


def ensure(service: str) -> None:
    """Make the role of a service, if there is one and it is not there."""
    if missing(service):
        _create(_iam(), service, f"Of {service}")


def missing(service: str) -> str:
    """The ARN that the role of a service will have; empty: it is there, or there is none."""
    name = NAMES.get(service)
    if name is None or name in {one.name for one in list(_iam().roles.values())}:
        return ""
    return f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/{service}/{name}"


def _iam() -> Any:
    from moto.backends import get_backend

    return get_backend("iam")[ACCOUNT_ID]["aws"]


def _create(iam: Any, service: str, description: str) -> Any:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
        ],
    }
    return iam.create_role(
        NAMES[service],
        json.dumps(trust),
        f"/aws-service-role/{service}/",
        permissions_boundary=None,
        description=description,
        tags=[],
        max_session_duration=HOUR_SECONDS,
        linked_service=service,
    )
