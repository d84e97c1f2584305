"""Tokens of `aws eks get-token` that are signed as they should be, and say what they should not."""

import base64
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from stacks.local.aws.eks import access_policies, tokens
from stacks.local.aws.eks.access_policies import Asked
from stacks.local.aws.signatures import Refused, Secret
from stacks.local.kubernetes import login

CLUSTER = "mine"
ENDPOINT = "http://127.0.0.1:5000"
KEY, SECRET, SESSION = "ASIAEXAMPLE", "secret", "session"
ASKS = "Action=GetCallerIdentity&Version=2011-06-15"


def signed(
    place: str = ENDPOINT,
    asks: str = ASKS,
    *,
    header: str = login.CLUSTER_HEADER,
    service: str = "sts",
    expires: int = 60,
    session: str = SESSION,
) -> str:
    """A token whose signature is right, whatever it says."""
    request = AWSRequest("GET", f"{place}/?{asks}", headers={header: CLUSTER})
    keys = Credentials(KEY, SECRET, session)
    SigV4QueryAuth(keys, service, "us-east-1", expires=expires).add_auth(request)
    raw = base64.urlsafe_b64encode(request.url.encode()).decode()
    return login.PREFIX + raw.rstrip("=")


def signer(token: str, *, now: Callable[[], float] = time.time, **secret: Any) -> str:
    held = Secret(secret_access_key=SECRET, session_token=SESSION, **secret)
    known = {KEY: held}
    return tokens.signer(token, CLUSTER, ENDPOINT, known.get, now)


@pytest.mark.parametrize(
    "place",
    [ENDPOINT, "https://sts.amazonaws.com", "https://sts.us-east-1.amazonaws.com",
     "https://sts.ap-southeast-2.amazonaws.com"],
)  # fmt: skip
def test_a_token_is_its_signers(place: str) -> None:
    assert signer(signed(place)) == KEY


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: signed(asks="Action=GetSessionToken&Version=2011-06-15"), "unexpected action"),
        (lambda: signed(asks="Version=2011-06-15"), "unexpected action"),
        (lambda: signed(asks=f"{ASKS}&action=GetCallerIdentity"), "multiple values"),
        (lambda: signed(asks=f"{ASKS}&RoleArn=x"), "'rolearn' is not expected"),
        (lambda: signed("https://evil.example"), "unexpected hostname"),
        (lambda: signed("https://sts.amazonaws.com.evil.example"), "unexpected hostname"),
        (lambda: signed("https://sts.evil.amazonaws.com"), "unexpected hostname"),
        (lambda: signed("http://sts.amazonaws.com"), "unexpected hostname"),
        (lambda: signed("http://127.0.0.1:5001"), "unexpected hostname"),
        (lambda: signed(f"{ENDPOINT}/x"), "unexpected path"),
        (lambda: signed(header="x-other"), "did not sign the x-k8s-aws-id header"),
        (lambda: signed(expires=901), "invalid X-Amz-Expires"),
        (lambda: signed(service="iam"), "must be signed for sts"),
        (lambda: signed(session="another"), "security token included in the request is invalid"),
        (lambda: signed(asks=f"{ASKS}{'A' * 4096}"), "too large"),
        (lambda: signed().removeprefix("k8s-aws-"), "missing expected"),
        (lambda: signed() + "!", "no URL in base64"),
        (lambda: login.PREFIX + "_w", "no URL in base64"),
    ],
)  # fmt: skip
def test_what_a_token_must_not_say(made: Callable[[], str], told: str) -> None:
    with pytest.raises(Refused) as refused:
        signer(made())
    assert told in str(refused.value)


def test_a_token_is_for_one_cluster() -> None:
    held = Secret(secret_access_key=SECRET, session_token=SESSION)
    with pytest.raises(Refused, match="signature we calculated does not match"):
        tokens.signer(signed(), "yours", ENDPOINT, {KEY: held}.get)


def test_a_token_lasts_fifteen_minutes_and_no_longer_than_its_keys() -> None:
    token, now = signed(), time.time()
    assert signer(token, now=lambda: now + 14 * 60) == KEY
    with pytest.raises(Refused, match="expired"):
        signer(token, now=lambda: now + 16 * 60)
    with pytest.raises(Refused, match="expired"):
        signer(token, expires=now - 1)


READ = ("get", "list", "watch")
WRITE = ("create", "delete", "deletecollection", "patch", "update")
AS = (*READ, *WRITE, "impersonate")
IN = {"type": "namespace", "namespaces": ["research", "dev-*"]}


def test_a_scope_of_namespaces_holds_nowhere_else() -> None:
    def may(namespace: str, resource: str = "pods") -> bool:
        asked = Asked(verb="list", resource=resource, namespace=namespace)
        return access_policies.allows("AmazonEKSViewPolicy", IN, asked)

    found = {name: may(name) for name in ("research", "dev-ada", "dev", "other", "research2", "")}
    assert [name for name, allowed in found.items() if allowed] == ["research", "dev-ada"]
    anywhere = {"type": "namespace", "namespaces": ["*"]}
    of_all = Asked(verb="list", resource="pods")
    assert not access_policies.allows("AmazonEKSClusterAdminPolicy", anywhere, of_all)
    everything = Asked(verb="get", url="/metrics")
    assert not access_policies.allows("AmazonEKSClusterAdminPolicy", IN, everything)
    whole = {"type": "cluster"}
    assert access_policies.allows("AmazonEKSClusterAdminPolicy", whole, everything)
    assert not access_policies.allows("AmazonEKSAdminViewPolicy", whole, everything)


def allowed(policy: str, group: str, resource: str) -> tuple[str, ...]:
    verbs = (*READ, *WRITE, "impersonate", "escalate")
    return tuple(
        verb
        for verb in verbs
        if access_policies.allows(
            policy, {"type": "cluster"}, Asked(verb=verb, group=group, resource=resource)
        )
    )


@pytest.mark.parametrize(
    ("group", "resource", "view", "edit", "admin"),
    [
        ("", "pods", READ, READ + WRITE, READ + WRITE),
        ("", "pods/exec", (), READ + WRITE, READ + WRITE),
        ("", "pods/log", READ, READ, READ),
        ("", "secrets", (), READ + WRITE, READ + WRITE),
        ("", "namespaces", READ, READ, READ),
        ("", "nodes", (), (), ()),
        ("", "serviceaccounts", READ, AS, AS),
        ("apps", "deployments", READ, READ + WRITE, READ + WRITE),
        ("apps", "deployments/status", READ, READ, READ),
        ("batch", "jobs", READ, READ + WRITE, READ + WRITE),
        ("rbac.authorization.k8s.io", "roles", (), (), READ + WRITE),
        ("rbac.authorization.k8s.io", "clusterroles", (), (), ()),
        ("kueue.x-k8s.io", "localqueues", (), (), ()),
        ("example.com", "pods", (), (), ()),
    ],
)  # fmt: skip
def test_policies_allow_what_the_guide_lists(
    group: str, resource: str, view: Any, edit: Any, admin: Any
) -> None:
    names = ("AmazonEKSViewPolicy", "AmazonEKSEditPolicy", "AmazonEKSAdminPolicy")
    assert [allowed(name, group, resource) for name in names] == [view, edit, admin]
    assert allowed("AmazonEKSAdminViewPolicy", group, resource) == READ
    assert len(allowed("AmazonEKSClusterAdminPolicy", group, resource)) == 10
    assert allowed("AmazonEKSAutoNodePolicy", group, resource) == ()
