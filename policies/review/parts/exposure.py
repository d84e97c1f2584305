"""What becomes reachable from outside, or stops being so."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from policies.data import UNKNOWN, Resource
from policies.reading.flows import let_through, some, was_open
from policies.reading.networks import added, is_internet, is_private, networks
from policies.reading.principals import certain, is_public, listed
from policies.review.model import Change, StackChange
from policies.review.parts.access import documents
from policies.review.report import Context, Reason, Risk, Row, Section

EXPOSED = "RV-004"


def part(change: StackChange, context: Context) -> Section | None:
    """One row per opening that appears or disappears, and per network that is let in."""
    del context
    found: list[Line] = []
    for item in change.changed():
        if item.component:
            continue
        before, after = openings(item.old), openings(item.new)
        more = let_through(item.old, item.new)
        come = {each for each in after - before if more != [] and not was_open(each, before)}
        found += [(item, _opens(item, text)) for text in sorted(come)]
        found += [(item, text) for text in sorted(before - after)]
        beside = list(_networks(item, come)) if more != [] else []
        if more and not come and not beside:
            beside = [_reason(item, f"lets more through: {some(more)}", "medium", False)]
        found += [(item, reason) for reason in beside]
    if not found:
        return None
    return Section(
        id="exposure",
        title="Reachable from outside",
        columns=("", "resource", "what"),
        rows=[_row(*line) for line in found],
        data={
            "changes": [
                {"change": _verb(what), "urn": item.urn, "what": _text(item, what)}
                for item, what in found
            ]
        },
        reasons=[what for _, what in found if isinstance(what, Reason)],
    )


Line = tuple[Change, "Reason | str"]
"""What opens, as a reason, or what closes."""


def _verb(what: Reason | str) -> str:
    return "opens" if isinstance(what, Reason) else "closes"


def _text(item: Change, what: Reason | str) -> str:
    if isinstance(what, Reason):
        return what.message.removeprefix(f"{item.name} ").removeprefix("becomes reachable: ")
    return what


def _row(item: Change, what: Reason | str) -> Row:
    risk: Risk = what.risk if isinstance(what, Reason) else "low"
    cells = (_verb(what), item.name, _text(item, what))
    return Row(cells=cells, risk=risk, urn=item.urn, source=item.source)


def _opens(item: Change, text: str) -> Reason:
    if text.startswith(BY_NAME):  # a new thing may be made for the public; an old one was not
        new = item.operation == "create"
        return _reason(item, f"becomes reachable: {text}", "high" if new else "critical", not new)
    return _reason(item, f"becomes reachable: {text}", "critical", True)


def _reason(item: Change, text: str, risk: Risk, blocks: bool) -> Reason:
    return Reason(
        rule=EXPOSED,
        risk=risk,
        message=f"{item.name} {text}",
        fix="allow named ranges, principals or endpoints only",
        urn=item.urn,
        source=item.source,
        blocks=blocks,
    )


OUTWARD = re.compile(r"egress|destination|outbound|route|cidrblock$", re.I)
"""Names of ranges that are reached from here, or that a network is made of."""


def _networks(item: Change, told: set[str]) -> Iterator[Reason]:
    """The ranges that an update lets in, or lets out, beyond those of before."""
    if told or item.old is None or item.new is None:
        return
    sides = item.old.inputs.value, item.new.inputs.value
    for root in sorted({p.root for p in item.properties} - {"tags", "tagsAll"}):
        old, new = (networks(_strings(side.get(root))) for side in sides)
        come = added(old, new)
        if not come:
            continue
        names = ", ".join(map(str, come[:3])) + (f" and {len(come) - 3} more" if come[3:] else "")
        if OUTWARD.search(root) or OUTWARD.search(item.type):
            risk: Risk = "high" if is_internet(come) and root != "cidrBlock" else "medium"
            yield _reason(item, f"reaches further by {root}: {names}", risk, False)
        elif is_internet(come):
            yield _reason(item, f"becomes reachable: {root} from {names}", "critical", True)
        else:
            risk = "medium" if is_private(come) else "high"
            yield _reason(item, f"lets in more by {root}: {names}", risk, False)


def _strings(value: Any) -> Iterator[str]:
    """Every text in a value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def openings(resource: Resource | None) -> set[str]:
    """How this resource can be reached from outside the account or the network."""
    if resource is None:
        return set()
    look = OPENINGS.get(resource.type, _by_name)
    inputs = resource.inputs.value
    if look is _by_name and OUTWARD.search(resource.type):
        inputs = {name: value for name, value in inputs.items() if not INWARD.search(name)}
    return {*look(inputs), *_by_policy(resource)}


