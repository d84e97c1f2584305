"""What Logs Insights answers to a query: commands joined by |, each of rows and to rows.

Source: CloudWatch Logs user guide, "CloudWatch Logs Insights language query syntax" and
"Supported logs and discovered fields". Commands that nobody built are refused by name.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyparsing as pp

from stacks.local.aws.logs.expressions import (
    NAME,
    REGEX,
    STRING,
    Evaluate,
    Event,
    MalformedQuery,
    field_of,
    grammar,
    word,
)
from stacks.local.aws.logs.functions import Timestamp, Value, number, text

MOST_ROWS = 10_000
"""Rows of an answer, also where no limit is given. Source: API reference, StartQuery, limit."""

OTHERS = (
    *("addtotals", "anomaly", "diff", "filterindex", "join", "lookup", "makeresults", "pattern"),
    *("source", "unmask", "unnest"),
)
"""Commands of the language that are not built here, in lower case."""

REPORT = re.compile(
    r"REPORT RequestId: (?P<requestId>\S+)\s+Duration: (?P<duration>[\d.]+) ms\s+"
    r"Billed Duration: (?P<billedDuration>[\d.]+) ms\s+Memory Size: (?P<memorySize>\d+) MB\s+"
    r"Max Memory Used: (?P<maxMemoryUsed>\d+) MB(?:\s+Init Duration: (?P<initDuration>[\d.]+) ms)?"
)
BORDER = re.compile(r"(?P<type>START|END|REPORT) RequestId: (?P<requestId>\S+)")
BYTES_PER_MB = 1_000_000
"""@memorySize and @maxMemoryUsed are bytes, of what the REPORT line calls MB."""


class NotBuilt(ValueError):
    """A command of the language that this local cloud does not answer."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Events or groups on their way through the commands, and the fields that are shown."""

    events: list[dict[str, Value]]
    shown: tuple[str, ...] = ()
    displayed: tuple[str, ...] | None = None
    grouped: bool = False
    sorted: bool = False
    pointers: Mapping[int, str] = field(default_factory=dict)


Command = Callable[[Rows], Rows]
Named = tuple[str, Evaluate]


def parsed(query: str) -> list[Command]:
    """The commands of a query. Raises MalformedQuery and NotBuilt."""
    try:
        return list(_query().parse_string(_without_comments(query), parse_all=True))
    except pp.ParseBaseException as error:
        begin = error.pstr.rfind("|", 0, error.loc + 1) + 1
        name = re.match(r"\s*([A-Za-z]+)", error.pstr[begin:])
        if name is not None and name[1].lower() in OTHERS:
            raise NotBuilt(f"the command {name[1]} of Logs Insights") from None
        raise MalformedQuery(f"unexpected symbol found at position {error.loc}") from None
    except RecursionError:
        raise MalformedQuery("it is nested too deeply") from None


def answered(commands: Sequence[Command], events: Sequence[Event]) -> list[dict[str, str]]:
    """Rows of field -> value as GetQueryResults tells them, the newest event first by default."""
    rows = Rows(events=[dict(event) for event in events])
    for command in commands:
        rows = command(rows)
    if not rows.grouped and not rows.sorted:
        rows = replace(rows, events=sorted(rows.events, key=_time, reverse=True))
    names = rows.displayed or rows.shown or ("@timestamp", "@message")
    return [_row(event, names, rows) for event in rows.events[:MOST_ROWS]]


def discovered(message: str, *, of_function: bool) -> dict[str, Value]:
    """Fields that are found in a message: those of a JSON object, those of a function's report."""
    try:
        found = json.loads(message) if message.lstrip().startswith("{") else None
    except (ValueError, RecursionError):
        found = None
    fields = found if isinstance(found, dict) else {}
    if of_function and (border := BORDER.match(message)) is not None:
        fields = {f"@{name}": value for name, value in border.groupdict().items()}
        report = REPORT.match(message)
        for name, value in (report.groupdict() if report else {}).items():
            if value is not None and name != "requestId":
                scale = BYTES_PER_MB if "emory" in name else 1
                fields[f"@{name}"] = (number(value) or 0) * scale
    return fields


def _time(event: Event) -> int:
    return int(event.get("@timestamp") or 0)


def _row(event: Event, names: Sequence[str], rows: Rows) -> dict[str, str]:
    found = {name: field_of(event, name) for name in dict.fromkeys(names)}
    told = {name: text(value) for name, value in found.items() if value is not None}
    return told if rows.grouped else {**told, "@ptr": str(event.get("@ptr", ""))}


def _without_comments(query: str) -> str:
    kept = re.findall(
        r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|/(?:[^/\\\n]|\\.)+/|#[^\n]*|.', query, re.S
    )
    return "".join("" if piece.startswith("#") else piece for piece in kept)


def _fields(tokens: Any) -> Command:
    """fields a, b + 1 as c"""
    named: list[Named] = list(tokens)

    def run(rows: Rows) -> Rows:
        return replace(_with(rows, named), shown=(*rows.shown, *(name for name, _ in named)))

    return run


def _display(tokens: Any) -> Command:
    named: list[Named] = list(tokens)
    return lambda rows: replace(_with(rows, named), displayed=tuple(name for name, _ in named))


def _with(rows: Rows, named: Sequence[Named]) -> Rows:
    events = [{**event, **{name: of(event, ()) for name, of in named}} for event in rows.events]
    return replace(rows, events=events)


def _filter(tokens: Any) -> Command:
    holds: Evaluate = tokens[0]
    return lambda rows: replace(rows, events=[one for one in rows.events if holds(one, ())])


