"""Teams, queues and workloads: what is registered for them, and what the settings refuse."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from infra.errors import UserError
from infra.queues import GUARANTEED_STEP
from policies.data import Resource
from stacks.settings.load import load_cluster
from stacks.settings.scheduling import Queues
from tests.kits.scheduling import (
    LLM,
    POOL,
    RAY,
    TEAMS,
    platform,
    registered,
    validated,
    workloads,
)
from tests.kits.stacks import changed, copied, synth


def named(found: list[Resource], kind: str) -> dict[str, dict[str, Any]]:
    """Objects of a kind by name."""
    values = (item.inputs.value for item in found)
    return {item["metadata"]["name"]: item for item in values if item.get("kind") == kind}


def releases(found: list[Resource]) -> dict[str, dict[str, Any]]:
    charts = (item.inputs.value for item in found if item.type.endswith(":Release"))
    return {item["name"]: item for item in charts}


@given(st.lists(st.integers(1, 999), min_size=1, max_size=6))
def test_all_that_is_guaranteed_goes_before_all_that_is_borrowed(priorities: list[int]) -> None:
    guaranteed = [priority * GUARANTEED_STEP for priority in priorities]
    assert min(guaranteed) > max(priorities)


def test_a_priority_class_per_priority_and_tier() -> None:
    classes = named(registered(platform()), "PriorityClass")
    order = sorted(classes, key=lambda name: -classes[name]["value"])
    tiers = ["inference", "experimentation", "training", "fine-tuning"]
    assert order == [*tiers, *(f"{name}-borrowed" for name in tiers)]
    assert max(item["value"] for item in classes.values()) < 1_000_000_000  # the system's own


def test_a_queue_knows_the_share_of_its_team_in_every_pool() -> None:
    queues = named(registered(platform()), "ClusterQueue")
    assert set(queues) == set(TEAMS)
    assert {queue["spec"]["cohortName"] for queue in queues.values()} == {"gpus"}
    [group] = queues["vision"]["spec"]["resourceGroups"]
    [flavor] = group["flavors"]
    [quota] = flavor["resources"]
    assert flavor["name"] == POOL
    assert (quota["name"], quota["nominalQuota"], quota["borrowingLimit"]) == (
        "nvidia.com/gpu",
        4,
        8,
    )
    assert queues["vision"]["spec"]["preemption"] == {
        "reclaimWithinCohort": "LowerPriority",
        "withinClusterQueue": "LowerPriority",
    }


def test_a_flavor_is_the_nodes_of_a_pool() -> None:
    flavors = named(registered(platform()), "ResourceFlavor")
    assert {name: item["spec"]["nodeLabels"] for name, item in flavors.items()} == {
        POOL: {"plinth.dev/pool": POOL}
    }


def test_jobs_that_name_no_queue_wait_in_that_of_their_team() -> None:
    queues = [
        item.inputs.value
        for item in registered(platform())
        if item.inputs.value.get("kind") == "LocalQueue"
    ]
    found = {item["metadata"]["namespace"]: item["spec"]["clusterQueue"] for item in queues}
    assert found == {team: team for team in TEAMS}
    assert {item["metadata"]["name"] for item in queues} == {"default"}


def test_kueue_keeps_answering_and_never_hears_of_the_system() -> None:
    kueue = releases(registered(platform()))["kueue"]
    assert kueue["version"] == "0.16.4"
    manager = kueue["values"]["controllerManager"]
    assert manager["replicas"] >= 2
    assert manager["podDisruptionBudget"] == {"enabled": True, "minAvailable": 1}
    assert manager["manager"]["priorityClassName"] == "system-cluster-critical"
    assert manager["nodeSelector"] == {"plinth.dev/pool": "system"}
    text = kueue["values"]["managerConfig"]["controllerManagerConfigYaml"]
    [selector] = json.loads(text)["managedJobsNamespaceSelector"]["matchExpressions"]
    assert selector == {"key": "plinth.dev/team", "operator": "Exists"}


def test_without_kueue_the_native_quotas_stay() -> None:
    found = registered(platform(queues=Queues(kueue_version=None)))
    kinds = {item.inputs.value.get("kind") for item in found}
    assert releases(found) == {}
    assert kinds & {"ClusterQueue", "LocalQueue", "ResourceFlavor"} == set()
    assert len([i for i in found if i.type.endswith(":ResourceQuota")]) == 4 * len(TEAMS)


def test_nothing_reaches_a_pod_of_a_team_from_elsewhere() -> None:
    policies = [
        item.inputs.value for item in registered(platform()) if item.type.endswith(":NetworkPolicy")
    ]
    assert {item["metadata"]["namespace"] for item in policies} == set(TEAMS)
    for item in policies:
        assert item["spec"]["podSelector"] == {}
        assert set(item["spec"]["policyTypes"]) == {"Ingress", "Egress"}
        sources = [peer for rule in item["spec"].get("ingress", []) for peer in rule["from"]]
        assert all(peer == {"podSelector": {}} for peer in sources)


def test_a_pod_gets_no_token_for_the_api_server() -> None:
    accounts = [i.inputs.value for i in registered(platform()) if i.type.endswith("ServiceAccount")]
    assert {item["metadata"]["namespace"] for item in accounts} == set(TEAMS)
    assert all(item["automountServiceAccountToken"] is False for item in accounts)


def test_a_person_in_two_teams_has_one_access_entry() -> None:
    """EKS refuses a second entry for the same principal."""
    ada = "arn:aws:iam::333333333333:role/ada"
    members = {team: {**TEAMS[team], "member_role_arns": [ada]} for team in ("research", "vision")}
    found = synth("prod.cluster", platform({**TEAMS, **members}))
    [entry] = [
        item.inputs.value
        for item in found
        if item.type.endswith(":AccessEntry") and item.inputs.value["principalArn"] == ada
    ]
    assert entry["kubernetesGroups"] == ["plinth:research", "plinth:vision"]


def test_an_environment_without_teams_has_no_queues() -> None:
    settings = changed(load_cluster("prod"), teams={})
    found = synth("prod.cluster", settings)
    assert named(found, "PriorityClass") == {}
    assert "kueue" not in releases(found)


def test_shares_beyond_the_pool_are_refused_with_the_numbers(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    path = folder / "Pulumi.prod.cluster.yaml"
    text = path.read_text()
    assert text.count("nominal_gpus: { gpu-training: 16 }") == 1
    path.write_text(
        text.replace("nominal_gpus: { gpu-training: 16 }", "nominal_gpus: { gpu-training: 20 }")
    )
    line = next(n for n, row in enumerate(text.splitlines(), 1) if row == "  plinth:teams:")
    with pytest.raises(UserError) as refused:
        load_cluster("prod", folder)
    assert (
        f":{line}: plinth:teams: nominal_gpus of all teams must be at most the 32 GPUs that pool "
        "'gpu-training' (p5.48xlarge) may have, got 36: research 20, serving 8, vision 8"
    ) in str(refused.value)


@pytest.mark.parametrize(
    ("teams", "problem"),
    [
        ({"a1a": {"nominal_gpus": {"gpu": 1}, "priorities": ["training"]}}, "must name some of"),
        ({"a1a": {"borrowing_gpus": {"gpu": 1}, "priorities": ["training"]}}, "must name some of"),
        ({"a1a": {"priorities": ["urgent"]}}, "got urgent"),
        ({"a1a": {"priorities": []}}, "at least 1 item"),
        ({"kube-a": {"priorities": ["training"]}}, "name of a system namespace"),
        ({"monitoring": {"priorities": ["training"]}}, "name of a system namespace"),
        ({"A": {"priorities": ["training"]}}, "match pattern"),
        ({"a1a": {"priorities": ["training"], "group": "system:masters"}}, "reserved prefix"),
        ({"a1a": {"priorities": ["training"], "nominal_gpus": {POOL: -1}}}, "greater than"),
    ],
)
def test_a_team_that_cannot_be_is_refused(teams: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        validated(teams=teams)


def test_a_second_kueue_is_refused() -> None:
    addon = {"amazon-sagemaker-hyperpod-taskgovernance": "v1.0.0-eksbuild.1"}
    cluster = platform().cluster.model_dump()
    cluster["addons"] |= addon
    with pytest.raises(ValidationError, match="kueue_version must be null with the add-on"):
        validated(cluster=cluster, queues={})
    validated(cluster=cluster, queues={"kueue_version": None})


def test_shares_of_a_time_sliced_pool_are_counted_by_slice() -> None:
    scaling = {"min_size": 0, "desired_size": 0, "max_size": 2}
    pool = {"instance_type": "g5.xlarge", "scaling": scaling, "time_slicing_replicas": 4}

    def share(gpus: int) -> dict[str, Any]:
        return {"research": {"priorities": ["training"], "nominal_gpus": {"shared": gpus}}}

    validated(gpu_pools={"shared": pool}, teams=share(8))
    with pytest.raises(ValidationError, match="at most the 8 GPUs that pool 'shared'"):
        validated(gpu_pools={"shared": pool}, teams=share(9))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"ray": {**RAY, "team": "nobody"}}, r"ray\.team must name some of research"),
        ({"ray": {**RAY, "priority": "inference"}}, r"ray\.priority must name some of training"),
        ({"ray": {**RAY, "workers": 9}}, "at most the 8 GPUs .* got 9: ray 9"),
        ({"ray": {**RAY, "image": "rayproject/ray:2.51.0"}}, "match pattern"),
        ({"llm_kubernetes": {"chat": {**LLM, "gpus": 8}}}, "at most the 4 GPUs .* chat 8"),
        ({"llm_kubernetes": {"chat": {**LLM, "max_replicas": 5}}}, "got 5: chat 5"),
        (
            {"llm_kubernetes": {"chat": {**LLM, "gpus": 4}, "code": LLM}},
            "got 5: chat 4, code 1",
        ),
    ],
)
def test_a_workload_beyond_the_share_of_its_team_is_refused(
    changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        validated(**changes)


def test_the_operator_of_ray_sees_the_namespace_of_its_team_alone() -> None:
    found = synth("prod.cluster", validated(ray=RAY))
    operator = releases(found)["kuberay-operator"]
    assert operator["values"]["watchNamespace"] == ["research"]
    assert operator["version"] == "1.5.1"


def test_ray_waits_in_the_queue_of_its_team_until_all_of_it_fits() -> None:
    [cluster] = workloads("RayCluster", ray={**RAY, "workers": 4, "gpus_per_worker": 2})
    assert cluster["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "default"
    [workers] = cluster["spec"]["workerGroupSpecs"]
    assert workers["minReplicas"] == workers["replicas"] == workers["maxReplicas"] == 4
    assert cluster["spec"]["enableInTreeAutoscaling"] is False


def test_the_pods_of_a_language_model_read_its_weights_and_nothing_else_of_aws() -> None:
    found = synth("prod.cluster", validated(llm_kubernetes={"chat": LLM}))
    [role] = [item for item in found if item.name == "access-llm-chat"]
    trust = json.loads(role.inputs.value["assumeRolePolicy"])["Statement"][0]
    tags = trust["Condition"]["StringEquals"]
    assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert tags["aws:RequestTag/kubernetes-namespace"] == "serving"
    assert tags["aws:RequestTag/kubernetes-service-account"] == "chat"
    grants = [
        json.loads(item.inputs.value["policy"])
        for item in found
        if item.type.endswith(":RolePolicy") and item.inputs.value["role"] == "plinth-prod-llm-chat"
    ]
    actions = {a for grant in grants for part in grant["Statement"] for a in part["Action"]}
    assert {action for action in actions if action.startswith("s3:")} == {
        "s3:GetObject",
        "s3:ListBucket",
    }


def test_an_autoscaled_model_keeps_the_replicas_it_has() -> None:
    """An update of the program must not undo what the autoscaler did."""
    scaled = validated(llm_kubernetes={"chat": {**LLM, "max_replicas": 3}})
    for settings, ignored in (
        (scaled, ("spec.replicas",)),
        (validated(llm_kubernetes={"chat": LLM}), ()),
    ):
        found = synth("prod.cluster", settings)
        [deployment] = [item for item in found if item.type.endswith(":Deployment")]
        assert deployment.options.ignore_changes == ignored
    [autoscaler] = workloads(
        "HorizontalPodAutoscaler", llm_kubernetes=scaled.model_dump()["llm_kubernetes"]
    )
    assert (autoscaler["spec"]["minReplicas"], autoscaler["spec"]["maxReplicas"]) == (1, 3)
