"""Answers the operations of `KINDS` in front of moto; everything else goes through to it.

Requests are read and answers written by moto's own parsers and serializers of AWS's protocols, from
botocore's service models: a kind is data, whatever its protocol.
"""

from __future__ import annotations

import functools
import io
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

import jmespath

from stacks.local.aws.recorded.recorded import Recorded
from stacks.local.aws.recorded.table import KINDS
from stacks.local.aws.recorded.tagging import TAG_OPERATIONS, retag, tagged

ACCOUNT_ID = "123456789012"
SCOPE = re.compile(r"Credential=[^/]+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
NOT_MEMBERS = frozenset({"clientRequestToken", "ClientRequestToken", "ClientToken", "clientToken"})

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]


class RecordedError(Exception):
    """An error answer: its class name is the code, as moto's serializers expect."""


def _error(code: str, message: str) -> RecordedError:
    made = type(code, (RecordedError,), {})(message)
    made.code, made.message = code, message
    return made  # type: ignore[no-any-return]


@dataclass(eq=False)
class Thing:
    """One resource."""

    kind: Recorded
    key: tuple[str, ...]
    members: dict[str, Any]


@dataclass
class Store:
    """Every recorded resource by kind and key."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    things: dict[tuple[str, str], dict[tuple[str, ...], Thing]] = field(default_factory=dict)
    count: int = 0

    def of(self, kind: Recorded) -> dict[tuple[str, ...], Thing]:
        return self.things.setdefault((kind.service, kind.name), {})

    def by_arn(self, service: str, arn: str) -> Thing | None:
        for (of, _), things in self.things.items():
            for thing in things.values() if of == service else ():
                if thing.kind.arn and thing.members.get(thing.kind.arn) == arn:
                    return thing
        return None


@dataclass
class Recorder:
    """The WSGI application; `fallback` answers what no kind has."""

    fallback: Application
    region: str
    store: Store = field(default_factory=Store)

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        scope = SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        service = _services().get(scope["service"]) if scope else None
        operation = _operation(service, environ) if service else None
        if service is None or operation is None:
            return self.fallback(environ, start)
        request = _parsed(service, operation, environ)
        arn = tagged(operation, request)
        if arn is not None and self.store.by_arn(service, arn) is None:
            return self.fallback(environ, start)
        try:
            with self.store.lock:
                answer: Any = self._answer(service, operation, request, arn)
        except RecordedError as error:
            answer = error
        status, headers, body = _serialized(service, operation, answer)
        start(f"{status} {'OK' if status < 300 else 'Error'}", list(headers.items()))
        return [body]

    def _answer(
        self, service: str, operation: str, request: dict[str, Any], arn: str | None
    ) -> dict[str, Any]:
        if arn is not None:
            thing = self.store.by_arn(service, arn)
            assert thing is not None
            model = _model(service)
            return retag(model, operation, thing.members, thing.kind.tags, request)
        kind, act = _acts()[service, operation]
        return act(self, kind, operation, request)

    def _create(self, kind: Recorded, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.store.count += 1
        values = _values(kind, request)
        given = {name: jmespath.search(path, request) for name, path in kind.key.items()}
        invented = [name for name, path in kind.key.items() if path in kind.made]
        seed = str(self.store.count) if invented else "/".join(map(str, given.values()))
        facts = {
            **_flat(request),
            "region": self.region,
            "account": ACCOUNT_ID,
            "hash": sha256(f"{kind.name}/{seed}".encode()).hexdigest()[:17],
        }
        made = {name: text.format_map(facts) for name, text in kind.made.items()}
        key = tuple(
            str(made[path] if path in kind.made else given[name]) for name, path in kind.key.items()
        )
        if key in self.store.of(kind) and not kind.exists:
            return self._update(kind, operation, request)
        if key in self.store.of(kind):
            raise _error(kind.exists, f"{kind.name} {'/'.join(key)} already exists")
        times = dict.fromkeys(kind.times, datetime.now(UTC))
        thing = Thing(kind, key, {**times, **kind.sets, **values, **made})
        self.store.of(kind)[key] = thing
        return _shown(service_operation(kind, operation), kind, thing)

    def _describe(self, kind: Recorded, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if kind.listed_by:
            wanted = request.get(kind.listed_by)
            if wanted:
                keys = [(str(key),) for key in wanted]
                there = [key for key in keys if kind.missing or key in self.store.of(kind)]
                found = [self._get(kind, key) for key in there]
            else:
                found = self._matching(kind, request)
            return {kind.member: [thing.members for thing in found]}
        thing = self._get(kind, _key(kind, request))
        return _shown(service_operation(kind, operation), kind, thing)

    def _list(self, kind: Recorded, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        shape = service_operation(kind, operation).output_shape
        name = kind.list_member or next(
            n for n, s in shape.members.items() if s.type_name == "list"
        )
        things = self._matching(kind, request)
        if shape.members[name].member.type_name == "structure":
            return {name: [thing.members for thing in things]}
        return {name: [thing.key[-1] for thing in things]}

    def _update(self, kind: Recorded, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        thing = self._get(kind, _key(kind, request))
        values = _values(kind, request)
        thing.members.update({n: v for n, v in values.items() if n not in kind.key})
        return _shown(service_operation(kind, operation), kind, thing)

    def _delete(self, kind: Recorded, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        thing = self._get(kind, _key(kind, request))
        del self.store.of(kind)[thing.key]
        return _shown(service_operation(kind, operation), kind, thing)

    def _get(self, kind: Recorded, key: tuple[str, ...]) -> Thing:
        thing = self.store.of(kind).get(key)
        if thing is None:
            raise _error(kind.missing, f"{kind.name} {'/'.join(key)} does not exist")
        return thing

    def _matching(self, kind: Recorded, request: Mapping[str, Any]) -> list[Thing]:
        """Things whose members equal the request's, where they have such members."""
        return [
            thing
            for thing in self.store.of(kind).values()
            if all(
                thing.members[kind.rename.get(name, name)] == value
                for name, value in request.items()
                if kind.rename.get(name, name) in thing.members
            )
        ]


