"""Buckets: private, versioned, encrypted, TLS only, logged."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role, plain_json
from infra.naming import Names


@dataclass(frozen=True, kw_only=True)
class StorageArgs(ComponentArgs):
    """Which buckets there are, how long they keep things, and the key that encrypts them."""

    buckets: Sequence[str]
    """What each bucket is for: `data`, `artifacts`, ..."""

    kms_key_arn: pulumi.Input[str]

    noncurrent_days: int = 90
    """Days a replaced or deleted object can still be brought back. Default: 90."""

    protect: bool = True
    """Refuse to delete the buckets and keep them when the stack goes. Default: protected."""


class Storage(Component):
    """The environment's buckets and the bucket that holds their access logs."""

    def __init__(
        self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        logs = self._bucket("logs", args, kms=False)
        delivery = aws.s3.BucketPolicy(
            f"{name}-logs",
            bucket=logs.bucket,
            policy=plain_json(self._policy("logs", receives_logs=True)),
            opts=self.child,
        )
        self._buckets: dict[str, aws.s3.Bucket] = {}
        for role in args.buckets:
            bucket = self._bucket(role, args, kms=True)
            aws.s3.BucketPolicy(
                f"{name}-{role}",
                bucket=bucket.bucket,
                policy=plain_json(self._policy(role, receives_logs=False)),
                opts=self.child,
            )
            aws.s3.BucketLogging(
                f"{name}-{role}",
                bucket=bucket.bucket,
                target_bucket=logs.bucket,
                target_prefix=f"{role}/",
                # S3 refuses a target that does not yet let its log delivery write
                opts=pulumi.ResourceOptions(parent=self, depends_on=[delivery]),
            )
            self._buckets[role] = bucket
        self.bucket_names = pulumi.Output.all(
            logs=logs.bucket, **{role: bucket.bucket for role, bucket in self._buckets.items()}
        )
        self.seal()

    def bucket(self, role: str) -> aws.s3.Bucket:
        """The bucket for this role; KeyError names one that does not exist."""
        return self._buckets[role]

    def grant_read_write(self, role: Role, *buckets: str) -> pulumi.Resource:
        """Let a role list these buckets and read, write and delete their objects."""
        arns = [self._buckets[bucket].arn for bucket in buckets]
        return self.grant(
            role,
            "read-write",
            [
                {"Action": ["s3:GetBucketLocation", "s3:ListBucket"], "Resource": arns},
                {
                    "Action": [
                        "s3:AbortMultipartUpload",
                        "s3:DeleteObject",
                        "s3:GetObject",
                        "s3:PutObject",
                    ],
                    "Resource": [pulumi.Output.concat(arn, "/*") for arn in arns],
                },
            ],
        )

    def grant_read(self, role: Role, *buckets: str) -> pulumi.Resource:
        """Let a role list these buckets and read their objects."""
        arns = [self._buckets[bucket].arn for bucket in buckets]
        return self.grant(
            role,
            "read",
            [
                {"Action": ["s3:GetBucketLocation", "s3:ListBucket"], "Resource": arns},
                {
                    "Action": ["s3:GetObject"],
                    "Resource": [pulumi.Output.concat(arn, "/*") for arn in arns],
                },
            ],
        )

    def grant_read_of(self, role: Role, other: Names, *buckets: str) -> pulumi.Resource:
        """Let a role read another environment's buckets, if their policies let it."""
        arns = [f"arn:aws:s3:::{other.bucket(bucket)}" for bucket in buckets]
        return self.grant(
            role,
            f"read-{other.env}",
            [
                {"Action": ["s3:GetBucketLocation", "s3:ListBucket"], "Resource": arns},
                {"Action": ["s3:GetObject"], "Resource": [f"{arn}/*" for arn in arns]},
            ],
        )

    def _bucket(self, role: str, args: StorageArgs, *, kms: bool) -> aws.s3.Bucket:
        name = f"{self.component_name}-{role}"
        bucket = aws.s3.Bucket(
            name,
            bucket=self.names.bucket(role),
            force_destroy=not args.protect,
            tags=self.tags(role),
            opts=self.kept(args.protect),
        )
        aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self.child,
        )
        aws.s3.BucketOwnershipControls(
            name,
            bucket=bucket.bucket,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=self.child,
        )
        aws.s3.BucketVersioning(
            name,
            bucket=bucket.bucket,
            versioning_configuration={"status": "Enabled"},
            opts=self.child,
        )
        # S3's log delivery cannot write to a bucket whose default key is a customer managed one
        # without a grant in the key policy: the log bucket keeps S3's own key.
        default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(  # noqa: E501 the provider's name is that long
            sse_algorithm="aws:kms" if kms else "AES256",
            kms_master_key_id=args.kms_key_arn if kms else None,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=default, bucket_key_enabled=kms
                )
            ],
            opts=self.child,
        )
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[
                {
                    "id": "expire",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
                    "noncurrent_version_expiration": {"noncurrent_days": args.noncurrent_days},
                }
            ],
            opts=self.child,
        )
        return bucket

    def _policy(self, role: str, *, receives_logs: bool) -> dict[str, object]:
        arn = f"arn:aws:s3:::{self.names.bucket(role)}"
        statements: list[dict[str, object]] = [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ]
        if receives_logs:
            statements.append(
                {
                    "Sid": "AccessLogs",
                    "Effect": "Allow",
                    "Principal": {"Service": "logging.s3.amazonaws.com"},
                    "Action": "s3:PutObject",
                    "Resource": f"{arn}/*",
                    "Condition": {"StringEquals": {"aws:SourceAccount": self.names.account_id}},
                }
            )
        return {"Version": "2012-10-17", "Statement": statements}
