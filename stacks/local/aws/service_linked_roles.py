"""Roles of AWS services in the local account, by the names that AWS gives them.

moto derives the name from the service (moto 5.2.5, `create_service_linked_role`): that of
spot.amazonaws.com becomes AWSServiceRoleForspot, where AWS says AWSServiceRoleForEC2Spot.

The account is one that is prepared for the platform, as `GRANTED` of its quotas are, so those that
somebody has to make are there. The others AWS makes when their services are used, which the local
cloud needs for nothing.
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
    from moto.backends import get_backend

    iam = get_backend("iam")[ACCOUNT_ID]["aws"]
    for role in ROLES:
        if not role.made_on_use and role.name not in {one.name for one in iam.roles.values()}:
            _create(iam, role.service, f"Of {role.service}")


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
