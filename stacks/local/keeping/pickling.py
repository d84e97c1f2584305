"""The objects of a cloud as bytes and back: shared ones stay shared, what cannot be kept is new.

Of a place (`places.py`) its members are kept, and what refers to the place refers to that of the
new cloud. Locks are open again, keys of cryptography are DER, bodies of objects lie beside the
snapshot, processes are gone. Only what `CLASSES` and `ROOMS` name comes back, so that nothing runs
that a file asks for; that it is a file of this home is checked before (`snapshots.py`).
"""

from __future__ import annotations

import io
import pickle
import tempfile
import threading
import weakref
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import BuiltinFunctionType, FunctionType
from typing import IO, Any

from stacks.local.keeping.bodies import Bodies
from stacks.local.keeping.places import Place, members, moto_place

ROOMS = ("moto.", "pipelines.executor.", "stacks.local.")
"""Modules all of whose classes may come back."""

CLASSES = frozenset(
    {
        "builtins.bytearray",
        "builtins.complex",
        "builtins.dict",
        "builtins.frozenset",
        "builtins.int",
        "builtins.list",
        "builtins.set",
        "collections.Counter",
        "collections.OrderedDict",
        "collections.defaultdict",
        "collections.deque",
        "copyreg._reconstructor",
        "datetime.date",
        "datetime.datetime",
        "datetime.time",
        "datetime.timedelta",
        "datetime.timezone",
        "dateutil.tz.tz.tzlocal",
        "dateutil.tz.tz.tzoffset",
        "dateutil.tz.tz.tzutc",
        "decimal.Decimal",
        "ipaddress.IPv4Address",
        "ipaddress.IPv4Network",
        "ipaddress.IPv6Address",
        "ipaddress.IPv6Network",
        "pathlib.PosixPath",
        "re._compile",
        "uuid.UUID",
        "zoneinfo.ZoneInfo",
        "zoneinfo.ZoneInfo._unpickle",
    }
)
"""What of Python's own may come back."""


OF_BUFFER = ("_value_buffer", "lock")
"""Members of an object of moto's S3 that are new in another cloud."""


class CannotKeep(Exception):
    """Something of the cloud has no form that can be kept; the text says what."""


class Refused(Exception):
    """A file asks for what no snapshot of ours holds."""


@dataclass(frozen=True, kw_only=True)
class Dumped:
    """What a snapshot needs to be read again."""

    fields: Mapping[str, list[str]]
    """Class of ours -> what its instances hold."""

    bodies: list[str]
    """Names of the bodies that lie beside it."""


def dump(places: Mapping[str, Place], bodies: Bodies, out: IO[bytes]) -> Dumped:
    """Write the members of every place."""
    pickler = _Pickler(out, places, bodies)
    try:
        pickler.dump({name: members(name, place) for name, place in places.items()})
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
        raise CannotKeep(f"{error}") from error
    return Dumped(fields=pickler.fields, bodies=sorted(pickler.named))


def load(content: bytes, places: Mapping[str, Place], bodies: Bodies) -> dict[str, dict[Any, Any]]:
    """The members by the name of the place; `places` of ours, those of moto are found."""
    found: dict[str, dict[Any, Any]] = _Unpickler(content, places, bodies).load()
    return found


def fields_of(kind: type) -> list[str]:
    """What instances of a class of ours hold, by its declaration."""
    return sorted(getattr(kind, "__dataclass_fields__", ()))


CALLABLES = (type, FunctionType, BuiltinFunctionType)


def _may_come_back(what: Any) -> bool:
    """Whether a class is one of those, or a function makes what is written in a form of ours."""
    if not isinstance(what, CALLABLES):
        return False
    name = f"{what.__module__}.{what.__qualname__}"
    if isinstance(what, type):
        return name in CLASSES or name.startswith(ROOMS)
    return name in CLASSES or RESTORES.get(what.__name__) is what


