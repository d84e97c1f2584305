"""When something runs: the same days and as often, a little earlier or later, is a step.

Cron in AWS's six fields (EventBridge Scheduler's user guide, "Schedule types") and in Kubernetes'
five (API reference of CronJob).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from policies.review.differences import Leaf
from policies.review.scales import Meaning

NAMED = re.compile(r"schedul|cron|recurrence")
"""Words of places where a cron expression without its name may stand."""

CRON = re.compile(r"cron\((.*)\)")
FIELDS = (5, 6)
MINUTES_MAX = 180
"""By which a night's work may move and still be a night's."""


def moves(words: Sequence[str], leaf: Leaf) -> Meaning | None:
    """What two expressions say of each other; None: one is none, or it runs on other days."""
    before, after = (_fields(words, side) for side in (leaf.old, leaf.new))
    if before is None or after is None or len(before) != len(after):
        return None
    if before == after:
        return Meaning("harmless", "the same times")
    old, new = (_minute(fields) for fields in (before, after))
    if before[2:] != after[2:] or None in (old[0], new[0]):
        return None
    if before[1] == after[1]:
        return Meaning("sized", "as often, in another minute")
    if old[1] is None or new[1] is None:
        return None
    apart = abs((new[1] * 60 + (new[0] or 0)) - (old[1] * 60 + (old[0] or 0)))
    return Meaning("sized", "as often, a little earlier or later") if apart <= MINUTES_MAX else None


def _fields(words: Sequence[str], side: object) -> list[str] | None:
    if not isinstance(side, str):
        return None
    named = CRON.fullmatch(side.strip())
    if named is None and not any(map(NAMED.search, words)):
        return None
    fields = (named[1] if named else side).upper().split()
    return fields if len(fields) in FIELDS else None


def _minute(fields: Sequence[str]) -> tuple[int | None, int | None]:
    """The one minute and the one hour at which it runs; None where there are more."""
    minute, hour = (int(each) if each.isdecimal() else None for each in fields[:2])
    return minute, hour
