"""What the API server refuses to users and what it lets the system do, with our own objects."""

from functools import partial
from typing import Any

import pytest

from stacks.local.kubernetes.client import ApiError
from stacks.local.kubernetes.nodes import POD
from tests.kits.kubernetes import Kubernetes, control_plane, control_plane_binaries, until
from tests.kits.scheduling import IMAGE, TEAMS, manifests, platform, pod

__all__ = ["control_plane", "control_plane_binaries"]

EVERYWHERE: dict[str, Any] = {"tolerations": [{"operator": "Exists"}]}
"""Tolerates every taint, as agents on every node do."""

BINDING = ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", "plinth-gpus")


def refused(cluster: Kubernetes, item: dict[str, Any]) -> str:
    """Why the server refuses an object; empty when it would take it. Nothing is created."""
    try:
        cluster.client.apply(cluster.kind(item["apiVersion"], item["kind"]), item, dry_run=True)
    except ApiError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def cluster(control_plane: Kubernetes) -> Kubernetes:
    """A cluster with a pod from before, a namespace of the system's and one of nobody's."""
    for name in ("nobody", "nvidia"):
        control_plane.namespace(name)
    old = pod("nobody", "old", labels={}, **EVERYWHERE)
    old["metadata"]["finalizers"] = ["plinth.dev/hold"]
    control_plane.apply(old)
    control_plane.apply(*manifests(platform()))
    for team in TEAMS:
        until(partial(control_plane.get, "v1", "ServiceAccount", "default", team))
    probes = (
        pod("nobody", "probe", labels={}, **EVERYWHERE),
        pod("nobody", "probe", labels={}, hostNetwork=True),
        pod("research", "probe", image="example/image:1"),
    )
    until(lambda: all("plinth-" in refused(control_plane, probe) for probe in probes))
    return control_plane


def test_an_ordinary_pod_of_a_team_is_welcome(cluster: Kubernetes) -> None:
    assert refused(cluster, pod("research", "a")) == ""
    assert refused(cluster, pod("research", "a", gpus=8, priority="training")) == ""


def test_a_pod_with_gpus_says_whose_it_is(cluster: Kubernetes) -> None:
    for labels in ({}, {"plinth.dev/team": "vision"}):
        anonymous = pod("research", "a", gpus=1, priority="training", labels=labels)
        assert "must have the label plinth.dev/team=research" in refused(cluster, anonymous)


@pytest.mark.parametrize("priority", ["inference", "fine-tuning-borrowed", None])
def test_a_pod_with_gpus_has_a_priority_of_its_team(
    cluster: Kubernetes, priority: str | None
) -> None:
    why = refused(cluster, pod("research", "a", gpus=1, priority=priority))
    allowed = "training, experimentation, training-borrowed, experimentation-borrowed"
    assert f"priorityClassName must be one of {allowed}, got {priority or 'none'}" in why


def test_gpus_are_only_for_teams(cluster: Kubernetes) -> None:
    why = refused(cluster, pod("nobody", "a", gpus=1, priority="training"))
    assert "must be in the namespace of a team" in why


def test_a_slice_that_no_quota_counts_is_refused(cluster: Kubernetes) -> None:
    sliced = pod("research", "a", priority="training")
    [container] = sliced["spec"]["containers"]
    container["resources"]["limits"] = {"nvidia.com/mig-1g.10gb": "1"}
    assert "no quota counts nvidia.com/mig-1g.10gb" in refused(cluster, sliced)


def test_gpus_of_an_init_container_count_too(cluster: Kubernetes) -> None:
    early = pod("research", "a")
    [container] = early["spec"]["containers"]
    limits = {"nvidia.com/gpu": "1"}
    early["spec"]["initContainers"] = [
        {**container, "name": "first", "resources": {**container["resources"], "limits": limits}}
    ]
    assert "priorityClassName must be one of" in refused(cluster, early)


@pytest.mark.parametrize(
    "image",
    [
        IMAGE.partition("@")[0] + ":v1",
        IMAGE.partition("@")[0] + "@sha256:0",
        "vllm/vllm-openai@sha256:" + "0" * 64,
        "333333333333.dkr.ecr.us-east-1.amazonaws.com.evil.example/a@sha256:" + "0" * 64,
    ],
)
def test_an_image_comes_by_digest_from_an_approved_registry(
    cluster: Kubernetes, image: str
) -> None:
    why = refused(cluster, pod("research", "a", image=image))
    assert "by digest from 333333333333.dkr.ecr.us-east-1.amazonaws.com, got " + image in why


