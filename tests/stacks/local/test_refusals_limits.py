"""Names, documents and counts up to what AWS takes, and one more."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from moto import mock_aws

from stacks.local.aws.refusals import bounds
from stacks.local.aws.refusals.account import Account
from stacks.local.aws.refusals.filter import refusal_of
from stacks.local.aws.refusals.grammar import GRAMMAR
from stacks.local.aws.refusals.limits import LIMITS
from tests.kits.aws import client

Request = Mapping[str, Any]
ANYBODY = {"Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


@pytest.fixture
def account() -> Iterator[Account]:
    with mock_aws():
        client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=document(**ANYBODY))
        yield Account(region="us-east-1")


def document(**statement: Any) -> str:
    """A policy of one statement; a value None takes an element away."""
    given = {"Effect": "Allow", **statement}
    kept = {name: value for name, value in given.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": [kept]})


def identity(**statement: Any) -> str:
    return document(**{"Action": "s3:GetObject", "Resource": "*", **statement})


def filled(text: str, size: int) -> str:
    """A document of a size in characters, white space left aside."""
    now = len("".join(text.split()))
    return text.replace("Allow", f'Allow", "Sid": "{"x" * (size - now - len(SID))}')


SID = '","Sid":"'


def trusted(size: int) -> Request:
    return {"RoleName": "r", "AssumeRolePolicyDocument": filled(document(**ANYBODY), size)}


def put(size: int) -> Request:
    text = filled(identity(), size)
    return {"RoleName": "r", "PolicyName": "p", "PolicyDocument": text}


Bound = tuple[str, str, int, Any, str, str]

BOUNDS: tuple[Bound, ...] = (
    ("iam", "CreateRole", 64, lambda n: {"RoleName": "r" * n}, "ValidationError", "roleName"),
    ("iam", "CreateRole", 1000, lambda n: {"Description": "d" * n}, "ValidationError",
     "length less than or equal to 1000"),
    ("iam", "CreatePolicy", 128, lambda n: {"PolicyName": "p" * n}, "ValidationError",
     "length less than or equal to 128"),
    ("iam", "PutRolePolicy", 128, lambda n: {"RoleName": "r", "PolicyName": "p" * n,
     "PolicyDocument": identity()}, "ValidationError", "policyName"),
    ("sts", "AssumeRole", 64, lambda n: {"RoleSessionName": "s" * n}, "ValidationError",
     "roleSessionName"),
    ("sts", "AssumeRole", 2048, lambda n: {"Policy": "p" * n}, "ValidationError", "2048"),
    ("iam", "CreatePolicy", 6144, lambda n: {"PolicyDocument": filled(identity(), n)},
     "LimitExceeded", "Cannot exceed quota for PolicySize: 6144"),
    ("iam", "CreatePolicyVersion", 6144, lambda n: {"PolicyDocument": filled(identity(), n)},
     "LimitExceeded", "Cannot exceed quota for PolicySize: 6144"),
    ("iam", "CreateRole", 2048, trusted, "LimitExceeded",
     "Cannot exceed quota for ACLSizePerRole: 2048"),
    ("iam", "UpdateAssumeRolePolicy", 2048,
     lambda n: {"PolicyDocument": filled(document(**ANYBODY), n)}, "LimitExceeded",
     "Cannot exceed quota for ACLSizePerRole: 2048"),
    ("iam", "PutRolePolicy", 10240, put, "LimitExceeded",
     "Maximum policy size of 10240 bytes exceeded for role r"),
    ("s3", "PutBucketPolicy", 20480, lambda n: {"Policy": "b" * n},
     "PolicyTooLarge", "Policy exceeds the maximum allowed document size."),
    ("kms", "CreateKey", 32768, lambda n: {"Policy": "k" * n}, "LimitExceededException", "quota"),
    ("sns", "SetTopicAttributes", 30720,
     lambda n: {"AttributeName": "Policy", "AttributeValue": "p" * n}, "InvalidParameter", "30720"),
    ("sqs", "SetQueueAttributes", 8192, lambda n: {"Attributes": {"Policy": "p" * n}},
     "OverLimit", "Submitted policy is over max allowed size."),
    ("secretsmanager", "CreateSecret", 65536, lambda n: {"SecretString": "s" * n},
     "ValidationException", "Value at 'secretString' failed"),
    ("ssm", "PutParameter", 4096, lambda n: {"Value": "v" * n}, "ValidationException",
     "Standard tier parameters support a maximum parameter value of 4096 characters."),
    ("ssm", "PutParameter", 8192, lambda n: {"Value": "v" * n, "Tier": "Intelligent-Tiering"},
     "ValidationException", "8192"),
)  # fmt: skip
"""Service, operation, the most that AWS takes, a request of a size, code, part of the text."""


@pytest.mark.parametrize("row", BOUNDS, ids=[f"{row[1]} {row[2]}" for row in BOUNDS])
def test_what_fits_is_taken_and_one_more_is_not(account: Account, row: Bound) -> None:
    service, operation, most, request_of, code, text = row
    assert refusal_of(service, operation, request_of(most), account) is None
    found = refusal_of(service, operation, request_of(most + 1), account)
    assert found is not None
    assert found.code == code  # type: ignore[attr-defined]
    assert text in found.message  # type: ignore[attr-defined]


def test_white_space_counts_nothing_in_iam(account: Account) -> None:
    text = json.dumps(json.loads(filled(identity(), 6144)), indent=8)
    assert len(text) > 6144
    assert refusal_of("iam", "CreatePolicy", {"PolicyDocument": text}, account) is None


def test_the_inline_policies_of_a_role_count_together(account: Account) -> None:
    client("iam").put_role_policy(**{**put(6000), "PolicyName": "other"})
    assert refusal_of("iam", "PutRolePolicy", put(4240), account) is None
    assert refusal_of("iam", "PutRolePolicy", put(4241), account) is not None


def test_a_role_has_ten_managed_policies(account: Account) -> None:
    iam = client("iam")
    arns = [
        iam.create_policy(PolicyName=f"p{n}", PolicyDocument=identity())["Policy"]["Arn"]
        for n in range(11)
    ]
    for arn in arns[:10]:
        asked = {"RoleName": "r", "PolicyArn": arn}
        assert refusal_of("iam", "AttachRolePolicy", asked, account) is None
        iam.attach_role_policy(**asked)
    again = refusal_of("iam", "AttachRolePolicy", {"RoleName": "r", "PolicyArn": arns[0]}, account)
    assert again is None
    one_more = {"RoleName": "r", "PolicyArn": arns[10]}
    found = refusal_of("iam", "AttachRolePolicy", one_more, account)
    assert str(found) == "Cannot exceed quota for PoliciesPerRole: 10"


@pytest.mark.parametrize(
    ("operation", "member", "wrong"),
    [
        ("CreateRole", "RoleName", "a/b"),
        ("CreateRole", "RoleName", "a b"),
        ("CreatePolicy", "PolicyName", "p:q"),
        ("PutRolePolicy", "PolicyName", "naïve"),
    ],
)
def test_a_name_has_the_characters_of_iam(
    account: Account, operation: str, member: str, wrong: str
) -> None:
    given = {"RoleName": "r", "PolicyDocument": identity(), "PolicyName": "p", member: wrong}
    found = refusal_of("iam", operation, given, account)
    assert found is not None
    shown = member[0].lower() + member[1:]
    assert str(found).startswith(
        f"The specified value for {shown} is invalid. It must contain only"
    )


MALFORMED: Mapping[str, tuple[str, str, str]] = {
    "principal": ("PutRolePolicy", identity(Principal="*"),
                  "Policy document should not specify a principal."),
    "sid": ("CreatePolicy", identity(Sid="a-b"), "Statement IDs (SID) must be alpha-numeric."),
    "no JSON": ("CreateRole", "{", "This policy contains invalid Json"),
    "element": ("CreateRole", document(**ANYBODY, Foo=1), "Syntax errors in policy."),
    "effect": ("CreateRole", document(**{**ANYBODY, "Effect": "Permit"}),
               "Syntax errors in policy."),
    "version": ("UpdateAssumeRolePolicy",
                document(**ANYBODY).replace("2012-10-17", "2020-01-01"),
                "Syntax errors in policy."),
    "a statement that is none": ("CreateRole", '{"Statement": ["x"]}', "Syntax errors in policy."),
    "resource": ("CreateRole", document(**ANYBODY, Resource="*"),
                 "Has prohibited field Resource"),
    "nobody": ("CreateRole", document(Action="sts:AssumeRole"),
               "Missing required field Principal"),
    "no action": ("CreateRole", document(Principal="*"), "Missing required field Action"),
    "another action": ("UpdateAssumeRolePolicy", document(Principal="*", Action="s3:GetObject"),
                       "AssumeRole policy may only specify STS AssumeRole actions."),
}  # fmt: skip
"""What is wrong -> operation, document, AWS's text."""


@pytest.mark.parametrize("case", MALFORMED)
def test_a_document_that_iam_cannot_read_is_malformed(account: Account, case: str) -> None:
    operation, text, told = MALFORMED[case]
    member = "AssumeRolePolicyDocument" if operation == "CreateRole" else "PolicyDocument"
    given = {"RoleName": "r", "PolicyName": "p", member: text}
    found = refusal_of("iam", operation, given, account)
    assert found is not None
    assert found.code == "MalformedPolicyDocument"  # type: ignore[attr-defined]
    assert str(found).startswith(told)


def test_every_row_has_a_case() -> None:
    """A text that no case meets may be wrong for ever."""
    met = {code for *_, code, _ in BOUNDS} | {"MalformedPolicyDocument"}
    assert {row.code for row in (*LIMITS, *GRAMMAR)} == met
    cases = {(service, operation) for service, operation, *_ in BOUNDS}
    both = (*LIMITS, *bounds.BOUNDS)
    rows = {(row.service, operation) for row in both for operation in row.operations}
    assert cases <= rows
