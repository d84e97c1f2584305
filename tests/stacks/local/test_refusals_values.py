"""Keys in a state that forbids their use, and values of which AWS takes some alone."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from moto import mock_aws

from stacks.local.aws.refusals.account import Account
from stacks.local.aws.refusals.filter import refusal_of
from tests.kits.aws import client


@pytest.fixture
def account() -> Iterator[Account]:
    with mock_aws():
        yield Account(region="us-east-1")


def made_key(**asked: Any) -> str:
    return str(client("kms").create_key(**asked)["KeyMetadata"]["KeyId"])


def code(account: Account, service: str, operation: str, request: Mapping[str, Any]) -> str:
    found: Any = refusal_of(service, operation, request, account)
    return str(found.code) if found is not None else ""


@pytest.mark.parametrize(
    ("state", "code_of_use"),
    [("", ""), ("disabled", "DisabledException"), ("deleted", "KMSInvalidStateException")],
)
@pytest.mark.parametrize("operation", ["Encrypt", "GenerateDataKey", "CreateGrant"])
def test_a_key_is_used_while_it_is_enabled(
    state: str, code_of_use: str, operation: str, account: Account
) -> None:
    kms, key = client("kms"), made_key()
    kms.create_alias(AliasName="alias/one", TargetKeyId=key)
    if state == "disabled":
        kms.disable_key(KeyId=key)
    if state == "deleted":
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    for name in (key, "alias/one", f"arn:aws:kms:us-east-1:123456789012:key/{key}"):
        assert code(account, "kms", operation, {"KeyId": name}) == code_of_use
    enabled_again = code_of_use if state == "deleted" else ""
    assert code(account, "kms", "EnableKey", {"KeyId": key}) == enabled_again


@pytest.mark.parametrize(
    ("use", "spec", "operation", "is_refused"),
    [
        ("SIGN_VERIFY", "ECC_NIST_P256", "Encrypt", True),
        ("SIGN_VERIFY", "ECC_NIST_P256", "Sign", False),
        ("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "Sign", True),
        ("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "Encrypt", False),
    ],
)
def test_a_key_does_what_it_was_made_for(
    use: str, spec: str, operation: str, is_refused: bool, account: Account
) -> None:
    key = made_key(KeyUsage=use, KeySpec=spec)
    found = code(account, "kms", operation, {"KeyId": key})
    assert found == ("InvalidKeyUsageException" if is_refused else "")


@pytest.mark.parametrize(
    ("service", "operation", "request_", "wanted"),
    [
        ("application-autoscaling", "PutScheduledAction", {"Schedule": "every day"},
         "ValidationException"),
        ("application-autoscaling", "PutScheduledAction",
         {"Schedule": "cron(0 22 * * ? *)", "Timezone": "Europe/Berlin"}, ""),
        ("application-autoscaling", "PutScheduledAction", {"ScheduledActionName": "n"}, ""),
        ("scheduler", "CreateSchedule", {"ScheduleExpression": "rate(0 x)"}, "ValidationException"),
        ("scheduler", "CreateSchedule",
         {"ScheduleExpression": "rate(1 hour)", "ScheduleExpressionTimezone": "No/Where"},
         "ValidationException"),
        ("scheduler", "UpdateSchedule", {"ScheduleExpression": "at(2030-01-01T00:00:00)"}, ""),
        ("logs", "PutRetentionPolicy", {"retentionInDays": 8}, "InvalidParameterException"),
        ("logs", "PutRetentionPolicy", {"retentionInDays": 7}, ""),
        ("sns", "Subscribe", {"Protocol": "bogus"}, "InvalidParameter"),
        ("sns", "Subscribe", {"Protocol": "sqs"}, ""),
    ],
)  # fmt: skip
def test_values_that_aws_takes_alone(
    service: str, operation: str, request_: Mapping[str, Any], wanted: str, account: Account
) -> None:
    assert code(account, service, operation, request_) == wanted


def test_a_role_is_taken_that_is_there_for_as_long_as_it_says(account: Account) -> None:
    client("iam").create_role(
        RoleName="there", AssumeRolePolicyDocument="{}", MaxSessionDuration=7200
    )
    role = "arn:aws:iam::123456789012:role/"
    for request, wanted in (
        ({"RoleArn": f"{role}there", "DurationSeconds": 7200}, ""),
        ({"RoleArn": f"{role}there", "DurationSeconds": 7201}, "ValidationError"),
        ({"RoleArn": f"{role}none"}, "AccessDenied"),
        ({"RoleArn": "arn:aws:iam::210987654321:role/other"}, ""),
    ):
        assert code(account, "sts", "AssumeRole", request) == wanted
