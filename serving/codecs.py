"""Media types: bytes to records on the way in, predictions to bytes on the way out.

In: `application/json` (`{"records": [...]}`, a list, or one object), `application/jsonlines`, and
`text/csv` (fields in the order of the signature, or named by a first line with `header=present`).
Out: the first of the three that Accept allows, with the outputs of the model's signature by name,
or in CSV in its order. Every refusal is a BadRequest with a reason.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from serving.records import BadRequest
from serving.signature import Signature

# Python's float() also takes 'nan', '1_000', ' 1' and digits of other scripts.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

MOST_BRACKETS = 100_000
"""Of a JSON body: ten times what the records that a request may hold have. Millions of empty lists
fit into six megabytes, and take longer to make than anything that is predicted."""

_FIELDS = re.compile(r'(?:(?:"(?:[^"]++|"")*+"|[^",\r\n]++)?+(?:,|\r\n|\n|\r|\Z))*+')
"""Fields of CSV and what ends each; possessive, so that no text is read twice."""


@dataclass(frozen=True, kw_only=True)
class MediaType:
    """A Content-Type header, taken apart."""

    name: str
    parameters: Mapping[str, str]


@lru_cache(64)  # callers say the same again and again
def media_type(header: str) -> MediaType:
    """Read a Content-Type header."""
    name, *rest = (part.strip() for part in header.split(";"))
    pairs = (part.partition("=") for part in rest if part)
    parameters = {key.strip().lower(): value.strip(' "').lower() for key, _, value in pairs}
    return MediaType(name=name.lower(), parameters=parameters)


def decode(header: str, body: bytes, signature: Signature, *, limit: int) -> Sequence[Any]:
    """The records in a body, not yet validated; at most `limit`."""
    media = media_type(header)
    decoder = DECODERS.get(media.name)
    if decoder is None:
        known = ", ".join(DECODERS)
        raise BadRequest(415, f"Content-Type must be one of {known}, got {header[:80]!r}")
    if media.parameters.get("charset", "utf-8") not in ("utf-8", "utf8", "us-ascii"):
        raise BadRequest(415, f"charset must be utf-8, got {media.parameters['charset'][:80]!r}")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(400, f"the body is not UTF-8: byte {error.start}") from error
    records = decoder(text.removeprefix("\ufeff"), media, signature, limit)
    if len(records) > limit:
        raise _too_many(limit)
    return records


def _too_many(limit: int) -> BadRequest:
    return BadRequest(413, f"the body holds more than {limit} records: send them in parts")


def _json(text: str, _: MediaType, signature: Signature, limit: int) -> Sequence[Any]:
    if text.count("[") + text.count("{") > MOST_BRACKETS:
        raise BadRequest(413, f"the body holds more than {MOST_BRACKETS} lists and objects")
    document = _parsed(text, "the body")
    if isinstance(document, dict) and "records" in document and "records" not in signature.names:
        if document.keys() != {"records"}:
            other = next(key for key in document if key != "records")
            raise BadRequest(400, f"the body must hold records alone, got {other[:80]!r} as well")
        document = document["records"]
        if not isinstance(document, list):
            raise BadRequest(400, "records must be a list")
    return document if isinstance(document, list) else [document]


def _json_lines(text: str, _: MediaType, __: Signature, limit: int) -> Sequence[Any]:
    lines = text.removesuffix("\n").split("\n") if text else []
    if len(lines) > limit:
        raise _too_many(limit)
    return [_parsed(line, f"record {i}", record=i) for i, line in enumerate(lines)]


def _parsed(text: str, what: str, **where: Any) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except RecursionError as error:
        raise BadRequest(400, f"{what} is nested too deeply", **where) from error
    except ValueError as error:
        raise BadRequest(400, f"{what} is not JSON: {error}", **where) from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(key for key, _ in pairs)  # in one pass: a body may hold a million of them
        twice = next(key for key, count in counts.items() if count > 1)
        raise ValueError(f"field {twice[:80]!r} is given twice")
    return found


def _csv(text: str, media: MediaType, signature: Signature, limit: int) -> Sequence[Any]:
    header = media.parameters.get("header", "absent")
    if header not in ("present", "absent"):
        raise BadRequest(415, f"header must be present or absent, got {header[:80]!r}")
    _refuse_stray_quote(text)
    lines = _csv_lines(text, limit + (header == "present"))
    names = [feature.name for feature in signature.features]
    if header == "present":
        names = next(lines, [])
        if len(set(names)) != len(names):
            raise BadRequest(400, "the header names a field twice")
    numeric = {feature.name for feature in signature.features if feature.kind == "numeric"}
    records = []
    for index, cells in enumerate(lines):
        if len(cells) != len(names):
            reason = f"record {index}: must have {len(names)} fields, got {len(cells)}"
            raise BadRequest(400, reason, record=index)
        pairs = zip(names, cells, strict=True)
        records.append({name: _cell(cell, name in numeric) for name, cell in pairs})
    return records


def _refuse_stray_quote(text: str) -> None:
    """Refuse a quote inside of a field that does not begin with one, which Python's reader takes
    for a part of the value (RFC 4180, section 2, rules 5 to 7)."""
    if '"' not in text:
        return
    sound = _FIELDS.match(text)
    end = sound.end() if sound else 0
    if end < len(text):
        line = text.count("\n", 0, end)
        raise BadRequest(400, f"the body is not CSV: stray quote in line {line + 1}")


def _csv_lines(text: str, limit: int) -> Iterator[list[str]]:
    try:
        for index, cells in enumerate(csv.reader(io.StringIO(text, newline=""), strict=True)):
            if index >= limit:
                raise _too_many(limit)
            yield cells
    except csv.Error as error:
        raise BadRequest(400, f"the body is not CSV: {error}") from error


def _cell(cell: str, numeric: bool) -> Any:
    """A cell as JSON would hold it: empty is null, and only what is a number is one."""
    if not cell:
        return None
    return float(cell) if numeric and _NUMBER.fullmatch(cell) else cell


Decoder = Callable[[str, MediaType, Signature, int], Sequence[Any]]
DECODERS: Mapping[str, Decoder] = {
    "application/json": _json,
    "application/jsonlines": _json_lines,
    "text/csv": _csv,
}
"""How to read each Content-Type."""


Values = Sequence[Sequence[float]]
"""Per record, the values of the signature's outputs."""


