"""What opens a resource from outside: policies attached to it, ranges of addresses, grants."""

from collections.abc import Iterator

from policies.data import Data, Resource, Unknown
from policies.reading.attached import HOLDERS, attached_statements
from policies.reading.documents import is_public
from policies.reading.networks import is_internet, networks
from policies.reading.predicates import OFF, meets
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

SECURITY_GROUP = "aws:ec2/securityGroup:SecurityGroup"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
GROUP_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
ACLS = ("aws:ec2/networkAcl:NetworkAcl", "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl")
ACL_RULE = "aws:ec2/networkAclRule:NetworkAclRule"
PREFIX_LIST = "aws:ec2/managedPrefixList:ManagedPrefixList"
PREFIX_ENTRY = "aws:ec2/managedPrefixListEntry:ManagedPrefixListEntry"
SUBNET = "aws:ec2/subnet:Subnet"
PUBLIC_PORTS = (80, 443)
"""Those that a load balancer may be asked on by everybody (Security Hub's EC2.18)."""

ADMIN_PORTS = (22, 3389)
"""Those by which machines are administered (Security Hub's EC2.21)."""

GRANTS = (
    "aws:cloudwatch/eventPermission:EventPermission",
    "aws:ec2/amiLaunchPermission:AmiLaunchPermission",
    "aws:ec2/snapshotCreateVolumePermission:SnapshotCreateVolumePermission",
    "aws:lambda/layerVersionPermission:LayerVersionPermission",
    "aws:ram/resourceShare:ResourceShare",
)
"""Types that let somebody in without a document."""


@rule(
    "PF-ACC-001",
    applies_to=(HOLDERS, *GRANTS),
    severity="high",
    fix="name the accounts, roles or services as principals, or add a condition that names an\n"
    "account or organization by StringEquals",
    url="https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-concepts.html",
    themes=Theme.LEAST_PRIVILEGE | Theme.NETWORK_ISOLATION,
)
def forbid_public_policies(resource: Resource, scope: Scope) -> Result:
    """No policy that is attached to a resource of any type lets everybody in.

    Whatever the type: a secret, a repository, a bucket, a vault, a bus, a catalogue, also where the
    document stands in a text of JSON. A public access block does not excuse it: the day that goes,
    the policy is there.
    """
    if resource.type in GRANTS:
        return every(_granted(resource.inputs), Fail)

    def closed(statement: Data) -> Result:
        public = is_public(statement)
        return Fail(f"{statement.path} must not be for everybody") if public else None

    return every(attached_statements(resource), closed)


def _granted(inputs: Data) -> Iterator[str]:
    """What stands for everybody in each of them, in AWS's words."""
    if inputs.get("principal") == "*" and not (
        inputs.has("organizationId") or inputs.has("condition")
    ):
        yield "principal must be an account, got *"
    if inputs.get("group") == "all":
        yield "group must not be all"
    if inputs.get("allowExternalPrincipals") is True:
        yield "allowExternalPrincipals must not be true"


@rule(
    "PF-VPC-002",
    applies_to=(
        SECURITY_GROUP, DEFAULT_GROUP, GROUP_RULE, INGRESS_RULE, *ACLS, ACL_RULE, PREFIX_LIST,
        PREFIX_ENTRY, SUBNET,
    ),
    severity="high",
    fix="name the networks or security groups that may come in; give public addresses to load\n"
    "balancers alone",
    url="https://docs.aws.amazon.com/securityhub/latest/userguide/ec2-controls.html",
    themes=Theme.NETWORK_ISOLATION,
)  # fmt: skip
def forbid_open_networks(resource: Resource, scope: Scope) -> Result:
    """Nothing but 80 and 443 is open to the internet, in whatever pieces its range is written.

    Network ACLs keep no state, so answers come in on high ports: there only the ports of SSH and
    RDP count. A prefix list is judged by its entries, whoever uses it.
    """
    inputs = resource.inputs
    if resource.type == SUBNET:
        return meets(inputs, {"mapPublicIpOnLaunch": OFF})
    if resource.type in (PREFIX_LIST, PREFIX_ENTRY):
        entries = inputs.each("entries") or [inputs]
        return _closed([each.get("cidr") for each in entries], "the entries")
    if inputs.get("egress") is True or inputs.get("type") == "egress":
        return NotApplicable("it is about what goes out")
    inline = resource.type in (SECURITY_GROUP, DEFAULT_GROUP, *ACLS)
    entries = inputs.each("ingress") if inline else [inputs]
    if resource.type in (*ACLS, ACL_RULE):
        return _no_administration(entries, "action" if inline else "ruleAction")
    return _no_internet(entries)


RANGES = ("cidrBlocks", "ipv6CidrBlocks", "cidrIpv4", "cidrIpv6", "cidrBlock", "ipv6CidrBlock")


def _ranges(entry: Data) -> list[object]:
    found: list[object] = []
    for key in RANGES:
        value = entry.get(key)
        found += value if isinstance(value, list) else [value]
    return found


def _closed(ranges: list[object], what: str) -> Result:
    wide = [str(each) for each in networks(ranges) if is_internet([each])]
    return Fail(f"{what} must name networks, got {', '.join(wide)}") if wide else None


def _no_internet(entries: list[Data]) -> Result:
    """Halves of the internet may stand in two entries, so all of what is not public is joined."""
    ranges: list[object] = []
    unknown: list[str] = []
    for entry in entries:
        try:
            ranges += [] if _ports(entry) <= {*PUBLIC_PORTS} else _ranges(entry)
        except Unknown as error:
            unknown += error.paths
    found = _closed(ranges, "ingress")
    if unknown and found is None:
        raise Unknown(*unknown)
    return found


def _ports(entry: Data) -> set[int]:
    """The first and the last port; -1 for all of them."""
    if str(entry.get("protocol") or entry.get("ipProtocol")) in ("-1", "all"):
        return {-1}
    first, last = entry.get("fromPort"), entry.get("toPort")
    one = first == last
    return {int(first)} if one and first is not None else {-1}


def _no_administration(entries: list[Data], action: str) -> Result:
    def closed(entry: Data) -> Result:
        if str(entry.get(action)).lower() != "allow":
            return None
        every_port = str(entry.get("protocol")) in ("-1", "all")
        first, last = int(entry.get("fromPort") or 0), int(entry.get("toPort") or 65535)
        if every_port or any(first <= port <= last for port in ADMIN_PORTS):
            return _closed(_ranges(entry), entry.path or "cidrBlock")
        return None

    return every(entries, closed)