class _Pickler(pickle.Pickler):
    def __init__(self, out: IO[bytes], places: Mapping[str, Place], bodies: Bodies) -> None:
        super().__init__(out, protocol=5)
        self._places = {id(place): name for name, place in places.items()}
        self._policies = _aws_policies()
        self._bodies = bodies
        self.fields: dict[str, list[str]] = {}
        self.named: set[str] = set()

    def reducer_override(self, thing: Any) -> Any:
        kind = type(thing)
        if id(thing) in self._places:
            return _place, (self._places[id(thing)],)
        if id(thing) in self._policies:
            return _aws_policy, (*self._policies[id(thing)], thing.attachment_count)
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name == "moto.s3.models.FakeKey":
            return _object, (), self._members_of_object(thing), None, None, _fill_object
        if name in REDUCES:
            return REDUCES[name](thing)
        if isinstance(thing, dict) and name.startswith("moto."):
            return _mapping, (kind,), _kept_of_mapping(thing), None, None, _fill_mapping
        if name.startswith("stacks."):
            self.fields.setdefault(name, fields_of(kind))
        if isinstance(thing, CALLABLES) and not _may_come_back(thing):
            raise CannotKeep(f"{thing!r:.200} is nothing that may come back")
        return NotImplemented

    def _members_of_object(self, key: Any) -> dict[str, Any]:
        body = self._bodies.of(key)
        if isinstance(body, str):
            self.named.add(body)
        kept = {name: value for name, value in vars(key).items() if name not in OF_BUFFER}
        return {**kept, "body": body}


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, places: Mapping[str, Place], bodies: Bodies) -> None:
        super().__init__(io.BytesIO(content))
        self._places = places
        self._bodies = bodies

    def find_class(self, module: str, name: str) -> Any:
        if module == __name__ and name in RESTORES:
            return getattr(self, name, RESTORES[name])
        if f"{module}.{name}" in CLASSES or module.startswith(ROOMS):
            found = super().find_class(module, name)
            if f"{module}.{name}" in CLASSES or _may_come_back(found):
                return found
        raise Refused(f"{module}.{name} is nothing that a snapshot holds")

    def _place(self, name: str) -> Place:
        return self._places[name] if name in self._places else moto_place(name)

    def _fill_object(self, key: Any, kept: dict[str, Any]) -> None:
        body = kept.pop("body")
        vars(key).update(kept, lock=threading.Lock())
        key._value_buffer = tempfile.SpooledTemporaryFile(key._max_buffer_size)  # noqa: SIM115
        if isinstance(body, bytes):
            key._value_buffer.write(body)
        else:
            self._bodies.copy(body, key._value_buffer)


# -- what is written in a form of ours, and how it comes back ----------------------------------


def _place(name: str) -> Place:
    raise Refused(f"{name} is known to the cloud that loads it alone")


def _fill_object(key: Any, kept: dict[str, Any]) -> None:
    raise Refused(f"{key} is filled by the cloud that loads it alone")


def _object() -> Any:
    from moto.s3.models import FakeKey

    return FakeKey.__new__(FakeKey)


def _aws_policies() -> dict[int, tuple[str, str]]:
    """Account and ARN of AWS's own managed policies: every cloud has the same ones."""
    from moto.iam.models import iam_backends

    return {
        id(policy): (account, policy.arn)
        for account, partitions in list(iam_backends.items())
        for backend in list(partitions.values())
        for policy in backend.aws_managed_policies
    }


def _aws_policy(account: str, arn: str, attachment_count: int) -> Any:
    from moto.iam.models import iam_backends

    policy = iam_backends[account][arn.split(":")[1]].managed_policies[arn]
    policy.attachment_count = attachment_count
    return policy


def _lock() -> Any:
    return threading.Lock()


def _rlock() -> Any:
    return threading.RLock()


def _condition() -> threading.Condition:
    return threading.Condition()


def _event(is_set: bool) -> threading.Event:
    event = threading.Event()
    if is_set:
        event.set()
    return event


def _private_key(der: bytes) -> Any:
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    return load_der_private_key(der, password=None)


