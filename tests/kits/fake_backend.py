"""A cloud in a dictionary, to test the protocol and the ledger without AWS."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from infra.errors import UserError
from stacks.local.provider.backend import (
    UNKNOWN,
    Change,
    Difference,
    Existing,
    Failure,
    Properties,
    Subject,
)
from stacks.local.provider.server import pack, serve, unpack

TOKEN = "fake:thing/box:Box"
URN = f"urn:pulumi:test::plinth::plinth:infra:Storage${TOKEN}::box"


@dataclass
class FakeBackend:
    """Boxes: `size` changes in place, `colour` replaces, `bad` is refused."""

    package: str = "fake"
    version: str = "1.2.3"
    boxes: dict[str, Properties] = field(default_factory=dict)
    created: int = 0
    hold: threading.Event | None = None
    """While it is not set, a create that has begun does not end."""
    begun: threading.Event = field(default_factory=threading.Event)
    settings: list[Properties] = field(default_factory=list)

    def check_settings(self, settings: Properties) -> list[Failure]:
        return [Failure(property=name, reason="no effect") for name in settings if name == "odd"]

    def replaced_settings(self, old: Properties, new: Properties) -> list[str]:
        return []

    def check(
        self, subject: Subject, new: Properties, old: Properties, seed: bytes
    ) -> tuple[Properties, list[Failure]]:
        self.settings.append(subject.settings)
        failures = [Failure(property=name, reason="refused") for name in new if name == "bad"]
        return new, failures

    def diff(self, subject: Subject, old: Properties, new: Properties) -> Difference:
        changed = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
        changes = tuple(
            Change(path=name, kind="update", replaces=name == "colour") for name in changed
        )
        return Difference(changes=changes, delete_first="name" in new)

    def plan(self, subject: Subject, new: Properties, old: Properties | None) -> Properties:
        return {"serial": UNKNOWN, **new} if old is None else {**old, **new}

    def create(self, subject: Subject, inputs: Properties) -> Existing:
        if inputs.get("size") == "impossible":
            raise UserError(f"{subject}: size must be possible, got it not", fix="choose another")
        self.created += 1
        id = f"box-{self.created}"
        self.begun.set()
        if self.hold:
            assert self.hold.wait(10)
        self.boxes[id] = inputs
        return self._existing(id)

    def read(self, subject: Subject, id: str, inputs: Properties | None) -> Existing | None:
        return self._existing(id) if id in self.boxes else None

    def update(self, subject: Subject, id: str, old: Properties, new: Properties) -> Existing:
        self.boxes[id] = new
        return self._existing(id)

    def delete(self, subject: Subject, id: str, inputs: Properties) -> None:
        self.boxes.pop(id, None)

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> Properties:
        return {"token": token, **arguments}

    def _existing(self, id: str) -> Existing:
        inputs = self.boxes[id]
        return Existing(id=id, inputs=inputs, outputs={**inputs, "serial": id})


@dataclass(frozen=True)
class Engine:
    """What the Pulumi engine does over one connection."""

    stub: Any

    def check(self, new: Properties, old: Properties | None = None, urn: str = URN) -> Any:
        request = provider_pb2.CheckRequest(urn=urn, news=pack(new), olds=pack(old or {}))
        return self.stub.Check(request)

    def create(self, inputs: Properties, *, preview: bool = False, urn: str = URN) -> Any:
        request = provider_pb2.CreateRequest(urn=urn, properties=pack(inputs), preview=preview)
        return self.stub.Create(request)

    def diff(self, id: str, old: Properties, new: Properties, urn: str = URN) -> Any:
        request = provider_pb2.DiffRequest(
            urn=urn, id=id, olds=pack(old), old_inputs=pack(old), news=pack(new)
        )
        return self.stub.Diff(request)

    def update(self, id: str, old: Properties, new: Properties, **more: Any) -> Any:
        request = provider_pb2.UpdateRequest(
            urn=URN, id=id, olds=pack(old), old_inputs=pack(old), news=pack(new), **more
        )
        return self.stub.Update(request)

    def delete(self, id: str, inputs: Properties, urn: str = URN) -> None:
        request = provider_pb2.DeleteRequest(
            urn=urn, id=id, properties=pack(inputs), old_inputs=pack(inputs)
        )
        self.stub.Delete(request)

    def read(self, id: str, state: Properties | None = None, urn: str = URN) -> Any:
        held = pack(state or {})
        request = provider_pb2.ReadRequest(urn=urn, id=id, properties=held, inputs=held)
        return self.stub.Read(request)

    def configure(self, settings: Properties, stack: str = "test") -> Any:
        urn = f"urn:pulumi:{stack}::plinth::pulumi:providers:fake::default"
        return self.stub.Configure(
            provider_pb2.ConfigureRequest(urn=urn, args=pack(settings), acceptSecrets=True)
        )

    def run(self, inputs: Properties, old: Properties | None = None, id: str = "") -> str:
        """Register one resource as `up` does; the id that the state holds afterwards."""
        self.check(inputs, old)
        if old is None:
            return str(self.create(inputs).id)
        difference = self.diff(id, old, inputs)
        if not difference.diffs:
            return id
        if not difference.replaces:
            self.update(id, old, inputs)
            return id
        self.check(inputs)
        if difference.deleteBeforeReplace:
            self.delete(id, old)
            return str(self.create(inputs).id)
        made = str(self.create(inputs).id)
        self.delete(id, old)
        return made


@contextmanager
def connected(backend: Any) -> Iterator[tuple[Engine, int]]:
    """A served backend and an engine connected to it."""
    server, port = serve(backend, admits=lambda peer, port: True)
    try:
        with engine_at(port) as engine:
            yield engine, port
    finally:
        server.stop(grace=None).wait()


@contextmanager
def engine_at(port: int) -> Iterator[Engine]:
    """One more engine: a connection of its own."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield Engine(provider_pb2_grpc.ResourceProviderStub(channel))


def plain(struct: Any) -> Properties:
    """The properties of an answer."""
    properties: Properties = unpack(struct)
    return properties
