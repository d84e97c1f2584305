"""Tokens of GitHub's jobs: the trust of our own roles decides which of them gets in."""

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from joserfc import jwk, jwt
from moto import mock_aws

from infra.access import RoleSpec, Trust, trust_policy
from infra.naming import GITHUB, Names
from stacks.local.aws.iam import web_identities
from stacks.local.aws.iam.authorizer import Authorizer
from stacks.local.aws.iam.resources import Place
from stacks.local.aws.identity_tokens import TAGS, known_keys, verified
from stacks.local.aws.signatures import Refused
from tests.kits.aws import client
from tests.kits.stacks import copied

NAMES = Names(env="test", account_id="123456789012", region="us-east-1")
ISSUER = f"https://{GITHUB}"
DEPLOYS = "repo:acme/ml:environment:prod"
KEY = jwk.RSAKey.generate_key(2048, {"kid": "1"})
JWKS = json.dumps({"keys": [KEY.as_dict(private=False)]})


def signed(key: Any = KEY, **claims: Any) -> str:
    """A token of a job that deploys to production; `None` leaves a claim out."""
    now = int(time.time())
    said = {
        "iss": ISSUER,
        "sub": DEPLOYS,
        "aud": "sts.amazonaws.com",
        "iat": now,
        "exp": now + 300,
        "repository": "acme/ml",
        **claims,
    }
    kept = {name: value for name, value in said.items() if value is not None}
    return jwt.encode({"alg": "RS256", "kid": "1"}, kept, key)


@pytest.fixture
def role() -> Iterator[str]:
    """A role of ours that a job of GitHub's takes on."""
    with mock_aws():
        iam = client("iam")
        iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=["sts.amazonaws.com"])
        yield made(trust_policy(RoleSpec(trust=Trust(github_subjects=[DEPLOYS])), NAMES))


def made(trust: Mapping[str, Any]) -> str:
    arn = client("iam").create_role(RoleName="deploy", AssumeRolePolicyDocument=json.dumps(trust))
    return str(arn["Role"]["Arn"])


def asked(role_arn: str, token: str) -> str:
    """The code of STS's refusal; empty where the session is given."""
    form = urlencode(
        {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": role_arn,
            "RoleSessionName": "job",
            "WebIdentityToken": token,
        }
    ).encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": str(len(form)),
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
    }
    assert web_identities.asks(environ, form)
    place = Place(partition="aws", region="us-east-1", account=NAMES.account_id)
    authorizer = Authorizer(place=place, keys_of={ISSUER: JWKS}.get)
    try:
        authorizer.check(environ, form, "sts", "")
    except Refused as refused:
        return refused.code
    assert not authorizer.tally.undecided
    return ""


def test_the_job_that_a_role_names_gets_it(role: str) -> None:
    assert asked(role, signed()) == ""


def by_hand(algorithm: str) -> str:
    """A token that is signed with the public key as a secret, or by nobody."""

    def packed(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    text = f"{packed(json.dumps({'alg': algorithm}).encode())}.{signed().split('.')[1]}"
    secret = KEY.as_pem(private=False)
    mac = hmac.new(secret, text.encode(), "sha256").digest() if algorithm == "HS256" else b""
    return f"{text}.{packed(mac)}"


WRONG: dict[str, tuple[Callable[[], str], str]] = {
    "a pull request": (lambda: signed(sub="repo:acme/ml:pull_request"), "AccessDenied"),
    "another environment": (lambda: signed(sub="repo:acme/ml:environment:dev"), "AccessDenied"),
    "another repository": (lambda: signed(sub="repo:evil/ml:environment:prod"), "AccessDenied"),
    "another audience": (lambda: signed(aud="https://github.com/acme"), "InvalidIdentityToken"),
    "two audiences": (lambda: signed(aud=["sts.amazonaws.com", "x"]), "InvalidIdentityToken"),
    "for another party": (lambda: signed(azp="x"), "InvalidIdentityToken"),
    "no subject": (lambda: signed(sub=None), "InvalidIdentityToken"),
    "no end": (lambda: signed(exp=None), "InvalidIdentityToken"),
    "over": (lambda: signed(exp=int(time.time()) - 1), "ExpiredTokenException"),
    "not yet": (lambda: signed(nbf=int(time.time()) + 900), "InvalidIdentityToken"),
    "another issuer": (lambda: signed(iss="https://evil.example"), "InvalidIdentityToken"),
    "signed by a stranger": (
        lambda: signed(jwk.RSAKey.generate_key(2048, {"kid": "1"})),
        "InvalidIdentityToken",
    ),
    "signed with the public key": (lambda: by_hand("HS256"), "InvalidIdentityToken"),
    "signed by nobody": (lambda: by_hand("none"), "InvalidIdentityToken"),
    "no token": (lambda: "x", "InvalidIdentityToken"),
}


@pytest.mark.parametrize("why", WRONG)
def test_no_other_token_gets_it(role: str, why: str) -> None:
    token, code = WRONG[why]
    assert asked(role, token()) == code


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ({"StringEquals": {f"{GITHUB}:repository": "acme/ml"}}, ""),
        ({"StringEquals": {f"{GITHUB}:repository": "acme/other"}}, "AccessDenied"),
        ({"StringEquals": {f"{GITHUB}:environment": "prod"}}, "AccessDenied"),  # it says none
        ({"StringEquals": {"accounts.google.com:sub": DEPLOYS}}, "AccessDenied"),
    ],
)
def test_claims_are_conditions_of_their_own_provider(
    role: str, condition: Mapping[str, Any], code: str
) -> None:
    client("iam").delete_role(RoleName="deploy")
    [statement] = trust_policy(RoleSpec(trust=Trust(github_subjects=[DEPLOYS])), NAMES)["Statement"]
    arn = made({"Version": "2012-10-17", "Statement": [{**statement, "Condition": condition}]})
    assert arn == role
    assert asked(arn, signed()) == code


@pytest.mark.parametrize(("tagging", "code"), [(True, ""), (False, "AccessDenied")])
def test_tags_in_a_token_need_the_right_to_tag(role: str, tagging: bool, code: str) -> None:
    client("iam").delete_role(RoleName="deploy")
    [statement] = trust_policy(RoleSpec(trust=Trust(github_subjects=[DEPLOYS])), NAMES)["Statement"]
    actions = [statement["Action"], *(["sts:TagSession"] if tagging else [])]
    made({"Version": "2012-10-17", "Statement": [{**statement, "Action": actions}]})
    tags = {"principal_tags": {"team": ["forecast"]}}
    assert asked(role, signed(**{TAGS: tags})) == code


def test_whose_keys_count_stands_in_the_environment_s_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jwks.json").write_text(JWKS)
    folder = copied(tmp_path)
    row = {"url": ISSUER, "jwks_file": str(tmp_path / "jwks.json")}
    with (folder / "local.yaml").open("a") as file:
        file.write(f"token_issuers: {json.dumps([row])}\n")
    keys_of = known_keys(tmp_path, folder)
    assert verified(signed(), keys_of, ("sts.amazonaws.com",))["sub"] == DEPLOYS
    with pytest.raises(Refused, match=r"nothing is fetched here: .*token_issuers"):
        verified(signed(iss="https://gitlab.com"), keys_of, ("sts.amazonaws.com",))
    (tmp_path / "jwks.json").unlink()
    with pytest.raises(Refused, match=r"its keys cannot be read: .*jwks\.json"):
        verified(signed(), keys_of, ("sts.amazonaws.com",))
