"""Node groups and their launch templates, Karpenter's pools and node classes."""

from typing import Any

from policies.data import Data, Resource, Unknown
from policies.reading.predicates import OFF, ON, SET, Must, at_least, meets, one_of
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.tables.instances import GPUS, NEURON, NVIDIA
from policies.theme import Theme

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
NODE_POOLS = (NODE_POOL, "kubernetes:karpenter.sh/v1beta1:NodePool")
NODE_CLASSES = (NODE_CLASS, "kubernetes:karpenter.k8s.aws/v1beta1:EC2NodeClass")
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
    themes=Theme.LIMITS,
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
    "ML-K8-006",
    applies_to=(*NODE_POOLS, NODE_GROUP),
    severity="high",
    mandatory="everywhere",
    fix="bound the pool: spec.limits nvidia.com/gpu, or scalingConfig of a node group;\n"
    "use on-demand nodes for work that keeps no checkpoints",
    url="https://karpenter.sh/docs/concepts/nodepools/#speclimits",
    themes=Theme.LIMITS,
)
def limit_gpus_of_pool(resource: Resource, scope: Scope) -> Result:
    """Pools of GPUs have a limit; spot is for checkpoints; outside production none idles.

    A limit on CPUs alone lets a pool of small nodes hold many GPUs. In production, spot nodes are
    for pools with the label `spot_label`.
    """
    if resource.type == NODE_GROUP:
        return _bounded_group(resource.inputs, scope)
    inputs = resource.inputs
    if not _has_gpus(inputs):
        return NotApplicable("no instance type has an NVIDIA GPU")
    most = scope.config.gpus_per_pool_max

    def limited(pool: Data) -> Result:
        gpus = pool.get("spec", "limits", GPU)
        if gpus is None:
            return Fail(f"spec.limits must have {GPU}")
        return Fail(f"{GPU} must be at most {most}, got {gpus}") if int(gpus) > most else None

    def settled(pool: Data) -> Result:
        wanted = pool.each("spec", "template", "spec", "requirements")
        spot = any("spot" in item.get("values") for item in wanted if item.get("key") == CAPACITY)
        return _may_be_spot(spot, pool.keys("spec", "template", "metadata", "labels"), scope)

    return every((limited, settled), lambda check: check(inputs))


CAPACITY = "karpenter.sh/capacity-type"


def _bounded_group(group: Data, scope: Scope) -> Result:
    if not accelerators(group):
        return NotApplicable("no instance type has an accelerator")

    def idle(group: Data) -> Result:
        least = int(group.get("scalingConfig", "minSize") or 0)
        if scope.config.production or not least:
            return None
        return Fail(f"scalingConfig.minSize must be 0 outside production, got {least}")

    def limited(group: Data) -> Result:
        gpus = _gpus_of_node(group) * int(group.get("scalingConfig", "maxSize") or 0)
        most = scope.config.gpus_per_pool_max
        return (
            Fail(f"scalingConfig.maxSize must make at most {most} GPUs, got {gpus}")
            if gpus > most
            else None
        )

    def settled(group: Data) -> Result:
        return _may_be_spot(group.get("capacityType") == "SPOT", group.keys("labels"), scope)

    return every((idle, limited, settled), lambda check: check(group))


def _gpus_of_node(group: Data) -> int:
    """Whole GPUs; the label counts what pods can ask for, slices and turns included."""
    types = [str(instance_type.get()) for instance_type in group.each("instanceTypes")]
    counts = [GPUS[instance_type] for instance_type in types if instance_type in GPUS]
    return max(counts) if counts else int(group.get("labels", "nvidia.com/gpu.count") or 1)


def _may_be_spot(spot: bool, labels: set[str], scope: Scope) -> Result:
    label = scope.config.spot_label
    if not spot or not scope.config.production or label in labels:
        return None
    return Fail(f"spot nodes must have the label {label}, which tells that work keeps checkpoints")


