"""GPU pools that could not work are refused before anything is created, with the reason."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from infra.errors import UserError
from policies.offline import evaluate
from stacks.composition.cluster import check_file_system
from stacks.contract import FoundationContract, stand_in
from stacks.policy_config import policy_config
from stacks.settings.compute import Cluster, GpuPool
from stacks.settings.load import load, load_cluster
from stacks.settings.model import ClusterSettings
from stacks.stack_name import StackName
from tests.kits.stacks import ALL, fields_of, synth

SCALING = {"min_size": 0, "desired_size": 0, "max_size": 2}
FULL = {"min_size": 2, "desired_size": 2, "max_size": 2}
MANAGED = {"instance_type": "p5.48xlarge", "scaling": SCALING}
KARPENTER = {"instance_type": "p5.48xlarge", "kind": "karpenter", "gpu_limit": 16}
RESERVED = {"id": "cr-0a1b", "availability_zone_id": "use1-az1"}
BLOCK = {**RESERVED, "ends_at": "2026-12-01T11:30:00Z"}
SOLD = {"capacity_types": ["capacity-block"], "reservation": BLOCK}
BOTTLEROCKET = {"ami_family": "bottlerocket-nvidia"}

WORKING: dict[str, dict[str, Any]] = {
    "managed": MANAGED,
    "karpenter": KARPENTER,
    "spot": {**MANAGED, "capacity_types": ["spot"], "labels": {"plinth.dev/checkpoints": "true"}},
    "reserved": {**MANAGED, "capacity_types": ["reserved"], "reservation": RESERVED},
    "capacity block": {**MANAGED, "scaling": FULL, **SOLD},
    "efa": {**MANAGED, "efa": True, "availability_zone_id": "use1-az1"},
    "mig": {**MANAGED, **BOTTLEROCKET, "mig_profile": "1g.10gb"},
    "time-slicing": {**MANAGED, "time_slicing_replicas": 4},
    "reservations by tag": {
        **KARPENTER,
        "capacity_types": ["reserved", "on-demand"],
        "reservation": {"tags": {"pool": "a"}, "availability_zone_id": "use1-az1"},
    },
}


@pytest.mark.parametrize("name", WORKING)
def test_a_pool_that_works_is_taken(name: str) -> None:
    GpuPool.model_validate(WORKING[name])


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no gpus": ({**MANAGED, "instance_type": "m5.large"}, "must have GPUs, got 'm5.large'"),
    "no row": ({**MANAGED, "instance_type": "p9.xlarge"}, "must have a row in"),
    "no size": ({"instance_type": "g6.xlarge"}, "managed pool must have scaling"),
    "two bounds": ({**MANAGED, "gpu_limit": 8}, "managed pool must have scaling and no gpu_limit"),
    "no gpu limit": (
        {"instance_type": "g6.xlarge", "kind": "karpenter"},
        "karpenter pool must have gpu_limit",
    ),
    "half a node": ({**KARPENTER, "gpu_limit": 12}, "multiple of the 8 GPUs"),
    "two markets": (
        {**MANAGED, "capacity_types": ["spot", "on-demand"]},
        "managed pool must have one of capacity_types",
    ),
    "reserved without a reservation": (
        {**MANAGED, "capacity_types": ["reserved"]},
        "must come with a reservation",
    ),
    "a reservation that is not used": (
        {**MANAGED, "reservation": RESERVED},
        "must come with a reservation, and the others without",
    ),
    "a managed pool that looks for reservations": (
        {
            **MANAGED,
            "capacity_types": ["reserved"],
            "reservation": {"tags": {"a": "b"}, "availability_zone_id": "use1-az1"},
        },
        "must be named by id",
    ),
    "a capacity block of changing size": (
        {**MANAGED, **SOLD},
        r"min_size = desired_size = max_size, got \(0, 0, 2\)",
    ),
    "a capacity block of a type that is not sold so": (
        {"instance_type": "g6.12xlarge", "scaling": FULL, **SOLD},
        "must be sold as Capacity Blocks, got 'g6.12xlarge'",
    ),
    "a capacity block without an end": (
        {**MANAGED, "scaling": FULL, **SOLD, "reservation": RESERVED},
        "must say when it ends_at",
    ),
    "a capacity block of karpenter's": (
        {**KARPENTER, **SOLD},
        "must call a Capacity Block reserved",
    ),
    "a reservation elsewhere": (
        {
            **MANAGED,
            "capacity_types": ["reserved"],
            "reservation": RESERVED,
            "availability_zone_id": "use1-az2",
        },
        "must be the reservation's 'use1-az1', got 'use1-az2'",
    ),
    "a placement group with a reservation": (
        {
            **MANAGED,
            "capacity_types": ["reserved"],
            "reservation": RESERVED,
            "placement_group": True,
        },
        "placement_group must be off with a reservation",
    ),
    "a placement group with a capacity block": (
        {**MANAGED, "scaling": FULL, **SOLD, "placement_group": True},
        "placement_group must be off with a reservation",
    ),
    "efa in several zones": ({**MANAGED, "efa": True}, "must have an availability_zone_id"),
    "efa that the type has not": (
        {
            "instance_type": "g6.xlarge",
            "scaling": SCALING,
            "efa": True,
            "availability_zone_id": "use1-az1",
        },
        "efa must be off, g6.xlarge has none",
    ),
    "time-slicing on karpenter": (
        {**KARPENTER, "time_slicing_replicas": 4},
        "must be off in a karpenter pool",
    ),
    "mig on karpenter": (
        {**KARPENTER, **BOTTLEROCKET, "mig_profile": "1g.10gb"},
        "must be off in a karpenter pool",
    ),
    "mig and time-slicing": (
        {**MANAGED, **BOTTLEROCKET, "mig_profile": "1g.10gb", "time_slicing_replicas": 4},
        "must not come together",
    ),
    "mig that nobody sets up": (
        {**MANAGED, "mig_profile": "1g.10gb"},
        "must come with ami_family bottlerocket-nvidia",
    ),
    "a mig profile of another gpu": (
        {**MANAGED, **BOTTLEROCKET, "mig_profile": "1g.5gb"},
        r"must be one of 1g\.10gb, 2g\.20gb, 3g\.40gb, got '1g\.5gb'",
    ),
    "mig on a gpu that has none": (
        {
            "instance_type": "g6.12xlarge",
            "scaling": SCALING,
            **BOTTLEROCKET,
            "mig_profile": "1g.10gb",
        },
        "mig_profile of g6.12xlarge must be one of none",
    ),
    "the latest image": (
        {**MANAGED, "release_version": "latest"},
        "release_version must be one of al2023-nvidia, such as",
    ),
    "a reservation that is named and looked for": (
        {
            **MANAGED,
            "capacity_types": ["reserved"],
            "reservation": {**RESERVED, "tags": {"a": "b"}},
        },
        "named by id or found by tags",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_pool_that_cannot_work_is_refused(name: str) -> None:
    pool, reason = REFUSED[name]
    with pytest.raises(ValidationError, match=reason):
        GpuPool.model_validate(pool)


def test_a_placement_group_comes_with_efa_on_demand_and_never_with_a_reservation() -> None:
    placed = {name: GpuPool.model_validate(pool).is_placed for name, pool in WORKING.items()}
    assert {name for name, is_placed in placed.items() if is_placed} == {"efa"}


def test_a_pool_counts_what_its_pods_can_ask_for() -> None:
    counts = {name: GpuPool.model_validate(pool).max_gpus for name, pool in WORKING.items()}
    assert counts["managed"] == 16
    assert counts["karpenter"] == 16
    assert counts["mig"] == 112
    assert counts["time-slicing"] == 64


def with_pools(**pools: Any) -> ClusterSettings:
    given = {**fields_of(load_cluster("prod")), "teams": {}, "gpu_pools": pools}
    return ClusterSettings.model_validate(given)


def with_pool(**pool: Any) -> ClusterSettings:
    return with_pools(gpus=pool)


def test_an_environment_with_every_kind_of_pool_passes_its_policies() -> None:
    named = {name.replace(" ", "-"): pool for name, pool in WORKING.items()}
    settings = with_pools(**named)
    resources = synth("prod.cluster", settings)
    groups = {item.name for item in resources if item.type == "aws:eks/nodeGroup:NodeGroup"}
    assert {f"{name}-nodes" for name, pool in named.items() if "kind" not in pool} <= groups
    findings = evaluate(resources, policy_config(settings))
    assert [found for found in findings if found.blocks or found.status == "error"] == []


def test_a_pool_is_in_a_zone_of_the_environment() -> None:
    with_pool(**MANAGED, availability_zone_id="use1-az2")
    with pytest.raises(ValidationError, match=r"one of the environment's .*, got 'use1-az6'"):
        with_pool(**MANAGED, availability_zone_id="use1-az6")


def test_the_nodes_have_the_kubernetes_version_of_the_cluster() -> None:
    with pytest.raises(ValidationError, match=r"must be one of Kubernetes 1\.35, got '1\.33"):
        with_pool(**MANAGED, release_version="1.33.5-20251120")


CLUSTER = {"system_instance_types": ["m6i.large"], "system_scaling": SCALING}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"public_access_cidrs": ["0.0.0.0/0"]}, "must not name everybody"),
        ({"public_access_cidrs": ["::/0"]}, "must not name everybody"),
        ({"version": "1.33"}, "system_release_version must be one of Kubernetes 1.33"),
        ({"system_release_version": "1.33.5-20251120"}, "must be one of Kubernetes 1.35"),
        ({"addons": {"kube-proxy": "v1.33.1-eksbuild.1"}}, "addons.kube-proxy must be"),
    ],
)
def test_a_cluster_that_is_open_or_inconsistent_is_refused(
    change: dict[str, Any], reason: str
) -> None:
    Cluster.model_validate(CLUSTER)
    with pytest.raises(ValidationError, match=reason):
        Cluster.model_validate({**CLUSTER, **change})


def test_a_pool_in_another_zone_than_the_file_system_is_refused() -> None:
    offered = stand_in(StackName("prod", "foundation"))
    assert isinstance(offered, FoundationContract)
    settings = with_pool(**MANAGED, availability_zone_id="use1-az2")
    check_file_system(settings, offered)
    check_file_system(settings, replace(offered, filesystem_zone="use1-az2"))
    with pytest.raises(UserError, match="in the zone of the file system, use1-az1, got gpus"):
        check_file_system(settings, replace(offered, filesystem_zone="use1-az1"))


@pytest.mark.parametrize("stack", ALL, ids=str)
def test_nothing_of_an_environment_is_called_latest(stack: StackName) -> None:
    chosen = load(stack)
    own = {name: getattr(chosen, name) for name in type(chosen).model_fields}
    told = {name: value for name, value in own.items() if name not in ("environment", "workload")}
    assert told
    assert "latest" not in str(told)
