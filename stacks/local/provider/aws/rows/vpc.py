"""Rules of security groups, each a resource of its own."""

from collections.abc import Mapping
from typing import Any

from stacks.local.provider.aws.row import Call, HookContext, Missing, Row, Tags, returned
from stacks.local.provider.backend import Properties

PORTS = {"ipProtocol": "IpProtocol", "fromPort": "FromPort", "toPort": "ToPort"}
PEERS = {
    "cidrIpv4": ("IpRanges", "CidrIp"),
    "cidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
    "prefixListId": ("PrefixListIds", "PrefixListId"),
    "referencedSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
}
RULE = {
    **PORTS,
    "cidrIpv4": "CidrIpv4",
    "cidrIpv6": "CidrIpv6",
    "description": "Description",
    "prefixListId": "PrefixListId",
    "referencedSecurityGroupId": "ReferencedGroupId",
}
"""The members of a rule as ModifySecurityGroupRules has them."""


def permission(scene: HookContext) -> Mapping[str, Any]:
    """A rule as the Authorize calls have it: the peer in a list by its kind."""
    new = scene.new
    ports = {member: new[name] for name, member in PORTS.items() if name in new}
    described = {"Description": new["description"]} if "description" in new else {}
    peers = {
        ranges: [{member: new[name], **described}]
        for name, (ranges, member) in PEERS.items()
        if name in new
    }
    return {"IpPermissions": [{**ports, **peers}]}


def changed(scene: HookContext) -> Mapping[str, Any]:
    """The whole rule: ModifySecurityGroupRules replaces it."""
    rule = {member: scene.new[name] for name, member in RULE.items() if name in scene.new}
    rule = {"FromPort": -1, "ToPort": -1, **rule}  # all ports, where the protocol has any
    return {"SecurityGroupRules": [{"SecurityGroupRuleId": scene.id, "SecurityGroupRule": rule}]}


TAGS = Tags(
    resource_type="security-group-rule",
    add="CreateTags",
    remove="DeleteTags",
    keys="Tags",
    key={"Resources": ["{id}"]},
)


def other_kind(before: Any, after: Any, _: Properties) -> bool:
    """Whether the peer was none of this kind before, or is none any more.

    The official provider modifies a rule in place otherwise (terraform-provider-aws,
    ec2/vpc_security_group_ingress_rule.go).
    """
    return not before or not after


def rule(direction: str) -> Row:
    """Ingress and egress differ in two calls."""
    return Row(
        token=f"aws:vpc/securityGroup{direction}Rule:SecurityGroup{direction}Rule",
        service="ec2",
        cfn=f"AWS::EC2::SecurityGroup{direction}",
        create=Call(f"AuthorizeSecurityGroup{direction}", ("securityGroupId",), build=permission),
        read=Call(
            "DescribeSecurityGroupRules",
            key={"SecurityGroupRuleIds": ["{id}"]},
            result="SecurityGroupRules[0]",
        ),
        update=(
            Call(
                "ModifySecurityGroupRules",
                tuple(RULE),
                key={"GroupId": "{securityGroupId}"},
                build=changed,
            ),
        ),
        delete=Call(
            f"RevokeSecurityGroup{direction}",
            key={"GroupId": "{securityGroupId}", "SecurityGroupRuleIds": ["{id}"]},
        ),
        identity=returned("SecurityGroupRules[0].SecurityGroupRuleId"),
        rename={"securityGroupId": "GroupId"},
        reads={**RULE, "referencedSecurityGroupId": "ReferencedGroupInfo.GroupId"},
        # moto tells the description of rules with a CIDR range alone
        write_only=("description",),
        computed=("fromPort", "toPort"),
        # moto's ModifySecurityGroupRules changes no other kind of peer
        replace_on=("cidrIpv6", "prefixListId", "referencedSecurityGroupId", "securityGroupId"),
        official=dict.fromkeys(PEERS, other_kind),
        outputs={
            "arn": "arn:aws:ec2:{region}:{account}:security-group-rule/{id}",
            "securityGroupRuleId": "SecurityGroupRuleId",
        },
        tags=TAGS,
        missing=(
            Missing("InvalidSecurityGroupRuleId.NotFound"),
            Missing("InvalidGroup.NotFound"),
            Missing("InvalidPermission.NotFound"),
        ),
        fidelity="recorded by moto: no traffic is filtered",
    )


ROWS = (rule("Egress"), rule("Ingress"))
