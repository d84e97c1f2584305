"""Who made a request, by the key that signed it, and what IAM has attached to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from policies.iam.document import Policy, compiled
from policies.iam.request import Principal
from stacks.local.aws.role_sessions import vpc_of_session
from stacks.local.aws.session_tags import tags_of

ADMINISTRATOR = compiled(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    },
    "AdministratorAccess",
)


OWNER, OWNER_ID = "plinth-local", "AIDAPLINTHLOCAL"
"""IAM user that holds the home's own keys."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A principal with its policies."""

    principal: Principal
    identity: Sequence[Policy] = ()
    boundary: Policy | None = None
    session: Sequence[Policy] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    userid: str = ""
    vpc: str = ""
    """VPC that the program runs in. Default: none."""


def administrator(account: str, partition: str) -> Caller:
    """Who holds the home's own keys: a deployer whom IAM allows everything."""
    arn = f"arn:{partition}:iam::{account}:user/{OWNER}"
    principal = Principal(kind="user", arn=arn, account=account)
    return Caller(principal=principal, identity=[ADMINISTRATOR], userid=OWNER_ID)


def of_role(role: Any, arn: str, session_policies: Sequence[str] | None, userid: str) -> Caller:
    """A session of a role of moto's."""
    return Caller(
        principal=Principal(
            kind="session",
            arn=arn,
            account=role.account_id,
            entity=role.arn,
            service_linked="/aws-service-role/" in role.arn,
        ),
        identity=_attached(role),
        boundary=_boundary(role.permissions_boundary_arn, role.account_id, role.partition),
        session=None if session_policies is None else [compiled(t) for t in session_policies],
        tags={tag["Key"]: tag["Value"] for tag in _tags(role.tags)},
        userid=userid,
    )


def of_user(user: Any, partition: str) -> Caller:
    """A user of moto's, with what its groups are allowed."""
    from moto.iam.models import iam_backends

    backend = iam_backends[user.account_id][partition]
    groups = [group for group in list(backend.groups.values()) if user in group.users]
    own = [policy for holder in (user, *groups) for policy in _attached(holder)]
    return Caller(
        principal=Principal(kind="user", arn=user.arn, account=user.account_id),
        identity=own,
        boundary=_boundary(
            getattr(user, "permissions_boundary_arn", None), user.account_id, partition
        ),
        userid=user.id,
    )


def of_group(group: Any) -> Caller:
    """Somebody who is allowed what a group of moto's is."""
    principal = Principal(kind="user", arn=group.arn, account=group.account_id)
    return Caller(principal=principal, identity=_attached(group))


def unknown_role(arn: str, entity: str, account: str) -> Caller:
    """A session of a role that is gone: it may nothing."""
    return Caller(principal=Principal(kind="session", arn=arn, account=account, entity=entity))


def caller(access_key_id: str, own_key: str, place: Any, owners: Mapping[str, str]) -> Caller:
    """Who holds a key; `owners`: temporary key -> key of the user who asked for it."""
    from moto.iam.models import iam_backends
    from moto.sts.models import sts_backends

    asked = owners.get(access_key_id, access_key_id)
    if asked == own_key:
        return administrator(place.account, place.partition)
    for account, backends in list(sts_backends.items()):
        for partition, backend in list(backends.items()):
            held = backend.get_assumed_role_from_access_key(asked)
            if held is not None:
                role = _role(held.role_arn, account, partition)
                if role is None:
                    return unknown_role(held.arn, held.role_arn, account)
                policies = [held.policy] if held.policy else None
                made = of_role(role, held.arn, policies, held.user_id)
                tags = {**made.tags, **tags_of(held)}
                return replace(made, vpc=vpc_of_session(held), tags=tags)
    for backends in list(iam_backends.values()):
        for partition, backend in list(backends.items()):
            key = backend.access_keys.get(asked)
            user = backend.users.get(key.user_name) if key is not None else None
            if user is not None:
                return of_user(user, partition)
    return Caller(principal=Principal(kind="anonymous", arn="anonymous"))


def caller_as(role_arn: str, session_name: str) -> Caller:
    """Whoever takes on a role would be this."""
    parts = role_arn.split(":")
    if len(parts) != 6:
        return Caller(principal=Principal(kind="anonymous", arn="anonymous"))
    partition, account = parts[1], parts[4]
    name = role_arn.rpartition("/")[2]
    arn = f"arn:{partition}:sts::{account}:assumed-role/{name}/{session_name}"
    role = _role(role_arn, account, partition)
    if role is None:
        return unknown_role(arn, role_arn, account)
    return of_role(role, arn, None, f"{role.id}:{session_name}")


def _role(arn: str, account: str, partition: str) -> Any:
    from moto.iam.models import iam_backends

    roles = list(iam_backends[account][partition].roles.values())
    return next((role for role in roles if role.arn == arn), None)


def _attached(holder: Any) -> list[Policy]:
    inline = [compiled(text, name) for name, text in list(holder.policies.items())]
    managed = [
        compiled(_document(policy), arn) for arn, policy in list(holder.managed_policies.items())
    ]
    return [*inline, *managed]


def _document(policy: Any) -> Any:
    """The document of the version that is the default."""
    return next(version.document for version in policy.versions if version.is_default)


def _boundary(arn: str | None, account: str, partition: str) -> Policy | None:
    """A boundary that is gone allows nothing (IAM user guide: it must exist to be set)."""
    if not arn:
        return None
    from moto.iam.models import iam_backends

    policy = iam_backends[account][partition].managed_policies.get(arn)
    return Policy(arn, ()) if policy is None else compiled(_document(policy), arn)


def _tags(value: Any) -> Iterable[Mapping[str, str]]:
    return value.values() if isinstance(value, Mapping) else value or ()
