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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType
from typing import IO, Any

from stacks.local.keeping import forms
from stacks.local.keeping.bodies import Bodies
from stacks.local.keeping.forms import REDUCES, RESTORES, CannotKeep, Refused
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


@dataclass(frozen=True, kw_only=True)
class Dumped:
    """What a snapshot needs to be read again."""

    fields: Mapping[str, list[str]]
    """Class of ours -> what its instances hold."""

    bodies: list[str]
    """Names of the bodies that lie beside it."""

    left_out: Mapping[str, str]
    """Backend of moto that has no form that can be kept -> what stands in the way."""


def dump(places: Mapping[str, Place], bodies: Bodies, out: IO[bytes]) -> Dumped:
    """Write the members of every place.

    What of moto has no form is left out and named; CannotKeep where it is ours.
    """
    left_out: dict[str, str] = {}
    try:
        return _dump([*places], places, bodies, out, left_out)
    except CannotKeep:
        for name in places:
            try:
                _dump([name], places, bodies, io.BytesIO(), left_out)
            except CannotKeep as error:
                if not name.startswith("moto."):
                    raise
                left_out[name] = f"{error}"
        out.truncate(0)
        out.seek(0)
        return _dump(
            [name for name in places if name not in left_out], places, bodies, out, left_out
        )


def _dump(
    names: Sequence[str],
    places: Mapping[str, Place],
    bodies: Bodies,
    out: IO[bytes],
    left_out: Mapping[str, str],
) -> Dumped:
    pickler = _Pickler(out, places, bodies)
    try:
        pickler.dump({name: members(name, places[name]) for name in names})
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
        raise CannotKeep(f"{error}") from error
    return Dumped(fields=pickler.fields, bodies=sorted(pickler.named), left_out=left_out)


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
        self._policies = forms.aws_policies()
        self._bodies = bodies
        self.fields: dict[str, list[str]] = {}
        self.named: set[str] = set()

    def reducer_override(self, thing: Any) -> Any:
        kind = type(thing)
        if id(thing) in self._places:
            return forms.place, (self._places[id(thing)],)
        if id(thing) in self._policies:
            return forms.aws_policy, (*self._policies[id(thing)], thing.attachment_count)
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name == "moto.s3.models.FakeKey":
            kept = self._members_of_object(thing)
            return forms.new_object, (), kept, None, None, forms.fill_object
        if name in REDUCES:
            return REDUCES[name](thing)
        if isinstance(thing, dict) and name.startswith("moto."):
            return forms.reduce_mapping(thing)
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
        if module == forms.__name__ and name in RESTORES:
            return getattr(self, f"_{name}", RESTORES[name])
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
