"""Tokens of service accounts are worth sessions of roles, and aws-auth lets people in."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from stacks.local.kubernetes.client import Client
from stacks.toolchain import control_plane as toolchain
from tests.kits.cluster import ACCOUNT, CLUSTER, as_role, itself, role, shown, status, who
from tests.kits.kubernetes import control_plane_binaries, until
from tests.kits.local_cloud import BUCKET, ROLE, Cloud, killed_cloud, running_cloud

__all__ = ["control_plane_binaries"]

BOTH = {"authenticationMode": "API_AND_CONFIG_MAP"}
AGENT = "pods.eks.amazonaws.com"
ACCOUNTS = "/api/v1/namespaces/ml/serviceaccounts"


@pytest.fixture(scope="module")
def cloud(
    tmp_path_factory: pytest.TempPathFactory, control_plane_binaries: toolchain.Kubernetes
) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("home")) as running:
        eks = running.client("eks")
        eks.create_cluster(name=CLUSTER, roleArn=ROLE, resourcesVpcConfig={}, accessConfig=BOTH)
        eks.get_waiter("cluster_active").wait(name=CLUSTER, WaiterConfig={"Delay": 1})
        running.client("s3").put_object(Bucket=BUCKET, Key="ml/a", Body=b"mine")
        running.client("s3").put_object(Bucket=BUCKET, Key="other/a", Body=b"theirs")
        inside = itself(running)
        made: dict[str, Any] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml"}}
        inside.request("POST", "/api/v1/namespaces", content=made)
        for name in ("trainer", "nobody"):
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
            inside.request("POST", ACCOUNTS, content=account)
        yield running


def token(cloud: Cloud, audience: str, account: str = "trainer", **more: Any) -> str:
    """A token as Kubernetes gives it to a pod of an account."""
    asked = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [audience], **more},
    }
    answer = itself(cloud).request("POST", f"{ACCOUNTS}/{account}/token", content=asked)
    return str(answer["status"]["token"])


def trusting(cloud: Cloud, name: str, *statements: Mapping[str, Any]) -> str:
    """A role with a trust policy, that may read what is under the namespace that it is tagged."""
    own = "arn:aws:s3:::" + BUCKET + "/${aws:PrincipalTag/kubernetes-namespace}/*"
    allowed = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": own}

    def document(*said: Any) -> str:
        return json.dumps({"Version": "2012-10-17", "Statement": said})

    iam = cloud.client("iam")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(*statements))
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(allowed))
    return str(arn["Role"]["Arn"])


def of_pods(**condition: Any) -> dict[str, Any]:
    said = {"Condition": condition} if condition else {}
    actions = ["sts:AssumeRole", "sts:TagSession"]
    return {"Effect": "Allow", "Principal": {"Service": AGENT}, "Action": actions, **said}


def associate(cloud: Cloud, role_arn: str, account: str = "trainer", **more: Any) -> str:
    given = {"clusterName": CLUSTER, "namespace": "ml", "serviceAccount": account, **more}
    made = cloud.client("eks").create_pod_identity_association(roleArn=role_arn, **given)
    return str(made["association"]["associationId"])


@pytest.fixture
def associations(cloud: Cloud) -> Iterator[None]:
    yield
    eks = cloud.client("eks")
    for one in eks.list_pod_identity_associations(clusterName=CLUSTER)["associations"]:
        eks.delete_pod_identity_association(clusterName=CLUSTER, associationId=one["associationId"])


def credentials(cloud: Cloud, said: str) -> Mapping[str, Any]:
    asked: Mapping[str, Any] = cloud.client("eks-auth").assume_role_for_pod_identity(
        clusterName=CLUSTER, token=said
    )
    return asked


def client(cloud: Cloud, service: str, keys: Mapping[str, Any]) -> Any:
    names = {name.lower(): value for name, value in keys.items()}
    return boto3.session.Session(
        names["accesskeyid"], names["secretaccesskey"], names["sessiontoken"], "us-east-1"
    ).client(service, endpoint_url=cloud.info.endpoint_url)


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


# -- Pod Identity --------------------------------------------------------------------------------


@pytest.mark.usefixtures("associations")
def test_a_pod_gets_the_role_of_its_account_with_tags_that_policies_go_by(cloud: Cloud) -> None:
    arn = trusting(cloud, "by-tags", of_pods())
    association = associate(cloud, arn)
    found = credentials(cloud, token(cloud, AGENT))
    assert found["subject"] == {"namespace": "ml", "serviceAccount": "trainer"}
    assert found["podIdentityAssociation"]["associationId"] == association
    assert found["audience"] == AGENT
    s3 = client(cloud, "s3", found["credentials"])
    assert s3.get_object(Bucket=BUCKET, Key="ml/a")["Body"].read() == b"mine"
    with pytest.raises(ClientError) as denied:
        s3.get_object(Bucket=BUCKET, Key="other/a")
    assert code(denied) == "AccessDenied"
    me = client(cloud, "sts", found["credentials"]).get_caller_identity()
    assert me["Arn"] == found["assumedRoleUser"]["arn"]
    assert f":assumed-role/by-tags/eks-{CLUSTER}-" in me["Arn"]


@pytest.mark.usefixtures("associations")
def test_without_session_tags_a_pod_has_none(cloud: Cloud) -> None:
    associate(cloud, trusting(cloud, "untagged", of_pods()), disableSessionTags=True)
    s3 = client(cloud, "s3", credentials(cloud, token(cloud, AGENT))["credentials"])
    with pytest.raises(ClientError) as denied:
        s3.get_object(Bucket=BUCKET, Key="ml/a")
    assert code(denied) == "AccessDenied"


@pytest.mark.usefixtures("associations")
@pytest.mark.parametrize(
    ("name", "statement", "trusted"),
    [
        ("namespace", of_pods(StringEquals={"aws:RequestTag/kubernetes-namespace": "ml"}), True),
        ("elsewhere", of_pods(StringEquals={"aws:RequestTag/kubernetes-namespace": "x"}), False),
        ("account", of_pods(StringEquals={"aws:SourceAccount": ACCOUNT}), True),
        ("no-tags", {**of_pods(), "Action": "sts:AssumeRole"}, False),
        ("nodes", {**of_pods(), "Principal": {"Service": "ec2.amazonaws.com"}}, False),
    ],
)
def test_the_role_must_trust_pods_with_these_tags(
    cloud: Cloud, name: str, statement: Mapping[str, Any], trusted: bool
) -> None:
    associate(cloud, trusting(cloud, f"trust-{name}", statement))
    said = token(cloud, AGENT)
    if trusted:
        assert credentials(cloud, said)["credentials"]["accessKeyId"]
        return
    with pytest.raises(ClientError) as refused:
        credentials(cloud, said)
    assert code(refused) == "AccessDeniedException"


@pytest.mark.usefixtures("associations")
def test_only_a_token_of_this_cluster_for_the_agent_counts(cloud: Cloud) -> None:
    associate(cloud, trusting(cloud, "of-tokens", of_pods()))
    good = token(cloud, AGENT)
    head, body, signature = good.split(".")
    faults = {
        "of another audience": (token(cloud, "sts.amazonaws.com"), "InvalidTokenException"),
        "no token": ("a.b.c", "InvalidTokenException"),
        "another signature": (f"{head}.{body}.{signature[::-1]}", "InvalidTokenException"),
        "of an account without a role": (
            token(cloud, AGENT, "nobody"),
            "ResourceNotFoundException",
        ),
    }
    got = {}
    for why, (said, _) in faults.items():
        with pytest.raises(ClientError) as refused:
            credentials(cloud, said)
        got[why] = code(refused)
    assert got == {why: expected for why, (_, expected) in faults.items()}
    with pytest.raises(ClientError) as refused:
        cloud.client("eks-auth").assume_role_for_pod_identity(clusterName="x", token=good)
    assert code(refused) == "ResourceNotFoundException"


@pytest.mark.usefixtures("associations")
def test_who_may_not_ask_for_pods_gets_nothing(cloud: Cloud) -> None:
    associate(cloud, trusting(cloud, "of-nodes", of_pods()))
    taken = cloud.client("sts").assume_role(RoleArn=role(cloud, "node"), RoleSessionName="i-1")
    agent = client(cloud, "eks-auth", taken["Credentials"])
    with pytest.raises(ClientError, match="eks-auth:AssumeRoleForPodIdentity") as denied:
        agent.assume_role_for_pod_identity(clusterName=CLUSTER, token=token(cloud, AGENT))
    assert code(denied) == "AccessDeniedException"


@pytest.mark.usefixtures("associations")
def test_an_account_has_one_role(cloud: Cloud) -> None:
    arn = trusting(cloud, "once", of_pods())
    associate(cloud, arn)
    with pytest.raises(ClientError) as refused:
        associate(cloud, arn)
    assert code(refused) == "ResourceInUseException"
    associate(cloud, arn, "nobody")


# -- web identities ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def provider(cloud: Cloud) -> str:
    """The cluster's issuer as an identity provider of the account; its URL without the scheme."""
    issuer = cloud.client("eks").describe_cluster(name=CLUSTER)["cluster"]["identity"]["oidc"]
    cloud.client("iam").create_open_id_connect_provider(
        Url=issuer["issuer"], ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40]
    )
    return str(issuer["issuer"]).removeprefix("https://")


