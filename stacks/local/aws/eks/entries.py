"""Access entries as EKS keeps them: what it fills in, makes by itself, and deletes along.

Sources: EKS User Guide, "Create access entries" and "Change authentication mode to use access
entries"; Amazon EKS API, CreateAccessConfigRequest.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from stacks.local.aws.iam.authorizer import Authorizer
from stacks.local.aws.iam.callers import caller
from stacks.local.aws.recorded.eks import ASSOCIATION, ENTRY
from stacks.local.aws.recorded.recorder import Recorder, Store

CONFIG_MAP, API = "CONFIG_MAP", "API"
"""Authentication modes; the third one is both."""

ADMINISTRATOR = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"

NODE = "system:node:{{EC2PrivateDNSName}}"
SESSION = "system:node:{{SessionName}}"
OF_TYPE: Mapping[str, tuple[str, list[str]]] = {
    "EC2": (NODE, ["system:nodes"]),
    "EC2_LINUX": (NODE, ["system:nodes"]),
    "EC2_WINDOWS": (NODE, ["system:nodes", "eks:kube-proxy-windows"]),
    "FARGATE_LINUX": (SESSION, ["system:bootstrappers", "system:nodes", "system:node-proxier"]),
    "HYBRID_LINUX": (SESSION, ["system:nodes"]),
}
"""Type of an entry of nodes -> the user name and groups that EKS gives it."""


def install(recorder: Recorder, authorizer: Authorizer) -> None:
    """Let moto's EKS keep a cluster's access configuration, and act on it as EKS does."""
    from moto.eks.responses import EKSResponse

    def after(name: str, act: Callable[[Any, Any], None]) -> None:
        operation = getattr(EKSResponse, name)

        @functools.wraps(operation)
        def acted(response: Any) -> Any:
            answer = operation(response)
            act(response, answer.result)
            return answer

        setattr(EKSResponse, name, acted)

    def creator(response: Any) -> str:
        key = response.get_access_key()
        who = caller(key, authorizer.own_key, authorizer.place, authorizer.owners).principal
        return who.entity or who.arn

    def cluster_made(response: Any, result: Any) -> None:
        cluster, asked = result["cluster"], response._get_param("accessConfig") or {}
        lets_in = asked.get("bootstrapClusterCreatorAdminPermissions", True)
        cluster.access_config = {
            "authenticationMode": asked.get("authenticationMode") or CONFIG_MAP,
            "bootstrapClusterCreatorAdminPermissions": lets_in,
        }
        cluster.creator = creator(response) if lets_in else ""
        _let_creator_in(recorder, cluster)

    def cluster_changed(response: Any, result: Any) -> None:
        cluster, asked = result["cluster"], response._get_param("accessConfig") or {}
        if asked.get("authenticationMode"):
            cluster.access_config["authenticationMode"] = asked["authenticationMode"]
            _let_creator_in(recorder, cluster)

    def nodes_made(response: Any, result: Any) -> None:
        group = result["nodegroup"]
        if mode_of(response.eks_backend.clusters[group.cluster_name]) != CONFIG_MAP:
            _make(recorder, group.cluster_name, group.node_role, type="EC2_LINUX")

    after("create_cluster", cluster_made)
    after("update_cluster_config", cluster_changed)
    after("create_nodegroup", nodes_made)
    after("delete_cluster", lambda _, result: forget(recorder.store, result["cluster"].name))


def mode_of(cluster: Any) -> str:
    """Where a cluster of moto's looks for whom to let in."""
    return str(cluster.access_config["authenticationMode"])


def _let_creator_in(recorder: Recorder, cluster: Any) -> None:
    """An entry of whoever made the cluster, where it has entries and its creator one."""
    if cluster.creator and mode_of(cluster) != CONFIG_MAP:
        _make(recorder, cluster.name, cluster.creator)
        request = {"clusterName": cluster.name, "principalArn": cluster.creator}
        scope = {"policyArn": ADMINISTRATOR, "accessScope": {"type": "cluster"}}
        recorder.answer("eks", "AssociateAccessPolicy", {**request, **scope})


def _make(recorder: Recorder, cluster: str, principal: str, **more: str) -> None:
    """An entry, unless there is one."""
    with recorder.store.lock:
        if (cluster, principal) not in recorder.store.of(ENTRY):
            request = {"clusterName": cluster, "principalArn": principal, **more}
            recorder.answer("eks", "CreateAccessEntry", request)


def made(store: Store, request: Mapping[str, Any]) -> None:
    """What EKS fills in where a request for an entry does not say it, and whose entry it is."""
    arn = str(request["principalArn"])
    held = store.of(ENTRY)[str(request["clusterName"]), arn].members
    username, groups = OF_TYPE.get(held["type"], (_user_name(arn), []))
    held.setdefault("username", username)
    held["kubernetesGroups"] = held.get("kubernetesGroups") or groups
    held["principalId"] = _unique_id(arn)


def deleted(store: Store, request: Mapping[str, Any]) -> None:
    """The policies that were associated with an entry go with it."""
    gone = (str(request["clusterName"]), str(request["principalArn"]))
    for key in [key for key in store.of(ASSOCIATION) if key[:2] == gone]:
        del store.of(ASSOCIATION)[key]


def forget(store: Store, cluster: str) -> None:
    """A cluster is gone, and with it whom it let in."""
    with store.lock:
        for kind in (ENTRY, ASSOCIATION):
            for key in [key for key in store.of(kind) if key[0] == cluster]:
                del store.of(kind)[key]


AFTER = {
    ("eks", "CreateAccessEntry"): made,
    ("eks", "DeleteAccessEntry"): deleted,
}
"""What happens once the recorder has answered."""


def _user_name(arn: str) -> str:
    """A user's own ARN; for a role that of its sessions, without the role's path."""
    if ":role/" not in arn:
        return arn
    partition, account = arn.split(":")[1], arn.split(":")[4]
    return (
        f"arn:{partition}:sts::{account}:assumed-role/{arn.rpartition('/')[2]}/{{{{SessionName}}}}"
    )


def _unique_id(arn: str) -> str:
    """The id that a principal does not share with a later one of its name; empty: not known."""
    from moto.iam.models import iam_backends

    parts = arn.split(":")
    if len(parts) != 6:
        return ""
    backend = iam_backends[parts[4]][parts[1]]
    known = [*list(backend.roles.values()), *list(backend.users.values())]
    return str(next((one.id for one in known if one.arn == arn), ""))
