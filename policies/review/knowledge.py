"""What a review knows of a type of resource, and from where.

Nothing here is a list of what is dangerous: a type that nobody knows is dangerous until somebody
says otherwise. AWS's types are read from a table that is made from AWS's own data
(policies/tables/resource_kinds.py), those of Kubernetes from its API groups. What stands here by
hand are exceptions, each with its reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent.parent / "tables" / "resource_kinds.json"

WORDS: Mapping[str, str] = {
    "state": "may hold data",
    "grants": "grants access",
    "opens": "opens a network",
    "records": "records what happened",
    "guards": "guards something else",
    "runs": "decides what runs",
    "costs": "costs money by the hour",
    "joins": "brings others together",
}
"""Kind -> how to say it."""


ALL = "all of "
"""Evidence that a whole service is of a kind begins so (types.json)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """One type: what it is, by which evidence."""

    kinds: Mapping[str, str] = field(default_factory=dict)
    """Kind -> evidence."""
    lost: str = ""
    """What goes with it, in the words of AWS or Kubernetes. Default: nobody says."""
    made: str = ""
    """The operation that creates one, and sets nothing that is there. Default: nobody says."""
    sets: frozenset[str] = frozenset()
    """Places whose order means nothing, in lower case."""
    within: frozenset[str] = frozenset()
    """Inputs that say what it is a part of, in lower case. Default: nobody says."""
    source: str = ""
    """Where that is from. Default: from nowhere, the type is unknown."""
    harmless: str = ""
    """Why nothing goes with it. Default: something may."""
    shows: str = ""
    """Why it may come and change unseen. Default: it may not."""

    @property
    def is_known(self) -> bool:
        """Whether anybody described this type."""
        return bool(self.source)

    @property
    def is_sensitive(self) -> bool:
        """Whether an unexplained change of it needs a reader."""
        return not (self.harmless or self.shows)

    @property
    def watches(self) -> bool:
        """Whether to guard or to record is all that it is for."""
        return "guards" in self.kinds or self.kinds.get("records", "").startswith(ALL)


HARMLESS: Mapping[str, str] = {
    "aws:cloudwatch/queryDefinition:QueryDefinition": "a saved search; the logs stay",
    "AWS::Logs::QueryDefinition": "a saved search; the logs stay",
    "aws:athena/namedQuery:NamedQuery": "a saved query; the tables stay",
    "AWS::Athena::NamedQuery": "a saved query; the tables stay",
    "AWS::CDK::Metadata": "it says which tool made the template, and does nothing",
    "aws:ec2/tag:Tag": "a tag says whose a resource is, not what it does",
    "kubernetes:core/v1:Event": "it tells what happened to an object, for an hour",
    "kubernetes:events.k8s.io/v1:Event": "it tells what happened to an object, for an hour",
}
"""Types whose deletion takes nothing along, and why."""

IN_STATE = ("time:",)
"""Providers whose resources are moments, nowhere but in the state (their documentation)."""

SHOWS: Mapping[str, str] = {
    "aws:cloudwatch/dashboard:Dashboard": "it shows metrics that are there without it",
    "AWS::CloudWatch::Dashboard": "it shows metrics that are there without it",
    "aws:resourcegroups/group:Group": "a saved search for resources, by their tags",
    "AWS::ResourceGroups::Group": "a saved search for resources, by their tags",
    "aws:athena/namedQuery:NamedQuery": "a saved query; whoever runs it needs the permissions",
    "AWS::Athena::NamedQuery": "a saved query; whoever runs it needs the permissions",
    "random:index/randomId:RandomId": "a number that nobody keeps secret",
    "random:index/randomPet:RandomPet": "a name that nobody keeps secret",
    "random:index/randomUuid:RandomUuid": "a name that nobody keeps secret",
    "random:index/randomShuffle:RandomShuffle": "an order that nobody keeps secret",
    "time:index/static:Static": "a moment that is written down",
    "time:index/offset:Offset": "a moment that is written down",
    "time:index/sleep:Sleep": "the deployment waits",
    "aws:quicksight/theme:Theme": "colours of dashboards",
    "AWS::QuickSight::Theme": "colours of dashboards",
    "aws:securityhub/insight:Insight": "a saved search of findings",
    "AWS::SecurityHub::Insight": "a saved search of findings",
    "github:index/issueLabel:IssueLabel": "a label of issues",
    "github:index/issueLabels:IssueLabels": "labels of issues",
    "datadog:index/dashboard:Dashboard": "it shows metrics that are there without it",
    "datadog:index/dashboardJson:DashboardJson": "it shows metrics that are there without it",
    "datadog:index/dashboardList:DashboardList": "a list of dashboards",
    "grafana:oss/dashboard:Dashboard": "it shows metrics that are there without it",
    "grafana:oss/folder:Folder": "a folder of dashboards",
    "kubernetes:grafana.integreatly.org/v1beta1:GrafanaDashboard": "it shows metrics",
    "kubernetes:grafana.integreatly.org/v1beta1:GrafanaFolder": "a folder of dashboards",
}
"""Types that may come and change without harm, though somebody may miss them; and why."""