def _as_json(values: Values, outputs: Sequence[str]) -> str:
    predictions = [dict(zip(outputs, row, strict=True)) for row in values]
    return json.dumps({"predictions": predictions}, separators=(",", ":"))


def _as_json_lines(values: Values, outputs: Sequence[str]) -> str:
    rows = (dict(zip(outputs, row, strict=True)) for row in values)
    return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)


def _as_csv(values: Values, _: Sequence[str]) -> str:
    return "".join(",".join(map(repr, row)) + "\n" for row in values)


ENCODERS: Mapping[str, Callable[[Values, Sequence[str]], str]] = {
    "application/json": _as_json,
    "application/jsonlines": _as_json_lines,
    "text/csv": _as_csv,
}
"""How to write each Accept; the first is used when anything goes."""


@lru_cache(64)
def accepted(header: str) -> str:
    """The media type to answer in: the best that an Accept header allows (RFC 9110, 12.5.1).

    Of each the most specific offer counts: `application/json;q=0, */*` is for any other.
    """
    parts = header.split(",", MOST_OFFERS)[:MOST_OFFERS] if header.strip() else ["*/*"]
    offers = [media_type(part) for part in parts]
    best: tuple[float, int, str] = (0.0, 0, "")
    for known in ENCODERS:
        exact = (known, f"{known.partition('/')[0]}/*", "*/*")
        found = [(exact.index(o.name), n) for n, o in enumerate(offers) if o.name in exact]
        if found:
            _, place = min(found)
            best = max(best, (_quality(offers[place]), -place, known), key=lambda each: each[:2])
    if not best[0]:
        raise BadRequest(
            406, f"Accept must allow one of {', '.join(ENCODERS)}, got {header[:80]!r}"
        )
    return best[2]


MOST_OFFERS = 100
"""Of an Accept header; more are not looked at."""


def _quality(offer: MediaType) -> float:
    """How much an offer is wanted: what is no number is not."""
    try:
        return max(float(offer.parameters.get("q", "1")), 0.0)
    except ValueError:
        return 0.0
