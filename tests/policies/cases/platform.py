"""Programs for the rules about node groups, tags and buckets; see case.py."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pulumi
import pulumi_aws as aws

from tests.policies.cases.case import Case, Program, later

# Node groups and tags

GPU_LABELS = {"nvidia.com/gpu.product": "A10G", "nvidia.com/gpu.count": "1"}


def node_group(
    instance_type: Any = "g5.xlarge",
    *,
    taint: Any = "nvidia.com/gpu",
    effect: str = "NO_SCHEDULE",
    labels: Any = GPU_LABELS,
    release_version: str | None = "1.34.2-20251120",
    scaling: Any = None,
    **changes: Any,
) -> aws.eks.NodeGroup:
    repaired = {
        "ami_type": "AL2023_x86_64_NVIDIA",
        "disk_size": 100,
        "node_repair_config": {"enabled": True},
    }
    sizes: Any = scaling or {"min_size": 0, "desired_size": 0, "max_size": 1}
    return aws.eks.NodeGroup(
        "gpu",
        cluster_name="cluster",
        node_role_arn="role",
        subnet_ids=["subnet"],
        scaling_config=sizes,
        instance_types=[instance_type] if instance_type else None,
        taints=[{"key": taint, "effect": effect}] if taint else None,
        labels=labels,
        release_version=release_version,
        **{**repaired, **changes},
    )


TAGS = {"required_tags": ["owner", "stage"], "tag_values": {"stage": ["dev", "prod"]}}


def tagged(**tags: Any) -> None:
    aws.sns.Topic("topic", tags=tags)


def tagged_by_default() -> None:
    defaults: Any = {"tags": {"owner": "ml", "stage": "dev"}}
    provider = aws.Provider("provider", region="us-east-1", default_tags=defaults)
    aws.sns.Topic("topic", opts=pulumi.ResourceOptions(provider=provider))


def tagged_group() -> None:
    pairs = [("owner", "ml"), ("stage", "prod")]
    aws.autoscaling.Group(
        "group",
        max_size=1,
        min_size=0,
        tags=[{"key": key, "value": value, "propagate_at_launch": True} for key, value in pairs],
    )


CLUSTER = [
    Case(rule="ML-K8-005", status="pass", program=node_group),
    Case(
        rule="ML-K8-005",
        status="pass",
        program=partial(node_group, "inf2.xlarge", taint="aws.amazon.com/neuron", labels=None),
    ),
    Case(
        rule="ML-K8-005",
        status="fail",
        program=partial(node_group, taint=None, labels=None),
        says="nvidia.com/gpu:NO_SCHEDULE; must have the label nvidia.com/gpu.product",
    ),
    Case(
        rule="ML-K8-005",
        status="fail",
        program=partial(node_group, effect="PREFER_NO_SCHEDULE"),
        says="must be tainted",
    ),
    Case(
        rule="ML-K8-005",
        status="fail",
        program=lambda: node_group(labels={"nvidia.com/gpu.product": later()}),
        preview=True,
        says="must have the label nvidia.com/gpu.count",
    ),
    Case(
        rule="ML-K8-005",
        status="unknown",
        program=lambda: node_group(later()),
        preview=True,
        says="instanceTypes[0]",
    ),
    Case(
        rule="ML-K8-005",
        status="unknown",
        program=partial(node_group, None, launch_template={"id": "lt-1", "version": "1"}),
        says="launch template",
    ),
    Case(
        rule="ML-K8-005",
        status="pass",
        program=partial(node_group, None, capacity_type="CAPACITY_BLOCK"),
    ),
    Case(
        rule="ML-K8-005",
        status="fail",
        program=partial(node_group, None, capacity_type="CAPACITY_BLOCK", taint=None),
        says="must be tainted nvidia.com/gpu:NO_SCHEDULE",
    ),
    Case(
        rule="ML-K8-005",
        status="not_applicable",
        program=partial(node_group, "m5.large", taint=None),
        says="no instance type",
    ),
    Case(
        rule="FO-001", status="pass", program=partial(tagged, owner="ml", stage="dev"), config=TAGS
    ),
    Case(rule="FO-001", status="pass", program=tagged_by_default, config=TAGS),
    Case(rule="FO-001", status="pass", program=tagged_group, config=TAGS),
    Case(rule="FO-001", status="fail", program=tagged, config=TAGS, says="tag 'owner' must be set"),
    Case(
        rule="FO-001",
        status="fail",
        program=lambda: tagged(owner=later(), stage="test"),
        preview=True,
        config=TAGS,
        says="tag 'stage' must be one of dev, prod, got 'test'",
    ),
    Case(
        rule="FO-001",
        status="unknown",
        program=lambda: aws.sns.Topic("topic", tags=later().apply(lambda _: {"owner": "ml"})),
        preview=True,
        config=TAGS,
        says="tags",
    ),
    Case(rule="FO-001", status="not_applicable", program=tagged, says="no tag is required"),
]

# Buckets


def tls_only(name: str, service: str = "s3", **changes: Any) -> str:
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": f"{service}:*",
        "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        **changes,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def bucket(  # the parts of a bucket, each of which a case can leave out
    *,
    name: str = "data",
    without: tuple[str, ...] = (),
    algorithm: str = "aws:kms",
    policy: Any = None,
    target: Any = "logs",
    by_id: bool = False,
    **changes: Any,
) -> aws.s3.Bucket:
    made = aws.s3.Bucket(name, bucket=name, **changes)
    of = made.id if by_id else made.bucket
    blocks = ("block_public_acls", "block_public_policy", "ignore_public_acls")
    blocked: Any = dict.fromkeys(blocks, True)
    parts: dict[str, Program] = {
        "block": lambda: aws.s3.BucketPublicAccessBlock(
            name,
            bucket=of,
            restrict_public_buckets="open" not in without,
            **blocked,
        ),
        "policy": lambda: aws.s3.BucketPolicy(name, bucket=of, policy=policy or tls_only(name)),
        "key": lambda: aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=of,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": algorithm}}],
        ),
        "versions": lambda: aws.s3.BucketVersioning(
            name, bucket=of, versioning_configuration={"status": "Enabled"}
        ),
        "log": lambda: aws.s3.BucketLogging(
            name, bucket=of, target_bucket=target, target_prefix=name
        ),
        "lifecycle": lambda: aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=of,
            rules=[
                {
                    "id": "tidy",
                    "status": "Enabled",
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
                }
            ],
        ),
    }
    for part, make in parts.items():
        if part not in without:
            make()
    return made


def two_buckets() -> None:
    """The log bucket has no log of its own and S3's own key."""
    logs = bucket(name="logs", without=("log",), algorithm="AES256")
    bucket(target=logs.bucket)


