"""Comparing the inputs of Kubernetes objects, and which changes the API server refuses."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stacks.local.provider.backend import Change, ChangeKind, Difference, Properties, Subject
from stacks.local.provider.kubernetes.objects import RELEASE

PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
INDEX = re.compile(r"\[\d+\]")

NAMES = ("kind", "metadata.name", "metadata.namespace")

IMMUTABLE: dict[str, tuple[str, ...]] = {
    "Pod": ("spec",),
    "PersistentVolume": ("spec.csi", "spec.volumeMode"),
    "PersistentVolumeClaim": ("spec",),
    "Secret": ("type",),
    "Service": ("spec.clusterIP", "spec.clusterIPs"),
    "apiextensions.k8s.io/CustomResourceDefinition": ("spec.group", "spec.scope"),
    "apps/DaemonSet": ("spec.selector",),
    "apps/Deployment": ("spec.selector",),
    "apps/ReplicaSet": ("spec.selector",),
    "apps/StatefulSet": (
        "spec.podManagementPolicy",
        "spec.selector",
        "spec.serviceName",
        "spec.volumeClaimTemplates",
    ),
    "batch/Job": (
        "spec.backoffLimitPerIndex",
        "spec.completionMode",
        "spec.completions",
        "spec.managedBy",
        "spec.podFailurePolicy",
        "spec.selector",
        "spec.successPolicy",
        "spec.template",
    ),
    "certificates.k8s.io/CertificateSigningRequest": ("spec",),
    "discovery.k8s.io/EndpointSlice": ("addressType",),
    "networking.k8s.io/IngressClass": ("spec.controller",),
    "node.k8s.io/RuntimeClass": ("handler",),
    "rbac.authorization.k8s.io/ClusterRoleBinding": ("roleRef",),
    "rbac.authorization.k8s.io/RoleBinding": ("roleRef",),
    "resource.k8s.io/ResourceClaim": ("spec",),
    "resource.k8s.io/ResourceClaimTemplate": ("spec",),
    "scheduling.k8s.io/PriorityClass": ("preemptionPolicy", "value"),
    "storage.k8s.io/StorageClass": (
        "parameters",
        "provisioner",
        "reclaimPolicy",
        "volumeBindingMode",
    ),
    "storage.k8s.io/VolumeAttributesClass": ("driverName", "parameters"),
}
"""Group and kind -> fields that no update may change (Kubernetes 1.34, `pkg/apis/*/validation`)."""

MUTABLE: dict[str, tuple[str, ...]] = {
    "Pod": (
        "spec.activeDeadlineSeconds",
        "spec.containers.image",
        "spec.initContainers.image",
        "spec.schedulingGates",
        "spec.tolerations",
    ),
    "PersistentVolumeClaim": ("spec.resources", "spec.volumeAttributesClassName"),
}
"""Fields within those that may change all the same."""

SEALED = ("binaryData", "data", "stringData")
"""Fields of a Secret or ConfigMap that `immutable: true` seals."""


def difference(subject: Subject, old: Properties, new: Properties) -> Difference:
    """What changed; a replacement keeps the name, so the old object goes first."""
    rules = _rules(subject, old)
    found = tuple(
        Change(path=path, kind=kind, replaces=_replaces(rules, path))
        for path, kind in _walk("", old, new)
        if not path.startswith("__")
    )
    renamed = any(change.path in (*NAMES, "name", "namespace") for change in found)
    return Difference(changes=found, delete_first=not renamed)


Rules = tuple[tuple[str, ...], tuple[str, ...]]


def _rules(subject: Subject, old: Properties) -> Rules:
    if subject.token == RELEASE:
        return ("name", "namespace"), ()
    group, _, _ = str(old.get("apiVersion", "")).rpartition("/")
    kind = f"{group}/{old.get('kind')}" if group else str(old.get("kind"))
    sealed = SEALED if kind in ("ConfigMap", "Secret") and old.get("immutable") else ()
    return (*NAMES, *IMMUTABLE.get(kind, ()), *sealed), MUTABLE.get(kind, ())


def _replaces(rules: Rules, path: str) -> bool:
    plain = INDEX.sub("", path)
    immutable, mutable = rules
    return _within(plain, immutable) and not _within(plain, mutable)


def _within(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith((f"{root}.", f"{root}[")) for root in roots)


def _walk(path: str, before: Any, after: Any) -> Iterator[tuple[str, ChangeKind]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from _walk(_inner(path, key), before.get(key), after.get(key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from _walk(f"{path}[{index}]", *pair)
    elif before != after:
        yield path, "add" if before is None else "delete" if after is None else "update"


def _inner(path: str, key: str) -> str:
    if not PLAIN_KEY.fullmatch(key):
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key