def test_a_running_pod_cannot_change_to_another_image(cluster: Kubernetes) -> None:
    cluster.apply(pod("research", "running"))
    swap = pod("research", "running", image="example/miner:1")
    with pytest.raises(ApiError, match="by digest from"):
        cluster.apply(swap)
    [main] = pod("research", "running")["spec"]["containers"]
    debug = {
        "name": "debug",
        "image": "example/miner:1",
        "securityContext": main["securityContext"],
    }
    with pytest.raises(ApiError, match="by digest from"):
        cluster.client.patch(
            POD,
            "research",
            "running/ephemeralcontainers",
            {"spec": {"ephemeralContainers": [debug]}},
        )


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"hostNetwork": True}, "the network, processes or memory of its node"),
        ({"hostPID": True}, "the network, processes or memory of its node"),
        ({"hostIPC": True}, "the network, processes or memory of its node"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "hostPath"),
    ],
)
def test_no_user_reaches_into_the_node(
    cluster: Kubernetes, spec: dict[str, Any], problem: str
) -> None:
    assert problem in refused(cluster, pod("nobody", "a", labels={}, **spec))
    assert refused(cluster, pod("nvidia", "a", labels={}, **spec)) == ""


def test_no_user_runs_a_privileged_container(cluster: Kubernetes) -> None:
    privileged = pod("nobody", "a", labels={})
    [container] = privileged["spec"]["containers"]
    container["securityContext"] = {"privileged": True}
    assert "must not be privileged" in refused(cluster, privileged)
    privileged["metadata"]["namespace"] = "nvidia"
    assert refused(cluster, privileged) == ""


def test_a_root_container_is_refused_in_the_namespace_of_a_team(cluster: Kubernetes) -> None:
    root = pod("research", "a")
    [container] = root["spec"]["containers"]
    del container["securityContext"]["runAsNonRoot"]
    assert 'violates PodSecurity "restricted' in refused(cluster, root)


def test_agents_of_the_system_run_on_gpu_nodes_without_asking_for_gpus(
    cluster: Kubernetes,
) -> None:
    agent = pod("nvidia", "device-plugin", labels={}, image="example/agent:1", **EVERYWHERE)
    assert refused(cluster, agent) == ""


def test_a_pod_from_before_can_still_go(cluster: Kubernetes) -> None:
    """Taking a finalizer away is an update; refused, it would keep its namespace for ever."""
    until(lambda: cluster.get("v1", "Pod", "old", "nobody"))
    cluster.client.delete(POD, "nobody", "old")
    cluster.client.patch(POD, "nobody", "old", {"metadata": {"finalizers": None}})
    until(lambda: cluster.get("v1", "Pod", "old", "nobody") is None)


@pytest.mark.parametrize(
    "way", [{"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False}, {"type": "NodePort"}]
)
def test_a_team_opens_no_way_in_past_the_platform(cluster: Kubernetes, way: dict[str, Any]) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "open", "namespace": "research"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "a"}, **way},
    }
    with pytest.raises(ApiError, match="exceeded quota: total"):
        cluster.apply(service)


def test_a_team_claims_no_device_around_its_quota(cluster: Kubernetes) -> None:
    request = {"name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com"}}
    claim = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": "gpu", "namespace": "research"},
        "spec": {"devices": {"requests": [request]}},
    }
    with pytest.raises(ApiError, match=r"exceeded quota: total.*resourceclaims"):
        cluster.apply(claim)


def may(cluster: Kubernetes, verb: str, resource: str, namespace: str) -> bool:
    """Whether the members of team research may do this."""
    group, _, name = resource.rpartition("/")
    review: dict[str, Any] = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "metadata": {},
        "spec": {
            "user": "ada",
            "groups": ["plinth:research"],
            "resourceAttributes": {
                "verb": verb,
                "group": group,
                "resource": name,
                "namespace": namespace,
            },
        },
    }
    kind = cluster.kind(review["apiVersion"], review["kind"])
    answer: bool = cluster.client.create(kind, review)["status"]["allowed"]
    return answer


def test_members_work_in_their_own_namespace_alone(cluster: Kubernetes) -> None:
    for resource in ("pods", "batch/jobs", "ray.io/rayclusters"):
        assert may(cluster, "create", resource, "research")
        assert not may(cluster, "create", resource, "vision")


def test_members_change_neither_their_limits_nor_read_secrets(cluster: Kubernetes) -> None:
    assert may(cluster, "get", "resourcequotas", "research")
    for resource in (
        "limitranges",
        "namespaces",
        "networking.k8s.io/networkpolicies",
        "rbac.authorization.k8s.io/rolebindings",
        "resourcequotas",
        "serviceaccounts",
    ):
        assert not may(cluster, "patch", resource, "research")
    assert not may(cluster, "get", "secrets", "research")


def test_quotas_alone_refuse_gpus_outside_the_priorities_of_a_team(cluster: Kubernetes) -> None:
    """What holds even where the guardrails are gone."""
    cluster.delete(*BINDING)
    stray = pod("research", "stray", gpus=1, priority="inference")
    until(lambda: "plinth-gpus" not in refused(cluster, stray))
    assert "exceeded quota: other" in refused(cluster, stray)
    assert "exceeded quota: other" in refused(cluster, pod("research", "stray", gpus=1))
