"""Nobody but the owner of a home gets an answer from its local cloud: web pages, users, homes."""

import contextlib
import json
import os
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import UserError
from stacks.local.provider.peers import owner_with
from stacks.local.runtime import keys
from tests.kits import attacks
from tests.kits.attacks import BUCKET, ENDPOINT, REFUSED, Target
from tests.kits.kubernetes import Kubernetes, control_plane, control_plane_binaries
from tests.kits.local_cloud import ROLE, Cloud, running_cloud, until

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
OTHER_USER = 65534


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        running.client("s3").put_object(Bucket=BUCKET, Key="a", Body=b"mine")
        yield running


@pytest.fixture(scope="module")
def target(cloud: Cloud) -> Target:
    return Target(
        url=cloud.info.endpoint_url,
        keys=keys.load(cloud.home),
        provider_port=cloud.info.provider_port,
    )


@pytest.fixture(scope="module")
def tracking(cloud: Cloud) -> str:
    """Address of an MLflow server."""
    sm = cloud.client("sagemaker")
    arn = sm.create_mlflow_app(
        Name="tracking", ArtifactStoreUri=f"s3://{BUCKET}/mlflow", RoleArn=ROLE
    )["Arn"]
    until(lambda: sm.describe_mlflow_app(Arn=arn), "Status")
    url: str = json.loads((cloud.home / "local/mlflow.json").read_text())["url"]
    return url


# The AWS endpoint


@pytest.mark.parametrize("name", ENDPOINT)
def test_an_attack_on_the_endpoint_is_answered_with_403_or_not_at_all(
    name: str, target: Target
) -> None:
    assert ENDPOINT[name](target) in (403, REFUSED)


def test_what_the_attacks_do_is_answered_when_the_owner_does_it(target: Target) -> None:
    assert attacks.job_as(target, target.owner) == 200
    assert attacks.ask(target, "GET", attacks.presigned(target, f"/{BUCKET}/a")) == 200
    assert attacks.upload(target, "good", "good") == 204
    listed = attacks.signed(target, target.owner, headers=attacks.LIST)
    assert attacks.ask(target, headers=listed, body=b"{}") == 200
    at_localhost = f"localhost:{target.port}"
    made = attacks.signed(target, target.owner, headers=attacks.LIST, host=at_localhost)
    assert attacks.ask(target, headers=made, body=b"{}") == 200


def test_nothing_that_an_attack_asked_for_was_done(target: Target, cloud: Cloud) -> None:
    for name in ENDPOINT:
        ENDPOINT[name](target)
    users = [user["UserName"] for user in cloud.client("iam").list_users()["Users"]]
    assert "evil" not in users
    objects = cloud.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    assert "evil" not in [item["Key"] for item in objects]
    assert cloud.client("s3").get_object(Bucket=BUCKET, Key="a")["Body"].read() == b"mine"


def test_no_answer_lets_a_page_of_another_origin_read_it(target: Target) -> None:
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    status, headers = attacks.answer(target.url, "OPTIONS", "/", preflight)
    assert status == 403
    mine = attacks.signed(target, target.owner, headers=attacks.LIST)
    status, more = attacks.answer(target.url, "POST", "/", {**mine, "Origin": target.url}, b"{}")
    assert status == 200
    found = [name for name in (*headers, *more) if name.startswith("access-control-")]
    assert found == []


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_urls_read_and_write(version: str, target: Target) -> None:
    s3 = target.client("s3", signature_version=version)
    put = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": f"by {version}"})
    get = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": f"by {version}"})
    path = put.removeprefix(target.url)
    assert attacks.ask(target, "PUT", path, body=b"written") == 200
    assert attacks.ask(target, "GET", get.removeprefix(target.url)) == 200
    assert attacks.ask(target, "GET", put.removeprefix(target.url)) == 403


@pytest.mark.parametrize("how", ["assume_role", "get_session_token", "get_federation_token"])
def test_temporary_keys_sign_with_their_token(how: str, target: Target) -> None:
    sts = target.client("sts")
    asked: Mapping[str, Any] = {
        "assume_role": {"RoleArn": ROLE, "RoleSessionName": "session"},
        "get_session_token": {},
        "get_federation_token": {"Name": "federated"},
    }[how]
    made = getattr(sts, how)(**asked)["Credentials"]
    full = Credentials(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])
    wrong = Credentials(made["AccessKeyId"], made["SecretAccessKey"], "another")
    for credentials, status in ((full, 200), (wrong, 403)):
        headers = attacks.signed(target, credentials, headers=attacks.LIST)
        assert attacks.ask(target, headers=headers, body=b"{}") == status


