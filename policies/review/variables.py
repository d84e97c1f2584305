"""What a program is told by a variable or a file of its own: what it logs, and numbers by a step.

Nobody here knows a program's own names, so a change of one asks for a person. Quiet are those that
say the same in every program: how much it writes into its log (Python's logging documentation,
"Logging Levels"; syslog's severities in RFC 5424), how long it waits, how often it looks, how many
work at once and how much they take at a time; and an address of a Service in two spellings
(Kubernetes' documentation, "DNS for Services and Pods").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from policies.review.amounts import length
from policies.review.differences import Leaf
from policies.review.people import word
from policies.review.scales import Meaning
from policies.review.vocabulary import GUARD, LEAP, OPENS, PROGRAMS, STAYS

VARIABLE = re.compile(r"\[?[A-Z][A-Z0-9_]*\]?")
"""How names of variables are written (POSIX, "Environment Variables")."""

TOLD = Meaning("sized", "how much a program logs, how long it waits, or how many work in it")

LEVELS = ("error", "warn", "warning", "notice", "info", "20", "30", "40")
"""Levels of an ordinary log: more of it may write what nobody should read, less is none."""

LOGS = re.compile(r"log(ging|ger)?(level)?$|logg(ing|ers)\w*level$|debug$")
RECORDS = re.compile(r"audit|trail|secur|access|event|query|payload|request|transaction")
"""Words of logs by which somebody is held to account, or which hold what people sent."""

UNITS = re.compile(r"^(m?s|secs?|seconds?|millis(econds)?|min(ute)?s|[kmg]i?b|rows|items|records)$")
COUNTS = re.compile(r"^(threads?|workers?|process(es)?|procs|concurrency|parallelism|connections)$")
TEMPO = re.compile(r"^(timeout|interval|keepalive|backoff|batch|prefetch)$")
SIZES = ("batch", "pool", "chunk", "buffer", "cache")
"""Words before `size` of what one step of a program takes; a cache's `ttl` is of these too."""

ENDS = re.compile(r"lock|lease|purge|wipe|evict|prune|clean|expir|destroy|remov|kill|shutdown|idle")
"""Words of what goes, or ends, after so long."""


def variable(leaf: Leaf, token: str, found: Meaning) -> Meaning | None:
    """What this variable or line of a file means in any program; None: nobody knows.

    `found`: what it would mean elsewhere. A number that guards less there is no step here.
    """
    place = _place(leaf, token)
    if not place or leaf.new is None or leaf.reordered:
        return None
    old, new = leaf.old, leaf.new
    if _is_one_address(old, new):
        return Meaning("harmless", "one Service, in two spellings of its name")
    whole = word("".join(place))
    if says_a_level(leaf, token):
        return TOLD
    if found.sense in ("weaker", "unclear"):
        return None
    if GUARD.search(whole) or OPENS.search(whole) or STAYS.search(whole) or ENDS.search(whole):
        return None
    name = place[-1]
    return TOLD if _is_a_step(name, old, new) or _steps_of_flags(old, new) else None


def says_a_level(leaf: Leaf, token: str = "") -> bool:
    """Whether it is how much goes to an ordinary log, before and after."""
    whole = word("".join(_place(leaf, token)))
    said = [str(side).lower() for side in (leaf.old, leaf.new) if side is not None]
    ordinary = LOGS.search(whole) and not RECORDS.search(whole)
    return bool(ordinary) and all(each in LEVELS for each in said)


def is_of_a_program(path: Sequence[str]) -> bool:
    """Whether it is a variable of a program's environment, under a name that we do not know."""
    places = [at for at, name in enumerate(path) if word(name) in PROGRAMS]
    return any(VARIABLE.fullmatch(name) for at in places for name in path[at + 1 :])


def _place(leaf: Leaf, token: str) -> tuple[str, ...]:
    """The names by which a program finds the value, the file's before the line's; or none."""
    path = leaf.path[:-1] if leaf.path[-1] == "value" else leaf.path
    if leaf.path[0] == "data" and token.rpartition(":")[2] == "ConfigMap":
        return tuple(name for name in leaf.path[1:] if name[:1] != "[")
    held = len(path) > 1 and (word(path[-2]) in PROGRAMS or path[-2:-1] == ("variables",))
    if not held or not VARIABLE.fullmatch(path[-1]):
        return ()
    return (path[-1].strip("[]"),) if any(word(name) in PROGRAMS for name in path[:-1]) else ()


def _is_a_step(name: str, old: Any, new: Any) -> bool:
    """Whether a number of what every program has moves a little; none of it is no step."""
    before, after = length(old), length(new)
    if not before or not after or before < 0 or after < 0:
        return False
    words = _words(name)
    many = bool(words) and bool(COUNTS.match(words[-1]))
    sized = words[-1:] in (["size"], ["ttl"]) and words[-2:-1] and words[-2] in SIZES
    if not (many or sized or (words and TEMPO.match(words[-1]))):
        return False
    return after / before < LEAP and (after > before / 2 if many else before / after < LEAP)


def _words(name: str) -> list[str]:
    """The words of a name without its unit, or what it is counted by: `TIMEOUT_MS`."""
    apart = re.sub(r"([a-z])([A-Z])", r"\1_\2", name)
    words = [each for each in re.split(r"[^a-z0-9]+", apart.lower()) if each]
    if "per" in words[1:]:
        words = words[: words.index("per")]
    while len(words) > 1 and UNITS.match(words[-1]):
        words.pop()
    return words


def _steps_of_flags(old: Any, new: Any) -> bool:
    """Whether two command lines differ in numbers alone, each behind a flag that names a size."""
    if not isinstance(old, str) or not isinstance(new, str) or "--" not in old:
        return False
    before, after = re.split(r"[\s=]+", old), re.split(r"[\s=]+", new)
    if len(before) != len(after) or _glue(old) != _glue(new):
        return False
    pairs = [
        (before[at - 1], *pair)
        for at, pair in enumerate(zip(before, after, strict=True))
        if pair[0] != pair[1]
    ]
    return all(flag[:2] == "--" and _is_flag(flag, *pair) for flag, *pair in pairs)


def _is_flag(flag: str, old: str, new: str) -> bool:
    whole = word(flag)
    loose = GUARD.search(whole) or OPENS.search(whole) or ENDS.search(whole)
    return not loose and _is_a_step(flag, old, new)


def _glue(text: str) -> Sequence[str]:
    return re.findall(r"[\s=]+", text)


ADDRESS = re.compile(r"((?:[a-z][a-z+]*://)?[a-z0-9-]+\.[a-z0-9-]+\.svc)(?:\.cluster\.local)?(.*)")


def _is_one_address(old: Any, new: Any) -> bool:
    found = [ADDRESS.fullmatch(side) if isinstance(side, str) else None for side in (old, new)]
    before, after = found
    apart = before and after and all(each[2][:1] in ("", ":", "/") for each in (before, after))
    return bool(before and after and apart and before.groups() == after.groups())
