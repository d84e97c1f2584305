"""What a role of Kubernetes allows, verb by verb (its documentation, "Using RBAC")."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from policies.reading.principals import listed


def holds(wide: str, narrow: str) -> bool:
    """Whether what a rule of Kubernetes allows holds this: `*` is all, no name is every name."""
    one, other = (VERB.fullmatch(text) for text in (wide, narrow))
    if one is None or other is None or one["named"] not in (None, other["named"]):
        return False
    address = other["thing"][:1] == "/" != one["thing"][:1]  # which is no resource
    pairs = ((one[part] or "", other[part] or "") for part in ("verb", "thing", "of"))
    return not address and all(mine in ("*", theirs) for mine, theirs in pairs)


VERB = re.compile(r"(?P<verb>\S+) (?P<thing>\S+)(?: of (?P<of>\S+))?(?: named (?P<named>\S+))?")


def allowed(rule: Mapping[str, Any]) -> Iterator[str]:
    """Verb by verb, such as `get secrets` or `list deployments of apps named a`."""
    verbs, things, groups, names, addresses = (
        list(map(str, listed(rule.get(key))))
        for key in ("verbs", "resources", "apiGroups", "resourceNames", "nonResourceURLs")
    )
    for verb, thing, group in product(verbs, things, groups or [""]):
        of = f" of {group}" if group else ""
        yield from (f"{verb} {thing}{of} named {name}" for name in names)
        if not names:
            yield f"{verb} {thing}{of}"
    yield from (f"{verb} {address}" for verb, address in product(verbs, addresses))


def spelled(subject: Any) -> Any:
    """A subject of a binding without the API group that it has unsaid (RBAC's API reference)."""
    if not isinstance(subject, Mapping):
        return subject
    return {key: item for key, item in subject.items() if (key, item) not in UNSAID}


UNSAID = (("apiGroup", "rbac.authorization.k8s.io"), ("apiGroup", ""))
"""Of users and groups, and of service accounts."""
