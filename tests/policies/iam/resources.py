"""Cases in which the resource has the last word: keys of KMS, trust policies, passing a role."""

from __future__ import annotations

from typing import Any

from policies.iam.grants import grant
from policies.iam.request import Principal
from tests.policies.iam.case import (
    AS_ROOT,
    DEPUTY,
    EXTERNAL,
    FEDERATION,
    GRANTS,
    HOME,
    KEY_POLICY,
    KMS_KEYS,
    OTHER,
    PASS_ROLE,
    ROLE,
    TRUST,
    Case,
    allow,
    deny,
    service,
    to,
    trusting,
)
from tests.policies.iam.logic import (
    ACCOUNT,
    ANY,
    BOUNDARY,
    IDENTITY,
    OUTSIDER,
    RESOURCE,
    TRUSTS,
    of_home,
)

DECRYPT, KEY = "kms:Decrypt", f"arn:aws:kms:us-east-1:{HOME}:key/1"
DEFAULT = to(ACCOUNT, "kms:*")


def _key(name: str, allowed: bool, layer: str, source: str = KEY_POLICY, **more: Any) -> Case:
    return of_home(name, allowed, layer, source, action=DECRYPT, resource=KEY, decides=True, **more)


VIA = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com", "kms:CallerAccount": HOME}}
KMS = [
    _key(
        "a key's policy lets IAM decide",
        True,
        IDENTITY,
        identity=[allow(DECRYPT)],
        resource_policy=[DEFAULT],
    ),
    _key(
        "a key's policy lets IAM decide, which says nothing",
        False,
        IDENTITY,
        resource_policy=[DEFAULT],
    ),
    _key(
        "a key's policy does not let IAM decide",
        False,
        RESOURCE,
        identity=[allow(DECRYPT)],
        resource_policy=[to(ROLE + "x", DECRYPT)],
    ),
    _key("a key's policy names the role", True, RESOURCE, resource_policy=[to(ROLE, DECRYPT)]),
    _key(
        "a key's policy names the role, which is bounded",
        False,
        BOUNDARY,
        resource_policy=[to(ROLE, DECRYPT)],
        boundary=[allow("s3:*")],
    ),
    _key(
        "root of the account has no way around a key's policy",
        False,
        RESOURCE,
        principal=AS_ROOT,
        resource_policy=[to(ROLE, "kms:*")],
    ),
    _key(
        "root of the account by the account's statement",
        True,
        IDENTITY,
        principal=AS_ROOT,
        resource_policy=[DEFAULT],
    ),
    _key(
        "by way of the service that is meant",
        True,
        RESOURCE,
        KMS_KEYS,
        resource_policy=[to("*", DECRYPT, Condition=VIA)],
        context={"kms:ViaService": "s3.us-east-1.amazonaws.com", "kms:CallerAccount": HOME},
    ),
    _key(
        "without the service that is meant",
        False,
        RESOURCE,
        KMS_KEYS,
        identity=[allow(DECRYPT)],
        resource_policy=[to("*", DECRYPT, Condition=VIA)],
        context={"kms:CallerAccount": HOME},
    ),
    _key(
        "by way of another service",
        False,
        RESOURCE,
        KMS_KEYS,
        resource_policy=[to("*", DECRYPT, Condition=VIA)],
        context={"kms:ViaService": "sqs.us-east-1.amazonaws.com", "kms:CallerAccount": HOME},
    ),
    _key("a grant is enough", True, RESOURCE, GRANTS, grants=[grant("g", ROLE, ["Decrypt"])]),
    _key(
        "a grant of another operation",
        False,
        RESOURCE,
        GRANTS,
        grants=[grant("g", ROLE, ["Encrypt"])],
    ),
    _key(
        "a grant for somebody else",
        False,
        RESOURCE,
        GRANTS,
        grants=[grant("g", ROLE + "x", ["Decrypt"])],
    ),
    _key(
        "a grant does not lift a denial",
        False,
        IDENTITY,
        GRANTS,
        explicit=True,
        identity=[deny(DECRYPT)],
        grants=[grant("g", ROLE, ["Decrypt"])],
    ),
    _key(
        "a grant under its encryption context",
        True,
        RESOURCE,
        GRANTS,
        context={"kms:EncryptionContext:a": "1", "kms:EncryptionContextKeys": ["a"]},
        grants=[grant("g", ROLE, ["Decrypt"], {"EncryptionContextEquals": {"a": "1"}})],
    ),
    _key(
        "a grant under a larger encryption context",
        False,
        RESOURCE,
        GRANTS,
        context={"kms:EncryptionContext:a": "1", "kms:EncryptionContextKeys": ["a", "b"]},
        grants=[grant("g", ROLE, ["Decrypt"], {"EncryptionContextEquals": {"a": "1"}})],
    ),
    _key(
        "a grant that wants a part of the encryption context",
        True,
        RESOURCE,
        GRANTS,
        context={"kms:EncryptionContext:a": "1", "kms:EncryptionContextKeys": ["a", "b"]},
        grants=[grant("g", ROLE, ["Decrypt"], {"EncryptionContextSubset": {"a": "1"}})],
    ),
    _key(
        "a grant without its encryption context",
        False,
        RESOURCE,
        GRANTS,
        grants=[grant("g", ROLE, ["Decrypt"], {"EncryptionContextSubset": {"a": "1"}})],
    ),
    _key(
        "a grant for a service",
        True,
        RESOURCE,
        GRANTS,
        principal=service("sagemaker"),
        grants=[grant("g", "sagemaker.amazonaws.com", ["Decrypt"])],
    ),
    _key(
        "a key of another account",
        True,
        RESOURCE,
        KEY_POLICY,
        owner=OTHER,
        identity=[allow(DECRYPT)],
        resource_policy=[to(HOME, DECRYPT)],
    ),
    _key(
        "a key of another account, of which the own says nothing",
        False,
        IDENTITY,
        KEY_POLICY,
        owner=OTHER,
        resource_policy=[to(HOME, DECRYPT)],
    ),
]

