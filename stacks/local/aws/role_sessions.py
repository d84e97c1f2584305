"""Sessions of roles that services assume for what they run: jobs, servers, functions, pipelines.

A service may assume a role only where the role's trust policy says so (IAM user guide, "Creating a
role to delegate permissions to an AWS service"); it says for which account and resource it asks.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from policies.iam.decision import Policies, decide
from policies.iam.document import compiled
from policies.iam.request import Principal, Request, keys
from stacks.local.aws import session_tags
from stacks.local.runtime.acting import CannotAct

SESSION_SECONDS = 10 * 365 * 24 * 3600
"""AWS renews what it gives a container; a session here lasts longer than its cloud."""


OF_SERVICES = "plinth: of a service "
"""External id by which a session of a service is told from one that somebody asked for; nobody
can ask for it, since AWS takes no blanks there. The VPC follows."""

_MAKING = threading.Lock()


class CannotAssume(CannotAct):
    """A role does not exist or does not trust the service; the text says so."""


def assume(
    role_arn: str,
    service: str,
    session_name: str,
    region: str,
    *,
    source_arn: str = "",
    vpc: str = "",
) -> Mapping[str, str]:
    """Environment variables with the keys of a session; CannotAssume where trust says no.

    `vpc`: where the program runs, so that its requests meet the endpoints there.
    """
    from moto.sts.models import sts_backends

    check(role_arn, service, region, source_arn)
    account, partition = role_arn.split(":")[4], role_arn.split(":")[1]
    backend = sts_backends[account][partition]
    with _MAKING:
        mark = f"{OF_SERVICES}{vpc}"
        wanted = (mark, role_arn, session_name)
        held = next((s for s in backend.assumed_roles if _told(s) == wanted), None)
        held = held or make(role_arn, session_name, region, SESSION_SECONDS, mark=mark)
    return {
        "AWS_ACCESS_KEY_ID": held.access_key_id,
        "AWS_SECRET_ACCESS_KEY": held.secret_access_key,
        "AWS_SESSION_TOKEN": held.session_token,
    }


def make(
    role_arn: str,
    session_name: str,
    region: str,
    seconds: int,
    *,
    mark: str = "",
    tags: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """A session of moto's, whose trust nobody asks any more; `mark`: its external id."""
    from moto.sts.models import sts_backends

    account, partition = role_arn.split(":")[4], role_arn.split(":")[1]
    session = sts_backends[account][partition].assume_role(
        region_name=region,
        role_session_name=session_name,
        role_arn=role_arn,
        policy="",
        duration=seconds,
        external_id=mark,
    )
    session_tags.tag(session, tags)
    return session


def _told(session: Any) -> tuple[str, str, str]:
    """By what a session of a service is found, to be used again."""
    return session.external_id, session.role_arn, session.session_name


def vpc_of_session(session: Any) -> str:
    """The VPC of the program that a service made a session for; empty: none."""
    mark = str(session.external_id or "")
    return mark.removeprefix(OF_SERVICES) if mark.startswith(OF_SERVICES) else ""


def check(
    role_arn: str,
    service: str,
    region: str,
    source_arn: str = "",
    tags: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """CannotAssume where a role does not exist, or does not trust a service, with these tags."""
    role = _role(role_arn)
    principal = f"{service}.amazonaws.com"
    told = (
        f"Could not assume role {role_arn}. Please ensure that the role exists and allows "
        f"principal '{principal}' to assume the role."
    )
    if role is None:
        raise CannotAssume(told)
    account = role_arn.split(":")[4]
    context = {
        "aws:PrincipalIsAWSService": True,
        "aws:RequestedRegion": region,
        "aws:SecureTransport": True,
        "aws:SourceAccount": account,
        **({"aws:SourceArn": source_arn} if source_arn else {}),
        **{f"aws:RequestTag/{name}": value for name, value in tags.items()},
        **({"aws:TagKeys": list(tags)} if tags else {}),
    }
    trust = compiled(role.assume_role_policy_document, f"trust policy of {role_arn}")
    policies = Policies(resource=[trust], trust=True, resource_decides=True)
    for action in ("sts:AssumeRole", "sts:TagSession") if tags else ("sts:AssumeRole",):
        request = Request(
            principal=Principal(kind="service", arn=principal),
            action=action,
            account=account,
            resource=role_arn,
            context=keys(context),
        )
        if not decide(request, policies).allowed:
            raise CannotAssume(told)


def _role(arn: str) -> Any:
    from moto.iam.models import iam_backends

    parts = arn.split(":")
    if len(parts) != 6:
        return None
    roles = list(iam_backends[parts[4]][parts[1]].roles.values())
    return next((role for role in roles if role.arn == arn), None)
