"""What something new does by being there: an open world for creations too.

A bucket, a log group or an alarm that is new takes nothing from anybody. What brings others
together (an attachment, a permission, a subscription), what lets somebody in, sends data elsewhere,
or switches a finding off, acts on what is there already. So a creation is quiet where its type is
known to hold, record, guard, run or cost something of its own; anything else asks for a person,
unless all that it refers to is new in the same change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from policies.data import UNKNOWN
from policies.review.differences import Leaf, leaves
from policies.review.knowledge import WORDS, Known, formation_name, known
from policies.review.meaning import begins_weak, meaning
from policies.review.model import TAGS, Change
from policies.review.people import word
from policies.review.vocabulary import EXPIRES, GUARD, OFF, SCALES, SWITCHES
from policies.tables.names import BY_NAME

OF_ITS_OWN: Mapping[str, tuple[str, ...]] = {
    "state": ("in cfn-lint's list",),
    "guards": ("its name has",),
}
"""Kinds of types that are something by themselves, and how the evidence for it begins."""

TABLE = Path(__file__).parent.parent / "tables" / "read_creations.json"
"""Types whose creation other parts of a review read whole, and why it is quiet besides."""

UNLESS: Mapping[str, re.Pattern[str]] = {
    "AWS::SageMaker::ModelPackageGroup": re.compile(r"[pP]olicy\": "),
    "aws:athena/workgroup:Workgroup": re.compile(
        r'"enforceWorkgroupConfiguration": "?false|[rR]ole|identityCenter|Access'
    ),
    "aws:backup/plan:Plan": re.compile(r"copyActions"),
    "aws:cloudwatch/eventBus:EventBus": re.compile(r"eventSourceName"),
    "aws:glue/catalogTable:CatalogTable": re.compile(r"targetTable|catalogId|viewExpandedText"),
    "aws:ssm/document:Document": re.compile(
        r'permissions|attachments|"documentType": (?!"Command")|SSM-'
    ),
    "aws:backup/vaultLockConfiguration:VaultLockConfiguration": re.compile(r"changeableForDays"),
    "AWS::Backup::BackupVault": re.compile(r"[cC]hangeableForDays"),
    "kubernetes:policy/v1:PodDisruptionBudget": re.compile(
        r'"maxUnavailable": ("0%"|0\b)|"minAvailable": "100%"'
    ),
    "kubernetes:core/v1:ServiceAccount": re.compile(r'"annotations": \{"|"secrets": \[\{'),
    "kubernetes:scheduling.k8s.io/v1:PriorityClass": re.compile(r'"globalDefault": "?true'),
    "kubernetes:storage.k8s.io/v1:StorageClass": re.compile(r"is-default-class"),
    "tls:index/privateKey:PrivateKey": re.compile(r'"rsaBits": "?(512|1024)\b|P224'),
}
"""Of those, what in its inputs makes one act on others, or makes it weak: a role of AWS or a token
of an account, a default for all who name none, a lock that nobody can take back, a node that can
never be drained, a key of a size that NIST SP 800-57 gives up, a policy or a role of its own, data
of another account, a copy in another vault, a document for others or for their sessions."""

ACTS = re.compile(
    r"attach|associat|authoriz|permission|accept|shar(e|ing)|peering|replicat|export|import|subscri"
    r"|destination|grant|invit|member|admin|assign|credential|(access|api|public|ssh|stream)key|keypair"
    r"|token|login|user(profile)?s?$|identityprovider|(oidc|saml|connect|trust)provider|trustanchor"
    r"|trust$|connection|connector|connectendpoint|ipset|exclusion|exception|exempt|suppress"
    r"|archiverule|schedul(?!egroup)|pipe$|webhook|activation|setting|preference|copy$|^stack|experiment"
    r"|fleet|record$|delegat|binding$|registration|cacherule|entitle|alias$|(role|group|user|bucket"
    r"|topic|queue|resource|key|secret|filesystem|vault|domain|bus|access|principal)polic(y|ies)$"
    r"|accessentry|standardscontrol|item$|mounttarget|eventtarget|targetattach|proxy|website|cors"
    r"|public|optin|acl$|organization|acceptor|^filter$|subscriptionfilter|statement$|invocation"
    r"|retention|lifecyclepolic|legalhold|permit$|^landingzone|^customization$|oauthclient|tagsync|^mute|muterule|^servicequota|^account$|externalaccess|crossaccount|migration"
    r"|organizationconfig|receiptrule|mirror|propagation|^addon$|^partition$"
)
"""Words in the names of types, in lower case, of what acts on others by being there."""

ELSEWHERE = re.compile(r"^(datasync|dms|appflow|transfer|pipes|cleanrooms|dataexchange)[/:]")
"""Services whose purpose is to take data from one place to another."""

REFERENCE = re.compile(
    r"arn:[\w-]+:|[a-z]{2,12}-[0-9a-f]{8,}$|\d{12}$|https?://|[^@\s]+@[^@\s]+\.\w+$"
)
"""A value that names somebody or something that is there already."""


def asks(item: Change, made: Collection[str]) -> str | None:
    """Why a new resource needs a reader; None where it is known to be harmless.

    `made`: the URNs of everything that this change makes.
    """
    if known(item.type).is_known and _of_the_cluster(item):
        return "a new object in a namespace of the cluster itself"
    unless = UNLESS.get(item.type) or UNLESS.get(formation_name(item.type))
    if unless and unless.search(json.dumps(item.resource.inputs.value, default=str)):
        return f"what it says makes a new {item.type.rpartition(':')[2]} act on others, or weak"
    if _names_nothing(item) or _only_guards(item):
        return None
    why = of_type(item.type)
    among_new = known(item.type).is_known and _is_among_new(item, made)
    return None if among_new else why


def of_type(token: str) -> str | None:
    """Why a new one of this type needs a reader, beside what is there; None: it needs none."""
    about, formation = known(token), formation_name(token)
    acts = _acts(token, formation) or about.kinds.get("joins", "")
    if _is_quiet(token, formation, about, acts):
        return None
    if not about.is_known:
        return f"nobody here knows what a {token} grants, opens or costs"
    new = f"a new {token.partition(':')[2]}"
    if acts:
        return f"{new} acts on what is there already: {acts}"
    what = ", ".join(WORDS[kind] for kind in about.kinds) or "is for what nobody here knows"
    return f"{new} is not known to be harmless: it {what}"


def _is_quiet(token: str, formation: str, about: Known, acts: str) -> bool:
    """Whether nothing of this type does anything to others by coming."""
    if about.harmless or about.shows or token in _read():
        return True
    if token.startswith("aws-native:") and formation in _read():
        return True
    own = (about.kinds.get(kind, "").startswith(said) for kind, said in OF_ITS_OWN.items())
    return not acts and any(own)


CLASS = re.compile(
    r"^kubernetes:[\w.-]*[.][\w.-]*/\w+:\w*(Class|Flavor|Template|Topology|(Serving|Training)Runtime)$"
    r"|^aws(-native)?:.*[sS]ubnetGroup$"
)
"""Kinds of Kubernetes', operators' and AWS's things that do nothing until another names them."""

