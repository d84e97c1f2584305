"""What Invoke of Lambda refuses, and what it says of a call."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.awslambda.models import LambdaFunction

from stacks.local.aws import moto_lambda
from tests.kits.aws import client

ROLE = "arn:aws:iam::123456789012:role/function"
KEYS = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": "lambda.amazonaws.com"},
    "Action": "sts:AssumeRole",
}


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function whose first version answers 1, and whose newest answers 2 or fails."""

    def run(function: Any, event: Any = None) -> tuple[str, bool, str]:
        fails = isinstance(event, dict) and "fail" in event
        return json.dumps(function.environment_vars["ANSWER"]), fails, "line"

    monkeypatch.setattr(LambdaFunction, "_invoke_lambda", run)
    moto_lambda.install()
    with mock_aws():
        document = json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
        client("iam").create_role(RoleName="function", AssumeRolePolicyDocument=document)
        once = Config(retries={"total_max_attempts": 1})
        made = boto3.client("lambda", region_name="us-east-1", config=once, **KEYS)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as packed:
            packed.writestr("i.py", "def handler(event, context): ...")
        made.create_function(
            FunctionName="f", Runtime="python3.11", Role=ROLE, Handler="i.handler",
            Code={"ZipFile": archive.getvalue()}, Environment={"Variables": {"ANSWER": "1"}},
            Publish=True,
        )  # fmt: skip
        made.update_function_configuration(
            FunctionName="f", Environment={"Variables": {"ANSWER": "2"}}
        )
        made.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
        yield made


@pytest.mark.parametrize(
    ("name", "qualifier", "answer", "version"),
    [
        ("f", None, "2", "$LATEST"),
        ("f", "$LATEST", "2", "$LATEST"),
        ("f", "1", "1", "1"),
        ("f", "live", "1", "1"),
        ("f:live", None, "1", "1"),
    ],
)
def test_the_version_that_is_asked_for_runs(
    name: str, qualifier: str | None, answer: str, version: str, functions: Any
) -> None:
    asked = {"Qualifier": qualifier} if qualifier else {}
    told = functions.invoke(FunctionName=name, **asked)
    assert json.loads(told["Payload"].read()) == answer
    assert told["ExecutedVersion"] == version and "FunctionError" not in told


def test_what_fails_is_unhandled(functions: Any) -> None:
    assert (
        functions.invoke(FunctionName="f", Payload=b'{"fail": 1}')["FunctionError"] == "Unhandled"
    )


def test_a_dry_run_runs_nothing(functions: Any) -> None:
    told = functions.invoke(FunctionName="f", InvocationType="DryRun", Payload=b'{"fail": 1}')
    assert told["StatusCode"] == 204 and "FunctionError" not in told


def test_what_lambda_refuses(functions: Any) -> None:
    with pytest.raises(ClientError, match="InvalidRequestContentException"):
        functions.invoke(FunctionName="f", Payload=b"{no json")
    functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError, match="TooManyRequestsException") as caught:
        functions.invoke(FunctionName="f")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