def _sort(tokens: Any) -> Command:
    """sort a desc, b: the first is the most important; numbers before texts, what lacks it last."""
    keys: list[tuple[Evaluate, bool]] = list(tokens)

    def run(rows: Rows) -> Rows:
        events = rows.events
        for of, descending in reversed(keys):
            there = [one for one in events if of(one, ()) is not None]
            lacking = [one for one in events if of(one, ()) is None]
            key = functools.partial(_ordered, of)
            events = [*sorted(there, key=key, reverse=descending), *lacking]
        return replace(rows, events=events, sorted=True)

    return run


def _ordered(of: Evaluate, event: Event) -> tuple[int, float, str]:
    value = of(event, ())
    found = number(value)
    return (1, 0.0, text(value)) if found is None else (0, found, "")


def _limit(tokens: Any) -> Command:
    most = int(tokens[0])
    if not 1 <= most <= MOST_ROWS:
        raise MalformedQuery(f"limit must be from 1 to {MOST_ROWS}, got {most}")

    def run(rows: Rows) -> Rows:
        events = rows.events
        if not rows.grouped and not rows.sorted:
            events = sorted(events, key=_time, reverse=True)
        return replace(rows, events=events[:most], sorted=True)

    return run


def _dedup(tokens: Any) -> Command:
    names: list[Named] = list(tokens)

    def run(rows: Rows) -> Rows:
        events = rows.events
        if not rows.grouped and not rows.sorted:
            events = sorted(events, key=_time, reverse=True)
        first: dict[tuple[str, ...] | None, dict[str, Value]] = {}
        for event in events:
            values = [of(event, ()) for _, of in names]
            first.setdefault(None if None in values else tuple(map(text, values)), event)
        first.pop(None, None)
        return replace(rows, events=list(first.values()), sorted=True)

    return run


def _stats(tokens: Any) -> Command:
    """stats count(*) as n, avg(a) by b, bin(5m)"""
    aggregates: list[Named] = list(tokens[0])
    keys: list[Named] = list(tokens[1]) if len(tokens) > 1 else []
    names = tuple(name for name, _ in (*keys, *aggregates))

    def run(rows: Rows) -> Rows:
        groups: dict[tuple[str | None, ...], list[dict[str, Value]]] = {}
        for event in rows.events:
            values = [of(event, ()) for _, of in keys]
            key = tuple(None if one is None else text(one) for one in values)
            groups.setdefault(key, []).append(event)
        events = [dict(_group(keys, aggregates, group)) for group in groups.values()]
        return Rows(events=events, shown=names, grouped=True)

    return run


def _group(
    keys: Sequence[Named], aggregates: Sequence[Named], events: Sequence[Event]
) -> Iterator[tuple[str, Value]]:
    for name, of in keys:
        yield name, of(events[0], ())
    for name, of in aggregates:
        yield name, of(events[0], events)


def _parse(tokens: Any) -> Command:
    """parse @message "a * b *" as x, y; parse @message /(?<x>\\d+)/"""
    name = tokens.get("of", "@message")
    pattern, names = tokens["pattern"], list(tokens.get("names", ()))
    if isinstance(pattern, str):
        if pattern.count("*") != len(names):
            raise MalformedQuery(f"{pattern!r} has {pattern.count('*')} * for {len(names)} names")
        parts = ["(.*?)" if one == "*" else re.escape(one) for one in re.split(r"(\*)", pattern)]
        if parts and parts[-1] == "":
            parts.pop()
        ends = "$" if pattern.endswith("*") else ""
        pattern = re.compile("".join(parts) + ends, re.DOTALL)
    names = names or list(pattern.groupindex)

    def run(rows: Rows) -> Rows:
        return replace(
            rows, events=[{**one, **_taken(name, pattern, names, one)} for one in rows.events]
        )

    return run


def _taken(
    name: str, pattern: re.Pattern[str], names: Sequence[str], event: Event
) -> dict[str, Value]:
    value = field_of(event, name)
    found = None if value is None else pattern.search(text(value))
    if found is None:
        return {}
    return {name: one.strip() for name, one in zip(names, found.groups(), strict=False) if one}


@functools.cache
def _query() -> pp.ParserElement:
    expression = grammar()
    name = (NAME | STRING).copy()
    placed = pp.Group(pp.Located(expression))
    item = (placed + pp.Optional(pp.Suppress(word("as")) + name)).add_parse_action(_named)
    items = pp.DelimitedList(item)
    way = pp.Optional(pp.one_of("asc desc", caseless=True, as_keyword=True), default="asc")
    key = (expression + way).add_parse_action(lambda f: (f[0], f[1] == "desc"))
    by = pp.Optional(pp.Suppress(word("by")) + pp.Group(items))
    taken = pp.Optional(pp.Suppress(word("as")) + pp.Group(pp.DelimitedList(name))("names"))
    pattern = (REGEX | STRING)("pattern")
    commands = [
        (word("fields"), items, _fields),
        (word("display"), items, _display),
        (word("filter"), expression, _filter),
        (word("sort"), pp.DelimitedList(key), _sort),
        (word("limit"), pp.Regex(r"\d+"), _limit),
        (word("dedup"), items, _dedup),
        (word("stats"), pp.Group(items) + by, _stats),
        (word("parse"), pp.Optional(NAME("of")) + pattern + taken, _parse),
    ]
    command = pp.MatchFirst(
        [(pp.Suppress(head) + body).add_parse_action(of) for head, body, of in commands]
    )
    return pp.DelimitedList(command, delim="|")


def _named(text_: str, _place: int, tokens: Any) -> Named:
    """An expression by its name, or else by its own text."""
    start, (evaluate,), end = tokens[0]
    own = text_[start:end].strip()
    return (tokens[1] if len(tokens) > 1 else own.strip("`"), evaluate)


__all__ = ["MalformedQuery", "NotBuilt", "Timestamp", "answered", "discovered", "parsed"]