Act = Callable[[Recorder, Recorded, str, dict[str, Any]], dict[str, Any]]


@functools.cache
def _acts() -> dict[tuple[str, str], tuple[Recorded, Act]]:
    """What every operation does, by service and name."""
    acts: dict[tuple[str, str], tuple[Recorded, Act]] = {}
    for kind in KINDS:
        for operation, act in (
            (kind.create, Recorder._create),
            (kind.describe, Recorder._describe),
            (kind.list, Recorder._list),
            *((name, Recorder._update) for name in kind.update),
            (kind.delete, Recorder._delete),
        ):
            if operation:
                acts[kind.service, operation] = (kind, act)
    return acts


@functools.cache
def _services() -> dict[str, str]:
    """Service by the name that requests are signed with."""
    return {_model(kind.service).signing_name: kind.service for kind in KINDS}


@functools.cache
def _model(service: str) -> Any:
    from moto.core.utils import get_service_model

    return get_service_model(service)


def service_operation(kind: Recorded, operation: str) -> Any:
    """botocore's model of an operation."""
    return _model(kind.service).operation_model(operation)


@functools.cache
def _answered(service: str) -> frozenset[str]:
    known = {operation for of, operation in _acts() if of == service}
    tagging = set(TAG_OPERATIONS) & set(_model(service).operation_names)
    return frozenset(known | tagging)


def _operation(service: str, environ: Environ) -> str | None:
    """The operation of a request, if it is one that is answered here."""
    protocol = _model(service).metadata["protocol"]
    if protocol == "json":
        name: str | None = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    elif protocol in ("query", "ec2"):
        from urllib.parse import parse_qs

        name = parse_qs(_body(environ).decode()).get("Action", [""])[0]
    else:
        name = _rest_operation(service, environ["REQUEST_METHOD"], _path(environ))
    return name if name in _answered(service) else None


def _rest_operation(service: str, method: str, path: str) -> str | None:
    for name, (verb, pattern) in _routes(service).items():
        if verb == method and pattern.fullmatch(path):
            return name
    return None


@functools.cache
def _routes(service: str) -> dict[str, tuple[str, re.Pattern[str]]]:
    """Method and path of every answered operation of a REST service; fixed paths come first."""
    routes = {}
    for name in _answered(service):
        http = _model(service).operation_model(name).http
        path = http["requestUri"].partition("?")[0]
        pattern = re.sub(r"\\\{(\w+)\\\+\\\}", r"(?P<\1>.+)", re.escape(path))
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", pattern)
        routes[name] = (http["method"], re.compile(pattern + "/?"))
    return dict(sorted(routes.items(), key=lambda item: item[1][1].pattern.count("(")))


