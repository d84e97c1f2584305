"""What an input is where nobody says it, so that to say it is no difference.

An input that is absent has a value all the same: a detector is on, a backup goes with its database.
To write `enable: false` where nothing stood, or to drop `deleteAutomatedBackups: false`, is a fall
and no silence. AWS's are read from a table of the provider's own words
(policies/tables/defaults.py), those of Kubernetes stand here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
    "aws:eks/addon:Addon": {"resolveConflictsOnCreate": "NONE"},
    "aws:ecs/service:Service": {"deploymentController.type": "ECS"},
    "aws:glue/job:Job": {"executionProperty.maxConcurrentRuns": 1},
    "aws:cognito/userPool:UserPool": {"emailConfiguration.emailSendingAccount": "COGNITO_DEFAULT",
                                      "userPoolTier": "ESSENTIALS"},
    "aws:route53/healthCheck:HealthCheck": {"failureThreshold": 3, "requestInterval": 30},
    "aws:ssm/parameter:Parameter": {"tier": "Standard"},
    "aws:acm/certificate:Certificate": {"options.certificateTransparencyLoggingPreference":
                                        "ENABLED"},
    "aws:cloudwatch/logMetricFilter:LogMetricFilter": {"metricTransformation.unit": "None"},
    "aws:ec2/vpcEndpoint:VpcEndpoint": {"ipAddressType": "ipv4"},
    "aws:sqs/queue:Queue": {"maxMessageSize": 262_144, "delaySeconds": 0,
                            "visibilityTimeoutSeconds": 30, "messageRetentionSeconds": 345_600},
    "aws:lambda/function:Function": {"reservedConcurrentExecutions": -1, "architectures": "x86_64",
                                     "ephemeralStorage.size": 512, "tracingConfig.mode":
                                     "PassThrough"},
    "aws:s3/bucketVersioning:BucketVersioning": {"versioningConfiguration.mfaDelete": "Disabled"},
    "aws:lb/targetGroup:TargetGroup": {"deregistrationDelay": 300},
    "aws:cloudwatch/eventRule:EventRule": {"eventBusName": "default"},
    "aws:cloudwatch/eventTarget:EventTarget": {"eventBusName": "default"},
    "aws:ec2/vpc:Vpc": {"instanceTenancy": "default"},
    "aws:ec2/instance:Instance": {"tenancy": "default"},
    "aws:eks/nodeGroup:NodeGroup": {"capacityType": "ON_DEMAND", "updateConfig.maxUnavailable": 1},
    "aws:autoscaling/group:Group": {"healthCheckGracePeriod": 300,
                                    "terminationPolicies": "Default"},
    "aws:ecs/taskDefinition:TaskDefinition": {"containerDefinitions.cpu": 0,
                                              "containerDefinitions.essential": True,
                                              "containerDefinitions.portMappings.protocol": "tcp"},
}  # fmt: skip
"""Defaults that AWS's API references name (CreateRole, CreatePolicy, CreateQueue, PutRule,
PutFunctionConcurrency, ModifyTargetGroupAttributes, CreateVpc, RunInstances, CreateNodegroup,
RegisterTaskDefinition, CreateAddon, CreateService, CreateJob of Glue, CreateUserPool,
CreateHealthCheck, PutParameter, RequestCertificate; of a group's grace period the provider's own
default), and the provider's documentation does not, or not in one word."""

OBJECTS: Mapping[str, Any] = {
    "spec.revisionHistoryLimit": 10, "spec.progressDeadlineSeconds": 600, "spec.replicas": 1,
    "spec.podManagementPolicy": "OrderedReady", "spec.concurrencyPolicy": "Allow",
    "spec.suspend": False, "spec.timeZone": "Etc/UTC", "spec.backoffLimit": 6,
    "spec.parallelism": 1, "spec.completions": 1, "spec.completionMode": "NonIndexed",
    "spec.successfulJobsHistoryLimit": 3,
    "spec.failedJobsHistoryLimit": 1,
    "spec.minReadySeconds": 0, "spec.dnsPolicy": "ClusterFirst", "spec.enableServiceLinks": True,
    "spec.schedulerName": "default-scheduler", "spec.terminationGracePeriodSeconds": 30,
    "spec.hostUsers": True,
    "rollingUpdate.maxSurge": "25%", "rollingUpdate.maxUnavailable": "25%", "ports.protocol": "TCP",
    "containers.terminationMessagePath": "/dev/termination-log",
    "containers.terminationMessagePolicy": "File", "Probe.periodSeconds": 10,
    "Probe.timeoutSeconds": 1, "Probe.successThreshold": 1, "Probe.failureThreshold": 3,
    "Probe.initialDelaySeconds": 0, "httpGet.scheme": "HTTP", "configMap.defaultMode": 420,
    "secret.defaultMode": 420, "securityContext.allowPrivilegeEscalation": True,
    "webhooks.failurePolicy": "Fail", "webhooks.matchPolicy": "Equivalent",
    "webhooks.timeoutSeconds": 10, "spec.securityContext": {}, "containers.securityContext": {},
    "containers.resources": {}, "spec.serviceAccountName": "default",
}  # fmt: skip
"""Last two names of a path in an object of Kubernetes' own API groups -> its default, by the API
reference (1.34). `Probe` ends the name of every probe."""

