"""A pytest plugin that points moto's own tests at a running local cloud, and counts why they fail.

Their `mock_aws` becomes nothing, so that boto3 calls whom the environment names. Roles that the
tests name are there, as they would have to be in an account; what a test leaves is deleted.
It runs in moto's folder, apart from the checkout's own tests.
"""

import importlib
import json
import os
import re
from collections import defaultdict
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
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
"""Of a bucket (Amazon S3 user guide, bucket naming rules)."""

ARTEFACT = re.compile(r'"ModelDataUrl": "s3://([^/"]+)/([^"]+)"')
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

ENDPOINTS: dict[str, str] = json.loads(os.environ["PLINTH_ENDPOINTS"])
"""Region -> its cloud."""

MADE: defaultdict[str, set[str]] = defaultdict(set)
"""Region -> the operations that the test at hand has called there."""


def _in_its_cloud(make: Any) -> Any:
    """Clients of the cloud of the region that a test wants."""

    def made(service: str, *places: Any, **more: Any) -> Any:
        region = more.pop("region_name", None) or next(iter(places), "us-east-1")
        client = make(service, region_name=region, endpoint_url=ENDPOINTS[region], **more)
        meta = client.meta  # of a resource, that of its client is asked
        events = meta.events if hasattr(meta, "events") else meta.client.meta.events
        events.register("before-call", lambda model, **_: MADE[region].add(model.name))
        return client

    return made


boto3.client, boto3.resource = _in_its_cloud(boto3.client), _in_its_cloud(boto3.resource)


def pytest_sessionstart(session: pytest.Session) -> None:
    """What the tests name and do not make, as it would have to be in an account."""
    texts = [path.read_text() for path in Path().glob("tests/test_sagemaker*/*.py")]
    roles = sorted({name for text in texts for name in ROLE.findall(text)})
    for region in ENDPOINTS:
        iam = boto3.client("iam", region_name=region)
        for role in roles:
            _role(iam, role)


def _artefacts(test: str) -> None:
    """The model data that the tests of a file name and that would have to be in an account."""
    for bucket, key in sorted(set(ARTEFACT.findall(test))):
        if not NAME.fullmatch(bucket):
            continue  # no account has it
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key=key, Body=b"")


def _role(iam: Any, found: str) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}}
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
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
def empty_account(request: pytest.FixtureRequest) -> Iterator[None]:
    """What models are made of is there, and nothing of a test is for the next one."""
    MADE.clear()
    _artefacts(request.path.read_text())
    yield
    for region, called in {region: {*names} for region, names in MADE.items()}.items():
        made = {name for name in called if name.startswith(("Create", "Start", "Put"))}
        if made:
            sweep.everything(region, made)


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
