"""One serving process: a model's data laid out, its program started, /ping answered or not at all.

Endpoints and batch transforms run the same container in the same way (developer guide, "Custom
inference code with hosting services", "Custom inference code with batch transform").
"""

import functools
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.role_sessions import CannotAssume
from stacks.local.aws.sagemaker.role_needs import may_log, refused
from stacks.local.runtime import images
from stacks.local.runtime.processes import exit_code, tail
from stacks.local.runtime.s3_files import TransferFailed, download, fetch, split_uri, unpack
from stacks.local.runtime.unix_http import UnixPool

POLL_SECONDS = 0.05
CONNECTIONS = 32

SOCKET = "http.sock"
"""Where our image listens, in a folder that is closed to other users. A container of somebody else
listens on a loopback port, as SageMaker's contract says: other users of the machine reach it."""


DRAIN_SECONDS = 70
"""How long a server may go on with what it was asked: InvokeEndpoint takes at most a minute
(API reference)."""


class Ending(Exception):
    """A server was asked that takes nothing new."""


class ServingFailed(Exception):
    """A container did not come up; the text is a FailureReason."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What is served, on whose behalf, and where its files and its log are."""

    purpose: str
    """Such as `endpoint NAME variant NAME`."""

    arn: str
    """Of the endpoint or job."""

    model: Mapping[str, Any]
    """The members of the model."""

    container: Mapping[str, Any]
    """Its one container, a package's content filled in."""

    port: int
    directory: Path
    log: Path
    group: str
    """Log group in CloudWatch."""

    stream: str
    volume_key: str = ""
    """KMS key of the instance's volume. Default: AWS's own."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables beside those of the container. Default: none."""

    @property
    def image(self) -> str:
        return str(self.container.get("Image", ""))


@dataclass(frozen=True, kw_only=True, eq=False)
class Server:
    """One process that answers /ping and /invocations."""

    process: subprocess.Popen[bytes]
    port: int
    directory: Path
    log: Path
    """What it prints; kept when it ends, for whoever asks why it did."""

    working: list[object] = field(default_factory=list)
    """The requests that it has."""
    ending: threading.Event = field(default_factory=threading.Event)
    """Set when it takes nothing new."""

    @contextmanager
    def holding(self) -> Iterator[None]:
        """A request for which it is not ended; Ending where it takes none any more."""
        mine = object()
        self.working.append(mine)
        try:
            if self.ending.is_set():  # whoever ends it looks at `working` after that
                raise Ending(str(self.directory))
            yield
        finally:
            self.working.remove(mine)

    def drain(self) -> None:
        """Take nothing new, and wait for what is there."""
        self.ending.set()
        deadline = time.monotonic() + DRAIN_SECONDS
        while self.working and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    @functools.cached_property
    def by_socket(self) -> UnixPool:
        return UnixPool(self.directory / SOCKET, size=CONNECTIONS)

    @functools.cached_property
    def by_port(self) -> urllib3.HTTPConnectionPool:
        return urllib3.HTTPConnectionPool(
            "127.0.0.1", self.port, maxsize=CONNECTIONS, retries=False
        )

    def request(self, method: str, path: str, **more: Any) -> urllib3.BaseHTTPResponse:
        """Ask the container: through its folder where it listens there, as ours does."""
        there = (self.directory / SOCKET).exists()
        pool = self.by_socket if there else self.by_port
        return pool.request(method, path, **more)

    def healthy(self) -> bool:
        try:
            return self.request("GET", "/ping", timeout=2).status == 200
        except urllib3.exceptions.HTTPError:
            return False


def start(emulator: Emulator, serving: Serving) -> Server:
    """A serving process with the model unpacked in its /opt/ml/model."""
    shutil.rmtree(serving.directory, ignore_errors=True)
    try:
        acting = emulator.act(
            serving.model.get("ExecutionRoleArn", ""),
            serving.arn,
            subnets=serving.model.get("VpcConfig", {}).get("Subnets", ()),
        )
    except CannotAssume as error:
        raise ServingFailed(str(error)) from error
    needs = {
        **serving.model,
        "PrimaryContainer": {"Image": serving.image},  # as a package names it, too
        "ResourceConfig": {"VolumeKmsKeyId": serving.volume_key},
    }
    try:
        command = images.command(serving.image, "serve")
    except images.NoProgram as error:
        raise ServingFailed(str(error)) from error
    if reason := refused(emulator, acting, needs, serving.group):
        raise ServingFailed(reason)
    _download_model(acting.s3, serving.container, serving.directory)
    printed = serving.log.stat().st_size if serving.log.exists() else 0
    process = emulator.host.start(
        command,
        purpose=serving.purpose,
        directory=serving.directory,
        environment={
            **serving.container.get("Environment", {}),
            **serving.environment,
            "SAGEMAKER_BIND_TO_PORT": str(serving.port),
            "BIND_SOCKET": SOCKET,
        },
        log=serving.log,
        credentials=acting.environment,
        ours=images.is_ours(serving.image),
    )
    if may_log(emulator, acting, serving.group):
        emulator.logs.follow(
            serving.log,
            serving.group,
            serving.stream,
            offset=printed,
            alive=lambda: process.poll() is None,
        )
    return Server(process=process, port=serving.port, directory=serving.directory, log=serving.log)


def wait(server: Server, what: str, seconds: float, cancelled: threading.Event) -> None:
    """Wait until a server answers /ping; ServingFailed where it ends or does not in time."""
    deadline = time.monotonic() + seconds
    while not server.healthy():
        ended = server.process.poll() is not None
        if ended or cancelled.is_set() or time.monotonic() > deadline:
            code = exit_code(server.process.returncode or 0)
            why = f"its process ended with exit code {code}" if ended else ""
            why = why or f"it did not answer within {seconds} s"
            lines = tail(server.log)[-700:]
            raise ServingFailed(f"{what} did not pass the ping health check: {why}.\n{lines}")
        time.sleep(POLL_SECONDS)


def _download_model(s3: Any, own: Mapping[str, Any], directory: Path) -> None:
    """Model data as SageMaker lays it out: an archive unpacked, a prefix copied."""
    target = directory / "ml" / "model"
    target.mkdir(parents=True)
    source = own.get("ModelDataSource", {}).get("S3DataSource", {})
    uri = own.get("ModelDataUrl") or source.get("S3Uri")
    if not uri:
        return
    if source.get("CompressionType") == "None":
        download(s3, uri, target)
        return
    archive = directory / "model.tar.gz"
    bucket, key = split_uri(uri)
    try:
        fetch(s3, bucket, key, archive)
    except s3.exceptions.ClientError as error:
        raise TransferFailed(f"Could not find model data at {uri}: {error}") from error
    unpack(archive, target)
    archive.unlink()
