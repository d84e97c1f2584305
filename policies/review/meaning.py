"""What a changed value means: less guarded, more guarded, harmless, or nobody knows.

By the words of its name and by its direction, at any depth and of any type: a number that shrinks
and a flag that falls weaken what they guard, whatever the service is. A value that no word explains
is *unclassified*, and of a type that holds state, grants access, opens a network, records or runs
something a person looks at it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from policies.data import UNKNOWN
from policies.review.differences import Leaf

Sense = Literal["weaker", "stronger", "unclear", "harmless", "sized", "unclassified"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """How one difference is to be taken, and why."""

    sense: Sense
    why: str


HARMLESS = re.compile(
    r"(description|comments?|displayname|tags|tagsall|tagset|tagspecifications|notes?|purpose"
    r"|documentation|friendlyname|summary|labelname|annotationsdescription)$"
)
"""Names, in lower case, of what people read and no machine goes by."""

SIZE = re.compile(
    r"instancetypes?$|instanceclass|instancecount|nodetype|numberof(nodes|brokernodes|cacheclusters)"
    r"|capacity(units)?$|desired(size|capacity|count)|(max|min)(imum)?(size|capacity|instances)"
    r"|memory(size)?$|cpu$|timeout(s|seconds|inseconds|inminutes|inmillis)?$|batchsize|concurrency"
    r"|volumesize|allocatedstorage|iops$|throughput|parallelism|replicas$|memorysizeinmb|shardcount"
    r"|requests$|limits$|adjustment|nvidiacomgpu|ephemeralstorage|disksize|sizeingb|bandwidth|workers?count"
)
"""Names of what says how large or how long: the cost says what it comes to."""

NEGATIVE = re.compile(
    r"^(force|skip|bypass|disable|suspend|ignore|allow|insecure|unsafe|privileged|host(network|pid"
    r"|ipc|port|path)|delete(automated|associated|all|on)|anonymous|unauthenticated|public|expose"
    r"|permit|exempt|omit|exclude|without|purge|destroy|wipe|autoaccept|autominor)"
    r"|publicly|publicaccess$|publicip|publicread|istruncate|associatepublic|sourcedest$|bypass"
    r"|forcedestroy|forcedelete|forcedetach|ispublic|allowall|internetaccess|withoutprotection"
    r"|privileg|overwrite|external|unencrypt|plaintext|insecure|anonymous|unauthenticated|execute"
    r"|rootaccess|sudo|crossaccount|directinternet"
)
"""Names of flags that are safe while they are down."""

BLOCKS = re.compile(r"(block|ignore|restrict|deny|prevent|disallow)\w*(public|acl|external|anon)")
"""Flags against the public, though they begin like the others."""

GUARD = re.compile(
    r"retention|retain|backup|versioning|recovery|snapshot|protect|lock(ed|out|config|mode|$)"
    r"|worm|legalhold|encrypt|kms|sse(algorithm|specification|$)|logging|logs?(config|delivery|type"
    r"|group|file|level|$)|logpublish|audit|trail|record(er|ing)|monitor|alarm|rollback|rotation"
    r"|mfa|valid(ation|ate)|verif|boundar|guard|immutab|mutability|scan|isolat|tls|ssl|https"
    r"|certificate|auth|deny|denied|block|restrict|quarantine|firewall|waf|webacl|networkpolic"
    r"|podsecurity|admission|quota|multiaz|archiv|pointintime|pitr|delet(e|ion)|deletionpolicy"
    r"|reclaim|threshold|minhealthy|maxunavailable|minavailable|securitycontext|readonly|nonroot"
    r"|drop$|seccomp|apparmor|selinux|privileg|failurepolicy|enforce|inspect|detect|approv|confirm"
    r"|deadletter|redrive|imdsv?2?|httptokens|hoplimit|capture|sampling|flowlog|insight|notif"
    r"|datasource|finding|inspector|guardrail|waitinterval|terminationwait|bake|canary|stoppolicy"
)
"""Words of what keeps data, keeps others out, or keeps a record."""

KEEPS = re.compile(
    r"retention|retain|backup|lock|recovery|window|days|period|keep|history|archiv|minimum|^min"
    r"|wait|bake|sampling|versions|snapshot|expir|ttl|maxage|hours|years|count(number|moreThan)?$"
)
"""Words of numbers of which less is kept, or waited, for."""

CAPS = re.compile(
    r"threshold|maxunavailable|limit|quota|hoplimit|^max|canary|percent|sessionduration|evaluationperiods"
    r"|datapointstoalarm"
)
"""Words of numbers of which more lets more through."""

FOREVER = re.compile(
    r"retentionindays|retentiondays|logretention|expir|ttl|maxage|noncurrent|days$"
)
"""Numbers whose absence means for ever."""

SCALES: Sequence[tuple[str, ...]] = (
    ("delete", "snapshot", "retain"),
    ("delete", "retainexceptoncreate", "retain"),
    ("none", "governance", "compliance"),
    ("privileged", "baseline", "restricted"),
    ("audit", "warn", "deny"),
    ("ignore", "fail"),
    ("mutable", "mutable_with_exclusion", "immutable_with_exclusion", "immutable"),
    ("none", "optional", "required"),
    ("http", "https"), ("http-only", "https-only"),
    ("allow-all", "redirect-to-https", "https-only"),
    ("none", "aws_iam"), ("none", "jwt"), ("none", "custom"),
    ("allow", "count", "captcha", "challenge", "block"), ("pass", "alert", "drop"),
    ("public", "private"), ("public", "publicandprivate", "private"),
    ("publicinternetonly", "vpconly"), ("internet-facing", "internal"),
    ("permissive", "strict"), ("plaintext", "tls_plaintext", "tls"),
    ("public-read-write", "public-read", "authenticated-read", "private"),
    ("never", "onfailure", "always"), ("disabled", "relaxed", "strict"),
    ("aes256", "aws:kms", "aws:kms:dsse"), ("none", "errorsonly", "all"),
    ("off", "error", "info", "all"), ("off", "optional", "on"),
    ("tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3"), ("tlsv1", "tlsv1.1", "tlsv1.2", "tlsv1.3"),
    ("allow", "read_only", "deny"), ("dualstack", "ipv4"), ("any", "none"),
    ("all_at_once", "linear", "canary"), ("open", "closed"), ("passthrough", "active"),
)  # fmt: skip
"""Words of one matter, from the laxest to the strictest."""

OFF = frozenset(
    ("false", "disabled", "disable", "off", "none", "never", "suspended", "inactive", "stopped",
     "no", "0", "paused", "detached", "unprotected", "deactivated", "")
)  # fmt: skip
ON = frozenset(
    ("true", "enabled", "enable", "on", "always", "active", "required", "yes", "running",
     "protected", "activated", "started", "enforced")
)  # fmt: skip
"""Words for a flag that is down or up."""


def meaning(leaf: Leaf) -> Meaning:
    """What this difference means, by its name and direction."""
    words = tuple(_word(name) for name in leaf.path if name[:1] != "[")
    last, whole = _word(leaf.name), ".".join(words)
    guards = bool(GUARD.search(whole))
    if any(HARMLESS.search(word) for word in words if word) or _is_a_label(leaf.path):
        return Meaning("harmless", f"{leaf.name} is for people to read")
    if leaf.reordered:
        return Meaning("unclassified", "the same in another order")
    if UNKNOWN in (leaf.old, leaf.new):
        return Meaning("unclear" if guards else "unclassified", "known only during the update")
    return (
        _flag(last, leaf, guards)
        or _number(last, whole, leaf, guards)
        or _scale(leaf)
        or (_presence(leaf) if guards else None)
        or _rest(words, leaf, guards)
    )


def _is_a_label(path: Sequence[str]) -> bool:
    """An object's own label of no domain: nothing that Kubernetes or an operator goes by."""
    return len(path) == LABEL and path[:2] == ("metadata", "labels") and "/" not in path[2]


