"""The network: a VPC with room for pods and, where an environment says so, a way out."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role

NatGateways = Literal["none", "single", "one-per-az"]
Tables = Mapping[str, aws.ec2.RouteTable]
"""Route tables by the id of their zone; zones may share one."""


@dataclass(frozen=True, kw_only=True)
class NetworkArgs(ComponentArgs):
    """How large the network is, where it is, and whether anything leads out of it."""

    cidr_block: str
    """IPv4 range of nodes, jobs and endpoints, /16 to /24. Subnets are cut from it in equal
    parts."""

    pod_cidr_block: str | None = None
    """Second IPv4 range, for pods, so that a small first one suffices; 100.64.0.0/10 is free of
    other networks' routes (RFC 6598). Default: pods get addresses of the first range."""

    availability_zone_ids: Sequence[str]
    """One private subnet in each. By id, `use1-az1`: names differ from account to account."""

    nat_gateways: NatGateways = "none"
    """`single` is cheap and stops with its zone; `one-per-az` survives it. Default: no way out,
    and no public subnet."""

    cluster_name: str
    """Load balancers and Karpenter's nodes of this EKS cluster find their subnets by tags."""

    flow_log_role: Role | None = None
    """Role with which VPC Flow Logs writes. Default: flows are not logged."""

    flow_log_retention_days: int = 90
    """Days flow logs are kept. Default: 90."""

    flow_log_kms_key_arn: pulumi.Input[str] | None = None
    """Key of the flow logs. Default: CloudWatch Logs encrypts them with its own."""


MAX_ZONES = 6
"""No region has more Availability Zones."""


def subnet_cidr_blocks(
    cidr_block: str, count: int, *, public: bool = False, mixed: bool = True
) -> list[str]:
    """Equal parts of a range, one for each of `count` zones.

    As many are cut as the largest number of zones needs, however many there are today: a zone that
    is added moves no subnet, and so replaces none. In a mixed range the public subnets are in the
    second half.
    """
    network = ipaddress.IPv4Network(cidr_block)
    bits = (MAX_ZONES - 1).bit_length() + (1 if mixed else 0)
    parts = [str(part) for part in network.subnets(prefixlen_diff=bits)]
    start = len(parts) // 2 if public else 0
    return parts[start : start + count]


