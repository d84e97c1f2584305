"""What the API server of an EKS cluster asks: whose a token is, and whether that is allowed.

An access entry lets an IAM principal in, or a line of the ConfigMap aws-auth. Groups are for
Kubernetes' own roles; the access policies that are associated with an entry are decided here (EKS
User Guide, "Grant IAM users access to Kubernetes with EKS access entries").
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stacks.local.aws.eks import access_policies, aws_auth, tokens
from stacks.local.aws.eks.entries import API, CONFIG_MAP, mode_of
from stacks.local.aws.iam.authorizer import Authorizer
from stacks.local.aws.iam.callers import Caller, caller
from stacks.local.aws.recorded.eks import ASSOCIATION, ENTRY
from stacks.local.aws.recorded.recorder import Store
from stacks.local.aws.signatures import Refused, SecretOf

CANONICAL = "canonicalArn"
"""Key of a user's `extra` with the principal of the access entry. Who impersonates somebody has
none (Kubernetes writes such keys in small letters), and so no access policy, as on EKS."""

CREATOR = {"username": "kubernetes-admin", "groups": ["system:masters"]}
"""Who made a cluster that has no access entries (EKS User Guide, aws-auth ConfigMap)."""

log = logging.getLogger(__name__)

User = Mapping[str, Any]
"""As a TokenReview says it: `username`, `uid`, `groups`, `extra`."""


@dataclass(frozen=True, kw_only=True)
class ClusterAccess:
    """Decides for one cluster, from what the cloud holds at that moment."""

    cluster: str
    endpoint: str
    """URL of this cloud's own AWS API."""

    store: Store
    authorizer: Authorizer
    secret_of: SecretOf
    config_map: Callable[[str, str], Mapping[str, str]]
    """Namespace and name of a ConfigMap of the cluster -> its data; empty: there is none."""

    now: Callable[[], float] = time.time

    def user(self, token: str) -> User | None:
        """Whose a token is; None where EKS answers 401, and the log says why."""
        try:
            key = tokens.signer(token, self.cluster, self.endpoint, self.secret_of, self.now)
            authorizer = self.authorizer
            who = caller(key, authorizer.own_key, authorizer.place, authorizer.owners)
            return self._user(who)
        except Refused as error:
            log.warning("cluster %s lets nobody in with this token: %s", self.cluster, error)
            return None

    def allows(self, spec: Mapping[str, Any]) -> bool:
        """Whether an access policy allows what a SubjectAccessReview is about."""
        named = (spec.get("extra") or {}).get(CANONICAL) or [""]
        with self.store.lock:
            if (self.cluster, named[0]) not in self.store.of(ENTRY):
                return False
            associated = [
                thing.members
                for (cluster, principal, _), thing in self.store.of(ASSOCIATION).items()
                if (cluster, principal) == (self.cluster, named[0])
            ]
        asked = access_policies.Asked.of(spec)
        return any(
            access_policies.allows(
                one["policyArn"].rpartition("/")[2], one.get("accessScope") or {}, asked
            )
            for one in associated
        )

    def _user(self, who: Caller) -> User:
        principal = who.principal.entity or who.principal.arn
        unique_id, _, session = who.userid.partition(":")
        with self.store.lock:
            entry = self.store.of(ENTRY).get((self.cluster, principal))
        if entry is not None:
            held = entry.members
            if held["principalId"] not in ("", unique_id):
                raise _unknown(f"{principal} was made anew since its access entry was")
            shown = {
                "username": _name(str(held["username"]), session, self.authorizer),
                "groups": held["kubernetesGroups"],
            }
        elif (mapped := self._mapped(principal)) is not None:
            username = _name(mapped.username, session, self.authorizer)
            shown = {"username": username, "groups": list(mapped.groups)}
        elif principal == self._creator():
            shown = CREATOR
        else:
            raise _unknown(f"no access entry of {principal}, nor a line of aws-auth that counts")
        extra = {
            "arn": [who.principal.arn],
            CANONICAL: [principal],
            "principalId": [unique_id],
            "sessionName": [session],
        }
        uid = f"aws-iam-authenticator:{who.principal.account}:{unique_id}"
        return {**shown, "uid": uid, "extra": extra}

    def _mapped(self, principal: str) -> aws_auth.Mapped | None:
        """Who the ConfigMap says that this is, where the cluster goes by it."""
        held = self._held()
        if held is None or mode_of(held) == API:
            return None
        return aws_auth.find(self.config_map(aws_auth.NAMESPACE, aws_auth.NAME), principal)

    def _creator(self) -> str:
        """Who made the cluster, where it knows no access entries and lets its creator in."""
        held = self._held()
        return str(held.creator) if held is not None and mode_of(held) == CONFIG_MAP else ""

    def _held(self) -> Any:
        from moto.backends import get_backend

        place = self.authorizer.place
        return get_backend("eks")[place.account][place.region].clusters.get(self.cluster)


def _name(template: str, session: str, authorizer: Authorizer) -> str:
    """The user name of a session (EKS User Guide, "Create access entries")."""
    name = template.replace("{{SessionNameRaw}}", session)
    name = name.replace("{{SessionName}}", session.replace("@", "-"))
    if "{{EC2PrivateDNSName}}" in name:
        name = name.replace("{{EC2PrivateDNSName}}", _dns_name(session, authorizer))
    return name


def _dns_name(instance: str, authorizer: Authorizer) -> str:
    """The private DNS name of an instance, whose session has its id."""
    from moto.backends import get_backend
    from moto.ec2.exceptions import InvalidInstanceIdError

    place = authorizer.place
    try:
        found = get_backend("ec2")[place.account][place.region].get_instance(instance)
    except InvalidInstanceIdError:
        raise _unknown(f"no EC2 instance {instance!r} whose session this could be") from None
    return str(found.private_dns_name)


def _unknown(reason: str) -> Refused:
    return Refused("Unauthorized", reason, status=401)
