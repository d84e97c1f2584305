"""Records against the signature: what a caller may send, and the row of numbers it becomes.

A record names every feature and nothing else: a missing field is refused by name, and so is an
unknown one, because a misspelt field would otherwise be a silent null. A null is allowed where the
signature says so. A category the model has not seen is no fault of the caller's: it counts as
missing and is reported beside the predictions.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from reprlib import repr as shown
from typing import Any

from serving.signature import MISSING, Feature, Signature


class BadRequest(Exception):
    """A request that is refused, with the HTTP status and a reason the caller can act on."""

    def __init__(
        self, status: int, reason: str, *, headers: Mapping[str, str] | None = None, **where: Any
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers or {}
        self.where = where
        """`record` (index) and `field`, where there is one."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Validated records, ready for the model."""

    rows: Sequence[Sequence[float]]
    unknown_categories: Mapping[str, int]
    """How many records hold a category the model has not seen, by field."""


def validated(records: Iterable[Any], signature: Signature) -> Batch:
    """Every record as a row, or the first thing that is wrong."""
    unknown: Counter[str] = Counter()
    rows = [_row(record, index, signature, unknown) for index, record in enumerate(records)]
    if not rows:
        raise BadRequest(400, "the body holds no records")
    return Batch(rows=rows, unknown_categories=unknown)


def _row(record: Any, index: int, signature: Signature, unknown: Counter[str]) -> list[float]:
    if not isinstance(record, dict):
        raise _refused(index, None, f"must be an object, got {shown(record)}")
    if record.keys() != signature.names:
        _refuse_fields(record, index, signature)
    row = []
    for feature in signature.features:
        value = record[feature.name]
        if value is None:
            if not feature.nullable:
                raise _refused(index, feature.name, "must not be null")
            row.append(MISSING)
        elif feature.kind == "numeric":
            row.append(_number(value, index, feature))
        else:
            row.append(_code(value, index, feature, unknown))
    return row


def _refuse_fields(record: Mapping[str, Any], index: int, signature: Signature) -> None:
    missing = [feature.name for feature in signature.features if feature.name not in record]
    if missing:
        raise _refused(index, missing[0], f"is missing; missing in all: {', '.join(missing)}")
    extra = next(name for name in record if name not in signature.names)
    known = ", ".join(feature.name for feature in signature.features)
    raise _refused(index, extra, f"is unknown; the model knows {known}")


def _number(value: Any, index: int, feature: Feature) -> float:
    # bool is an int in Python, not in anybody's data.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused(index, feature.name, f"must be a number, got {shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _refused(index, feature.name, "must be a finite number")
    return number


def _code(value: Any, index: int, feature: Feature, unknown: Counter[str]) -> float:
    if not isinstance(value, str):
        raise _refused(index, feature.name, f"must be text, got {shown(value)}")
    code = feature.codes.get(value)
    if code is None:
        unknown[feature.name] += 1
        return MISSING
    return code


def _refused(index: int, field: str | None, problem: str) -> BadRequest:
    if field is None:
        return BadRequest(400, f"record {index}: {problem}", record=index)
    reason = f"record {index}: field {field[:80]!r} {problem}"
    return BadRequest(400, reason, record=index, field=field[:80])
