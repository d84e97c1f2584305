"""What differs between two values, leaf by leaf: through lists, and through JSON in text.

Equal is what means the same: an order that says nothing, the spelling of a number or a flag, the
blanks of a JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from policies.data import UNKNOWN
from policies.review.hidden import Hidden
from policies.review.shape import Malformed, once
from policies.review.yaml_text import NOTHING, opened, typed

IDENTITIES = (
    "name", "id", "sid", "key", "ruleid", "variantname", "alarmname", "arn", "logicalid",
    "statementid", "rulenumber", "priority", "devicename", "indexname", "sourcetype",
)  # fmt: skip
"""Members by which an element of a list is found again, in lower case."""


Ordered = Callable[[tuple[str, ...], Sequence[Any]], bool]
"""Whether the order of the list at this path means something."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value that differs, by its names from the outside in; None: nothing is there."""

    path: tuple[str, ...]
    old: Any
    new: Any
    reordered: bool = False
    """The same elements in another order."""
    alone: bool = False
    """What holds it is there on one side only."""
    last: bool = False
    """It is an element of a list, and that list, of something that stays, is empty now."""
    first: bool = False
    """It is an element of a list that was empty before, or not there."""
    appended: bool = False
    """It is a new element of a list, behind all that were there."""
    beside: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """What stands next to it now, such as the operator of a threshold."""

    @property
    def name(self) -> str:
        """The last name of the path that is none of a list's."""
        return next((name for name in reversed(self.path) if name[:1] != "["), "")

    @property
    def text(self) -> str:
        """`rules[one].port`."""
        return ".".join(self.path).replace(".[", "[")


def leaves(
    old: Any, new: Any, path: tuple[str, ...], ordered: Ordered, *, alone: bool = False
) -> Iterator[Leaf]:
    """Every difference; `alone`: what holds these is there on one side only."""
    if path in FILES:
        old, new = _files(old), _files(new)
    old, new = _opened(old), _opened(new)
    if same(old, new):
        return
    old, new = opened(path, old, new)
    if not isinstance(old, str) and same(old, new):
        return
    if isinstance(old, Mapping) or isinstance(new, Mapping):
        yield from _of_mappings(old, new, path, ordered, alone=alone)
    elif isinstance(old, list) or isinstance(new, list):
        yield from _of_lists(old, new, path, ordered, alone=alone)
    else:
        yield Leaf(path, old, new, alone=alone)


FILES = (("data",), ("stringData",))
"""Places of texts that a program reads as they are (API references of ConfigMap and Secret): what
is empty there is not what is missing, and a word in quotes is no flag and no number."""


def _files(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: _file(text) for name, text in value.items()}


def _file(text: Any) -> Any:
    if not isinstance(text, str) or isinstance(text, Hidden):
        return text
    if text.strip()[:1] not in ("{", "["):
        return text or NOTHING
    try:
        return typed(json.loads(text, object_pairs_hook=once))
    except Malformed:
        return [text]  # a name stands twice, and readers take the one or the other
    except (ValueError, RecursionError):
        return text


def _of_mappings(
    old: Any, new: Any, path: tuple[str, ...], ordered: Ordered, *, alone: bool
) -> Iterator[Leaf]:
    sides = [{} if side in (None, "") else side for side in (old, new)]
    if not all(isinstance(side, Mapping) for side in sides):
        yield Leaf(path, old, new)
        return
    before, after = sides
    if not before or not after:
        yield Leaf(path, old, new, alone=alone)
    alone = alone or None in (old, new)
    for key in sorted({*before, *after}, key=str):
        inner = (*path, str(key))
        for leaf in leaves(before.get(key), after.get(key), inner, ordered, alone=alone):
            yield replace(leaf, beside=after or before) if leaf.path == inner else leaf


