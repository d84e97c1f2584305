"""Generated requests to the inference server, each with what an honest reader makes of it.

A request is drawn from a kind. Some kinds are right or wrong by how they are made; of bodies with
random changes, readers of a few lines that share no code with the server say whether they are.
"""

from __future__ import annotations

import csv
import io
import json
import math
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.kits.serving import CSV, JSON, LINES

LIMIT_BYTES = 6_291_456
Random = random.Random


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request, and whether it may be answered with a prediction."""

    kind: str
    body: bytes
    content_type: str = JSON
    accept: str = ""
    good: bool


def record(rng: Random) -> dict[str, Any]:
    """One that keeps the signature."""
    return {
        "carrier": rng.choice(["AA", "UA", "ZZ", "", "é\u2028", "\U0001f6eb" * 3]),
        "distance": rng.choice([0, -0.0, rng.uniform(-1e9, 1e9), rng.randrange(10**15), 1e300]),
        "wind": rng.choice([None, 3.5, -1e-300, rng.gauss(0, 1)]),
    }


def records(rng: Random) -> list[dict[str, Any]]:
    return [record(rng) for _ in range(rng.choice([1, 1, 1, 2, 5, 40]))]


def as_json(rng: Random, document: Any) -> bytes:
    text = json.dumps(document, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, None, 1]))
    return (rng.choice(["", "", "\ufeff", " \r\n\t"]) + text).encode()


def good_json(rng: Random) -> tuple[bytes, str]:
    items = records(rng)
    document = rng.choice([items, {"records": items}, items[0]])
    return as_json(rng, document), rng.choice([JSON, f"{JSON}; charset=UTF-8", JSON.upper()])


def good_lines(rng: Random) -> tuple[bytes, str]:
    return "\n".join(json.dumps(item) for item in records(rng)).encode(), LINES


def good_csv(rng: Random) -> tuple[bytes, str]:
    names = ["carrier", "distance", "wind"]
    named = rng.random() < 0.5
    if named:
        rng.shuffle(names)
    out = io.StringIO()
    ending = rng.choice(["\n", "\r\n"])
    writer = csv.writer(out, lineterminator=ending)
    if rng.random() < 0.5:
        writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator=ending)
    if named:
        writer.writerow(names)
    for item in records(rng):
        item["carrier"] = item["carrier"] or 'quo"ted, and\nmore'
        writer.writerow([item[name] for name in names])
    return out.getvalue().encode(), f"{CSV}; header=present" if named else CSV


Maker = Callable[[Random], tuple[bytes, str]]


def broken(change: Callable[[Random, dict[str, Any]], Any]) -> Maker:
    """JSON whose last record is changed to one that must be refused."""

    def made(rng: Random) -> tuple[bytes, str]:
        items: list[Any] = records(rng)
        items[-1] = change(rng, items[-1])
        return json.dumps({"records": items}).encode(), JSON

    return made


def spliced(*texts: str) -> Maker:
    """JSON with raw text in place of a value."""

    def made(rng: Random) -> tuple[bytes, str]:
        raw = json.dumps([record(rng) | {"wind": "@@"}]).replace('"@@"', rng.choice(texts))
        return raw.encode(), rng.choice([JSON, JSON, f"{JSON};charset=utf-8"])

    return made


def lines_of(*texts: str, content_type: str = CSV) -> Maker:
    """One of these texts, after some good rows."""

    def made(rng: Random) -> tuple[bytes, str]:
        return ("UA,1,1\n" * rng.randrange(3) + rng.choice(texts)).encode(), content_type

    return made


def big(rng: Random) -> tuple[bytes, str]:
    """A body of up to the limit that costs a careless reader more than it costs to send."""
    size = rng.choice([1_700_000, LIMIT_BYTES])
    pairs = (f'"{number}":0,' for number in range(size // 10))
    bodies: list[tuple[Callable[[], str], str]] = [
        (lambda: "[{" + "".join(pairs) + f'"{size // 10 - 1}":1}}]', JSON),
        (lambda: "{" + '"a":0,' * (size // 6 - 2) + '"a":1}', JSON),
        (lambda: "[" * size, JSON),
        (lambda: "[" + "[]," * (size // 3 - 2) + "[]]", JSON),
        (lambda: "[" + "9" * 4000 + ("," + "9" * 4000) * (size // 4001 - 2) + "]", JSON),
        (lambda: '{"carrier":"' + "\\u00e9" * (size // 6 - 9) + '"}', JSON),
        (lambda: "," * size, CSV),
        (lambda: '"' + '""' * (size // 2 - 2) + '",1,1', CSV),
        (lambda: 'a"' * (size // 2), CSV),
        (lambda: "\n" * size, CSV),
        (lambda: "\n" * size, LINES),
        (lambda: "a," * (size // 2), f"{CSV}; header=present"),
    ]
    text, content_type = rng.choice(bodies)
    return text().encode(), content_type


DEEP = ("[" * 3000 + "]" * 3000, '{"a":' * 3000 + "1" + "}" * 3000)
OF_ANOTHER_KIND: tuple[Any, ...] = (True, "5", [1], {}, "", [[]])
WRONG: Mapping[str, Maker] = {
    "field given twice": spliced('1,"wind":2', '1, "\\u0077ind" : 1', '1,"carrier":"AA"'),
    "no number of JSON": spliced("NaN", "-Infinity", "01", "+1", "1.", ".5", "1_0", "0x1", "٣"),
    "no finite number": spliced("1e999", "-1e400", "9" * 400, "9" * 5000),
    "no value": spliced("", "'1'", "nil", "undefined", "{", "1}", "//1", '"a\nb"', '"\\x41"'),
    "nesting": spliced(*DEEP),
    "missing field": broken(lambda rng, item: dict(list(item.items())[rng.randrange(2) :][1:])),
    "unknown field": broken(lambda rng, item: item | {rng.choice(["windy", "", "Wind"]): 1}),
    "another kind": broken(lambda rng, item: item | {"distance": rng.choice(OF_ANOTHER_KIND)}),
    "no text": broken(lambda rng, item: item | {"carrier": rng.choice([1, None, [], True])}),
    "null": broken(lambda rng, item: item | {"distance": None}),
    "no object": broken(lambda rng, item: rng.choice([[], 1, "a", None, True, list(item)])),
    "cut JSON": lambda rng: (good_json(rng)[0].rstrip()[:-1], JSON),
    "two documents": lambda rng: (json.dumps(record(rng)).encode() * 2, JSON),
    "other bytes": lambda rng: (good_json(rng)[0] + rng.choice([b"\xff", b"\xc0\x80"]), JSON),
    "no records": lambda rng: (rng.choice([b"[]", b"", b'{"records":[]}', b"  "]), JSON),
    "records and more": lambda rng: (b'{"records":[],"x":1}', JSON),
    "too many": lambda rng: (b"[" + b"1," * 10_000 + b"1]", JSON),
    "stray quote": lines_of('U"A,1,1', 'UA,1"0,1', '"UA"x,1,1', '"UA" ,1,1', 'UA,1,1"', '"UA,1,1'),
    "no number in CSV": lines_of("UA,nan,1", "UA,1_0,1", "UA, 1,1", "UA,٣,1", "UA,1e999,1"),
    "width": lines_of("UA,1", "UA,1,1,", "UA", "\n", "UA;1;1"),
    "header": lambda rng: (b"wind,wind,wind\n1,1,1\n", f"{CSV}; header=present"),
    "blank line": lines_of("{}\n", "\n\n", content_type=LINES),
    "media type": lambda rng: (good_json(rng)[0], rng.choice(["", "a/b", "text/plain", "*/*"])),
    "charset": lambda rng: (good_json(rng)[0], f"{JSON}; charset={rng.choice(['utf-16', 'x'])}"),
    "over the limit": lambda rng: (b" " * (LIMIT_BYTES + 1), JSON),
    "big": big,
}
RARE = {"over the limit": 0.002, "big": 0.01, "too many": 0.1}
"""Kinds of large bodies, and how often they come where another comes once."""

ACCEPTS = ("", "*/*", "text/csv", "application/*;q=0.1", "application/xml, application/jsonlines")
NO_ACCEPTS = ("image/png", "*" * 60 + "x", "application/json;q=0", "a/b," * 2000, ";;;;", "text")


def requests(seed: int, count: int) -> Iterator[Asked]:
    """So many requests, the same for the same seed."""
    rng = Random(seed)
    wrong, weights = list(WRONG), [RARE.get(name, 1.0) for name in WRONG]
    good: Sequence[Maker] = (good_json, good_lines, good_csv)
    for _ in range(count):
        turn = rng.random()
        if turn < 0.25:
            body, content_type = rng.choice(good)(rng)
            accept = rng.choice(ACCEPTS)
            yield Asked(kind="good", body=body, content_type=content_type, accept=accept, good=True)
        elif turn < 0.28:
            body, content_type = rng.choice(good)(rng)
            accept = rng.choice(NO_ACCEPTS)
            yield Asked(
                kind="accept", body=body, content_type=content_type, accept=accept, good=False
            )
        elif turn < 0.6:
            kind = rng.choices(wrong, weights)[0]
            body, content_type = WRONG[kind](rng)
            yield Asked(kind=kind, body=body, content_type=content_type, good=False)
        else:
            body, content_type = rng.choice(good)(rng)
            body = changed(rng, body)
            yield Asked(
                kind="changed", body=body, content_type=content_type, good=sound(body, content_type)
            )


def changed(rng: Random, body: bytes) -> bytes:
    """A body with a few bytes put in, left out or replaced."""
    out = bytearray(body)
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(len(out) + 1)
        piece = rng.choice([b'"', b",", b"{", b"]", b"\\", b"\n", b"1", b"e", b"\xff", b"", b"UA"])
        out[at : at + rng.randrange(3)] = piece
    return bytes(out)


def sound(body: bytes, content_type: str) -> bool:
    """Whether a body keeps the signature, by readers that share nothing with the server's."""
    try:
        text = body.decode().removeprefix("\ufeff")
        if content_type == LINES:
            items = [strict(line) for line in text.removesuffix("\n").split("\n")]
        elif content_type.startswith(CSV):
            items = table(text, "header" in content_type)
        else:
            document = strict(text)
            is_list = isinstance(document, dict) and set(document) == {"records"}
            items = document["records"] if is_list else document
            items = items if isinstance(items, list) else [] if is_list else [items]
        return bool(items) and all(fits(item) for item in items)
    except (ValueError, RecursionError):
        return False


