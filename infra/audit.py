"""Who did what and what was changed, kept where nobody can take it back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from infra.component import (
    Component,
    ComponentArgs,
    Statement,
    plain_json,
    private_bucket,
    tls_only,
)

DATA_EVENTS = {
    "sagemaker-features": "AWS::SageMaker::FeatureGroup",
    "sagemaker-endpoints": "AWS::SageMaker::Endpoint",
}
"""SageMaker's data events (AWS CloudTrail user guide, logging data events): reading and writing
features, and invoking endpoints."""

MANAGED_RULES: Mapping[str, str] = {
    "eks-endpoint-no-public-access": "EKS_ENDPOINT_NO_PUBLIC_ACCESS",
    "eks-secrets-encrypted": "EKS_SECRETS_ENCRYPTED",
    "s3-bucket-level-public-access-prohibited": "S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED",
    "s3-bucket-ssl-requests-only": "S3_BUCKET_SSL_REQUESTS_ONLY",
    "s3-bucket-versioning-enabled": "S3_BUCKET_VERSIONING_ENABLED",
    "sagemaker-endpoint-prod-instance-count": "SAGEMAKER_ENDPOINT_CONFIG_PROD_INSTANCE_COUNT",
    "sagemaker-model-isolation-enabled": "SAGEMAKER_MODEL_ISOLATION_ENABLED",
    "sagemaker-notebook-no-direct-internet-access": "SAGEMAKER_NOTEBOOK_NO_DIRECT_INTERNET_ACCESS",
}
"""Rules of AWS Config by name (AWS Config developer guide, list of managed rules). The rule on
endpoint keys is left out: it asks for keys that SageMaker refuses on instances with local NVMe."""


@dataclass(frozen=True, kw_only=True)
class AuditArgs(ComponentArgs):
    """What is recorded, how long it is kept, and whether anybody can shorten that."""

    kms_key_arn: pulumi.Input[str]
    """Its policy must let CloudTrail and AWS Config encrypt."""

    access_log_bucket_name: pulumi.Input[str]
    """Where S3 writes who read the audit buckets."""

    data_bucket_arns: Sequence[pulumi.Input[str]] = ()
    """Buckets whose objects' reading and writing is recorded. Default: none."""

    create_trail: bool = True
    """Default: recorded here. An account whose organisation has a trail needs no second one."""

    record_configurations: bool = False
    """Whether AWS Config records here, by its service-linked role, which must be there. An account
    has room for one recorder a region. Default: AWS Config is left as it is."""

    config_rules: Sequence[str] = tuple(MANAGED_RULES)
    """Names in `MANAGED_RULES`, for an account with a recorder. Default: all of them."""

    retention_days: int = 365
    """Days that the trail is locked and what was recorded is kept. Default: a year."""

    lock: Literal["GOVERNANCE", "COMPLIANCE"] | None = "GOVERNANCE"
    """Who may delete the trail before its retention ends: those with a special permission
    (GOVERNANCE) or nobody at all (COMPLIANCE). None: whoever may delete objects. Default:
    governance."""

    protect: bool = True
    """Refuse to delete the bucket and the trail. Default: protected."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.config_rules) - set(MANAGED_RULES))
        if unknown:
            raise ValueError(f"config_rules must be in MANAGED_RULES, got {', '.join(unknown)}")


class Audit(Component):
    """A multi-region trail with data events in a locked bucket, and AWS Config where it is ours.

    Two buckets, because AWS Config cannot deliver to one with a default retention (AWS Config
    developer guide, the delivery channel). Both are separate from the platform's data: who may
    delete there has no right here.
    """

    def __init__(
        self, name: str, args: AuditArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._args = args
        if args.create_trail:
            self._trail()
        if args.record_configurations:
            self._config()
        self.seal()

    def _arn(self, role: str) -> str:
        return self.names.bucket_arn(self.names.bucket(role))

    def _trail(self) -> None:
        trail_name = self.names.of("trail")
        trail_arn = self.names.arn("cloudtrail", f"trail/{trail_name}")
        bucket, ready = self._bucket(
            "audit",
            _deliveries("cloudtrail.amazonaws.com", self._arn("audit"), trail_arn),
            locked=self._args.lock is not None,
        )
        selectors = [_selector("management", "Management")]
        if self._args.data_bucket_arns:
            selectors.append(_objects(self._args.data_bucket_arns))
        selectors += [_selector(name, "Data", kind) for name, kind in DATA_EVENTS.items()]
        aws.cloudtrail.Trail(
            f"{self.component_name}-trail",
            name=trail_name,
            s3_bucket_name=bucket.bucket,
            is_multi_region_trail=True,
            include_global_service_events=True,
            enable_log_file_validation=True,
            kms_key_id=self._args.kms_key_arn,
            advanced_event_selectors=selectors,
            tags=self.tags("trail"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=ready, protect=self._args.protect),
        )

    def _config(self) -> None:
        """The recorder sees every service: a role of ours would be bound to those of the platform.

        (`all_supported` records what the role may not read as access denied.)
        """
        name = self.component_name
        bucket, ready = self._bucket(
            "config",
            _deliveries("config.amazonaws.com", self._arn("config")),
            locked=False,
        )
        recorder = aws.cfg.Recorder(
            f"{name}-recorder",
            name=self.names.of("recorder"),
            role_arn=self.names.service_linked_role_arn("config", "AWSServiceRoleForConfig"),
            recording_group={"all_supported": True, "include_global_resource_types": True},
            opts=self.child,
        )
        channel = aws.cfg.DeliveryChannel(
            f"{name}-recorder",
            name=self.names.of("recorder"),
            s3_bucket_name=bucket.bucket,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[recorder, *ready]),
        )
        on = aws.cfg.RecorderStatus(
            f"{name}-recorder",
            name=recorder.name,
            is_enabled=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[channel]),
        )
        for rule in self._args.config_rules:
            aws.cfg.Rule(
                f"{name}-{rule}",
                name=self.names.of(rule),
                source={"owner": "AWS", "source_identifier": MANAGED_RULES[rule]},
                tags=self.tags(rule),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[on]),
            )

    def _bucket(
        self, role: str, deliveries: Sequence[Statement], *, locked: bool
    ) -> tuple[aws.s3.Bucket, list[pulumi.Resource]]:
        """A bucket that one service writes to, and what must be there before it does."""
        args, name = self._args, f"{self.component_name}-{role}"
        made = private_bucket(
            self,
            role,
            protect=args.protect,
            kms_key_arn=args.kms_key_arn,
            object_lock=locked,
        )
        bucket, versioning = made.bucket, made.versioning
        self._retention(name, bucket, versioning, locked=locked)
        aws.s3.BucketLogging(
            name,
            bucket=bucket.bucket,
            target_bucket=args.access_log_bucket_name,
            target_prefix=f"{role}/",
            opts=self.child,
        )
        policy = aws.s3.BucketPolicy(
            name,
            bucket=bucket.bucket,
            policy=plain_json(_policy(self._arn(role), deliveries, self.names.account_id)),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[made.block]),
        )
        return bucket, [policy, versioning]

    def _retention(
        self,
        name: str,
        bucket: aws.s3.Bucket,
        versioning: aws.s3.BucketVersioning,
        *,
        locked: bool,
    ) -> None:
        """Objects go when their retention ends, and where they are locked not before."""
        after_versioning = pulumi.ResourceOptions(parent=self, depends_on=[versioning])
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[
                {
                    "id": "expire",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "expiration": {"days": self._args.retention_days},
                    "noncurrent_version_expiration": {"noncurrent_days": 30},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
                }
            ],
            opts=after_versioning,
        )
        if locked:
            retention = aws.s3.BucketObjectLockConfigurationRuleDefaultRetentionArgs(
                mode=self._args.lock, days=self._args.retention_days
            )
            rule = aws.s3.BucketObjectLockConfigurationRuleArgs(default_retention=retention)
            aws.s3.BucketObjectLockConfiguration(
                name,
                bucket=bucket.bucket,
                object_lock_enabled="Enabled",
                rule=rule,
                opts=after_versioning,
            )


def _deliveries(service: str, arn: str, source_arn: str | None = None) -> Sequence[Statement]:
    """A service may look at the bucket and write under `AWSLogs/` (user guides of both)."""
    condition = {"ArnEquals": {"aws:SourceArn": source_arn}} if source_arn else {}
    return [
        {
            "Sid": "Look",
            "Principal": {"Service": service},
            "Action": ["s3:GetBucketAcl", "s3:ListBucket"],
            "Resource": arn,
            "Condition": condition,
        },
        {
            "Sid": "Deliver",
            "Principal": {"Service": service},
            "Action": "s3:PutObject",
            "Resource": f"{arn}/AWSLogs/*",
            "Condition": condition,
        },
    ]


def _policy(arn: str, deliveries: Sequence[Statement], account_id: str) -> Mapping[str, object]:
    """Deliveries for this account alone, and nothing over plain HTTP."""
    own = {"StringEquals": {"aws:SourceAccount": account_id}}
    return {
        "Version": "2012-10-17",
        "Statement": [
            tls_only("s3:*", [arn, f"{arn}/*"]),
            *(
                {"Effect": "Allow", **item, "Condition": {**item["Condition"], **own}}
                for item in deliveries
            ),
        ],
    }


def _selector(
    name: str, category: str, kind: str | None = None
) -> aws.cloudtrail.TrailAdvancedEventSelectorArgs:
    """Every event of a category, or of one type of resource in it."""
    fields = {"eventCategory": category, **({"resources.type": kind} if kind else {})}
    return aws.cloudtrail.TrailAdvancedEventSelectorArgs(
        name=name,
        field_selectors=[
            aws.cloudtrail.TrailAdvancedEventSelectorFieldSelectorArgs(field=field, equals=[value])
            for field, value in fields.items()
        ],
    )


def _objects(
    bucket_arns: Sequence[pulumi.Input[str]],
) -> aws.cloudtrail.TrailAdvancedEventSelectorArgs:
    """Reading and writing the objects of these buckets."""
    selector = aws.cloudtrail.TrailAdvancedEventSelectorFieldSelectorArgs
    return aws.cloudtrail.TrailAdvancedEventSelectorArgs(
        name="objects",
        field_selectors=[
            selector(field="eventCategory", equals=["Data"]),
            selector(field="resources.type", equals=["AWS::S3::Object"]),
            selector(
                field="resources.ARN",
                starts_withs=[pulumi.Output.concat(arn, "/") for arn in bucket_arns],
            ),
        ],
    )