def test_a_refusal_speaks_the_protocol_of_its_service(cloud: Cloud) -> None:
    stranger = Target(
        url=cloud.info.endpoint_url,
        keys=keys.Keys(
            access_key_id=attacks.STRANGER.access_key,
            secret_access_key=attacks.STRANGER.secret_key,
            tracking_password="",
        ),
        provider_port=0,
    )
    calls: Mapping[str, tuple[str, dict[str, Any]]] = {
        "s3": ("list_buckets", {}),
        "iam": ("list_users", {}),
        "ec2": ("describe_vpcs", {}),
        "sagemaker": ("list_endpoints", {}),
        "dynamodb": ("list_tables", {}),
        "lambda": ("list_functions", {}),
        "eks": ("list_clusters", {}),
    }
    codes = {}
    for service, (operation, request) in calls.items():
        client = stranger.client(service)
        with pytest.raises(client.exceptions.ClientError) as caught:
            getattr(client, operation)(**request)
        codes[service] = caught.value.response["Error"]["Code"]
    assert codes == dict.fromkeys(calls, "InvalidClientTokenId")


@settings(max_examples=60)
@given(
    key=st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1),
    value=st.text("abc XYZ-_.", min_size=1, max_size=20),
    body=st.binary(max_size=64),
)
def test_whatever_boto3_signs_is_accepted(
    key: str, value: str, body: bytes, target: Target
) -> None:
    s3 = target.client("s3")
    key = f"any/{key.encode()[:200].decode(errors='ignore')}/end"
    s3.put_object(Bucket=BUCKET, Key=key, Body=body, Metadata={"said_here": value.strip() or "x"})
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body


# MLflow


def test_mlflow_answers_with_the_password_of_the_home_alone(target: Target, tracking: str) -> None:
    own = target.keys
    login = attacks.tracking_login(own.TRACKING_USER, own.tracking_password)
    port = tracking.rpartition(":")[2]
    tries: Mapping[str, tuple[Mapping[str, str], int]] = {
        "the owner": (login, 200),
        "the owner's page": ({**login, "Origin": tracking}, 200),
        "no password": ({}, 403),
        "another password": (attacks.tracking_login(own.TRACKING_USER, "word"), 403),
        "the secret key": (attacks.tracking_login("plinth", own.secret_access_key), 403),
        "a foreign Host": ({**login, "Host": f"evil.example:{port}"}, 403),
        "localhost.evil.example": ({**login, "Host": f"localhost.evil.example:{port}"}, 403),
        "a foreign Origin": ({**login, "Origin": "https://evil.example"}, 403),
        "the address bar": ({"Sec-Fetch-Mode": "navigate"}, 401),
    }
    got = {
        name: attacks.ask(target, "GET", SEARCH, headers, to=tracking)
        for name, (headers, _) in tries.items()
    }
    assert got == {name: status for name, (_, status) in tries.items()}


# The provider


def test_only_a_process_with_the_keys_of_the_home_calls_the_provider(target: Target) -> None:
    own, stranger = target.keys.aws(), {"AWS_SECRET_ACCESS_KEY": attacks.STRANGER.secret_key}
    port = target.provider_port
    assert attacks.ask_provider(port) == 403
    assert attacks.call_provider(port, {}) == 403
    assert attacks.call_provider(port, stranger) == 403
    assert attacks.call_provider(port, own) == 200


def test_a_page_gets_no_answer_from_the_provider(target: Target) -> None:
    port = target.provider_port
    text = f"POST /pulumirpc.ResourceProvider/Create HTTP/1.1\nHost: 127.0.0.1:{port}\n"
    assert attacks.raw(port, text) == REFUSED


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_another_user_who_knows_the_key_is_still_another_user() -> None:
    admits = owner_with("SECRET", "word")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        for user, admitted in ((OTHER_USER, False), (os.getuid(), True)):
            process = subprocess.Popen(
                ["/bin/bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}; read -r -u 3"],
                env={"SECRET": "word"},
                user=user,
            )
            with contextlib.closing(listener.accept()[0]) as wire:
                peer = f"ipv4:127.0.0.1:{wire.getpeername()[1]}"
                assert admits(peer, port) is admitted
                wire.sendall(b"over\n")
                process.wait()


BUSY = """
import socket, sys, threading
def open_and_close():
    while True:
        for file in [open("/dev/null") for _ in range(20)]:
            file.close()
wire = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
for _ in range(3):
    threading.Thread(target=open_and_close, daemon=True).start()
wire.recv(1)
"""


