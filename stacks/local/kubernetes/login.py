"""Tokens for the API server of an EKS cluster, as `aws eks get-token` makes them, and who does.

A token is `k8s-aws-v1.` and a presigned GetCallerIdentity in base64, signed together with the name
of the cluster (AWS CLI, awscli/customizations/eks/get_token.py). The AWS CLI makes the same one
here; this module is for where there is none, and for programs of our own.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from infra.errors import UserError

PREFIX = "k8s-aws-v1."
CLUSTER_HEADER = "x-k8s-aws-id"
PRESIGNED_SECONDS = 60
TOKEN_SECONDS = 14 * 60
"""A minute less than STS takes a presigned request for."""

SESSION = "EKSGetTokenAuth"
"""What the AWS CLI calls the session of a role that it takes for a token."""

API_VERSION = "client.authentication.k8s.io/v1beta1"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where STS answers, and the keys to sign with."""

    endpoint: str
    region: str
    keys: Mapping[str, str]
    """`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and maybe `AWS_SESSION_TOKEN`."""

    def sts(self, keys: Mapping[str, str]) -> Any:
        """A client with these keys."""
        import botocore.session
        from botocore.config import Config

        return botocore.session.Session().create_client(
            "sts",
            region_name=self.region,
            endpoint_url=self.endpoint,
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=keys.get("AWS_SESSION_TOKEN"),
            config=Config(signature_version="v4"),
        )


def token(cluster: str, place: Place, role_arn: str = "") -> str:
    """A token of the holder of the keys, or of a role that it takes on."""
    keys = place.keys
    if role_arn:
        taken = place.sts(keys).assume_role(RoleArn=role_arn, RoleSessionName=SESSION)
        keys = {
            "AWS_ACCESS_KEY_ID": taken["Credentials"]["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": taken["Credentials"]["SecretAccessKey"],
            "AWS_SESSION_TOKEN": taken["Credentials"]["SessionToken"],
        }
    client = place.sts(keys)

    def name_the_cluster(request: Any, **_: Any) -> None:
        request.headers[CLUSTER_HEADER] = cluster

    client.meta.events.register("before-sign.sts.GetCallerIdentity", name_the_cluster)
    url = client.generate_presigned_url(
        "get_caller_identity", ExpiresIn=PRESIGNED_SECONDS, HttpMethod="GET"
    )
    return PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


@dataclass(frozen=True, kw_only=True)
class Login:
    """How a kubeconfig's user shows who it is."""

    cluster: str
    """Cluster that the token is for."""

    role_arn: str
    place: Place
    _made: list[tuple[float, str]] = field(default_factory=list)
    _making: threading.Lock = field(default_factory=threading.Lock)

    def token(self) -> str:
        """A token that is good for some time yet."""
        with self._making:
            if not self._made or time.monotonic() > self._made[0][0]:
                made = token(self.cluster, self.place, self.role_arn)
                self._made[:] = [(time.monotonic() + TOKEN_SECONDS - PRESIGNED_SECONDS, made)]
            return self._made[0][1]

    def whom(self) -> str:
        """ARN of the principal that an access entry must name."""
        if self.role_arn:
            return self.role_arn
        return str(self.place.sts(self.place.keys).get_caller_identity()["Arn"])


def login(user: Mapping[str, Any], place: Place) -> Login:
    """The login of a kubeconfig's user; UserError for one that is not `aws eks get-token`."""
    command = user.get("exec") or {}
    words = [str(word) for word in command.get("args") or ()]
    if Path(str(command.get("command"))).name != "aws" or words[:2] != ["eks", "get-token"]:
        raise UserError(
            "kubeconfig must log in with the command `aws eks get-token`, as an EKS cluster wants "
            f"it, got {command.get('command') or 'another way'}",
            fix='write "exec": {"command": "aws", "args": ["eks", "get-token", "--cluster-name", '
            "NAME]} into its user",
        )
    if command.get("env"):
        raise UserError(
            "kubeconfig must log in with the credentials of whoever deploys, got variables of its "
            "own in exec.env",
            fix="take them out, or name a role with --role-arn",
        )
    said = _parser().parse_args(words[2:])
    return Login(cluster=said.cluster_name, role_arn=said.role_arn, place=place)


class _Parser(argparse.ArgumentParser):
    """Options of `aws eks get-token` that make a token another one."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"aws eks get-token must be asked as the AWS CLI wants it, got: {message}")


def _parser() -> _Parser:
    parser = _Parser(prog="get-token", add_help=False, allow_abbrev=False)
    parser.add_argument("--cluster-name", required=True)
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--role-arn", default="")
    parser.add_argument("--output", default="json")
    return parser


def kubeconfig(url: str, ca: Path, user: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A kubeconfig for kubectl and any other client."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority": str(ca)}}],
        "users": [{"name": name, "user": dict(user)}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def user_of(cluster: str, region: str) -> dict[str, Any]:
    """The user of a kubeconfig, as `aws eks update-kubeconfig` writes it; no secret is in it.

    Where there is no AWS CLI, this module makes the token.
    """
    args = ["--cluster-name", cluster, "--region", region]
    command = {"command": "aws", "args": ["eks", "get-token", *args]}
    if shutil.which("aws") is None:
        command = {"command": sys.executable, "args": ["-m", __name__, *args]}
    return {"exec": {"apiVersion": API_VERSION, "interactiveMode": "Never", **command}}


def main(argv: Sequence[str] | None = None) -> int:
    """Print a token of whoever's keys are in the environment, as the AWS CLI does."""
    said = _parser().parse_args(argv)
    keys = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    place = Place(endpoint=os.environ["AWS_ENDPOINT_URL"], region=said.region, keys=keys)
    ends = datetime.fromtimestamp(time.time() + TOKEN_SECONDS, UTC)
    status = {
        "expirationTimestamp": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
        "token": token(said.cluster_name, place, said.role_arn),
    }
    content = {"kind": "ExecCredential", "apiVersion": API_VERSION, "spec": {}, "status": status}
    sys.stdout.write(json.dumps(content) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
