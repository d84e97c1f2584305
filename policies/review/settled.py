"""What several differences say together: an element that is good by being there, a new block.

A difference is judged by its own name; what holds it may say it already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from policies.review.differences import Leaf
from policies.review.people import word
from policies.review.references import fewer_peers
from policies.review.scales import Meaning, good, presence
from policies.review.variables import says_a_level
from policies.review.vocabulary import GUARD, OFF

Test = Callable[[Mapping[str, Any]], bool]
"""Of an element of a list, such as a rule."""


def _holds_back(rule: Mapping[str, Any]) -> bool:
    """Whether a rule of a web ACL stops or counts: one that lets through spares those after it."""
    action = rule.get("action")
    allows = isinstance(action, Mapping) and "allow" in {word(str(name)) for name in action}
    return not allows and bool(action or rule.get("overrideAction"))


def _masks(rule: Mapping[str, Any]) -> bool:
    return str(rule.get("action", rule.get("type", ""))).upper() in ("BLOCK", "ANONYMIZE", "DENY")


def _always(rule: Mapping[str, Any]) -> bool:
    del rule
    return True


def _calls(rule: Mapping[str, Any]) -> bool:
    return "alert" in rule or "record" in rule


def _says_a_level(variable: Mapping[str, Any]) -> bool:
    """Whether it is a variable of a program, and gives a level of an ordinary log."""
    name, value = variable.get("name"), variable.get("value")
    kind = str(variable.get("type", "PLAINTEXT"))  # CodeBuild's API, EnvironmentVariable
    plain = variable.keys() <= {"name", "value", "type"} and kind == "PLAINTEXT"
    leaf = Leaf(("env", f"[{name}]", "value"), None, value)
    return plain and value is not None and says_a_level(leaf)


AT_ONCE = ("STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR")
"""Classes of S3 from which an object is read in milliseconds, and that lie in several zones (S3's
user guide, "Understanding and managing Amazon S3 storage classes")."""


def _stays_at_hand(transition: Mapping[str, Any]) -> bool:
    named = transition.keys() <= {"days", "storageClass", "transitionInDays"}
    return named and transition.get("storageClass") in AT_ONCE


def _breaks_off(rule: Mapping[str, Any]) -> bool:
    """Whether a rule does nothing but end uploads that nobody ended: none of them is an object."""
    broken = rule.get("abortIncompleteMultipartUpload")
    days = broken.get("daysAfterInitiation") if isinstance(broken, Mapping) else None
    only = {"id", "status", "filter", "prefix", "abortIncompleteMultipartUpload"}
    return rule.keys() <= only and isinstance(days, int | float) and days > 1


def _is_a_column(column: Mapping[str, Any]) -> bool:
    return column.keys() <= {"name", "type", "comment"}


ONE = r"\.\[[^\]]*\]"
"""An element of a list, in a path."""

ADDED: Sequence[tuple[re.Pattern[str], re.Pattern[str], Test, str]] = (
    (re.compile(r"wafv2.*(WebAcl|RuleGroup)$", re.I), re.compile(rf"^rules{ONE}$"),
     _holds_back, "one more rule stops or counts requests"),
    (re.compile(r"backup.*plan$", re.I),
     re.compile(rf"^(backupPlan\.)?(rules|\w+Rule){ONE}$"),
     _always, "one more backup is taken"),
    (re.compile(r"bedrock.*guardrail$", re.I), re.compile(rf"^\w+PolicyConfig\.\w+{ONE}$"),
     _masks, "one more kind is kept out"),
    (re.compile(r"cloudtrail.*:(Trail|EventDataStore)$"), re.compile(rf"^insightSelectors{ONE}$"),
     _always, "one more kind of unusual calls is written down"),
    (re.compile(r"PrometheusRule$"), re.compile(rf"^spec\.groups{ONE}(\.rules{ONE})?$"),
     lambda rule: _calls(rule) or "rules" in rule, "one more alarm or record"),
    (re.compile(r"networking.k8s.io/\w+:Ingress$"), re.compile(rf"^spec\.tls{ONE}$"),
     _always, "one more name is served over TLS"),
    (re.compile(r""), re.compile(rf"(^|\.)subscribers{ONE}$"),
     lambda who: who.get("type", who.get("subscriptionType")) == "EMAIL",
     "one more person is written to"),
    (re.compile(r"monitoring.coreos.com/\w+:(Pod|Service)Monitor$"),
     re.compile(rf"^spec\.(endpoints|podMetricsEndpoints){ONE}$"),
     lambda one: one.keys() <= {"port", "path", "interval", "scrapeTimeout", "scheme"},
     "one more port is asked for its metrics"),
    (re.compile(r"(featureGroup:|:)FeatureGroup$"), re.compile(rf"^featureDefinitions{ONE}$"),
     lambda one: one.keys() <= {"featureName", "featureType"},
     "records may have one more feature"),
    (re.compile(r"stateMachine:StateMachine$|StateMachine$"), re.compile(rf"\.Retry{ONE}$"),
     _always, "one more error after which it is tried again"),
    (re.compile(r"s3[/:][Bb]ucket"), re.compile(rf"(^|\.)rules{ONE}$"),
     _breaks_off, "parts of broken uploads go"),
    (re.compile(r"s3[/:][Bb]ucket"), re.compile(rf"(^|\.)rules{ONE}\.transitions{ONE}$"),
     _stays_at_hand, "objects go to a cheaper class, and are read as before"),
    (re.compile(r"glue[/:](catalogTable:|Table$)"), re.compile(rf"(^|\.)columns{ONE}$"),
     _is_a_column, "one more column, behind the others"),
    (re.compile(r""), re.compile(rf"(^|\.)(env|environment|environmentVariables){ONE}$"),
     _says_a_level, "a program says from now on how much it logs"),
)  # fmt: skip
"""Type, place in a list, what an element there must be, and why one more of them is good."""

BY_PLACE = re.compile(rf"(^|\.)columns{ONE}$")
"""Lists in which what stands before the others moves them (Athena's user guide, "Types of updates":
of formats that go by position, columns are added at the end)."""

SETTLES: Sequence[tuple[str, ...]] = (("accessScope", "type"),)
"""Places that, where they got stricter, leave what stands beside them to be their detail."""

PEERS = ("namespaceSelector", "podSelector")

Judged = tuple[Leaf, Meaning]
FINE = ("harmless", "stronger")


def settled(found: Iterable[Judged], token: str) -> tuple[Judged, ...]:
    """The same without what another difference says already.

    An element that is good by being there takes its members along; of a block that is new, the
    members say what it does, where all of them are known to be fine.
    """
    judged = [(leaf, _added(leaf, token) or sense) for leaf, sense in found]
    whole = [leaf.path for leaf, sense in judged if _is_whole(leaf, token)]
    whole += [leaf.path[:-1] for leaf, sense in judged
              if leaf.path[-2:] in SETTLES and sense.sense == "stronger"]  # fmt: skip
    kept = [pair for pair in judged if not any(_within(pair[0].path, path) for path in whole)]
    return tuple(pair for pair in kept if not _is_said_by_members(pair, kept))


def _added(leaf: Leaf, token: str) -> Meaning | None:
    if leaf.old is not None or not isinstance(leaf.new, Mapping):
        return None
    if one := _of_one_word(leaf):
        return one
    path = ".".join(leaf.path)
    if BY_PLACE.search(path) and not leaf.appended:
        return None
    rows = (row for row in ADDED if row[0].search(token) and row[1].search(path))
    return next((good(why) for _, _, fits, why in rows if fits(leaf.new)), None)


def _of_one_word(leaf: Leaf) -> Meaning | None:
    """An element that holds one word is that word, such as the type of a log that is written."""
    words = [*leaf.new.values()] if len(leaf.new) == 1 and leaf.path[-1][:1] == "[" else []
    place = ".".join(map(word, leaf.path))
    if not words or not isinstance(words[0], str) or not GUARD.search(place):
        return None
    meant = presence(Leaf(leaf.path, None, words[0]))
    return meant if meant and meant.sense == "stronger" else None


def _is_whole(leaf: Leaf, token: str) -> bool:
    """Whether what is inside of it is told with it."""
    narrowed = token.endswith(":NetworkPolicy") and leaf.name in (
        "namespaceSelector",
        "podSelector",
    )
    return _added(leaf, token) is not None or bool(narrowed and fewer_peers(leaf))


def _within(path: tuple[str, ...], outer: tuple[str, ...]) -> bool:
    return len(path) > len(outer) and path[: len(outer)] == outer


def _is_said_by_members(pair: Judged, kept: Sequence[Judged]) -> bool:
    leaf, meaning = pair
    block = isinstance(leaf.new, Mapping) and leaf.new and leaf.old in (None, {})
    if meaning.sense != "unclassified" or not block:
        return False
    members = [
        (inner, sense.sense)
        for inner, sense in kept
        if _within(inner.path, leaf.path) and not (inner.new and isinstance(inner.new, Mapping))
    ]
    better = leaf.path[-1][:1] != "[" or "stronger" in {sense for _, sense in members}
    fine = all(s in FINE and not _is_off(inner) for inner, s in members)
    return bool(members) and better and fine


def _is_off(leaf: Leaf) -> bool:
    """Whether it is said to be off, where nobody knows what it is unsaid."""
    return leaf.old is None and str(leaf.new).lower() in OFF
