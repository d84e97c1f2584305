"""Who gets into the local EKS cluster, and what they may do there: a real API server decides."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import botocore.auth
import pytest

from infra.errors import UserError
from stacks.local.daemon import environment
from stacks.local.kubernetes import access, login
from stacks.local.kubernetes.client import Client
from stacks.toolchain import control_plane as toolchain
from tests.kits.cluster import ACCOUNT, CLUSTER, as_role, itself, role, shown, status, who
from tests.kits.kubernetes import control_plane_binaries, pod, until
from tests.kits.local_cloud import Cloud, refusal, running_cloud

__all__ = ["control_plane_binaries"]

ROLE = f"arn:aws:iam::{ACCOUNT}:role/plinth-test"
OWNER = f"arn:aws:iam::{ACCOUNT}:user/plinth-local"
MODE = {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}


def policy(name: str) -> str:
    return f"arn:aws:eks::aws:cluster-access-policy/{name}"


@pytest.fixture(scope="module")
def cloud(
    tmp_path_factory: pytest.TempPathFactory, control_plane_binaries: toolchain.Kubernetes
) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("home")) as running:
        eks = running.client("eks")
        eks.create_cluster(name=CLUSTER, roleArn=ROLE, resourcesVpcConfig={}, accessConfig=MODE)
        eks.get_waiter("cluster_active").wait(name=CLUSTER, WaiterConfig={"Delay": 1})
        inside = itself(running)
        for name in ("research", "dev-ada", "other"):
            space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            inside.create(kind(inside, "v1", "Namespace"), space)
        yield running


@pytest.fixture
def eks(cloud: Cloud) -> Iterator[Any]:
    """EKS, with the entries of the test taken away afterwards."""
    client = cloud.client("eks")
    yield client
    for arn in client.list_access_entries(clusterName=CLUSTER)["accessEntries"]:
        client.delete_access_entry(clusterName=CLUSTER, principalArn=arn)
    time.sleep(access.REMEMBERED_SECONDS)


def kind(client: Client, api_version: str, name: str) -> Any:
    found = client.kind(api_version, name)
    assert found is not None
    return found


def let_in(eks: Any, arn: str, name: str = "", *namespaces: str, **more: Any) -> None:
    """An access entry, and a policy for it."""
    eks.create_access_entry(clusterName=CLUSTER, principalArn=arn, **more)
    if name:
        scope = {"type": "namespace", "namespaces": list(namespaces)} if namespaces else {}
        eks.associate_access_policy(
            clusterName=CLUSTER,
            principalArn=arn,
            policyArn=policy(name),
            accessScope=scope or {"type": "cluster"},
        )


PODS = "/api/v1/namespaces/{}/pods"


def test_who_deploys_does_everything_by_an_entry_of_a_cluster_admin(cloud: Cloud, eks: Any) -> None:
    mine = shown(cloud, login.token(CLUSTER, cloud.place()))
    assert status(mine, "/version") == 401
    let_in(eks, OWNER, "AmazonEKSClusterAdminPolicy")
    until(lambda: status(mine, "/version") == 200)
    assert who(mine)["username"] == OWNER
    for namespace in ("research", "kube-system"):
        assert status(mine, PODS.format(namespace)) == 200
    assert mine._http.get("/metrics").status_code == 200
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    item = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "everything"},
        "rules": rules,
    }
    mine.create(kind(mine, "rbac.authorization.k8s.io/v1", "ClusterRole"), item)


def test_a_data_scientist_looks_into_the_own_namespace_alone(cloud: Cloud, eks: Any) -> None:
    arn = role(cloud, "data-scientist", "/people/")
    let_in(eks, arn, "AmazonEKSViewPolicy", "research", "dev-*")
    ada = as_role(cloud, arn)
    assert (
        who(ada)["username"]
        == f"arn:aws:sts::{ACCOUNT}:assumed-role/data-scientist/ada-example.com"
    )
    assert who(ada)["groups"] == ["system:authenticated"]
    for namespace in ("research", "dev-ada"):
        assert status(ada, PODS.format(namespace)) == 200
        assert status(ada, f"/api/v1/namespaces/{namespace}") == 200
    refused = [PODS.format("other"), "/api/v1/pods", "/api/v1/nodes", "/api/v1/namespaces",
               "/api/v1/namespaces/research/secrets"]  # fmt: skip
    assert {path: status(ada, path) for path in refused} == dict.fromkeys(refused, 403)
    assert status(ada, PODS.format("research"), "POST", content=pod("a", "research")) == 403


def test_groups_of_an_entry_are_for_the_roles_of_kubernetes(cloud: Cloud, eks: Any) -> None:
    arn = role(cloud, "member")
    let_in(eks, arn, kubernetesGroups=["plinth:research"], username="team:{{SessionNameRaw}}")
    member, inside = as_role(cloud, arn), itself(cloud)
    assert status(member, PODS.format("research")) == 403
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "members", "namespace": "research"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group",
                      "name": "plinth:research"}],
    }  # fmt: skip
    inside.create(kind(inside, "rbac.authorization.k8s.io/v1", "RoleBinding"), binding)
    until(lambda: status(member, PODS.format("research")) == 200)
    assert who(member)["username"] == "team:ada@example.com"
    assert status(member, PODS.format("other")) == 403


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("AmazonEKSEditPolicy", ["secrets", "configmaps"], ["roles"]),
        ("AmazonEKSAdminPolicy", ["secrets", "roles"], ["leases"]),
        ("AmazonEKSAdminViewPolicy", ["secrets", "leases", "nodes"], []),
    ],
)
def test_every_policy_allows_what_the_guide_says(
    name: str, allowed: list[str], refused: list[str], cloud: Cloud, eks: Any
) -> None:
    arn = role(cloud, f"of-{name}")
    let_in(eks, arn, name)
    them = as_role(cloud, arn)
    group = {"roles": "rbac.authorization.k8s.io", "leases": "coordination.k8s.io"}

    def may(resource: str, verb: str) -> bool:
        wanted = {"namespace": "research", "verb": verb, "resource": resource}
        spec = {"resourceAttributes": {**wanted, "group": group.get(resource, "")}}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = them.request("POST", path, content={**review, "spec": spec})
        return bool(answer["status"]["allowed"])

    assert {one: may(one, "list") for one in allowed} == dict.fromkeys(allowed, True)
    assert {one: may(one, "list") for one in refused} == dict.fromkeys(refused, False)
    assert may("configmaps", "create") is (name != "AmazonEKSAdminViewPolicy")


def test_whoever_has_no_entry_is_nobody(cloud: Cloud, eks: Any) -> None:
    stranger = as_role(cloud, role(cloud, "stranger"))
    assert status(stranger, "/version") == 401
    log = (cloud.home / "local" / "cloud.log").read_text()
    assert f"no access entry of arn:aws:iam::{ACCOUNT}:role/stranger" in log


def presigned(token: str) -> tuple[str, str]:
    """What is inside a token: URL until the question mark, and query."""
    text = token.removeprefix(login.PREFIX)
    url = urlsplit(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    return f"{url.scheme}://{url.netloc}{url.path}", url.query


def packed(place: str, query: str) -> str:
    raw = base64.urlsafe_b64encode(f"{place}?{query}".encode())
    return login.PREFIX + raw.decode().rstrip("=")


def test_a_token_that_is_not_as_it_was_signed_is_nobodys(cloud: Cloud, eks: Any) -> None:
    let_in(eks, OWNER, "AmazonEKSClusterAdminPolicy")
    good = login.token(CLUSTER, cloud.place())
    place, query = presigned(good)
    assert status(shown(cloud, packed(place, query)), "/version") == 200
    last = "0" if query[-1] != "0" else "1"
    faults = {
        "another signature": packed(place, query[:-1] + last),
        "another operation": packed(place, query.replace("GetCallerIdentity", "GetSessionToken")),
        "another host": packed("https://evil.example/", query),
        "another host of STS": packed("https://sts.amazonaws.com/", query),
        "another path": packed(place + "x", query),
        "more in it": packed(place, query + "&" + urlencode({"DurationSeconds": "1"})),
        "twice": packed(place, query + "&Action=GetCallerIdentity"),
        "another cluster's": login.token("plinth-other", cloud.place()),
        "no token": "k8s-aws-v1.????",
        "the home's secret": cloud.place().keys["AWS_SECRET_ACCESS_KEY"],
    }
    assert {why: status(shown(cloud, token), "/version") for why, token in faults.items()} == (
        dict.fromkeys(faults, 401)
    )


def test_a_token_is_good_for_fifteen_minutes_whatever_it_says(
    cloud: Cloud, eks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_in(eks, OWNER, "AmazonEKSClusterAdminPolicy")

    def status_after(minutes: float) -> int:
        then = datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=minutes)
        with monkeypatch.context() as patched:
            patched.setattr(botocore.auth, "get_current_datetime", lambda **_: then)
            token = login.token(CLUSTER, cloud.place())
        assert "X-Amz-Expires=60&" in presigned(token)[1]
        return status(shown(cloud, token), "/version")

    assert [status_after(minutes) for minutes in (0, 14, 15.2, 60, -20)] == [
        200,
        200,
        401,
        401,
        401,
    ]


def test_an_entry_that_is_deleted_lets_nobody_in(cloud: Cloud, eks: Any) -> None:
    arn = role(cloud, "leaver")
    let_in(eks, arn, "AmazonEKSAdminViewPolicy")
    leaver = as_role(cloud, arn)
    assert status(leaver, "/api/v1/nodes") == 200
    eks.disassociate_access_policy(
        clusterName=CLUSTER, principalArn=arn, policyArn=policy("AmazonEKSAdminViewPolicy")
    )
    until(lambda: status(leaver, "/api/v1/nodes") == 403)
    let_in_again = {"clusterName": CLUSTER, "principalArn": arn, "accessScope": {"type": "cluster"}}
    eks.associate_access_policy(policyArn=policy("AmazonEKSAdminViewPolicy"), **let_in_again)
    eks.delete_access_entry(clusterName=CLUSTER, principalArn=arn)
    until(lambda: status(leaver, "/api/v1/nodes") == 401)
    let_in(eks, arn)
    until(lambda: status(leaver, "/version") == 200)
    assert status(leaver, "/api/v1/nodes") == 403  # the policy went with the first entry


def test_a_role_made_anew_is_not_the_one_that_was_let_in(cloud: Cloud, eks: Any) -> None:
    arn = role(cloud, "twice")
    let_in(eks, arn, "AmazonEKSAdminViewPolicy")
    assert status(as_role(cloud, arn), "/api/v1/nodes") == 200
    cloud.client("iam").delete_role(RoleName="twice")
    role(cloud, "twice")
    assert status(as_role(cloud, arn), "/api/v1/nodes") == 401


def test_who_impersonates_has_no_access_policy(cloud: Cloud, eks: Any) -> None:
    let_in(eks, OWNER, "AmazonEKSClusterAdminPolicy")
    mine = shown(cloud, login.token(CLUSTER, cloud.place()))
    forged = {"Impersonate-User": "x", "Impersonate-Extra-canonicalArn": OWNER}
    answer = mine._http.get("/api/v1/nodes", headers=forged)
    assert answer.status_code == 403
    assert mine._http.get("/api/v1/nodes").status_code == 200


def test_the_kubeconfig_logs_in_as_one_of_eks_does(
    cloud: Cloud, eks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infra.cluster import client_config

    let_in(eks, OWNER, "AmazonEKSClusterAdminPolicy")
    real = client_config(CLUSTER, "https://x", "", "us-east-1")["users"][0]["user"]["exec"]
    monkeypatch.setattr(login.shutil, "which", lambda _: "/somewhere/aws")  # type: ignore[attr-defined]
    assert login.user_of(CLUSTER, "us-east-1")["exec"] == real
    monkeypatch.setattr(login.shutil, "which", lambda _: None)  # type: ignore[attr-defined]
    command = login.user_of(CLUSTER, "us-east-1")["exec"]
    assert command["command"] == sys.executable
    local = environment.LocalEnvironment(home=cloud.home, cloud=cloud.info)
    printed = subprocess.run(
        [command["command"], *command["args"]],
        env=local.clients(), cwd=cloud.home, check=True, capture_output=True, text=True,
    )  # fmt: skip
    credential = json.loads(printed.stdout)
    assert credential["kind"] == "ExecCredential"
    assert status(shown(cloud, credential["status"]["token"]), "/api/v1/nodes") == 200
    held = json.loads(local.kubeconfig.read_text())
    assert held["clusters"][0]["name"] == CLUSTER and list(held["users"][0]["user"]) == ["exec"]
    assert cloud.place().keys["AWS_SECRET_ACCESS_KEY"] not in local.kubeconfig.read_text()


def get_token(*more: str, command: str = "aws", **user: Any) -> dict[str, Any]:
    """A kubeconfig's user that asks for a token."""
    args = ["eks", "get-token", "--cluster-name", CLUSTER, "--region", "us-east-1", *more]
    return {"exec": {"command": command, "args": args, **user}}


