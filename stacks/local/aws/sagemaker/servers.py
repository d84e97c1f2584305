"""Serving processes: a model's data laid out, its programs started, /ping answered or not at all.

Endpoints and batch transforms run the same container in the same way (developer guide, "Custom
inference code with hosting services", "Custom inference code with batch transform").
"""

import functools
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import urllib3

from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.emulator import Emulator
from stacks.local.aws.role_sessions import CannotAssume
from stacks.local.aws.sagemaker.model_containers import PRIMARY, is_multi_model, name_of
from stacks.local.aws.sagemaker.multi_model import Models, models_of
from stacks.local.aws.sagemaker.role_needs import may_log, refused
from stacks.local.runtime import images, left
from stacks.local.runtime.acting import Acting
from stacks.local.runtime.container import ContainerRuntime
from stacks.local.runtime.processes import exit_code, tail
from stacks.local.runtime.s3_files import TransferFailed, download, fetch, split_uri, unpack
from stacks.local.runtime.unix_http import UnixPool

POLL_SECONDS = 0.05
CONNECTIONS = 32

SOCKET = "http.sock"
"""Where our image listens, in a folder that is closed to other users. A container of somebody else
listens on a loopback port, as SageMaker's contract says: other users of the machine reach it."""


MULTI_MODEL = {"SAGEMAKER_MULTI_MODEL": "true"}
"""Variable of a container in MultiModel mode (aws/sagemaker-inference-toolkit, README)."""

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
    """One of its containers, a package's content filled in."""

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

    @property
    def needs(self) -> dict[str, Any]:
        """A request as `role_needs` reads it."""
        return {
            **self.model,
            "PrimaryContainer": {"Image": self.image},  # as a package names it, too
            "ResourceConfig": {"VolumeKmsKeyId": self.volume_key},
        }

    @property
    def subnets(self) -> Sequence[str]:
        return tuple(self.model.get("VpcConfig", {}).get("Subnets", ()))


@dataclass(frozen=True, kw_only=True, eq=False)
class Server:
    """One process that answers /ping and /invocations."""

    process: subprocess.Popen[bytes]
    port: int
    directory: Path
    log: Path
    """What it prints; kept when it ends, for whoever asks why it did."""

    name: str = PRIMARY
    """Of its container."""

    log_stream: str = ""
    """ARN of its log stream in CloudWatch. Default: what it prints does not come there."""

    models: Models | None = None
    """What a container in MultiModel mode has loaded. Default: it has one model."""

    others: tuple["Server", ...] = ()
    """The containers after it on the same instance. Default: it is the only one."""

    working: list[object] = field(default_factory=list)
    """The requests that its instance has."""
    ending: threading.Event = field(default_factory=threading.Event)
    """Set when it takes nothing new."""

    @property
    def containers(self) -> tuple["Server", ...]:
        """Those of its instance, in their order."""
        return (self, *self.others)

    @property
    def runs(self) -> bool:
        """Whether no process of its instance has ended."""
        return all(one.process.poll() is None for one in self.containers)

    def has_model(self, target: str) -> bool:
        """Whether a container of its instance has a target model in memory."""
        return any(one.models and one.models.has(target) for one in self.containers)

    def stop(self, host: ContainerRuntime) -> None:
        """End the processes of its instance."""
        for one in self.containers:
            host.children.stop(one.process)

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
        while self.working and self.runs and time.monotonic() < deadline:
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
        there = left.is_socket(self.directory / SOCKET)
        pool = self.by_socket if there else self.by_port
        return pool.request(method, path, **more)

    def healthy(self) -> bool:
        """Whether it answers /ping and, in MultiModel mode, what it has loaded."""
        asked = ("/ping",) if self.models is None else ("/ping", "/models")
        try:
            return all(self.request("GET", path, timeout=2).status == 200 for path in asked)
        except urllib3.exceptions.HTTPError:
            return False


def start_instance(emulator: Emulator, servings: Sequence[Serving]) -> Server:
    """The containers of a model on an instance of their own: all of them, or none."""
    started: list[Server] = []
    try:
        for serving in servings:
            started.append(_start(emulator, serving))
    except BaseException:
        for one in started:
            one.stop(emulator.host)
        raise
    first, *others = started
    return replace(first, others=tuple(others))


def _start(emulator: Emulator, serving: Serving) -> Server:
    """A serving process with the model unpacked in its /opt/ml/model."""
    left.remove(serving.directory)
    try:
        acting = _acting(emulator, serving)
    except CannotAssume as error:
        raise ServingFailed(str(error)) from error
    try:
        command = images.command(serving.image, "serve")
    except images.NoProgram as error:
        raise ServingFailed(str(error)) from error
    if reason := refused(emulator, acting, serving.needs, serving.group):
        raise ServingFailed(reason)
    models = _model_data(emulator, serving, acting.s3)
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
            **({} if models is None else MULTI_MODEL),
        },
        log=serving.log,
        credentials=acting.environment,
        ours=images.is_ours(serving.image),
    )
    log_stream = ""
    if may_log(emulator, acting, serving.group):
        where = f"log-group:{serving.group}:log-stream:{serving.stream}"
        log_stream = f"arn:aws:logs:{emulator.region}:{ACCOUNT_ID}:{where}"
        emulator.logs.follow(
            serving.log,
            serving.group,
            serving.stream,
            offset=printed,
            alive=lambda: process.poll() is None,
        )
    return Server(
        process=process,
        port=serving.port,
        directory=serving.directory,
        log=serving.log,
        name=name_of(serving.container),
        log_stream=log_stream,
        models=models,
    )


def _acting(emulator: Emulator, serving: Serving) -> Acting:
    """A session of the model's execution role; CannotAssume where there can be none."""
    role = serving.model.get("ExecutionRoleArn", "")
    return emulator.act(role, serving.arn, subnets=serving.subnets)


def wait(server: Server, whose: str, seconds: float, cancelled: threading.Event) -> None:
    """Wait until an instance answers /ping; ServingFailed where it ends or does not in time."""
    deadline = time.monotonic() + seconds
    for one in server.containers:
        what = f"The {one.name} container for {whose}"
        _wait_for(one, what, max(0.0, deadline - time.monotonic()), cancelled)


def _wait_for(server: Server, what: str, seconds: float, cancelled: threading.Event) -> None:
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


def _model_data(emulator: Emulator, serving: Serving, s3: Any) -> Models | None:
    """Bring a container its model; one in MultiModel mode gets an empty place for many."""
    if not is_multi_model(serving.container):
        _download_model(s3, serving.container, serving.directory)
        return None
    return models_of(serving.container, serving.directory, lambda: _acting(emulator, serving).s3)


def _download_model(s3: Any, own: Mapping[str, Any], directory: Path) -> None:
    """Model data as SageMaker lays it out: an archive unpacked, a prefix copied."""
    target = directory / "ml" / "model"
    target.mkdir(parents=True)
    source = own.get("ModelDataSource", {}).get("S3DataSource", {})
    uri = own.get("ModelDataUrl") or source.get("S3Uri")
    if not uri:
        return
    if source.get("CompressionType") == "None":
        download(s3, source, target)
        return
    archive = directory / "model.tar.gz"
    bucket, key = split_uri(uri)
    try:
        fetch(s3, bucket, key, archive)
    except s3.exceptions.ClientError as error:
        raise TransferFailed(f"Could not find model data at {uri}: {error}") from error
    unpack(archive, target)
    archive.unlink()
