"""Credentials of pods: EKS's Auth API, which the Pod Identity Agent of a node asks.

A token of a service account for the audience below, and the association of that account with a
role, are worth a session of the role with tags that say which pod it is. Sources: EKS User Guide,
"Learn how EKS Pod Identity grants pods access to AWS services", "Grant Pods access to AWS
resources based on tags"; Amazon EKS Auth API, AssumeRoleForPodIdentity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from stacks.local.aws import role_sessions
from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.identity_tokens import Claims, KeysOf, verified
from stacks.local.aws.protocols import error_of
from stacks.local.aws.recorded.eks import POD_IDENTITY
from stacks.local.aws.recorded.recorder import Answer, Store
from stacks.local.aws.signatures import Refused

OPERATION = ("eks-auth", "AssumeRoleForPodIdentity")
AUDIENCE = "pods.eks.amazonaws.com"
SESSION_SECONDS = 6 * 3600
"""How long the credentials of a pod are good for."""

ERRORS: Mapping[str, str] = {"ExpiredTokenException": "ExpiredTokenException"}
"""STS's refusal of a token -> EKS's. Default: InvalidTokenException."""


def operations(region: str, keys_of: KeysOf) -> Mapping[tuple[str, str], Answer]:
    """The API by service and operation; `keys_of`: whom it believes about tokens."""

    def assume(store: Store, request: Mapping[str, Any]) -> Mapping[str, Any]:
        cluster = _cluster(str(request["clusterName"]), region)
        claims = _verified(str(request["token"]), cluster, keys_of)
        association = _association(store, cluster.name, claims)
        return _assumed(cluster, association, claims, region)

    return {OPERATION: assume}


def tags_of(cluster: Any, claims: Claims) -> dict[str, str]:
    """The tags of a pod's session; those of the pod are there where its token is bound to it."""
    held = claims["kubernetes.io"]
    pod = held.get("pod") or {}
    found = {
        "eks-cluster-arn": cluster.arn,
        "eks-cluster-name": cluster.name,
        "kubernetes-namespace": held["namespace"],
        "kubernetes-service-account": held["serviceaccount"]["name"],
        "kubernetes-pod-name": pod.get("name"),
        "kubernetes-pod-uid": pod.get("uid"),
    }
    return {name: str(value) for name, value in found.items() if value}


def _cluster(name: str, region: str) -> Any:
    from moto.backends import get_backend

    found = get_backend("eks")[ACCOUNT_ID][region].clusters.get(name)
    if found is None:
        raise error_of("ResourceNotFoundException", f"No cluster found for name: {name}.")
    return found


def _verified(token: str, cluster: Any, keys_of: KeysOf) -> Claims:
    issuer = cluster.identity["oidc"]["issuer"]
    try:
        return verified(token, lambda said: keys_of(said) if said == issuer else None, (AUDIENCE,))
    except Refused as error:
        code = ERRORS.get(error.code, "InvalidTokenException")
        raise error_of(code, error.message) from None


def association_of(
    store: Store, cluster: str, namespace: str | None, account: str | None
) -> Mapping[str, Any] | None:
    """What links a service account of a cluster with a role; None: nothing does."""
    wanted = (cluster, namespace, account)
    for (of, _), thing in list(store.of(POD_IDENTITY).items()):
        said = thing.members
        if (of, said.get("namespace"), said.get("serviceAccount")) == wanted:
            return said
    return None


def _association(store: Store, cluster: str, claims: Claims) -> Mapping[str, Any]:
    held = claims.get("kubernetes.io") or {}
    account = (held.get("namespace"), (held.get("serviceaccount") or {}).get("name"))
    found = association_of(store, cluster, *account)
    if found is None:
        told = "/".join(map(str, account))
        raise error_of("ResourceNotFoundException", f"No association of {told} with a role found.")
    return found


def _assumed(
    cluster: Any, association: Mapping[str, Any], claims: Claims, region: str
) -> Mapping[str, Any]:
    role = str(association["roleArn"])
    if association.get("targetRoleArn"):
        told = "not emulated here: an association that goes on to a target role"
        raise error_of("InvalidRequestException", told)
    tags = {} if association.get("disableSessionTags") else tags_of(cluster, claims)
    name = f"eks-{cluster.name}-{tags.get('kubernetes-pod-name', 'pod')}"[:27] + f"-{uuid4()}"
    try:
        role_sessions.check(role, "pods.eks", region, cluster.arn, tags)
    except role_sessions.CannotAssume:
        told = "Unauthorized Exception! EKS does not have permissions to assume the associated role"
        raise error_of("AccessDeniedException", f"{told}.") from None
    session = role_sessions.make(role, name, region, SESSION_SECONDS, tags=tags)
    held = claims["kubernetes.io"]
    return {
        "subject": {
            "namespace": held["namespace"],
            "serviceAccount": held["serviceaccount"]["name"],
        },
        "audience": AUDIENCE,
        "podIdentityAssociation": {
            name: association[name] for name in ("associationArn", "associationId")
        },
        "assumedRoleUser": {"arn": session.arn, "assumeRoleId": session.user_id},
        "credentials": {
            "accessKeyId": session.access_key_id,
            "secretAccessKey": session.secret_access_key,
            "sessionToken": session.session_token,
            "expiration": session.expiration,
        },
    }
