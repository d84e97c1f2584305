"""Which log events a filter pattern matches, and the values that it takes out of them.

Metric filters, subscription filters, FilterLogEvents and TestMetricFilter share the language.
Source: CloudWatch Logs user guide, "Filter pattern syntax for metric filters, subscription
filters, filter log events, and Live Tail".
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pyparsing as pp

from stacks.local.aws.logs.functions import ORDERED

Values = Mapping[str, Any]
Pattern = Callable[[str], Values | None]
"""Message -> the values that the pattern names ({} where it names none), None: no match."""

Test = Callable[[Any], bool]

NOTHING: Final = object()
TERM = re.compile(r'([?-]?)("(?:[^"\\]|\\.)*"|%[^%]+%|[^\s"]+)\s*')
DELIMITED = re.compile(r'\[([^\]]*)\]|"([^"]*)"|(\S+)')
FIELD = re.compile(r"([A-Za-z_][\w.-]*)\s*(?:(!=|<=|>=|=|<|>)\s*(.*))?", re.DOTALL)
STEP = re.compile(r"""\.?(?:\[(?:(\d+)|(\*)|["']([^"']+)["'])\]|([\w-]+)|(\*))""")
UNSAFE_IN_REGEX = re.compile(r"[()!~]|\(\?")


class InvalidPattern(ValueError):
    """A text that is no filter pattern."""


@functools.lru_cache(maxsize=1024)
def compiled(pattern: str) -> Pattern:
    """The test that a filter pattern is. Raises InvalidPattern."""
    text = pattern.strip()
    if text.startswith("{"):
        return _json_pattern(text)
    if text.startswith("["):
        return _delimited_pattern(text)
    return _terms_pattern(text)


def value_of(selector: str, pattern: str, message: str) -> Any:
    """What `$.path` of a JSON pattern or `$name` of a delimited one selects; None: nothing."""
    if pattern.strip().startswith("["):
        return (compiled(pattern)(message) or {}).get(selector)
    return next(iter(_there(_json(message), selector)), None)


def _terms_pattern(text: str) -> Pattern:
    """Words, "phrases" and %expressions% that must all be there; ? one of them; - none of them.

    A pattern of ? beside others is that of the others alone, as the guide says.
    """
    terms, position = [], 0
    while position < len(text):
        if (found := TERM.match(text, position)) is None:
            raise InvalidPattern(f"a quote is not closed in {text!r}")
        terms.append((found[1], _contained(found[2])))
        position = found.end()
    required = [test for sign, test in terms if sign == ""]
    excluded = [test for sign, test in terms if sign == "-"]
    optional = [test for sign, test in terms if sign == "?"]

    def matches(message: str) -> Values | None:
        if any(test(message) for test in excluded):
            return None
        if required:
            return {} if all(test(message) for test in required) else None
        return {} if not optional or any(test(message) for test in optional) else None

    return matches


def _contained(term: str) -> Test:
    if term.startswith("%") and term.endswith("%") and len(term) > 2:
        return _expression(term)
    text = _unquoted(term)
    return lambda message: text in message


def _expression(term: str) -> Test:
    """%an expression%, without groups and the signs that the guide leaves out."""
    inner = term[1:-1]
    if UNSAFE_IN_REGEX.search(inner):
        raise InvalidPattern(f"the regular expression {term} holds a sign that is not supported")
    try:
        expression = re.compile(inner)
    except re.error as error:
        raise InvalidPattern(f"the regular expression {term}: {error}") from None
    return lambda value: isinstance(value, str) and expression.search(value) is not None


def _unquoted(term: str) -> str:
    if len(term) > 1 and term[0] == term[-1] == '"':
        return term[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return term


def _is_quoted(term: str) -> bool:
    return len(term) > 1 and term[0] == term[-1] == '"'


def _json_pattern(text: str) -> Pattern:
    try:
        (matches,) = _json_grammar().parse_string(text, parse_all=True)
    except pp.ParseException as error:
        raise InvalidPattern(f"{text!r} at {error.loc}: {error.msg}") from None
    selectors = dict.fromkeys(re.findall(r"\$[^\s=!<>()&|]*", re.sub(r'"[^"]*"', "", text)))

    def tested(message: str) -> Values | None:
        event = _json(message)
        if event is NOTHING or not matches(event):
            return None
        found = {one: _there(event, one) for one in selectors}
        return {one: _as_text(values[0]) for one, values in found.items() if values}

    return tested


@functools.cache
def _json_grammar() -> pp.ParserElement:
    """`{ ($.a.b = "x*") && ($.c > 1 || $.d NOT EXISTS) }` -> the test of an event."""
    pp.ParserElement.enable_packrat()
    selector = pp.Regex(r"""\$(?:\.?\[(?:\d+|\*|["'][^"']+["'])\]|\.[\w-]+|\.\*)+""")
    value = pp.Regex(r'"(?:[^"\\]|\\.)*"') | pp.Regex(r"%[^%]+%") | pp.Regex(r"[^\s()&|{}\"]+")
    compares = selector + pp.one_of("!= <= >= = < >") + value
    compares.add_parse_action(lambda found: _any_of(found[0], _compares(found[1], found[2])))
    is_ = pp.CaselessKeyword("IS") + pp.one_of("TRUE FALSE NULL", caseless=True, as_keyword=True)
    tells = selector + is_
    tells.add_parse_action(lambda found: _any_of(found[0], _is(found[2])))
    lacks = selector + pp.CaselessKeyword("NOT") + pp.CaselessKeyword("EXISTS")
    lacks.add_parse_action(lambda found: _any_of(found[0], lambda value: value is NOTHING))
    said = (tells | lacks | compares).set_name("a condition such as $.a = 1")
    condition = pp.infix_notation(
        said,
        [
            ("&&", 2, pp.OpAssoc.LEFT, lambda found: _joined(all, found[0][::2])),
            ("||", 2, pp.OpAssoc.LEFT, lambda found: _joined(any, found[0][::2])),
        ],
    )
    return pp.Suppress("{") + condition + pp.Suppress("}")


def _joined(join: Callable[[Iterator[bool]], bool], tests: list[Test]) -> Test:
    return lambda event: join(test(event) for test in tests)


def _any_of(selector: str, test: Test) -> Test:
    return lambda event: any(test(value) for value in _selected(event, selector))


def _is(word: str) -> Test:
    wanted = {"TRUE": True, "FALSE": False, "NULL": None}[word.upper()]
    return lambda value: value is wanted


def _compares(operator: str, term: str) -> Test:
    """A number against numbers, a text with * against texts; what is not there is neither."""
    negated = operator == "!="
    if term.startswith("%"):
        if operator not in ("=", "!="):
            raise InvalidPattern(f"{operator} does not go with the regular expression {term}")
        inner = _expression(term)
        return lambda value: isinstance(value, str) and inner(value) != negated
    if not _is_quoted(term) and (number := _number(term)) is not None:
        compare = ORDERED[operator]
        return lambda value: _is_number(value) and compare(float(value), number)
    if operator not in ("=", "!="):
        raise InvalidPattern(f"{operator} compares numbers, got {term}")
    expression = re.compile(".*".join(map(re.escape, _unquoted(term).split("*"))), re.DOTALL)
    return lambda value: (
        isinstance(value, str) and (expression.fullmatch(value) is not None) != negated
    )


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", text) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _json(message: str) -> Any:
    """An object or array; NOTHING: another message."""
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):
        return NOTHING
    return found if isinstance(found, dict | list) else NOTHING


def _selected(event: Any, selector: str) -> list[Any]:
    """Values at `$.a[0].b`; with * several; NOTHING where there is none."""
    found = [event]
    for index, star, quoted, name, wildcard in STEP.findall(selector[1:]):
        if star or wildcard:
            found = [one for value in found for one in _children(value)] or [NOTHING]
        else:
            key: int | str = int(index) if index else quoted or name
            found = [_child(value, key) for value in found]
    return found


def _there(event: Any, selector: str) -> list[Any]:
    return [value for value in _selected(event, selector) if value is not NOTHING]


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _child(value: Any, key: int | str) -> Any:
    if isinstance(value, dict):
        return value.get(str(key), NOTHING)
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        return value[key]
    return NOTHING


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _delimited_pattern(text: str) -> Pattern:
    """`[ip, user, ..., status = 4*, bytes > 1000]` -> the test of a message of that many words."""
    if not text.endswith("]"):
        raise InvalidPattern(f"{text!r} must end with ]")
    fields = [one.strip() for one in _split(text[1:-1], ",")]
    if fields.count("...") > 1:
        raise InvalidPattern(f"{text!r} must hold one ... at most")
    slots = [
        (None, None) if one == "..." else _slot(one, index) for index, one in enumerate(fields)
    ]
    rest = fields.index("...") if "..." in fields else None

    def matches(message: str) -> Values | None:
        words = ["".join(found) for found in DELIMITED.findall(message)]
        named = slots
        if rest is not None:
            missing = len(words) - (len(slots) - 1)
            unnamed = [(str(rest + 1 + one), None) for one in range(max(missing, 0))]
            named = [*slots[:rest], *unnamed, *slots[rest + 1 :]]
        if len(words) != len(named):
            return None
        pairs = list(zip(named, words, strict=True))
        if not all(test is None or test(word) for (_, test), word in pairs):
            return None
        return {f"${name}": word for (name, _), word in pairs}

    return matches


def _split(text: str, mark: str) -> list[str]:
    """At marks outside quotes and expressions."""
    parts = [""]
    for piece in re.findall(rf'"[^"]*"|%[^%]*%|{re.escape(mark)}|.', text, re.DOTALL):
        if piece == mark:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def _slot(text: str, index: int) -> tuple[str | None, Test | None]:
    """A name and what must hold of the word there: `status = 404 || status = 410`."""
    if (first := FIELD.fullmatch(text)) is None:
        raise InvalidPattern(f"field {index + 1}, {text!r}, must be a name with a condition")
    if first[2] is None:
        return first[1], None
    return first[1], _joined(any, [_all(one, first[1]) for one in _split(text, "||")])


def _all(text: str, name: str) -> Test:
    tests = []
    for part in _split(text, "&&"):
        found = FIELD.fullmatch(part.strip())
        if found is None or found[1] != name or found[2] is None:
            raise InvalidPattern(f"{part.strip()!r} must compare {name}")
        tests.append(_word_test(found[2], found[3].strip()))
    return _joined(all, tests)


def _word_test(operator: str, term: str) -> Test:
    """A word is a text; it is a number where a number is asked for."""
    test = _compares(operator, term)
    if _is_quoted(term) or _number(term) is None:
        return test
    return lambda word: (number := _number(word)) is not None and test(number)
