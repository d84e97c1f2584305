"""A pytest plugin that points moto's own tests at a running local cloud, and counts why they fail.

Their `mock_aws` becomes nothing, so that boto3 calls whom the environment names. Roles that the
tests name are there, as they would have to be in an account; what a test leaves is deleted.
It runs in moto's folder, apart from the checkout's own tests.
"""

import importlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import moto
import pytest
from botocore.exceptions import ClientError

# this folder, under a name that moto's own `tests` leaves free
sweep = importlib.import_module("tests_of_clients.sweep")

ROLE = re.compile(r"arn:aws:iam::(?:\{ACCOUNT_ID\}|123456789012):role/([\w/+=,.@-]+)")
RESULTS = "PLINTH_RESULTS"
"""Variable that names the file of results."""


class Nothing:
    """`mock_aws` in every form in which tests use it."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __call__(self, decorated: Any) -> Any:
        return decorated

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def mock_aws(decorated: Any = None, **_: Any) -> Any:
    """Mocks nothing."""
    return Nothing() if decorated is None else decorated


moto.mock_aws = mock_aws

REGION = "us-east-1"
"""The one that the local cloud has; a test that looks for another in an ARN fails."""


def _here(make: Any) -> Any:
    """Clients of the local cloud's region, whichever a test wants."""

    def made(service: str, *_: Any, **more: Any) -> Any:
        return make(service, **{**more, "region_name": REGION})

    return made


boto3.client, boto3.resource = _here(boto3.client), _here(boto3.resource)


def pytest_sessionstart(session: pytest.Session) -> None:
    iam = boto3.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}}
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    texts = [path.read_text() for path in Path().glob("tests/test_sagemaker*/*.py")]
    for found in sorted({name for text in texts for name in ROLE.findall(text)}):
        path, _, name = found.rpartition("/")
        iam.create_role(
            RoleName=name,
            Path=f"/{path}/" if path else "/",
            AssumeRolePolicyDocument=_document({**trust, "Action": "sts:AssumeRole"}),
        )
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=_document(allow))


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(autouse=True)
def empty_account() -> Iterator[None]:
    """Nothing of a test is there for the next one."""
    yield
    sweep.everything()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Any:
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" or report.failed:
        error = call.excinfo.value if call.excinfo else None
        told = {"test": item.nodeid, "outcome": report.outcome, "reason": _reason(error)}
        with Path(os.environ[RESULTS]).open("a") as out:
            out.write(json.dumps(told) + "\n")


def _reason(error: BaseException | None) -> str:
    if isinstance(error, ClientError):
        told = error.response["Error"]
        return f"{error.operation_name}: {told['Code']}: {told['Message']}"
    return "" if error is None else f"{type(error).__name__}: {error}"
