"""Service-linked roles by the names that AWS gives them, where moto makes some up.

moto derives the name from the service (moto 5.2.5, `create_service_linked_role`): that of
spot.amazonaws.com becomes AWSServiceRoleForspot, where AWS says AWSServiceRoleForEC2Spot.
"""

from __future__ import annotations

import json
from typing import Any

from stacks.service_linked_roles import ROLES

NAMES = {role.service: role.name for role in ROLES}
HOUR_SECONDS = "3600"
"""How long a session of such a role lasts (IAM user guide, service-linked roles)."""


def install() -> None:
    """Let moto's IAM create those whose names are known as AWS does."""
    from moto.iam.models import IAMBackend

    derived = IAMBackend.create_service_linked_role

    def create(backend: Any, service_name: str, description: str, suffix: str) -> Any:
        name = NAMES.get(service_name)
        if name is None or suffix:
            return derived(backend, service_name, description, suffix)
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": ["sts:AssumeRole"],
                    "Effect": "Allow",
                    "Principal": {"Service": [service_name]},
                }
            ],
        }
        return backend.create_role(
            name,
            json.dumps(trust),
            f"/aws-service-role/{service_name}/",
            permissions_boundary=None,
            description=description,
            tags=[],
            max_session_duration=HOUR_SECONDS,
            linked_service=service_name,
        )

    IAMBackend.create_service_linked_role = create
