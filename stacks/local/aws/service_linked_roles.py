"""Roles of AWS services in the local account: those that somebody has to make are there.

The account is one that is prepared for the platform, as `GRANTED` of its quotas are; the others AWS
makes when their services are used, which the local cloud needs for nothing.
"""

import json

from stacks.local.aws.emulator import ACCOUNT_ID
from stacks.service_linked_roles import ROLES


def make() -> None:
    """Make the roles that nothing makes on the way."""
    from moto.backends import get_backend

    iam = get_backend("iam")[ACCOUNT_ID]["aws"]
    for role in ROLES:
        if role.made_on_use or role.name in {one.name for one in iam.roles.values()}:
            continue
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRole",
                    "Principal": {"Service": role.service},
                }
            ],
        }
        iam.create_role(
            role.name,
            json.dumps(trust),
            f"/aws-service-role/{role.service}/",
            permissions_boundary=None,
            description=f"Of {role.service}",
            tags=[],
            max_session_duration="3600",
            linked_service=role.service,
        )
