"""Comparing inputs: what changed, what replaces, and what a refresh should believe."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from stacks.local.provider.aws.row import EVERYTHING, Believed, Row
from stacks.local.provider.backend import UNKNOWN, Change, ChangeKind, Properties

PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
INDEX = re.compile(r"\[\d+\]")
ALWAYS_UPDATABLE = ("tags",)


def same(before: Any, after: Any, *, ordered: bool = False) -> bool:
    """Equal as AWS sees it: policies as JSON, `"true"` as true, sets in any order."""
    if _absent(before) and _absent(after):
        return True
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = {*before, *after}
        return all(same(before.get(key), after.get(key), ordered=ordered) for key in keys)
    if isinstance(before, list) and isinstance(after, list):
        return _same_lists(before, after, ordered=ordered)
    if isinstance(before, (Mapping, list)) or isinstance(after, (Mapping, list)):
        return bool(_document(before) == _document(after))
    alike = before == after or _text(before) == _text(after)
    return bool(alike or _document(before) == _document(after))


def _same_lists(before: list[Any], after: list[Any], *, ordered: bool) -> bool:
    if not ordered and not any(isinstance(item, (dict, list)) for item in before + after):
        return sorted(map(_text, before)) == sorted(map(_text, after))
    pairs = zip(before, after, strict=False)
    return len(before) == len(after) and all(same(a, b, ordered=ordered) for a, b in pairs)


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, (dict, list)) and not value)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _document(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def changes(
    row: Row, old: Properties, new: Properties, whose: Believed = "here"
) -> tuple[Change, ...]:
    """Every input that differs, in the order of its path."""
    found = []
    for name in sorted({*old, *new}):
        if name.startswith("__"):  # notes that other providers leave in the state
            continue
        before, after = _given(row, old, name, name), _given(row, new, name, name)
        for path, kind in _walk(row, name, before, after):
            ours = _replaces(row, path, before, after)
            theirs = _official(row, path, _at(old, path), _at(new, path), old)
            replaces = _verdict(ours, theirs, whose)
            found.append(Change(path=path, kind=kind, replaces=replaces))
    return tuple(found)


def _given(row: Row, values: Mapping[str, Any], name: str, path: str) -> Any:
    value = values.get(name)
    return row.defaults.get(INDEX.sub("", path)) if _absent(value) else value


def _walk(row: Row, path: str, before: Any, after: Any) -> Iterator[tuple[str, ChangeKind]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            inner = f"{path}.{key}" if PLAIN_KEY.fullmatch(key) else f'{path}["{key}"]'
            yield from _walk(
                row, inner, _given(row, before, key, inner), _given(row, after, key, inner)
            )
    elif same(before, after, ordered=path in row.ordered) or _left_open(row, path, after):
        return
    elif path in row.keyed and _structures(before) and _structures(after):
        yield from _walk_keyed(row, path, before, after)
    elif _structures(before) or _structures(after):
        before, after = before or [], after or []
        for index in range(max(len(before), len(after))):
            left = before[index] if index < len(before) else None
            right = after[index] if index < len(after) else None
            yield from _walk(row, f"{path}[{index}]", left, right)
    else:
        yield path, "add" if _absent(before) else "delete" if _absent(after) else "update"


def _left_open(row: Row, path: str, after: Any) -> bool:
    return _absent(after) and INDEX.sub("", path) in row.computed


def _walk_keyed(
    row: Row, path: str, before: list[Any], after: list[Any]
) -> Iterator[tuple[str, ChangeKind]]:
    """Items by their key; the index is the new one, or the old one of what is removed."""
    key = row.keyed[path]
    old, new = ({item.get(key): (i, item) for i, item in enumerate(x)} for x in (before, after))
    for name in {**new, **old}:
        index, item = new.get(name) or (old[name][0], None)
        yield from _walk(row, f"{path}[{index}]", old.get(name, (0, None))[1], item)


def _structures(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def _replaces(row: Row, path: str, before: Any, after: Any) -> bool:
    plain = INDEX.sub("", path)
    root = plain.partition(".")[0]
    if root in row.replace_if:
        return row.replace_if[root](before, after)
    named = row.replace_on != EVERYTHING and any(
        plain == entry or plain.startswith(f"{entry}.") or entry.startswith(f"{plain}.")
        for entry in row.replace_on
    )
    if root in (*row.provider_only, *ALWAYS_UPDATABLE):
        return named
    return named or row.replace_on == EVERYTHING


def _official(row: Row, path: str, before: Any, after: Any, old: Properties) -> bool | None:
    """Whether the official provider replaces; None: it does as the row says."""
    plain = INDEX.sub("", path)
    for entry, decides in row.official.items():
        if plain == entry or plain.startswith(f"{entry}."):
            if isinstance(decides, bool):
                return decides
            return UNKNOWN in (before, after) or decides(before, after, old)  # it may
    return None


def _verdict(ours: bool, theirs: bool | None, whose: Believed) -> bool:
    if theirs is None or whose == "aws":
        return ours
    return theirs if whose == "official" else ours or theirs


def _at(values: Any, path: str) -> Any:
    """The value at a path of a change, or None."""
    for part in re.findall(r"[^.\[\]]+", path):
        if isinstance(values, Mapping):
            values = values.get(part)
        elif isinstance(values, list) and part.isdigit() and int(part) < len(values):
            values = values[int(part)]
        else:
            return None
    return values


def believed(wanted: Any, observed: Any, key: str = "") -> Any:
    """What a refresh reports: the wanted value where it holds, the observed one where not.

    What AWS adds on its own (defaults, computed members) is no drift, nor is another order of
    items that a key tells apart.
    """
    if key and isinstance(wanted, list) and isinstance(observed, list):
        order = {item.get(key): index for index, item in enumerate(wanted)}
        observed = sorted(observed, key=lambda item: order.get(item.get(key), len(order)))
    if _absent(observed):
        return wanted if _absent(wanted) else None
    if same(wanted, observed):
        return wanted
    if isinstance(wanted, Mapping) and isinstance(observed, Mapping):
        held = {key: believed(value, observed.get(key)) for key, value in wanted.items()}
        return {key: value for key, value in held.items() if value is not None}
    if isinstance(wanted, list) and isinstance(observed, list) and len(wanted) == len(observed):
        return [believed(*pair) for pair in zip(wanted, observed, strict=True)]
    return observed
