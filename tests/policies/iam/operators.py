"""Cases of condition operators: one condition, one request."""

from __future__ import annotations

from typing import Any

from policies.data import UNKNOWN
from tests.policies.iam.case import KEYS, OPERATORS, SEVERAL, VARIABLES, Case, allow

ABSENT = object()
"""The key is not in the request."""

Row = tuple[str, str, Any, Any, bool]
"""Operator, key, what the policy wants, what the request has, whether it is met."""

TEXTS: tuple[Row, ...] = (
    ("StringEquals", "aws:RequestedRegion", "eu-west-1", "eu-west-1", True),
    ("StringEquals", "aws:RequestedRegion", "eu-west-1", "EU-WEST-1", False),
    ("StringEquals", "aws:RequestedRegion", ["eu-west-1", "us-east-1"], "us-east-1", True),
    ("StringEquals", "aws:RequestedRegion", "eu-*", "eu-west-1", False),
    ("StringEquals", "aws:requestedregion", "eu-west-1", "eu-west-1", True),
    ("StringEquals", "aws:RequestedRegion", "eu-west-1", ABSENT, False),
    ("StringNotEquals", "aws:RequestedRegion", "eu-west-1", "us-east-1", True),
    ("StringNotEquals", "aws:RequestedRegion", "eu-west-1", "eu-west-1", False),
    ("StringNotEquals", "aws:RequestedRegion", ["a", "b"], "b", False),
    ("StringNotEquals", "aws:RequestedRegion", ["a", "b"], "c", True),
    ("StringNotEquals", "aws:RequestedRegion", "eu-west-1", ABSENT, True),
    ("StringEqualsIgnoreCase", "aws:PrincipalTag/team", "ML", "ml", True),
    ("StringEqualsIgnoreCase", "aws:PrincipalTag/team", "ML", "web", False),
    ("StringNotEqualsIgnoreCase", "aws:PrincipalTag/team", "ML", "ml", False),
    ("StringNotEqualsIgnoreCase", "aws:PrincipalTag/team", "ML", "web", True),
    ("StringLike", "s3:prefix", "raw/*", "raw/2026/", True),
    ("StringLike", "s3:prefix", "raw/*", "Raw/2026/", False),
    ("StringLike", "s3:prefix", "raw/????", "raw/2026", True),
    ("StringLike", "s3:prefix", "raw/????", "raw/26", False),
    ("StringLike", "s3:prefix", "", "", True),
    ("StringNotLike", "s3:prefix", "raw/*", "raw/2026/", False),
    ("StringNotLike", "s3:prefix", "raw/*", "clean/", True),
    ("StringNotLike", "s3:prefix", "raw/*", ABSENT, True),
)

NUMBERS: tuple[Row, ...] = (
    ("NumericEquals", "s3:max-keys", "10", "10", True),
    ("NumericEquals", "s3:max-keys", 10, "10.0", True),
    ("NumericEquals", "s3:max-keys", "10", "11", False),
    ("NumericNotEquals", "s3:max-keys", "10", "11", True),
    ("NumericNotEquals", "s3:max-keys", "10", "10", False),
    ("NumericLessThan", "s3:max-keys", "10", "9", True),
    ("NumericLessThan", "s3:max-keys", "10", "10", False),
    ("NumericLessThanEquals", "s3:max-keys", "10", "10", True),
    ("NumericLessThanEquals", "s3:max-keys", "10", ABSENT, False),
    ("NumericGreaterThan", "sagemaker:MaxRuntimeInSeconds", "3600", "7200", True),
    ("NumericGreaterThan", "sagemaker:MaxRuntimeInSeconds", "3600", "3600", False),
    ("NumericGreaterThanEquals", "sagemaker:MaxRuntimeInSeconds", "3600", "3600", True),
    ("NumericLessThan", "s3:max-keys", "10", "many", False),
    ("NumericLessThanIfExists", "aws:MultiFactorAuthAge", "3600", ABSENT, True),
)

