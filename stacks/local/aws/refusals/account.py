"""The account as refusals look at it: keys, buckets, principals, monitors of cost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import unquote

from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.iam.asked import Check
from stacks.local.aws.iam.authorizer import Authorizer
from stacks.local.aws.iam.resources import Place
from stacks.local.aws.policy_documents import listed
from stacks.local.aws.recorded.eks import ENTRY
from stacks.local.aws.recorded.recorder import Store

ONE_DIGIT = re.compile(r"(\d)\1{11}")
"""Account ids of examples: nobody's, or a stranger's."""

IAM_ARN = re.compile(r"arn:aws[\w-]*:iam::(?P<account>\d{12}):(?P<kind>root|role|user)(/.*)?")


@dataclass(frozen=True, kw_only=True)
class Account:
    """One emulated account: a member of an organisation, as most are."""

    region: str
    recorded: Store = field(default_factory=Store)
    today: date = field(default_factory=lambda: datetime.now(UTC).date())
    authorizer: Authorizer | None = None
    """Decides what roles may do. Default: one that decides alike and counts nothing."""

    account_id: str = ACCOUNT_ID

    is_new: bool = False
    """Whether it has the quotas of a new account, and they are enforced."""

    endpoint_config: Callable[[str], Mapping[str, Any]] = field(default=lambda _: {})
    """Name of an endpoint configuration -> its members; empty: there is none."""

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{ACCOUNT_ID}:{resource}"

    def source(self, arn: str) -> dict[str, str]:
        """What a service says of the resource for which it calls another one."""
        return {"aws:SourceAccount": ACCOUNT_ID, "aws:SourceArn": arn}

    def key_policy(self, key: str) -> Mapping[str, Any] | None:
        """Policy of a key by id, ARN or alias; None: it is none of this account's customer keys."""
        found = self.key(key)
        if found is None:
            return None
        policy: Mapping[str, Any] = json.loads(found.policy)
        return policy

    def key(self, name: str) -> Any:
        """moto's key by id, ARN or alias; None: it is none of this account's customer keys."""
        kms = backend("kms", self.region)
        if ":alias/" in name or name.startswith("alias/"):
            name = kms.get_key_id_from_alias(name[name.index("alias/") :]) or ""
        return kms.keys.get(kms.get_key_id(name))

    def has_bucket_key(self, bucket: str) -> bool:
        """Whether objects of a bucket are encrypted by keys of its own, made with one of KMS."""
        found = backend("s3", "aws").buckets.get(bucket)
        rule = ((found.encryption if found else None) or {}).get("Rule", {})
        return any(one.get("BucketKeyEnabled") == "true" for one in listed(rule))

    def key_of(self, arn: str) -> str:
        """The key that a topic or queue is encrypted with; empty: none, or there is no such one."""
        service = arn.split(":")[2]
        if service == "sns":
            found = backend(service, self.region).topics.get(arn)
        elif service == "sqs":
            found = backend(service, self.region).queues.get(arn.rpartition(":")[2])
        else:
            return ""
        return str(found.kms_master_key_id or "") if found else ""

    def exists(self, principal: str) -> bool:
        """Whether a policy may name this principal.

        Of other accounts nothing is known here: they exist, but for ids that stand in examples.
        """
        if re.fullmatch(r"\d{12}", principal):
            return not ONE_DIGIT.fullmatch(principal)
        match = IAM_ARN.fullmatch(principal)
        if match is None:
            return True
        if match["account"] != ACCOUNT_ID:
            return not ONE_DIGIT.fullmatch(match["account"])
        iam = backend("iam", "aws")
        known = {"role": iam.roles, "user": iam.users}.get(match["kind"])
        return known is None or any(one.arn == principal for one in list(known.values()))

    def is_own_role(self, arn: str) -> bool:
        """Whether an ARN is one of a role of this account, which may not be there."""
        match = IAM_ARN.fullmatch(arn)
        return match is not None and match["account"] == ACCOUNT_ID and match["kind"] == "role"

    def longest_session(self, role: str) -> int | None:
        """Seconds that a session of a role may last; None: there is no such role."""
        found = self._role(role)
        return None if found is None else int(found.max_session_duration or 3600)

    def trust_of(self, role: str) -> Mapping[str, Any] | None:
        """Who may take on a role, by its ARN; None: there is no such role."""
        found = self._role(role)
        if found is None:
            return None
        trust: Mapping[str, Any] = json.loads(unquote(found.assume_role_policy_document))
        return trust

    def first_denied(self, role: str, session: str, checks: Iterable[Check]) -> Check | None:
        """The first of these that IAM denies to whoever takes on a role; None: it may all."""
        place = Place(partition="aws", region=self.region, account=ACCOUNT_ID)
        decides = self.authorizer or Authorizer(place=place)
        return next((one for one in checks if decides.refuses_role(role, session, one)), None)

    def key_arn(self, name: str) -> str | None:
        """The ARN of a key of this account by id, ARN or alias."""
        place = Place(partition="aws", region=self.region, account=ACCOUNT_ID)
        return Authorizer(place=place).key(name) if name else None

    def role_of_function(self, name: str) -> str:
        """The role of a Lambda function by name or ARN; empty: there is no such function."""
        functions = backend("lambda", self.region).list_functions()
        short = name.rpartition(":function:")[2].partition(":")[0]
        found = next((one for one in functions if one.function_name == short), None)
        return str(found.role) if found else ""

    def _role(self, arn: str) -> Any:
        roles = list(backend("iam", "aws").roles.values())
        return next((role for role in roles if role.arn == arn), None)

    def authentication_mode(self, cluster: str) -> str:
        """Where an EKS cluster looks for whom to let in; empty: there is no such cluster."""
        held = backend("eks", self.region).clusters.get(cluster)
        return str(held.access_config["authenticationMode"]) if held is not None else ""

    def entry(self, cluster: str, principal: str) -> Mapping[str, Any] | None:
        """The access entry of a principal."""
        held = self.recorded.of(ENTRY).get((cluster, principal))
        return held.members if held is not None else None

    def monitors(self) -> list[Mapping[str, Any]]:
        """The monitors of Cost Anomaly Detection."""
        found = self.recorded.things.get(("ce", "anomaly monitor"), {})
        return [thing.members for thing in list(found.values())]


def backend(service: str, region: str) -> Any:
    """What moto keeps of a service, in this very process."""
    from moto.backends import get_backend

    return get_backend(service)[ACCOUNT_ID][region]
