"""Allows or denies what was asked, in AWS's words, and counts what it cannot decide."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from policies.data import UNKNOWN
from policies.iam.decision import Decision, Policies, decide
from policies.iam.document import MalformedPolicy, Policy, compiled
from policies.iam.request import Request
from stacks.local.aws import bearer_tokens
from stacks.local.aws.iam import (
    context,
    ec2,
    implied,
    operations,
    resources,
    special,
    web_identities,
)
from stacks.local.aws.iam.asked import Asked, Check, asked
from stacks.local.aws.iam.callers import Caller, caller, caller_as
from stacks.local.aws.iam.networks import Way, way
from stacks.local.aws.iam.resource_policies import NOTHING, Held, held
from stacks.local.aws.iam.resources import Place
from stacks.local.aws.iam.trace import Trace
from stacks.local.aws.identity_tokens import KeysOf
from stacks.local.aws.signatures import Refused
from stacks.local.runtime import files

ARN_PARTS = 6
ASSUMES = ("sts:AssumeRole", web_identities.ACTION, "sts:TagSession", "sts:SetSourceIdentity")

OF_SERVICES: Mapping[str, str] = {"budgets": "budgets", "states": "states"}
"""Prefix of actions -> first part of the service principal. Default: the same word."""

BY_HAND = ("eks", "ec2", "autoscaling", "ecs", "elasticmapreduce")
"""Services that pass a role on to another one, which is not looked up: not decided."""

WRITE_EVERY = 100
"""Allowed calls after which the count is written down again."""

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Tally:
    """How often what was decided, written down for `plinth status`."""

    path: Path | None = None
    """Default: nobody reads it."""

    allowed: int = 0
    denied: Counter[str] = field(default_factory=Counter)
    undecided: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self) -> None:
        """Keep the file up to date; called where something new was denied or not decided."""
        if self.path is None:
            return
        content = {
            "allowed": self.allowed,
            "denied": dict(self.denied.most_common()),
            "not_decided": dict(self.undecided.most_common()),
        }
        files.write_json(self.path, content)


@dataclass(frozen=True, kw_only=True)
class Authorizer:
    """Decides on signed requests."""

    place: Place
    own_key: str = ""
    """Access key of the home, whose holder is a deployer that IAM allows everything."""

    owners: dict[str, str] = field(default_factory=dict)
    """Temporary key of GetSessionToken or GetFederationToken -> the key that asked for it."""

    group_policy: Callable[[str], str | None] = field(default=lambda _: None)
    """ARN of a model package or its group -> the group's resource policy."""

    tags_of: context.TagsOf = field(default=lambda _: None)
    tally: Tally = field(default_factory=Tally)
    online_key: Callable[[str], str | None] = field(default=lambda _: None)
    """Name or ARN of a feature group -> the KMS key of its online store."""

    keys_of: KeysOf = field(default=lambda _: None)
    """URL of an issuer of tokens -> its public keys."""

    trace: Trace | None = None
    """Where every decision is written down. Default: nowhere."""

    def check(
        self, environ: Mapping[str, Any], body: bytes, signed_for: str, access_key_id: str
    ) -> None:
        """Refused where IAM denies."""
        is_own = access_key_id == self.own_key
        if is_own and not _concerns_the_owner(environ, signed_for, body):
            return
        who = caller(access_key_id, self.own_key, self.place, self.owners)
        what = asked(environ, body, signed_for)
        if what is None:
            self._count_undecided(f"{signed_for}: {environ['REQUEST_METHOD']} of no operation")
            return
        claimed: Mapping[str, Any] = {}
        if what.operation == web_identities.OPERATION:
            who, what, claimed = web_identities.federated(what, self.place, self.keys_of)
        through = (
            way(who.vpc, what.signed_for, what.service, self.place) if who.vpc else Way(vpc="")
        )
        general = {
            **context.of_principal(who.principal, who.tags, who.userid),
            **context.of_network(environ, self.place),
            **through.known(),
            **claimed,
        }
        for check in self._checks(what):
            self._decide(check, what, who, general, through.policy)

    def refuses(self, access_key_id: str, check: Check) -> str:
        """AWS's text where IAM denies something that a service does as a role; empty: it may."""
        return self._refuses(caller(access_key_id, self.own_key, self.place, self.owners), check)

    def refuses_role(self, role_arn: str, session_name: str, check: Check) -> str:
        """The same of a role that a service has not taken on yet."""
        return self._refuses(caller_as(role_arn, session_name), check)

    def _refuses(self, who: Caller, check: Check) -> str:
        prefix, _, operation = check.action.partition(":")
        what = Asked(
            signed_for=prefix,
            service=prefix,
            prefix=prefix,
            operation=operation,
            protocol="json",
            parameters={},
        )
        general = {
            **context.of_principal(who.principal, who.tags, who.userid),
            **context.of_network({}, self.place),
        }
        try:
            self._decide(check, what, who, general, None)
        except Refused as error:
            return error.message
        return ""

    def key(self, name: str) -> str | None:
        """The ARN of a KMS key by id, ARN or alias."""
        return special.key_arn(name, self.place)

    def _checks(self, what: Asked) -> Iterator[Check]:
        """Everything that an operation needs."""
        if what.by_token:
            yield Check(action=f"sagemaker:{bearer_tokens.ACTION}", resource="*")
        for action in operations.actions(what):
            for resource in resources.resources(action, what, self.place, special.find):
                yield Check(action=action, resource=resource)
        if what.prefix == "sagemaker" and what.operation.startswith("Create"):
            yield from self._tagging(what)
        if what.prefix == "sts":
            yield from _of_sessions(what)
        if what.operation in ("CopyObject", "UploadPartCopy") and what.prefix == "s3":
            source = str(what.parameters.get("CopySource", "")).lstrip("/").partition("?")[0]
            yield Check(action="s3:GetObject", resource=f"arn:aws:s3:::{source}")
        yield from ec2.needed(what, self.place)
        yield from implied.needed(what, self.place, self.online_key)
        given = [role for _, role in resources.passed_roles(what)]
        for role in [*given, *special.named_roles(what, self.place)]:
            own = OF_SERVICES.get(what.prefix, what.prefix)
            service = UNKNOWN if what.prefix in BY_HAND else f"{own}.amazonaws.com"
            yield Check(
                action="iam:PassRole", resource=role, known={"iam:PassedToService": service}
            )

    def _tagging(self, what: Asked) -> Iterator[Check]:
        """Making something with tags needs the right to tag it (SageMaker developer guide,
        "Provide permissions for tagging SageMaker AI resources")."""
        if not what.parameters.get("Tags"):
            return
        for action in operations.actions(what):
            for resource in resources.resources(action, what, self.place, special.find):
                yield Check(action="sagemaker:AddTags", resource=resource)

    def _decide(
        self,
        check: Check,
        what: Asked,
        who: Caller,
        general: Mapping[str, Any],
        endpoint: Policy | None,
    ) -> None:
        found = self._held(check)
        account = _account(check.resource) or self.place.account
        request = Request(
            principal=who.principal,
            action=check.action,
            resource=check.resource,
            account=account,
            context=context.context(
                check.action,
                what,
                check.resource,
                lambda arn: self.tags_of(arn) if found.tags is None else found.tags,
                {**general, "aws:ResourceAccount": account, **found.known, **check.known},
                tags=check.tags,
            ),
        )
        try:
            on_the_way = endpoint if check.action.startswith(f"{what.prefix}:") else None
            policies = _policies(who, found, on_the_way)
            decision = decide(request, policies)
        except MalformedPolicy as error:
            self._count_undecided(f"{check.action}: {error}")
            return
        if self.trace is not None:
            self.trace.write(what.operation, request, policies, decision)
        self._settle(decision, request, what)

    def _held(self, check: Check) -> Held:
        parts = check.resource.split(":") if isinstance(check.resource, str) else []
        if not isinstance(check.resource, str) or len(parts) < ARN_PARTS:
            return NOTHING
        found = held(check.resource, self.place.account)
        of_another = check.action.partition(":")[0] not in ("sts", parts[2])
        if of_another or (found.trust and check.action not in ASSUMES):
            return Held(tags=found.tags, known=found.known)  # no policy of it speaks of this
        if (text := self.group_policy(check.resource)) is not None:
            return replace(found, policies=[*found.policies, compiled(text, "group policy")])
        return found

    def _settle(self, decision: Decision, request: Request, what: Asked) -> None:
        if decision.undecided:
            on = request.resource if isinstance(request.resource, str) else "an unknown resource"
            missing = ", ".join(sorted(decision.undecided))
            self._count_undecided(f"{request.action} on {on} by {_name(request)}: {missing}")
            return
        if decision.allowed:
            with self.tally.lock:
                self.tally.allowed += 1
                if self.tally.allowed % WRITE_EVERY == 0:
                    self.tally.write()
            return
        message = decision.message(request)
        with self.tally.lock:
            self.tally.denied[message] += 1
            self.tally.write()
        raise denial(what, message)

    def _count_undecided(self, text: str) -> None:
        with self.tally.lock:
            self.tally.undecided[text] += 1
            if self.tally.undecided[text] == 1:
                log.warning("not decided by IAM: %s", text)
            self.tally.write()


