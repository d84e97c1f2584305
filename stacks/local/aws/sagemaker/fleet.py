"""The serving processes behind an endpoint: started from a configuration, healthy or not at all."""

import itertools
import math
import random
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from stacks.local.aws.container_logs import server_stream
from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import servers
from stacks.local.aws.sagemaker.errors import ApiError
from stacks.local.aws.sagemaker.model_containers import containers, name_of
from stacks.local.aws.sagemaker.servers import Ending, Server, Serving, ServingFailed
from stacks.local.runtime import left
from stacks.local.runtime.container import ContainerRuntime
from stacks.local.runtime.processes import free_port
from stacks.local.runtime.s3_files import TransferFailed

PROCESSES_PER_VARIANT = 2
"""One machine plays the fleet: more instances than this are reported, not started."""

HEALTH_SECONDS = 120
"""How long a container may take to answer /ping when its variant does not say."""

IDLE_SECONDS = 120
"""How long a serverless worker is kept after its last answer."""


OF_PROCESSES = ("servers", "turns", "starting", "counting", "busy", "last_asked")
"""Members of a variant that are new in another cloud."""


@dataclass(kw_only=True, eq=False)
class Variant:
    """A variant: its share of the traffic and its processes."""

    name: str
    weight: float
    instances: int
    """Reported; a serverless variant has none."""

    container: Mapping[str, Any]
    """The first of its model's containers; empty: it has no model of its own."""

    role_arn: str
    """Execution role of its model."""

    health_seconds: float
    model: Mapping[str, Any] = field(default_factory=dict)
    """The members of its model. Default: none, for what is never started."""

    others: Sequence[Mapping[str, Any]] = ()
    """The containers after it. Default: there are none."""

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

    def __getstate__(self) -> dict[str, Any]:
        """Without what ends with the cloud that runs it: processes, and whom they work for."""
        return {n: value for n, value in vars(self).items() if n not in OF_PROCESSES}

    def __setstate__(self, kept: Mapping[str, Any]) -> None:
        vars(self).update(kept, servers=[], turns=itertools.count(), busy=0)
        self.starting, self.counting = threading.Lock(), threading.Lock()
        self.last_asked = time.monotonic()

    @property
    def label(self) -> str:
        """What its folders and logs are called."""
        return self.component or self.name

    @property
    def containers(self) -> list[Mapping[str, Any]]:
        """Those of its model, in their order."""
        return [self.container, *self.others] if self.container else []

    def next_server(self, refused: Collection[Server] = (), target_model: str = "") -> Server:
        """The next one in turn that runs and has not refused this request.

        One that has the target model loaded goes first. Default: it is asked for none.
        """
        servers = list(self.servers)
        first = next(self.turns) % len(servers) if servers else 0
        servers = servers[first:] + servers[:first]
        if target_model:
            servers.sort(key=lambda server: not server.has_model(target_model))
        for server in servers:
            if server not in refused and server.runs and not server.ending.is_set():
                return server
        if any(server.ending.is_set() for server in servers):
            raise Ending(self.name)
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
            container={},
            role_arn="",
            health_seconds=0,
        )
    model = emulator.store.find("model", entry["ModelName"])
    if model is None:
        arn = emulator.arn(f"model/{entry['ModelName']}")
        raise ApiError("ValidationException", f'Could not find model "{arn}".')
    first, *others = containers(emulator, model.fields)
    return Variant(
        name=entry["VariantName"],
        weight=entry.get("InitialVariantWeight", 1.0),
        instances=entry.get("InitialInstanceCount", 1),
        container=first,
        others=others,
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


def resize(
    emulator: Emulator, endpoint: str, variant: Variant, count: int, cancelled: threading.Event
) -> None:
    """Start or end instances (or copies) of a variant; ServingFailed leaves it as it is.

    At most `PROCESSES_PER_VARIANT` run, however many are reported. What is taken out finishes what
    it was asked.
    """
    before, variant.instances = variant.instances, count
    try:
        for number in range(len(variant.servers), processes(variant)):
            server = start_server(emulator, endpoint, variant, number)
            try:
                wait_healthy(variant, server, cancelled)
            except ServingFailed:
                end(emulator.host, server)
                raise
            variant.servers.append(server)
    except (ServingFailed, TransferFailed, OSError) as error:
        variant.instances = before
        raise ServingFailed(str(error)[:1024]) from error
    surplus = variant.servers[processes(variant) :]
    del variant.servers[processes(variant) :]
    for server in surplus:
        end(emulator.host, server)


def mend(emulator: Emulator, fleet: Fleet, is_gone: Callable[[], bool]) -> None:
    """Start again the processes that died, as SageMaker does, unless the fleet goes meanwhile."""
    for variant in fleet.everything():
        if variant.serverless is not None:
            rest(emulator, variant)
            continue
        for number, server in enumerate(variant.servers):
            if server.runs or is_gone():
                continue
            server.stop(emulator.host)
            variant.servers[number] = start_server(emulator, fleet.endpoint, variant, number)
            if is_gone():
                fleet.stop(emulator.host)
                return


def awake(
    emulator: Emulator,
    endpoint: str,
    variant: Variant,
    refused: Collection[Server] = (),
    target_model: str = "",
) -> Server:
    """A server of a variant that has not refused; a serverless one that sleeps is started first."""
    if variant.serverless is None:
        return variant.next_server(refused, target_model)
    with variant.starting:
        if not variant.servers or not variant.servers[0].runs:
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
    """Let a process finish what it was asked, stop it and delete its folder."""
    server.drain()
    server.stop(host)
    for one in server.containers:
        left.remove(one.directory)


def start_server(emulator: Emulator, endpoint: str, variant: Variant, number: int) -> Server:
    """One instance of a variant: a serving process for each container of its model."""
    own = f"{variant.label}-{number}"
    servings = [
        _serving(emulator, endpoint, variant, one, own if not variant.others else _of(own, one))
        for one in variant.containers
    ]
    return servers.start_instance(emulator, servings)


def _of(instance: str, container: Mapping[str, Any]) -> str:
    return f"{instance}-{name_of(container)}"


def _serving(
    emulator: Emulator, endpoint: str, variant: Variant, container: Mapping[str, Any], own: str
) -> Serving:
    """What one container is started with; `own`: what its folder and log are called."""
    port = free_port()
    log = emulator.host.logs / "endpoints" / endpoint / f"{own}.log"
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    if variant.component:
        group = f"/aws/sagemaker/InferenceComponents/{variant.component}"
    stream = server_stream(variant.name, log)
    if variant.others:
        stream = f"{stream}/{name_of(container)}"
    return Serving(
        purpose=f"endpoint {endpoint} variant {variant.name}",
        arn=emulator.arn(f"endpoint/{endpoint}"),
        model=variant.model,
        container=container,
        port=port,
        directory=emulator.host.state / "endpoints" / endpoint / f"{own}-{port}",
        log=log,
        group=group,
        stream=stream,
        volume_key=variant.volume_key,
    )


def wait_healthy(variant: Variant, server: Server, cancelled: threading.Event) -> None:
    """Return once it answers /ping; ServingFailed where it does not."""
    servers.wait(server, f"production variant {variant.name}", variant.health_seconds, cancelled)