BY_NAME = "by its "
INWARD = re.compile(
    r"ingress|source|allow|cidr|iprange|whitelist|permission|inbound|authorized", re.I
)
FLAGS: Mapping[str, tuple[object, ...]] = {
    "acl": ("public-read", "public-read-write", "authenticated-read"),
    "accesscontrol": ("PublicRead", "PublicReadWrite", "AuthenticatedRead"),
    "allowexternalprincipals": (True,),
    "associatepublicipaddress": (True, "true"),
    "authorization": ("NONE",),
    "authorizationtype": ("NONE",),
    "authtype": ("NONE",),
    "directinternetaccess": ("Enabled",),
    "endpointpublicaccess": (True,),
    "endpointtype": ("PUBLIC",),
    "internal": (False,),
    "mappubliciponlaunch": (True,),
    "networkaccesstype": ("PUBLIC",),
    "publiclyaccessible": (True,),
    "publicnetworkaccess": (True, "Enabled"),
    "scheme": ("internet-facing",),
}
"""Inputs, in lower case, and the values by which a resource of any type is open."""


def _by_name(inputs: Mapping[str, Any], path: str = "", depth: int = 4) -> Iterator[str]:
    """What a type that is in no list opens, by the names and values of its inputs."""
    for name, value in inputs.items():
        where = f"{path}.{name}" if path else str(name)
        if value in FLAGS.get(str(name).lower().replace("_", ""), ()) and value is not UNKNOWN:
            yield f"{BY_NAME}{where} {value}"
        elif isinstance(value, str | list) and INWARD.search(where) and not OUTWARD.search(where):
            texts = [value] if isinstance(value, str) else [v for v in value if isinstance(v, str)]
            if is_internet(found := networks(texts)):
                yield f"{where} from {', '.join(map(str, found[:3]))}"
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Mapping) and depth:
                yield from _by_name(item, where, depth - 1)


def _cluster(inputs: Mapping[str, Any]) -> Iterator[str]:
    config = inputs.get("vpcConfig") or {}
    if config is UNKNOWN or not config.get("endpointPublicAccess", True):
        return
    for cidr in listed(config.get("publicAccessCidrs")) or ["0.0.0.0/0"]:
        yield f"the Kubernetes API server from {_shown(cidr)}"


def _rule(inputs: Mapping[str, Any]) -> Iterator[str]:
    for name in ("cidrIpv4", "cidrIpv6"):
        if is_internet(networks([inputs.get(name)])):
            yield f"{_ports(inputs)} from {inputs[name]}"


def _security_group(inputs: Mapping[str, Any]) -> Iterator[str]:
    for rule in certain(inputs.get("ingress")):
        ranges = (*listed(rule.get("cidrBlocks")), *listed(rule.get("ipv6CidrBlocks")))
        for found in networks(ranges):
            if is_internet([found]):
                yield f"{_ports(rule)} from {found}"