REVISIONS: Mapping[str, str] = {
    "aws:ecs/taskDefinition:TaskDefinition": "what runs by an inactive revision goes on",
    "AWS::ECS::TaskDefinition": "what runs by an inactive revision goes on",
    "aws:lambda/layerVersion:LayerVersion": "functions keep their copy of a deleted version",
    "AWS::Lambda::LayerVersion": "functions keep their copy of a deleted version",
    "aws:sagemaker/model:Model": "an entry goes, and no artefact, code or role",
    "AWS::SageMaker::Model": "an entry goes, and no artefact, code or role",
}
"""Types that know no update: what takes the place of one is its next revision, judged by what
differs, and why nothing goes with the last one (API references, DeregisterTaskDefinition and
DeleteModel; Lambda's developer guide, "Deleting a layer version")."""

KUBERNETES_KINDS: Mapping[str, tuple[str, str]] = {
    "ConfigMap": ("state", "configuration that nothing else keeps"),
    "CustomResourceDefinition": ("state", "every object of its kind goes with it"),
    "CSIDriver": ("state", "volumes of its driver can be mounted no longer"),
    "Namespace": ("state", "every object in it goes with it"),
    "PersistentVolume": ("state", "the volume's data, unless its reclaim policy is Retain"),
    "PersistentVolumeClaim": ("state", "the volume's data, unless its reclaim policy is Retain"),
    "Release": ("state", "everything that the chart installed, its definitions too"),
    "Chart": ("state", "everything that the chart installed, its definitions too"),
    "ConfigFile": ("state", "every object of the manifest"),
    "ConfigGroup": ("state", "every object of the manifests"),
    "Directory": ("state", "every object of the manifests"),
    "Secret": ("state", "what it keeps is nowhere else in the cluster"),
    "StatefulSet": ("state", "its pods; of their volumes its retention policy decides"),
    "StorageClass": ("state", "it decides what becomes of a volume that is given up"),
    "VolumeSnapshot": ("state", "the snapshot, unless its class retains it"),
    "VolumeSnapshotContent": ("state", "the snapshot, unless its class retains it"),
    "Service": ("opens", "it says from where pods are reached"),
    "Endpoints": ("opens", "it says what answers for a service"),
    "ServiceAccount": ("grants", "pods act as it, in AWS too"),
    "CertificateSigningRequest": ("grants", "an approved one is an identity"),
    "LimitRange": ("guards", "it bounds what one object may ask for"),
    "ResourceQuota": ("guards", "it bounds what a namespace may use"),
    "PodDisruptionBudget": ("guards", "it keeps pods while nodes drain"),
    "NetworkPolicy": ("guards", "it keeps pods apart"),
    "PriorityClass": ("guards", "it says who has to make room for whom"),
}
"""Kind of Kubernetes' API -> what it is, and what goes with it (its API reference)."""

KUBERNETES_GROUPS: Mapping[str, tuple[str, str]] = {
    "admissionregistration.k8s.io": ("guards", "it judges what others ask of the API"),
    "apiregistration.k8s.io": ("grants", "another server answers for a part of the API"),
    "apps": ("runs", "its pods"),
    "autoscaling": ("costs", "it decides how many pods run"),
    "batch": ("runs", "its pods"),
    "cilium.io": ("guards", "it keeps pods apart"),
    "flowcontrol.apiserver.k8s.io": ("guards", "it keeps the API server from being flooded"),
    "gateway.networking.k8s.io": ("opens", "it says from where pods are reached"),
    "karpenter.k8s.aws": ("runs", "the nodes of its class"),
    "karpenter.sh": ("runs", "its nodes, and what runs on them"),
    "kueue.x-k8s.io": ("guards", "it bounds who may use which part of the cluster"),
    "ray.io": ("runs", "its pods, and what they hold in memory"),
    "serving.kserve.io": ("runs", "what answers, until another does"),
    "networking.k8s.io": ("opens", "it says from where pods are reached"),
    "discovery.k8s.io": ("opens", "it says what answers for a service"),
    "policy": ("guards", "it bounds what may be done"),
    "rbac.authorization.k8s.io": ("grants", "who may do what in the cluster"),
    "scheduling.k8s.io": ("guards", "who has to make room for whom"),
    "snapshot.storage.k8s.io": ("state", "the snapshot"),
    "storage.k8s.io": ("state", "what becomes of volumes"),
}
"""API group -> the same for all of it; operators by their own documentation."""