def test_the_provider_logs_in_as_the_role_that_a_kubeconfig_names(cloud: Cloud, eks: Any) -> None:
    arn = role(cloud, "pipeline")
    let_in(eks, arn, "AmazonEKSViewPolicy", "research")
    named = login.login(get_token("--role-arn", arn), cloud.place())
    assert named.whom() == arn
    assert who(shown(cloud, named.token()))["username"].endswith("/pipeline/EKSGetTokenAuth")
    assert named.token() == named.token()
    assert login.login(get_token(), cloud.place()).whom() == OWNER


@pytest.mark.parametrize(
    ("user", "told"),
    [
        ({}, "must log in with the command `aws eks get-token`"),
        ({"token": "secret"}, "must log in with the command `aws eks get-token`"),
        (get_token(command="kubelogin"), "got kubelogin"),
        (get_token(env=[{"name": "AWS_PROFILE", "value": "x"}]), "got variables of its own"),
        (get_token("--profile", "x"), "unrecognized arguments: --profile x"),
        ({"exec": {"command": "aws", "args": ["eks", "get-token"]}}, "--cluster-name"),
    ],
)
def test_no_other_login_is_taken(user: dict[str, Any], told: str) -> None:
    place = login.Place(endpoint="http://127.0.0.1:1", region="us-east-1", keys={})
    with pytest.raises(UserError, match=told):
        login.login(user, place)