BY_DEFAULT = re.compile(r"is-default|globaldefault|\"auto\w+\": \"?true|userdata", re.I)

NAMES = re.compile(
    r"(id|ids|arn|arns|identifier|uri|url|path|endpoint|bucket\w*|topic\w*|queue|target\w*|source\w*"
    r"|role\w*|destination\w*|account\w*|cluster\w*|function\w*|action\w*|document|content|body"
    r"|command\w*|rules?|schedule\w*|members?|user\w*|group\w*|address\w*|vpc\w*|instance\w*"
    r"|capacity\w*|default\w*|application|environment|stack\w*|repository|engine|edition|shape"
    r"|\w+names|on(start|create)|count|units|size|prefix|auth\w*|access\w*|network\w*|provider\w*|permission\w*|public\w*)$"
)
"""Names of inputs, in lower case, by which a new thing says more than what it is called."""

WHOLLY = ("grants", "opens", "runs", "records")
DOES = ("grants", "opens", "runs", "costs")
"""Kinds of which no part may be there, and those that an input of such a name makes of it."""

LONGEST = 256
"""Characters of a text that says no more than a name or a description."""


def _names_nothing(item: Change) -> bool:
    """Whether it is made by an operation that creates, and says what it is called and no more.

    What acts on others by being there names them; what grants, opens, runs or costs does so by an
    input that has a name for it (policies/tables/resource_kinds.py).
    """
    inputs = item.resource.inputs.value
    text = json.dumps(inputs, default=str)
    if CLASS.match(item.type):
        return not BY_DEFAULT.search(text)
    about = known(item.type)
    if not about.made or _acts(item.type, formation_name(item.type)):
        return False
    if any(kind in about.kinds and _is_whole(about, kind) for kind in WHOLLY):
        return False
    apart = {name: value for name, value in inputs.items() if name not in TAGS}
    kind = item.type.rpartition(":")[2].lower()
    inner = {name: value for name, value in apart.items() if not _is_its_place(about, name, value)}
    return not any(_says_more(kind, *pair) for pair in _pairs(inner))


