"""The serving processes behind an endpoint: started from a configuration, healthy or not at all."""

import functools
import itertools
import math
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from stacks.local.aws.container_logs import server_stream
from stacks.local.aws.emulator import Emulator
from stacks.local.aws.role_sessions import CannotAssume
from stacks.local.aws.sagemaker.errors import ApiError
from stacks.local.aws.sagemaker.packages import container
from stacks.local.aws.sagemaker.role_needs import may_log, refused
from stacks.local.runtime import images
from stacks.local.runtime.container import ContainerRuntime
from stacks.local.runtime.processes import exit_code, free_port, tail
from stacks.local.runtime.s3_files import TransferFailed, download, fetch, split_uri, unpack
from stacks.local.runtime.unix_http import UnixPool

PROCESSES_PER_VARIANT = 2
"""One machine plays the fleet: more instances than this are reported, not started."""

HEALTH_SECONDS = 120
"""How long a container may take to answer /ping when its variant does not say."""

POLL_SECONDS = 0.05

IDLE_SECONDS = 120
"""How long a serverless worker is kept after its last answer."""

CONNECTIONS = 32
HTTP = urllib3.PoolManager(maxsize=CONNECTIONS, retries=False)

SOCKET = "http.sock"
"""Where our image listens, in a folder that is closed to other users. A container of somebody else
listens on a loopback port, as SageMaker's contract says: other users of the machine reach it."""


class ServingFailed(Exception):
    """A variant did not come up; the text is a FailureReason."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """One process that answers /ping and /invocations."""

    process: subprocess.Popen[bytes]
    port: int
    directory: Path
    log: Path
    """What it prints; kept when it ends, for whoever asks why it did."""

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


@dataclass(kw_only=True, eq=False)
class Variant:
    """A variant: its share of the traffic and its processes."""

    name: str
    weight: float
    instances: int
    """Reported; a serverless variant has none."""

    image: str
    container: Mapping[str, Any]
    role_arn: str
    """Execution role of its model."""

    health_seconds: float
    model: Mapping[str, Any] = field(default_factory=dict)
    """The members of its model. Default: none, for what is never started."""

    volume_key: str = ""
    """KMS key of its instances' volumes. Default: AWS's own."""

    component: str = ""
    """Inference component whose copies these are. Default: the variant has a model of its own."""

    servers: list[Server] = field(default_factory=list)
    turns: Iterator[int] = field(default_factory=itertools.count)
    serverless: Mapping[str, Any] | None = None
    """ServerlessConfig of a variant that starts when it is asked. Default: it has instances."""

    starting: threading.Lock = field(default_factory=threading.Lock)
    counting: threading.Lock = field(default_factory=threading.Lock)
    busy: int = 0
    last_asked: float = field(default_factory=time.monotonic)

    @property
    def label(self) -> str:
        """What its folders and logs are called."""
        return self.component or self.name

    def next_server(self, refused: Collection[Server] = ()) -> Server:
        """The next one in turn that runs and has not refused this request."""
        servers = list(self.servers)
        first = next(self.turns)
        for place in range(len(servers)):
            server = servers[(first + place) % len(servers)]
            if server not in refused and server.process.poll() is None:
                return server
        raise ServingFailed(f"none of {len(servers)} servers of variant {self.name} runs")


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Everything that serves one endpoint configuration."""

    endpoint: str
    config: Mapping[str, Any]
    variants: Mapping[str, Variant]
    shadow: Variant | None = None
    """Gets copies of requests. Default: there is none."""

    def everything(self) -> list[Variant]:
        """Every variant, the shadow too."""
        return [*self.variants.values(), *([self.shadow] if self.shadow else [])]

    def choose(self, target: str | None) -> Variant:
        """The variant asked for, else one drawn by weight."""
        if target is not None:
            if target not in self.variants:
                raise ApiError(
                    "ValidationError",
                    f"Variant {target} not found for endpoint {self.endpoint}",
                )
            return self.variants[target]
        variants = list(self.variants.values())
        weights = [variant.weight for variant in variants]
        if not any(weights):
            raise ApiError("ValidationError", f"every variant of {self.endpoint} has weight 0")
        return random.choices(variants, weights)[0]

    def stop(self, host: ContainerRuntime) -> None:
        for variant in self.everything():
            for server in variant.servers:
                end(host, server)


