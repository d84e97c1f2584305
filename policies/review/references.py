"""What the reference of one type says of one input: of a service of AWS, or of an operator."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from policies.review.amounts import is_a_patch, length, quantity
from policies.review.differences import Leaf
from policies.review.people import word
from policies.review.scales import Meaning, good, which
from policies.review.variables import LEVELS, RECORDS
from policies.review.vocabulary import LEAP

Told = Callable[[Leaf], Meaning | None]


def of_a_type(words: Sequence[str], leaf: Leaf, token: str) -> Meaning | None:
    """What the reference of one type says of one input."""
    whole = ".".join(words)
    for of, place, told in OF_A_TYPE:
        if of.search(token) and place.search(whole) and (found := told(leaf)):
            return found
    return None


def _more(why: str) -> Told:
    """The more, the better."""
    return lambda leaf: _than(leaf, why, more=True)


def _less(why: str) -> Told:
    """The less, the better."""
    return lambda leaf: _than(leaf, why, more=False)


def _than(leaf: Leaf, why: str, *, more: bool) -> Meaning | None:
    old, new = (length(side) for side in (leaf.old, leaf.new))
    return which((new > old) == more, why) if old and new and old != new else None


def _first(why: str) -> Told:
    """One that is said, and was not."""
    return lambda leaf: good(why) if leaf.old is None and isinstance(leaf.new, str) else None


def _renamed(leaf: Leaf) -> Meaning | None:
    both = isinstance(leaf.old, str) and isinstance(leaf.new, str)
    return Meaning("harmless", "a name by which nothing is found") if both else None


def _told_port(leaf: Leaf) -> Meaning | None:
    """A port of a container: who reaches it is decided elsewhere, but for one of its node."""
    told = leaf.old is None and leaf.new is not None and "host" not in str(leaf.new)
    return good("it says where the program listens already") if told else None


def _ends(leaf: Leaf) -> Meaning | None:
    first = leaf.old is None and leaf.new is not None
    return Meaning("unclear", "it ends what ran as long as it needed") if first else None


def _named_one(leaf: Leaf) -> Meaning | None:
    one = leaf.old == "*" and isinstance(leaf.new, str) and "*" not in leaf.new
    return good("one is named where every one was") if one else None


def _later(leaf: Leaf) -> Meaning | None:
    return Meaning("sized", "a later patch") if is_a_patch(leaf.old, leaf.new) else None


RELEASED = re.compile(r"v?\d+\.\d+\.\d+(\+[\w.-]+)?")


def _later_chart(leaf: Leaf) -> Meaning | None:
    """A later patch of the same minor version of a chart, whose versions are SemVer 2 (Helm's
    documentation, "Charts and Versioning"): none of a pre-release."""
    sides = leaf.old, leaf.new
    chart = leaf.name == "version" or "chart" in leaf.beside
    released = all(isinstance(side, str) and RELEASED.fullmatch(side) for side in sides)
    return _later(leaf) if chart and released else None


def _level(leaf: Leaf) -> Meaning | None:
    """How much goes to an ordinary log, of what holds nobody to account and tells no requests."""
    levels = all(str(side).lower() in LEVELS for side in (leaf.old, leaf.new))
    records = RECORDS.search(word("".join(leaf.path)))
    return None if records or not levels else Meaning("sized", "how much goes to an ordinary log")


def _a_bit_more(leaf: Leaf) -> Meaning | None:
    """A pool's processors or memory by a step; its accelerators, and leaps, are another matter."""
    old, new = (quantity(side) for side in (leaf.old, leaf.new))
    step = old and new and old < new <= old * STEP
    return Meaning("sized", "the pool may grow by a step") if step else None


STEP = 1.25


def _reached_no_more(leaf: Leaf) -> Meaning | None:
    """A load balancer, or a port of each node, that goes, and its address with it (Kubernetes'
    documentation, "Service", "Publishing Services")."""
    gone = leaf.old in ("LoadBalancer", "NodePort") and leaf.new in ("ClusterIP", None)
    return Meaning("unclear", "who asks from outside is answered no longer") if gone else None


def _shown(leaf: Leaf) -> Meaning | None:
    return Meaning("harmless", "people read it in a list") if leaf.new is not None else None


LIMIT = re.compile(r"(?P<what>.*[^<>=!\s])\s*(?P<how>[<>]=?)\s*(?P<than>-?\d+(\.\d+)?)\s*", re.S)
TURNS = re.compile(r"\b(unless|absent\w*|bool)\b|#")
"""Words after which more of a series is less of an alarm (Prometheus' manual, "Operators")."""


