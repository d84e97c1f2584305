"""People and programs before the API server of a local EKS cluster."""

import json
from collections.abc import Mapping
from typing import Any

from stacks.local.kubernetes import control_plane, login
from stacks.local.kubernetes.client import ApiError, Client
from tests.kits.local_cloud import Cloud

ACCOUNT = "123456789012"
CLUSTER = "plinth-test"


def itself(cloud: Cloud) -> Client:
    """A client of the cloud itself."""
    return Client.of(cloud.home / "local" / "kubernetes" / control_plane.OWN_KUBECONFIG)


def role(cloud: Cloud, name: str, path: str = "/") -> str:
    """A role that the owner may take on, and that IAM allows nothing."""
    iam = cloud.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    made = iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=document)
    return str(made["Role"]["Arn"])


def session(cloud: Cloud, arn: str, name: str = "ada@example.com") -> login.Place:
    """A session of a role, as a person has it."""
    taken = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName=name)["Credentials"]
    keys = {
        "AWS_ACCESS_KEY_ID": taken["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": taken["SecretAccessKey"],
        "AWS_SESSION_TOKEN": taken["SessionToken"],
    }
    return login.Place(endpoint=cloud.info.endpoint_url, region="us-east-1", keys=keys)


def shown(cloud: Cloud, token: str) -> Client:
    """A client that shows this token."""
    inside = itself(cloud)
    ca = (cloud.home / "local" / "kubernetes" / "ca.crt").read_text()
    return Client(inside.url, ca, token)


def as_role(cloud: Cloud, arn: str, **more: Any) -> Client:
    return shown(cloud, login.token(CLUSTER, session(cloud, arn, **more)))


def status(client: Client, path: str, method: str = "GET", **more: Any) -> int:
    try:
        client.request(method, path, **more)
    except ApiError as error:
        return error.status
    return 200


def who(client: Client) -> Mapping[str, Any]:
    """How the API server sees the caller."""
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    found: Mapping[str, Any] = client.request("POST", path, content=asked)["status"]["userInfo"]
    return found
