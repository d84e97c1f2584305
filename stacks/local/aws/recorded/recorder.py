"""Answers the operations of `KINDS` in front of moto; everything else goes through to it.

Requests are read and answers written by moto's own parsers and serializers of AWS's protocols, from
botocore's service models: a kind is data, whatever its protocol.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import jmespath

from stacks.local.aws import service_linked_roles
from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.protocols import (
    AnswerError,
    error_of,
    model_of,
    operation_of,
    parsed,
    serialized,
    signed_for,
)
from stacks.local.aws.recorded.recorded import Recorded
from stacks.local.aws.recorded.table import KINDS
from stacks.local.aws.recorded.tagging import TAG_OPERATIONS, retag, tagged

NOT_MEMBERS = frozenset({"clientRequestToken", "ClientRequestToken", "ClientToken", "clientToken"})

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]


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


After = Callable[[Store, Mapping[str, Any]], Mapping[str, Any] | None]
"""What happens once a request, of these members, was done; members of its answer, if it has any."""


Answer = Callable[[Store, Mapping[str, Any]], Mapping[str, Any]]
"""Answers one operation; AnswerError refuses it."""


@dataclass
class Recorder:
    """The WSGI application; `fallback` answers what no kind has."""

    fallback: Application
    region: str
    store: Store = field(default_factory=Store)
    operations: Mapping[tuple[str, str], Answer] = field(default_factory=dict)
    """Service and operation -> what answers it though no kind has it. Default: nothing."""

    after: Mapping[tuple[str, str], After] = field(default_factory=dict)
    """Service and operation -> what comes after it. Default: nothing ever does."""

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        name = signed_for(environ)
        own = frozenset(operation for of, operation in self.operations if of == name)
        service = name if own else _services().get(name)
        known = own or (_answered(service) if service else own)
        operation = operation_of(service, environ, known) if service else None
        if service is None or operation is None:
            return self.fallback(environ, start)
        request = parsed(service, operation, environ, known)
        arn = tagged(operation, request)
        if arn is not None and self.store.by_arn(service, arn) is None:
            return self.fallback(environ, start)
        try:
            answer: Any = self.answer(service, operation, request, arn)
        except AnswerError as error:
            answer = error
        status, headers, body = serialized(service, operation, answer)
        start(f"{status} {'OK' if status < 300 else 'Error'}", list(headers.items()))
        return [body]

    def answer(
        self, service: str, operation: str, request: dict[str, Any], arn: str | None = None
    ) -> dict[str, Any]:
        """Do what was asked, and what comes after it; `arn`: whose tags are meant."""
        with self.store.lock:
            answer = self._answer(service, operation, request, arn)
            then = self.after.get((service, operation))
            if then is not None:
                answer = {**answer, **(then(self.store, request) or {})}
        return answer

    def _answer(
        self, service: str, operation: str, request: dict[str, Any], arn: str | None
    ) -> dict[str, Any]:
        if arn is not None:
            thing = self.store.by_arn(service, arn)
            assert thing is not None
            model = model_of(service)
            return retag(model, operation, thing.members, thing.kind.tags, request)
        if (own := self.operations.get((service, operation))) is not None:
            return dict(own(self.store, request))
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
            raise error_of(kind.exists, f"{kind.name} {'/'.join(key)} already exists")
        if kind.linked_service:
            service_linked_roles.ensure(kind.linked_service.format_map(facts))
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
            raise error_of(kind.missing, f"{kind.name} {'/'.join(key)} does not exist")
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
    return {model_of(kind.service).signing_name: kind.service for kind in KINDS}


def service_operation(kind: Recorded, operation: str) -> Any:
    """botocore's model of an operation."""
    return model_of(kind.service).operation_model(operation)


@functools.cache
def _answered(service: str) -> frozenset[str]:
    known = {operation for of, operation in _acts() if of == service}
    tagging = set(TAG_OPERATIONS) & set(model_of(service).operation_names)
    return frozenset(known | tagging)


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
