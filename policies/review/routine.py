"""What a team changes every day: upkeep, tempo, spread, retries, spelling, and numbers by a step.

Each is a kind, known by its name in any service, or by what an operator's or AWS's own API
reference says of it; what is none of these is left to the words in meaning.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from policies.data import UNKNOWN
from policies.review.amounts import amount, length, quantity, seconds
from policies.review.differences import Leaf
from policies.review.references import of_a_type
from policies.review.rhythm import comes_by_day, moves
from policies.review.scales import Meaning, good, which
from policies.review.vocabulary import LEAP

UPKEEP = re.compile(
    r"^(weekly|daily|preferred)?(automat(ic|ed))?(maintenance|backup|snapshot|offpeak)(window|time|starttime|day)\w*$"
)
"""Names of when AWS looks after what it manages (API references of RDS, ElastiCache, Redshift)."""

TEMPO = re.compile(
    r"^(interval|refresh|resync|requeueafter|timewindow|\w*cooldown|\w*warmup)$"
    r"|(polling|healthcheck|scrape|repeat|refresh|sync|resync|reconcil\w*|flush|buffer(ing)?|batching|probe)\w*"
    r"(interval|period|seconds|window)\w*$"
)
"""Names of how often something is looked at or sent on."""

AGAIN = re.compile(
    r"^(retry|retries|retrypolicy|retrystrategy|backoff|timeouts|bisectbatchonfunctionerror"
    r"|max(retries|restarts))$"
)
"""Places of how often something is tried again, and how long it may take."""

ONCE = re.compile(r"^(max(imum)?)?attempts$")
"""Numbers of attempts, the first among them (API references of Batch and Step Functions)."""

SPREAD = re.compile(r"^(topologyspreadconstraints|affinity|(pod)?(anti)?affinity)$")
MUST = re.compile(r"DoNotSchedule|required")
"""What lets a pod wait for ever, where no node fits (API reference of PodSpec)."""

PROBES = re.compile(r"^(startup|readiness|liveness)probe$|^outlierdetection$")
"""Places of a pod or a mesh by which what is ill gets no requests (Kubernetes' and Istio's API
references); one that is there now says so sooner."""

PROBED = re.compile(r"^(startup|readiness|liveness)probe$")
PATIENT = re.compile(r"^(initialdelay|timeout)seconds$")
SECONDS_MORE = 30
"""How long a probe waits (API reference of Probe): by so much more, an ill pod is seen later."""

RUNS = re.compile(r"^(exec|command|args|host|script)$")
"""Names inside of those that say what is run, or who is asked."""

SOON = re.compile(r"^(slowstart|maximumbatchingwindow\w*|receive(message)?waittime\w*)$")
"""Seconds of which none at all is the default, and a few are a step (API references of Elastic
Load Balancing, Lambda and SQS)."""

SAMPLED = re.compile(r"sampl\w*(rate|percent(age)?|ratio|fraction)$")
"""Names of how much of what happens is recorded."""

HISTORY = re.compile(r"^((revision|successfuljobs|failedjobs)historylimit|maxhistory)$")
"""How many old versions Kubernetes keeps for a look back."""

CALMER = re.compile(r"^(consolidateafter|renewbefore|minrenewbefore)$")
"""Numbers of which more is calmer: nodes are moved later, a certificate is renewed sooner."""

SHIFTS = re.compile(r"(canary|linear)\w*\.(\w*interval\w*|steps\.pause\.duration)$")
"""Places of how long a part of the requests tries what is new (CodeDeploy's API reference,
TimeBasedCanary, TimeBasedLinear; Argo Rollouts' documentation, "Canary")."""

COPIES = re.compile(r"velero|dlm|backup|snapshot|createrule", re.I)
"""What takes copies: seldomer, more is lost between two of them."""

INCLUDED = re.compile(r"^included?\w*(namespaces|resources|volumes|databases|tables)$")
"""Lists of what is copied, where not everything is (Velero's API reference, Schedule)."""

FASTER = re.compile(r"^growthfactor$|^failuretolerance")
"""Numbers of which more reaches more at once (AppConfig's API reference,
DeploymentStrategy), or lets more of it fail (CloudFormation's, StackSetOperationPreferences)."""

SHOWN = re.compile(
    r"^(additionalprintercolumns|shortnames|categories|(propagate|managed|ecsmanaged)tags"
    r"|propagatetagsto\w*|enable\w*managedtags|blocked(in|out)puts?messaging|loginbanner"
    r"|p(re|ost)authenticationloginbanner|tagpropagation|optionalfields|minimumcompressionsize"
    r"|trafficdistribution|flexibletimewindow|terminationmessagepolicy|copytags"
    r"|compress|enableacceptencoding(gzip|brotli)|enablehttp2)$"
)
"""Names of what `kubectl get` shows, who pays, what a person is told, and how it travels."""

GRACE = re.compile(r"^healthcheckgraceperiod(seconds)?$")
"""How long a new task may be ill (ECS's and EC2 Auto Scaling's API references)."""

TEMPO_MAX = 2
"""Times by which something may be looked at less often and still be looked at."""

STEPS_MAX = 1.5
"""Times by which a number of an unknown name may grow, or shrink, and still be a step."""

BYTES = re.compile(r"\d+(\.\d+)?[KMGTPE]i")
"""Quantities that are bytes, whatever they are of (Kubernetes' API reference, Quantity)."""

NO_SIZE = re.compile(
    r"port|weight|priorit|order|number$|index|id$|asn|vlan|version|user|group|bits?$|length|mode"
    r"|code|status|dial|hops?$|rank|percent|precedence|partition|replication|isr|offset|mask|level"
    r"|year|date|value|seed|max_?age|step|zone|amount|cost|price|spend|bid|fee|rate"
)
"""Names of numbers that name, rank or divide something, or are money."""


def routine(words: Sequence[str], leaf: Leaf, token: str) -> Meaning | None:
    """What this is, where it is of the daily kinds; None: nobody says so here."""
    last = words[-1] if words else ""
    if UNKNOWN in (leaf.old, leaf.new) or not last:
        return None
    return (
        _spelled(leaf)
        or moves(words, leaf, token)
        or _kept_up(words, leaf)
        or _patient(words, last, leaf)
        or _preferred(words, last, leaf)
        or _numbers(words, last, leaf, token)
        or _came(words, leaf, token)
        or of_a_type(words, leaf, token)
    )


def _spelled(leaf: Leaf) -> Meaning | None:
    """One length of time in two spellings, such as `2160h` and `2160h0m0s`."""
    old, new = (seconds(side) if isinstance(side, str) else None for side in (leaf.old, leaf.new))
    certain = any(isinstance(side, str) and amount(side) for side in (leaf.old, leaf.new))
    return (
        Meaning("harmless", "the same length of time") if old and old == new and certain else None
    )


ELSEWHERE = re.compile(r"arn:|://|role|target|queue|secret|command|image", re.I)
"""Words of what acts as, or reaches, something else, wherever it stands."""


def _is_plain(leaf: Leaf) -> bool:
    """Whether it says nothing but how: no role, no address, no other resource."""
    return not any(ELSEWHERE.search(str(part)) for part in (*leaf.path[1:], leaf.old, leaf.new))


def _kept_up(words: Sequence[str], leaf: Leaf) -> Meaning | None:
    if not _is_plain(leaf):
        return None
    flag = isinstance(leaf.old, bool) or leaf.new is None
    if any(map(UPKEEP.search, words)) and not flag and not comes_by_day(leaf):
        return Meaning("harmless", "when it is looked after")
    if any(map(SHOWN.search, words)) and (leaf.new is not None or "version" in words[0]):
        return Meaning("harmless", "it says what is shown, or told")
    return None


PREFERRED = re.compile(r"^preferredduringscheduling\w+$")


def _preferred(words: Sequence[str], last: str, leaf: Leaf) -> Meaning | None:
    """How much a wish about a pod's place counts among others: it finds one all the same."""
    both = amount(leaf.old) and amount(leaf.new)
    wish = both and last == "weight" and any(map(PREFERRED.search, words))
    return Meaning("sized", "how much a preference counts") if wish else None


def _patient(words: Sequence[str], last: str, leaf: Leaf) -> Meaning | None:
    """How long a probe waits, by a few seconds more."""
    old, new = amount(leaf.old), amount(leaf.new)
    if not (any(map(PROBED.search, words)) and PATIENT.search(last)) or None in (old, new):
        return None
    later = 0 < (new or 0) - (old or 0) <= SECONDS_MORE
    return Meaning("sized", "a few seconds more until it is taken to be ill") if later else None


def _numbers(words: Sequence[str], last: str, leaf: Leaf, token: str) -> Meaning | None:
    """Numbers whose good side, or whose step, is known by the name."""
    old, new = (length(side) for side in (leaf.old, leaf.new))
    tried = any(map(AGAIN.search, words)) and leaf.new not in (None, 0, "0", "0s")
    if tried and _is_plain(leaf) and not leaf.reordered:
        return _tried(last, old, new)
    if new and ((SOON.search(last) and new <= 300) or (HISTORY.search(last) and not old)):
        return Meaning("sized", "a few seconds, or how many old versions")
    if not old or not new or old == new:
        return None
    whole = ".".join(words)
    more = CALMER.search(last) or SAMPLED.search(last) or SHIFTS.search(whole)
    if more or FASTER.search(last):
        return which((new > old) == bool(more), "the one way it is calmer, or more is recorded")
    copies = COPIES.search(f"{token} {whole}")
    sized = (
        (TEMPO.search(last) and not copies and 0.1 <= new / old <= TEMPO_MAX)
        or (GRACE.search(last) and new / old < LEAP)
        or HISTORY.search(last)
    )
    if sized:
        return Meaning("sized", "how often, how long, or how many old versions")
    return None


def _tried(last: str, old: float | None, new: float | None) -> Meaning | None:
    if ONCE.search(last) and new == 1 and old and old > 1:
        return Meaning("unclear", "it is tried once, and never again")
    leap = old and new and max(new / old, old / new) > 5
    return None if leap else Meaning("sized", "how often, or how long, it is tried")


def _came(words: Sequence[str], leaf: Leaf, token: str) -> Meaning | None:
    """What is said for the first time, and takes nothing from anybody."""
    fresh = leaf.old in (None, {}, []) and leaf.new not in (None, {}, [])
    if not fresh or any(map(RUNS.search, words)):
        return None
    if any(map(SPREAD.search, words)):
        must = MUST.search(str(leaf.new))
        return Meaning("unclear", "a pod may find no place") if must else good("pods are apart")
    copied = INCLUDED.search(words[-1]) and COPIES.search(token) and leaf.path[-1][:1] == "["
    if copied and not (leaf.alone or leaf.first):
        return good("one more is copied")
    probes = any(map(PROBES.search, words)) and not words[-1].startswith("terminationgrace")
    if probes or "containers.lifecycle" in ".".join(words):
        return good("what is ill gets no requests")
    names = [name for name in leaf.path if name[:1] != "["]
    if any(map(WATCHES.search, (words[-1], ".".join(words[-2:])))) and str(leaf.new).lower() in (
        "true",
        "enabled",
    ):
        return good("more is recorded from now on")
    more = _is_of_a_schema(names, leaf) or _labels_a_node(names, token)
    record = leaf.alone and names[-1] == "prefix" and any("log" in name for name in words[:-1])
    return good("it says more than before, to nobody's harm") if more or record else None


def _is_of_a_schema(names: Sequence[str], leaf: Leaf) -> bool:
    """Whether an object of a CustomResourceDefinition may say something more."""
    within = "openAPIV3Schema" in names and "properties" in names
    return within and (leaf.alone or names[-2:-1] == ["properties"])


WATCHES = re.compile(
    r"^metrics\.(status|enabled)$|^enable\w*(metrics|cloudwatchlogs?|tracing|xray|insights?|observability\w*|monitoring)$"
)
"""Names of what turns on that something is recorded, such as Glue's `--enable-metrics`, and S3's
`metrics.status` of a replication."""

NODES = re.compile(r"eks/nodeGroup:|eks:Nodegroup$|karpenter.sh/\w+:NodePool$")


def _labels_a_node(names: Sequence[str], token: str) -> bool:
    """Whether nodes have one label more, that is none of Kubernetes' own."""
    return bool(NODES.search(token)) and "labels" in names[:-1] and "/" not in names[-1]


def is_a_step(last: str, leaf: Leaf) -> bool:
    """Whether a number of an unknown name moves a little, and is none that names or ranks."""
    sides = leaf.old, leaf.new
    if all(isinstance(side, str) and BYTES.fullmatch(side) for side in sides):
        old, new = (quantity(side) or 0.0 for side in sides)
        return 0 < old <= new <= old * STEPS_MAX  # a volume is hardly ever made smaller
    if any(isinstance(side, bool) or not isinstance(side, int | float) for side in sides):
        return False
    old, new = (float(side) for side in sides)
    if old <= 0 or new <= 0 or NO_SIZE.search(last):
        return False
    return max(new / old, old / new) <= STEPS_MAX