def is_revised(token: str) -> bool:
    """Whether a replacement of one is its update."""
    return token in REVISIONS or formation_name(token) in REVISIONS


@cache
def known(token: str) -> Known:
    """What is known of a type: of `aws:`, `aws-native:`, `kubernetes:`, or `AWS::Service::Kind`."""
    shows = SHOWS.get(token) or SHOWS.get(formation_name(token), "")
    return replace(_known_of(token), shows=shows)


def _known_of(token: str) -> Known:
    harmless = HARMLESS.get(token) or (token.startswith(IN_STATE) and SHOWS.get(token)) or ""
    if token.startswith("kubernetes:"):
        return _kubernetes(token, harmless)
    if token.startswith("aws:"):
        return _of_pulumi(token, harmless)
    name = formation_name(token)
    fact = _table()["cloudformation"].get(name)
    if fact is None:
        return Known(harmless=harmless)
    return _known([fact], f"CloudFormation's schema of {name}", harmless or HARMLESS.get(name, ""))


def formation_name(token: str) -> str:
    """`AWS::RDS::DBCluster` for `aws-native:rds:DbCluster`; empty where there is none."""
    if token.startswith("AWS::"):
        return token
    if not token.startswith("aws-native:"):
        return str(_table()["pulumi"].get(token.removeprefix("aws:"), {}).get("cfn", ""))
    module, _, kind = token.removeprefix("aws-native:").partition(":")
    service = {"configuration": "config"}.get(module, module)
    return _formation_names().get(f"{service}:{kind}".lower(), "")


@cache
def _of_formation() -> Mapping[str, str]:
    """CloudFormation's name -> the type of pulumi-aws that is the same resource."""
    rows = sorted(_table()["pulumi"].items(), key=lambda row: -len(row[0]))  # the plainest last
    return {fact["cfn"]: f"aws:{token}" for token, fact in rows if "cfn" in fact}


def counterpart(token: str) -> str:
    """The type of `aws:` that is the same resource as one of `aws-native:`; empty: there is none.

    Rules read the inputs of `aws:`; those of aws-native have other names, so no rule judges them.
    """
    return _of_formation().get(formation_name(token), "") if token[:11] == "aws-native:" else ""


def told_unjudged(found: Mapping[str, int], most: int) -> str:
    """One line about types that no rule judges; those first of which there are many."""
    ranked = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
    listed = ", ".join(
        f"{token} ({count}{f'; rules judge {other}' if (other := counterpart(token)) else ''})"
        for token, count in ranked[:most]
    )
    more = f" and {len(found) - most} more types" if len(found) > most else ""
    return f"{sum(found.values())} resources are judged by no rule: {listed}{more}"


@cache
def _formation_names() -> Mapping[str, str]:
    """Service and kind in lower case -> CloudFormation's name."""
    return {":".join(name.split("::")[1:]).lower(): name for name in _table()["cloudformation"]}


@cache
def _table() -> Mapping[str, Any]:
    table: Mapping[str, Any] = json.loads(TABLE.read_text())
    return table


def _of_pulumi(token: str, harmless: str) -> Known:
    fact = _table()["pulumi"].get(token.removeprefix("aws:"))
    if fact is None:
        return Known(harmless=harmless)
    formation = _table()["cloudformation"].get(fact.get("cfn"), {})
    source = f"inputs of pulumi-aws's {token}"
    if formation:
        source += f", CloudFormation's schema of {fact['cfn']}"
    return _known([formation, fact], source, harmless)


def _known(facts: list[Mapping[str, Any]], source: str, harmless: str) -> Known:
    merged: dict[str, Any] = {}
    for fact in facts:
        merged.update(fact)
    return Known(
        kinds={kind: merged[kind] for kind in WORDS if kind in merged},
        lost=str(merged.get("lost", "")),
        made=str(merged.get("made", "")),
        sets=frozenset(name.lower() for name in merged.get("sets", ())),
        within=frozenset(name.lower() for name in merged.get("within", ())),
        source=source,
        harmless=harmless,
    )


def _kubernetes(token: str, harmless: str) -> Known:
    group, _, kind = token.removeprefix("kubernetes:").rpartition(":")
    name = group.partition("/")[0]
    base = kind.removesuffix("Patch").removesuffix("List")
    found = KUBERNETES_KINDS.get(base) or KUBERNETES_GROUPS.get(name)
    if found is None and (name != "core" or base != "Pod"):
        return Known(harmless=harmless)
    what, lost = found or ("runs", "the pod")
    kinds = {what: f"kind {base} of API group {name}"}
    return Known(kinds=kinds, lost=lost, source="Kubernetes' API reference", harmless=harmless)