def test_eks_makes_an_entry_of_the_nodes_role(cloud: Cloud, eks: Any) -> None:
    arn = role(cloud, "node")
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "ec2.amazonaws.com", "AWS": "arn:aws:iam::123456789012:root"},
        "Action": "sts:AssumeRole",
    }
    cloud.client("iam").update_assume_role_policy(
        RoleName="node",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    subnet = cloud.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    group = {"clusterName": CLUSTER, "nodegroupName": "n", "subnets": [subnet], "nodeRole": arn}
    eks.create_nodegroup(**group, scalingConfig={"minSize": 0, "maxSize": 1, "desiredSize": 0})
    entry = eks.describe_access_entry(clusterName=CLUSTER, principalArn=arn)["accessEntry"]
    assert (entry["type"], entry["kubernetesGroups"]) == ("EC2_LINUX", ["system:nodes"])
    scope = {"accessScope": {"type": "cluster"}, "policyArn": policy("AmazonEKSViewPolicy")}
    code, message, _ = refusal(
        eks.associate_access_policy, clusterName=CLUSTER, principalArn=arn, **scope
    )
    assert code == "InvalidRequestException" and "EC2_LINUX" in message
    assert status(as_role(cloud, arn, name="i-0123456789abcdef0"), "/version") == 401
    made = cloud.client("ec2").run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)
    instance = made["Instances"][0]
    node = as_role(cloud, arn, name=instance["InstanceId"])
    assert who(node)["username"] == f"system:node:{instance['PrivateDnsName']}"
    assert "system:nodes" in who(node)["groups"]
    assert status(node, "/api/v1/services") == 200  # the node authorizer's, as on EKS
    assert status(node, "/api/v1/secrets") == 403
    eks.delete_nodegroup(clusterName=CLUSTER, nodegroupName="n")


