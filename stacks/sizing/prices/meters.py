"""How much of which price a resource uses a month, by its type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from policies.data import Resource
from stacks.sizing.fleets import NODE_GROUP, launch_template

Quantity = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Use:
    """Low, expected and high units of one price in a month."""

    name: str
    price: tuple[str, str]
    """Group and figure of the price table."""

    quantity: Quantity
    share: Quantity = (1, 1, 1)
    """Part of the price that is paid. Default: all of it."""


Meter = Callable[[Resource, int], Iterator[Use]]
"""Called with the resource and the hours of a month."""


def node_disk_gib(name: str, resources: Sequence[Resource]) -> int:
    """Root volume of the nodes of a node group."""
    by_urn = {resource.urn: resource for resource in resources}
    for group in resources:
        if group.type == NODE_GROUP and group.name == name:
            mappings = launch_template(group, by_urn).get("blockDeviceMappings") or []
            return sum(int((item.get("ebs") or {}).get("volumeSize") or 0) for item in mappings)
    return 0


def _same(units: float) -> Quantity:
    return (units, units, units)


def _hourly(group: str, figure: str) -> Meter:
    def meter(resource: Resource, hours: int) -> Iterator[Use]:
        yield Use(name=resource.name, price=(group, figure), quantity=_same(hours))

    return meter


def _monthly(group: str, figure: str) -> Meter:
    def meter(resource: Resource, hours: int) -> Iterator[Use]:
        yield Use(name=resource.name, price=(group, figure), quantity=_same(1))

    return meter


def _as_fleet(resource: Resource, hours: int) -> Iterator[Use]:
    """Its instances are counted as a fleet."""
    yield from ()


def _vpc_endpoint(resource: Resource, hours: int) -> Iterator[Use]:
    """Interface endpoints are billed per zone, gateway endpoints are free."""
    if resource.inputs.get("vpcEndpointType") == "Interface":
        zones = len(resource.inputs.each("subnetIds")) or 1
        yield Use(
            name=resource.name,
            price=("vpc", "interface endpoint per zone"),
            quantity=_same(hours * zones),
        )


def _cluster(resource: Resource, hours: int) -> Iterator[Use]:
    """Six times the price once standard support ends, where EKS does not upgrade then.

    Without an upgrade policy it does not (EKS user guide, cluster upgrade policy).
    """
    stays = resource.inputs.get("upgradePolicy", "supportType") != "STANDARD"
    name, late = resource.name, hours if stays else 0
    yield Use(name=name, price=("eks", "standard support"), quantity=(hours, hours, hours - late))
    if stays:
        yield Use(name=name, price=("eks", "extended support"), quantity=(0, 0, late))


def _capacity_reservation(resource: Resource, hours: int) -> Iterator[Use]:
    """A reservation costs as much as the instances it is for, used or not."""
    count = int(resource.inputs.get("instanceCount") or 0)
    figure = str(resource.inputs.get("instanceType"))
    yield Use(name=resource.name, price=("ec2", figure), quantity=_same(hours * count))


def _file_system(resource: Resource, hours: int) -> Iterator[Use]:
    throughput = str(resource.inputs.get("perUnitStorageThroughput") or "scratch")
    gib = float(resource.inputs.get("storageCapacity") or 0)
    yield Use(name=resource.name, price=("fsx", throughput), quantity=_same(gib))


def _stream(resource: Resource, hours: int) -> Iterator[Use]:
    mode = resource.inputs.get("streamModeDetails", "streamMode")
    if mode == "ON_DEMAND":
        yield Use(name=resource.name, price=("kinesis", "on-demand stream"), quantity=_same(hours))
    else:
        shards = int(resource.inputs.get("shardCount") or 1)
        yield Use(name=resource.name, price=("kinesis", "shard"), quantity=_same(hours * shards))


def _brokers(resource: Resource, hours: int) -> Iterator[Use]:
    count = int(resource.inputs.get("numberOfBrokerNodes") or 0)
    figure = str(resource.inputs.get("brokerNodeGroupInfo", "instanceType"))
    yield Use(name=resource.name, price=("msk", figure), quantity=_same(hours * count))
    storage = ("brokerNodeGroupInfo", "storageInfo", "ebsStorageInfo", "volumeSize")
    gib = float(resource.inputs.get(*storage) or 0)
    if not figure.startswith("express."):  # whose storage grows with what it is used for
        yield Use(name=resource.name, price=("msk storage", "volume"), quantity=_same(gib * count))


def _cache_nodes(resource: Resource, hours: int) -> Iterator[Use]:
    groups = int(resource.inputs.get("numNodeGroups") or 1)
    nodes = resource.inputs.get("numCacheClusters")
    count = (
        int(nodes)
        if nodes
        else groups * (1 + int(resource.inputs.get("replicasPerNodeGroup") or 0))
    )
    figure = str(resource.inputs.get("nodeType"))
    yield Use(name=resource.name, price=("elasticache", figure), quantity=_same(hours * count))


def _tracking_server(resource: Resource, hours: int) -> Iterator[Use]:
    size = str(resource.inputs.get("trackingServerSize") or "Small")
    yield Use(name=resource.name, price=("mlflow", size), quantity=_same(hours))


METERS: Mapping[str, Meter] = {
    "aws:cloudtrail/trail:Trail": _monthly("cloudtrail", "first trail"),
    "aws:cloudwatch/dashboard:Dashboard": _monthly("cloudwatch", "dashboard"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": _monthly("cloudwatch", "alarm"),
    "aws:ec2/capacityReservation:CapacityReservation": _capacity_reservation,
    "aws:ec2/eip:Eip": _hourly("vpc", "public IPv4 address"),
    "aws:ec2/natGateway:NatGateway": _hourly("vpc", "NAT gateway"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _vpc_endpoint,
    "aws:eks/cluster:Cluster": _cluster,
    "aws:eks/nodeGroup:NodeGroup": _as_fleet,
    "aws:elasticache/replicationGroup:ReplicationGroup": _cache_nodes,
    "aws:fsx/lustreFileSystem:LustreFileSystem": _file_system,
    "aws:kinesis/stream:Stream": _stream,
    "aws:kms/key:Key": _monthly("kms", "customer managed key"),
    "aws:msk/cluster:Cluster": _brokers,
    "aws:msk/serverlessCluster:ServerlessCluster": _hourly("msk", "serverless cluster"),
    "aws:sagemaker/endpoint:Endpoint": _as_fleet,
    "aws:sagemaker/mlflowApp:MlflowApp": _monthly("mlflow", "app"),
    "aws:sagemaker/mlflowTrackingServer:MlflowTrackingServer": _tracking_server,
    "aws:secretsmanager/secret:Secret": _monthly("secretsmanager", "secret"),
}
"""Type -> its meter. What is here neither nor free nor billed by use counts as unpriced."""
