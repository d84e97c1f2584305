"""How many instances a platform has at least, at first and at most, read from its resources.

Quotas and prices both follow from it. It reads normalised resources, so a synth, a preview and an
exported state are all the same to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from infra.instances import INSTANCE_TYPES
from policies.data import Data, Resource
from policies.reading.definition import Step, parse

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
ENDPOINT_CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
SCALABLE_TARGET = "aws:appautoscaling/target:Target"
PIPELINE = "aws:sagemaker/pipeline:Pipeline"

Market = Literal["ON_DEMAND", "SPOT", "CAPACITY_BLOCK"]
Use = Literal["node", "endpoint", "training", "spot training", "processing", "transform"]


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Instances of one type that grow and shrink together."""

    name: str
    use: Use
    instance_type: str
    low: int
    expected: int
    """What is asked for from the start; what scales from zero is zero here."""

    high: int
    """What it may grow to."""

    in_update: int = 0
    """Instances that an update runs beside these for a while. Default: none."""

    market: Market = "ON_DEMAND"
    reserved: bool = False
    """Runs in a capacity reservation, which is paid for whether used or not. Default: not."""

    max_runtime_seconds: int = 0
    """For jobs: when each is stopped. Default: it is no job."""


def fleets(resources: Sequence[Resource]) -> list[Fleet]:
    """Every fleet of a platform."""
    by_urn = {resource.urn: resource for resource in resources}
    return [
        *(f for r in _of(resources, NODE_GROUP) for f in _node_group(r, by_urn)),
        *(f for r in _of(resources, NODE_POOL) for f in _node_pool(r)),
        *_endpoints(resources, by_urn),
        *(f for r in _of(resources, PIPELINE) for f in _jobs(r)),
    ]


def _of(resources: Sequence[Resource], *types: str) -> list[Resource]:
    return [resource for resource in resources if resource.type in types]


def launch_template(group: Resource, by_urn: Mapping[str, Resource]) -> Mapping[str, Any]:
    """Inputs of the launch template that a node group is computed from; empty without one."""
    urns = group.dependencies.get("launchTemplate", ())
    found = [by_urn[urn] for urn in urns if urn in by_urn]
    return found[0].inputs.value if found else {}


ONE_BY_DEFAULT = "t3.medium"
"""Where neither says (https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateNodegroup.html).
"""


def _node_group(group: Resource, by_urn: Mapping[str, Resource]) -> Iterator[Fleet]:
    template = launch_template(group, by_urn)
    types = group.inputs.get("instanceTypes") or [template.get("instanceType") or ONE_BY_DEFAULT]
    scaling = group.inputs.get("scalingConfig") or {}
    market: Market = group.inputs.get("capacityType") or "ON_DEMAND"
    yield Fleet(
        name=group.name,
        use="node",
        # EKS takes the first type that has capacity; the largest bounds quota and price
        instance_type=max(types, key=lambda name: (_size(name), name)),
        low=int(scaling.get("minSize", 0)),
        expected=int(scaling.get("desiredSize", 0)),
        high=int(scaling.get("maxSize", 0)),
        market=market,
        reserved=bool(template.get("capacityReservationSpecification")),
    )


def _size(instance_type: str) -> int:
    digits = instance_type.partition(".")[2].removesuffix("xlarge")
    return int(digits) if digits.isdigit() else int(instance_type.endswith("xlarge"))


def _node_pool(pool: Resource) -> Iterator[Fleet]:
    """A Karpenter pool: from nothing to its limit, in each market that it may use."""
    spec = pool.inputs.get("spec") or {}
    limits = spec.get("limits") or {}
    wanted = spec.get("template", {}).get("spec", {}).get("requirements") or []
    values = {item["key"]: item.get("values") or [] for item in wanted}
    markets = values.get("karpenter.sh/capacity-type") or ["on-demand"]
    for instance_type in values.get("node.kubernetes.io/instance-type") or ():
        for market in markets:
            yield Fleet(
                name=pool.name,
                use="node",
                instance_type=instance_type,
                low=0,
                expected=0,
                high=_nodes_within(limits, instance_type),
                market="SPOT" if market == "spot" else "ON_DEMAND",
                reserved=market == "reserved",
            )


