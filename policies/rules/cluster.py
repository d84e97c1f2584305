"""EKS clusters: who reaches them, what they keep, how old they are."""

from typing import Any

from policies.data import Resource
from policies.reading.networks import is_internet, networks
from policies.reading.predicates import ON, SET, Must, meets
from policies.rule import Fail, NotApplicable, Result, Scope, rule
from policies.theme import Theme

CLUSTER = "aws:eks/cluster:Cluster"
EVERYBODY = "0.0.0.0/0"
LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")


@rule(
    "ML-K8-001",
    applies_to=CLUSTER,
    severity="high",
    mandatory="everywhere",
    fix="set endpointPublicAccess to false, or name who may reach it in publicAccessCidrs",
    url="https://docs.aws.amazon.com/eks/latest/userguide/cluster-endpoint.html",
    themes=Theme.NETWORK_ISOLATION,
)
def limit_public_api_endpoint(resource: Resource, scope: Scope) -> Result:
    """A cluster's public API endpoint admits named networks alone.

    Two halves of the internet are the internet. EKS makes it public, and open to everybody, where a
    program says nothing.
    """
    network = resource.inputs
    if network.get("vpcConfig", "endpointPublicAccess") is False:
        return NotApplicable("the endpoint is private")
    admitted = networks(network.get("vpcConfig", "publicAccessCidrs") or [EVERYBODY])
    wide = [str(each) for each in admitted if is_internet([each])]
    return Fail(f"publicAccessCidrs must not hold {', '.join(wide)}") if wide else None


@rule(
    "ML-K8-002",
    applies_to=CLUSTER,
    severity="medium",
    fix="set enabledClusterLogTypes to api, audit, authenticator, controllerManager and scheduler",
    url="https://docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html",
    themes=Theme.AUDIT_LOGS,
)
def require_control_plane_logs(resource: Resource, scope: Scope) -> Result:
    """A cluster keeps all five logs of its control plane.

    EKS keeps none where a program says nothing, and what was not kept cannot be asked for later.
    """
    enabled = resource.inputs.get("enabledClusterLogTypes") or ()
    missing = [kind for kind in LOG_TYPES if kind not in enabled]
    return Fail(f"enabledClusterLogTypes must have {', '.join(missing)}") if missing else None


@rule(
    "ML-K8-003",
    applies_to=CLUSTER,
    severity="high",
    fix="set encryptionConfig with a KMS key for secrets; it cannot be taken back",
    url="https://docs.aws.amazon.com/eks/latest/userguide/envelope-encryption.html",
    themes=Theme.ENCRYPTION_AT_REST,
)
def require_encrypted_secrets(resource: Resource, scope: Scope) -> Result:
    """A cluster encrypts its secrets with a key of the account.

    They hold the credentials of registries, databases and trackers.
    """
    config = resource.inputs
    if "secrets" not in (config.get("encryptionConfig", "resources") or ()):
        return Fail("encryptionConfig.resources must have secrets")
    return meets(config, {"encryptionConfig.provider.keyArn": SET})


@rule(
    "ML-K8-004",
    applies_to=CLUSTER,
    severity="medium",
    fix="move to a supported version, one minor version at a time; set deletionProtection",
    url="https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html",
    themes=Theme.SUPPLY_CHAIN | Theme.AVAILABILITY,
)
def require_supported_version(resource: Resource, scope: Scope) -> Result:
    """A cluster runs a supported version of Kubernetes and, in production, cannot be deleted.

    EKS moves a cluster whose version is no longer supported by itself, at a time of its choice.
    """
    oldest = scope.config.kubernetes_version_min
    wanted = {"version": Must(f"must be {oldest} or newer", lambda v: _minor(v) >= _minor(oldest))}
    if scope.config.production:
        wanted["deletionProtection"] = ON
    return meets(resource.inputs, wanted)


def _minor(version: Any) -> tuple[int, ...]:
    return tuple(int(part) for part in str(version or "0").split("."))