OF_KIND: Mapping[str, Mapping[str, Any]] = {
    "Service": {"spec.type": "ClusterIP", "spec.sessionAffinity": "None",
                "spec.internalTrafficPolicy": "Cluster", "spec.ipFamilyPolicy": "SingleStack",
                "spec.externalTrafficPolicy": "Cluster",
                "spec.allocateLoadBalancerNodePorts": True},
    "CSIDriver": {"spec.attachRequired": True},
    "ServiceAccount": {"automountServiceAccountToken": True},
    "PodDisruptionBudget": {"spec.unhealthyPodEvictionPolicy": "IfHealthyBudget"},
    "PriorityClass": {"preemptionPolicy": "PreemptLowerPriority"},
    "StorageClass": {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
    "PersistentVolumeClaim": {"spec.volumeMode": "Filesystem"},
    "Deployment": {"template.spec.restartPolicy": "Always", "strategy.type": "RollingUpdate"},
    "StatefulSet": {"template.spec.restartPolicy": "Always"},
    "DaemonSet": {"template.spec.restartPolicy": "Always"},
    "ReplicaSet": {"template.spec.restartPolicy": "Always"},
}  # fmt: skip
"""Kind -> the same, for names that mean something else elsewhere."""


OPERATORS: Mapping[str, Mapping[str, Any]] = {
    "gateway.networking.k8s.io": {"backendRefs.weight": 1, "path.type": "PathPrefix",
                                  "path.value": "/", "namespaces.from": "Same",
                                  "backendRefs.kind": "Service", "parentRefs.kind": "Gateway",
                                  "tls.mode": "Terminate"},
    "cert-manager.io": {"issuerRef.kind": "Issuer", "issuerRef.group": "cert-manager.io"},
    "argoproj.io": {"spec.revisionHistoryLimit": 10},
    "keda.sh": {"spec.pollingInterval": 30, "spec.cooldownPeriod": 300, "spec.minReplicaCount": 0,
                "spec.maxReplicaCount": 100},
    "kyverno.io": {"spec.background": True},
    "security.istio.io": {"spec.action": "ALLOW"},
    "monitoring.coreos.com": {"endpoints.path": "/metrics", "podMetricsEndpoints.path": "/metrics",
                              "endpoints.scheme": "http"},
    "kueue.x-k8s.io": {"spec.queueingStrategy": "BestEffortFIFO", "spec.stopPolicy": "None",
                      "fairSharing.weight": "1"},
    "external-secrets.io": {"spec.refreshInterval": "1h", "target.creationPolicy": "Owner",
                            "target.deletionPolicy": "Retain"},
}  # fmt: skip
"""API group of an operator -> the same, by the operator's own API reference (Gateway API 1.2,
cert-manager 1.16, Argo CD 2.13, KEDA 2.16, Kyverno 1.13, prometheus-operator 0.79, Kueue 0.9,
External Secrets 0.10, Istio 1.24)."""

BLOCKS: Mapping[str, Mapping[str, Any]] = {
    "Deployment": {
        "spec.strategy": {"type": "RollingUpdate"},
        "spec.strategy.rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    },
    "StatefulSet": {
        "spec.updateStrategy": {"type": "RollingUpdate"},
        "spec.updateStrategy.rollingUpdate": {"partition": 0},
        "spec.persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain",
                                                      "whenScaled": "Retain"},
    },
    "DaemonSet": {
        "spec.updateStrategy": {"type": "RollingUpdate"},
        "spec.updateStrategy.rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
    },
    "NetworkPolicy": {"spec.policyTypes": ["Ingress"]},
}  # fmt: skip
"""Kind -> what stands in a place that only one side of a change spells, by the same reference; the
outer place first."""


def spelled(
    old: Mapping[str, Any], new: Mapping[str, Any], token: str
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Both sides, each with the blocks that only the other spells out."""
    if not token.startswith("kubernetes:"):
        return old, new
    for path, block in BLOCKS.get(token.rpartition(":")[2], {}).items():
        names = path.split(".")
        before, after = _within(old, names), _within(new, names)
        if before is None and after is not None:
            old = _with(old, names, _as_far_as(after, block))
        elif before is not None and after is None:
            new = _with(new, names, _as_far_as(before, block))
    return old, new


def _as_far_as(said: Any, block: Any) -> Any:
    """What of a block the other side spells."""
    whole = not isinstance(block, Mapping) or not isinstance(said, Mapping)
    return block if whole else {key: block[key] for key in block if key in said}


def _within(side: Any, names: Sequence[str]) -> Any:
    for name in names:
        side = side.get(name) if isinstance(side, Mapping) else None
    return side


def _with(side: Mapping[str, Any], names: Sequence[str], block: Any) -> Mapping[str, Any]:
    """The same with a block; a policy of pods that names egress is one for egress by default."""
    name, *rest = names
    inner = side.get(name)
    if not rest:
        out = name == "policyTypes" and side.get("egress")
        return {**side, name: [*block, "Egress"] if out else block}
    return {**side, name: _with(inner, rest, block)} if isinstance(inner, Mapping) else side


def completed(leaf: Leaf, token: str) -> Leaf:
    """The difference with the default for the side that says nothing, where one is known.

    Inside something that is itself there on one side only, nothing has a default but what is said
    to be it: a block of nothing but defaults is what is so without it. What is dropped
    though it is the default stays a difference: nobody says that the cloud goes back to it.
    """
    silent = (leaf.old is None) != (leaf.new is None)
    if not silent or UNKNOWN in (leaf.old, leaf.new):
        return leaf
    default = _default(token, leaf)
    if leaf.alone:
        said = leaf.old is None and default is not None and same(leaf.new, default)
        return replace(leaf, old=default) if said else leaf
    if leaf.old is None:
        return replace(leaf, old=default)
    if same(leaf.old, default):
        return replace(leaf, new=default) if _is_filled_in(token, leaf) else leaf
    return replace(leaf, new=default)


def _is_filled_in(token: str, leaf: Leaf) -> bool:
    """Whether what is dropped is the default again: Kubernetes' API fills it in at every write.

    But for how many pods run, which an autoscaler may say instead (Kubernetes' documentation,
    "Horizontal Pod Autoscaling", "Migrating Deployments"). A flag of no table has no default.
    """
    if not token.startswith("kubernetes:") or leaf.name == "replicas":
        return False
    return (
        _of_kubernetes(token, [n for n in leaf.path if n[:1] != "["], leaf, said=True) is not None
    )


def _default(token: str, leaf: Leaf) -> Any:
    names = [name for name in leaf.path if name[:1] != "["]
    if token.startswith("kubernetes:"):
        return _of_kubernetes(token, names, leaf)
    path = ".".join(names)
    sources = (_table().get(of, {}) for of in (token, formation_name(token), counterpart(token)))
    found = (each[path] for each in (BY_AWS.get(token, {}), *sources) if path in each)
    return next(found, None)


def _of_kubernetes(token: str, names: list[str], leaf: Leaf, *, said: bool = False) -> Any:
    """The default; `said`: only one that a reference names."""
    group, _, kind = token.removeprefix("kubernetes:").rpartition(":")
    group = group.partition("/")[0]
    if group in OPERATORS or ("." in group and not group.endswith(".k8s.io")):
        return OPERATORS.get(group, {}).get(".".join(names[-2:]))
    if names[-1:] == ["imagePullPolicy"]:
        return _pulled(str(leaf.beside.get("image", "")))
    if names[-2:] == ["ports", "targetPort"]:
        return leaf.beside.get("port")
    path = ".".join(names)
    for ending, value in OF_KIND.get(kind, {}).items():
        if path == ending or path.endswith(f".{ending}"):
            return value
    last = ".".join(names[-2:])
    found = OBJECTS.get(last, OBJECTS.get(f"Probe.{names[-1]}") if "Probe." in last else None)
    flag = isinstance(leaf.old, bool) or isinstance(leaf.new, bool)
    return False if found is None and flag and not said else found


def _pulled(image: str) -> str:
    """When an image is pulled if nobody says (Kubernetes' documentation, "Image pull policy")."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "IfNotPresent" if digest or tag not in ("", "latest") else "Always"


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    table: Mapping[str, Mapping[str, Any]] = json.loads(TABLE.read_text())
    return {key: value for key, value in table.items() if key != "_"}