def _has_gpus(pool: Data) -> bool:
    """By its taint, or where no requirement leaves out the instance types with GPUs."""
    wanted = pool.each("spec", "template", "spec", "requirements")
    taints = {taint.get("key") for taint in pool.each("spec", "template", "spec", "taints")}
    return GPU in taints or not any([_leaves_out_gpus(item) for item in wanted])


def _leaves_out_gpus(item: Data) -> bool:
    key, values = str(item.get("key")), set(map(str, item.get("values") or ()))
    name, operator = key.rpartition("/")[2], item.get("operator")
    if name in ("instance-gpu-count", "instance-gpu-name", "instance-gpu-manufacturer"):
        none = operator == "In" and bool(values) and values <= {"0"}
        return operator == "DoesNotExist" or none or (operator == "Lt" and values <= {"1"})
    has_gpu = {
        "instance-category": {"g", "gr", "p"},
        "instance-family": NVIDIA,
        "instance-type": {each for each in values if each.partition(".")[0] in NVIDIA},
    }.get(name, set())
    if operator == "In":
        return name in OF_TYPES and values.isdisjoint(has_gpu)
    return (
        operator == "NotIn" and name != "instance-type" and {*has_gpu} <= values and bool(has_gpu)
    )


OF_TYPES = ("instance-category", "instance-family", "instance-type")
"""Karpenter's labels by which requirements choose instance types (its page "Scheduling")."""


@rule(
    "ML-K8-007",
    applies_to=(NODE_GROUP, *NODE_CLASSES),
    severity="medium",
    fix="set releaseVersion, an accelerated amiType, diskSize and nodeRepairConfig of a group,\n"
    "or alias with a version in amiSelectorTerms of a class",
    url="https://docs.aws.amazon.com/eks/latest/userguide/update-managed-node-group.html",
    themes=Theme.SUPPLY_CHAIN | Theme.AUDIT_LOGS,
)
def require_pinned_node_image(resource: Resource, scope: Scope) -> Result:
    """Nodes with accelerators run a pinned image with drivers, have room for images, are repaired.

    The latest image replaces every node of a pool whenever AWS publishes one, jobs or not. A disk
    or an image that the launch template gives is the template's.
    """
    inputs = resource.inputs
    if resource.type in NODE_CLASSES:
        terms = inputs.each("spec", "amiSelectorTerms")
        return every(terms, _released) if terms else Fail("amiSelectorTerms must name a release")
    if not accelerators(inputs):
        return NotApplicable("no instance type has an accelerator")
    wanted = {
        "releaseVersion": Must("must name a release", SET.holds),
        "amiType": Must("must be one with drivers, such as AL2023_x86_64_NVIDIA", _has_drivers),
        "nodeRepairConfig.enabled": ON,
    }
    if inputs.get("diskSize") or not inputs.has("launchTemplate"):
        wanted["diskSize"] = at_least(scope.config.gpu_disk_gib_min)
    return meets(inputs, wanted)


def _released(term: Data) -> Result:
    """By the number of an image, or an alias with its release: names, tags and parameters move."""
    alias = str(term.get("alias") or "")
    if term.get("id") or ("@" in alias and "@latest" not in alias):
        return None
    return Fail(f"alias must name a release, got {alias or 'none'}")


def _has_drivers(ami_type: Any) -> bool:
    return any(word in str(ami_type) for word in ("NVIDIA", "NEURON", "CUSTOM"))


