"""What a changed value means: less guarded, more guarded, harmless, or nobody knows.

By the words of its name and by its direction, at any depth and of any type: a number that shrinks
and a flag that falls weaken what they guard, whatever the service is. A value that no word explains
is *unclassified*, and of a type that holds state, grants access, opens a network, records or runs
something a person looks at it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from policies.data import UNKNOWN
from policies.review.amounts import (
    amount,
    is_counted,
    is_numeric,
    of_size,
    or_never,
    quantity,
    turns,
)
from policies.review.differences import Leaf, same
from policies.review.measured import measured
from policies.review.people import is_for_people
from policies.review.people import word as _word
from policies.review.routine import is_a_step, routine
from policies.review.scales import (
    Meaning,
    Sense,
    branch,
    direction,
    fewer,
    presence,
    privilege,
    scale,
    which,
)
from policies.review.scripts import reads_the_same
from policies.review.spelling import is_folded
from policies.review.variables import is_of_a_program, variable
from policies.review.vocabulary import (
    BLOCKS,
    BOUNDS,
    CACHED,
    CAPS,
    COUNTS,
    CREDENTIAL,
    DOUBTED,
    ENDING,
    EXPIRES,
    FILTERS,
    FOREVER,
    GUARD,
    HELD,
    KEEPS,
    LAX,
    LEAP,
    LEAST,
    LEAST_OF_UNITS,
    LISTED,
    LOCKED,
    NEGATIVE,
    NUMBERED,
    OFF,
    ON,
    OPTIONAL,
    PROTECTS,
    SELDOM,
    SIZE,
    STAYS,
    STOPPED,
    STOPS,
    SWITCHES,
)


def meaning(
    leaf: Leaf, token: str = "", *, of_a_guard: bool = True, watches: bool = False
) -> Meaning:
    """What this difference means, by its name and direction.

    `token`: the type, or its last name. `of_a_guard`: whether the resource guards, holds or records
    something, or nobody knows what it is; else to switch it on is no good in itself. `watches`:
    whether it does nothing else, so that a number of it is never only a size.
    """
    found, kind = _meaning(leaf, token), _word(token.rpartition(":")[2])
    told = variable(leaf, token, found)
    found = told or found
    switch = len(leaf.path) == 1 and _word(leaf.name) in SWITCHES
    if switch and found.sense == "weaker" and CREDENTIAL.search(kind):
        return Meaning("stronger", "nobody comes in by it any more")
    risen = switch and found.sense in ("stronger", "unclassified") and _state(leaf.new) is True
    if risen and (CREDENTIAL.search(kind) or not (of_a_guard or GUARD.search(kind))):
        return Meaning("unclear", "it is on from now on, and nobody here knows what that does")
    if told or found.sense not in ("stronger", "sized"):
        return found
    if found == STEP and (watches or FILTERS.search(token)):
        return Meaning("unclassified", "nobody here knows which way of this number is safe")
    if is_of_a_program(leaf.path):
        return Meaning("unclassified", "a program reads it, and nobody here knows how")
    return found


def _named(leaf: Leaf) -> Leaf:
    """What a list holds as a name and a value, by its name: `[containerInsights].value`."""
    path = leaf.path
    pair = len(path) > 1 and path[-2][:1] == "[" and _word(path[-1]) in VALUES
    if pair and {str(leaf.old), str(leaf.new)} == {"0", "1"} and FORCES.search(_word(path[-2])):
        return Leaf((*path[:-2], path[-2][1:-1]), str(leaf.old) == "1", str(leaf.new) == "1")
    sized = pair and SIZE.search(_word(path[-2])) and is_counted(leaf.old) and is_counted(leaf.new)
    if not sized and (not pair or None in (_state(leaf.old), _state(leaf.new))):
        return leaf
    return Leaf((*path[:-2], path[-2][1:-1]), leaf.old, leaf.new)


STEP = Meaning("sized", "a number moves by a step")
FORCES = re.compile(r"force|require|ssl|audit|log")
"""Parameters whose 1 is good: how a database is reached, and what it writes down."""
VALUES = ("value", "parametervalue", "optionvalue", "settingvalue")


def _meaning(leaf: Leaf, token: str) -> Meaning:
    leaf, kind = _named(leaf), token.rpartition(":")[2]
    words = tuple(_word(name) for name in leaf.path if name[:1] != "[")
    last, whole = _word(leaf.name), ".".join(words)
    guards = bool(GUARD.search(whole))
    if is_for_people(leaf, token):
        return Meaning("harmless", f"{leaf.name} is for people to read")
    if leaf.reordered:
        return Meaning("unclassified", "the same in another order")
    if same(leaf.old, leaf.new):
        return Meaning("harmless", "it is the default, said or not")
    if is_folded(leaf, token) or reads_the_same(leaf):
        return Meaning("harmless", "two spellings of one name, one program or one query")
    if UNKNOWN in (leaf.old, leaf.new):
        return Meaning("unclear" if guards else "unclassified", "known only during the update")
    return (
        routine(words, leaf, token)
        or privilege(words, leaf)
        or direction(last, leaf)
        or fewer(last, leaf)
        or _flag(last, f"{_word(kind)}.{whole}", leaf, guards or _switches_a_guard(last, kind))
        or _bound(whole, leaf)
        or _below_zero(leaf)
        or _number(last, whole, leaf, guards)
        or scale(leaf, guards)
        or branch(last, leaf)
        or (presence(leaf) if guards or _is_listed(last, kind) else None)
        or _rest(words, leaf, token, guards)
    )


def _switches_a_guard(last: str, kind: str) -> bool:
    """Whether it turns on or off the whole of what guards, such as an alarm."""
    return bool(GUARD.search(_word(kind)) and re.search(r"enabled?$|^status$|state$", last))


def _is_listed(last: str, kind: str) -> bool:
    """Whether it is a list of what is told, written down or kept out, of what does nothing else."""
    return bool(GUARD.search(_word(kind)) and LISTED.search(last))


def _rest(words: Sequence[str], leaf: Leaf, token: str, guards: bool) -> Meaning:
    if _is_a_size(words, leaf):
        why = _leaps(words[-1], leaf) or turns(words[-1], leaf.old, leaf.new)
        return Meaning("unclear", why) if why else Meaning("sized", "how large it is")
    if guards:
        return Meaning("unclear", "it guards something, and nobody here knows which way this goes")
    if by_its_words := measured(leaf, token):
        return by_its_words
    if is_a_step(words[-1] if words else "", leaf):
        return STEP
    return Meaning("unclassified", "nobody here knows what it does")


def _leaps(last: str, leaf: Leaf) -> str:
    """Why a size is another matter than before, and no longer a step."""
    old, new = (of_size(side) for side in (leaf.old, leaf.new))
    if new == 0:
        return "none of it is left"
    if leaf.new is None and old is not None:
        return "it is said no longer, and nobody here knows the default"
    if not old or not new:
        return ""
    if COUNTS.search(last) and (new == 1 < old or new <= old / 2):
        return "half of them are left, or one alone"
    if new <= old / 2:
        return "half of it is left, or less"
    leap = new / old >= LEAP
    return f"{LEAP} times as large as before, or more" if leap else ""


def _is_a_size(words: Sequence[str], leaf: Leaf) -> bool:
    """Whether it says how large something is, and not what it is."""
    if not words or isinstance(leaf.old, Mapping | list) or isinstance(leaf.new, Mapping | list):
        return False
    if not (NUMBERED.search(words[-1]) or all(is_counted(side) for side in (leaf.old, leaf.new))):
        return False
    inner = len(words) > 1 and words[-2] in ("limits", "requests", "timeout")
    inner = inner or (words[-1] == "value" and "timeout" in words[:-1])
    return inner or bool(SIZE.search(words[-1]))


def _flag(last: str, whole: str, leaf: Leaf, guards: bool) -> Meaning | None:
    """A flag that falls, or one that is safe while it is down and rises."""
    old, new = _state(leaf.old), _state(leaf.new)
    flags = isinstance(leaf.old, bool) or isinstance(leaf.new, bool)
    if not flags and None in (old, new):
        return None
    before, after = bool(old), bool(new)
    if before == after:
        return _silent(last, whole, leaf, guards) if flags else None
    return _raised(last, whole, after, guards)


def _silent(last: str, whole: str, leaf: Leaf, guards: bool) -> Meaning:
    """A flag that is said to be down, or said no longer: what it is unsaid, nobody here knows."""
    is_weak = _raised(last, whole, leaf.old is False, guards)
    told = leaf.alone or None not in (leaf.old, leaf.new)
    matters = guards or last in SWITCHES or PROTECTS.search(whole)
    if told or is_weak is None or is_weak.sense != "weaker" or not matters:
        return Meaning("harmless", "it says what was so before")
    return Meaning("unclear", "it may be on where nobody says it")


def _raised(last: str, whole: str, after: bool, guards: bool) -> Meaning | None:
    """A flag that is up now, or down now; what a switch turns on, its name says only of a guard."""
    if doubt := _doubt(last, whole, after):
        return Meaning("unclear", doubt)
    stronger, inner = after, whole.partition(".")[2]  # without the kind of the resource
    spared = PASSES.search(last) or (NEGATIVE.search(last) and not PROTECTS.search(inner))
    if PROTECTS.search(whole) and not spared:
        why = "it guards while it is on"
    elif BLOCKS.search(last):
        why = "it keeps others out, or keeps what is there"
    elif NEGATIVE.search(last):
        stronger, why = not after, "it is safe while it is off"
    elif last in SWITCHES and _is_of_the_lax(whole):
        stronger, why = not after, "what it turns on lets more in"
    elif last in SWITCHES and EXPIRES.search(whole):
        stronger, why = not after, "what it is about goes while it is on"
    elif guards or (last in SWITCHES and not after) or REQUIRES.search(last):
        named = REQUIRES.search(last) or NAMED.search(last) or ".logs." in f"{whole}."[: -len(last)]
        if after and ("default" in last or not (named or GUARD.search(last))):
            return Meaning("unclear", "it belongs to a guard, and nobody here knows what it does")
        why = "it guards while it is on"
    elif not after and re.match(r"(is)?enable|.*enabled$", last):
        why = "it is on no longer"
    else:
        return None
    return which(stronger, why)


def _is_of_the_lax(whole: str) -> bool:
    """Whether a switch belongs to something that is safe while it is off: `anonymous.enabled`."""
    within = whole.split(".")[1:-1]  # without the kind of the resource
    return bool(within) and not BLOCKS.search(within[-1]) and bool(NEGATIVE.search(within[-1]))


PASSES = re.compile(r"^(skip|bypass|ignore)")
"""Beginnings of flags that spare something what guards it, whatever that is."""
REQUIRES = re.compile(r"^require|required$")
NAMED = re.compile(rf"(enabled|active|{'|'.join(SWITCHES)})$|^enabledin")


def _doubt(last: str, whole: str, after: bool) -> str:
    """Why neither side of a flag is the good one."""
    if last == "skipdestroy" and after:
        return "it stays, and is nobody's, when the stack lets it go"
    if last.startswith(("debug", "verbose")) and after:
        return "it may write down what nobody should read"
    if after and (LOCKED.search(last) or DOUBTED.search(whole)):
        return "nobody can take it back, it ends what is older, or it is another way in"
    stopped = not after and STOPPED.search(last) and not (GUARD.search(last) or BLOCKS.search(last))
    return "what it stopped goes on" if stopped else ""


def _bound(whole: str, leaf: Leaf) -> Meaning | None:
    """The most that may be used: less of it, or a new one, holds back more."""
    if not BOUNDS.search(whole):
        return None
    if leaf.new in (None, {}, []):
        return Meaning("weaker", "the limit is there no longer")
    if leaf.old in (None, {}, []):
        if quantity(leaf.new) == 0:
            return Meaning("unclear", "from now on there is none of what it bounds")
        return Meaning("stronger", "the limit was not there before")
    old, new = quantity(leaf.old), quantity(leaf.new)
    if old is None or new is None:
        return None
    return Meaning("harmless", "the same limit") if old == new else _lower(old, new)


def _lower(old: float, new: float) -> Meaning:
    """A limit that moves: so low that it may stop what it bounds, it is no guard any more."""
    if new < old and (new == 0 or old / new >= STOPS):
        return Meaning("unclear", "so little is left that it may stop what it bounds")
    return which(new < old, "it lets more through the larger it is")


def _state(value: Any) -> bool | None:
    """Up, down, or no flag at all; what is absent is down only beside a flag."""
    if isinstance(value, bool):
        return value
    word = str(value).lower() if isinstance(value, str) else None
    return True if word in ON else False if word in OFF else None


def _below_zero(leaf: Leaf) -> Meaning | None:
    """A number that stands for a word, such as `-1` for a limit that is none."""
    below = {(amount(side) or 0) < 0 for side in (leaf.old, leaf.new)}
    return Meaning("unclear", "below zero it is no limit, or for ever") if len(below) > 1 else None


def _number(last: str, whole: str, leaf: Leaf, guards: bool) -> Meaning | None:
    """A number of which less is kept for, or of which more lets more through."""
    old, new = amount(leaf.old), amount(leaf.new)
    if not (is_numeric(leaf.old) and is_numeric(leaf.new)) or (old is None and new is None):
        return None
    stays = bool(STAYS.search("".join(whole.split(".")[-2:])))
    if stays or SELDOM.search(whole):
        before = old if stays else or_never(old)
        return _cap("", before, new or float("inf")) if stays or guards else None
    if new == 0 and whole.endswith("rollingupdate.maxunavailable"):
        return which(True, "none is away while the next one starts")
    if CAPS.search(last) and not LEAST.search(last):
        at_once = "unavailable" in last and (new or 0) > (33 if "percent" in last else 1)
        if leaf.alone and old is None and guards and not at_once:
            return which(True, "what it bounds was not there before")
        return _cap(last, old, new) if guards else None
    return _looked_at(last, old, new) or _kept(last, whole, leaf, guards)


def _looked_at(last: str, old: float | None, new: float | None) -> Meaning | None:
    """A number whose good side depends on what it is for, where it is another matter now."""
    if (last == "period" or CACHED.search(last)) and old and new:
        why = "how long it looks back, or how long others go by an old answer"
        return Meaning("unclear", why) if max(new / old, old / new) >= LEAP else None
    if LEAST_OF_UNITS.search(last) and old == 0:
        return Meaning("unclear", "so many are paid for from now on")
    return None


def _kept(last: str, whole: str, leaf: Leaf, guards: bool) -> Meaning | None:
    """A number of which less is kept, or waited, for."""
    by_its_name = KEEPS.search(last) and not (COUNTS.search(last) or LEAST_OF_UNITS.search(last))
    if not (by_its_name or (guards and KEEPS.search(whole))):
        return None
    endless = bool(FOREVER.search(last)) and not ENDING.search(whole)
    edge = float("inf") if endless else 0.0
    old = amount(leaf.old)
    before, after = (value or edge for value in (old, amount(leaf.new)))
    if endless and leaf.new == 0 and old and "retention" not in last:
        return Meaning("unclear", "none of it, or for ever")
    if before == after:
        if leaf.old is None and not endless:  # zero in so many words, where a default was
            return Meaning("unclear", "none of it, in so many words")
        return Meaning("harmless", "the same length of time")
    if HELD.search(whole) and before and after / before >= LEAP:
        return Meaning("unclear", "nobody can take it back for as long as this says")
    return which(after > before, "it is kept, or waited for, as long as this says")


def _cap(last: str, old: float | None, new: float | None) -> Meaning:
    """A limit; of a threshold nobody knows by its name on which side of it the good lies."""
    if old is None or new is None or re.search("threshold|(?<!unavailable)percent", last):
        return Meaning("unclear", "a limit moves")
    return _lower(old, new) if last else which(new < old, "the longer it is, the less it guards")


def begins_weak(leaf: Leaf, *, of_a_guard: bool) -> bool:
    """Whether this input of something new leaves it open or unguarded in so many words.

    `of_a_guard`: whether the whole resource guards or records something.
    """
    words = tuple(_word(name) for name in leaf.path if name[:1] != "[")
    if leaf.new is UNKNOWN or is_for_people(leaf, ""):
        return False
    last, whole, up = _word(leaf.name), ".".join(words), _state(leaf.new)
    if isinstance(leaf.new, str) and leaf.new.lower() in LAX and leaf.new.lower() not in OFF:
        named = last.endswith("port")  # by the name that a container gave it
        return not named and last not in ("name", "type", "version", "key", "value", "mode")
    if up is None or (isinstance(leaf.new, str) and leaf.new in ("", "0", "none", "never", "no")):
        return meaning(leaf).sense == "weaker" and "expir" in whole
    if up is False and of_a_guard and re.search(r"(^|is|actions)enabled?$", last):
        return True
    guards = bool(GUARD.search(whole))
    found = _raised(last, f".{whole}", up, guards)
    return found is not None and found.sense == "weaker" and not (up is False and last in OPTIONAL)


LEVELS: Mapping[Sense, int] = {
    "weaker": 5, "unclear": 4, "unclassified": 3, "sized": 2, "stronger": 1, "harmless": 0,
}  # fmt: skip
"""The worst first."""