ASSUME, TARGET = "sts:AssumeRole", f"arn:aws:iam::{HOME}:role/target"


def _trust(name: str, allowed: bool, layer: str, source: str = TRUST, **more: Any) -> Case:
    return of_home(
        name,
        allowed,
        layer,
        source,
        **{"action": ASSUME, "resource": TARGET, "trust": True, **more},
    )


OIDC = f"arn:aws:iam::{HOME}:oidc-provider/token.actions.githubusercontent.com"
GITHUB = Principal(kind="federated", arn=OIDC, account=HOME)
MAIN = "repo:org/app:ref:refs/heads/main"
BY_GITHUB = trusting(
    {"Federated": OIDC},
    "sts:AssumeRoleWithWebIdentity",
    Condition={"StringEquals": {"token.actions.githubusercontent.com:sub": MAIN}},
)
FROM_US = {
    "StringEquals": {"aws:SourceAccount": HOME},
    "ArnLike": {"aws:SourceArn": f"arn:aws:scheduler:*:{HOME}:*"},
}
BY_SCHEDULER = trusting({"Service": "scheduler.amazonaws.com"}, Condition=FROM_US)
SECRET = trusting(OTHER, Condition={"StringEquals": {"sts:ExternalId": "x1"}})
TRUSTING = [
    _trust(
        "a service that is trusted",
        True,
        TRUSTS,
        principal=service("sagemaker"),
        resource_policy=[trusting({"Service": "sagemaker.amazonaws.com"})],
    ),
    _trust(
        "a service that is not trusted",
        False,
        TRUSTS,
        principal=service("lambda"),
        resource_policy=[trusting({"Service": "sagemaker.amazonaws.com"})],
    ),
    _trust(
        "a service on behalf of our own account",
        True,
        TRUSTS,
        DEPUTY,
        principal=service("scheduler"),
        context={
            "aws:SourceAccount": HOME,
            "aws:SourceArn": f"arn:aws:scheduler:us-east-1:{HOME}:schedule/a/b",
        },
        resource_policy=[BY_SCHEDULER],
    ),
    _trust(
        "a service on behalf of another account",
        False,
        TRUSTS,
        DEPUTY,
        principal=service("scheduler"),
        context={
            "aws:SourceAccount": OTHER,
            "aws:SourceArn": f"arn:aws:scheduler:us-east-1:{OTHER}:schedule/a/b",
        },
        resource_policy=[BY_SCHEDULER],
    ),
    _trust(
        "a service on behalf of nobody",
        False,
        TRUSTS,
        DEPUTY,
        principal=service("scheduler"),
        resource_policy=[BY_SCHEDULER],
    ),
    _trust(
        "a policy of one's own is not enough",
        False,
        TRUSTS,
        identity=[allow(ASSUME)],
        resource_policy=[trusting(ROLE + "x")],
    ),
    _trust("the role is trusted", True, TRUSTS, resource_policy=[trusting(ROLE)]),
    _trust(
        "the account is trusted and the role is allowed",
        True,
        IDENTITY,
        identity=[allow(ASSUME)],
        resource_policy=[trusting(HOME)],
    ),
    _trust(
        "the account is trusted and the role is not allowed",
        False,
        IDENTITY,
        resource_policy=[trusting(HOME)],
    ),
    _trust(
        "the trust policy denies",
        False,
        TRUSTS,
        explicit=True,
        identity=[allow(ASSUME)],
        resource_policy=[trusting(ROLE), {**trusting(HOME), "Effect": "Deny"}],
    ),
    _trust(
        "a tag needs its own action",
        False,
        TRUSTS,
        action="sts:TagSession",
        identity=[allow("sts:*")],
        resource_policy=[trusting(ROLE)],
    ),
    _trust(
        "a third party with the external id",
        True,
        TRUSTS,
        EXTERNAL,
        principal=OUTSIDER,
        identity=ANY,
        context={"sts:ExternalId": "x1"},
        resource_policy=[SECRET],
    ),
    _trust(
        "a third party without the external id",
        False,
        TRUSTS,
        EXTERNAL,
        principal=OUTSIDER,
        identity=ANY,
        resource_policy=[SECRET],
    ),
    _trust(
        "a workflow of the branch",
        True,
        TRUSTS,
        FEDERATION,
        principal=GITHUB,
        resource_policy=[BY_GITHUB],
        action="sts:AssumeRoleWithWebIdentity",
        context={"token.actions.githubusercontent.com:sub": MAIN},
    ),
    _trust(
        "a workflow of another branch",
        False,
        TRUSTS,
        FEDERATION,
        principal=GITHUB,
        resource_policy=[BY_GITHUB],
        action="sts:AssumeRoleWithWebIdentity",
        context={"token.actions.githubusercontent.com:sub": MAIN + "2"},
    ),
    _trust(
        "an outer identity where an account is trusted",
        False,
        TRUSTS,
        FEDERATION,
        principal=GITHUB,
        action="sts:AssumeRoleWithWebIdentity",
        resource_policy=[trusting(HOME, "sts:*")],
    ),
]

TO_SAGEMAKER = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
PASSING = [
    Case(
        name=name,
        source=PASS_ROLE,
        allowed=allowed,
        action="iam:PassRole",
        resource=role,
        context=context,
        identity=[allow("iam:PassRole", f"arn:aws:iam::{HOME}:role/job-*", Condition=TO_SAGEMAKER)],
    )
    for name, role, context, allowed in (
        (
            "to the service",
            f"arn:aws:iam::{HOME}:role/job-a",
            {"iam:PassedToService": "sagemaker.amazonaws.com"},
            True,
        ),
        (
            "to another",
            f"arn:aws:iam::{HOME}:role/job-a",
            {"iam:PassedToService": "lambda.amazonaws.com"},
            False,
        ),
        (
            "another role",
            f"arn:aws:iam::{HOME}:role/admin",
            {"iam:PassedToService": "sagemaker.amazonaws.com"},
            False,
        ),
    )
]

CASES = [*KMS, *TRUSTING, *PASSING]