STORAGE = [
    Case(rule="PF-S3-001", status="pass", program=bucket),
    Case(rule="PF-S3-001", status="pass", program=partial(bucket, by_id=True), preview=True),
    Case(rule="PF-S3-001", status="pass", program=two_buckets),
    Case(
        rule="PF-S3-001",
        status="pass",
        program=partial(bucket, object_lock_enabled=True),
        config={"locked_buckets": ["data"]},
    ),
    Case(
        rule="PF-S3-001",
        status="fail",
        program=partial(bucket, without=("block", "policy", "versions", "lifecycle")),
        says="must have a public access block, got none; must have a policy that denies requests "
        "without TLS, got none; must have versioning enabled; must have a lifecycle rule",
    ),
    Case(
        rule="PF-S3-001",
        status="fail",
        program=partial(bucket, without=("open",)),
        says="must set restrictPublicBuckets",
    ),
    Case(
        rule="PF-S3-001",
        status="fail",
        program=partial(bucket, algorithm="AES256", without=("log",)),
        says="must be encrypted with aws:kms by default; must have access logging",
    ),
    Case(
        rule="PF-S3-001",
        status="fail",
        program=bucket,
        config={"locked_buckets": ["d*"]},
        says="must have object lock",
    ),
    Case(
        rule="PF-S3-001",
        status="fail",
        program=lambda: bucket(policy=later(), without=("versions",)),
        preview=True,
        says="must have versioning enabled",
    ),
    Case(
        rule="PF-S3-001",
        status="unknown",
        program=lambda: bucket(policy=later()),
        preview=True,
        says="policy",
    ),
    Case(
        rule="PF-S3-001", status="not_applicable", program=tagged, says="no resource of this kind"
    ),
]
