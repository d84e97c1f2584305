"""Filter patterns of CloudWatch Logs: examples of the user guide and their neighbours."""

import pytest

from stacks.local.aws.logs.filter_patterns import InvalidPattern, compiled, value_of

EVENT = (
    '{"eventType": "UpdateTrail", "sourceIPAddress": "111.111.111.111", "latency": 75.5,'
    ' "arrayKey": ["value", "another value"], "objectList": [{"id": 1}, {"id": 2}],'
    ' "SomeObject": null, "ThisFlag": true, "a": {"b-c": "x y"}}'
)
LINE = '127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'


@pytest.mark.parametrize(
    ("pattern", "message", "matches"),
    [
        ("", "anything", True),
        ("ERROR", "[ERROR 400] BAD REQUEST", True),
        ("ERROR", "error 400", False),
        ("ERROR ARGUMENTS", "[ERROR] INVALID ARGUMENTS", True),
        ("ERROR ARGUMENTS", "[ERROR] BAD REQUEST", False),
        ('"INTERNAL SERVER"', "500 INTERNAL SERVER ERROR", True),
        ('"INTERNAL SERVER"', "500 SERVER INTERNAL ERROR", False),
        ("?ERROR ?ARGUMENTS", "INVALID ARGUMENTS", True),
        ("?ERROR ?ARGUMENTS", "OK", False),
        ("?ERROR REQUEST", "BAD REQUEST", True),
        ("ERROR -EXITING", "[ERROR] BAD", True),
        ("ERROR -EXITING", "[ERROR] EXITING", False),
        ("%AUTH[A-Z]+D%", "UNAUTHORIZED", True),
        ("%AUTH[0-9]+%", "UNAUTHORIZED", False),
        ('{ $.eventType = "UpdateTrail" }', EVENT, True),
        ("{ $.eventType = UpdateTrail }", EVENT, True),
        ("{ $.eventType = Update* }", EVENT, True),
        ("{ $.eventType = Trail* }", EVENT, False),
        ('{ $.eventType != "UpdateTrail" }', EVENT, False),
        ("{ $.sourceIPAddress != 123.123.* }", EVENT, True),
        ("{ $.sourceIPAddress != 111.111.* }", EVENT, False),
        ("{ $.missing != 1 }", EVENT, False),
        ("{ $.latency > 75 }", EVENT, True),
        ("{ $.latency > 7.6e1 }", EVENT, False),
        ("{ $.latency = 75.5 }", EVENT, True),
        ('{ $.latency = "75.5" }', EVENT, False),
        ('{ $.arrayKey[0] = "value" }', EVENT, True),
        ('{ $.arrayKey[1] = "value" }', EVENT, False),
        ("{ $.objectList[1].id = 2 }", EVENT, True),
        ("{ $.objectList.[*].id = 2 }", EVENT, True),
        ("{ $.objectList.[*].id = 3 }", EVENT, False),
        ("{ $.SomeObject IS NULL }", EVENT, True),
        ("{ $.eventType IS NULL }", EVENT, False),
        ("{ $.SomeOtherObject NOT EXISTS }", EVENT, True),
        ("{ $.SomeObject NOT EXISTS }", EVENT, False),
        ("{ $.ThisFlag IS TRUE }", EVENT, True),
        ("{ $.ThisFlag IS FALSE }", EVENT, False),
        ("{ $.eventType = %^Update% }", EVENT, True),
        ("{ $.eventType = %^Trail% }", EVENT, False),
        ('{ $.a.b-c = "x y" }', EVENT, True),
        ('{ ($.latency < 1) || (($.ThisFlag IS TRUE) && $.eventType = "U*") }', EVENT, True),
        ('{ $.latency < 1 || $.ThisFlag IS TRUE && $.eventType = "V*" }', EVENT, False),
        ("{ $.latency > 1 }", "no JSON", False),
        ("[ip, server, user, time, request = *html*, status_code = 4*, size > 1000]", LINE, True),
        ("[ip, server, user, time, request, status_code = 5*, size]", LINE, False),
        (
            "[ip, server, user, time, request, status_code = 404 || status_code = 410, size]",
            LINE,
            True,
        ),
        ("[ip, server, user, time, request, status_code, size > 1000 && size < 1500]", LINE, False),
        ("[..., status_code = 4*, size]", LINE, True),
        ("[ip = %127\\.0\\.0\\.[1-9]%, ...]", LINE, True),
        ("[ip, user]", LINE, False),
        ('[w1 = ERROR || w1 = "WARN", ...]', "WARN x y", True),
        ("[w1 = ERROR || w1 = WARN, ...]", "INFO x y", False),
    ],
)
def test_what_a_pattern_matches(pattern: str, message: str, matches: bool) -> None:
    assert (compiled(pattern)(message) is not None) == matches


@pytest.mark.parametrize(
    "pattern",
    [
        '"open',
        "{ $.a = }",
        "{ a = 1 }",
        "{ $.a > text }",
        "{ $.a = 1",
        "[a b]",
        "[a, ..., b, ...]",
        "[a = 1 || b = 2]",
        "%(a)%",
        "{ $.a > %b% }",
        "[a",
    ],
)
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(InvalidPattern):
        compiled(pattern)("x")


def test_what_a_pattern_takes_out() -> None:
    assert compiled("{ $.latency > 1 && $.gone NOT EXISTS }")(EVENT) == {"$.latency": "75.5"}
    named = compiled("[..., status_code, size]")(LINE) or {}
    assert (named["$1"], named["$status_code"], named["$size"]) == ("127.0.0.1", "404", "1534")
    assert value_of("$.objectList[1].id", "{ $.latency > 1 }", EVENT) == 2
    assert value_of("$size", "[..., size]", LINE) == "1534"
    assert value_of("$.nowhere", "{ $.latency > 1 }", EVENT) is None
