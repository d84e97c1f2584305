"""When something runs: the same days and as often, a little earlier or later, is a step.

Cron in AWS's six fields (EventBridge Scheduler's user guide, "Schedule types") and in Kubernetes'
five (API reference of CronJob).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from policies.review.differences import Leaf
from policies.review.scales import Meaning
from policies.review.vocabulary import LEAP

NAMED = re.compile(r"schedul|cron|recurrence")
"""Words of places where a cron expression without its name may stand."""

CRON = re.compile(r"cron\((.*)\)")
SCALES = re.compile(r"scaling[/:].*(schedule|scheduledaction)|keda\.sh/", re.I)
"""Types that have machines there, or take them away: hours later, requests find none (EC2 Auto
Scaling's and Application Auto Scaling's API references)."""

STOPS = re.compile(r":aws-sdk:\w+:(stop|terminate|delete|update|modify|set|put|disable)")
"""Calls of AWS that take something away, or set how much there is of it (EventBridge Scheduler's
user guide, "Universal targets")."""

FIELDS = (5, 6)
MACROS = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}  # fmt: skip
"""Words for five fields (Kubernetes' documentation, "CronJob", "Schedule syntax")."""

MINUTES_MAX = 180
"""By which a night's work may move and still be a night's."""


def moves(words: Sequence[str], leaf: Leaf, token: str) -> Meaning | None:
    """What two expressions say of each other; None: one is none, or it runs on other days."""
    before, after = (_fields(words, side) for side in (leaf.old, leaf.new))
    rates = [_rate(side) for side in (leaf.old, leaf.new)]
    if (before and before == after) or (rates[0] and rates[0] == rates[1]):
        return Meaning("harmless", "the same times")
    if before is None or after is None or len(before) != len(after):
        return None
    old, new = (_minute(fields) for fields in (before, after))
    if before[2:] != after[2:] or None in (old[0], new[0]):
        return None
    if before[1] == after[1]:
        return Meaning("sized", "as often, in another minute")
    if old[1] is None or new[1] is None:
        return None
    stops = SCALES.search(token) or STOPS.search(str(leaf.beside))
    most = 60 if stops else MINUTES_MAX
    apart = abs((new[1] * 60 + (new[0] or 0)) - (old[1] * 60 + (old[0] or 0)))
    return Meaning("sized", "as often, a little earlier or later") if apart <= most else None


RATE = re.compile(r"rate\(\s*(\d+)\s+(minute|hour|day)s?\s*\)")
MINUTES = {"minute": 1, "hour": 60, "day": 24 * 60}


def _rate(side: object) -> int | None:
    """The minutes between two runs of `rate(1 day)` (EventBridge's user guide, "Schedules")."""
    found = RATE.fullmatch(side.strip()) if isinstance(side, str) else None
    return int(found[1]) * MINUTES[found[2]] if found else None


def _fields(words: Sequence[str], side: object) -> list[str] | None:
    if not isinstance(side, str):
        return None
    named = CRON.fullmatch(side.strip())
    if named is None and not any(map(NAMED.search, words)):
        return None
    fields = MACROS.get(side.strip(), named[1] if named else side).upper().split()
    return fields if len(fields) in FIELDS else None


def _minute(fields: Sequence[str]) -> tuple[int | None, int | None]:
    """The one minute and the one hour at which it runs; None where there are more."""
    minute, hour = (int(each) if each.isdecimal() else None for each in fields[:2])
    return minute if (minute or 0) < 60 else None, hour if (hour or 0) < 24 else None


WINDOW = re.compile(r"(?:(\w+):)??(\d\d?):(\d\d)(?:-(?:\w+:)??(\d\d?):(\d\d))?")
DAY = 24 * 60


def comes_by_day(leaf: Leaf) -> bool:
    """Whether a window goes to other hours of another day, or is open for far longer."""
    old, new = (WINDOW.fullmatch(side) if isinstance(side, str) else None
                for side in (leaf.old, leaf.new))  # fmt: skip
    if old is None or new is None:
        return False
    (before, lasted), (after, lasts) = (_span(found) for found in (old, new))
    apart = min((after - before) % DAY, (before - after) % DAY)
    elsewhere = apart > MINUTES_MAX and (old[1] is None or old[1] != new[1])
    return elsewhere or (lasts > MINUTES_MAX and lasts >= lasted * LEAP)


def _span(found: re.Match[str]) -> tuple[int, int]:
    """The minute of the day at which a window opens, and for how many it is open on its day."""
    begins = int(found[2]) * 60 + int(found[3])
    ends = int(found[4]) * 60 + int(found[5]) if found[4] else begins
    return begins, (ends - begins) % DAY
