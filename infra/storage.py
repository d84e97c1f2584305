"""Buckets: private, versioned, encrypted, TLS only, logged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.component import (
    Component,
    ComponentArgs,
    Role,
    Statement,
    plain_json,
    policy_json,
    private_bucket,
)
from infra.naming import Names, account_roots, role_arn_patterns

OBJECT_ACTIONS = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject*",
    "s3:GetObject*",
    "s3:ListBucket*",
    "s3:PutObject*",
)
"""What reads, lists and changes objects. A bucket's own settings are left out of every denial, so
that no policy locks out those who can mend it."""


Keys = Mapping[str, Sequence[str]]
"""Patterns of object keys by bucket; each ends with `*`, and `*` alone is everything."""


@dataclass(frozen=True, kw_only=True)
class StorageArgs(ComponentArgs):
    """Which buckets there are, how long they keep things, and the key that encrypts them."""

    buckets: Sequence[str]
    """What each bucket is for: `data`, `artifacts`, ..."""

    kms_key_arn: pulumi.Input[str]

    noncurrent_days: int = 90
    """Days a replaced or deleted object can still be brought back. Default: 90."""

    expire_days: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Days after which objects go, by bucket and prefix. Default: objects stay."""

    tiering_days: int = 30
    """Days until S3 moves objects between storage classes by their use (Intelligent-Tiering);
    what expires by prefix is left alone. Default: 30."""

    access_log_days: int = 365
    """Days that access logs are kept. Default: 365."""

    vpc_endpoint_ids: Sequence[pulumi.Input[str]] = ()
    """The S3 endpoints that requests must come through. Default: from anywhere."""

    exempt_role_arns: Sequence[str] = ()
    """Roles that need no VPC endpoint, `*` allowed: who deploys, and roles that AWS services take
    on in their own networks. Default: nobody is exempt but AWS services acting themselves."""

    readers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Environments in other accounts, by account, that read the `readable` buckets. Default:
    nobody outside the account."""

    readable: Sequence[str] = ()
    """Default: no bucket."""

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
            policy=plain_json(_document(self._log_delivery())),
            opts=self.child,
        )
        self._buckets: dict[str, aws.s3.Bucket] = {}
        for role in args.buckets:
            bucket = self._bucket(role, args, kms=True)
            aws.s3.BucketPolicy(
                f"{name}-{role}",
                bucket=bucket.bucket,
                policy=self._policy(role, args),
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

    def grant_read_write(self, role: Role, *buckets: str, prefix: str = "") -> pulumi.Resource:
        """Let a role list these buckets and read, write and delete their objects."""
        return self.grant(
            role,
            "read-write",
            change_objects(self.names, {bucket: [f"{prefix}*"] for bucket in buckets}),
        )

    def grant_read(self, role: Role, *buckets: str) -> pulumi.Resource:
        """Let a role list these buckets and read their objects."""
        return self.grant(
            role, "read", read_objects(self.names, {bucket: ["*"] for bucket in buckets})
        )

    def _bucket(self, role: str, args: StorageArgs, *, kms: bool) -> aws.s3.Bucket:
        # S3's log delivery cannot write to a bucket whose default key is a customer managed one
        # without a grant in the key policy: the log bucket keeps S3's own key.
        key = args.kms_key_arn if kms else None
        bucket = private_bucket(self, role, protect=args.protect, kms_key_arn=key).bucket
        aws.s3.BucketLifecycleConfiguration(
            f"{self.component_name}-{role}",
            bucket=bucket.bucket,
            rules=_lifecycle(role, args),
            opts=self.child,
        )
        return bucket

    def _arns(self, role: str) -> list[str]:
        arn = self.names.bucket_arn(self.names.bucket(role))
        return [arn, f"{arn}/*"]

    def _tls_only(self, role: str) -> dict[str, Any]:
        return {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": "s3:*",
            "Resource": self._arns(role),
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }

    def _log_delivery(self) -> list[dict[str, Any]]:
        """The log bucket takes the access logs of this account's buckets."""
        delivery = {
            "Sid": "AccessLogs",
            "Effect": "Allow",
            "Principal": {"Service": "logging.s3.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": self._arns("logs")[1],
            "Condition": {"StringEquals": {"aws:SourceAccount": self.names.account_id}},
        }
        return [self._tls_only("logs"), delivery]

    def _policy(self, role: str, args: StorageArgs) -> pulumi.Input[str]:
        """TLS only; through the VPC endpoints where there are some; readers where it has some."""
        statements = [self._tls_only(role)]
        if args.readers and role in args.readable:
            statements.append(self._readers(role, args))
        if not args.vpc_endpoint_ids:
            return plain_json(_document(statements))
        return policy_json(_document([*statements, self._vpc_endpoint_only(role, args)]))

    def _readers(self, role: str, args: StorageArgs) -> dict[str, Any]:
        return {
            "Sid": "Readers",
            "Effect": "Allow",
            "Principal": {"AWS": account_roots(args.readers, args.names.region)},
            "Action": ["s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket"],
            "Resource": self._arns(role),
            "Condition": {
                "ArnLike": {"aws:PrincipalArn": role_arn_patterns(args.readers, args.names.region)}
            },
        }

    def _vpc_endpoint_only(self, role: str, args: StorageArgs) -> dict[str, Any]:
        """Credentials that leave the network are worth nothing outside it.

        A request that comes through no endpoint has no `aws:SourceVpce`, which is unequal to all.
        Readers come through the endpoints of their own accounts.
        """
        readers = (
            role_arn_patterns(args.readers, args.names.region) if role in args.readable else []
        )
        exempt = sorted({*args.exempt_role_arns, *readers})
        return {
            "Sid": "VpcEndpointOnly",
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": list(OBJECT_ACTIONS),
            "Resource": self._arns(role),
            "Condition": {
                "StringNotEquals": {"aws:SourceVpce": list(args.vpc_endpoint_ids)},
                "BoolIfExists": {
                    "aws:PrincipalIsAWSService": "false",
                    "aws:ViaAWSService": "false",
                },
                **({"ArnNotLike": {"aws:PrincipalArn": exempt}} if exempt else {}),
            },
        }


def read_objects(names: Names, keys: Keys) -> list[Statement]:
    """Listing and reading what has these keys, in the buckets of an environment."""
    return [s for bucket in keys for s in _objects(names, bucket, keys[bucket], ["s3:GetObject"])]


def write_objects(names: Names, keys: Keys) -> list[Statement]:
    """Listing, reading and writing what has these keys."""
    actions = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
    return [s for bucket in keys for s in _objects(names, bucket, keys[bucket], actions)]


def change_objects(names: Names, keys: Keys) -> list[Statement]:
    """The same, and deleting it."""
    actions = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    return [s for bucket in keys for s in _objects(names, bucket, keys[bucket], actions)]


def put_objects(names: Names, keys: Keys) -> list[Statement]:
    """Writing what has these keys, and neither reading nor finding it."""
    return [
        {
            "Action": ["s3:AbortMultipartUpload", "s3:PutObject"],
            "Resource": [
                f"{names.bucket_arn(names.bucket(bucket))}/{key}" for key in sorted(keys[bucket])
            ],
        }
        for bucket in keys
    ]


def _objects(
    names: Names, bucket: str, keys: Sequence[str], actions: Sequence[str]
) -> list[Statement]:
    arn = names.bucket_arn(names.bucket(bucket))
    listing: dict[str, object] = {"Action": ["s3:ListBucket"], "Resource": [arn]}
    if "*" not in keys:
        listing["Condition"] = {"StringLike": {"s3:prefix": sorted(keys)}}
    return [
        listing,
        {"Action": list(actions), "Resource": [f"{arn}/{key}" for key in sorted(keys)]},
    ]


def _document(statements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _lifecycle(
    role: str, args: StorageArgs
) -> list[aws.s3.BucketLifecycleConfigurationRuleArgsDict]:
    """Uploads that stopped half-way and old versions go everywhere; the rest by bucket.

    Two rules may meet on one object: S3 then does what is cheaper, so expiry wins over tiering
    (Amazon S3 user guide, conflicting lifecycle actions).
    """
    everything: aws.s3.BucketLifecycleConfigurationRuleArgsDict = {
        "id": "expire",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
        "noncurrent_version_expiration": {"noncurrent_days": args.noncurrent_days},
    }
    if role == "logs":
        return [everything | {"expiration": {"days": args.access_log_days}}]
    tiering: aws.s3.BucketLifecycleConfigurationRuleTransitionArgsDict = {
        "days": args.tiering_days,
        "storage_class": "INTELLIGENT_TIERING",
    }
    rules = [everything | {"transitions": [tiering]}]
    for prefix, days in sorted(args.expire_days.get(role, {}).items()):
        rules.append(
            {
                "id": f"expire-{prefix.strip('/').replace('/', '-')}",
                "status": "Enabled",
                "filter": {"prefix": prefix},
                "expiration": {"days": days},
            }
        )
    return rules
