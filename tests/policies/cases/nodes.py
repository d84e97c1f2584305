"""Programs for the rules about clusters and their nodes; see case.py."""

from __future__ import annotations

from functools import partial
from typing import Any

import pulumi_aws as aws
from pulumi_kubernetes.apiextensions import CustomResource

from tests.policies.cases.case import KEY, Case, later
from tests.policies.cases.kubernetes import node_pool
from tests.policies.cases.platform import GPU_LABELS, node_group, tagged

LOGS = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
OUTSIDE = {"production": False}
NOTHING = "no resource of this kind"


def governed(**changes: Any) -> aws.eks.Cluster:
    shape: dict[str, Any] = {
        "version": "1.34",
        "deletion_protection": True,
        "enabled_cluster_log_types": LOGS,
        "encryption_config": {"resources": ["secrets"], "provider": {"key_arn": KEY}},
    }
    return aws.eks.Cluster(
        "cluster", role_arn="role", vpc_config={"subnet_ids": ["subnet"]}, **{**shape, **changes}
    )


def template(
    tokens: Any = "required",
    *,
    hops: int = 1,
    encrypted: Any = "true",
    public: str = "false",
    interface: str = "efa",
    group: str | None = "near",
) -> aws.ec2.LaunchTemplate:
    return aws.ec2.LaunchTemplate(
        "template",
        metadata_options={"http_tokens": tokens, "http_put_response_hop_limit": hops},
        block_device_mappings=[{"device_name": "/dev/xvda", "ebs": {"encrypted": encrypted}}],
        network_interfaces=[{"associate_public_ip_address": public, "interface_type": interface}],
        placement={"group_name": group} if group else None,
    )


def bare_template() -> None:
    aws.ec2.LaunchTemplate("template")


def node_class(encrypted: Any = True, **options: Any) -> None:
    disk = {"deviceName": "/dev/xvda", "ebs": {"encrypted": encrypted}}
    CustomResource(
        "class",
        api_version="karpenter.k8s.aws/v1",
        kind="EC2NodeClass",
        metadata={"name": "pool"},
        spec={"blockDeviceMappings": [disk], "metadataOptions": options},
    )


def training_group(
    instance_type: Any = "p5.48xlarge", subnets: tuple[str, ...] = ("a",), **changes: Any
) -> None:
    made = template(**changes)
    aws.eks.NodeGroup(
        "training",
        cluster_name="cluster",
        node_role_arn="role",
        subnet_ids=list(subnets),
        scaling_config={"min_size": 0, "desired_size": 0, "max_size": 4},
        instance_types=[instance_type],
        launch_template={"id": made.id, "version": "1"},
    )


def spot_pool(labels: Any = None) -> None:
    wanted = [
        {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["g6.xlarge"]},
        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot", "on-demand"]},
    ]
    CustomResource(
        "pool",
        api_version="karpenter.sh/v1",
        kind="NodePool",
        metadata={"name": "pool"},
        spec={
            "limits": {"nvidia.com/gpu": "4"},
            "template": {"metadata": {"labels": labels or {}}, "spec": {"requirements": wanted}},
        },
    )


KEPT = {"plinth.dev/checkpoints": "true"}
GROWN = {"min_size": 0, "desired_size": 0, "max_size": 9}