DATES: tuple[Row, ...] = (
    ("DateGreaterThan", "aws:CurrentTime", "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z", True),
    ("DateGreaterThan", "aws:CurrentTime", "2026-01-01T00:00:00Z", "2025-06-01T00:00:00Z", False),
    ("DateLessThan", "aws:CurrentTime", "2026-01-01T00:00:00Z", "2025-06-01T00:00:00Z", True),
    ("DateLessThan", "aws:EpochTime", "1767225600", "1767225599", True),
    ("DateLessThanEquals", "aws:EpochTime", "2026-01-01T00:00:00Z", "1767225600", True),
    ("DateGreaterThanEquals", "aws:EpochTime", "1767225600", "2026-01-01T00:00:00Z", True),
    ("DateEquals", "aws:CurrentTime", "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00Z", True),
    ("DateNotEquals", "aws:CurrentTime", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", False),
    ("DateLessThan", "aws:TokenIssueTime", "2026-01-01T00:00:00Z", ABSENT, False),
)

_ARN = "arn:aws:sns:us-east-1:111122223333:alerts"

OTHERS: tuple[Row, ...] = (
    ("Bool", "aws:SecureTransport", "true", "true", True),
    ("Bool", "aws:SecureTransport", False, "true", False),
    ("Bool", "aws:SecureTransport", "false", "False", True),
    ("Bool", "aws:MultiFactorAuthPresent", "true", ABSENT, False),
    ("BoolIfExists", "aws:MultiFactorAuthPresent", "false", ABSENT, True),
    ("BoolIfExists", "aws:MultiFactorAuthPresent", "false", "true", False),
    ("BinaryEquals", "k:key", "QmluYXJ5", "QmluYXJ5", True),
    ("BinaryEquals", "k:key", "QmluYXJ5", "qmluYXJ5", False),
    ("IpAddress", "aws:SourceIp", "203.0.113.0/24", "203.0.113.7", True),
    ("IpAddress", "aws:SourceIp", "203.0.113.0/24", "203.0.114.7", False),
    ("IpAddress", "aws:SourceIp", "203.0.113.7", "203.0.113.7", True),
    ("IpAddress", "aws:SourceIp", "2001:db8::/32", "2001:db8::1", True),
    ("IpAddress", "aws:SourceIp", "2001:db8::/32", "203.0.113.7", False),
    ("NotIpAddress", "aws:SourceIp", ["203.0.113.0/24", "198.51.100.0/24"], "192.0.2.1", True),
    ("NotIpAddress", "aws:SourceIp", ["203.0.113.0/24", "198.51.100.0/24"], "203.0.113.1", False),
    ("ArnEquals", "aws:SourceArn", "arn:aws:sns:*:111122223333:a*", _ARN, True),
    ("ArnLike", "aws:SourceArn", "arn:aws:sns:us-east-1:111122223333:alerts", _ARN, True),
    ("ArnLike", "aws:SourceArn", "arn:aws:sns:*:alerts", _ARN, False),
    ("ArnLike", "aws:SourceArn", "arn:aws:s3:::*", _ARN, False),
    ("ArnLike", "aws:SourceArn", "*", _ARN, True),
    ("ArnNotEquals", "aws:SourceArn", "arn:aws:sns:us-east-1:111122223333:other", _ARN, True),
    ("ArnNotLike", "aws:SourceArn", "arn:aws:sns:*:*:al*", _ARN, False),
    ("ArnNotLike", "aws:SourceArn", "arn:aws:sns:*:*:al*", ABSENT, True),
    ("Null", "aws:TokenIssueTime", "true", ABSENT, True),
    ("Null", "aws:TokenIssueTime", "false", ABSENT, False),
    ("Null", "aws:TokenIssueTime", "false", "2026-01-01T00:00:00Z", True),
    ("Null", "aws:TokenIssueTime", True, "2026-01-01T00:00:00Z", False),
    ("StringEqualsIfExists", "ec2:InstanceType", ["t3.micro"], ABSENT, True),
    ("StringEqualsIfExists", "ec2:InstanceType", ["t3.micro"], "p5.48xlarge", False),
    ("StringLikeIfExists", "ec2:InstanceType", ["t3.*"], "t3.large", True),
    ("ArnLikeIfExists", "aws:SourceArn", "arn:aws:s3:::x", _ARN, False),
    ("StringNotEqualsIfExists", "aws:RequestedRegion", "x", "x", False),
)

LISTS: tuple[Row, ...] = (
    ("ForAllValues:StringEquals", "aws:TagKeys", ["a", "b"], ["a"], True),
    ("ForAllValues:StringEquals", "aws:TagKeys", ["a", "b"], ["a", "b"], True),
    ("ForAllValues:StringEquals", "aws:TagKeys", ["a", "b"], ["a", "c"], False),
    ("ForAllValues:StringEquals", "aws:TagKeys", ["a", "b"], ABSENT, True),
    ("ForAllValues:StringNotEquals", "aws:TagKeys", ["a"], ["b", "c"], True),
    ("ForAllValues:StringNotEquals", "aws:TagKeys", ["a"], ["a", "c"], False),
    ("ForAllValues:StringLike", "aws:TagKeys", ["cost*"], ["cost-centre", "costs"], True),
    ("ForAnyValue:StringEquals", "aws:TagKeys", ["a", "b"], ["c", "b"], True),
    ("ForAnyValue:StringEquals", "aws:TagKeys", ["a", "b"], ["c"], False),
    ("ForAnyValue:StringEquals", "aws:TagKeys", ["a", "b"], ABSENT, False),
    ("ForAnyValue:StringNotEquals", "aws:TagKeys", ["a", "b"], ["a", "c"], True),
    ("ForAnyValue:StringNotEquals", "aws:TagKeys", ["a", "b"], ["a", "b"], False),
    ("ForAnyValue:StringNotEquals", "aws:TagKeys", ["a"], ABSENT, False),
    ("ForAnyValue:StringLike", "sagemaker:InstanceTypes", ["ml.p*"], ["ml.t3.l", "ml.p5.x"], True),
    ("ForAnyValue:StringLike", "sagemaker:InstanceTypes", ["ml.p*"], ["ml.t3.l"], False),
    ("ForAnyValue:ArnLike", "k:arns", ["arn:aws:s3:::a*"], ["arn:aws:s3:::ab"], True),
    ("ForAllValues:NumericLessThan", "k:numbers", ["10"], ["1", "11"], False),
    ("forallvalues:stringequals", "aws:TagKeys", ["a"], ["a"], True),
)

FILLED: tuple[Row, ...] = (
    ("StringEquals", "s3:prefix", "${aws:username}/", "anna/", True),
    ("StringEquals", "s3:prefix", "${aws:username}/", "bob/", False),
    ("StringLike", "s3:prefix", "${aws:username}/*", "anna/x", True),
    ("StringLike", "s3:prefix", "${aws:PrincipalTag/team}/*", "/x", False),
    ("StringLike", "s3:prefix", "${aws:PrincipalTag/team, 'all'}/*", "all/x", True),
    ("StringLike", "s3:prefix", "a${*}", "a*", True),
    ("StringLike", "s3:prefix", "a${*}", "ab", False),
    ("StringLike", "s3:prefix", "${?}${$}", "?$", True),
    ("ArnLike", "aws:SourceArn", "arn:aws:sns:*:*:${aws:username}", "arn:aws:sns:a:b:anna", True),
    ("StringNotEquals", "s3:prefix", "${aws:username}", "anna", False),
)


def _cases(rows: tuple[Row, ...], source: str) -> list[Case]:
    return [
        Case(
            name=f"{operator} {wanted} on {'nothing' if given is ABSENT else given}",
            source=source,
            allowed=met,
            layer="identity-based policy",
            context={"aws:username": "anna", **({} if given is ABSENT else {key: given})},
            identity=[allow(Condition={operator: {key: wanted}})],
        )
        for operator, key, wanted, given, met in rows
    ]


TOGETHER = [
    Case(
        name=name,
        source=OPERATORS,
        allowed=allowed,
        context=context,
        identity=[
            allow(
                Condition={
                    "StringEquals": {"aws:RequestedRegion": "eu-west-1", "aws:username": "anna"},
                    "Bool": {"aws:SecureTransport": "true"},
                }
            )
        ],
    )
    for name, context, allowed in (
        (
            "all operators and keys of a condition must hold",
            {
                "aws:RequestedRegion": "eu-west-1",
                "aws:username": "anna",
                "aws:SecureTransport": True,
            },
            True,
        ),
        (
            "one key of several is not met",
            {
                "aws:RequestedRegion": "eu-west-1",
                "aws:username": "bob",
                "aws:SecureTransport": True,
            },
            False,
        ),
        (
            "one operator of several is not met",
            {"aws:RequestedRegion": "eu-west-1", "aws:username": "anna"},
            False,
        ),
    )
]

OLD_LANGUAGE = Case(
    name="a policy without version has no variables",
    source=VARIABLES,
    allowed=False,
    version="2008-10-17",
    context={"aws:username": "anna", "s3:prefix": "anna"},
    identity=[allow(Condition={"StringEquals": {"s3:prefix": "${aws:username}"}})],
)

UNKNOWN_KEY = Case(
    name="a key that nobody knows is not decided",
    source=KEYS,
    allowed=True,
    context={"s3:prefix": UNKNOWN},
    identity=[allow(Condition={"StringEquals": {"s3:prefix": "a"}})],
)

CASES = [
    *_cases((*TEXTS, *NUMBERS, *DATES, *OTHERS), OPERATORS),
    *_cases(LISTS, SEVERAL),
    *_cases(FILLED, VARIABLES),
    *TOGETHER,
    OLD_LANGUAGE,
]