def _nodes_within(limits: Mapping[str, Any], instance_type: str) -> int:
    """Nodes of a type that the limits of a pool allow; Karpenter may pass them by one node."""
    gpus = INSTANCE_TYPES[instance_type].gpus if instance_type in INSTANCE_TYPES else 0
    limit = limits.get("nvidia.com/gpu")
    return math.ceil(int(limit) / gpus) if gpus and limit is not None else 0


def _endpoints(resources: Sequence[Resource], by_urn: Mapping[str, Resource]) -> Iterator[Fleet]:
    targets = {t.inputs.get("resourceId"): t.inputs for t in _of(resources, SCALABLE_TARGET)}
    for endpoint in _of(resources, ENDPOINT):
        urns = endpoint.dependencies.get("endpointConfigName", ())
        for config in (by_urn[urn] for urn in urns if urn in by_urn):
            if config.type == ENDPOINT_CONFIGURATION:
                yield from _variants(endpoint, config, targets)


def _variants(endpoint: Resource, config: Resource, targets: Mapping[str, Any]) -> Iterator[Fleet]:
    rolls = endpoint.inputs.has("deploymentConfig", "rollingUpdatePolicy")
    for key in ("productionVariants", "shadowProductionVariants"):
        for variant in config.inputs.each(key):
            instance_type = variant.get("instanceType")
            if instance_type is None:  # serverless: billed by use, no instances
                continue
            name = variant.get("variantName")
            count = int(variant.get("initialInstanceCount") or 0)
            target = targets.get(f"endpoint/{endpoint.inputs.get('name')}/variant/{name}")
            low, high = _bounds(variant, target, count)
            yield Fleet(
                name=f"{endpoint.name}/{name}",
                use="endpoint",
                instance_type=instance_type,
                low=low,
                expected=count,
                high=max(high, count),
                # a blue/green update runs a second fleet of the same size (SageMaker developer
                # guide, blue/green deployments); a rolling one replaces batches
                in_update=0 if rolls else max(high, count),
            )


def _bounds(variant: Data, target: Data | None, count: int) -> tuple[int, int]:
    """Instances at the least and at the most, by whatever scales the variant."""
    if target is not None:  # Application Auto Scaling
        return int(target.get("minCapacity")), int(target.get("maxCapacity"))
    if variant.has("managedInstanceScaling"):  # SageMaker itself, for inference components
        scaling = variant.get("managedInstanceScaling")
        return int(scaling.get("minInstanceCount") or 0), int(scaling["maxInstanceCount"])
    return count, count


JOBS: dict[str, tuple[Use, tuple[str, ...], str]] = {
    "Processing": ("processing", ("ProcessingResources", "ClusterConfig"), "InstanceCount"),
    "QualityCheck": ("processing", ("ProcessingResources", "ClusterConfig"), "InstanceCount"),
    "ClarifyCheck": ("processing", ("ProcessingResources", "ClusterConfig"), "InstanceCount"),
    "Training": ("training", ("ResourceConfig",), "InstanceCount"),
    "Transform": ("transform", ("TransformResources",), "InstanceCount"),
}
"""Step type -> use, where its instances stand in the arguments, and the member that counts them."""


def _jobs(pipeline: Resource) -> Iterator[Fleet]:
    """The job steps of a pipeline: each runs alone at the least, all at once at the most."""
    text = pipeline.inputs.get("pipelineDefinition")
    for step in parse(text).steps.values() if text else ():
        if step.type in JOBS:
            yield from _job(pipeline, step)


def _job(pipeline: Resource, step: Step) -> Iterator[Fleet]:
    use, path, counted = JOBS[step.type]
    where: Any = step.arguments
    for key in path:
        where = where.get(key) or {}
    if not isinstance(where.get("InstanceType"), str):  # a pipeline parameter decides at run time
        return
    stopping = step.arguments.get("StoppingCondition") or {}
    spot = step.arguments.get("EnableManagedSpotTraining") is True
    yield Fleet(
        name=f"{pipeline.name}/{step.name}",
        use="spot training" if spot else use,
        instance_type=where["InstanceType"],
        low=0,
        expected=0,
        high=int(where.get(counted) or 1),
        max_runtime_seconds=int(stopping.get("MaxRuntimeInSeconds") or 0),
    )
