"""One program for every stack: its settings say which kind it is."""

from collections.abc import Mapping

import pulumi

from infra.component import ComponentArgs
from stacks.composition import cluster, foundation, workload
from stacks.composition.provider import use_provider
from stacks.contract import ClusterContract, FoundationContract, Source
from stacks.settings.model import ClusterSettings, FoundationSettings, Settings, WorkloadSettings
from stacks.stack_name import CLUSTER, FOUNDATION, StackName

Outputs = Mapping[str, pulumi.Input[object]]


def compose(
    stack: StackName, settings: Settings, definitions: Mapping[str, str], offered: Source
) -> Outputs:
    """Create what the stack consists of; returns its outputs.

    `definitions` holds the compiled JSON of each pipeline of a workload by its name; `offered`
    finds what the stacks below offer.
    """
    tags = default_tags(stack, settings)
    use_provider(settings.environment, tags)
    common = ComponentArgs(names=settings.names, tags=tags)
    match settings:
        case FoundationSettings():
            return foundation.build(common, settings)
        case ClusterSettings():
            return cluster.build(common, settings, _foundation(stack, offered))
        case WorkloadSettings():
            below = _foundation(stack, offered)
            runs_on = _cluster(stack, offered) if settings.on_cluster else None
            return workload.build(common, settings, definitions, below, runs_on)


def _foundation(stack: StackName, offered: Source) -> FoundationContract:
    found = offered(stack.sibling(FOUNDATION))
    assert isinstance(found, FoundationContract)
    return found


def _cluster(stack: StackName, offered: Source) -> ClusterContract:
    found = offered(stack.sibling(CLUSTER))
    assert isinstance(found, ClusterContract)
    return found


def default_tags(stack: StackName, settings: Settings) -> dict[str, str]:
    """What everything of a stack is tagged with, for cost and ownership."""
    own = {"workload": settings.names.workload} if settings.names.workload else {}
    return {**settings.environment.default_tags(), **own, "stack": str(stack)}
