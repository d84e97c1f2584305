"""Cases of the evaluation logic: which kinds of policies a request meets, and who has the say."""

from __future__ import annotations

from typing import Any

from policies.iam.request import Principal
from tests.policies.iam.case import (
    AS_FEDERATED,
    AS_ROOT,
    AS_USER,
    BOUNDARIES,
    DENY_ALLOW,
    HOME,
    KEYS,
    NOBODY,
    OTHER,
    ROLE,
    SESSION,
    SESSIONS,
    USER,
    Case,
    allow,
    deny,
    to,
)

IDENTITY, RESOURCE, BOUNDARY = (
    "identity-based policy",
    "resource-based policy",
    "permissions boundary",
)
TRUSTS, OF_SESSION = "role trust policy", "session policy"
ACCOUNT = f"arn:aws:iam::{HOME}:root"
OUTSIDER = Principal(
    kind="session",
    arn=f"arn:aws:sts::{OTHER}:assumed-role/guest/x",
    account=OTHER,
    entity=f"arn:aws:iam::{OTHER}:role/guest",
)
LINKED = Principal(
    kind="session",
    arn=f"arn:aws:sts::{HOME}:assumed-role/AWSServiceRoleForX/x",
    account=HOME,
    entity=f"arn:aws:iam::{HOME}:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX",
    service_linked=True,
)
ANY = [allow("*")]


def of_home(name: str, allowed: bool, layer: str, source: str = DENY_ALLOW, **more: Any) -> Case:
    return Case(name=name, source=source, allowed=allowed, layer=layer, **more)


WITHIN = [
    of_home("nothing allows it", False, IDENTITY),
    of_home("its policy allows it", True, IDENTITY, identity=[allow()]),
    of_home("another action is allowed", False, IDENTITY, identity=[allow("s3:PutObject")]),
    of_home("a denial wins", False, IDENTITY, explicit=True, identity=[allow(), deny()]),
    of_home(
        "a denial wins wherever it stands",
        False,
        IDENTITY,
        explicit=True,
        identity=[deny(), allow()],
    ),
    of_home(
        "a denial whose condition is not met is none",
        True,
        IDENTITY,
        identity=[allow(), deny(Condition={"Bool": {"aws:SecureTransport": "false"}})],
        context={"aws:SecureTransport": True},
    ),
    of_home("a resource policy is enough", True, RESOURCE, resource_policy=[to(SESSION)]),
    of_home(
        "a resource policy that names the role is enough",
        True,
        RESOURCE,
        resource_policy=[to(ROLE)],
    ),
    of_home("one that names the account is not", False, IDENTITY, resource_policy=[to(ACCOUNT)]),
    of_home("the account by its number", False, IDENTITY, resource_policy=[to(HOME)]),
    of_home(
        "the account and a policy of one's own",
        True,
        IDENTITY,
        resource_policy=[to(HOME)],
        identity=[allow()],
    ),
    of_home(
        "a resource policy denies",
        False,
        RESOURCE,
        explicit=True,
        identity=[allow()],
        resource_policy=[{**to("*"), "Effect": "Deny"}],
    ),
    of_home(
        "a resource policy denies the role",
        False,
        RESOURCE,
        explicit=True,
        identity=[allow()],
        resource_policy=[{**to(ROLE), "Effect": "Deny"}],
    ),
    of_home(
        "a resource policy denies another role",
        True,
        IDENTITY,
        identity=[allow()],
        resource_policy=[{**to(ROLE + "x"), "Effect": "Deny"}],
    ),
    of_home(
        "a resource policy denies the account",
        False,
        RESOURCE,
        explicit=True,
        identity=[allow()],
        resource_policy=[{**to(ACCOUNT), "Effect": "Deny"}],
    ),
    of_home("root may everything", True, IDENTITY, principal=AS_ROOT),
    of_home(
        "root meets a denial",
        False,
        RESOURCE,
        explicit=True,
        principal=AS_ROOT,
        resource_policy=[{**to("*"), "Effect": "Deny"}],
    ),
    of_home("who signs nothing is nobody", False, RESOURCE, principal=NOBODY),
    of_home(
        "who signs nothing may what everybody may",
        True,
        RESOURCE,
        principal=NOBODY,
        resource_policy=[to("*")],
    ),
]

