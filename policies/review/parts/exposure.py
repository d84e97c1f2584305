"""What becomes reachable from outside, or stops being so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from policies.data import UNKNOWN, Resource
from policies.review.model import Change, StackChange
from policies.review.parts.access import statements
from policies.review.report import Context, Reason, Row, Section

EXPOSED = "RV-004"
ANYWHERE = frozenset({"0.0.0.0/0", "::/0"})


def part(change: StackChange, context: Context) -> Section | None:
    """One row per opening that appears or disappears."""
    del context
    found = []
    for item in change.changed():
        before, after = openings(item.old), openings(item.new)
        found += [("opens", item, text) for text in sorted(after - before)]
        found += [("closes", item, text) for text in sorted(before - after)]
    if not found:
        return None
    return Section(
        id="exposure",
        title="Reachable from outside",
        columns=("", "resource", "what"),
        rows=[
            Row(
                cells=(verb, item.name, text),
                risk="critical" if verb == "opens" else "low",
                urn=item.urn,
                source=item.source,
            )
            for verb, item, text in found
        ],
        data={"changes": [{"change": v, "urn": item.urn, "what": text} for v, item, text in found]},
        reasons=[_reason(item, text) for verb, item, text in found if verb == "opens"],
    )


def _reason(item: Change, text: str) -> Reason:
    return Reason(
        rule=EXPOSED,
        risk="critical",
        message=f"{item.name} becomes reachable: {text}",
        fix="allow named ranges, principals or endpoints only",
        urn=item.urn,
        source=item.source,
        blocks=True,
    )


def openings(resource: Resource | None) -> set[str]:
    """How this resource can be reached from outside the account or the network."""
    if resource is None:
        return set()
    look = OPENINGS.get(resource.type)
    return set(look(resource.inputs.value)) if look else set(_by_policy(resource))


def _cluster(inputs: Mapping[str, Any]) -> Iterator[str]:
    config = inputs.get("vpcConfig") or {}
    if config is UNKNOWN or not config.get("endpointPublicAccess", True):
        return
    for cidr in config.get("publicAccessCidrs") or ["0.0.0.0/0"]:
        yield f"the Kubernetes API server from {_shown(cidr)}"


def _rule(inputs: Mapping[str, Any]) -> Iterator[str]:
    for name in ("cidrIpv4", "cidrIpv6"):
        if inputs.get(name) in ANYWHERE:
            yield f"{_ports(inputs)} from {inputs[name]}"


def _security_group(inputs: Mapping[str, Any]) -> Iterator[str]:
    for rule in inputs.get("ingress") or ():
        for cidr in (*(rule.get("cidrBlocks") or ()), *(rule.get("ipv6CidrBlocks") or ())):
            if cidr in ANYWHERE:
                yield f"{_ports(rule)} from {cidr}"


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
    for interface in inputs.get("networkInterfaces") or ():
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


OPENINGS: Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "aws:alb/loadBalancer:LoadBalancer": _balancer,
    "aws:ec2/instance:Instance": _instance,
    "aws:ec2/launchTemplate:LaunchTemplate": _template,
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
}
"""By type; where a default of AWS is the open one, an absent input is open."""

POLICIES = {
    "aws:ecr/repositoryPolicy:RepositoryPolicy": "policy",
    "aws:kms/key:Key": "policy",
    "aws:s3/bucketPolicy:BucketPolicy": "policy",
    "aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy": "resourcePolicy",
    "aws:sns/topicPolicy:TopicPolicy": "policy",
    "aws:sqs/queuePolicy:QueuePolicy": "policy",
}


def _by_policy(resource: Resource) -> Iterator[str]:
    """A resource policy that allows everybody, without a condition."""
    name = POLICIES.get(resource.type)
    for statement in statements(resource, name) if name else ():
        everybody = statement.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
        if statement["Effect"] == "Allow" and everybody and not statement.get("Condition"):
            yield f"{', '.join(statement.get('Action', ()))} by everybody"


def _shown(value: Any) -> str:
    return "a range known after the update" if value is UNKNOWN else str(value)
