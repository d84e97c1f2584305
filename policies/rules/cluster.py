"""EKS clusters and their node groups."""

from policies.data import Data, Resource, Unknown
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.tables.instances import NEURON, NVIDIA

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
TAINTS = {"nvidia.com/gpu": NVIDIA | {"g3", "p2", "p3"}, "aws.amazon.com/neuron": NEURON}
"""Taint that device plugins tolerate -> the instance families that need it."""


def accelerators(inputs: Data) -> set[str]:
    """The taints that the node group's instance types call for."""
    types = inputs.each("instanceTypes")
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
