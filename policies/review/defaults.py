"""What an input is where nobody says it, so that to say it is no difference.

An input that is absent has a value all the same: a detector is on, a backup goes with its database.
To write `enable: false` where nothing stood, or to drop `deleteAutomatedBackups: false`, is a fall
and no silence. AWS's are read from a table of the provider's own words
(policies/tables/defaults.py), those of Kubernetes stand here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from policies.data import UNKNOWN
from policies.review.differences import Leaf, same
from policies.review.knowledge import counterpart, formation_name

TABLE = Path(__file__).parent.parent / "tables" / "defaults.json"

BY_AWS: Mapping[str, Mapping[str, Any]] = {
    "aws:iam/role:Role": {"maxSessionDuration": 3_600, "path": "/"},
    "aws:iam/policy:Policy": {"path": "/"},
    "aws:sqs/queue:Queue": {"delaySeconds": 0, "visibilityTimeoutSeconds": 30,
                            "messageRetentionSeconds": 345_600},
    "aws:lambda/function:Function": {"reservedConcurrentExecutions": -1},
    "aws:lb/targetGroup:TargetGroup": {"deregistrationDelay": 300},
}  # fmt: skip
"""Defaults that AWS's API references name (CreateRole, CreatePolicy, CreateQueue,
PutFunctionConcurrency, ModifyTargetGroupAttributes), and the provider's documentation does not, or
not in one word."""

OBJECTS: Mapping[str, Any] = {
    "spec.revisionHistoryLimit": 10, "spec.progressDeadlineSeconds": 600, "spec.replicas": 1,
    "spec.podManagementPolicy": "OrderedReady", "spec.concurrencyPolicy": "Allow",
    "spec.suspend": False, "spec.backoffLimit": 6, "spec.parallelism": 1, "spec.completions": 1,
    "spec.minReadySeconds": 0, "spec.dnsPolicy": "ClusterFirst", "spec.enableServiceLinks": True,
    "spec.schedulerName": "default-scheduler", "spec.terminationGracePeriodSeconds": 30,
    "spec.automountServiceAccountToken": True, "spec.hostUsers": True,
    "rollingUpdate.maxSurge": "25%", "rollingUpdate.maxUnavailable": "25%", "ports.protocol": "TCP",
    "containers.terminationMessagePath": "/dev/termination-log",
    "containers.terminationMessagePolicy": "File", "Probe.periodSeconds": 10,
    "Probe.timeoutSeconds": 1, "Probe.successThreshold": 1, "Probe.failureThreshold": 3,
    "Probe.initialDelaySeconds": 0, "httpGet.scheme": "HTTP", "configMap.defaultMode": 420,
    "secret.defaultMode": 420, "securityContext.allowPrivilegeEscalation": True,
    "webhooks.failurePolicy": "Fail", "webhooks.matchPolicy": "Equivalent",
    "webhooks.timeoutSeconds": 10,
}  # fmt: skip
"""Last two names of a path in an object of Kubernetes' own API groups -> its default, by the API
reference (1.34). `Probe` ends the name of every probe."""

OF_KIND: Mapping[str, Mapping[str, Any]] = {
    "Service": {"spec.type": "ClusterIP", "spec.sessionAffinity": "None",
                "spec.internalTrafficPolicy": "Cluster",
                "spec.allocateLoadBalancerNodePorts": True},
    "CSIDriver": {"spec.attachRequired": True},
    "ServiceAccount": {"automountServiceAccountToken": True},
    "StorageClass": {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
    "PersistentVolumeClaim": {"spec.volumeMode": "Filesystem"},
    "Deployment": {"template.spec.restartPolicy": "Always", "strategy.type": "RollingUpdate"},
    "StatefulSet": {"template.spec.restartPolicy": "Always"},
    "DaemonSet": {"template.spec.restartPolicy": "Always"},
    "ReplicaSet": {"template.spec.restartPolicy": "Always"},
}  # fmt: skip
"""Kind -> the same, for names that mean something else elsewhere."""


def completed(leaf: Leaf, token: str) -> Leaf:
    """The difference with the default for the side that says nothing, where one is known.

    Inside something that is itself there on one side only, nothing has a default. What is dropped
    though it is the default stays a difference: nobody says that the cloud goes back to it.
    """
    silent = (leaf.old is None) != (leaf.new is None)
    if not silent or leaf.alone or UNKNOWN in (leaf.old, leaf.new):
        return leaf
    default = _default(token, leaf)
    if leaf.old is None:
        return replace(leaf, old=default)
    return leaf if same(leaf.old, default) else replace(leaf, new=default)


def _default(token: str, leaf: Leaf) -> Any:
    names = [name for name in leaf.path if name[:1] != "["]
    if token.startswith("kubernetes:"):
        return _of_kubernetes(token, names, leaf)
    path = ".".join(names)
    sources = (_table().get(of, {}) for of in (token, formation_name(token), counterpart(token)))
    found = (each[path] for each in (BY_AWS.get(token, {}), *sources) if path in each)
    return next(found, None)


def _of_kubernetes(token: str, names: list[str], leaf: Leaf) -> Any:
    group, _, kind = token.removeprefix("kubernetes:").rpartition(":")
    group = group.partition("/")[0]
    if "." in group and not group.endswith(".k8s.io"):
        return None  # an operator's own objects
    path = ".".join(names)
    for ending, value in OF_KIND.get(kind, {}).items():
        if path == ending or path.endswith(f".{ending}"):
            return value
    last = ".".join(names[-2:])
    found = OBJECTS.get(last, OBJECTS.get(f"Probe.{names[-1]}") if "Probe." in last else None)
    flag = isinstance(leaf.old, bool) or isinstance(leaf.new, bool)
    return False if found is None and flag else found


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    table: Mapping[str, Mapping[str, Any]] = json.loads(TABLE.read_text())
    return {key: value for key, value in table.items() if key != "_"}
