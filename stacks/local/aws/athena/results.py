"""Values as Athena writes them into its results, which are text whatever their type."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

PLAIN = (1e-3, 1e7)
"""Between these Java writes a double without an exponent (Double.toString)."""


def as_text(value: Any) -> str | None:
    """A value of DuckDB's; None is null."""
    if value is None or isinstance(value, str):
        return value
    for kind, shown in SHOWN.items():
        if isinstance(value, kind):
            return shown(value)
    return str(value)


def as_csv(names: Sequence[str], rows: Sequence[Sequence[str | None]]) -> bytes:
    """Results as they lie in S3: every value in quotes, nothing for null."""
    lines = [list(names), *rows] if names else []
    return "".join(f"{','.join(map(_quoted, line))}\n" for line in lines).encode()


def as_lines(rows: Sequence[Sequence[str | None]]) -> bytes:
    """Results of DDL and SHOW as they lie in S3: text."""
    return "".join("\t".join(value or "" for value in row) + "\n" for row in rows).encode()


def _quoted(value: str | None) -> str:
    return "" if value is None else '"' + value.replace('"', '""') + '"'


def _moment(value: datetime.datetime) -> str:
    shown = value.strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond // 1000:03}"
    return shown if value.tzinfo is None else f"{shown} UTC"


def _double(value: float) -> str:
    if not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    exact = decimal.Decimal(repr(value))
    if value == 0 or PLAIN[0] <= abs(value) < PLAIN[1]:
        return format(exact, "f")
    digits, _, exponent = f"{exact:E}".partition("E")
    whole, _, rest = digits.partition(".")
    return f"{whole}.{rest.rstrip('0') or '0'}E{int(exponent)}"


SHOWN: Mapping[type | tuple[type, ...], Callable[[Any], str]] = {
    bool: lambda value: "true" if value else "false",
    float: _double,
    decimal.Decimal: lambda value: format(value, "f"),
    datetime.datetime: _moment,
    (bytes, bytearray): lambda value: value.hex(" "),
    (list, tuple): lambda value: f"[{', '.join(str(as_text(one)) for one in value)}]",
    dict: lambda value: (
        "{" + ", ".join(f"{name}={as_text(one)}" for name, one in value.items()) + "}"
    ),
}
"""Type, the narrower before the wider -> how it is written."""