def plan(emulator: Emulator, endpoint: str, config: Mapping[str, Any]) -> Fleet:
    """The fleet of a configuration, nothing started yet; refuses missing or unapproved models."""
    key, entries = str(config.get("KmsKeyId") or ""), config["ProductionVariants"]
    variants = [_variant(emulator, entry, key) for entry in entries]
    others = config.get("ShadowProductionVariants", [])
    shadows = [_variant(emulator, entry, key) for entry in others]
    return Fleet(
        endpoint=endpoint,
        config=config,
        variants={variant.name: variant for variant in variants},
        shadow=shadows[0] if shadows else None,
    )


def _variant(emulator: Emulator, entry: Mapping[str, Any], volume_key: str) -> Variant:
    if "ModelName" not in entry:
        return Variant(
            name=entry["VariantName"],
            weight=entry.get("InitialVariantWeight", 1.0),
            instances=entry.get("InitialInstanceCount", 1),
            image="",
            container={},
            role_arn="",
            health_seconds=0,
        )
    model = emulator.store.find("model", entry["ModelName"])
    if model is None:
        arn = emulator.arn(f"model/{entry['ModelName']}")
        raise ApiError("ValidationException", f'Could not find model "{arn}".')
    own = container(emulator, model.fields)
    return Variant(
        name=entry["VariantName"],
        weight=entry.get("InitialVariantWeight", 1.0),
        instances=entry.get("InitialInstanceCount", 1),
        image=own.get("Image", ""),
        container=own,
        role_arn=model.fields.get("ExecutionRoleArn", ""),
        model=model.fields,
        health_seconds=entry.get("ContainerStartupHealthCheckTimeoutInSeconds", HEALTH_SECONDS),
        serverless=entry.get("ServerlessConfig"),
        volume_key=volume_key,
    )


def launch(emulator: Emulator, fleet: Fleet, cancelled: threading.Event) -> None:
    """Start every process of a fleet and wait until all answer /ping; else stop all of them.

    A serverless variant starts only what is provisioned.
    """
    try:
        for variant in fleet.everything():
            for number in range(processes(variant)):
                variant.servers.append(start_server(emulator, fleet.endpoint, variant, number))
        for variant in fleet.everything():
            for server in variant.servers:
                wait_healthy(variant, server, cancelled)
    except (ServingFailed, TransferFailed, OSError) as error:
        fleet.stop(emulator.host)
        raise ServingFailed(str(error)[:1024]) from error


def processes(variant: Variant) -> int:
    """How many of its own run; a variant without a model has none."""
    if not variant.container:
        return 0
    if variant.serverless is not None:
        return int(variant.serverless.get("ProvisionedConcurrency", 0) > 0)
    return min(variant.instances, PROCESSES_PER_VARIANT)


def mend(emulator: Emulator, fleet: Fleet, is_gone: Callable[[], bool]) -> None:
    """Start again the processes that died, as SageMaker does, unless the fleet goes meanwhile."""
    for variant in fleet.everything():
        if variant.serverless is not None:
            rest(emulator, variant)
            continue
        for number, server in enumerate(variant.servers):
            if server.process.poll() is None or is_gone():
                continue
            emulator.host.children.stop(server.process)
            variant.servers[number] = start_server(emulator, fleet.endpoint, variant, number)
            if is_gone():
                fleet.stop(emulator.host)
                return


def awake(
    emulator: Emulator, endpoint: str, variant: Variant, refused: Collection[Server] = ()
) -> Server:
    """A server of a variant that has not refused; a serverless one that sleeps is started first."""
    if variant.serverless is None:
        return variant.next_server(refused)
    with variant.starting:
        if not variant.servers or variant.servers[0].process.poll() is not None:
            for dead in variant.servers:
                end(emulator.host, dead)
            server = start_server(emulator, endpoint, variant, 0)
            variant.servers[:] = [server]
            wait_healthy(variant, server, threading.Event())
        return variant.servers[0]


