"""Expressions of Logs Insights: their grammar, and what they are worth for an event or a group.

Source: CloudWatch Logs user guide, "CloudWatch Logs Insights language query syntax".
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyparsing as pp

from stacks.local.aws.logs.functions import (
    AGGREGATES,
    FUNCTIONS,
    ORDERED,
    UNITS_MS,
    Period,
    Value,
    number,
    of_numbers,
    percentile,
    text,
)

Event = Mapping[str, Value]
Evaluate = Callable[[Event, Sequence[Event]], Value]
"""What an expression is worth for an event, or over the events of its group."""

ARITHMETIC: Mapping[str, Callable[..., Value]] = {
    "+": of_numbers(lambda left, right: left + right),
    "-": of_numbers(lambda left, right: left - right),
    "*": of_numbers(lambda left, right: left * right),
    "/": of_numbers(lambda left, right: left / right),
    "%": of_numbers(lambda left, right: left % right),
    "^": of_numbers(lambda left, right: left**right),
}


class MalformedQuery(ValueError):
    """A text that is no query."""


WORDS = ("and", "or", "not", "like", "in", "as", "by", "asc", "desc")


def field_of(event: Event, name: str) -> Value:
    """A field; `a.b.0` is found inside what `a` holds."""
    if name in event:
        return event[name]
    head, _, rest = name.rpartition(".")
    while head:
        if head in event:
            return _inside(event[head], rest.split("."))
        head, _, more = head.rpartition(".")
        rest = f"{more}.{rest}"
    return None


def _inside(value: Value, path: Sequence[str]) -> Value:
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _constant(value: Value) -> Evaluate:
    return lambda _event, _events: value


def _field(name: str) -> Evaluate:
    return lambda event, _events: field_of(event, name)


def _call(name: str, arguments: Sequence[Evaluate]) -> Evaluate:
    """A function of values, or over the values that a group's events have for the argument."""
    lower = name.lower()
    if lower == "bin" and len(arguments) == 1:
        arguments = (_field("@timestamp"), *arguments)
    if (function := FUNCTIONS.get(lower)) is not None:
        return lambda event, events: function(*(one(event, events) for one in arguments))
    if lower == "count" and not arguments:
        return lambda _event, events: len(events)
    if not arguments:
        raise MalformedQuery(f"{name} needs an argument")
    values = functools.partial(_values, arguments[0])
    if lower in ("pct", "percentile"):
        percent = arguments[1] if len(arguments) > 1 else _constant(50)
        return lambda event, events: percentile(values(events), float(percent(event, events)))
    if (aggregate := AGGREGATES.get(lower)) is None:
        raise MalformedQuery(f"unknown function {name}")
    return lambda _event, events: aggregate(values(events))


def _values(argument: Evaluate, events: Sequence[Event]) -> list[Value]:
    ordered = sorted(events, key=lambda event: event.get("@timestamp", 0))
    found = [argument(event, ()) for event in ordered]
    return [value for value in found if value is not None]


def compared(operator: str, left: Value, right: Value) -> bool | None:
    """As numbers where both are, else as texts; None where one is missing."""
    if left is None or right is None:
        return None
    numbers = number(left), number(right)
    if None not in numbers:
        return ORDERED[operator](*numbers)
    return ORDERED[operator](text(left), text(right))


def _binary(tokens: Any) -> Evaluate:
    """`a - b - c`, from the left."""
    found: Evaluate
    found, *rest = tokens[0]
    for operator, right in zip(rest[::2], rest[1::2], strict=True):
        found = _applied(operator, found, right)
    return found


def _applied(operator: str, left: Evaluate, right: Evaluate) -> Evaluate:
    compute = ARITHMETIC.get(operator) or functools.partial(compared, operator)
    return lambda event, events: compute(left(event, events), right(event, events))


def _negative(tokens: Any) -> Evaluate:
    return _applied("-", _constant(0), tokens[0][1])


def _not(tokens: Any) -> Evaluate:
    inner = tokens[0][1]

    def negated(event: Event, events: Sequence[Event]) -> Value:
        found = inner(event, events)
        return None if found is None else not found

    return negated


def _and(tokens: Any) -> Evaluate:
    return lambda event, events: all(one(event, events) for one in tokens[0][::2])


def _or(tokens: Any) -> Evaluate:
    return lambda event, events: any(one(event, events) for one in tokens[0][::2])


def _like(tokens: Any) -> Evaluate:
    """`field [not] like "part"`, `field like /expression/`, `field =~ /expression/`."""
    value, *words, wanted = tokens
    return _holds(value, words, lambda found, _: wanted.search(text(found)) is not None)


