"""The network: a VPC without a route to the internet, and the endpoints that replace one."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs


@dataclass(frozen=True, kw_only=True)
class NetworkArgs(ComponentArgs):
    """How large the network is and which AWS services it reaches."""

    cidr_block: str
    """IPv4 range of the VPC, /16 to /20. Subnets are cut from it in equal parts."""

    availability_zones: Sequence[str]
    """One private subnet in each."""

    interface_endpoints: Sequence[str]
    """Service suffixes (`sagemaker.api`, `ecr.dkr`, ...), each billed per zone and hour."""


def subnet_cidr_blocks(cidr_block: str, count: int) -> list[str]:
    """The first `count` of the equal parts that hold at least `count` subnets.

    Twice as many parts are cut as needed, so that zones can be added without moving a subnet.
    """
    network = ipaddress.IPv4Network(cidr_block)
    bits = max(2, (count - 1).bit_length() + 1)
    return [str(part) for part in list(network.subnets(prefixlen_diff=bits))[:count]]


class Network(Component):
    """A closed VPC: one private subnet per zone, S3 by gateway, the rest by interface endpoints."""

    vpc_id: pulumi.Output[str]
    private_subnet_ids: pulumi.Output[list[str]]
    workload_security_group_id: pulumi.Output[str]
    """For jobs, endpoints and nodes: out to the VPC's endpoints and S3, in from itself."""

    def __init__(
        self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=args.cidr_block,
            enable_dns_support=True,
            enable_dns_hostnames=True,  # interface endpoints answer under the services' own names
            tags=self.tags("vpc"),
            opts=self.child,
        )
        routes = aws.ec2.RouteTable(
            f"{name}-private", vpc_id=vpc.id, tags=self.tags("private"), opts=self.child
        )
        subnets = self._subnets(args, vpc, routes)
        self.vpc_id = vpc.id
        self.private_subnet_ids = pulumi.Output.all(*[subnet.id for subnet in subnets])
        self.workload_security_group_id = self._workload_group(args, vpc)
        self._endpoints(args, vpc, routes)
        self.seal()

    def _subnets(
        self, args: NetworkArgs, vpc: aws.ec2.Vpc, routes: aws.ec2.RouteTable
    ) -> list[aws.ec2.Subnet]:
        blocks = subnet_cidr_blocks(args.cidr_block, len(args.availability_zones))
        subnets = []
        for zone, block in zip(args.availability_zones, blocks, strict=True):
            subnet = aws.ec2.Subnet(
                f"{self.component_name}-private-{zone}",
                vpc_id=vpc.id,
                availability_zone=zone,
                cidr_block=block,
                tags=self.tags(f"private-{zone}"),
                opts=self.child,
            )
            aws.ec2.RouteTableAssociation(
                f"{self.component_name}-private-{zone}",
                subnet_id=subnet.id,
                route_table_id=routes.id,
                opts=self.child,
            )
            subnets.append(subnet)
        return subnets

    def _workload_group(self, args: NetworkArgs, vpc: aws.ec2.Vpc) -> pulumi.Output[str]:
        group = aws.ec2.SecurityGroup(
            f"{self.component_name}-workload",
            name=self.names.of("workload"),
            description="Jobs, endpoints and nodes",
            vpc_id=vpc.id,
            tags=self.tags("workload"),
            opts=self.child,
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{self.component_name}-workload-self",
            security_group_id=group.id,
            referenced_security_group_id=group.id,
            ip_protocol="-1",
            description="Workers of one job talk to each other",
            tags=self.tags("workload-self"),
            opts=self.child,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{self.component_name}-workload-https",
            security_group_id=group.id,
            cidr_ipv4="0.0.0.0/0",  # the route table holds no way out but S3's gateway endpoint
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            description="HTTPS to the VPC endpoints and S3",
            tags=self.tags("workload-https"),
            opts=self.child,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{self.component_name}-workload-peers",
            security_group_id=group.id,
            referenced_security_group_id=group.id,
            ip_protocol="-1",
            description="Workers of one job talk to each other",
            tags=self.tags("workload-peers"),
            opts=self.child,
        )
        return group.id

    def _endpoints(self, args: NetworkArgs, vpc: aws.ec2.Vpc, routes: aws.ec2.RouteTable) -> None:
        aws.ec2.VpcEndpoint(
            f"{self.component_name}-s3",
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{self.names.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[routes.id],
            tags=self.tags("s3"),
            opts=self.child,
        )
        group = aws.ec2.SecurityGroup(
            f"{self.component_name}-endpoints",
            name=self.names.of("endpoints"),
            description="Interface endpoints",
            vpc_id=vpc.id,
            tags=self.tags("endpoints"),
            opts=self.child,
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{self.component_name}-endpoints-https",
            security_group_id=group.id,
            cidr_ipv4=args.cidr_block,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            description="HTTPS from inside the VPC",
            tags=self.tags("endpoints-https"),
            opts=self.child,
        )
        for service in args.interface_endpoints:
            aws.ec2.VpcEndpoint(
                f"{self.component_name}-{service.replace('.', '-')}",
                vpc_id=vpc.id,
                service_name=f"com.amazonaws.{self.names.region}.{service}",
                vpc_endpoint_type="Interface",
                subnet_ids=self.private_subnet_ids,
                security_group_ids=[group.id],
                private_dns_enabled=True,
                tags=self.tags(service),
                opts=self.child,
            )