NODES = [
    Case(rule="ML-K8-002", status="pass", program=governed),
    Case(
        rule="ML-K8-002",
        status="fail",
        program=partial(governed, enabled_cluster_log_types=["api", "audit"]),
        says="must have authenticator, controllerManager, scheduler",
    ),
    Case(
        rule="ML-K8-002",
        status="unknown",
        program=lambda: governed(enabled_cluster_log_types=[later()]),
        preview=True,
        says="enabledClusterLogTypes[0]",
    ),
    Case(rule="ML-K8-002", status="not_applicable", program=tagged, says=NOTHING),
    Case(rule="ML-K8-003", status="pass", program=governed),
    Case(
        rule="ML-K8-003",
        status="fail",
        program=partial(governed, encryption_config=None),
        says="must have secrets",
    ),
    Case(
        rule="ML-K8-003",
        status="unknown",
        program=lambda: governed(
            encryption_config={"resources": ["secrets"], "provider": {"key_arn": later()}}
        ),
        preview=True,
        says="keyArn",
    ),
    Case(rule="ML-K8-003", status="not_applicable", program=tagged, says=NOTHING),
    Case(rule="ML-K8-004", status="pass", program=governed),
    Case(
        rule="ML-K8-004",
        status="pass",
        program=partial(governed, deletion_protection=None),
        config=OUTSIDE,
    ),
    Case(
        rule="ML-K8-004",
        status="fail",
        program=partial(governed, version="1.9", deletion_protection=False),
        says="version must be 1.32 or newer, got 1.9; deletionProtection must be true, got false",
    ),
    Case(
        rule="ML-K8-004",
        status="unknown",
        program=lambda: governed(version=later()),
        preview=True,
        says="version",
    ),
    Case(rule="ML-K8-004", status="not_applicable", program=tagged, says=NOTHING),
    Case(rule="ML-K8-006", status="pass", program=node_group),
    Case(
        rule="ML-K8-006",
        status="pass",
        program=partial(node_group, capacity_type="SPOT", labels={**GPU_LABELS, **KEPT}),
    ),
    Case(
        rule="ML-K8-006",
        status="pass",
        program=partial(node_group, capacity_type="SPOT"),
        config=OUTSIDE,
    ),
    Case(
        rule="ML-K8-006",
        status="fail",
        program=partial(
            node_group,
            "p5.48xlarge",
            scaling=GROWN,
            capacity_type="SPOT",
        ),
        says="must make at most 64 GPUs, got 72; spot nodes must have the label",
    ),
    Case(
        rule="ML-K8-006",
        status="fail",
        program=partial(node_group, scaling={"min_size": 1, "desired_size": 1, "max_size": 1}),
        config=OUTSIDE,
        says="minSize must be 0 outside production, got 1",
    ),
    Case(
        rule="ML-K8-006",
        status="not_applicable",
        program=partial(node_group, "m6i.large", taint=None),
        says="no instance type has an accelerator",
    ),
    Case(
        rule="ML-K8-006",
        status="fail",
        program=partial(node_pool, limits={"nvidia.com/gpu": "65"}),
        says="must be at most 64, got 65",
    ),
    Case(rule="ML-K8-006", status="pass", program=partial(spot_pool, KEPT)),
    Case(rule="ML-K8-006", status="fail", program=spot_pool, says="spot nodes must"),
    Case(
        rule="ML-K8-007",
        status="fail",
        program=partial(
            node_group,
            release_version=None,
            ami_type="AL2023_x86_64_STANDARD",
            disk_size=20,
            node_repair_config=None,
        ),
        says="release, got none; amiType must be one with drivers, such as AL2023_x86_64_NVIDIA, "
        "got AL2023_x86_64_STANDARD; nodeRepairConfig.enabled must be true, got none; "
        "diskSize must be at least 100, got 20",
    ),
    Case(
        rule="ML-K8-007",
        status="pass",
        program=partial(node_group, disk_size=None, launch_template={"id": "lt", "version": "1"}),
    ),
    Case(rule="ML-K8-008", status="pass", program=template),
    Case(rule="ML-K8-008", status="pass", program=node_class),
    Case(
        rule="ML-K8-008",
        status="fail",
        program=partial(template, tokens="optional", hops=2, encrypted="false", public="true"),
        says="httpTokens must be required, got optional; metadataOptions.httpPutResponseHopLimit "
        "must be 1, got 2; networkInterfaces[0].associatePublicIpAddress must not be true, got "
        "true; blockDeviceMappings[0].ebs.encrypted must be true",
    ),
    Case(
        rule="ML-K8-008",
        status="fail",
        program=bare_template,
        says="httpTokens must be required, got none; metadataOptions.httpPutResponseHopLimit must "
        "be 1, got none; blockDeviceMappings must be set",
    ),
    Case(
        rule="ML-K8-008",
        status="fail",
        program=partial(node_class, False, httpTokens="optional", httpPutResponseHopLimit=2),
        says="spec.metadataOptions.httpPutResponseHopLimit must be 1, got 2; "
        "spec.blockDeviceMappings[0].ebs.encrypted must be true",
    ),
    Case(
        rule="ML-K8-008",
        status="unknown",
        program=lambda: template(later()),
        preview=True,
        says="httpTokens",
    ),
    Case(rule="ML-K8-008", status="not_applicable", program=tagged, says=NOTHING),
    Case(rule="ML-K8-009", status="pass", program=node_group),
    Case(
        rule="ML-K8-009",
        status="fail",
        program=partial(node_group, remote_access={"ec2_ssh_key": "key"}),
        says="remoteAccess must be left out",
    ),
    Case(
        rule="ML-K8-009",
        status="unknown",
        program=lambda: node_group(remote_access=later().apply(lambda key: {"ec2_ssh_key": key})),
        preview=True,
        says="remoteAccess",
    ),
    Case(rule="ML-K8-009", status="not_applicable", program=tagged, says=NOTHING),
    Case(rule="ML-K8-018", status="pass", program=training_group),
    Case(rule="ML-K8-018", status="pass", program=training_group, preview=True),
    Case(
        rule="ML-K8-018",
        status="fail",
        program=partial(training_group, subnets=("a", "b"), interface="interface", group=None),
        says="subnetIds must be one, got 2; the launch template must have interfaces of the type "
        "efa; the launch template must place",
    ),
    Case(
        rule="ML-K8-018",
        status="unknown",
        program=lambda: training_group(later()),
        preview=True,
        says="instanceTypes[0]",
    ),
    Case(
        rule="ML-K8-018",
        status="not_applicable",
        program=partial(training_group, "g6.xlarge"),
        says="no group of nodes",
    ),
]