def rest(emulator: Emulator, variant: Variant) -> None:
    """End the worker of a serverless variant that nobody has asked for a while."""
    if processes(variant) or not variant.starting.acquire(blocking=False):
        return
    try:
        idle = not variant.busy and time.monotonic() - variant.last_asked > IDLE_SECONDS
        while idle and variant.servers:
            end(emulator.host, variant.servers.pop())
    finally:
        variant.starting.release()


@contextmanager
def slot(variant: Variant) -> Iterator[None]:
    """One of the requests that a serverless variant works on at a time; refused beyond that."""
    most = variant.serverless["MaxConcurrency"] if variant.serverless else math.inf
    with variant.counting:
        if variant.busy >= most:
            raise ApiError("ThrottlingException", "Rate exceeded", status=429)
        variant.busy += 1
        variant.last_asked = time.monotonic()
    try:
        yield
    finally:
        with variant.counting:
            variant.busy -= 1
            variant.last_asked = time.monotonic()


def end(host: ContainerRuntime, server: Server) -> None:
    """Stop a process and delete its folder."""
    host.children.stop(server.process)
    shutil.rmtree(server.directory, ignore_errors=True)


def start_server(emulator: Emulator, endpoint: str, variant: Variant, number: int) -> Server:
    """One serving process with the model unpacked in its /opt/ml/model."""
    port = free_port()
    directory = emulator.host.state / "endpoints" / endpoint / f"{variant.label}-{number}-{port}"
    log = emulator.host.logs / "endpoints" / endpoint / f"{variant.label}-{number}.log"
    shutil.rmtree(directory, ignore_errors=True)
    try:
        subnets = variant.model.get("VpcConfig", {}).get("Subnets", ())
        acting = emulator.act(
            variant.role_arn, emulator.arn(f"endpoint/{endpoint}"), subnets=subnets
        )
    except CannotAssume as error:
        raise ServingFailed(str(error)) from error
    needs = {
        **variant.model,
        "PrimaryContainer": {"Image": variant.image},  # as a package names it, too
        "ResourceConfig": {"VolumeKmsKeyId": variant.volume_key},
    }
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    if variant.component:
        group = f"/aws/sagemaker/InferenceComponents/{variant.component}"
    if reason := refused(emulator, acting, needs, group):
        raise ServingFailed(reason)
    try:
        command = images.command(variant.image, "serve")
    except images.NoProgram as error:
        raise ServingFailed(str(error)) from error
    _download_model(acting.s3, variant.container, directory)
    printed = log.stat().st_size if log.exists() else 0
    process = emulator.host.start(
        command,
        purpose=f"endpoint {endpoint} variant {variant.name}",
        directory=directory,
        environment={
            **variant.container.get("Environment", {}),
            "SAGEMAKER_BIND_TO_PORT": str(port),
            "BIND_SOCKET": SOCKET,
        },
        log=log,
        credentials=acting.environment,
        ours=images.is_ours(variant.image),
    )
    if may_log(emulator, acting, group):
        stream = server_stream(variant.name, log)
        emulator.logs.follow(
            log, group, stream, offset=printed, alive=lambda: process.poll() is None
        )
    return Server(process=process, port=port, directory=directory, log=log)


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


def wait_healthy(variant: Variant, server: Server, cancelled: threading.Event) -> None:
    """Return once it answers /ping; ServingFailed where it does not."""
    deadline = time.monotonic() + variant.health_seconds
    while not server.healthy():
        ended = server.process.poll() is not None
        if ended or cancelled.is_set() or time.monotonic() > deadline:
            code = exit_code(server.process.returncode or 0)
            why = f"its process ended with exit code {code}" if ended else ""
            why = why or f"it did not answer within {variant.health_seconds} s"
            lines = tail(server.log)[-700:]
            raise ServingFailed(
                f"The primary container for production variant {variant.name} did not pass the "
                f"ping health check: {why}.\n{lines}"
            )
        time.sleep(POLL_SECONDS)
