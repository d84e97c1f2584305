"""moto's stores, safe to read while another request writes.

moto walks through what it keeps, such as every role before it creates one, and a request in another
thread then ends it: "dictionary changed size during iteration". Here every dictionary that a
backend keeps hands out copies to walk through.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from typing import Any


def install() -> None:
    """For backends that are made from now on."""
    from moto.core.base_backend import BaseBackend

    BaseBackend.__setattr__ = _set


def _set(backend: Any, name: str, value: Any) -> None:
    kind = STEADY.get(type(value))
    if kind is not None:
        made = kind(value.default_factory) if kind is SteadyDefaultDict else kind()
        made.update(value)
        value = made
    object.__setattr__(backend, name, value)


class SteadyDict(dict[Any, Any]):
    """A dictionary whose views are of a copy."""

    def _copy(self) -> dict[Any, Any]:
        while True:
            try:
                return dict(list(super().items()))
            except RuntimeError:  # the garbage collector ran in between, and with it other threads
                continue

    def __iter__(self) -> Iterator[Any]:
        return iter(self._copy())

    def keys(self) -> Any:
        return self._copy().keys()

    def values(self) -> Any:
        return self._copy().values()

    def items(self) -> Any:
        return self._copy().items()


class SteadyOrderedDict(SteadyDict, OrderedDict[Any, Any]):
    """The same of an ordered one."""


class SteadyDefaultDict(SteadyDict, defaultdict[Any, Any]):
    """The same of one that makes what is missing."""


STEADY: dict[type, type] = {
    dict: SteadyDict,
    OrderedDict: SteadyOrderedDict,
    defaultdict: SteadyDefaultDict,
}