def of_tokens(provider: str, subject: str, audience: str = "sts.amazonaws.com") -> dict[str, Any]:
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{provider}"
    said = {f"{provider}:sub": subject, f"{provider}:aud": audience}
    return {
        "Effect": "Allow",
        "Principal": {"Federated": arn},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": said},
    }


def anonymous(cloud: Cloud) -> Any:
    return boto3.client(
        "sts",
        endpoint_url=cloud.info.endpoint_url,
        region_name="us-east-1",
        config=Config(signature_version=UNSIGNED),
    )


def taken(cloud: Cloud, arn: str, said: str) -> Mapping[str, Any]:
    answer: Mapping[str, Any] = anonymous(cloud).assume_role_with_web_identity(
        RoleArn=arn, RoleSessionName="pod", WebIdentityToken=said
    )
    return answer


SUBJECT = "system:serviceaccount:ml:trainer"


def test_a_role_for_a_service_account_is_taken_without_keys(cloud: Cloud, provider: str) -> None:
    arn = trusting(cloud, "irsa", of_tokens(provider, SUBJECT))
    found = taken(cloud, arn, token(cloud, "sts.amazonaws.com"))
    assert found["SubjectFromWebIdentityToken"] == SUBJECT
    assert (found["Audience"], found["Provider"]) == ("sts.amazonaws.com", provider)
    me = client(cloud, "sts", found["Credentials"]).get_caller_identity()
    assert me["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/irsa/pod"
    assert me["UserId"] == found["AssumedRoleUser"]["AssumedRoleId"]


def test_trust_and_token_decide_who_is_refused(cloud: Cloud, provider: str) -> None:
    arn = trusting(cloud, "irsa-only", of_tokens(provider, SUBJECT))
    unknown = trusting(cloud, "no-provider", of_pods())
    good = token(cloud, "sts.amazonaws.com")
    head, body, signature = good.split(".")
    asked = {
        "another account": (arn, token(cloud, "sts.amazonaws.com", "nobody"), "AccessDenied"),
        "a role that trusts pods": (unknown, good, "AccessDenied"),
        "no role": (f"{arn}-x", good, "AccessDenied"),
        "another audience": (arn, token(cloud, AGENT), "InvalidIdentityToken"),
        "another signature": (arn, f"{head}.{body}.{signature[::-1]}", "InvalidIdentityToken"),
        "no token": (arn, "a.b.c", "InvalidIdentityToken"),
    }
    got = {}
    for why, (role_arn, said, _) in asked.items():
        with pytest.raises(ClientError) as refused:
            taken(cloud, role_arn, said)
        got[why] = code(refused)
    assert got == {why: expected for why, (*_, expected) in asked.items()}


def test_nothing_else_is_answered_without_a_signature(cloud: Cloud, provider: str) -> None:
    arn = trusting(cloud, "irsa-alone", of_tokens(provider, SUBJECT))
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": arn,
        "RoleSessionName": "pod",
        "WebIdentityToken": token(cloud, "sts.amazonaws.com"),
    }
    import requests

    url = cloud.info.endpoint_url
    assert requests.post(url, data=form, timeout=60).status_code == 200
    others = {
        "another action": requests.post(url, data={**form, "Action": "GetCallerIdentity"}),
        "two actions": requests.post(url, data=[*form.items(), ("Action", "GetCallerIdentity")]),
        "a target": requests.post(
            url, data=form, headers={"X-Amz-Target": "DynamoDB_20120810.ListTables"}
        ),
        "a path": requests.post(f"{url}/{BUCKET}/ml/a", data=form),
        "a query": requests.post(f"{url}/?Action=GetCallerIdentity", data=form),
        "another method": requests.put(url, data=form),
    }
    assert {why: answer.status_code for why, answer in others.items()} == dict.fromkeys(others, 403)