def _annotations(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    of = (each.get("annotations") for each in certain(inputs.get("metadata")))
    return next((note for each in of for note in certain(each)), {})


def _ports(rule: Mapping[str, Any]) -> str:
    protocol = rule.get("ipProtocol") or rule.get("protocol")
    if protocol == "-1":
        return "every port"
    low, high = rule.get("fromPort"), rule.get("toPort")
    return f"{protocol} port {low}" if low == high else f"{protocol} ports {low} to {high}"


def _public_access_block(inputs: Mapping[str, Any]) -> Iterator[str]:
    for name in (
        "blockPublicAcls",
        "blockPublicPolicy",
        "ignorePublicAcls",
        "restrictPublicBuckets",
    ):
        if inputs.get(name) is not True:
            yield f"the bucket: {name} is off"


def _instance(inputs: Mapping[str, Any]) -> Iterator[str]:
    if inputs.get("associatePublicIpAddress") is True:
        yield "a public IP address"


def _template(inputs: Mapping[str, Any]) -> Iterator[str]:
    for interface in certain(inputs.get("networkInterfaces")):
        if str(interface.get("associatePublicIpAddress")).lower() == "true":
            yield "a public IP address for every node"


def _subnet(inputs: Mapping[str, Any]) -> Iterator[str]:
    if inputs.get("mapPublicIpOnLaunch") is True:
        yield "a public IP address for everything that starts in the subnet"


def _notebook(inputs: Mapping[str, Any]) -> Iterator[str]:
    if inputs.get("directInternetAccess", "Enabled") == "Enabled":
        yield "the internet from the notebook, and back"


def _domain(inputs: Mapping[str, Any]) -> Iterator[str]:
    if inputs.get("appNetworkAccessType", "PublicInternetOnly") == "PublicInternetOnly":
        yield "the internet from Studio, past the VPC"


def _balancer(inputs: Mapping[str, Any]) -> Iterator[str]:
    if inputs.get("internal") is not True:
        yield "an internet-facing load balancer"


def _database(inputs: Mapping[str, Any]) -> Iterator[str]:
    if inputs.get("publiclyAccessible") is True:
        yield "the database from the internet"


def _function_url(inputs: Mapping[str, Any]) -> Iterator[str]:
    if inputs.get("authorizationType") == "NONE":
        yield "the function by anybody who knows its address"


def _service(inputs: Mapping[str, Any]) -> Iterator[str]:
    """AWS's controller makes a load balancer of the internet unless an annotation says internal."""
    spec, noted = inputs.get("spec"), _annotations(inputs)
    if not isinstance(spec, Mapping):
        return
    inside = any(
        str(value) in ("internal", "true")
        for name, value in noted.items()
        if "load-balancer-internal" in name or "load-balancer-scheme" in name
    )
    if spec.get("type") == "LoadBalancer" and not inside:
        found = networks(listed(spec.get("loadBalancerSourceRanges")) or ["0.0.0.0/0"])
        if is_internet(found):
            yield f"a load balancer from {', '.join(map(str, found))}"
    if spec.get("type") == "NodePort":
        yield f"{BY_NAME}spec.type NodePort: a port of every node"
    if spec.get("type") == "ExternalName":
        yield f"{BY_NAME}spec.externalName {spec.get('externalName')}: its callers reach that"
    for address in listed(spec.get("externalIPs")):
        yield f"{BY_NAME}spec.externalIPs {address}"


def _ingress(inputs: Mapping[str, Any]) -> Iterator[str]:
    if _annotations(inputs).get(SCHEME) == "internet-facing":
        yield "a load balancer of the internet"


SCHEME = "alb.ingress.kubernetes.io/scheme"


def _route(inputs: Mapping[str, Any]) -> Iterator[str]:
    """The way in and out of the internet; a NAT gateway is one out."""
    everywhere = is_internet(
        networks([inputs.get("destinationCidrBlock"), inputs.get("destinationIpv6CidrBlock")])
    )
    gateway = inputs.get("gatewayId")
    if everywhere and (gateway is UNKNOWN or str(gateway or "").startswith("igw-")):
        yield f"{BY_NAME}gatewayId the internet, both ways, for the subnets of its table"


def _gateway(inputs: Mapping[str, Any]) -> Iterator[str]:
    if inputs.get("vpcId"):
        yield f"{BY_NAME}vpcId a way to the internet and back, for whatever is routed there"


def _acl_rule(inputs: Mapping[str, Any]) -> Iterator[str]:
    ranges = networks([inputs.get("cidrBlock"), inputs.get("ipv6CidrBlock")])
    inward = inputs.get("ruleAction") == "allow" and inputs.get("egress") is not True
    if inward and is_internet(ranges):
        yield f"{BY_NAME}cidrBlock {_ports(inputs)} from {', '.join(map(str, ranges))}"


def _address(inputs: Mapping[str, Any]) -> Iterator[str]:
    """A public address for something; one of a NAT gateway, or of nothing yet, opens nothing."""
    for name in ("instance", "instanceId", "networkInterface", "networkInterfaceId"):
        if inputs.get(name):
            yield f"{BY_NAME}{name} a public IP address for {_shown(inputs[name])}"


def _launchable(inputs: Mapping[str, Any]) -> Iterator[str]:
    if inputs.get("group") == "all":
        yield "the image by everybody"


def _api_route(inputs: Mapping[str, Any]) -> Iterator[str]:
    if inputs.get("authorizationType", "NONE") == "NONE" and not inputs.get("apiKeyRequired"):
        yield f"{BY_NAME}authorizationType the route {inputs.get('routeKey')} by everybody"


def _network_policy(inputs: Mapping[str, Any]) -> Iterator[str]:
    """A rule without peers, or with all of them, lets in from or out to everywhere."""
    spec = inputs.get("spec")
    for way, side in (("ingress", "from"), ("egress", "to")):
        for rule in listed(spec.get(way)) if isinstance(spec, Mapping) else ():
            peers = listed(rule.get(side)) if isinstance(rule, Mapping) else [UNKNOWN]
            if not peers or any(map(_is_everybody, peers)):
                yield f"{BY_NAME}{way} {side} everywhere"


def _is_everybody(peer: Any) -> bool:
    if not isinstance(peer, Mapping):
        return False
    ranges = peer.get("ipBlock")
    if isinstance(ranges, Mapping):
        return is_internet(networks([ranges.get("cidr")]))
    return peer.get("namespaceSelector") == {} and not peer.get("podSelector")


OPENINGS: Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "aws:alb/loadBalancer:LoadBalancer": _balancer,
    "aws:apigatewayv2/route:Route": _api_route,
    "aws:ec2/amiLaunchPermission:AmiLaunchPermission": _launchable,
    "aws:ec2/eip:Eip": _address,
    "aws:ec2/eipAssociation:EipAssociation": _address,
    "aws:ec2/instance:Instance": _instance,
    "aws:ec2/launchTemplate:LaunchTemplate": _template,
    "aws:ec2/internetGateway:InternetGateway": _gateway,
    "aws:ec2/networkAclRule:NetworkAclRule": _acl_rule,
    "aws:ec2/route:Route": _route,
    "aws:ec2/securityGroup:SecurityGroup": _security_group,
    "aws:ec2/subnet:Subnet": _subnet,
    "aws:eks/cluster:Cluster": _cluster,
    "aws:lambda/functionUrl:FunctionUrl": _function_url,
    "aws:lb/loadBalancer:LoadBalancer": _balancer,
    "aws:rds/instance:Instance": _database,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _public_access_block,
    "aws:sagemaker/domain:Domain": _domain,
    "aws:sagemaker/notebookInstance:NotebookInstance": _notebook,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _rule,
    "kubernetes:core/v1:Service": _service,
    "kubernetes:networking.k8s.io/v1:Ingress": _ingress,
    "kubernetes:networking.k8s.io/v1:NetworkPolicy": _network_policy,
}
"""By type; where a default of AWS is the open one, an absent input is open."""


def _by_policy(resource: Resource) -> Iterator[str]:
    """A document that lets everybody in, by what AWS calls public.

    That of a VPC endpoint lets nobody in: it says who of the VPC gets out by it, and to what.
    """
    if "vpcendpoint" in resource.type.lower():
        return
    for statements in documents(resource).values():
        for statement in statements:
            if is_public(statement):
                what = statement.get("Action") or statement.get("NotAction") or ["something"]
                yield f"{', '.join(map(str, listed(what)))} by everybody"


def _shown(value: Any) -> str:
    return "a range known after the update" if value is UNKNOWN else str(value)
