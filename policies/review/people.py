"""What is for people to read: descriptions, tags, labels and notes that no machine goes by."""

from __future__ import annotations

import re
from collections.abc import Sequence

from policies.data import UNKNOWN
from policies.review.differences import Leaf

WORDS = re.compile(
    r"(description|comments?|displayname|^tags|^tagsall|^tagset|^tagspecifications|notes?|purpose"
    r"|documentation|friendlyname|summary|labelname|annotationsdescription|^cause)$"
)
"""Names, in lower case and without dashes, of what people read and no machine goes by."""

CHOOSES = re.compile(r"selector|filter|terms?$|match|criteri|target|condition", re.I)
"""Names of places where a tag or a label is what something else is found by."""

CARRIED = re.compile(
    r"^(parameters|result|payload|input|arguments|output|assign|itemselector|resultselector|body)$"
)
"""Names of places of what one program says to another (Amazon States Language)."""

IDENTITIES = ("aws:identitystore/group:", "aws-native:identitystore:Group", "AWS::IdentityStore::G")
"""Types that others find by the name that people see (IAM Identity Center's API, GetGroupId)."""

VARIABLES = ("data", "stringdata", "variables", "item")
"""Places whose names a program gave: what stands under one of them is read by it."""

CHOSEN = ("Namespace", "Pod", "PersistentVolume", "Node")
"""Kinds of objects that others find by their labels: policies, services, claims, pods."""

RECOMMENDED = re.compile(
    r"app\.kubernetes\.io/(name|instance|version|component|part-of|managed-by)|helm\.sh/chart"
)
"""Labels that say what an application is ("Recommended Labels" of Kubernetes' documentation)."""

NOTED = re.compile(
    r"kubernetes\.io/(change-cause|description)|meta\.helm\.sh/.+|[^/]*description"
    r"|deployment\.kubernetes\.io/revision|kubectl\.kubernetes\.io/restartedAt"
    r"|checksum/.+|(?!.*k(8s|ubernetes)\.io/).+/(owners?|contact|team|title|category|summary"
    r"|documentation|docs|runbook|repository|chat|bugs|support|maintainers?|ticket|issue|commit"
    r"|build|deployed-by)"
    r"|alb\.ingress\.kubernetes\.io/tags"
    r"|service\.beta\.kubernetes\.io/aws-load-balancer-additional-resource-tags"
)
"""Annotations that tell where an object is from ("Well-Known Labels, Annotations and Taints"), whom
to ask about it (a8r.io, "Annotations for humans"; Kyverno's documentation, "Policy settings"), or
how what a controller makes is tagged (AWS Load Balancer Controller, "Ingress annotations")."""

WATCHED = re.compile(
    r"prometheus\.io/(scrape|port|path|scheme)|notifications\.argoproj\.io/subscribe\..+"
)
"""Annotations by which an object is counted or told of: one more does no harm, one less may.

A key without a prefix is its user's own: a component that goes by an annotation has to give its key
a prefix (Kubernetes' documentation, "Annotations", "Syntax and character set")."""


def word(name: str) -> str:
    """A name in lower case and without dashes; of a label's domain, its first part alone."""
    domain, _, last = name.rpartition("/")
    return re.sub(r"[^a-z0-9]", "", f"{domain.partition('.')[0]}{last}".lower())


def is_for_people(leaf: Leaf, token: str) -> bool:
    """Whether no machine goes by this."""
    names = [name for name in leaf.path if name[:1] != "["]
    found = next((at for at, name in enumerate(names) if WORDS.search(word(name))), None)
    if found is not None:
        outer = names[:found]
        if outer and word(outer[-1]) in VARIABLES:
            return False
        is_name = token.startswith(IDENTITIES) and word(names[found]) == "displayname"
        return not (is_name or any(CHOOSES.search(n) or CARRIED.search(word(n)) for n in outer))
    if re.search(r":helm\.sh/\w+:Release$", token) and len(names) >= LEVELS:
        return word(names[-2]).endswith("annotations") and not re.search(r"[./]", names[-1])
    if names[:3] == ["spec", "template", "metadata"] and names[3:4] != ["labels"]:
        names = names[2:]  # of each pod that it makes
    if names in (["metadata", "labels"], ["metadata", "annotations"]):
        return UNKNOWN not in (leaf.old, leaf.new)  # each of them is judged by itself
    if names[:2] == ["metadata", "annotations"]:
        watched = leaf.old is None and WATCHED.fullmatch(names[2])
        own = "/" not in names[2] and len(names) == LEVELS  # of no component: those have a prefix
        return bool(own or watched or NOTED.fullmatch(names[2]))
    labelled = names[:2] == ["metadata", "labels"] and len(names) == LEVELS
    return labelled and _is_a_label(names, token, added=leaf.old is None)


LEVELS = 3


def _is_a_label(names: Sequence[str], token: str, *, added: bool) -> bool:
    """An object's own label: by those of a pod, a namespace or a rule, others find it.

    An operator finds its objects by their labels, such as the rules of an alarm: one more makes it
    find them, another one makes it lose them.
    """
    group, _, kind = token.rpartition(":")
    operators = "." in group and ".k8s.io" not in group
    chosen = kind.removesuffix("Patch") in CHOSEN
    odd = chosen or (operators and not added) or "/" in names[2]
    return bool(RECOMMENDED.fullmatch(names[2])) or not odd
