"""The Pulumi provider protocol over a `Backend`: requests in, answers out, no cloud inside.

One server answers any number of engines (`PULUMI_DEBUG_PROVIDERS=aws:PORT`). What an engine
configures is kept per connection; resources are never kept, except in the ledger, which makes
Create safe to repeat.
"""

import functools
import json
import logging
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sized
from concurrent import futures
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from infra.errors import UserError
from stacks.local.provider.backend import (
    SESSION_SETTING,
    UNKNOWN,
    Backend,
    Change,
    Existing,
    Failure,
    Properties,
    Subject,
)
from stacks.local.provider.engines import Engines
from stacks.local.provider.ledger import Deleted, Entry, Ledger, no_note
from stacks.local.provider.peers import Admits, Guard, SessionOf, no_session, session_of
from stacks.local.provider.secrecy import (
    NONE,
    SECRET,
    SIGNATURE,
    Secrets,
    hide,
    secrets_in,
    secrets_of,
)

WORKERS = 64  # a create waits in its thread until the resource is ready
UNLIMITED = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))

UNKNOWNS = frozenset(
    {  # the engine has one sentinel per kind of value (sdk/go/common/resource/plugin/rpc.go)
        UNKNOWN,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


def unpack(value: Any) -> Any:
    """A protobuf value as a plain one: unknowns in one spelling, secrets as what they hold."""
    if isinstance(value, struct_pb2.Value):
        kind = value.WhichOneof("kind")
        return None if kind in (None, "null_value") else unpack(getattr(value, kind))
    if isinstance(value, struct_pb2.Struct):
        if value.fields and value.fields.get(SIGNATURE) == struct_pb2.Value(string_value=SECRET):
            return unpack(value.fields["value"])
        return {key: unpack(item) for key, item in value.fields.items()}
    if isinstance(value, struct_pb2.ListValue):
        return [unpack(item) for item in value.values]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return UNKNOWN if isinstance(value, str) and value in UNKNOWNS else value


def unpack_properties(struct: struct_pb2.Struct) -> Properties:
    """The properties of a request, without the null ones."""
    return {key: item for key, item in unpack(struct).items() if item is not None}


def pack(properties: Mapping[str, Any], secrets: Secrets = NONE) -> struct_pb2.Struct:
    """Plain properties as protobuf, with an envelope around what is secret."""
    struct = struct_pb2.Struct()
    struct.update(hide(properties, secrets))
    return struct


def edge(method: Callable[..., Answer]) -> Callable[..., Answer]:
    """Turn what goes wrong behind a request into a gRPC status that a person can read."""

    @functools.wraps(method)
    def guarded(self: Any, request: Any, context: grpc.ServicerContext) -> Answer:
        try:
            return method(self, request, context)
        except UserError as error:
            fix = f"; fix: {error.fix}" if error.fix else ""
            message = secrets_in(request).masked(f"{error.problem}{fix}")
            _abort(context, grpc.StatusCode.FAILED_PRECONDITION, message)
        except Exception as error:  # noqa: BLE001 - the gRPC edge; the log has the traceback
            masked = secrets_in(request).masked
            log.error("%s failed\n%s", method.__name__, masked(traceback.format_exc()))
            message = f"{method.__name__} failed in the local provider: {error!r}"
            _abort(context, grpc.StatusCode.INTERNAL, masked(message))

    return guarded


def _abort(context: grpc.ServicerContext, code: grpc.StatusCode, message: str) -> NoReturn:
    context.abort(code, message)
    raise AssertionError("abort raises")


def subject_of(request: Any, settings: Properties) -> Subject:
    """The resource a request names; older engines put its type and name in the URN alone."""
    _, _, types, name = request.urn.split("::", 3)
    return Subject(
        urn=request.urn,
        token=request.type or types.rpartition("$")[2],
        name=request.name or name,
        settings=settings,
    )


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """The servicer. Each method unpacks, asks the backend, packs."""

    def __init__(
        self,
        backend: Backend,
        ledger: Ledger | None = None,
        session_of: SessionOf = no_session,
        deleted: Deleted = no_note,
    ) -> None:
        self.backend = backend
        self.session_of = session_of
        self.deleted = deleted
        self.ledger = ledger or Ledger()
        self.engines = Engines()

    # -- the plugin itself ---------------------------------------------------------------------

    @edge
    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self.backend.version)

    @edge
    def GetSchema(self, request: Any, context: Any) -> provider_pb2.GetSchemaResponse:
        schema = {"name": self.backend.package, "version": self.backend.version}
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

    @edge
    def Handshake(self, request: Any, context: Any) -> provider_pb2.ProviderHandshakeResponse:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    @edge
    def Attach(self, request: Any, context: Any) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    @edge
    def Cancel(self, request: Any, context: Any) -> empty_pb2.Empty:
        return empty_pb2.Empty()  # what was started is finished, so that it can be adopted

    @edge
    def CheckConfig(self, request: Any, context: Any) -> provider_pb2.CheckResponse:
        settings = unpack_properties(request.news)
        failures = self.backend.check_settings(_decoded(settings))
        return _checked(settings, failures, secrets_of([request.news]))

    @edge
    def DiffConfig(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        old, new = unpack_properties(request.old_inputs), unpack_properties(request.news)
        names = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
        replaced = self.backend.replaced_settings(_decoded(old), _decoded(new))
        return provider_pb2.DiffResponse(changes=_some(names), diffs=names, replaces=replaced)

    @edge
    def Configure(self, request: Any, context: Any) -> provider_pb2.ConfigureResponse:
        settings = _decoded(unpack_properties(request.args))
        hidden = frozenset(path[0] for path in secrets_of([request.args]).paths)
        session = self.session_of(context.peer())
        settings = {**settings, SESSION_SETTING: session} if session else settings
        self.engines.configured(context.peer(), request.urn, settings, hidden)
        return provider_pb2.ConfigureResponse(supportsPreview=True, acceptSecrets=True)

    # -- resources -----------------------------------------------------------------------------

    def _subject(self, request: Any, context: Any) -> Subject:
        return subject_of(request, self.engines.settings(context.peer(), request.urn))

    @edge
    def Check(self, request: Any, context: Any) -> provider_pb2.CheckResponse:
        subject = self._subject(request, context)
        old, new = unpack_properties(request.olds), unpack_properties(request.news)
        if old:
            self.ledger.checked(subject.urn, old)
        inputs, failures = self.backend.check(subject, new, old, request.randomSeed)
        secrets = secrets_of([request.news])
        if "defaultTags" in self.engines.hidden(context.peer(), subject.urn):
            secrets |= Secrets(frozenset((("tags",),)))
        exposed = _exposed(self.backend.names(subject), secrets)
        return _checked(inputs, [*failures, *exposed], secrets)

    @edge
    def Diff(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        subject = self._subject(request, context)
        old, new = unpack_properties(request.old_inputs), unpack_properties(request.news)
        self.ledger.seen(subject.urn, request.id, old)
        difference = self.backend.diff(subject, old, new)
        ignored = tuple(request.ignoreChanges)
        changes = [change for change in difference.changes if change.root not in ignored]
        return _diff_response(changes, delete_first=difference.delete_first)

    @edge
    def Create(self, request: Any, context: Any) -> provider_pb2.CreateResponse:
        subject, inputs = self._subject(request, context), unpack_properties(request.properties)
        secrets = secrets_in(request)
        if request.preview:
            planned = self.backend.plan(subject, inputs, None)
            return provider_pb2.CreateResponse(id="", properties=pack(planned, secrets))
        with self.ledger.turn(subject.urn):
            lost = self.ledger.lost(subject.urn)
            made = self._adopted(subject, lost, inputs) if lost else None
            if made is None:
                made = self.backend.create(subject, inputs)
            if secrets.in_text(made.id):
                self.backend.delete(subject, made.id, inputs)
                raise UserError(f"{subject}: {IN_THE_OPEN}", fix="name it without the secret")
            self.ledger.created(subject.urn, made.id, inputs)
        return provider_pb2.CreateResponse(id=made.id, properties=pack(made.outputs, secrets))

    def _adopted(self, subject: Subject, lost: Entry, inputs: Properties) -> Existing | None:
        """The resource of a create whose answer was lost, made to match; None: create anew."""
        found = self.backend.read(subject, lost.id, lost.inputs)
        if found is not None:
            difference = self.backend.diff(subject, lost.inputs, inputs)
            log.info("%s: adopting %s", subject, lost.id)
            if not difference.changes:
                return found
            if not difference.replaces:
                return self.backend.update(subject, lost.id, lost.inputs, inputs)
            self.backend.delete(subject, lost.id, lost.inputs)
        self.ledger.forget(subject.urn, lost.id)
        return None

    @edge
    def Read(self, request: Any, context: Any) -> provider_pb2.ReadResponse:
        subject = self._subject(request, context)
        state = unpack_properties(request.properties)
        inputs = unpack_properties(request.inputs) if state or request.inputs.fields else None
        if inputs is not None:
            self.ledger.seen(subject.urn, request.id, inputs)
        found = self.backend.read(subject, request.id, inputs)
        if found is None:
            self._gone(subject.urn, request.id)
            return provider_pb2.ReadResponse()
        secrets = secrets_in(request)
        return provider_pb2.ReadResponse(
            id=found.id,
            inputs=pack(found.inputs, secrets),
            properties=pack(found.outputs, secrets),
        )

    @edge
    def Update(self, request: Any, context: Any) -> provider_pb2.UpdateResponse:
        subject = self._subject(request, context)
        old, new = unpack_properties(request.old_inputs), unpack_properties(request.news)
        secrets = secrets_of([request.news])
        if request.preview:
            planned = self.backend.plan(subject, new, unpack_properties(request.olds))
            return provider_pb2.UpdateResponse(properties=pack(planned, secrets))
        with self.ledger.turn(subject.urn):
            self.ledger.seen(subject.urn, request.id, old)
            found = self.backend.update(subject, request.id, old, new)
            self.ledger.updated(subject.urn, request.id, new)
        return provider_pb2.UpdateResponse(properties=pack(found.outputs, secrets))

    @edge
    def Delete(self, request: Any, context: Any) -> empty_pb2.Empty:
        subject, inputs = self._subject(request, context), unpack_properties(request.old_inputs)
        with self.ledger.turn(subject.urn):
            self.ledger.seen(subject.urn, request.id, inputs)
            self.backend.delete(subject, request.id, inputs)
            self._gone(subject.urn, request.id)
        return empty_pb2.Empty()

    def _gone(self, urn: str, id: str) -> None:
        self.ledger.forget(urn, id)
        self.deleted(urn, id)

    @edge
    def Invoke(self, request: Any, context: Any) -> provider_pb2.InvokeResponse:
        answer = self.backend.invoke(request.tok, unpack_properties(request.args))
        return provider_pb2.InvokeResponse(**{"return": pack(answer, secrets_in(request))})


IN_THE_OPEN = "its id must hold no secret: the engine keeps ids in plain text, in state and history"


def _exposed(names: Collection[tuple[str, ...]], secrets: Secrets) -> list[Failure]:
    """What is secret and would be a part of the id."""
    return [
        Failure(
            property=".".join(name), reason=f"{'.'.join(name)} must not be secret: {IN_THE_OPEN}"
        )
        for name in sorted(names)
        for path in secrets.paths
        if path == name[: len(path)] or name == path[: len(name)]
    ]


def _decoded(settings: Properties) -> Properties:
    """Provider settings with their nested values: the engine sends those as JSON text."""
    return {
        key: json.loads(value) if isinstance(value, str) and value[:1] in ("{", "[") else value
        for key, value in settings.items()
    }


def _checked(
    inputs: Properties, failures: Iterable[Failure], secrets: Secrets
) -> provider_pb2.CheckResponse:
    found = [
        provider_pb2.CheckFailure(property=f.property, reason=secrets.masked(f.reason))
        for f in failures
    ]
    return provider_pb2.CheckResponse(inputs=pack(inputs, secrets), failures=found)


def _some(changes: Sized) -> Any:
    return provider_pb2.DiffResponse.DIFF_SOME if changes else provider_pb2.DiffResponse.DIFF_NONE


def _diff_response(changes: list[Change], *, delete_first: bool) -> provider_pb2.DiffResponse:
    kinds = provider_pb2.PropertyDiff.Kind
    response = provider_pb2.DiffResponse(
        changes=_some(changes),
        diffs=sorted({change.root for change in changes}),
        replaces=sorted({change.root for change in changes if change.replaces}),
        hasDetailedDiff=bool(changes),
    )
    response.deleteBeforeReplace = delete_first and bool(response.replaces)
    for change in changes:
        kind = kinds.Value(change.kind.upper() + ("_REPLACE" if change.replaces else ""))
        detail = provider_pb2.PropertyDiff(kind=kind, inputDiff=True)
        response.detailedDiff[change.path].CopyFrom(detail)
    return response


def serve(
    backend: Backend,
    *,
    admits: Admits,
    port: int = 0,
    ledger: Ledger | None = None,
    deleted: Deleted = no_note,
) -> tuple[grpc.Server, int]:
    """A started server on the loopback interface, for the peers that it admits, and its port."""
    guard = Guard(admits)
    server = grpc.server(
        futures.ThreadPoolExecutor(WORKERS), options=UNLIMITED, interceptors=[guard]
    )
    provider = Provider(backend, ledger, lambda peer: session_of(peer, guard.own_port), deleted)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    guard.own_port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, guard.own_port