@rule(
    "ML-K8-008",
    applies_to=(LAUNCH_TEMPLATE, *NODE_CLASSES),
    severity="high",
    fix="set httpTokens to required with a hop limit of 1, encrypt every volume,\n"
    "and associate no public address",
    url="https://docs.aws.amazon.com/eks/latest/best-practices/identity-and-access-management.html",
    themes=Theme.LEAST_PRIVILEGE | Theme.ENCRYPTION_AT_REST,
)
def require_hardened_nodes(resource: Resource, scope: Scope) -> Result:
    """Nodes keep their credentials from pods, encrypt their disks and have no public address.

    With a second hop, a pod on the node can ask for the node's own credentials. Karpenter asks for
    tokens, and allows one hop, where a class says nothing.
    """
    inputs = resource.inputs
    if resource.type in NODE_CLASSES:
        spec = Data(inputs.value["spec"], "spec")
        wanted = {
            "metadataOptions.httpTokens": one_of("required", None),
            "metadataOptions.httpPutResponseHopLimit": one_of(1, None),
            "associatePublicIPAddress": OFF,
        }
    else:
        spec = inputs
        wanted = {
            "metadataOptions.httpTokens": one_of("required"),
            "metadataOptions.httpPutResponseHopLimit": one_of(1),
            "networkInterfaces[].associatePublicIpAddress": OFF,
        }

    def encrypted(mapping: Data) -> Result:
        return meets(mapping, {"ebs.encrypted": ON}) if mapping.has("ebs") else None

    def disks(node: Data) -> Result:
        mappings = node.each("blockDeviceMappings")
        return every(mappings, encrypted) if mappings else Fail("blockDeviceMappings must be set")

    return every((lambda node: meets(node, wanted), disks), lambda check: check(spec))


@rule(
    "ML-K8-009",
    applies_to=NODE_GROUP,
    severity="high",
    fix="take remoteAccess out; Session Manager reaches a node without a key or a port",
    url="https://docs.aws.amazon.com/eks/latest/APIReference/API_RemoteAccessConfig.html",
    themes=Theme.NETWORK_ISOLATION,
)
def forbid_remote_access(resource: Resource, scope: Scope) -> Result:
    """Nodes cannot be reached by SSH.

    EKS opens port 22 to the whole internet where a key stands without security groups.
    """
    return Fail("remoteAccess must be left out") if resource.inputs.has("remoteAccess") else None


@rule(
    "ML-K8-018",
    applies_to=NODE_GROUP,
    kind="stack",
    severity="low",
    mandatory="never",
    fix="use one subnet, interfaces of the type efa or efa-only, and a placement group\n"
    "or a reservation in the launch template",
    url="https://docs.aws.amazon.com/eks/latest/userguide/node-efa.html",
    themes=Theme.LIMITS,
)
def require_near_training_nodes(resource: Resource, scope: Scope) -> Result:
    """Nodes that train together stand in one zone, near each other, and are joined by EFA.

    Between zones, or over TCP, the GPUs of large instances wait for each other.
    """
    group = resource.outputs
    types = {str(each.get()).partition(".")[0] for each in group.each("instanceTypes")}
    if not types & CLUSTERED or int(group.get("scalingConfig", "maxSize")) < 2:
        return NotApplicable("it is no group of nodes that can train together")
    templates = scope.named_by(resource, LAUNCH_TEMPLATE, "launchTemplate", "id")

    def together(_: Data) -> Result:
        zones = len(group.each("subnetIds"))
        return None if zones == 1 else Fail(f"subnetIds must be one, got {zones}")

    def joined(_: Data) -> Result:
        faces = [face for each in templates for face in each.outputs.each("networkInterfaces")]
        joined = any("efa" in str(face.get("interfaceType")) for face in faces)
        return None if joined else Fail("the launch template must have interfaces of the type efa")

    def near(_: Data) -> Result:
        placed = any(
            each.outputs.keys("placement") & {"groupName", "groupId"}
            or each.outputs.keys("capacityReservationSpecification")
            for each in templates
        )
        return None if placed else Fail("the launch template must place the nodes in one group")

    return every((together, joined, near), lambda check: check(group))


CLUSTERED = frozenset(
    ("p4d", "p4de", "p5", "p5e", "p5en", "p6-b200", "p6-b300", "trn1", "trn1n", "trn2", "trn2u")
)
"""Families that are made to train over many nodes with EFA (EC2, Accelerated computing)."""


@rule(
    "ML-K8-019",
    applies_to=LAUNCH_TEMPLATE,
    severity="high",
    mandatory="everywhere",
    fix="take the placement group out: reserved instances are placed already",
    url="https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/capacity-reservations-using.html",
    themes=Theme.LIMITS,
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
