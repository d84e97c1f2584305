"""What Logs Insights answers: examples of the user guide over ten events, and their neighbours."""

import json
from typing import Any

import pytest

from stacks.local.aws.logs.functions import Timestamp
from stacks.local.aws.logs.queries import MalformedQuery, NotBuilt, answered, discovered, parsed

START_MS = 1_796_087_130_000
"""2026-12-01 01:05:30 UTC."""


def event(number: int) -> dict[str, Any]:
    """Every half minute: level INFO or WARN, a latency, a request of two words."""
    told = {
        "level": "WARN" if number % 2 else "INFO",
        "latency": number,
        "request": {"path": f"/p{number}", "codes": [number, {"sub": number * 2}]},
    }
    message = json.dumps(told)
    return {
        **discovered(message, of_function=False),
        "@timestamp": Timestamp(START_MS + number * 30_000),
        "@message": message,
        "@logStream": "stream",
        "@ptr": str(number),
    }


EVENTS = [event(number) for number in range(10)]


def rows(query: str) -> list[list[str]]:
    """Values of each row, without the pointers."""
    found = answered(parsed(query), EVENTS)
    return [[value for name, value in row.items() if name != "@ptr"] for row in found]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("fields latency | limit 2", [["9"], ["8"]]),
        ("fields latency | sort latency asc | limit 1", [["0"]]),
        ("fields latency | sort level desc, latency | limit 2", [["1"], ["3"]]),
        ("fields @timestamp | limit 1", [["2026-12-01 01:10:00.000"]]),
        ("filter latency > 7 | fields latency", [["9"], ["8"]]),
        ('filter level = "WARN" and latency >= 7 | fields latency', [["9"], ["7"]]),
        ("filter not (latency < 9) | fields latency", [["9"]]),
        ("filter latency < 1 or latency > 8 | fields latency", [["9"], ["0"]]),
        ("filter latency in [3, 4] | fields latency", [["4"], ["3"]]),
        ("filter latency not in [0,1,2,3,4,5,6,7,8] | fields latency", [["9"]]),
        ('filter @message like "/p3" | fields latency', [["3"]]),
        ("filter @message like /p[34]/ | fields latency", [["4"], ["3"]]),
        ("filter @message =~ /(?i)P3/ | fields latency", [["3"]]),
        ("filter @message not like /p[0-8]/ | fields latency", [["9"]]),
        ("filter ispresent(gone) | fields latency", []),
        ("filter gone != 1 | fields latency", []),
        ("filter request.codes.1.sub = 8 | fields request.path", [["/p4"]]),
        ("stats count(*)", [["10"]]),
        ("stats count(*) as n, avg(latency) by level", [["INFO", "5", "4"], ["WARN", "5", "5"]]),
        ("stats sum(latency) / count(*) as mean", [["4.5"]]),
        ("stats min(latency), max(latency), median(latency)", [["0", "9", "4.5"]]),
        ("stats pct(latency, 50) by level | sort level desc", [["WARN", "5"], ["INFO", "4"]]),
        ("stats count_distinct(level)", [["2"]]),
        ("stats earliest(latency), latest(latency)", [["0", "9"]]),
        (
            "stats count(*) by bin(5m)",
            [["2026-12-01 01:05:00.000", "9"], ["2026-12-01 01:10:00.000", "1"]],
        ),
        ("stats count(*) as c by level | stats sum(c)", [["10"]]),
        ("stats count(gone)", [["0"]]),
        (
            'parse @message "\\"level\\": \\"*\\", \\"latency\\": *," as a, b'
            " | display a, b | limit 1",
            [["WARN", "9"]],
        ),
        ('parse @message /"latency": (?<l>\\d+)/ | stats sum(l)', [["45"]]),
        ('parse @message /"latency": (\\d+)/ as l | stats max(l)', [["9"]]),
        ("parse request.path '/p*' as p | filter p > 8 | display p", [["9"]]),
        ("dedup level | fields latency", [["9"], ["8"]]),
        ("fields concat(level, '-', latency) as x, strlen(level) | limit 1", [["WARN-9", "4"]]),
        (
            "fields latency * 2 + 1 as x, -latency, latency ^ 2, latency % 4 | limit 1",
            [["19", "-9", "81", "1"]],
        ),
        ("fields latency > 5 as slow | limit 1", [["1"]]),
        (
            "fields toupper(request.path) as p, replace(level, 'A', 'E'), substr(level, 1, 2)"
            " | limit 1",
            [["/P9", "WERN", "AR"]],
        ),
        (
            "fields coalesce(gone, level), abs(0 - latency), floor(latency / 2) | limit 1",
            [["WARN", "9", "4"]],
        ),
        ("fields latency / 0, latency | limit 1", [["9"]]),
        ("fields `level` as l | limit 1", [["WARN"]]),
        ("fields latency # what | is it\n| limit 1", [["9"]]),
        ("FIELDS latency | SORT latency ASC | LIMIT 1", [["0"]]),
        ("display latency | limit 1", [["9"]]),
        ("fields isIpv4InSubnet('10.1.2.3', '10.0.0.0/8') | limit 1", [["1"]]),
        ("fields datefloor(@timestamp, 1h) as h | limit 1", [["2026-12-01 01:00:00.000"]]),
    ],
)
def test_an_answer(query: str, expected: list[list[str]]) -> None:
    assert rows(query) == expected


def test_events_are_shown_with_their_time_the_newest_first() -> None:
    first = answered(parsed("filter latency > 3"), EVENTS)[0]
    assert list(first) == ["@timestamp", "@message", "@ptr"]
    assert first["@message"] == EVENTS[9]["@message"]
    assert "@ptr" not in answered(parsed("stats count(*)"), EVENTS)[0]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "bogus x",
        "fields",
        "filter a b",
        "filter",
        "stats foo(latency)",
        "sort latency | limit 0",
        "limit 10001",
        'parse @message "a * b *" as x',
        "filter a like /(/",
        "fields a,",
        "fields a ||",
        "stats count(*) by",
        "filter latency >",
        "(" * 4000,
    ],
)
def test_what_is_no_query(query: str) -> None:
    with pytest.raises(MalformedQuery):
        answered(parsed(query), EVENTS)


@pytest.mark.parametrize("query", ["pattern @message", "fields a | unnest a into b", "diff"])
def test_a_command_that_is_not_built_says_so(query: str) -> None:
    with pytest.raises(NotBuilt, match="command"):
        parsed(query)


def test_fields_of_a_functions_report() -> None:
    report = (
        "REPORT RequestId: 1-2\tDuration: 3.10 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 50 MB\tInit Duration: 100.5 ms\t"
    )
    found = discovered(report, of_function=True)
    assert (found["@type"], found["@requestId"]) == ("REPORT", "1-2")
    assert (found["@duration"], found["@billedDuration"], found["@initDuration"]) == (3.1, 4, 100.5)
    assert (found["@memorySize"], found["@maxMemoryUsed"]) == (128_000_000, 50_000_000)
    assert discovered(report, of_function=False) == {}
    assert discovered("START RequestId: 1-2 Version: $LATEST", of_function=True)["@type"] == "START"
