"""What a week of a platform team brings, by kind: machines, fewer of them, more of them, words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from policies.review.amounts import turns
from policies.review.differences import Leaf
from policies.review.meaning import begins_weak, meaning
from tests.review.test_unsaid import Sides, pod, risk

APPLICATION = "kubernetes:argoproj.io/v1alpha1:AppProject"
BATCH = "aws:batch/computeEnvironment:ComputeEnvironment"
BASELINE = "aws:ssm/patchBaseline:PatchBaseline"
BRANCH = "github:index/branchProtection:BranchProtection"
CONFIG = "kubernetes:core/v1:ConfigMap"
CRON = "kubernetes:batch/v1:CronJob"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
GATEWAY = "kubernetes:gateway.networking.k8s.io/v1:Gateway"
NODES = "aws:eks/nodeGroup:NodeGroup"
POSTGRES = "kubernetes:postgresql.cnpg.io/v1:Cluster"
PRIORITY = "kubernetes:scheduling.k8s.io/v1:PriorityClass"
QUEUE = "kubernetes:scheduling.volcano.sh/v1beta1:Queue"
REPLICATION = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"
ROLLOUT = "kubernetes:argoproj.io/v1alpha1:Rollout"
TRAIL = "aws:cloudtrail/trail:Trail"
VELERO = "kubernetes:velero.io/v1:Schedule"


def machines(*types: str) -> dict[str, Any]:
    return {"computeResources": {"instanceTypes": list(types)}}


def takes(**most: str) -> dict[str, Any]:
    return pod(resources={"limits": {name.replace("__", "/"): most[name] for name in most}})


def fluent(*lines: str) -> dict[str, Any]:
    return {"data": {"f.conf": "\n".join(["[INPUT]", *lines, "    Path /var/log/*.log", ""])}}


def spec(**inside: Any) -> dict[str, Any]:
    return {"spec": inside}


def ends(**tls: str) -> dict[str, Any]:
    return spec(listeners=[{"name": "a", "tls": {"options": {"a": "b"}, **tls}}])


def steps(length: str) -> dict[str, Any]:
    canary = [{"setWeight": 10}, {"pause": {"duration": length}}]
    return spec(strategy={"canary": {"steps": canary}})


def logged(level: str, name: str = "logging.json") -> dict[str, Any]:
    return {"data": {name: json.dumps({"root": {"level": level}})}}


def wish(weight: int, kind: str = "preferred") -> dict[str, Any]:
    term = {"weight": weight, "podAffinityTerm": {"topologyKey": "zone"}}
    place = {f"{kind}DuringSchedulingIgnoredDuringExecution": [term]}
    return spec(template={"spec": {"affinity": {"podAntiAffinity": place}}})


def copied(*names: str) -> dict[str, Any]:
    return spec(template={"includedNamespaces": [*names]} if names else {})


QUIET: list[Sides] = [
    ("kubernetes:grafana.integreatly.org/v1beta1:GrafanaDashboard", spec(json="{\"title\": \"a\"}"),
     spec(json="{\"title\": \"b\"}")),
    (BATCH, machines("m6i"), machines("m7i")),
    (DEPLOYMENT, takes(memory="4Gi", nvidia__gpu="2"), takes(memory="5Gi", nvidia__gpu="2")),
    (BRANCH, {"allowsForcePushes": True}, {"allowsForcePushes": False}),
    (BRANCH, {"requiredStatusChecks": [{"contexts": ["a", "b"]}]},
     {"requiredStatusChecks": [{"contexts": ["b", "a"]}]}),
    (APPLICATION, spec(sourceRepos=["a", "b"]), spec(sourceRepos=["a"])),
    (POSTGRES, spec(storage={"size": "100Gi"}), spec(storage={"size": "120Gi"})),
    (TRAIL, {"insightSelectors": [{"insightType": "ApiCallRateInsight"}]},
     {"insightSelectors": [{"insightType": "ApiCallRateInsight"},
                           {"insightType": "ApiErrorRateInsight"}]}),
    (PRIORITY, {"value": 1, "preemptionPolicy": "PreemptLowerPriority"}, {"value": 1}),
    (GATEWAY, ends(mode="Terminate"), ends()),
    (ROLLOUT, steps("10m"), steps("15m")),
    ("kubernetes:jobset.x-k8s.io/v1alpha2:JobSet", spec(failurePolicy={"maxRestarts": 3}),
     spec(failurePolicy={"maxRestarts": 4})),
    (VELERO, copied("a"), copied("a", "b")),
    (CRON, spec(schedule="@daily"), spec(schedule="0 0 * * *")),
    (CONFIG, fluent("    Name tail"), fluent("    # of the nodes", "    Name tail")),
    (CONFIG, logged("INFO"), logged("WARNING")),
    (DEPLOYMENT, wish(100), wish(90)),
    (DEPLOYMENT, {"metadata": {"annotations": {"ci.example.com/build": "1"}}, **pod()},
     {"metadata": {"annotations": {"ci.example.com/build": "2"}}, **pod()}),
    (REPLICATION, {"rules": [{"id": "a", "destination": {"bucket": "b"}}]},
     {"rules": [{"id": "a", "destination": {"bucket": "b", "metrics": {"status": "Enabled"}}}]}),
]  # fmt: skip

LOUD: list[Sides] = [
    (BATCH, machines("m6i"), machines("p5")),
    (BATCH, machines("m6i"), machines("m6i", "g6.12xlarge")),
    (BATCH, machines("optimal"), machines("p4d")),
    (NODES, {"instanceTypes": ["m6i.large"]}, {"instanceTypes": ["m6i.large", "p5.48xlarge"]}),
    (DEPLOYMENT, takes(memory="4Gi"), takes(memory="4Gi", nvidia__gpu="8")),
    (DEPLOYMENT, takes(memory="4Gi"), takes(memory="4Gi", aws__neuron="1")),
    (BRANCH, {"pattern": "main"}, {"pattern": "main", "allowsForcePushes": True}),
    (BRANCH, {"allowsDeletions": False}, {"allowsDeletions": True}),
    (BRANCH, {"requiredStatusChecks": [{"contexts": ["a", "b"]}]},
     {"requiredStatusChecks": [{"contexts": ["a"]}]}),
    (BASELINE, {"rejectedPatches": []}, {"rejectedPatches": ["openssl*"]}),
    (QUEUE, spec(reclaimable=False), spec(reclaimable=True)),
    (APPLICATION, spec(sourceRepos=["a"]), spec(sourceRepos=["a", "b"])),
    (POSTGRES, spec(storage={"size": "100Gi"}), spec(storage={"size": "80Gi"})),
    (POSTGRES, spec(storage={"size": "100Gi"}), spec(storage={"size": "10Ti"})),
    (TRAIL, {"insightSelectors": [{"insightType": "ApiCallRateInsight"}]},
     {"insightSelectors": []}),
    (PRIORITY, {"value": 1, "preemptionPolicy": "Never"}, {"value": 1}),
    (GATEWAY, ends(mode="Passthrough"), ends()),
    (ROLLOUT, steps("10m"), steps("1m")),
    (VELERO, copied("a", "b"), copied("a")),
    (VELERO, copied(), copied("a")),
    (CRON, spec(schedule="@daily"), spec(schedule="@weekly")),
    (CONFIG, fluent("    Name tail"), fluent("    Name none")),
    (CONFIG, logged("INFO"), logged("DEBUG")),
    (CONFIG, logged("INFO", "audit-logging.json"), logged("WARNING", "audit-logging.json")),
    (DEPLOYMENT, wish(100, "required"), wish(90, "required")),
    (DEPLOYMENT, {"metadata": {"annotations": {"ci.example.com/role": "1"}}, **pod()},
     {"metadata": {"annotations": {"ci.example.com/role": "2"}}, **pod()}),
]  # fmt: skip


@pytest.mark.parametrize(("token", "old", "new"), QUIET, ids=lambda side: str(side)[:60])
def test_a_change_of_the_week_is_quiet(
    token: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    assert risk(token, old, new) == "low"


@pytest.mark.parametrize(("token", "old", "new"), LOUD, ids=lambda side: str(side)[:60])
def test_the_dangerous_one_beside_it_asks_for_a_person(
    token: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    assert risk(token, old, new) != "low"


@pytest.mark.parametrize("name", [
    "tlsDisable", "tlsSkipVerify", "trustServerCertificate", "orphanDelete", "retention_enabled",
    "passwordAuthentication", "noRestrictions", "deleteDirectory", "bearerTokenAuthentication",
    "ignoreTlsErrors", "worm", "endpointAutoConfirms", "skipZonalShiftValidation",
])  # fmt: skip
def test_a_flag_that_ends_or_spares_something_asks_when_it_rises(name: str) -> None:
    sides = [{"values": {"a": {name: side}}} for side in (False, True)]
    assert risk("kubernetes:helm.sh/v3:Release", *sides) != "low"


@pytest.mark.parametrize(
    "name",
    [
        "preserveOnDelete",
        "retainOnDelete",
        "disableIMDSV1",
        "acceptanceRequired",
        "excludeVerboseContent",
    ],
)
def test_a_flag_that_keeps_something_asks_when_it_falls(name: str) -> None:
    assert meaning(Leaf((name,), True, False), "x:y/z:Thing").sense == "weaker"


def test_a_family_alone_is_a_machine_as_well() -> None:
    assert turns("instancetypes", "m6i", "m6i.large") == turns("instancetypes", "m6i", "m7i") == ""
    for new in ("c6i", "m7g", "p5", "p5.48xlarge"):
        assert turns("instancetypes", "m6i", new)
    assert turns("instancecount", 2, 4) == turns("class", "Small", "Large") == ""


def test_a_guard_in_the_name_of_a_kind_says_nothing_of_what_is_let_through() -> None:
    risen = Leaf(("allowsDeletions",), False, True)
    assert meaning(risen, BRANCH).sense == "weaker"
    guards = Leaf(("protection", "replicationOverwrite"), False, True)
    assert meaning(guards, "aws:efs/fileSystem:FileSystem").sense == "stronger"
    assert begins_weak(Leaf(("protection", "replicationOverwrite"), None, False), of_a_guard=True)
