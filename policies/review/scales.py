"""Words of one matter, from the laxest to the strictest, and what is there at all or not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from policies.reading.networks import network
from policies.review.amounts import amount, strictness
from policies.review.differences import Leaf
from policies.review.people import word
from policies.review.vocabulary import (
    FOR_GOOD,
    LAXEST,
    LISTED,
    NARROWS,
    OFF,
    OPENS,
    PLAIN,
    PLEDGED,
    SCALES,
    WAYS_IN,
    WHO,
)

Sense = Literal["weaker", "stronger", "unclear", "harmless", "sized", "unclassified"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """How one difference is to be taken, and why."""

    sense: Sense
    why: str


CONFINED = ("container_t", "container_init_t", "container_kvm_t", "container_engine_t")
"""Types of SELinux that the profile Baseline allows (Pod Security Standards)."""


def which(stronger: bool, why: str) -> Meaning:
    """Stronger or weaker."""
    return Meaning("stronger" if stronger else "weaker", why)


def good(why: str) -> Meaning:
    """It was not there before, and guards or tells more."""
    return Meaning("stronger", why)


def scale(leaf: Leaf, guards: bool) -> Meaning | None:
    """Two words of one matter; plain ones rise only where the name says that it guards."""
    before, after = strictness(leaf.old), strictness(leaf.new)
    if before and after and guards:
        risen = before[0] <= after[0] and before[1] <= after[1]
        fallen = before[0] >= after[0] and before[1] >= after[1]
        if risen or fallen:
            return which(risen, "the later, and the higher its version of TLS, the stricter")
    old, new = (
        str(side).lower() if isinstance(side, str) else None for side in (leaf.old, leaf.new)
    )
    for words in SCALES:
        if old in words and new in words:
            stricter = words.index(new) > words.index(old)
            if stricter and not guards and {old, new} <= PLAIN:
                return None
            if old in PLEDGED:
                return Meaning("unclear", f"what is {old} may be in use")
            if stricter and new in FOR_GOOD:
                return Meaning("unclear", f"nobody, root among them, can take {new} back")
            return which(stricter, f"{words[-1]} is the strictest of its words")
    return None


def privilege(words: Sequence[str], leaf: Leaf) -> Meaning | None:
    """What a container may do of its own: a user, or a capability that it drops or is given."""
    last, given = words[-1:], words[-2:]
    zeros = [amount(side) == 0 for side in (leaf.old, leaf.new)]
    if "selinuxoptions" in words[:-1] and leaf.new is not None:
        return which(str(leaf.new) in CONFINED, "the types of Pod Security Standards confine it")
    if last == ("runasuser",) and leaf.new is not None and zeros[0] != zeros[1]:
        return which(zeros[0], "0 is root")
    if given == ("capabilities", "add"):
        return which(leaf.new is None, "it is given to the container")
    if given == ("capabilities", "drop") and "ALL" in (leaf.old, leaf.new):
        return which(leaf.new == "ALL", "ALL is every capability")
    return None


def direction(last: str, leaf: Leaf) -> Meaning | None:
    """A threshold by the operator beside it: the sooner it is reached, the sooner somebody hears.

    Where crossing it moves machines, and calls nobody, sooner is not better.
    """
    word_of = str(leaf.beside.get("comparisonOperator", "")).lower().replace("_", "")
    old, new = amount(leaf.old), amount(leaf.new)
    if last != "threshold" or old is None or new is None or MOVES.search(str(leaf.beside)):
        return None
    if not re.match(r"(greater|less)than", word_of) or "upperthreshold" in word_of:
        return None
    return which((new < old) == word_of.startswith("greater"), "it is reached sooner")


MOVES = re.compile(r":scalingPolicy:|:automate:|:autoscaling:")
"""What an alarm does to machines (CloudWatch's API reference, PutMetricAlarm, AlarmActions)."""


def fewer(last: str, leaf: Leaf) -> Meaning | None:
    """One who, or one way in, less; where the list is empty, nobody is let in by it."""
    gone = leaf.path[-1][:1] == "[" and leaf.new is None
    if leaf.last and isinstance(leaf.old, str) and network(leaf.old):
        return Meaning("unclear", "it was the last range, and none may stand for everybody")
    listed = WHO.search(last) or WAYS_IN.search(last)
    if gone and leaf.alone and listed and re.match("allow|white", last) and not WHO.search(last):
        return Meaning("unclear", "it was the last of them, and none may stand for all")
    return Meaning("stronger", "one less is let in") if gone and listed else None


def branch(last: str, leaf: Leaf) -> Meaning | None:
    """One of two ways that is there or not, such as the default action of a firewall."""
    lax, strict = last in ("allow", "permit", "pass"), last in ("block", "deny", "drop", "reject")
    if "overrideaction" in map(word, leaf.path[:-1]):  # WAF: to count is to let through
        lax, strict = last == "count", last == "none"
    came = leaf.old is None and leaf.new is not None
    gone = leaf.new is None and leaf.old is not None
    if not (lax or strict) or not (came or gone):
        return None
    return which(came if strict else gone, "it says what becomes of the rest")


def presence(leaf: Leaf) -> Meaning | None:
    """Something that guards and is there no longer, or is there now."""
    empty: tuple[Any, ...] = (None, "", [], {})
    if leaf.old not in empty and leaf.new in empty:
        return Meaning("weaker", "it is there no longer")
    return _came(leaf) if leaf.old in empty and leaf.new not in empty else None


DESTROYS = re.compile(r"destroy|delete|wipe|purge")


def _came(leaf: Leaf) -> Meaning:
    """Something of a guard that is said for the first time."""
    said = str(leaf.new).lower()
    if isinstance(leaf.new, str) and OPENS.search(word(leaf.name)):
        return Meaning("unclear", "it may be another way in")
    if isinstance(leaf.new, str) and DESTROYS.search(said):
        return Meaning("unclear", "it may be the word that lets data go")
    if NARROWS.search(word(leaf.name)):
        return Meaning("unclear", "it says what is guarded, and the rest may be so no longer")
    listed = leaf.path[-1][:1] == "["
    if not listed and said in LAXEST | OFF | FOR_GOOD:
        worst = "what nobody can take back" if said in FOR_GOOD else "the laxest of its words"
        return Meaning("unclear", f"it is said now, and is {worst}")
    if listed and not LISTED.search(".".join(map(word, leaf.path))):
        return Meaning("unclear", "one more of these may let more in")
    return Meaning("stronger", "it was not there before")