def _in(tokens: Any) -> Evaluate:
    """`field [not] in ["a", "b"]`."""
    value, *words, listed = tokens
    return _holds(value, words, lambda found, of: any(compared("=", found, of(x)) for x in listed))


def _holds(
    value: Evaluate,
    words: Sequence[str],
    test: Callable[[Value, Callable[[Evaluate], Value]], bool],
) -> Evaluate:
    """Whether a test holds of a value, or `not`; None of an event that lacks it."""
    negated = any(str(word).lower() == "not" for word in words)

    def holds(event: Event, events: Sequence[Event]) -> Value:
        found = value(event, events)
        return None if found is None else test(found, lambda of: of(event, events)) != negated

    return holds


def expression_of(tokens: Any) -> re.Pattern[str]:
    """/an expression/ with Java's named groups."""
    inner = tokens[0][1:-1].replace("\\/", "/")
    try:
        return re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", inner))
    except re.error as error:
        raise MalformedQuery(f"the regular expression {tokens[0]}: {error}") from None


def _unquoted(tokens: Any) -> str:
    return re.sub(r"\\(.)", r"\1", tokens[0][1:-1])


def _period(tokens: Any) -> Period:
    return Period(int(tokens["count"]) * UNITS_MS[tokens["unit"].lower()])


STRING = pp.Regex(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'').add_parse_action(_unquoted)
REGEX = pp.Regex(r"/(?:[^/\\]|\\.)+/").add_parse_action(expression_of)
NAME = pp.Regex(
    rf"`[^`]+`|(?!(?i:{'|'.join(WORDS)})\b)[@A-Za-z_$][\w@$]*(?:\.[\w@$]+)*"
).add_parse_action(lambda found: found[0].strip("`"))


def word(name: str) -> pp.ParserElement:
    """A keyword in any case."""
    return pp.CaselessKeyword(name)


@functools.cache
def grammar() -> pp.ParserElement:
    """An expression -> Evaluate."""
    pp.ParserElement.enable_packrat()
    expression = pp.Forward()
    units = "|".join(sorted(UNITS_MS, key=len, reverse=True))
    period = pp.Regex(rf"(?P<count>\d+)\s*(?P<unit>{units})\b", re.IGNORECASE)
    period.add_parse_action(_period)
    figure = pp.Regex(r"\d+(\.\d+)?([eE][+-]?\d+)?").add_parse_action(lambda f: number(f[0]))
    constant = (period | figure | STRING).add_parse_action(lambda found: _constant(found[0]))
    truth = pp.one_of("true false", caseless=True, as_keyword=True)
    truth.add_parse_action(lambda found: _constant(found[0] == "true"))
    star = (pp.Suppress("*") + pp.FollowedBy(")")).add_parse_action(lambda: [])
    arguments = pp.Group(star | pp.Optional(pp.DelimitedList(expression)))
    call = pp.Regex(r"[A-Za-z_]\w*(?=\s*\()") + pp.Suppress("(") + arguments + pp.Suppress(")")
    call.add_parse_action(lambda found: _call(found[0], list(found[1])))
    field = NAME.copy().add_parse_action(lambda found: _field(found[0]))
    operand = call | constant | truth | field
    sums = pp.infix_notation(
        operand,
        [
            (pp.one_of("^"), 2, pp.OpAssoc.LEFT, _binary),
            ("-", 1, pp.OpAssoc.RIGHT, _negative),
            (pp.one_of("* / %"), 2, pp.OpAssoc.LEFT, _binary),
            (pp.one_of("+ -"), 2, pp.OpAssoc.LEFT, _binary),
        ],
    )
    part = STRING.copy().add_parse_action(lambda found: re.compile(re.escape(found[0])))
    likes = sums + ((pp.Optional(word("not")) + word("like")) | "=~") + (REGEX | part)
    likes.add_parse_action(_like)
    listed = pp.Group(pp.Suppress("[") + pp.DelimitedList(expression) + pp.Suppress("]"))
    holds = (sums + pp.Optional(word("not")) + word("in") + listed).add_parse_action(_in)
    compares = sums + pp.one_of("!= <= >= = < >") + sums
    compares.add_parse_action(lambda found: _applied(found[1], found[0], found[2]))
    expression <<= pp.infix_notation(
        likes | holds | compares | sums,
        [
            (word("not"), 1, pp.OpAssoc.RIGHT, _not),
            (word("and"), 2, pp.OpAssoc.LEFT, _and),
            (word("or"), 2, pp.OpAssoc.LEFT, _or),
        ],
    )
    return expression
