"""What an acceptance keeps of a cloud's answers, and how two clouds are compared."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from stacks.acceptance import answers
from stacks.acceptance.shapes import compared, differences, merged, shape_of

ACCOUNT, SECRET = "123456789012", "hunter2"


def described(**more: Any) -> Any:
    """The shape of a bucket's and a function's answer, as botocore parses them."""
    model = boto3.client("lambda", region_name="us-east-1").meta.service_model
    answer = {
        "FunctionName": "delays",
        "FunctionArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:delays",
        "Timeout": 3,
        "Environment": {"Variables": {"TOKEN": SECRET, "STAGE": ""}},
        "Layers": [{"Arn": "arn:aws:lambda:layer", "CodeSize": 1}, {"Arn": "arn:aws:lambda:b"}],
        "DeadLetterConfig": None,
        **more,
    }
    return shape_of(answer, model.operation_model("GetFunctionConfiguration").output_shape)


def test_a_shape_has_kinds_and_no_values() -> None:
    assert described() == {
        "FunctionName": "text",
        "FunctionArn": "arn",
        "Timeout": "integer",
        "Environment": {"Variables": {"*": "text"}},
        "Layers": [{"Arn": "arn", "CodeSize": "long"}],
    }


@pytest.mark.parametrize(
    ("aws", "expected"),
    [
        ({}, []),
        ({"Timeout": None}, [("Timeout", "integer", "nothing")]),
        ({"KMSKeyArn": "arn:aws:kms:x"}, [("KMSKeyArn", "nothing", "arn")]),
        ({"FunctionArn": "delays"}, [("FunctionArn", "arn", "text")]),
        ({"Layers": []}, []),  # says nothing of its members
        (
            {"Layers": [{"Arn": "a"}]},
            [("Layers[].Arn", "arn", "text"), ("Layers[].CodeSize", "long", "nothing")],
        ),
        ({"Environment": {"Variables": {"OTHER": "x"}}}, []),  # names are no shape
        (
            {"Environment": {"Variables": {"POLICY": "{}"}}},
            [("Environment.Variables.*", "text", "json")],
        ),
    ],
)
def test_differences_are_told_by_path(aws: Mapping[str, Any], expected: list[Any]) -> None:
    assert list(differences(described(), described(**aws))) == expected


def test_two_answers_of_one_operation_have_what_either_has() -> None:
    one, other = {"a": "text", "b": [{"c": "arn"}]}, {"a": "arn", "b": [{"d": "text"}], "e": "url"}
    both = {"a": "arn or text", "b": [{"c": "arn", "d": "text"}], "e": "url"}
    assert merged(one, other) == merged(other, one) == both


def test_only_what_both_were_asked_is_compared() -> None:
    local = {"ec2.A": {"x": "text"}, "ec2.B": {"x": "text"}}
    assert list(compared(local, {"ec2.B": {}, "ec2.C": {}})) == []
    assert list(compared(local, {"ec2.A": {"x": "arn"}})) == [("ec2.A", "x", "text", "arn")]


@pytest.fixture
def recorder() -> Any:
    with mock_aws():

        def client(service: str) -> Any:
            return boto3.client(service, region_name="us-east-1")

        yield answers.Recorder(clients=client, region="us-east-1")


def state(token: str, id: str, **inputs: Any) -> Mapping[str, Any]:
    return {"urn": f"urn:pulumi:s::p::{token}::it", "type": token, "id": id, "inputs": inputs}


def test_what_stands_is_read_as_the_provider_reads_it(recorder: Any, tmp_path: Path) -> None:
    vpc = recorder.clients("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    shapes, unread = answers.record(
        [
            state("aws:ec2/vpc:Vpc", vpc, cidrBlock="10.0.0.0/16"),
            state("aws:sqs/queue:Queue", "https://sqs.us-east-1.amazonaws.com/1/none", name="none"),
            state("random:index/randomId:RandomId", "x"),
        ],
        "plinth-dev",
        recorder,
    )
    assert shapes["ec2.DescribeVpcs"]["Vpcs"][0]["CidrBlock"] == "text"
    assert unread == ['aws:sqs/queue:Queue "it": there is none']
    answers.write(shapes, tmp_path / "shapes.json")
    text = (tmp_path / "shapes.json").read_text()
    assert json.loads(text) == shapes
    assert vpc not in text
    assert "10.0" not in text
