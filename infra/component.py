"""The base of every component: type token, child options, tags, grants, sealed outputs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.naming import Names

Statement = Mapping[str, Any]
"""One IAM policy statement; values may be Outputs."""


@dataclass(frozen=True, kw_only=True)
class ComponentArgs:
    """What every component needs to name and tag its children."""

    names: Names
    tags: Mapping[str, str]
    """Cost and ownership tags that every taggable child carries."""


@dataclass(frozen=True)
class Role:
    """A role as the grants see it; the purpose is plain, so that grants have fixed names."""

    purpose: str
    name: pulumi.Output[str]
    arn: pulumi.Output[str]


class Component(pulumi.ComponentResource):
    """A group of resources with one purpose; `plinth:infra:<Class>` in the stack.

    Subclasses create their children with `opts=self.child` and end with `self.seal()`.
    """

    def __init__(
        self, name: str, args: ComponentArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(f"plinth:infra:{type(self).__name__}", name, None, opts)
        self.component_name = name
        self.names = args.names
        self._tags = dict(args.tags)
        self.child = pulumi.ResourceOptions(parent=self)

    def tags(self, role: str) -> dict[str, str]:
        """Tags of the child that plays this role."""
        return {**self._tags, "Name": self.names.of(role)}

    def kept(self, protect: bool) -> pulumi.ResourceOptions:
        """Child options of a resource that holds data: protected and retained when asked."""
        return pulumi.ResourceOptions(parent=self, protect=protect, retain_on_delete=protect)

    def grant(self, role: Role, verb: str, statements: Sequence[Statement]) -> pulumi.Resource:
        """Allow a role what `statements` say, by an inline policy that is this component's.

        Returned for what must not be created before its role may act.
        """

        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", **statement} for statement in statements],
        }
        return aws.iam.RolePolicy(
            f"{self.component_name}-{verb}-{role.purpose}",
            name=f"{self.component_name}-{verb}",
            role=role.name,
            policy=policy_json(document),
            opts=self.child,
        )

    def seal(self) -> None:
        """Register every public Output as the component's output."""
        outputs = {
            key: value
            for key, value in vars(self).items()
            if not key.startswith("_") and isinstance(value, pulumi.Output) and key != "urn"
        }
        self.register_outputs(outputs)


@dataclass(frozen=True)
class PrivateBucket:
    """A bucket, and the parts of it that others have to wait for."""

    bucket: aws.s3.Bucket
    block: aws.s3.BucketPublicAccessBlock
    versioning: aws.s3.BucketVersioning


def private_bucket(
    component: Component,
    role: str,
    *,
    protect: bool,
    kms_key_arn: pulumi.Input[str] | None,
    object_lock: bool = False,
) -> PrivateBucket:
    """A bucket that is private, versioned and encrypted, owned by the account alone.

    Without a key S3's own is used. A policy, a lifecycle and access logs are the caller's: they
    differ by what is kept.
    """
    name = f"{component.component_name}-{role}"
    bucket = aws.s3.Bucket(
        name,
        bucket=component.names.bucket(role),
        object_lock_enabled=object_lock or None,
        force_destroy=not protect,
        tags=component.tags(role),
        opts=component.kept(protect),
    )
    block = aws.s3.BucketPublicAccessBlock(
        name,
        bucket=bucket.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=component.child,
    )
    aws.s3.BucketOwnershipControls(
        name,
        bucket=bucket.bucket,
        rule={"object_ownership": "BucketOwnerEnforced"},
        opts=component.child,
    )
    versioning = aws.s3.BucketVersioning(
        name,
        bucket=bucket.bucket,
        versioning_configuration={"status": "Enabled"},
        opts=component.child,
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        name, bucket=bucket.bucket, rules=[_encrypted_by(kms_key_arn)], opts=component.child
    )
    return PrivateBucket(bucket, block, versioning)


def _encrypted_by(
    kms_key_arn: pulumi.Input[str] | None,
) -> aws.s3.BucketServerSideEncryptionConfigurationRuleArgs:
    default = (
        aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
            sse_algorithm="AES256" if kms_key_arn is None else "aws:kms",
            kms_master_key_id=kms_key_arn,
        )
    )
    return aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
        apply_server_side_encryption_by_default=default,
        bucket_key_enabled=kms_key_arn is not None,
    )


def tls_only(
    action: str, resource: pulumi.Input[str] | Sequence[pulumi.Input[str]]
) -> dict[str, object]:
    """The statement with which a topic, a queue or a bucket refuses requests over plain HTTP."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def network_interfaces(
    names: Names,
    subnet_ids: pulumi.Input[Sequence[str]],
    security_group_ids: Sequence[pulumi.Input[str]],
) -> list[Statement]:
    """What SageMaker does as a role to put jobs or models into these subnets, with these groups.

    The actions are those that the developer guide lists ("Give SageMaker AI Training Jobs Access
    to Resources in Your Amazon VPC"), each bounded as far as EC2 can (service authorization
    reference): a new interface by its subnet and groups, an old one by the subnet it is in.
    """

    def arns(kind: str, ids: Sequence[str]) -> list[str]:
        return [names.arn("ec2", f"{kind}/{one}") for one in ids]

    subnets = pulumi.Output.from_input(subnet_ids).apply(lambda ids: arns("subnet", ids))
    groups = pulumi.Output.all(*security_group_ids).apply(lambda ids: arns("security-group", ids))
    interfaces = names.arn("ec2", "network-interface/*")
    created = pulumi.Output.all(subnets, groups).apply(lambda two: [interfaces, *two[0], *two[1]])
    return [
        {"Action": ["ec2:CreateNetworkInterface"], "Resource": created},
        {
            "Action": ["ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface"],
            "Resource": [interfaces],
            "Condition": {"ArnEquals": {"ec2:Subnet": subnets}},
        },
        # the request names a permission, and may not say whose interface it is about
        {"Action": ["ec2:DeleteNetworkInterfacePermission"], "Resource": [interfaces]},
        {
            # EC2's describe actions have no resource-level permissions (service authorization
            # reference)
            "Action": [
                "ec2:DescribeDhcpOptions",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
            ],
            "Resource": ["*"],
        },
    ]


def policy_json(document: Mapping[str, Any]) -> pulumi.Output[str]:
    """A policy document as JSON text, once every Output in it is known."""
    return pulumi.Output.json_dumps(document, sort_keys=True)


def plain_json(document: Mapping[str, Any]) -> str:
    """A policy document without Outputs: known at preview, so rules can read it."""
    return json.dumps(document, sort_keys=True)
