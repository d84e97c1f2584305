"""The ConfigMap `aws-auth` in kube-system: whom a cluster lets in beside its access entries.

Sources: EKS User Guide, "Grant IAM users access to Kubernetes with a ConfigMap";
kubernetes-sigs/aws-iam-authenticator, pkg/mapper/configmap and pkg/arn.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

NAMESPACE, NAME = "kube-system", "aws-auth"

LISTS: Mapping[str, str] = {"mapRoles": "rolearn", "mapUsers": "userarn"}
"""Key of the ConfigMap -> member of its entries with whom they are about."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """Who a principal is in Kubernetes; the name may hold templates."""

    username: str
    groups: tuple[str, ...] = ()


def find(data: Mapping[str, str], principal: str) -> Mapped | None:
    """Who the ConfigMap says that a principal is; None where it does not know it.

    A role is looked up without its path: the server that reads this sees sessions alone, whose
    ARNs have none ("Troubleshooting IAM", aws-auth ConfigMap does not grant access).
    """
    asked = canonical(principal)
    for key, member in LISTS.items():
        for entry in _entries(data, key):
            if str(entry.get(member, "")).lower() == asked.lower():
                groups = entry.get("groups") or ()
                return Mapped(
                    username=str(entry.get("username") or asked), groups=tuple(map(str, groups))
                )
    accounts = [str(account) for account in _listed(data, "mapAccounts")]
    return Mapped(username=asked) if principal.split(":")[4] in accounts else None


def canonical(principal: str) -> str:
    """The ARN of a role without its path; any other ARN as it is."""
    head, mark, rest = principal.partition(":role/")
    return f"{head}{mark}{rest.rpartition('/')[2]}" if mark else principal


def _entries(data: Mapping[str, str], key: str) -> Iterator[Mapping[str, Any]]:
    for entry in _listed(data, key):
        if isinstance(entry, Mapping):
            yield entry
        else:
            log.warning("%s/%s: %s must hold mappings, got %r", NAMESPACE, NAME, key, entry)


def _listed(data: Mapping[str, str], key: str) -> list[Any]:
    """A list of the ConfigMap; what cannot be read lets nobody in, and the log says so."""
    import yaml

    try:
        found = yaml.safe_load(data.get(key) or "[]")
    except yaml.YAMLError as error:
        log.warning("%s/%s: %s must be YAML, got %s", NAMESPACE, NAME, key, error)
        return []
    if not isinstance(found, list):
        log.warning("%s/%s: %s must be a list, got %r", NAMESPACE, NAME, key, found)
        return []
    return found