# -- aws-auth ------------------------------------------------------------------------------------


def config_map(inside: Client, **data: Any) -> None:
    """Write aws-auth."""
    path = "/api/v1/namespaces/kube-system/configmaps"
    made = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "aws-auth"},
        "data": {key: value if isinstance(value, str) else json.dumps(value)
                 for key, value in data.items()},
    }  # fmt: skip
    if status(inside, f"{path}/aws-auth") == 200:
        inside.request("PUT", f"{path}/aws-auth", content=made)
    else:
        inside.request("POST", path, content=made)


def test_lines_of_aws_auth_let_in_as_they_say(cloud: Cloud) -> None:
    arn, inside = role(cloud, "ops", "/people/"), itself(cloud)
    ops = as_role(cloud, arn)
    assert status(ops, "/version") == 401
    line = {
        "rolearn": arn.replace("/people/", "/"),
        "username": "ops:{{SessionName}}",
        "groups": ["system:masters"],
    }
    config_map(inside, mapRoles=[{**line, "rolearn": arn}])
    time.sleep(3)  # what the API server remembers of the one before
    assert status(ops, "/version") == 401  # a path is not looked up
    config_map(inside, mapRoles=["no mapping", line])
    until(lambda: status(ops, "/version") == 200)
    assert who(ops)["username"] == "ops:ada-example.com"
    assert status(ops, "/api/v1/nodes") == 200
    config_map(inside, mapRoles="- {not: [yaml")
    until(lambda: status(ops, "/version") == 401)
    config_map(inside, mapAccounts=[ACCOUNT])
    until(lambda: status(ops, "/version") == 200)
    assert status(ops, "/api/v1/nodes") == 403