def test_what_eks_refuses_about_entries(cloud: Cloud, eks: Any) -> None:
    arn = role(cloud, "reserved")
    wrong: dict[str, dict[str, Any]] = {
        "it cannot start with system:": {"kubernetesGroups": ["system:masters"]},
        "must not begin with eks:": {"username": "eks:mine"},
        "of type EC2_LINUX": {"type": "EC2_LINUX", "kubernetesGroups": ["mine"]},
    }
    for told, more in wrong.items():
        code, message, _ = refusal(
            eks.create_access_entry, clusterName=CLUSTER, principalArn=arn, **more
        )
        assert code == "InvalidParameterException" and told in message
    linked = (
        f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
    )
    _, message, _ = refusal(eks.create_access_entry, clusterName=CLUSTER, principalArn=linked)
    assert "do not support service linked roles" in message
    scope = {"accessScope": {"type": "cluster"}, "policyArn": policy("AmazonEKSViewPolicy")}
    code, _, _ = refusal(
        eks.associate_access_policy, clusterName=CLUSTER, principalArn=arn, **scope
    )
    assert code == "ResourceNotFoundException"
    back = {"authenticationMode": "API_AND_CONFIG_MAP"}
    _, message, _ = refusal(eks.update_cluster_config, name=CLUSTER, accessConfig=back)
    assert message == "Unsupported authentication mode update from API to API_AND_CONFIG_MAP"


def test_whoever_makes_a_cluster_is_let_in_unless_it_says_otherwise(cloud: Cloud) -> None:
    eks = cloud.client("eks")
    new: dict[str, Any] = {"roleArn": ROLE, "resourcesVpcConfig": {}}
    eks.create_cluster(name="by-api", accessConfig={"authenticationMode": "API"}, **new)
    assert eks.list_access_entries(clusterName="by-api")["accessEntries"] == [OWNER]
    [held] = eks.list_associated_access_policies(clusterName="by-api", principalArn=OWNER)[
        "associatedAccessPolicies"
    ]
    assert held["policyArn"] == policy("AmazonEKSClusterAdminPolicy")
    eks.delete_cluster(name="by-api")
    eks.create_cluster(name="by-map", **new)
    code, message, _ = refusal(eks.list_access_entries, clusterName="by-map")
    assert code == "InvalidRequestException" and "API_AND_CONFIG_MAP" in message
    eks.update_cluster_config(
        name="by-map", accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"}
    )
    assert eks.list_access_entries(clusterName="by-map")["accessEntries"] == [OWNER]
    eks.delete_cluster(name="by-map")
    closed = {"authenticationMode": "CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": False}
    code, _, _ = refusal(eks.create_cluster, name="shut", accessConfig=closed, **new)
    assert code == "InvalidParameterException"
