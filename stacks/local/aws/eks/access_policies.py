"""What EKS's access policies allow: a table of rules, and what one of them says of a request."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("access_policies.yaml")
ARN = "arn:{partition}:eks::aws:cluster-access-policy/"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a Kubernetes request wants to do, as the API server says it in a SubjectAccessReview."""

    verb: str
    group: str = ""
    resource: str = ""
    """With its subresource, such as `pods/log`. Default: a URL that is no resource is asked for."""

    namespace: str = ""
    """Default: an object of the whole cluster, or objects of all namespaces."""

    url: str = ""

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Asked:
        """From the `spec` of a SubjectAccessReview (Kubernetes API, authorization.k8s.io/v1)."""
        path = spec.get("nonResourceAttributes")
        if path is not None:
            return cls(verb=path.get("verb", ""), url=path.get("path", ""))
        wanted = spec.get("resourceAttributes") or {}
        parts = (wanted.get("resource", ""), wanted.get("subresource", ""))
        return cls(
            verb=wanted.get("verb", ""),
            group=wanted.get("group", ""),
            resource="/".join(filter(None, parts)),
            namespace=wanted.get("namespace", ""),
        )


@functools.cache
def table() -> Mapping[str, Any]:
    """Policy -> its rules, and the policy whose rules it has as well."""
    from ruamel.yaml import YAML

    loaded: Mapping[str, Any] = YAML(typ="safe").load(TABLE.read_text())
    return loaded


def allows(policy: str, scope: Mapping[str, Any], asked: Asked) -> bool:
    """Whether a policy that is associated with this scope allows a request.

    Namespaces of a scope may have `*` in them; what is in no namespace is not theirs (EKS User
    Guide, "Associate access policies with access entries").
    """
    if scope.get("type") == "namespace":
        named = scope.get("namespaces") or ()
        if not any(asked.namespace and fnmatchcase(asked.namespace, one) for one in named):
            return False
    return any(_covers(rule, asked) for rule in _rules(policy))


def _rules(policy: str) -> Iterator[Mapping[str, Any]]:
    held = table().get(policy)
    if held is None:
        return
    yield from held["rules"]
    if "includes" in held:
        yield from _rules(held["includes"])


def _covers(rule: Mapping[str, Any], asked: Asked) -> bool:
    if not _among(asked.verb, rule["verbs"]):
        return False
    if asked.url:
        return any(fnmatchcase(asked.url, one) for one in rule.get("urls", ()))
    return _among(asked.group, rule.get("groups", ())) and _among(
        asked.resource, rule.get("resources", ())
    )


def _among(word: str, words: Any) -> bool:
    return word in words or "*" in words
