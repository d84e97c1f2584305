"""The part of a review that holds what a change can grow to against the account's quotas."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from policies.data import Resource, Unknown
from policies.review.model import StackChange
from policies.review.report import Context, Part, Reason, Row, Section
from stacks.checks.check import Platform, Unanswered
from stacks.checks.quotas import Demand, demands, increase

EXCEEDED = "RV-015"
ID, TITLE = "quotas", "Service quotas"
NOT_COMPARED = "not compared with the account's quotas: give them with --quotas FILE"

Ask = Callable[[Demand], tuple[str, float] | Unanswered]
"""Code and value of the quota that a demand counts against."""


ALONE = (
    "what other stacks of the environment need is not counted here, though they share these "
    "quotas: a review without --digest counts it"
)


def part(
    platform: Callable[[Sequence[Resource]], Platform], ask: Ask | None, *, alone: bool = False
) -> Part:
    """Every quota of which the change may use more; without `ask` it says that nobody compared.

    With `alone`, it says that nobody looked at the environment's other stacks.
    """

    def quotas(change: StackChange, context: Context) -> Section | None:
        try:
            was = {demand.name: demand.amount for demand in demands(platform(change.before()))}
            becomes = demands(platform(change.after()))
        except Unknown as unknown:
            note = f"cannot be told before the update: it depends on {unknown}"
            return Section(id=ID, title=TITLE, notes=[note])
        grown = [demand for demand in becomes if demand.amount > was.get(demand.name, 0)]
        if not grown:
            return None
        section = _section(grown, was, ask, context)
        return replace(section, notes=[*section.notes, ALONE]) if alone else section

    return quotas


@dataclass(frozen=True, slots=True)
class _Line:
    """One quota, as far as it is known."""

    demand: Demand
    before: float
    code: str
    value: float | None
    """None where nobody could tell."""

    @property
    def exceeded(self) -> bool:
        return self.value is not None and self.demand.amount > self.value


def _section(
    grown: Sequence[Demand], was: Mapping[str, float], ask: Ask | None, context: Context
) -> Section:
    lines, silent = [], []
    for demand in grown:
        answer = ask(demand) if ask else Unanswered("nobody was asked")
        code: str = demand.code or ""
        value: float | None = None
        if isinstance(answer, Unanswered):
            silent.append((demand, answer.reason))
        else:
            code, value = answer
        lines.append(_Line(demand, was.get(demand.name, 0), code, value))
    return Section(
        id=ID,
        title=TITLE,
        columns=("quota", "needs at most", "before", "quota is"),
        rows=[_row(line) for line in lines],
        notes=list(_silence(silent)) if ask else [NOT_COMPARED],
        folded=not any(line.exceeded for line in lines),
        data={"compared": ask is not None, "quotas": [_data(line) for line in lines]},
        reasons=[_reason(line, context) for line in lines if line.exceeded],
    )


def _silence(silent: Sequence[tuple[Demand, str]]) -> Iterator[str]:
    """The quotas that could not be compared, by why."""
    for reason in dict.fromkeys(reason for _, reason in silent):
        names = ", ".join(demand.name for demand, why in silent if why == reason)
        yield f"not compared: {names}: {reason}"


def _row(line: _Line) -> Row:
    known = "not known" if line.value is None else f"{line.value:g}"
    needs = f"{line.demand.amount:g} {line.demand.unit}"
    return Row(
        cells=(line.demand.name, needs, f"{line.before:g}", known),
        risk="medium" if line.exceeded else "low",
        detail="\n".join(line.demand.by),
    )


def _reason(line: _Line, context: Context) -> Reason:
    demand = line.demand
    return Reason(
        rule=EXCEEDED,
        risk="high" if context.config.production else "medium",
        message=f"{demand.name} is {line.value:g}, needed are up to {demand.amount:g}",
        fix=f"{increase(demand, line.code)}, or lower the sizes",
    )


def _data(line: _Line) -> dict[str, Any]:
    return {
        "service": line.demand.service,
        "code": line.code,
        "name": line.demand.name,
        "unit": line.demand.unit,
        "before": line.before,
        "after": line.demand.amount,
        "value": line.value,
        "by": list(line.demand.by),
    }


def listed(text: str) -> Ask:
    """The quotas that `aws service-quotas list-service-quotas` printed, once or one after another.

    ValueError says what is not such a list.
    """
    by_code: dict[str, tuple[str, float]] = {}
    by_name: dict[tuple[str, str], tuple[str, float]] = {}
    for number, item in enumerate(_items(text), 1):
        try:
            service, name = str(item["ServiceCode"]), str(item["QuotaName"])
            found = str(item["QuotaCode"]), float(item["Value"])
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                f"quota {number} must have ServiceCode, QuotaCode, QuotaName, Value, got {item!r}"
            ) from None
        by_code[found[0]] = by_name[service, name] = found

    def ask(demand: Demand) -> tuple[str, float] | Unanswered:
        found = by_code.get(demand.code) if demand.code else None
        found = found or by_name.get((demand.service, demand.name))
        return found or Unanswered("the file does not have it")

    return ask


def _items(text: str) -> Iterator[Any]:
    decoder, at = json.JSONDecoder(), 0
    text = text.strip()
    if not text:
        raise ValueError("quotas must be JSON, got nothing")
    while at < len(text):
        document, end = decoder.raw_decode(text, at)
        quotas = document.get("Quotas") if isinstance(document, dict) else None
        if not isinstance(quotas, list):
            raise ValueError(
                f"quotas must be an object with a list Quotas, got {text[at : at + 40]!r}"
            )
        yield from quotas
        at = end + len(text[end:]) - len(text[end:].lstrip())
