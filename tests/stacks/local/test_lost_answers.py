"""Answers that are lost on the way to the provider while it makes a thing and takes it away."""

import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any

import boto3
import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from infra.errors import UserError
from stacks.local.provider.aws.backend import AwsBackend
from stacks.local.provider.aws.kept_answers import Answers
from stacks.local.provider.backend import Subject
from stacks.local.runtime.keys import Keys

KEYS = Keys(access_key_id="AKIAOWN", secret_access_key="secret", tracking_password="word")


class Losing:
    """An application that does what it is asked and whose answers to some operations are lost."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self.operations: tuple[str, ...] = ()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        if not any(f"Action={name}&".encode() in body for name in self.operations):
            return self.application(environ, start)  # type: ignore[no-any-return]
        list(self.application(environ, lambda *_: None))
        start("500 Internal Server Error", [("Content-Length", "0")])
        return []


@pytest.fixture
def lossy() -> Iterator[tuple[AwsBackend, Losing, Any]]:
    answers = Answers()
    kept = answers.kept_by(DomainDispatcherApplication(create_backend_app), KEYS.access_key_id)
    losing = Losing(kept)
    server = make_server("127.0.0.1", 0, losing, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        # moto's state belongs to the process: there may be what another test made
        urllib.request.urlopen(f"{url}/moto-api/reset", data=b"").close()
        ec2 = boto3.client(
            "ec2",
            "us-east-1",
            endpoint_url=url,
            aws_access_key_id=KEYS.access_key_id,
            aws_secret_access_key=KEYS.secret_access_key,
        )
        yield AwsBackend(url, "us-east-1", KEYS, answers=answers), losing, ec2
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("token", "lost"),
    [
        ("aws:ec2/natGateway:NatGateway", ("DescribeNatGateways", "DeleteNatGateway")),
        ("aws:ec2/eip:Eip", ("DescribeAddresses", "ReleaseAddress")),
    ],
    ids=("waited for", "there at once"),
)
def test_what_was_made_and_taken_away_unheard_is_made_anew(
    lossy: tuple[AwsBackend, Losing, Any], token: str, lost: tuple[str, ...]
) -> None:
    backend, losing, ec2 = lossy
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/24")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    inputs = {
        "aws:ec2/natGateway:NatGateway": {"connectivityType": "private", "subnetId": subnet},
        "aws:ec2/eip:Eip": {"domain": "vpc"},
    }[token]
    subject = Subject(urn=f"urn:pulumi:test::plinth::{token}::it", token=token, name="it")
    losing.operations = lost
    with pytest.raises(UserError, match="must succeed, got "):
        backend.create(subject, inputs)
    losing.operations = ()
    made = backend.create(subject, inputs)
    assert backend.read(subject, made.id, inputs)
    there = [one["State"] for one in ec2.describe_nat_gateways()["NatGateways"]]
    addresses = len(ec2.describe_addresses()["Addresses"])
    assert there.count("available") + addresses == 1
