"""People on a local cloud: they come by a role of Identity Center and take a persona's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

ACCOUNT, REGION = "123456789012", "us-east-1"
CENTRE = "/aws-reserved/sso.amazonaws.com/us-east-1/"

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
        ],
    }
)

Clients = Callable[[str], Any]
"""Service -> a boto3 client of somebody."""


def may_assume() -> str:
    """The policy of a role of Identity Center, as far as it matters here."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def clients(endpoint_url: str, keys: Mapping[str, str]) -> Clients:
    """Clients of who holds the keys of a session."""
    session = boto3.session.Session(
        keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], REGION
    )
    return lambda service: session.client(service, endpoint_url=endpoint_url)


def become(own: Clients, endpoint_url: str, role_name: str) -> Clients:
    """Clients of a person who came by Identity Center and assumed a persona's role."""
    return clients(endpoint_url, enter(own, endpoint_url, role_name))


def enter(own: Clients, endpoint_url: str, role_name: str) -> Mapping[str, str]:
    """Keys of the session of a person who came by Identity Center and assumed a persona's role.

    `own`: clients with the keys of the home, with which the role of Identity Center is made.
    """
    iam = own("iam")
    role = iam.get_role(RoleName=role_name)["Role"]
    condition = role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]
    pattern = condition["ArnLike"]["aws:PrincipalArn"][0]
    name = pattern.rpartition("/")[2].replace("*", "0123456789abcdef")
    iam.create_role(RoleName=name, Path=CENTRE, AssumeRolePolicyDocument=TRUST)
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=may_assume())
    arn = f"arn:aws:iam::{ACCOUNT}:role{CENTRE}{name}"
    entered = own("sts").assume_role(RoleArn=arn, RoleSessionName="anna@example.org")
    person = clients(endpoint_url, entered["Credentials"])
    taken = person("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="anna@example.org")
    keys: Mapping[str, str] = taken["Credentials"]
    return keys


def variables(keys: Mapping[str, str]) -> dict[str, str]:
    """The environment of a person with such keys."""
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }


def asked(call: Callable[..., Any], **request: Any) -> None:
    """Ask what the local cloud may not have, or not know; a denial of IAM's is an error."""
    try:
        call(**request)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if "AccessDenied" in code or code == "UnauthorizedOperation":
            raise
