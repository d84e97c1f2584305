"""What rules ask of single properties, as data: what must hold and how to say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from policies.data import Data
from policies.rule import Fail, every


@dataclass(frozen=True, slots=True)
class Must:
    """One demand on one value."""

    says: str
    holds: Callable[[Any], bool]


SET = Must("must be set", lambda value: value not in (None, "", [], {}))
OWN_KEY = Must(
    "must be a key of the account",
    lambda value: SET.holds(value) and "alias/aws/" not in str(value),
)
"""AWS's own keys, whose policies nobody changes, are named `alias/aws/...`."""

ON = Must("must be true", lambda value: value in (True, "true"))
OFF = Must("must not be true", lambda value: value not in (True, "true"))
"""For what AWS leaves off where a program says nothing; some flags are texts."""


def one_of(*allowed: Any) -> Must:
    """The value is one of these; None among them stands for AWS's own default."""
    named = [_told(value) for value in allowed if value is not None]
    says = f"must be one of {', '.join(named)}" if len(named) > 1 else f"must be {named[0]}"
    return Must(says, lambda value: value in allowed)


def at_least(least: int) -> Must:
    """The value is a number that is not smaller."""
    return Must(f"must be at least {least}", lambda value: float(value or 0) >= least)


def at_most(most: int) -> Must:
    """The value is a number that is not larger."""
    return Must(f"must be at most {most}", lambda value: float(value or 0) <= most)


def meets(data: Data, wanted: Mapping[str, Must]) -> Fail | None:
    """Fails with every property that is not as wanted; `rules[].x` means x of each of the rules.

    A list without elements is judged as one element without values.
    """
    return every(wanted.items(), lambda item: _meets(data, *item))


def _meets(data: Data, path: str, must: Must) -> Fail | None:
    listed, _, rest = path.partition("[].")
    if rest and (items := data.each(*listed.split("."))):
        return every(items, lambda item: _meets(item, rest, must))
    value = None if rest else data.get(*path.split("."))
    if must.holds(value):
        return None
    where = f"{data.path}.{path}" if data.path else path
    return Fail(f"{where} {must.says}, got {_told(value)}")


def _told(value: Any) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
