"""Networks that models are trained and served in."""

from policies.data import Resource
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
NAT = "aws:ec2/natGateway:NatGateway"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
SERVICES = ("ecr.api", "ecr.dkr", "logs", "s3", "sagemaker.api", "sagemaker.runtime", "sts")
"""What SageMaker jobs and EKS nodes without internet call."""


@rule(
    "PF-VPC-001",
    applies_to=VPC,
    kind="stack",
    severity="medium",
    fix="add the VpcEndpoints (infra/vpc_endpoints.py does), a FlowLog, and a closed\n"
    "DefaultSecurityGroup without rules (infra/network.py does)",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/infrastructure-give-access.html",
    themes=Theme.NETWORK_ISOLATION | Theme.LIMITS,
)
def require_private_network(resource: Resource, scope: Scope) -> Result:
    """A network reaches AWS without the internet, logs its flows and closes its default group.

    The default security group lets everything in it talk, and takes in what names no group.
    """

    def endpoints(vpc: Resource) -> Result:
        missing = [name for name in SERVICES if name not in _services(vpc, scope)]
        return Fail(f"must have VpcEndpoints for {', '.join(missing)}") if missing else None

    def flows(vpc: Resource) -> Result:
        logged = scope.pointing_at(vpc, FLOW_LOG, "vpcId")
        return None if logged else Fail("must have a FlowLog, got none")

    def closed(vpc: Resource) -> Result:
        groups = scope.pointing_at(vpc, DEFAULT_GROUP, "vpcId")
        if not groups:
            return Fail("must have a DefaultSecurityGroup that is closed, got none")
        ways = ("ingress", "egress")
        opened = [way for group in groups for way in ways if group.outputs.each(way)]
        return Fail(f"the default security group must have no {opened[0]}") if opened else None

    return every((endpoints, flows, closed), lambda check: check(resource))


def _services(vpc: Resource, scope: Scope) -> set[str]:
    """The services that the network has endpoints for, without `com.amazonaws.REGION`."""
    found = scope.pointing_at(vpc, ENDPOINT, "vpcId")
    return {str(each.outputs.get("serviceName")).split(".", 3)[-1] for each in found}


@rule(
    "FO-008",
    applies_to=VPC,
    kind="stack",
    severity="low",
    mandatory="never",
    fix="add a gateway endpoint for s3 and interface endpoints for ecr.api and ecr.dkr",
    url="https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-pricing.html",
    themes=Theme.LIMITS,
)
def limit_nat_traffic(resource: Resource, scope: Scope) -> Result:
    """Data sets and images do not pass a NAT gateway, which is paid by the gigabyte."""
    subnets = scope.pointing_at(resource, SUBNET, "vpcId")
    if not any(scope.pointing_at(subnet, NAT, "subnetId") for subnet in subnets):
        return NotApplicable("it has no NAT gateway")
    there = _services(resource, scope)
    missing = [name for name in ("s3", "ecr.api", "ecr.dkr") if name not in there]
    return Fail(f"must have VpcEndpoints for {', '.join(missing)}") if missing else None