def _reached_sooner(leaf: Leaf) -> Meaning | None:
    """The number that an alarm's query is compared with at last: the sooner it is reached, the
    sooner somebody hears (Prometheus' documentation, "Alerting rules")."""
    sides = [
        LIMIT.fullmatch(side) if isinstance(side, str) else None for side in (leaf.old, leaf.new)
    ]
    before, after = sides
    if before is None or after is None or not leaf.beside.get("alert"):
        return None
    if before["what"] != after["what"] or before["how"] != after["how"]:
        return None
    what = before["what"]
    if (
        TURNS.search(what)
        or what.count("(") != what.count(")")
        or what.count("{") != what.count("}")
    ):
        return None
    old, new = float(before["than"]), float(after["than"])
    if old == new:
        return Meaning("harmless", "the same number")
    return which((new < old) == before["how"].startswith(">"), "it is reached sooner")


def _told_sooner(leaf: Leaf) -> Meaning | None:
    """How long something must hold until an alarm fires; less, above nothing, is sooner."""
    return _than(leaf, "it tells sooner", more=False) if leaf.beside.get("alert") else None


def _sooner(leaf: Leaf) -> Meaning | None:
    old, new = (length(side) for side in (leaf.old, leaf.new))
    return Meaning("sized", "others ask again sooner") if old and new and new < old else None


def _asked_again(leaf: Leaf) -> Meaning | None:
    """How long a browser goes by an answer about who may ask (Fetch standard, "CORS-preflight
    cache"): the server decides about each request all the same."""
    old, new = length(leaf.old), length(leaf.new)
    said = Meaning("sized", "how soon a browser asks again")
    return said if old and new and new < old * LEAP else None


def _all_of_it(leaf: Leaf) -> Meaning | None:
    """All traffic, where what was let through, or what was not, was recorded (EC2's API,
    CreateFlowLogs; CloudTrail's, EventSelector)."""
    whole = isinstance(leaf.new, str) and leaf.new.lower() == "all"
    return good("more is recorded") if leaf.old and whole else None


def _near(leaf: Leaf) -> Meaning | None:
    """A load that machines are kept at, a little above or below (Application Auto Scaling's API,
    TargetTrackingScalingPolicyConfiguration)."""
    old, new = length(leaf.old), length(leaf.new)
    near = old and new and max(new / old, old / new) <= NEAR
    return (
        Meaning("sized", "when there are more machines, a little sooner or later") if near else None
    )


NEAR = 1.2


def _cheaper(leaf: Leaf) -> Meaning | None:
    """When files go to a cheaper class, such as AFTER_30_DAYS (EFS's API, LifecyclePolicy)."""
    if leaf.old is None and isinstance(leaf.new, str):
        return good("files go to a cheaper class")
    old, new = (re.fullmatch(r"AFTER_(\d+)_DAYS?", str(side)) for side in (leaf.old, leaf.new))
    return Meaning("sized", "when files go to a cheaper class") if old and new else None


def _grows(leaf: Leaf) -> Meaning | None:
    if leaf.new is True:
        return good("a volume may grow, and nothing shrinks")
    return Meaning("unclear", "a volume can grow no longer") if leaf.old is True else None


def _let_go(leaf: Leaf) -> Meaning | None:
    return good("other roles hold it no longer") if leaf.new is None else None


def _lists_longer(leaf: Leaf) -> Meaning | None:
    old, new = length(leaf.old) or 7, length(leaf.new)
    said = Meaning("sized", "how long a list of what is revoked is good")
    return said if new and new < old * LEAP else None


def _reads(leaf: Leaf) -> Meaning | None:
    calls = _calls_the_same(leaf)
    return Meaning("harmless", "people read it, and it calls the same ones") if calls else None


def _broken_off(leaf: Leaf) -> Meaning | None:
    """Parts of an upload that nobody ended: none of them is an object (S3's user guide, "Aborting
    a multipart upload"); in a day or more, one that is under way is done."""
    new = length(leaf.new)
    return Meaning("sized", "when parts of broken uploads go") if new and new > 1 else None


def _named(leaf: Leaf) -> Meaning | None:
    return None if leaf.reordered else Meaning("harmless", "words by which it is found")


def fewer_peers(leaf: Leaf) -> Meaning | None:
    """A selector of everybody that chooses some of them now."""
    narrowed = leaf.old == {} and leaf.new and {"from", "to"} & {*leaf.path}
    return good("fewer are let in, or out to") if narrowed else None


