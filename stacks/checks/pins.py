"""Pins: every AMI release and add-on has one exact version, and that version exists."""

from __future__ import annotations

from collections.abc import Iterator

from botocore.exceptions import ClientError

from infra.naming import GPU_RESOURCE
from stacks.checks.check import (
    CheckResult,
    Platform,
    Unanswered,
    attempt,
    failed,
    passed,
    unknown,
)
from stacks.sizing.fleets import NODE_GROUP, NODE_POOL

AMIS, ADD_ONS = "amis", "add-ons"
CLUSTER = "aws:eks/cluster:Cluster"
ADD_ON = "aws:eks/addon:Addon"
NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"

PARAMETERS = {
    "AL2023_x86_64_STANDARD": "/aws/service/eks/optimized-ami/{k8s}/amazon-linux-2023/x86_64/"
    "standard/{image}/image_id amazon-eks-node-al2023-x86_64-standard-{k8s}-v{date}",
    "AL2023_x86_64_NVIDIA": "/aws/service/eks/optimized-ami/{k8s}/amazon-linux-2023/x86_64/"
    "nvidia/{image}/image_id amazon-eks-node-al2023-x86_64-nvidia-{k8s}-v{date}",
    "AL2023_x86_64_NEURON": "/aws/service/eks/optimized-ami/{k8s}/amazon-linux-2023/x86_64/"
    "neuron/{image}/image_id amazon-eks-node-al2023-x86_64-neuron-{k8s}-v{date}",
    "AL2023_ARM_64_STANDARD": "/aws/service/eks/optimized-ami/{k8s}/amazon-linux-2023/arm64/"
    "standard/{image}/image_id amazon-eks-node-al2023-arm64-standard-{k8s}-v{date}",
    "BOTTLEROCKET_x86_64": "/aws/service/bottlerocket/aws-k8s-{k8s}/x86_64/{image}/image_id "
    "{version}",
    "BOTTLEROCKET_x86_64_NVIDIA": "/aws/service/bottlerocket/aws-k8s-{k8s}-nvidia/x86_64/{image}/"
    "image_id {version}",
}
"""AMI type -> the public parameter of its image and, after a space, the name of a pinned image.

EKS user guide, "Retrieve Amazon Linux AMI IDs" and "Retrieve Bottlerocket AMI IDs".
"""

FAMILIES = {
    ("al2023", False): "AL2023_x86_64_STANDARD",
    ("al2023", True): "AL2023_x86_64_NVIDIA",
    ("bottlerocket", False): "BOTTLEROCKET_x86_64",
    ("bottlerocket", True): "BOTTLEROCKET_x86_64_NVIDIA",
}
"""Family of a Karpenter alias, and whether its nodes have GPUs -> AMI type."""

NEWEST = {"eks": "recommended", "bottlerocket": "latest"}


def check_amis(platform: Platform) -> Iterator[CheckResult]:
    """Node groups and node classes pin an AMI release that AWS has published."""
    for name, ami_type, release in _releases(platform):
        if release is None or "latest" in release:
            yield failed(
                AMIS,
                name,
                f"must pin one AMI release, got {release or 'none: EKS takes the newest'}",
                "pin the release in the environment's file",
            )
        else:
            yield _image(platform, name, ami_type, release)


def _releases(platform: Platform) -> Iterator[tuple[str, str, str | None]]:
    """Name, AMI type and pinned release of everything that starts nodes."""
    for group in platform.of_type(NODE_GROUP):
        if (group.inputs.get("amiType") or "").startswith("CUSTOM"):
            continue
        yield group.name, group.inputs.get("amiType") or "", group.inputs.get("releaseVersion")
    for node_class in platform.of_type(NODE_CLASS):
        gpus = _starts_gpus(platform, node_class.inputs.get("metadata", "name"))
        for term in node_class.inputs.get("spec", "amiSelectorTerms") or []:
            family, _, release = str(term.get("alias", "")).partition("@")
            if family:
                yield node_class.name, FAMILIES.get((family, gpus), family), release or None


def _starts_gpus(platform: Platform, node_class: str) -> bool:
    """Whether a pool of this class starts GPU nodes: Karpenter then takes the NVIDIA image."""
    return any(
        GPU_RESOURCE in (pool.inputs.get("spec", "limits") or {})
        for pool in platform.of_type(NODE_POOL)
        if pool.inputs.get("spec", "template", "spec", "nodeClassRef", "name") == node_class
    )


def _image(platform: Platform, name: str, ami_type: str, release: str) -> CheckResult:
    if ami_type not in PARAMETERS:
        return unknown(AMIS, name, f"no public parameter is known for AMI type {ami_type}")
    k8s = next((c.inputs.get("version") for c in platform.of_type(CLUSTER)), None)
    path, _, image = PARAMETERS[ami_type].partition(" ")
    version = release.removeprefix("v")
    facts = {"k8s": k8s, "version": version, "date": version.rpartition("-")[2]}
    pinned = path.format(image=image.format(**facts), **facts)
    newest = path.format(image=NEWEST[path.split("/")[3]], **facts)
    found = attempt(lambda: [public_parameter(platform, p) for p in (pinned, newest)])
    if isinstance(found, Unanswered):
        return unknown(AMIS, name, f"pinned to {release}; {found.reason}")
    image_id, newest_id = found
    if image_id:
        return passed(AMIS, name, f"{release} is {image_id}")
    if not newest_id:
        return unknown(
            AMIS, name, f"pinned to {release}; no images for Kubernetes {k8s} are published here"
        )
    return failed(
        AMIS,
        name,
        f"must pin a published release of {ami_type} for Kubernetes {k8s}, got {release}",
        f"choose one: aws ssm get-parameters-by-path --recursive --path {_parent(newest)}",
    )


def _parent(parameter: str) -> str:
    return "/".join(parameter.split("/")[:-2])


def public_parameter(platform: Platform, name: str) -> str | None:
    """The value of one of AWS's own parameters; None where there is no such parameter."""
    try:
        value: str = platform.clients("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ParameterNotFound":
            raise
        return None
    return value


def check_add_ons(platform: Platform) -> Iterator[CheckResult]:
    """EKS add-ons pin a version that EKS offers for the cluster's Kubernetes version."""
    k8s = next((c.inputs.get("version") for c in platform.of_type(CLUSTER)), None)
    for add_on in platform.of_type(ADD_ON):
        name, version = add_on.inputs.get("addonName"), add_on.inputs.get("addonVersion")
        if version is None:
            yield failed(
                ADD_ONS, name, "must pin a version, got none", "pin it in the environment's file"
            )
            continue
        offered = attempt(lambda name=name: _offered(platform, name, k8s))  # type: ignore[misc]
        if isinstance(offered, Unanswered):
            yield unknown(ADD_ONS, name, f"pinned to {version}; {offered.reason}")
        elif version in offered:
            yield passed(ADD_ONS, name, f"{version} is offered for Kubernetes {k8s}")
        else:
            yield failed(
                ADD_ONS,
                name,
                f"must be a version that EKS offers for Kubernetes {k8s}, got {version}",
                f"choose one of {', '.join(offered[:5]) or 'none: the add-on is unknown'}",
            )


def _offered(platform: Platform, name: str, k8s: str | None) -> list[str]:
    answer = platform.clients("eks").describe_addon_versions(addonName=name, kubernetesVersion=k8s)
    return [v["addonVersion"] for add_on in answer["addons"] for v in add_on["addonVersions"]]
