"""EKS clusters, their node groups and launch templates, Karpenter's pools."""

from policies.data import Data, Resource, Unknown
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.tables.instances import NEURON, NVIDIA

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
CLUSTER = "aws:eks/cluster:Cluster"
LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
EVERYBODY = ("0.0.0.0/0", "::/0")
GPU = "nvidia.com/gpu"
TAINTS = {"nvidia.com/gpu": NVIDIA | {"g3", "p2", "p3"}, "aws.amazon.com/neuron": NEURON}
"""Taint that device plugins tolerate -> the instance families that need it."""


def accelerators(inputs: Data) -> set[str]:
    """The taints that the node group's instance types call for."""
    types = inputs.each("instanceTypes")
    if inputs.get("capacityType") == "CAPACITY_BLOCK" and not types:
        # sold for accelerated types alone; the launch template says which
        taints = {taint.get("key") for taint in inputs.each("taints")}
        return {*TAINTS} & taints or {"nvidia.com/gpu"}
    if not types and inputs.has("launchTemplate"):
        raise Unknown("instanceTypes (the launch template decides)")
    families = {str(instance_type.get()).partition(".")[0] for instance_type in types}
    return {taint for taint, needing in TAINTS.items() if families & needing}


@rule(
    "ML-K8-005",
    applies_to=NODE_GROUP,
    severity="high",
    mandatory="everywhere",
    fix="taint the node group nvidia.com/gpu (or aws.amazon.com/neuron) with NO_SCHEDULE\n"
    "and label it with the GPUs' product and count",
    url="https://docs.aws.amazon.com/eks/latest/userguide/node-taints-managed-node-groups.html",
    themes="C",
)
def require_accelerator_taint(resource: Resource, scope: Scope) -> Result:
    """Node groups with accelerators are tainted, and those with GPUs say which they have.

    Without the taint any pod can land on a GPU node and keep it from scaling in.
    """
    inputs = resource.inputs
    needed = accelerators(inputs)
    if not needed:
        return NotApplicable("no instance type has an accelerator")

    def tainted(key: str) -> Result:
        taints = [(taint.get("key"), taint.get("effect")) for taint in inputs.each("taints")]
        return (
            None if (key, "NO_SCHEDULE") in taints else Fail(f"must be tainted {key}:NO_SCHEDULE")
        )

    def labelled(label: str) -> Result:
        return None if inputs.get("labels", label) else Fail(f"must have the label {label}")

    labels = scope.config.gpu_labels if "nvidia.com/gpu" in needed else ()
    checks = [(tainted, key) for key in sorted(needed)] + [(labelled, label) for label in labels]
    return every(checks, lambda check: check[0](check[1]))


@rule(
    "ML-K8-001",
    applies_to=CLUSTER,
    severity="high",
    mandatory="everywhere",
    fix="set endpointPublicAccess to false, or name who may reach it in publicAccessCidrs",
    url="https://docs.aws.amazon.com/eks/latest/userguide/cluster-endpoint.html",
    themes="N",
)
def limit_public_api_endpoint(resource: Resource, scope: Scope) -> Result:
    """A cluster's public API endpoint admits named networks alone.

    EKS makes it public, and open to everybody, where a program says nothing.
    """
    network = resource.inputs
    if network.get("vpcConfig", "endpointPublicAccess") is False:
        return NotApplicable("the endpoint is private")
    admitted = network.get("vpcConfig", "publicAccessCidrs") or EVERYBODY[:1]
    wide = [cidr for cidr in admitted if cidr in EVERYBODY]
    return Fail(f"publicAccessCidrs must not hold {', '.join(wide)}") if wide else None


@rule(
    "ML-K8-006",
    applies_to=NODE_POOL,
    severity="high",
    mandatory="everywhere",
    fix="set spec.limits nvidia.com/gpu to the GPUs that the pool may grow to",
    url="https://karpenter.sh/docs/concepts/nodepools/#speclimits",
    themes="C",
)
def limit_gpus_of_node_pool(resource: Resource, scope: Scope) -> Result:
    """A Karpenter pool with GPUs has a limit on them.

    A limit on CPUs alone lets a pool of small nodes hold many GPUs.
    """
    spec = resource.inputs
    if not _has_gpus(spec):
        return NotApplicable("no instance type has an NVIDIA GPU")
    limited = spec.get("spec", "limits", GPU) is not None
    return None if limited else Fail(f"spec.limits must have {GPU}")


def _has_gpus(pool: Data) -> bool:
    """By the instance types that the pool names, or else by its taint."""
    wanted = pool.each("spec", "template", "spec", "requirements")
    named = [item for item in wanted if item.get("key") == "node.kubernetes.io/instance-type"]
    families = {str(name).partition(".")[0] for item in named for name in item.get("values") or ()}
    taints = {taint.get("key") for taint in pool.each("spec", "template", "spec", "taints")}
    return bool(families & NVIDIA) or GPU in taints


@rule(
    "ML-K8-007",
    applies_to=(NODE_GROUP, NODE_CLASS),
    severity="medium",
    fix="set releaseVersion of a node group, or alias with a version in amiSelectorTerms",
    url="https://docs.aws.amazon.com/eks/latest/userguide/update-managed-node-group.html",
    themes="SG",
)
def require_pinned_node_image(resource: Resource, scope: Scope) -> Result:
    """Nodes with accelerators run an image that is pinned to a release.

    The latest image replaces every node of a pool whenever AWS publishes one, jobs or not.
    """
    inputs = resource.inputs
    if resource.type == NODE_GROUP:
        if not accelerators(inputs):
            return NotApplicable("no instance type has an accelerator")
        pinned = inputs.get("releaseVersion")
        return None if pinned else Fail("releaseVersion must name a release")

    def term(item: Data) -> Result:
        alias = str(item.get("alias") or "")
        return Fail(f"alias must name a release, got {alias}") if "@latest" in alias else None

    terms = inputs.each("spec", "amiSelectorTerms")
    return every(terms, term) if terms else Fail("amiSelectorTerms must name a release")


@rule(
    "ML-K8-019",
    applies_to=LAUNCH_TEMPLATE,
    severity="high",
    mandatory="everywhere",
    fix="take the placement group out: reserved instances are placed already",
    url="https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/capacity-reservations-using.html",
    themes="C",
)
def forbid_placement_group_with_reservation(resource: Resource, scope: Scope) -> Result:
    """A launch template names a placement group or a capacity reservation, never both.

    EC2 finds no room in the group for some of the instances that the reservation holds.
    """
    inputs = resource.inputs
    placed = inputs.get("placement", "groupName") or inputs.get("placement", "groupId")
    if not placed:
        return NotApplicable("it names no placement group")
    target = inputs.get("capacityReservationSpecification", "capacityReservationTarget")
    return Fail("placement must be left out, it names a capacity reservation") if target else None
