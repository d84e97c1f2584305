"""Customer managed keys, one per purpose, so that revoking one does not blind the others."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role, plain_json


@dataclass(frozen=True, kw_only=True)
class KeysArgs(ComponentArgs):
    """Which keys there are."""

    purposes: Sequence[str]
    """What is encrypted with each key: `storage`, `features`, `serving`, ..."""

    deletion_window_days: int = 30
    """Days in which a deletion can be called off (7 to 30). Default: the longest."""

    protect: bool = True
    """Refuse to delete a key: what it encrypted is lost with it. Default: protected."""


class Keys(Component):
    """A rotating KMS key and its alias per purpose."""

    def __init__(
        self, name: str, args: KeysArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._arns: dict[str, pulumi.Output[str]] = {}
        for purpose in args.purposes:
            key = aws.kms.Key(
                f"{name}-{purpose}",
                description=f"{self.names.prefix} {purpose}",
                enable_key_rotation=True,
                deletion_window_in_days=args.deletion_window_days,
                policy=plain_json(self._policy()),
                tags=self.tags(purpose),
                opts=self.kept(args.protect),
            )
            aws.kms.Alias(
                f"{name}-{purpose}",
                name=f"alias/{self.names.of(purpose)}",
                target_key_id=key.key_id,
                opts=self.child,
            )
            self._arns[purpose] = key.arn
        self.key_arns = pulumi.Output.all(**self._arns)
        self.seal()

    def arn(self, purpose: str) -> pulumi.Output[str]:
        """ARN of the key with this purpose; KeyError names a purpose that has no key."""
        return self._arns[purpose]

    def grant_use(self, role: Role, *purposes: str) -> pulumi.Resource:
        """Let a role encrypt and decrypt with these keys."""
        return self.grant(
            role,
            "use",
            [
                {
                    "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey*"],
                    "Resource": [self._arns[purpose] for purpose in purposes],
                },
                {
                    # SageMaker opens a grant on behalf of the role to mount encrypted volumes
                    "Action": ["kms:CreateGrant"],
                    "Resource": [self._arns[purpose] for purpose in purposes],
                    "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
                },
            ],
        )

    def _policy(self) -> dict[str, object]:
        """IAM of the account decides; CloudWatch Logs and CloudWatch alarms may use the key.

        In a key policy the resource `*` means this key (AWS KMS developer guide, key policies).
        """
        account = f"arn:aws:iam::{self.names.account_id}:root"
        logs = f"arn:aws:logs:{self.names.region}:{self.names.account_id}:*"
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "Account",
                    "Effect": "Allow",
                    "Principal": {"AWS": account},
                    "Action": "kms:*",
                    "Resource": "*",
                },
                {
                    "Sid": "Logs",
                    "Effect": "Allow",
                    "Principal": {"Service": f"logs.{self.names.region}.amazonaws.com"},
                    "Action": ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*"],
                    "Resource": "*",
                    "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": logs}},
                },
                {
                    "Sid": "Alarms",
                    "Effect": "Allow",
                    "Principal": {"Service": "cloudwatch.amazonaws.com"},
                    "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
                    "Resource": "*",
                    "Condition": {"StringEquals": {"aws:SourceAccount": self.names.account_id}},
                },
            ],
        }