def test_the_owner_is_known_while_it_opens_and_closes_files() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        busy = subprocess.Popen([sys.executable, "-c", BUSY, str(port)], env={"SECRET": "word"})
        with contextlib.closing(listener.accept()[0]) as wire:
            peer = f"ipv4:127.0.0.1:{wire.getpeername()[1]}"
            admitted = [owner_with("SECRET", "word")(peer, port) for _ in range(40)]
        busy.wait()
    assert admitted == [True] * 40


FROM_ONE_PORT = """
import socket, sys
wire = socket.socket()
wire.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
wire.bind(("127.0.0.1", int(sys.argv[1])))
wire.connect(("127.0.0.1", int(sys.argv[2])))
wire.recv(1)
"""


def test_of_two_connections_from_one_port_the_one_to_us_counts() -> None:
    """The kernel gives one port to connections to several places, under load above all."""
    with (
        socket.create_server(("127.0.0.1", 0)) as ours,
        socket.create_server(("127.0.0.1", 0)) as elsewhere,
        socket.create_server(("127.0.0.1", 0)) as free,
    ):
        source = str(free.getsockname()[1])
        free.close()
        with contextlib.ExitStack() as open_wires:
            processes = []
            for secret, listener in (("word", ours), ("other", elsewhere)):
                port = listener.getsockname()[1]
                command = [sys.executable, "-c", FROM_ONE_PORT, source, str(port)]
                processes.append(subprocess.Popen(command, env={"SECRET": secret}))
                wire = open_wires.enter_context(contextlib.closing(listener.accept()[0]))
                assert wire.getpeername()[1] == int(source)
            peer, admits = f"ipv4:127.0.0.1:{source}", owner_with("SECRET", "word")
            assert admits(peer, ours.getsockname()[1])
            assert not admits(peer, elsewhere.getsockname()[1])
        for process in processes:
            process.wait()


# The control plane


__all__ = ["control_plane", "control_plane_binaries"]  # the fixtures


def listening(purpose: str, plane: Kubernetes) -> list[int]:
    process = psutil.Process(plane.plane.processes[purpose].pid)
    found = process.net_connections(kind="tcp")
    return sorted(c.laddr.port for c in found if c.status == psutil.CONN_LISTEN)


def test_etcd_answers_the_api_server_alone(control_plane: Kubernetes) -> None:
    ports = listening("etcd", control_plane)
    assert len(ports) == 2
    folder = control_plane.plane.folder
    trusting = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    own = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    own.load_cert_chain(folder / "etcd.crt", folder / "etcd.key")
    other = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    other.load_cert_chain(folder / "server.crt", folder / "server.key")
    for port in ports:
        assert attacks.raw(port, "GET /version HTTP/1.1\nHost: 127.0.0.1\n") in (400, REFUSED)
        assert etcd_status(port, trusting) == REFUSED
        assert etcd_status(port, other) == REFUSED
    assert 200 in [etcd_status(port, own) for port in ports]


def etcd_status(port: int, context: ssl.SSLContext) -> int:
    """Status of a request over TLS; 0 where the server ends the connection."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as wire,
        ):
            wire.sendall(b"GET /version HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            first = wire.recv(64)
    except OSError:
        return REFUSED
    return int(first.split()[1]) if first.startswith(b"HTTP/") else REFUSED


def test_the_api_server_answers_nobody_without_the_token(control_plane: Kubernetes) -> None:
    port = int(control_plane.plane.url.rpartition(":")[2])
    context = ssl.create_default_context(cafile=str(control_plane.plane.folder / "ca.crt"))
    for authorization in ("", "Authorization: Bearer guessed\r\n"):
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as wire,
        ):
            wire.sendall(f"GET /version HTTP/1.1\r\nHost: a\r\n{authorization}\r\n".encode())
            assert wire.recv(64).split()[1] == b"401"


# Files


def test_the_keys_and_all_else_of_a_home_are_its_owners_alone(cloud: Cloud) -> None:
    path = cloud.home / "local" / "keys.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((cloud.home / "local").stat().st_mode) == 0o700


def test_two_homes_have_different_keys_and_one_keeps_its_own(tmp_path: Path) -> None:
    one, two = keys.ensure(tmp_path / "one"), keys.ensure(tmp_path / "two")
    assert len({*one.aws().values(), *two.aws().values()}) == 4
    assert keys.ensure(tmp_path / "one") == one


def test_damaged_keys_are_named_with_the_way_out(tmp_path: Path) -> None:
    keys.ensure(tmp_path)
    (tmp_path / "local" / "keys.json").write_text("{")
    with pytest.raises(UserError, match=r"keys\.json must hold the keys"):
        keys.ensure(tmp_path)