WHOSE = re.compile(r"^(bucket|\w*(id|arn|identifier|name)|region)$")
"""Names, in lower case, of inputs that say what a setting is for."""


GUARDS_ALONE = re.compile(
    r"block\w*public|public\w*block|(ownershipcontrols|encryptionbydefault|backuppolicy)$"
)
"""Words in the names, in lower case, of types that are nothing but a guard of something else."""


def _only_guards(item: Change) -> bool:
    """Whether it is a setting of something else, each of whose values is the strictest there is.

    Such as an ownership of objects that knows no access lists, or a block of what is public.
    """
    found = (
        leaf
        for root, value in item.resource.inputs.value.items()
        if root not in TAGS and not WHOSE.search(root.lower())
        for leaf in leaves(None, value, (root,), lambda path, items: False)
        if not isinstance(leaf.new, Mapping)
    )
    kind = item.type.rpartition(":")[2].lower()
    if not known(item.type).is_known or not GUARDS_ALONE.search(kind):
        return False
    values = [_is_strictest(leaf, item.type) for leaf in found]
    return bool(values) and all(values)


def _is_strictest(leaf: Leaf, token: str) -> bool:
    """Whether no other value of this input guards more, and this one does not last for ever."""
    if leaf.new is True:
        return meaning(replace(leaf, old=False, alone=False), token).sense == "stronger"
    scales = (words for words in SCALES if str(leaf.new).lower() == words[-1])
    laxer = (replace(leaf, old=words[0], alone=False) for words in scales)
    judged = (meaning(each, token, of_a_guard=False).sense for each in laxer)
    said = isinstance(leaf.new, str) and leaf.new.lower() not in OFF
    return said and "stronger" in judged


def _is_its_place(about: Known, name: str, value: Any) -> bool:
    """Whether it says what the new thing is a part of: with its own name that identifies it
    (`primaryIdentifier` of CloudFormation's schemas).

    A part that grants, opens, runs or costs something does so to the whole.
    """
    apart = not about.kinds.keys() & {*DOES}
    return apart and name.lower() in about.within and isinstance(value, str)


@cache
def _read() -> Mapping[str, str]:
    table: Mapping[str, str] = json.loads(TABLE.read_text())
    return table


def _is_whole(about: Known, kind: str) -> bool:
    """Whether all of its service, or of a part of it, is of this kind, whatever its inputs say."""
    return " of " in about.kinds[kind]