BOUNDED = [
    of_home(
        "policy and boundary allow",
        True,
        IDENTITY,
        BOUNDARIES,
        identity=[allow()],
        boundary=[allow("s3:*")],
    ),
    of_home(
        "the boundary does not allow",
        False,
        BOUNDARY,
        BOUNDARIES,
        identity=[allow()],
        boundary=[allow("kms:*")],
    ),
    of_home("the boundary grants nothing", False, IDENTITY, BOUNDARIES, boundary=[allow("s3:*")]),
    of_home(
        "the boundary denies",
        False,
        BOUNDARY,
        BOUNDARIES,
        explicit=True,
        identity=[allow()],
        boundary=[allow("*"), deny("s3:GetObject")],
    ),
    of_home(
        "a resource policy for the role is within the boundary",
        False,
        BOUNDARY,
        resource_policy=[to(ROLE)],
        boundary=[allow("kms:*")],
    ),
    of_home(
        "a resource policy for the role that the boundary allows",
        True,
        RESOURCE,
        resource_policy=[to(ROLE)],
        boundary=[allow("s3:*")],
    ),
    of_home(
        "a resource policy for the session is not bounded",
        True,
        RESOURCE,
        resource_policy=[to(SESSION)],
        boundary=[allow("kms:*")],
    ),
    of_home(
        "a resource policy for everybody is not bounded",
        True,
        RESOURCE,
        KEYS,
        resource_policy=[to("*", Condition={"ArnEquals": {"aws:PrincipalArn": ROLE}})],
        boundary=[allow("kms:*")],
        context={"aws:PrincipalArn": ROLE},
    ),
    of_home(
        "a denial in the boundary holds for a session that is named",
        False,
        BOUNDARY,
        explicit=True,
        resource_policy=[to(SESSION)],
        boundary=[allow("*"), deny()],
    ),
    of_home(
        "a resource policy for a user is not bounded",
        True,
        RESOURCE,
        principal=AS_USER,
        resource_policy=[to(USER)],
        boundary=[allow("kms:*")],
    ),
    of_home(
        "the account is bounded",
        False,
        BOUNDARY,
        resource_policy=[to(HOME)],
        identity=[allow()],
        boundary=[allow("kms:*")],
    ),
    of_home(
        "all but the one who is bounded are denied, and that one too",
        False,
        RESOURCE,
        BOUNDARIES,
        explicit=True,
        identity=[allow()],
        boundary=ANY,
        resource_policy=[{**deny(), "NotPrincipal": {"AWS": [HOME, ROLE, SESSION]}}],
    ),
]

WITH_SESSIONS = [
    of_home(
        "policy and session allow", True, IDENTITY, SESSIONS, identity=[allow()], session=[allow()]
    ),
    of_home(
        "the session's policy does not allow",
        False,
        OF_SESSION,
        SESSIONS,
        identity=[allow()],
        session=[allow("kms:*")],
    ),
    of_home("the session's policy grants nothing", False, IDENTITY, SESSIONS, session=[allow()]),
    of_home(
        "one of two policies of the session allows",
        True,
        IDENTITY,
        SESSIONS,
        identity=[allow()],
        session=[allow("kms:*"), allow("s3:*")],
    ),
    of_home(
        "the session's policy denies",
        False,
        OF_SESSION,
        SESSIONS,
        explicit=True,
        identity=[allow()],
        session=[[allow("*"), deny()]],
    ),
    of_home(
        "a resource policy for the role is within the session's",
        False,
        OF_SESSION,
        SESSIONS,
        resource_policy=[to(ROLE)],
        session=[allow("kms:*")],
    ),
    of_home(
        "a resource policy for the session is beside the session's",
        True,
        RESOURCE,
        SESSIONS,
        resource_policy=[to(SESSION)],
        session=[allow("kms:*")],
    ),
    of_home(
        "a federated user without a policy of the session",
        False,
        OF_SESSION,
        SESSIONS,
        principal=AS_FEDERATED,
        identity=ANY,
        session=[],
    ),
    of_home(
        "boundary, session and policy allow",
        True,
        IDENTITY,
        SESSIONS,
        identity=[allow()],
        session=[allow()],
        boundary=[allow()],
    ),
    of_home(
        "boundary and session share nothing",
        False,
        BOUNDARY,
        SESSIONS,
        identity=ANY,
        session=[allow()],
        boundary=[allow("kms:*")],
    ),
]

CASES = [*WITHIN, *BOUNDED, *WITH_SESSIONS]
