"""What alarms compute: metric math over series, and rules of composite alarms over states.

Source: CloudWatch user guide, "Using math expressions with CloudWatch metrics"; API reference,
PutCompositeAlarm, AlarmRule. Both are read as Python's grammar reads arithmetic and logic, of which
only what AWS has too is evaluated.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Series = list[float | None]
"""A value for each period, the newest first."""

Value = float | Series | list[Series]

STATE = re.compile(r"""\b(ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*("[^"]*"|'[^']*'|[^()"']+?)\s*\)""")


class NotUnderstood(Exception):
    """An expression that is not evaluated here; the text says which part."""


# -- composite alarms


def holds(rule: str, state_of: Callable[[str], str | None]) -> bool:
    """Whether the rule of a composite alarm holds.

    `state_of` gives the state of an alarm by name or ARN; None: there is no such alarm.
    """

    def told(match: re.Match[str]) -> str:
        name = match[2].strip("\"'")
        state = state_of(name)
        if state is None:
            raise NotUnderstood(f"there is no alarm {name}")
        return str(state == match[1])

    text = STATE.sub(told, rule)
    for theirs, ours in (("AND", "and"), ("OR", "or"), ("NOT", "not")):
        text = re.sub(rf"\b{theirs}\b", ours, text)
    text = re.sub(r"\b(TRUE|FALSE)\b", lambda match: match[1].title(), text)
    return _logic(_parsed(text, rule))


def _logic(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=bool(value)):
            return value
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _logic(operand)
        case ast.BoolOp(op=ast.And(), values=values):
            return all([_logic(value) for value in values])
        case ast.BoolOp(values=values):
            return any([_logic(value) for value in values])
    raise NotUnderstood(f"{ast.unparse(node)!r} is no rule of alarms")


# -- metric math


def computed(expression: str, series: Mapping[str, Series]) -> Series:
    """An expression over series of one length; where a value is missing, so is the result."""
    length = len(next(iter(series.values()), []))
    value = _value(_parsed(expression, expression), series)
    if isinstance(value, float):
        return [value] * length
    if value and isinstance(value[0], list):
        raise NotUnderstood(f"{expression!r} gives several series")
    return value  # type: ignore[return-value]


def names_in(expression: str) -> frozenset[str]:
    """Ids that an expression is of; none where it cannot be read."""
    try:
        tree = _parsed(expression, expression)
    except NotUnderstood:
        return frozenset()
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return frozenset(node.id for node in names if id(node) not in called)


def _value(node: ast.expr, series: Mapping[str, Series]) -> Value:
    match node:
        case ast.Constant(value=int(number) | float(number)):
            return float(number)
        case ast.Name(id=name) if name in series:
            return series[name]
        case ast.List(elts=parts):
            return [_series(_value(part, series), series) for part in parts]
        case ast.Call(func=ast.Name(id="METRICS"), args=[]):
            return list(series.values())
        case ast.Call(func=ast.Name(id=name), args=parts, keywords=[]) if name in FUNCTIONS:
            return FUNCTIONS[name]([_value(part, series) for part in parts])
    of, parts = _operation(node)
    return _each(of, [_value(part, series) for part in parts])


def _operation(node: ast.expr) -> tuple[Callable[..., float | None], list[ast.expr]]:
    """A function of numbers, and what it is applied to."""
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return operator.neg, [operand]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
            return ARITHMETIC[type(op)], [left, right]
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARED:
            compare = COMPARED[type(op)]
            return lambda a, b: float(compare(a, b)), [left, right]
    raise NotUnderstood(f"{ast.unparse(node)!r} of metric math is not evaluated")


def _divided(above: float, below: float) -> float | None:
    return above / below if below else None


ARITHMETIC: Mapping[type, Callable[..., float | None]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divided,
    ast.BitXor: operator.pow,
}
COMPARED: Mapping[type, Callable[[float, float], bool]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def _each(of: Callable[..., Any], values: Sequence[Value]) -> Value:
    """A function of numbers, of each period where series are among them."""
    lengths = [len(value) for value in values if isinstance(value, list)]
    if not lengths:
        found = of(*values)
        return math.nan if found is None else float(found)
    if any(isinstance(value, list) and value and isinstance(value[0], list) for value in values):
        raise NotUnderstood("an array of series stands where one is meant")
    rows = zip(
        *(value if isinstance(value, list) else [value] * lengths[0] for value in values),
        strict=True,
    )
    return [None if None in row else of(*row) for row in rows]


def _series(value: Value, series: Mapping[str, Series]) -> Series:
    if isinstance(value, float):
        return [value] * len(next(iter(series.values()), []))
    return value  # type: ignore[return-value]


def _over(of: Callable[[list[float]], float]) -> Callable[[Sequence[Value]], Value]:
    """A statistic: of the values of one series, or of several series in each period."""

    def statistic(arguments: Sequence[Value]) -> Value:
        (value,) = arguments
        if isinstance(value, float):
            return value
        if value and isinstance(value[0], list):
            return [_of_known(of, column) for column in zip(*value, strict=True)]
        found = _of_known(of, value)
        return math.nan if found is None else found

    return statistic


def _of_known(of: Callable[[list[float]], float], values: Sequence[Any]) -> float | None:
    known = [value for value in values if value is not None]
    return of(known) if known else None


def _if(arguments: Sequence[Value]) -> Value:
    return _each(lambda test, yes, no: yes if test else no, [*arguments, 0.0][:3])


def _fill(arguments: Sequence[Value]) -> Value:
    value, filling = arguments
    if isinstance(value, float) or not isinstance(filling, float):
        raise NotUnderstood("FILL is evaluated of a series and a number")
    filled: Series = []
    for one in value:
        if isinstance(one, list):
            raise NotUnderstood("FILL is evaluated of a series and a number")
        filled.append(filling if one is None else one)
    return filled


FUNCTIONS: Mapping[str, Callable[[Sequence[Value]], Value]] = {
    "ABS": lambda arguments: _each(abs, arguments),
    "AVG": _over(lambda values: sum(values) / len(values)),
    "CEIL": lambda arguments: _each(math.ceil, arguments),
    "FILL": _fill,
    "FLOOR": lambda arguments: _each(math.floor, arguments),
    "IF": _if,
    "MAX": _over(max),
    "MIN": _over(min),
    "SUM": _over(sum),
}
"""Functions that are evaluated here."""


def _parsed(text: str, shown: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise NotUnderstood(f"{shown!r} cannot be read: {error}") from error