def strict(text: str) -> Any:
    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in found}) < len(found):
            raise ValueError("twice")
        return dict(found)

    def constant(name: str) -> Any:
        raise ValueError(name)

    return json.loads(text, object_pairs_hook=pairs, parse_constant=constant)


def table(text: str, named: bool) -> list[dict[str, Any]]:
    """CSV by RFC 4180, one character after the other."""
    rows: list[list[str]] = [[""]]
    state = "start"
    for char in text.replace("\r\n", "\n").replace("\r", "\n"):
        if state == "quoted":
            if char == '"':
                state = "after"
            else:
                rows[-1][-1] += char
        elif char == '"' and state in ("start", "after"):
            rows[-1][-1] += '"' if state == "after" else ""
            state = "quoted"
        elif char in ",\n":
            rows[-1].append("") if char == "," else rows.append([""])
            state = "start"
        elif char == '"' or state == "after":
            raise ValueError("stray quote")
        else:
            rows[-1][-1] += char
            state = "plain"
    if state == "quoted":
        raise ValueError("open quote")
    if rows[-1] == [""] and state == "start":
        rows.pop()
    names = rows.pop(0) if named else ["carrier", "distance", "wind"]
    if len(set(names)) < len(names) or any(len(row) != len(names) for row in rows):
        raise ValueError("width")
    return [dict(zip(names, map(cell, names, row), strict=True)) for row in rows]


def cell(name: str, text: str) -> Any:
    number = name != "carrier" and re.fullmatch(
        r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text
    )
    return float(text) if number else text or None


def fits(item: Any) -> bool:
    if not isinstance(item, dict) or set(item) != {"carrier", "distance", "wind"}:
        return False
    numbers = [item["distance"], *([] if item["wind"] is None else [item["wind"]])]
    return isinstance(item["carrier"], str) and all(is_finite(number) for number in numbers)


def is_finite(number: Any) -> bool:
    if type(number) not in (int, float):
        return False
    try:
        return math.isfinite(number)
    except OverflowError:
        return False