LABEL = 3


def _rest(words: Sequence[str], leaf: Leaf, guards: bool) -> Meaning:
    if any(SIZE.search(word) for word in words):
        old, new = _amount(leaf.old), _amount(leaf.new)
        if new == 0:
            return Meaning("unclear", "none of it is left")
        if old and new and max(old / new, new / old) >= LEAP:
            return Meaning("unclear", f"{LEAP} times as large or small as before, or more")
        return Meaning("sized", "how large it is")
    if guards:
        return Meaning("unclear", "it guards something, and nobody here knows which way this goes")
    return Meaning("unclassified", "nobody here knows what it does")


LEAP = 4
"""Times by which a size is another matter, and no longer a step."""


@cache
def _word(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _flag(last: str, leaf: Leaf, guards: bool) -> Meaning | None:
    """A flag that falls, or one that is safe while it is down and rises."""
    old, new = _state(leaf.old), _state(leaf.new)
    flags = isinstance(leaf.old, bool) or isinstance(leaf.new, bool)
    if not flags and None in (old, new):
        return None
    before, after = bool(old), bool(new)
    if before == after:
        return Meaning("harmless", "it says what was so before") if flags else None
    return _raised(last, after, guards)


def _raised(last: str, after: bool, guards: bool) -> Meaning | None:
    """A flag that is up now, or down now."""
    if BLOCKS.search(last):
        return _which(after, "it keeps others out")
    if NEGATIVE.search(last):
        return _which(not after, "it is safe while it is off")
    if guards or last in SWITCHES:
        return _which(after, "it guards while it is on")
    fell = not after and re.match(r"(is)?enable|.*enabled$|require", last)
    return Meaning("weaker", "it is on no longer") if fell else None


SWITCHES = ("enabled", "enable", "isenabled", "status", "state")
"""Names of flags that turn the whole of something off."""


def _state(value: Any) -> bool | None:
    """Up, down, or no flag at all; what is absent is down only beside a flag."""
    if isinstance(value, bool):
        return value
    word = str(value).lower() if isinstance(value, str) else None
    return True if word in ON else False if word in OFF else None


def _which(stronger: bool, why: str) -> Meaning:
    return Meaning("stronger" if stronger else "weaker", why)


def _number(last: str, whole: str, leaf: Leaf, guards: bool) -> Meaning | None:
    """A number of which less is kept for, or of which more lets more through."""
    old, new = _amount(leaf.old), _amount(leaf.new)
    numbers = _numeric(leaf.old) and _numeric(leaf.new) and not (old is None and new is None)
    if numbers and CAPS.search(last) and not LEAST.search(last):
        return _cap(last, old, new) if guards else None
    if not numbers or not KEEPS.search(whole) or not (guards or KEEPS.search(last)):
        return None
    endless = bool(FOREVER.search(last)) and not ENDING.search(whole)
    edge = float("inf") if endless else 0.0
    before, after = (value or edge for value in (old, new))
    if before == after:
        return Meaning("harmless", "the same length of time")
    return _which(after > before, "it is kept, or waited for, as long as this says")


ENDING = re.compile(r"backup|lock|recovery|window|deletion")
"""Words of numbers whose absence means that nothing is kept, or the default."""

LEAST = re.compile(
    r"minimum|^min|retention|retain|snapshot|backup|recovery|wait|bake|keep|sampling"
)
"""Words by which even a limit is one of what is kept."""


def _cap(last: str, old: float | None, new: float | None) -> Meaning:
    """A limit; of a threshold nobody knows by its name on which side of it the good lies."""
    if old is None or new is None or re.search("threshold|percent", last):
        return Meaning("unclear", "a limit moves")
    return _which(new < old, "it lets more through the larger it is")


def _numeric(value: Any) -> bool:
    return value is None or _amount(value) is not None


def _amount(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _scale(leaf: Leaf) -> Meaning | None:
    """Two words of one matter."""
    old, new = (
        str(side).lower() if isinstance(side, str) else None for side in (leaf.old, leaf.new)
    )
    for scale in SCALES:
        if old in scale and new in scale:
            return _which(
                scale.index(new) > scale.index(old), f"{scale[-1]} is the strictest of its words"
            )
    return None


def _presence(leaf: Leaf) -> Meaning | None:
    """Something that guards and is there no longer, or is there now."""
    empty: tuple[Any, ...] = (None, "", [], {})
    if leaf.old not in empty and leaf.new in empty:
        return Meaning("weaker", "it is there no longer")
    if leaf.old in empty and leaf.new not in empty:
        return Meaning("stronger", "it was not there before")
    return None


SETS = re.compile(
    r"(ids?|arns?|cidrs?|cidrblocks|zones|subnets|groups|principals?|actions?|resources?|services"
    r"|accounts|policies|types|names|regions|protocols|methods|headers|hosts|users|roles|events"
    r"|aliases|exports|tags|tagkeys|features|scopes|urls|ports|values)$"
)
ORDERED = re.compile(
    r"command|args|entrypoint|container|stage|step|behavior|order|priorit|column|key"
)
ID = re.compile(
    r"(arn:|[a-z]{2,12}-[0-9a-f]{6,}|\d{12}$|[0-9a-f.:]+/\d{1,3}$|[\w-]+\.amazonaws\.com)"
)


OBJECTS = frozenset(
    ("statement", "ingress", "egress", "taints", "tolerations", "env", "volumes", "subjects",
     "attributes", "globalsecondaryindexes", "localsecondaryindexes", "notifications", "tags",
     "parameters", "inlinepolicies", "secrets", "ports", "featuredefinitions", "imagepullsecrets")
)  # fmt: skip
"""Lists of objects, each found again by what it says."""


def is_a_set(path: Sequence[str], items: Sequence[Any]) -> bool:
    """Whether the order of this list says nothing: by its name, or by what stands in it."""
    name = _word(next((part for part in reversed(path) if part[:1] != "["), ""))
    plain = [item for item in items if isinstance(item, str)]
    if len(plain) < len(items) or ORDERED.search(name):
        return name in OBJECTS
    return bool(SETS.search(name)) or all(map(ID.match, plain))


LEVELS: Mapping[Sense, int] = {
    "weaker": 5, "unclear": 4, "unclassified": 3, "sized": 2, "stronger": 1, "harmless": 0,
}  # fmt: skip
"""The worst first."""