OF_A_TYPE: Sequence[tuple[re.Pattern[str], re.Pattern[str], Told]] = tuple(
    (re.compile(of), re.compile(place), told)
    for of, place, told in (
        (r"^kubernetes:", r"(^|\.)ports\.(name|appprotocol)$", _first("a port has a name now")),
        (r"[Ll]ifecycleConfiguration$|s3[/:][Bb]ucket(V2)?:?", r"ules\.id$", _renamed),
        (r"^kubernetes:|batch[/:]", r"activedeadlineseconds$|attemptdurationseconds$", _ends),
        (
            r"s3[/:]",
            r"abortincompletemultipartupload\.daysafterinitiation$",
            _broken_off,
        ),
        (r"Route$", r"^spec\.rules\.name$", _first("a rule has a name now")),
        (r"^kubernetes:", r"containers\.ports(\.(containerport|protocol))?$", _told_port),
        (r"AppProject$", r"^spec\.(sourcerepos|sourcenamespaces)$", _named_one),
        (r"efs[/:]", r"^lifecyclepolicies\.transitionto(ia|archive)$", _cheaper),
        (
            r"[Cc]ors|[Aa]pi$|FunctionUrl$|HeadersPolicy",
            r"cors\w*\.(accesscontrol)?maxage(sec|seconds)?$",
            _asked_again,
        ),
        (r"ec2[/:][fF]lowLog|cloudtrail", r"^traffictype$|(^|\.)readwritetype$", _all_of_it),
        (r"(autoscaling/p|appautoscaling/p|ScalingP)olicy", r"(^|\.)targetvalue$", _near),
        (r"cert-manager\.io/\w+:Certificate$", r"privatekey\.size$", _more("NIST SP 800-57")),
        (r"lakeformation", r"^(values|tagvalues)$", _first("a tag may have one more value")),
        (r"eks[/:]", r"addonversion$", _later),
        (r"helm\.sh/\w+:(Release|Chart)$", r"^version$", _later_chart),
        (
            r"helm\.toolkit\.fluxcd\.io/\w+:HelmRelease$",
            r"^spec\.chart\.spec\.version$",
            _later_chart,
        ),
        (r"argoproj\.io/\w+:Application$", r"^spec\.sources?\.targetrevision$", _later_chart),
        (r"argoproj\.io/\w+:Application$", r"^spec\.info\.(name|value)$", _shown),
        (r":core/v1:Service$", r"^spec\.type$", _reached_no_more),
        (r"", r"(^|\.)(application)?loglevel$|(^|\.)(log|logger|logging)\.level$", _level),
        (r"karpenter\.sh/\w+:NodePool$", r"^spec\.limits\.(cpu|memory)$", _a_bit_more),
        (r":PrometheusRule$", r"^spec\.groups\.rules\.expr$", _reached_sooner),
        (r":PrometheusRule$", r"^spec\.groups\.rules\.for$", _told_sooner),
        (r"StorageClass$", r"^allowvolumeexpansion$", _grows),
        (r"^(datadog|kubernetes):", r"(^|\.)message$", _reads),
        (r"^github:", r"^topics$", _named),
        (r"ClusterRole$", r"^metadata\.labels\.rbacaggregateto", _let_go),
        (r"route53/record:", r"^ttl$", _sooner),
        (r"velero\.io/", r"(^|\.)ttl$", _more("a backup is kept as long as this says")),
        (r"[Oo]bjective$", r"\.(target|warning|goal)$", _more("the higher, the sooner it tells")),
        (r":NodePool$", r"disruption\.budgets\.nodes$", _less("the fewer, the calmer")),
        (r"acmpca|ACMPCA", r"crlconfiguration\.expirationindays$", _lists_longer),
        (r"inspector2?/", r"^resourcetypes$", _first("more is looked at")),
        (r":EventSubscription$", r"^eventcategories$", _first("more is told")),
        (r"glue[/:]", r"^(crawler)?securityconfiguration$", _first("what it writes is encrypted")),
        (r":NetworkPolicy$", r"\.(namespace|pod)selector$", fewer_peers),
    )
)
"""Type, place in lower case, and what a difference there means, by the type's own reference."""


def _calls_the_same(leaf: Leaf) -> bool:
    """Whether a message mentions the same people, and branches by the same conditions."""
    sides = leaf.old, leaf.new
    if not all(isinstance(side, str) for side in sides):
        return False
    before, after = (sorted(re.findall(r"@[\w.@+-]+|\{\{[^}]*\}\}", str(side))) for side in sides)
    return before == after
