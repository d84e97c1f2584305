"""Roles that a service could not use are refused when they are named, and not first when used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from moto import mock_aws

from stacks.local.aws.refusals.account import Account
from stacks.local.aws.refusals.filter import refusal_of
from stacks.local.aws.refusals.table import TAKEN_ON
from tests.kits.aws import client

ROLE = "arn:aws:iam::123456789012:role/r"
STREAM = "arn:aws:kinesis:us-east-1:123456789012:stream/s"
EC2 = "arn:aws:ec2:us-east-1:123456789012"
Asked = tuple[str, str, dict[str, Any], str, str]

NAMED: tuple[Asked, ...] = (
    ("lambda", "CreateFunction", {"Role": ROLE}, "lambda",
     "The role defined for the function cannot be assumed by Lambda."),
    ("lambda", "UpdateFunctionConfiguration", {"Role": ROLE}, "lambda",
     "The role defined for the function cannot be assumed by Lambda."),
    ("sagemaker", "CreateModel", {"ExecutionRoleArn": ROLE}, "sagemaker",
     f"Could not assume role {ROLE}. Please ensure that the role exists and allows principal "
     "'sagemaker.amazonaws.com' to assume the role."),
    ("sagemaker", "CreatePipeline", {"RoleArn": ROLE}, "sagemaker",
     f"Could not assume role {ROLE}."),
    ("sagemaker", "UpdatePipeline", {"RoleArn": ROLE}, "sagemaker",
     f"Could not assume role {ROLE}."),
    ("scheduler", "CreateSchedule", {"Target": {"RoleArn": ROLE}}, "scheduler",
     "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."),
    ("scheduler", "UpdateSchedule", {"Target": {"RoleArn": ROLE}}, "scheduler",
     "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."),
    ("events", "PutTargets", {"Targets": [{"Arn": "x"}, {"Arn": "y", "RoleArn": ROLE}]}, "events",
     f"Provided role '{ROLE}' cannot be assumed by principal 'events.amazonaws.com'."),
    ("stepfunctions", "CreateStateMachine", {"roleArn": ROLE}, "states",
     "Neither the global service principal states.amazonaws.com, nor the regional one is"),
    ("stepfunctions", "UpdateStateMachine", {"roleArn": ROLE}, "states",
     "Neither the global service principal states.amazonaws.com, nor the regional one is"),
    ("eks", "CreateCluster", {"roleArn": ROLE}, "eks",
     f"Role with arn: {ROLE}, could not be assumed because it does not exist or the trusted"),
    ("eks", "CreateNodegroup", {"nodeRole": ROLE}, "ec2",
     "Following required service principals [ec2.amazonaws.com] were not found"),
)  # fmt: skip
"""Service, operation, request, whom the role must trust, beginning of AWS's text."""


@pytest.fixture
def account() -> Iterator[Account]:
    with mock_aws():
        yield Account(region="us-east-1")


def trusting(service: str, **condition: Any) -> None:
    """A role `r` that trusts a service."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sts:AssumeRole",
        **({"Condition": condition} if condition else {}),
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=document)


def allowed(*statements: Mapping[str, Any]) -> None:
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", **s} for s in statements],
    }
    client("iam").put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(document))


@pytest.mark.parametrize("asked", NAMED, ids=[f"{row[0]} {row[1]}" for row in NAMED])
def test_a_service_is_given_no_role_that_it_cannot_take_on(account: Account, asked: Asked) -> None:
    service, operation, request, trusted, text = asked
    gone = refusal_of(service, operation, request, account)
    assert str(gone).startswith(text)
    trusting("glue")
    assert str(refusal_of(service, operation, request, account)).startswith(text)
    client("iam").delete_role(RoleName="r")
    trusting(trusted, StringEquals={"aws:SourceAccount": "123456789012"})
    assert refusal_of(service, operation, request, account) is None
    client("iam").delete_role(RoleName="r")
    trusting(trusted, StringEquals={"aws:SourceAccount": "210987654321"})
    assert refusal_of(service, operation, request, account) is not None


def test_a_request_without_a_role_is_not_about_one(account: Account) -> None:
    assert refusal_of("lambda", "UpdateFunctionConfiguration", {"MemorySize": 1}, account) is None
    assert refusal_of("events", "PutTargets", {"Targets": [{"Arn": "x"}]}, account) is None


INTERFACES = (
    "AssignPrivateIpAddresses",
    "CreateNetworkInterface",
    "DeleteNetworkInterface",
    "UnassignPrivateIpAddresses",
    "DescribeNetworkInterfaces",
    "DescribeSubnets",
)


@pytest.mark.parametrize("lacking", INTERFACES)
def test_a_function_in_a_vpc_needs_a_role_that_makes_interfaces(
    account: Account, lacking: str
) -> None:
    trusting("lambda")
    request = {"Role": ROLE, "VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}
    may = [f"ec2:{action}" for action in INTERFACES]
    allowed({"Action": may, "Resource": "*"})
    assert refusal_of("lambda", "CreateFunction", request, account) is None
    allowed({"Action": [one for one in may if one != f"ec2:{lacking}"], "Resource": "*"})
    assert str(refusal_of("lambda", "CreateFunction", request, account)) == (
        f"The provided execution role does not have permissions to call {lacking} on EC2"
    )
    outside = {"Role": ROLE, "VpcConfig": {}}
    assert refusal_of("lambda", "CreateFunction", outside, account) is None


def test_an_interface_is_made_in_its_subnet_with_its_group(account: Account) -> None:
    trusting("lambda")
    request = {"Role": ROLE, "VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}
    rest = [f"ec2:{action}" for action in INTERFACES if action != "CreateNetworkInterface"]
    both = [f"{EC2}:subnet/subnet-1", f"{EC2}:security-group/sg-1"]
    for places in (both, both[:1], both[1:]):
        on = [f"{EC2}:network-interface/*", *places]
        allowed(
            {"Action": rest, "Resource": "*"},
            {"Action": "ec2:CreateNetworkInterface", "Resource": on},
        )
        found = refusal_of("lambda", "CreateFunction", request, account)
        assert (found is None) == (places == both)


def test_a_stream_is_brought_to_a_function_whose_role_may_read_it(account: Account) -> None:
    trusting("lambda")
    client("kinesis").create_stream(StreamName="s", ShardCount=1)
    client("lambda").create_function(
        FunctionName="f", Role=ROLE, Runtime="python3.13", Handler="a.b", Code={"ZipFile": b"PK"}
    )
    request = {"FunctionName": "f", "EventSourceArn": STREAM}
    reading = ["DescribeStream", "DescribeStreamSummary", "GetRecords", "GetShardIterator",
               "ListShards"]  # fmt: skip
    allowed({"Action": [f"kinesis:{one}" for one in reading], "Resource": STREAM})
    assert refusal_of("lambda", "CreateEventSourceMapping", request, account) is None
    allowed({"Action": [f"kinesis:{one}" for one in reading[1:]], "Resource": STREAM})
    found = refusal_of("lambda", "CreateEventSourceMapping", request, account)
    assert str(found).startswith(f"Cannot access stream {STREAM}. Please ensure the role can")


def test_every_row_has_a_case() -> None:
    tried = {(service, operation) for service, operation, *_ in NAMED}
    tried.add(("lambda", "CreateEventSourceMapping"))
    assert tried == {(row.service, one) for row in TAKEN_ON for one in row.operations}