def _of_sessions(what: Asked) -> Iterator[Check]:
    """Tags and the source identity of a session need rights of their own (IAM user guide, "Pass
    session tags in AWS STS", "Monitor and control actions taken with assumed roles")."""
    for member, action in (("Tags", "TagSession"), ("SourceIdentity", "SetSourceIdentity")):
        if what.parameters.get(member) and "RoleArn" in what.parameters:
            yield Check(action=f"sts:{action}", resource=what.parameters["RoleArn"])


def _policies(who: Caller, found: Held, endpoint: Policy | None) -> Policies:
    return Policies(
        identity=who.identity,
        boundary=who.boundary,
        session=who.session,
        resource=found.policies,
        trust=found.trust,
        resource_decides=found.decides,
        endpoint=endpoint,
    )


def _concerns_the_owner(environ: Mapping[str, Any], signed_for: str, body: bytes) -> bool:
    """Whether a request of the home's own key meets policies of resources: buckets and trust."""
    return signed_for == "s3" or (signed_for == "sts" and b"AssumeRole" in body)


def _account(resource: Any) -> str:
    return resource.split(":")[4] if isinstance(resource, str) and resource.count(":") >= 5 else ""


def _name(request: Request) -> str:
    return request.principal.entity.rpartition("/")[2] or request.principal.arn


def denial(what: Asked, message: str) -> Refused:
    """The code and the HTTP status with which a service denies (its protocol's)."""
    if what.operation == web_identities.OPERATION:
        return Refused("AccessDenied", web_identities.DENIED, protocol=what.protocol)
    if what.service == "sns":
        return Refused("AuthorizationError", message, protocol=what.protocol)
    if what.protocol == "ec2":
        text = f"You are not authorized to perform this operation. {message}"
        return Refused("UnauthorizedOperation", text, protocol="ec2")
    if what.protocol in ("query", "rest-xml"):
        return Refused("AccessDenied", message, protocol=what.protocol)
    status = 400 if what.protocol == "json" else 403
    return Refused("AccessDeniedException", message, status=status, protocol=what.protocol)
