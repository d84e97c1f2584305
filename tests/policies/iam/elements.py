"""Cases of the elements of a statement: which actions, resources and principals it is about."""

from __future__ import annotations

from typing import Any

from tests.policies.iam.case import (
    ACTION,
    AS_FEDERATED,
    AS_ROLE,
    AS_ROOT,
    AS_USER,
    HOME,
    NOBODY,
    NOT_ACTION,
    NOT_PRINCIPAL,
    NOT_RESOURCE,
    OTHER,
    PRINCIPAL,
    RESOURCE,
    ROLE,
    SESSION,
    USER,
    VARIABLES,
    Case,
    allow,
    deny,
    service,
    to,
)

ACTIONS: tuple[tuple[Any, str, bool], ...] = (
    ("s3:GetObject", "s3:GetObject", True),
    ("S3:getobject", "s3:GetObject", True),
    ("s3:Get*", "s3:GetObject", True),
    ("s3:*Object", "s3:GetObject", True),
    ("s3:Get?bject", "s3:GetObject", True),
    ("s3:GetObject", "s3:GetObjectVersion", False),
    ("s3:Get", "s3:GetObject", False),
    ("s3:*", "s3express:CreateSession", False),
    ("*", "kms:Decrypt", True),
    (["kms:Decrypt", "s3:PutObject"], "s3:PutObject", True),
    (["kms:Decrypt", "s3:PutObject"], "s3:GetObject", False),
)

RESOURCES: tuple[tuple[Any, Any, bool], ...] = (
    ("arn:aws:s3:::data/raw/one.csv", "arn:aws:s3:::data/raw/one.csv", True),
    ("arn:aws:s3:::data/*", "arn:aws:s3:::data/raw/one.csv", True),
    ("arn:aws:s3:::data", "arn:aws:s3:::data/raw/one.csv", False),
    ("arn:aws:s3:::data/*", "arn:aws:s3:::data", False),
    ("arn:aws:s3:::data*", "arn:aws:s3:::database/one.csv", True),
    ("arn:aws:s3:::DATA/*", "arn:aws:s3:::data/one.csv", False),
    ("arn:aws:s3:::data/???/*", "arn:aws:s3:::data/raw/one.csv", True),
    (["arn:aws:s3:::a", "arn:aws:s3:::b"], "arn:aws:s3:::b", True),
    ("*", "arn:aws:s3:::b", True),
    ("arn:aws:s3:::a", "*", False),
    ("*", "*", True),
    ("arn:aws:sqs:*:111122223333:q", "arn:aws:sqs:us-east-1:111122223333:q", True),
    ("arn:aws:sqs:us-*-1:111122223333:q", "arn:aws:sqs:us-east-1:111122223333:q", True),
    ("arn:aws:s*s:us-east-1:1:q", "arn:aws:sqs:us-east-1:1:q", True),
    ("arn:aws:s*t-1:1:q", "arn:aws:sqs:us-east-1:1:q", False),
    ("arn:aws:logs:*:*:log-group:/a/*", "arn:aws:logs:us-east-1:1:log-group:/a/b:c", True),
    ("arn:aws:sagemaker:*:*:model/a.c", "arn:aws:sagemaker:us-east-1:1:model/abc", False),
)

PRINCIPALS: tuple[tuple[str, Any, Any, bool], ...] = (
    ("everybody", "*", NOBODY, True),
    ("everybody as AWS", {"AWS": "*"}, NOBODY, True),
    ("everybody and a role", "*", AS_ROLE, True),
    ("a role by its session", SESSION, AS_ROLE, True),
    ("a role by another session", SESSION[:-1] + "2", AS_ROLE, False),
    ("all sessions by a wildcard, which is text here", SESSION[:-5] + "*", AS_ROLE, False),
    ("a role by itself", ROLE, AS_ROLE, True),
    ("another role", ROLE + "s", AS_ROLE, False),
    ("a user", USER, AS_USER, True),
    ("a user in other letters", USER.replace("anna", "Anna"), AS_USER, False),
    ("a federated user by the user who federated", USER, AS_FEDERATED, True),
    ("a federated user", AS_FEDERATED.arn, AS_FEDERATED, True),
    ("the user by the session", AS_FEDERATED.arn, AS_USER, False),
    ("a service", {"Service": "sns.amazonaws.com"}, service("sns"), True),
    ("another service", {"Service": "sqs.amazonaws.com"}, service("sns"), False),
    ("a role where a service is meant", {"Service": "sns.amazonaws.com"}, AS_ROLE, False),
    ("one of several", [USER, ROLE], AS_ROLE, True),
    ("nobody by a role's name", ROLE, NOBODY, False),
)