def _pairs(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _pairs(item, str(key))
    elif isinstance(value, list):
        for item in value:
            yield from _pairs(item, name)
    else:
        yield name, value


def _says_more(kind: str, name: str, value: Any) -> bool:
    if value is UNKNOWN or value is True:
        return True
    word = re.sub(r"[^a-z0-9]", "", name.lower())
    written = isinstance(value, str) and (
        len(value) > LONGEST or "\n" in value or value[:1] in ("{", "[") or REFERENCE.match(value)
    )
    own = word in ("name", "displayname", "description") or _is_its_own(kind, word)
    does = not own and (word.endswith("name") or NAMES.search(word))
    return bool(written or does or any(BY_NAME[sort].search(word) for sort in DOES))


def _is_its_own(kind: str, word: str) -> bool:
    """Whether a name or an id is that of the new thing: `indexName` of a place index."""
    named = re.fullmatch(r"(\w+?)(name|id|identifier)", word)
    return named is not None and kind.endswith(named[1])


SYSTEM = ("kube-system", "kube-public", "kube-node-lease")


def _of_the_cluster(item: Change) -> bool:
    """Whether it is an object of Kubernetes by which the cluster itself is run."""
    meta = item.resource.inputs.value.get("metadata")
    named = meta.get("namespace") if isinstance(meta, Mapping) else None
    return item.type.startswith("kubernetes:") and named in SYSTEM


def _acts(token: str, formation: str) -> str:
    kind = token.rpartition(":")[2]
    for name in (kind, formation.rpartition("::")[2]):
        if found := ACTS.search(name.lower()):
            return f"its name has {found[0]}"
    service = token.partition(":")[2]
    if found := ELSEWHERE.match(service):
        return f"{found[1]} takes data to another place"
    if "public" in service.partition("/")[0]:
        return f"all of {service.partition('/')[0]} is for the public"
    return ""


def _is_among_new(item: Change, made: Collection[str]) -> bool:
    """Whether it refers to what is new in this change, and to nothing else."""
    if item.new is None:
        return False
    urns = {urn for found in item.new.dependencies.values() for urn in found}
    apart = {
        name: value
        for name, value in item.new.inputs.value.items()
        if not item.new.dependencies.get(name)  # else it is made from what the URNs name
    }
    outside = any(REFERENCE.match(text) for text in _texts(apart))
    return bool(urns) and urns <= set(made) and not outside


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value is not UNKNOWN and value[:1] not in ("{", "["):
            yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if name not in ("tags", "tagsAll"):
                yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


ORDINARY = ("allowVolumeExpansion", "bucketKeyEnabled", "deleteOnTermination", "skipAwait",
            "skipCrds")  # fmt: skip
"""Flags that a new thing often has: a volume may grow, an S3 key costs less, a node's disk is its
own, and Helm does not wait."""


def weak_starts(item: Change, made: Collection[str]) -> list[str]:
    """What a new resource leaves unguarded in so many words, such as `deletionProtection False`.

    What expires in something that is itself new takes nothing along; what is off of a setting that
    is none by itself, was on before.
    """
    if item.new is None:
        return []
    given = item.new.inputs.value
    about = known(item.type)
    fresh = _is_among_new(item, made) or bool(about.made and "state" in about.kinds)
    found = (
        leaf
        for root in sorted(given.keys() - set(TAGS))
        for leaf in leaves(None, given[root], (root,), lambda path, items: False)
    )
    guard = bool(about.kinds.keys() & {"guards", "records"})
    weak = (
        leaf
        for leaf in found
        if (begins_weak(leaf, of_a_guard=guard) or (not about.made and _turns_off(leaf)))
        and leaf.name not in ORDINARY
        and not (fresh and _expires(leaf))
        and not JUDGED & {*leaf.path}
    )
    return list(dict.fromkeys(f"{leaf.text} {leaf.new}" for leaf in weak))


def _expires(leaf: Leaf) -> bool:
    return "expir" in leaf.text.lower() or bool(EXPIRES.search(".".join(map(word, leaf.path))))


def _turns_off(leaf: Leaf) -> bool:
    """Whether the whole of a guard is off in a word, such as a versioning that is `Suspended`."""
    said = isinstance(leaf.new, str) and leaf.new.lower() in OFF and word(leaf.name) in SWITCHES
    return said and bool(GUARD.search(".".join(map(word, leaf.path))))


JUDGED = frozenset(("Statement", "pipelineDefinition", "eventPattern", "values"))
"""Names inside which another part reads, or which are no settings of the resource itself."""