def _der(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    der: bytes = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return der


def _backends(module: str, name: str) -> Any:
    import importlib

    from moto.core.base_backend import BackendDict

    found = getattr(importlib.import_module(module), name, None)
    if not (module.startswith("moto.") and isinstance(found, BackendDict)):
        raise Refused(f"{module}.{name} is no service of moto")
    return found


def _reduce_backends(backends: Any) -> Any:
    import importlib

    module = importlib.import_module(backends.backend.__module__)
    name = next(name for name, value in vars(module).items() if value is backends)
    return _backends, (module.__name__, name)


def _account(backends: Any, account_id: str) -> Any:
    return backends[account_id]


def _reduce_account(regions: Any) -> Any:
    from moto.core.base_backend import BackendDict

    owner = next(of for of in BackendDict._instances if of.get(regions.account_id) is regions)
    return _account, (owner, regions.account_id)


def _recorded(service: str, name: str) -> Any:
    from stacks.local.aws.recorded.table import KINDS

    return next(kind for kind in KINDS if (kind.service, kind.name) == (service, name))


def _weak_values() -> Any:
    return weakref.WeakValueDictionary()


def _reduce_weak_values(held: Any) -> Any:
    return _weak_values, (), None, None, iter(list(held.items()))


def _defaults(depth: int, steady: bool = False) -> Any:
    """A dictionary that makes dictionaries of what is missing, that many levels deep."""
    from stacks.local.aws.moto_thread_safety import SteadyDefaultDict

    kind = SteadyDefaultDict if steady else defaultdict
    return kind(dict if depth == 1 else partial(_defaults, depth - 1))


def _reduce_defaults(held: Any) -> Any:
    """moto gives some of them a function without a name, which returns a dictionary."""
    factory, depth = held.default_factory, 1
    if not isinstance(factory, FunctionType | partial):
        return NotImplemented
    made = factory()
    while type(made) is defaultdict and made.default_factory is not None:
        made, depth = made.default_factory(), depth + 1
    if made != {}:
        raise CannotKeep(f"a dictionary whose missing values are {made!r}")
    return _defaults, (depth, type(held) is not defaultdict), None, None, iter([*held.items()])


def _method(owner: Any, name: str) -> Any:
    """A method that moto put among its data."""
    if not (type(owner).__module__.startswith("moto.") and name.isidentifier()):
        raise Refused(f"{name} of {type(owner)} is no method of moto's")
    return getattr(owner, name)


def _mapping(kind: type) -> Any:
    """A dictionary of moto's, whose own ways to fill and to show it are not those of a dictionary:
    S3's keeps versions, and shows the last ones."""
    if not (issubclass(kind, dict) and kind.__module__.startswith("moto.")):
        raise Refused(f"{kind} is no dictionary of moto's")
    return kind.__new__(kind)


def _kept_of_mapping(held: Any) -> tuple[dict[Any, Any], dict[str, Any], Any]:
    return dict(dict.items(held)), vars(held), getattr(held, "default_factory", None)


def _fill_mapping(held: Any, kept: tuple[dict[Any, Any], dict[str, Any], Any]) -> None:
    dict.update(held, kept[0])
    vars(held).update(kept[1])
    if kept[2] is not None:
        held.default_factory = kept[2]


def _gone() -> None:
    """A process, which ended with its cloud."""


REDUCES: Mapping[str, Callable[[Any], Any]] = {
    "_thread.lock": lambda _: (_lock, ()),
    "_thread.RLock": lambda _: (_rlock, ()),
    "threading.Condition": lambda _: (_condition, ()),
    "builtins.method": lambda bound: (_method, (bound.__self__, bound.__name__)),
    "collections.defaultdict": _reduce_defaults,
    "stacks.local.aws.moto_thread_safety.SteadyDefaultDict": _reduce_defaults,
    "weakref.WeakValueDictionary": _reduce_weak_values,
    "threading.Event": lambda event: (_event, (event.is_set(),)),
    "moto.core.base_backend.AccountSpecificBackend": _reduce_account,
    "moto.core.base_backend.BackendDict": _reduce_backends,
    "stacks.local.aws.recorded.recorded.Recorded": lambda kind: (
        _recorded,
        (kind.service, kind.name),
    ),
    "stacks.local.aws.sagemaker.mlflow_app.Server": lambda _: (_gone, ()),
    **{
        f"cryptography.hazmat.bindings._rust.openssl.{kind}": lambda key: (
            _private_key,
            (_der(key),),
        )
        for kind in ("rsa.RSAPrivateKey", "ec.ECPrivateKey", "ed25519.Ed25519PrivateKey")
    },
}
"""Class -> how an instance is written: a function of this module and what it is called with."""

RESTORES: Mapping[str, Callable[..., Any]] = {
    restore.__name__: restore
    for restore in (
        _account,
        _aws_policy,
        _backends,
        _condition,
        _defaults,
        _event,
        _fill_object,
        _gone,
        _fill_mapping,
        _lock,
        _mapping,
        _method,
        _object,
        _place,
        _private_key,
        _recorded,
        _rlock,
        _weak_values,
    )
}
"""What makes again what is written in a form of ours."""