NOT_PRINCIPALS: tuple[tuple[str, Any, Any, bool], ...] = (
    ("a denial leaves out account, role and session named", [HOME, ROLE, SESSION], AS_ROLE, True),
    ("a denial meets a session of which the role alone is named", ROLE, AS_ROLE, False),
    ("a denial meets a session without its account", [ROLE, SESSION], AS_ROLE, False),
    ("a denial leaves out a user and the account", [HOME, USER], AS_USER, True),
    ("a denial meets another user", [HOME, USER + "2"], AS_USER, False),
)

CASES = [
    *(
        Case(
            name=f"action {wanted} on {asked}",
            source=ACTION,
            allowed=met,
            action=asked,
            identity=[allow(wanted)],
        )
        for wanted, asked, met in ACTIONS
    ),
    *(
        Case(
            name=f"all actions but {wanted} on {asked}",
            source=NOT_ACTION,
            allowed=not met,
            action=asked,
            identity=[{"Effect": "Allow", "NotAction": wanted, "Resource": "*"}],
        )
        for wanted, asked, met in ACTIONS[:6]
    ),
    *(
        Case(
            name=f"resource {wanted} on {asked}",
            source=RESOURCE,
            allowed=met,
            resource=asked,
            identity=[allow(resource=wanted)],
        )
        for wanted, asked, met in RESOURCES
    ),
    *(
        Case(
            name=f"all resources but {wanted} on {asked}",
            source=NOT_RESOURCE,
            allowed=not met,
            resource=asked,
            identity=[{"Effect": "Allow", "Action": "s3:*", "NotResource": wanted}],
        )
        for wanted, asked, met in RESOURCES[:6]
    ),
    *(
        Case(
            name=f"named: {name}",
            source=PRINCIPAL,
            allowed=met,
            principal=who,
            resource_policy=[to(named)],
        )
        for name, named, who, met in PRINCIPALS
    ),
    *(
        Case(
            name=f"not named: {name}",
            source=NOT_PRINCIPAL,
            allowed=met,
            principal=who,
            identity=[allow()],
            resource_policy=[{**deny(), "NotPrincipal": {"AWS": named}}],
        )
        for name, named, who, met in NOT_PRINCIPALS
    ),
    Case(
        name="an allowance leaves out who is not meant",
        source=NOT_PRINCIPAL,
        allowed=False,
        principal=AS_ROLE,
        resource_policy=[{**allow(), "NotPrincipal": {"AWS": ROLE}}],
    ),
    Case(
        name="an allowance lets in all the others",
        source=NOT_PRINCIPAL,
        allowed=True,
        principal=AS_USER,
        resource_policy=[{**allow(), "NotPrincipal": {"AWS": ROLE}}],
    ),
    Case(
        name="a denial of everybody in another account meets a root user of ours",
        source=NOT_PRINCIPAL,
        allowed=False,
        layer="resource-based policy",
        explicit=True,
        principal=AS_ROOT,
        resource_policy=[{**deny(), "NotPrincipal": {"AWS": OTHER}}],
    ),
    Case(
        name="a resource holds the user's name",
        source=VARIABLES,
        allowed=True,
        principal=AS_USER,
        resource="arn:aws:s3:::homes/anna/x",
        context={"aws:username": "anna"},
        identity=[allow(resource="arn:aws:s3:::homes/${aws:username}/*")],
    ),
    Case(
        name="a resource holds somebody else's name",
        source=VARIABLES,
        allowed=False,
        principal=AS_USER,
        resource="arn:aws:s3:::homes/bob/x",
        context={"aws:username": "anna"},
        identity=[allow(resource="arn:aws:s3:::homes/${aws:username}/*")],
    ),
    Case(
        name="a role has no user name",
        source=VARIABLES,
        allowed=False,
        resource="arn:aws:s3:::homes//x",
        identity=[allow(resource="arn:aws:s3:::homes/${aws:username}/*")],
    ),
    Case(
        name="a wildcard in a tag is text",
        source=VARIABLES,
        allowed=False,
        resource="arn:aws:s3:::homes/bob/x",
        context={"aws:PrincipalTag/team": "*"},
        identity=[allow(resource="arn:aws:s3:::homes/${aws:PrincipalTag/team}/*")],
    ),
]