class Network(Component):
    """Private subnets in every zone, subnets for pods, and NAT gateways as the environment says."""

    vpc_id: pulumi.Output[str]
    private_subnet_ids: pulumi.Output[list[str]]
    workload_security_group_id: pulumi.Output[str]
    """For endpoints, functions and nodes: out to HTTPS, in from itself."""

    job_security_group_id: pulumi.Output[str]
    """For jobs alone, so that code under trial reaches no node, cache or broker: out to HTTPS, in
    from itself."""

    efa_security_group_id: pulumi.Output[str]
    """For nodes with Elastic Fabric Adapters, beside the one for workloads."""

    private_subnet_ids_by_zone: Mapping[str, pulumi.Output[str]]
    """By zone id: for what must stay in one zone."""

    pod_subnet_ids: Mapping[str, pulumi.Output[str]]
    """By zone id; empty where pods share the first range."""

    route_table_ids: Sequence[pulumi.Output[str]]
    """Of the private subnets, each once: gateway endpoints go there."""

    def __init__(
        self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._args = args
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=args.cidr_block,
            enable_dns_support=True,
            enable_dns_hostnames=True,  # interface endpoints answer under the services' own names
            tags=self.tags("vpc"),
            opts=self.child,
        )
        self.vpc_id = vpc.id
        # Every VPC has a default group that lets its members talk: nothing of it stays
        aws.ec2.DefaultSecurityGroup(
            f"{name}-default", vpc_id=vpc.id, tags=self.tags("default"), opts=self.child
        )
        tables = self._private_route_tables()
        count = len(args.availability_zone_ids)
        self.private_subnet_ids_by_zone = self._subnets(
            "private",
            subnet_cidr_blocks(args.cidr_block, count),
            tables,
            {"kubernetes.io/role/internal-elb": "1", **self._discovery()},
        )
        self.private_subnet_ids = pulumi.Output.all(*self.private_subnet_ids_by_zone.values())
        self.pod_subnet_ids = self._pod_subnets(tables)
        if args.nat_gateways != "none":
            self._way_out(tables)
        self.route_table_ids = [table.id for table in dict.fromkeys(tables.values())]
        self.workload_security_group_id = self._workers(
            "workload", "Jobs, endpoints and nodes", **self._discovery()
        )
        self.job_security_group_id = self._workers("jobs", "SageMaker jobs")
        self.efa_security_group_id = self._efa_group()
        if args.flow_log_role is not None:
            self._flow_logs(args.flow_log_role)
        self.seal()

    def _discovery(self) -> dict[str, str]:
        """Karpenter puts nodes and groups with this tag to use (Karpenter, NodeClasses)."""
        return {"karpenter.sh/discovery": self._args.cluster_name}

    def _private_route_tables(self) -> Tables:
        """One for all zones, or one for each where each has a NAT gateway of its own."""

        def table(suffix: str) -> aws.ec2.RouteTable:
            return aws.ec2.RouteTable(
                f"{self.component_name}-private{suffix}",
                vpc_id=self.vpc_id,
                tags=self.tags(f"private{suffix}"),
                opts=self.child,
            )

        zones = self._args.availability_zone_ids
        if self._args.nat_gateways == "one-per-az":
            return {zone: table(f"-{zone}") for zone in zones}
        return dict.fromkeys(zones, table(""))

    def _subnets(
        self,
        role: str,
        blocks: Sequence[str],
        tables: Tables,
        tags: Mapping[str, str],
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> dict[str, pulumi.Output[str]]:
        found = {}
        for zone, block in zip(self._args.availability_zone_ids, blocks, strict=True):
            subnet = aws.ec2.Subnet(
                f"{self.component_name}-{role}-{zone}",
                vpc_id=self.vpc_id,
                availability_zone_id=zone,
                cidr_block=block,
                tags={**self.tags(f"{role}-{zone}"), **tags},
                opts=pulumi.ResourceOptions(parent=self, depends_on=list(depends_on)),
            )
            aws.ec2.RouteTableAssociation(
                f"{self.component_name}-{role}-{zone}",
                subnet_id=subnet.id,
                route_table_id=tables[zone].id,
                opts=self.child,
            )
            found[zone] = subnet.id
        return found

    def _pod_subnets(self, tables: Tables) -> dict[str, pulumi.Output[str]]:
        """The VPC CNI takes further interfaces from subnets with its tag (EKS user guide)."""
        block, zones = self._args.pod_cidr_block, self._args.availability_zone_ids
        if block is None:
            return {}
        second = aws.ec2.VpcIpv4CidrBlockAssociation(
            f"{self.component_name}-pods", vpc_id=self.vpc_id, cidr_block=block, opts=self.child
        )
        blocks = subnet_cidr_blocks(block, len(zones), mixed=False)
        return self._subnets("pods", blocks, tables, {"kubernetes.io/role/cni": "1"}, [second])

    def _way_out(self, private: Tables) -> None:
        """Public subnets for the NAT gateways and load balancers; nothing else runs in them."""
        name, args = self.component_name, self._args
        gateway = aws.ec2.InternetGateway(
            f"{name}-internet", vpc_id=self.vpc_id, tags=self.tags("internet"), opts=self.child
        )
        routes = aws.ec2.RouteTable(
            f"{name}-public", vpc_id=self.vpc_id, tags=self.tags("public"), opts=self.child
        )
        out = aws.ec2.Route(
            f"{name}-public",
            route_table_id=routes.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=self.child,
        )
        zones = args.availability_zone_ids
        subnets = self._subnets(
            "public",
            subnet_cidr_blocks(args.cidr_block, len(zones), public=True),
            dict.fromkeys(zones, routes),
            {"kubernetes.io/role/elb": "1"},
        )
        for zone in zones[:1] if args.nat_gateways == "single" else zones:
            gateway_id = self._nat_gateway(zone, subnets[zone], out)
            suffix = "" if args.nat_gateways == "single" else f"-{zone}"
            aws.ec2.Route(
                f"{name}-private{suffix}",
                route_table_id=private[zone].id,
                destination_cidr_block="0.0.0.0/0",
                nat_gateway_id=gateway_id,
                opts=self.child,
            )

    def _nat_gateway(
        self, zone: str, subnet_id: pulumi.Output[str], out: pulumi.Resource
    ) -> pulumi.Output[str]:
        address = aws.ec2.Eip(
            f"{self.component_name}-nat-{zone}",
            domain="vpc",
            tags=self.tags(f"nat-{zone}"),
            opts=self.child,
        )
        gateway = aws.ec2.NatGateway(
            f"{self.component_name}-nat-{zone}",
            subnet_id=subnet_id,
            allocation_id=address.id,
            tags=self.tags(f"nat-{zone}"),
            # it answers only once its own subnet has a way out; two cannot share one address
            opts=pulumi.ResourceOptions(parent=self, depends_on=[out], delete_before_replace=True),
        )
        return gateway.id

    def _group(self, role: str, description: str, **tags: str) -> pulumi.Output[str]:
        group = aws.ec2.SecurityGroup(
            f"{self.component_name}-{role}",
            name=self.names.of(role),
            description=description,
            vpc_id=self.vpc_id,
            tags={**self.tags(role), **tags},
            opts=self.child,
        )
        return group.id

    def _workers(self, role: str, description: str, **tags: str) -> pulumi.Output[str]:
        group = self._group(role, description, **tags)
        self._peers(role, group, "Workers of one job talk to each other")
        aws.vpc.SecurityGroupEgressRule(
            f"{self.component_name}-{role}-https",
            security_group_id=group,
            cidr_ipv4="0.0.0.0/0",  # how far that is, the route table decides
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            description="HTTPS to AWS services, and to the internet where there is a NAT gateway",
            tags=self.tags(f"{role}-https"),
            opts=self.child,
        )
        return group

    def _efa_group(self) -> pulumi.Output[str]:
        """EFA traffic is no IP traffic: both directions must name the group itself.

        A rule with an IP range, even 0.0.0.0/0, does not let it through (EC2 user guide, get
        started with EFA).
        """
        group = self._group("efa", "Elastic Fabric Adapters of one job")
        self._peers("efa", group, "EFA traffic between the nodes of one job")
        return group

    def _peers(self, role: str, group: pulumi.Output[str], description: str) -> None:
        """Everything, in and out, between members of a group."""
        aws.vpc.SecurityGroupIngressRule(
            f"{self.component_name}-{role}-self",
            security_group_id=group,
            referenced_security_group_id=group,
            ip_protocol="-1",
            description=description,
            tags=self.tags(f"{role}-self"),
            opts=self.child,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{self.component_name}-{role}-peers",
            security_group_id=group,
            referenced_security_group_id=group,
            ip_protocol="-1",
            description=description,
            tags=self.tags(f"{role}-peers"),
            opts=self.child,
        )

    def _flow_logs(self, role: Role) -> None:
        """Accepted and rejected connections of the whole VPC."""
        name, args = self.component_name, self._args
        logs = aws.cloudwatch.LogGroup(
            f"{name}-flow-logs",
            name=f"/aws/vpc/{self.names.of('flow-logs')}",
            retention_in_days=args.flow_log_retention_days,
            kms_key_id=args.flow_log_kms_key_arn,
            tags=self.tags("flow-logs"),
            opts=self.child,
        )
        actions = ("CreateLogStream", "DescribeLogGroups", "DescribeLogStreams", "PutLogEvents")
        may_write = self.grant(
            role,
            "write-flow-logs",
            [
                {
                    "Action": [f"logs:{action}" for action in actions],
                    "Resource": [logs.arn, pulumi.Output.concat(logs.arn, ":*")],
                }
            ],
        )
        aws.ec2.FlowLog(
            f"{name}-flow-logs",
            vpc_id=self.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=logs.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=600,
            tags=self.tags("flow-logs"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[may_write]),
        )
