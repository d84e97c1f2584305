"""Roles of AWS services in the local account: those that somebody has to make are there.

The account is one that is prepared for the platform, as `GRANTED` of its quotas are; the others AWS
makes when their services are used, which the local cloud needs for nothing.
"""

from stacks.local.aws.emulator import ACCOUNT_ID
from stacks.service_linked_roles import ROLES


def make() -> None:
    """Make the roles that nothing makes on the way, by the names of `moto_service_roles`."""
    from moto.backends import get_backend

    iam = get_backend("iam")[ACCOUNT_ID]["aws"]
    for role in ROLES:
        if role.made_on_use or role.name in {one.name for one in iam.roles.values()}:
            continue
        iam.create_service_linked_role(role.service, f"Of {role.service}", "")