def _of_lists(
    old: Any, new: Any, path: tuple[str, ...], ordered: Ordered, *, alone: bool
) -> Iterator[Leaf]:
    if UNKNOWN in (old, new):
        yield Leaf(path, old, new)
        return
    sides = [_elements(side) for side in (old, new)]
    gone, come = unmatched(*sides)
    if not gone and not come:
        if ordered(path, sides[0]):
            yield Leaf(path, old, new, reordered=True)
        return
    last = not sides[1] and not alone
    appended = not gone and [*map(_canonical, sides[1])] == [*map(_canonical, [*sides[0], *come])]
    for before, after in _pairs(gone, come):
        mark = _identity(before) or _identity(after)
        inner = (*path, f"[{mark.partition('=')[2]}]")
        if isinstance(before, Mapping | list) or isinstance(after, Mapping | list):
            for leaf in leaves(before, after, inner, ordered):
                yield replace(leaf, last=last, appended=appended) if leaf.path == inner else leaf
        else:
            empty = not sides[0], not sides[1]
            yield Leaf(inner, before, after, alone=empty[1], last=last, first=empty[0])


def _elements(side: Any) -> list[Any]:
    if side is None or side == "":
        return []
    return list(side) if isinstance(side, list) else [side]


def unmatched(old: Sequence[Any], new: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The elements of either that the other does not have, each as often as it has it more."""
    left: dict[str, list[Any]] = {}
    for item in new:
        left.setdefault(_canonical(item), []).append(item)
    gone = []
    for item in old:
        found = left.get(_canonical(item))
        if found:
            found.pop()
        else:
            gone.append(item)
    return gone, [item for found in left.values() for item in found]


def _pairs(gone: list[Any], come: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Elements that are the same one before and after, then those that go and those that come."""
    rest = list(come)
    alone = len(gone) == len(come) == 1
    for item in gone:
        mark = _identity(item)
        other = next((each for each in rest if mark and _identity(each) == mark), None)
        if other is None and isinstance(item, str):
            other = next((each for each in rest if _in_another_case(item, each)), None)
        if other is None and alone and isinstance(item, Mapping) == isinstance(rest[0], Mapping):
            other = rest[0]
        if other is not None:
            rest.remove(other)
        yield item, other
    for item in rest:
        yield None, item


def _in_another_case(item: str, other: Any) -> bool:
    plain = isinstance(other, str) and not isinstance(item, Hidden)
    return plain and not isinstance(other, Hidden) and item.lower() == other.lower()


def _identity(item: Any) -> str:
    if not isinstance(item, Mapping):
        return ""
    lower = {str(key).lower(): value for key, value in item.items()}
    if lower.keys() == {"type", "value"}:  # such as Batch's ResourceRequirement
        return f"type={lower['type']}"
    return next((f"{key}={lower[key]}" for key in IDENTITIES if lower.get(key)), "")


def same(old: Any, new: Any) -> bool:
    """Whether two values mean the same; an unknown one is like no other."""
    if UNKNOWN in (old, new) if not isinstance(old, list | Mapping) else False:
        return False
    if old == new and type(old) is type(new):
        return True
    return _canonical(old) == _canonical(new)


def _canonical(value: Any) -> str:
    """One spelling of what means the same; an unknown value is like no other."""
    return json.dumps(_spelled(value), sort_keys=True, default=lambda odd: f"?{id(odd)}")


def _spelled(value: Any) -> Any:
    if isinstance(value, Hidden):
        return f"secret {value.mark.hex()}"
    value = _opened(value)
    if isinstance(value, Mapping):
        spelled = {str(key): _spelled(item) for key, item in value.items()}
        return {key: item for key, item in spelled.items() if item not in (None, "")}
    if isinstance(value, list):
        return [_spelled(item) for item in value]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(int(value) if float(value).is_integer() else value)
    return value


def _opened(value: Any) -> Any:
    """What a text of JSON holds; a text that is none stays what it is."""
    text = value.strip() if isinstance(value, str) else ""
    if text and text[0] in "{[" and text[-1] in "}]":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return value
    return value
