"""Where pods go, decided by a real API server and scheduler from what our program registers."""

from collections.abc import Iterator
from functools import partial

import pytest

from stacks.local.kubernetes.client import ApiError
from tests.kits.kubernetes import Kubernetes, control_plane, control_plane_binaries, until
from tests.kits.scheduling import TEAMS, gpu_node, job, manifests, platform, pod

__all__ = ["control_plane", "control_plane_binaries"]


@pytest.fixture(scope="module")
def teams(control_plane: Kubernetes) -> Kubernetes:
    """The cluster with the objects of every team."""
    control_plane.apply(*manifests(platform()))
    for team in TEAMS:
        until(partial(control_plane.get, "v1", "ServiceAccount", "default", team))
    control_plane.node("system", "m6i.xlarge")
    return control_plane


@pytest.fixture
def cluster(teams: Kubernetes) -> Iterator[Kubernetes]:
    """Two GPU nodes, empty; jobs and pods go afterwards."""
    for name in ("gpu-1", "gpu-2"):
        gpu_node(teams, name)
    yield teams
    for team in TEAMS:
        for item in teams.list("batch/v1", "Job", team):
            teams.delete("batch/v1", "Job", item["metadata"]["name"], team)
        for name in teams.pods(team):
            teams.delete("v1", "Pod", name, team)
        until(partial(empty, teams, team))
    for item in teams.list("v1", "Node"):
        if item["metadata"]["name"] != "system":
            teams.remove_node(item["metadata"]["name"])


@pytest.fixture
def one_node(cluster: Kubernetes) -> Kubernetes:
    """The cluster with the GPUs of one node: less than the teams' shares."""
    cluster.remove_node("gpu-2")
    return cluster


def empty(cluster: Kubernetes, team: str) -> bool:
    return not cluster.pods(team)


def placed(cluster: Kubernetes, team: str) -> dict[str, str]:
    """Pods of a team that are on a node."""
    return {name: node for name, node in cluster.pods(team).items() if node}


def run(cluster: Kubernetes, team: str, name: str, *, gpus: int, priority: str) -> str:
    """Create a pod and wait until it is on a node: its name."""
    cluster.apply(pod(team, name, gpus=gpus, priority=priority))
    return until(lambda: cluster.pods(team).get(name))


def test_a_team_over_its_share_is_refused_with_the_numbers(cluster: Kubernetes) -> None:
    run(cluster, "research", "first", gpus=8, priority="training")
    with pytest.raises(ApiError) as refused:
        cluster.apply(pod("research", "second", gpus=2, priority="experimentation"))
    message = str(refused.value)
    assert "exceeded quota: guaranteed" in message
    assert "requested: requests.nvidia.com/gpu=2" in message
    assert "used: requests.nvidia.com/gpu=8, limited: requests.nvidia.com/gpu=8" in message


def test_a_team_borrows_up_to_its_limit_and_no_further(cluster: Kubernetes) -> None:
    run(cluster, "research", "own", gpus=8, priority="training")
    run(cluster, "research", "beyond", gpus=4, priority="training-borrowed")
    with pytest.raises(ApiError, match=r"exceeded quota: borrowed.*limited: .*gpu=4"):
        cluster.apply(pod("research", "more", gpus=1, priority="training-borrowed"))


def test_inference_preempts_research_training_and_never_the_reverse(one_node: Kubernetes) -> None:
    run(one_node, "research", "train", gpus=8, priority="training")
    assert run(one_node, "serving", "predict", gpus=4, priority="inference") == "gpu-1"
    assert "train" not in one_node.pods("research")
    one_node.apply(pod("research", "again", gpus=8, priority="training"))
    until(lambda: "preemption" in one_node.waiting_because("research", "again"))
    assert placed(one_node, "serving") == {"predict": "gpu-1"}
    assert placed(one_node, "research") == {}


def test_a_lender_gets_its_share_back_from_who_borrowed_it(cluster: Kubernetes) -> None:
    for index in range(4):
        run(cluster, "vision", f"own-{index}", gpus=1, priority="fine-tuning")
    for index in range(8):
        run(cluster, "vision", f"more-{index}", gpus=1, priority="training-borrowed")
    run(cluster, "serving", "predict", gpus=4, priority="inference")  # the last idle ones
    for index in range(8):
        run(cluster, "research", f"train-{index}", gpus=1, priority="training")
    assert len(placed(cluster, "research")) == 8
    assert sorted(placed(cluster, "vision")) == [f"own-{index}" for index in range(4)]
    assert placed(cluster, "serving")


def test_a_borrower_takes_nothing_from_another_borrower(one_node: Kubernetes) -> None:
    run(one_node, "vision", "tune", gpus=8, priority="fine-tuning-borrowed")
    one_node.apply(pod("research", "explore", gpus=4, priority="experimentation-borrowed"))
    until(lambda: one_node.waiting_because("research", "explore"))
    assert placed(one_node, "vision") == {"tune": "gpu-1"}
    assert placed(one_node, "research") == {}


def test_two_teams_with_a_backlog_each_get_their_share(cluster: Kubernetes) -> None:
    """More jobs than GPUs on both sides: quota refuses the pods beyond, the rest runs."""
    for index in range(12):
        cluster.apply(job("research", f"research-{index}", gpus=1, priority="training"))
        cluster.apply(job("vision", f"vision-{index}", gpus=1, priority="training"))
    until(lambda: len(placed(cluster, "research")) == 8 and len(placed(cluster, "vision")) == 4)
    for index in range(4):
        run(cluster, "serving", f"predict-{index}", gpus=1, priority="inference")
    assert len(placed(cluster, "research")) == 8
    assert len(placed(cluster, "vision")) == 4


def test_a_job_of_the_backlog_starts_once_another_one_ends(cluster: Kubernetes) -> None:
    for index in range(5):
        cluster.apply(job("vision", f"job-{index}", gpus=1, priority="training"))
    until(lambda: len(placed(cluster, "vision")) == 4)
    [first, *_] = sorted(placed(cluster, "vision"))
    ended = first.rpartition("-")[0]
    cluster.delete("batch/v1", "Job", ended, "vision")
    until(lambda: len({name for name in placed(cluster, "vision") if ended not in name}) == 4)


def test_a_pod_without_the_toleration_never_lands_on_a_gpu_node(cluster: Kubernetes) -> None:
    cluster.apply(pod("research", "notebook", nodeSelector={"plinth.dev/pool": "gpu-training"}))
    why = until(lambda: cluster.waiting_because("research", "notebook"))
    assert "2 node(s) had untolerated taint(s)" in why
    cluster.apply(pod("research", "anywhere"))
    assert until(lambda: cluster.pods("research")["anywhere"]) == "system"


def test_a_pod_that_tolerates_gpus_but_asks_for_none_is_refused(cluster: Kubernetes) -> None:
    for toleration in (
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"operator": "Exists"},
    ):
        with pytest.raises(ApiError, match=r"pod squatter must ask for nvidia\.com/gpu"):
            cluster.apply(pod("research", "squatter", tolerations=[toleration]))
    cluster.apply(pod("research", "tolerant", tolerations=[{"key": "spot", "operator": "Exists"}]))


def test_work_moves_from_a_node_that_turns_unhealthy_to_another(cluster: Kubernetes) -> None:
    cluster.apply(job("research", "train", gpus=8, priority="training"))
    [before] = until(lambda: list(placed(cluster, "research").values()))
    cluster.fail_node(before)
    [other] = {"gpu-1", "gpu-2"} - {before}
    until(lambda: other in placed(cluster, "research").values())