def _path(environ: Environ) -> str:
    """The path as it was sent: an ARN in it has its slashes escaped."""
    raw: str = environ.get("REQUEST_URI") or environ["PATH_INFO"]
    return raw.partition("?")[0]


def _body(environ: Environ) -> bytes:
    """The request's body, which stays readable for moto."""
    if "plinth.body" not in environ:
        size = int(environ.get("CONTENT_LENGTH") or 0)
        environ["plinth.body"] = environ["wsgi.input"].read(size)
        environ["wsgi.input"] = io.BytesIO(environ["plinth.body"])
    body: bytes = environ["plinth.body"]
    return body


def _parsed(service: str, operation: str, environ: Environ) -> dict[str, Any]:
    from moto.core.parse import PROTOCOL_PARSERS
    from werkzeug.datastructures import EnvironHeaders, MultiDict
    from werkzeug.wrappers import Request

    model = _model(service)
    body = _body(environ)
    asked = Request({**environ, "wsgi.input": io.BytesIO(body)})
    params: dict[str, str] = {}
    if model.metadata["protocol"].startswith("rest"):
        match = _routes(service)[operation][1].fullmatch(_path(environ))
        params = {k: unquote(v) for k, v in match.groupdict().items()} if match else {}
    parser = PROTOCOL_PARSERS[model.metadata["protocol"]](model.operation_model(operation))
    values = MultiDict([*asked.args.items(multi=True), *asked.form.items(multi=True)])
    return dict(
        parser.parse(
            {
                "method": environ["REQUEST_METHOD"],
                "values": values,
                "headers": EnvironHeaders(environ),
                "body": body,
                "url_path": environ["PATH_INFO"],
                "url_params": params,
            }
        )
    )


def _serialized(service: str, operation: str, answer: Any) -> tuple[int, dict[str, str], bytes]:
    from moto.core.serialize import get_serializer_class

    model = _model(service)
    serializer = get_serializer_class(service, model.metadata["protocol"])
    done = serializer(operation_model=model.operation_model(operation)).serialize(answer)
    body = done["body"].encode() if isinstance(done["body"], str) else bytes(done["body"])
    return int(done["status_code"]), {**done["headers"], "Content-Length": str(len(body))}, body


def _values(kind: Recorded, request: Mapping[str, Any]) -> dict[str, Any]:
    """The members that a request gives a resource, by their names in the describe answer."""
    bodies = (kind.body, f"New{kind.body}") if kind.body else ()
    held = [request[body] for body in bodies if body in request]
    inner = [it[0] if isinstance(it, list) else it for it in held]
    given = {**request, **{name: value for it in inner for name, value in it.items()}}
    if "TagSpecifications" in given:  # EC2's way to say them at the creation
        given["Tags"] = given.pop("TagSpecifications")[0].get("Tags")
    return {
        kind.rename.get(name, name): value
        for name, value in given.items()
        if name not in NOT_MEMBERS and name not in bodies and value is not None
    }


def _flat(request: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Members by name, nested ones included, for templates."""
    found: dict[str, Any] = {}
    for name, value in request.items():
        if isinstance(value, Mapping):
            found |= {k: v for k, v in _flat(value).items() if k not in found}
        else:
            found[name] = value
    return found


def _key(kind: Recorded, request: Mapping[str, Any]) -> tuple[str, ...]:
    """An update may name the resource inside its body."""
    return tuple(
        str(
            jmespath.search(name, request)
            or jmespath.search(f"New{path}", request)
            or jmespath.search(path, request)
        )
        for name, path in kind.key.items()
    )


def _shown(model: Any, kind: Recorded, thing: Thing) -> dict[str, Any]:
    """The answer of an operation as far as its shape has members for the resource."""
    shape = model.output_shape
    if shape is None:
        return {}
    if kind.member and kind.member in shape.members:
        inner = shape.members[kind.member]
        return {kind.member: [thing.members] if inner.type_name == "list" else thing.members}
    single = kind.member.removesuffix("s")
    if kind.member and single in shape.members:
        return {single: thing.members}
    return {name: value for name, value in thing.members.items() if name in shape.members}