def test_an_access_entry_comes_before_aws_auth(cloud: Cloud) -> None:
    arn, eks = role(cloud, "both"), cloud.client("eks")
    line = {"rolearn": arn, "username": "by-map", "groups": ["system:masters"]}
    config_map(itself(cloud), mapRoles=[line])
    both = as_role(cloud, arn)
    until(lambda: status(both, "/version") == 200)
    assert who(both)["username"] == "by-map"
    eks.create_access_entry(clusterName=CLUSTER, principalArn=arn, username="by-entry")
    until(lambda: who(both)["username"] == "by-entry")
    assert status(both, "/api/v1/nodes") == 403
    eks.delete_access_entry(clusterName=CLUSTER, principalArn=arn)
    until(lambda: who(both)["username"] == "by-map")


def test_users_are_looked_up_as_they_are(cloud: Cloud) -> None:
    iam = cloud.client("iam")
    user = iam.create_user(UserName="bot", Path="/machines/")["User"]["Arn"]
    key = iam.create_access_key(UserName="bot")["AccessKey"]
    from stacks.local.kubernetes import login

    place = login.Place(
        endpoint=cloud.info.endpoint_url,
        region="us-east-1",
        keys={
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        },
    )
    bot = shown(cloud, login.token(CLUSTER, place))
    assert status(bot, "/version") == 401
    config_map(itself(cloud), mapUsers=[{"userarn": user.upper(), "username": "bot"}])
    until(lambda: status(bot, "/version") == 200)
    assert who(bot)["username"] == "bot"


# -- what outlives the cloud; the last test -------------------------------------------------------


@pytest.mark.usefixtures("associations")
def test_sessions_of_pods_outlive_the_cloud_with_their_tags(cloud: Cloud) -> None:
    associate(cloud, trusting(cloud, "outlives", of_pods()))
    keys = credentials(cloud, token(cloud, AGENT))["credentials"]
    again = killed_cloud(cloud)
    s3 = client(again, "s3", keys)
    assert s3.get_object(Bucket=BUCKET, Key="ml/a")["Body"].read() == b"mine"
    said = token(again, AGENT)
    assert credentials(again, said)["subject"]["serviceAccount"] == "trainer"
