"""Policies that stand at resources, as moto and our own store hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from policies.iam.document import Policy, compiled
from policies.iam.grants import grant
from stacks.local.aws.iam import ec2


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a resource says of who may."""

    policies: Sequence[Policy] = ()
    decides: bool = False
    """Whether nothing is allowed without it: roles and keys."""

    trust: bool = False
    tags: Mapping[str, str] | None = None
    """Default: nobody knows."""

    known: Mapping[str, Any] = field(default_factory=dict)
    """Condition keys that the resource itself tells."""


NOTHING = Held()


def held(arn: str, account: str) -> Held:
    """The policy of a resource; NOTHING where it has none."""
    parts = arn.split(":", 5)
    if len(parts) < 6:
        return NOTHING
    find = FINDS.get(parts[2])
    return find(arn, parts[3], account) if find else NOTHING


def _policy(text: Any, name: str) -> list[Policy]:
    return [compiled(text, name)] if text else []


def _backend(service: str, account: str, region: str) -> Any:
    from moto.backends import get_backend

    return get_backend(service)[account][region]


def _bucket(arn: str, region: str, account: str) -> Held:
    name = arn.rpartition(":::")[2].partition("/")[0]
    bucket = _backend("s3", account, "aws").buckets.get(name)
    if bucket is None:
        return NOTHING
    text = bucket.policy
    text = text.decode() if isinstance(text, bytes) else text
    return Held(policies=_policy(text, f"policy of {name}"))


def _key(arn: str, region: str, account: str) -> Held:
    key = _backend("kms", account, region).keys.get(arn.rpartition("/")[2])
    if key is None:
        return NOTHING
    grants = [
        grant(item.id, item.grantee_principal, item.operations, item.constraints)
        for item in list(key.grants.values())
    ]
    known = {
        "kms:ResourceAliases": sorted(key.aliases),
        "kms:KeySpec": key.key_spec,
        "kms:KeyUsage": key.key_usage,
        "kms:KeyOrigin": key.origin,
        "kms:MultiRegion": key.multi_region,
    }
    return Held(
        policies=[*_policy(key.policy, f"policy of {arn}"), *grants], decides=True, known=known
    )


def _topic(arn: str, region: str, account: str) -> Held:
    topic = _backend("sns", account, region).topics.get(arn)
    return NOTHING if topic is None else Held(policies=_policy(topic.policy, f"policy of {arn}"))


def _queue(arn: str, region: str, account: str) -> Held:
    queue = _backend("sqs", account, region).queues.get(arn.rpartition(":")[2])
    return NOTHING if queue is None else Held(policies=_policy(queue.policy, f"policy of {arn}"))


def _function(arn: str, region: str, account: str) -> Held:
    name = arn.split(":")[6] if arn.count(":") >= 6 else ""
    for function in _backend("lambda", account, region).list_functions():
        if function.function_name == name:
            statements = function.policy.statements
            document = {"Version": "2012-10-17", "Statement": statements}
            return Held(policies=[compiled(document, f"policy of {name}")] if statements else [])
    return NOTHING


def _repository(arn: str, region: str, account: str) -> Held:
    found = _backend("ecr", account, region).repositories.get(arn.partition("repository/")[2])
    return NOTHING if found is None else Held(policies=_policy(found.policy, f"policy of {arn}"))


def _secret(arn: str, region: str, account: str) -> Held:
    secrets = _backend("secretsmanager", account, region).secrets
    found = next((s for s in list(secrets.values()) if s.arn == arn), None)
    return NOTHING if found is None else Held(policies=_policy(found.policy, f"policy of {arn}"))


def _role(arn: str, region: str, account: str) -> Held:
    roles = list(_backend("iam", account, arn.split(":")[1]).roles.values())
    role = next((role for role in roles if role.arn == arn), None)
    if role is None:
        return NOTHING
    listed = role.tags.values() if isinstance(role.tags, dict) else role.tags or ()
    return Held(
        policies=_policy(role.assume_role_policy_document, f"trust policy of {arn}"),
        decides=True,
        trust=True,
        tags={tag["Key"]: tag["Value"] for tag in listed},
        known={
            "iam:PermissionsBoundary": role.permissions_boundary_arn or (),
        },
    )


def _of_ec2(arn: str, region: str, account: str) -> Held:
    return Held(tags=ec2.tags_of(arn, account, region))


FINDS: Mapping[str, Callable[[str, str, str], Held]] = {
    "ec2": _of_ec2,
    "ecr": _repository,
    "iam": _role,
    "kms": _key,
    "lambda": _function,
    "s3": _bucket,
    "secretsmanager": _secret,
    "sns": _topic,
    "sqs": _queue,
}
