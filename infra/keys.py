"""Customer managed keys, one per purpose, so that revoking one does not blind the others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role, Statement, plain_json
from infra.naming import Names, account_roots, role_arn_patterns

COMMON = ("cloudwatch", "events", "logs")
"""Services of most purposes: alarms and events that reach an encrypted topic, and log groups."""


@dataclass(frozen=True, kw_only=True)
class KeysArgs(ComponentArgs):
    """Which keys there are, and who beside the account's own roles uses them."""

    purposes: Mapping[str, Sequence[str]]
    """What is encrypted with each key (`storage`, `ebs`, ...), and the AWS services that use it
    themselves and not as one of our roles: names in `SERVICES`."""

    readers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Environments in other accounts, by account, that read what `readable` encrypts. Default:
    nobody outside the account."""

    readable: Sequence[str] = ()
    """Purposes whose keys `readers` may decrypt with, through S3. Default: none."""

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
                policy=plain_json(key_policy(purpose, args)),
                tags=self.tags(purpose),
                opts=self.kept(args.protect),
            )
            aws.kms.Alias(
                f"{name}-{purpose}",
                name=key_alias(self.names, purpose),
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
        return self.grant(role, "use", use_keys([self._arns[purpose] for purpose in purposes]))

    def grant_decrypt(self, role: Role, *purposes: str) -> pulumi.Resource:
        """Let a role read what these keys encrypt, and encrypt nothing."""
        keys = [self._arns[purpose] for purpose in purposes]
        return self.grant(role, "decrypt", read_keys(keys))


def use_keys(arns: Sequence[pulumi.Input[str]]) -> list[Statement]:
    """Encrypting and decrypting with these keys."""
    return [
        {
            "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
            "Resource": list(arns),
        },
    ]


def read_keys(arns: Sequence[pulumi.Input[str]]) -> list[Statement]:
    """Decrypting with these keys, and encrypting nothing."""
    return [{"Action": ["kms:Decrypt"], "Resource": list(arns)}]


def mount_volumes(arns: Sequence[pulumi.Input[str]]) -> list[Statement]:
    """Volumes that these keys encrypt: whoever makes them for a role opens a grant as the role
    (SageMaker developer guide, execution roles; EBS user guide, permissions for keys)."""
    return [
        {
            "Action": ["kms:CreateGrant"],
            "Resource": list(arns),
            "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
        }
    ]


def decrypt_of(other: Names, *purposes: str) -> list[Statement]:
    """Decrypting what another environment's keys encrypt, if their policies let it.

    Key ids are random: the other account's keys are named by their aliases.
    """
    aliases = [key_alias(other, purpose) for purpose in purposes]
    return [
        {
            "Action": ["kms:Decrypt"],
            "Resource": [other.arn("kms", "key/*")],
            "Condition": {"ForAnyValue:StringEquals": {"kms:ResourceAliases": aliases}},
        }
    ]


def key_alias(names: Names, purpose: str) -> str:
    """Alias of the key that an environment has for a purpose."""
    return f"alias/{names.of(purpose)}"


def key_policy(purpose: str, args: KeysArgs) -> dict[str, object]:
    """IAM of the account decides; AWS services and readers get what they need and no more.

    In a key policy the resource `*` means this key (AWS KMS developer guide, key policies).
    """
    statements: list[Statement] = [
        {
            "Sid": "Account",
            "Principal": {"AWS": account_roots([args.names.account_id], args.names.region)[0]},
            "Action": "kms:*",
        },
        *(one for service in args.purposes[purpose] for one in SERVICES[service](args.names)),
    ]
    if args.readers and purpose in args.readable:
        statements.append(_readers(args))
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Resource": "*", **item} for item in statements],
    }


def _readers(args: KeysArgs) -> Statement:
    """Decrypting through S3 alone, by the roles of the environments that read."""
    return {
        "Sid": "Readers",
        "Principal": {"AWS": account_roots(args.readers, args.names.region)},
        "Action": "kms:Decrypt",
        "Condition": {
            "ArnLike": {"aws:PrincipalArn": role_arn_patterns(args.readers, args.names.region)},
            "StringEquals": {"kms:ViaService": f"s3.{args.names.region}.amazonaws.com"},
        },
    }


def _publisher(service: str, names: Names) -> list[Statement]:
    """A service that writes to our encrypted topics and queues, on behalf of this account."""
    return [
        {
            "Sid": service.capitalize(),
            "Principal": {"Service": f"{service}.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
            "Condition": {"StringEquals": {"aws:SourceAccount": names.account_id}},
        }
    ]


def _events(names: Names) -> list[Statement]:
    """EventBridge, which does not tell KMS for whom it writes: bounded by what it writes to.

    `aws:SourceAccount`, `aws:SourceArn` and `aws:SourceOrgID` are not supported there, and with one
    of them no message arrives (Amazon SNS developer guide, key management, event sources and
    encrypted topics). SNS and SQS give the topic and the queue as encryption context.
    """
    return [
        {
            "Sid": f"Events{what.capitalize()}s",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
            "Condition": {
                "ArnLike": {f"kms:EncryptionContext:{key}": names.arn(service, names.of("*"))}
            },
        }
        for what, service, key in (
            ("topic", "sns", "aws:sns:topicArn"),
            ("queue", "sqs", "aws:sqs:arn"),
        )
    ]


def _cloudtrail(names: Names) -> list[Statement]:
    """The trail of this environment, by three statements as it asks in three ways.

    Describing and decrypting have no encryption context to compare; without both a trail with
    our key in a bucket with a bucket key is not created (AWS CloudTrail user guide, configure AWS
    KMS key policies; it advises `aws:SourceArn`, and against `aws:SourceAccount`).
    """
    trail = names.arn("cloudtrail", f"trail/{names.of('trail')}")
    source = {"StringEquals": {"aws:SourceArn": trail}}
    context = {"StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": trail}}
    return [
        {
            "Sid": f"Cloudtrail{what}",
            "Principal": {"Service": "cloudtrail.amazonaws.com"},
            "Action": action,
            "Condition": condition,
        }
        for what, action, condition in (
            ("Encrypts", "kms:GenerateDataKey*", {**source, **context}),
            ("Decrypts", "kms:Decrypt", source),
            ("Describes", "kms:DescribeKey", source),
        )
    ]


def _ebs(names: Names) -> list[Statement]:
    """Whoever may use EC2 in this account, and only through it: Auto Scaling starts the nodes.

    The same terms as those of the key `aws/ebs`; naming Auto Scaling's service-linked role would
    fail in an account that has not used it yet.
    """
    actions = ("CreateGrant", "Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey*", "ReEncrypt*")
    return [
        {
            "Sid": "Ebs",
            "Principal": {"AWS": "*"},
            "Action": [f"kms:{action}" for action in actions],
            "Condition": {
                "StringEquals": {
                    "kms:CallerAccount": names.account_id,
                    "kms:ViaService": f"ec2.{names.region}.amazonaws.com",
                }
            },
        }
    ]


def _fsx(names: Names) -> list[Statement]:
    """FSx reading and writing encrypted objects of a linked bucket, by its service-linked roles.

    Each file system has such a role of its own, which does not exist before it (FSx for Lustre user
    guide, working with server-side encrypted Amazon S3 buckets).
    """
    actions = ("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey*", "ReEncrypt*")
    return [
        {
            "Sid": "Fsx",
            "Principal": {"AWS": "*"},
            "Action": [f"kms:{action}" for action in actions],
            "Condition": {
                "ArnLike": {"aws:PrincipalArn": names.fsx_role_arn()},
                "StringEquals": {
                    "kms:CallerAccount": names.account_id,
                    "kms:ViaService": f"s3.{names.region}.amazonaws.com",
                },
            },
        }
    ]


def _logs(names: Names) -> list[Statement]:
    """Log groups of this account (CloudWatch Logs user guide, encrypt log data)."""
    return [
        {
            "Sid": "Logs",
            "Principal": {"Service": f"logs.{names.region}.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*"],
            "Condition": {
                "ArnLike": {"kms:EncryptionContext:aws:logs:arn": names.arn("logs", "*")}
            },
        }
    ]


SERVICES: Mapping[str, Callable[[Names], list[Statement]]] = {
    "budgets": lambda names: _publisher("budgets", names),
    "cloudtrail": _cloudtrail,
    "cloudwatch": lambda names: _publisher("cloudwatch", names),
    "config": lambda names: _publisher("config", names),
    "costalerts": lambda names: _publisher("costalerts", names),
    "ebs": _ebs,
    "events": _events,
    "fsx": _fsx,
    "logs": _logs,
    "s3": lambda names: _publisher("s3", names),
}
"""Statements by service: what each may do with a key, scoped to this account's resources."""
