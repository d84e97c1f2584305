"""Where the official AWS provider replaces and AWS would not, or the other way: the list, kept.

Each was read in the source of hashicorp/terraform-provider-aws, on which pulumi-aws stands.
"""

from typing import Any

import pytest

from policies.data import UNKNOWN
from stacks.local.provider.aws.backend import difference
from stacks.local.provider.aws.table import ROWS
from stacks.review.replacements import differ

GROUP = "aws:sagemaker/featureGroup:FeatureGroup"
SPARK = "aws:emrserverless/application:Application"
SUBSCRIPTION = "aws:costexplorer/anomalySubscription:AnomalySubscription"
CLUSTER, NODES = "aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup"
CARD = "aws:sagemaker/modelCard:ModelCard"
RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
OIDC = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
LUSTRE = "aws:fsx/lustreFileSystem:LustreFileSystem"


def features(*names: str) -> dict[str, Any]:
    return {"featureDefinitions": [{"featureName": n, "featureType": "String"} for n in names]}


def network(**ids: list[str]) -> dict[str, Any]:
    return {"networkConfiguration": {"subnetIds": ["a"], "securityGroupIds": ["b"], **ids}}


def encrypted(*keys: str) -> dict[str, Any]:
    found = [{"provider": {"keyArn": key}, "resources": ["secrets"]} for key in keys]
    return {"encryptionConfig": found[0]} if found else {}


CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], bool, bool]] = {
    # what differs: token, before, after, whether AWS's row replaces, whether the provider does
    "1 a feature is added": (GROUP, features("a"), features("a", "b"), False, True),
    "2 subnets of Spark": (SPARK, network(), network(subnetIds=["c"]), False, True),
    "2 groups of Spark": (SPARK, network(), network(securityGroupIds=["c"]), False, True),
    "3 name of a subscription": (SUBSCRIPTION, {"name": "a"}, {"name": "b"}, False, True),
    "4 another key of a cluster": (CLUSTER, encrypted("a"), encrypted("b"), True, False),
    "4 no key any more": (CLUSTER, encrypted("a"), encrypted(), True, True),
    "5 tags of nodes": (NODES, {"tags": {"a": "1"}}, {"tags": {"a": "2"}}, True, False),
    "6 key of a card": (
        CARD,
        {"securityConfig": {"kmsKeyId": "a"}},
        {"securityConfig": {"kmsKeyId": "b"}},
        True,
        False,
    ),
    "7 another group as peer": (
        RULE,
        {"referencedSecurityGroupId": "a"},
        {"referencedSecurityGroupId": "b"},
        True,
        False,
    ),
    "8 another list as peer": (RULE, {"prefixListId": "a"}, {"prefixListId": "b"}, True, False),
    "9 another range as peer": (RULE, {"cidrIpv6": "a"}, {"cidrIpv6": "b"}, True, False),
    "9 a peer of another kind": (RULE, {"cidrIpv6": "a"}, {"cidrIpv4": "b"}, True, True),
    "10 clients of a provider": (
        OIDC,
        {"clientIdLists": ["a"]},
        {"clientIdLists": ["a", "b"]},
        True,
        False,
    ),
    "11 days of backups": (
        LUSTRE,
        {"automaticBackupRetentionDays": 1},
        {"automaticBackupRetentionDays": 2},
        True,
        False,
    ),
    "12 compression": (
        LUSTRE, {"dataCompressionType": "NONE"}, {"dataCompressionType": "LZ4"}, True, False,
    ),
    "13 hour of maintenance": (
        LUSTRE,
        {"weeklyMaintenanceStartTime": "1:00:00"},
        {"weeklyMaintenanceStartTime": "2:00:00"},
        True,
        False,
    ),
    "14 a larger file system": (
        LUSTRE, {"storageCapacity": 1200}, {"storageCapacity": 2400}, True, False,
    ),
    "14 a smaller file system": (
        LUSTRE, {"storageCapacity": 2400}, {"storageCapacity": 1200}, True, True,
    ),
    "14 a larger scratch one": (
        LUSTRE,
        {"storageCapacity": 1200, "deploymentType": "SCRATCH_1"},
        {"storageCapacity": 2400, "deploymentType": "SCRATCH_1"},
        True,
        True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_review_believes_the_official_provider_and_local_both(name: str) -> None:
    token, before, after, by_aws, by_provider = CASES[name]

    def replaces(whose: Any) -> bool:
        found = difference(ROWS[token], before, after, whose)
        assert found.changes, "it was seen"
        return any(change.replaces for change in found.changes)

    assert (replaces("aws"), replaces("official")) == (by_aws, by_provider)
    assert replaces("here") == (by_aws or by_provider)
    reviewed = differ("us-east-1").properties(token, before, after)
    assert any(changes for _, _, changes in reviewed) == by_provider


def test_every_word_of_the_official_provider_is_among_the_cases() -> None:
    said = {(token, entry) for token, row in ROWS.items() for entry in row.official}
    tried = {
        (token, path.partition("[")[0])
        for token, before, after, _, _ in CASES.values()
        for path in (c.path for c in difference(ROWS[token], before, after, "aws").changes)
    }
    alike = {(token.replace("Egress", "Ingress"), entry) for token, entry in said}
    untried = {
        (token, entry)
        for token, entry in alike
        if not any(t == token and (p == entry or p.startswith(f"{entry}.")) for t, p in tried)
    }
    assert untried == set()
    assert len(said) >= 14


def test_what_is_not_known_yet_may_replace() -> None:
    for token, before, name in ((RULE, "a", "prefixListId"), (LUSTRE, 1200, "storageCapacity")):
        found = differ("us-east-1").properties(token, {name: before}, {name: UNKNOWN})
        assert list(found) == [(name, "update", True)]
