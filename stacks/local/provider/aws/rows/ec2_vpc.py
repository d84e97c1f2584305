"""VPCs and what stands in them: subnets, security groups, endpoints, flow logs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from stacks.local.provider.aws.row import EVERYTHING, Call, HookContext, Row, returned
from stacks.local.provider.aws.rows.ec2_kit import arn, gone, tags


def membership(name: str, member: str, path: str) -> Any:
    """Add and Remove lists for an input that is a set, from what is there now."""

    def build(scene: HookContext) -> Mapping[str, Any] | None:
        now: Sequence[Any] = (scene.describe() or {}).get(path) or []
        held = {item["GroupId"] if isinstance(item, Mapping) else item for item in now}
        wanted = set(scene.new.get(name) or [])
        lists = {f"Add{member}": sorted(wanted - held), f"Remove{member}": sorted(held - wanted)}
        return {key: value for key, value in lists.items() if value} or None

    return build


def attribute(prop: str, member: str) -> Call:
    """ModifyVpcAttribute changes one attribute at a time."""
    return Call("ModifyVpcAttribute", (prop,), rename={prop: f"{member}.Value"})


def vpc_attribute(name: str) -> Call:
    """DescribeVpcAttribute tells one attribute at a time."""
    return Call("DescribeVpcAttribute", fixed={"Attribute": name})


def default_group(scene: HookContext) -> Mapping[str, Any]:
    """Which security group came with the VPC."""
    return {
        "Filters": [
            {"Name": "vpc-id", "Values": [scene.new["vpcId"]]},
            {"Name": "group-name", "Values": ["default"]},
        ]
    }


def held(direction: str) -> Callable[[HookContext], Mapping[str, Any] | None]:
    """The rules that a group has now; None: it has none to take away."""

    def build(scene: HookContext) -> Mapping[str, Any] | None:
        rules = (scene.describe() or {}).get(direction)
        return {"IpPermissions": rules} if rules else None

    return build


def let_go(scene: HookContext) -> None:
    """moto ends with an endpoint a route in each of its tables; tables added later have none."""
    tables = (scene.describe() or {}).get("RouteTableIds")
    if tables:
        scene.client.modify_vpc_endpoint(VpcEndpointId=scene.id, RemoveRouteTableIds=tables)


VPCS = (
    Row(
        token="aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        service="ec2",
        cfn="",
        # it comes with the VPC: to create it is to find it and empty it
        create=Call("DescribeSecurityGroups", ("vpcId",), build=default_group),
        read=Call("DescribeSecurityGroups", key={"GroupIds": ["{id}"]}, result="SecurityGroups[0]"),
        then=(
            Call("RevokeSecurityGroupIngress", build=held("IpPermissions")),
            Call("RevokeSecurityGroupEgress", build=held("IpPermissionsEgress")),
        ),
        delete=None,
        identity=returned("SecurityGroups[0].GroupId"),
        key={"GroupId": "{id}"},
        reads={"vpcId": "VpcId"},
        provider_only=("revokeRulesOnDelete", "vpcId"),
        refuses=("egress", "ingress"),
        replace_on=("vpcId",),
        outputs={"arn": arn("security-group"), "ownerId": "OwnerId", "name": "GroupName"},
        tags=replace(tags("security-group"), create=""),
        missing=gone("InvalidGroup.NotFound", "InvalidGroupId.NotFound"),
        fidelity="recorded by moto: emptied, but no traffic is filtered",
    ),
    Row(
        token="aws:ec2/flowLog:FlowLog",
        service="ec2",
        cfn="AWS::EC2::FlowLog",
        create=Call(
            "CreateFlowLogs",
            omits=("logGroupName", "resourceType"),
            fixed={"ResourceType": "VPC"},
        ),
        read=Call("DescribeFlowLogs", key={"FlowLogIds": ["{id}"]}, result="FlowLogs[0]"),
        delete=Call("DeleteFlowLogs", key={"FlowLogIds": ["{id}"]}),
        identity=returned("FlowLogIds[0]"),
        rename={"vpcId": "ResourceIds[0]", "iamRoleArn": "DeliverLogsPermissionArn"},
        reads={"vpcId": "ResourceId"},
        defaults={"logDestinationType": "cloud-watch-logs", "maxAggregationInterval": 600},
        computed=("logFormat",),
        replace_on=EVERYTHING,
        refuses=(
            "deliverCrossAccountRole",
            "destinationOptions",
            "eniId",
            "regionalNatGatewayId",
            "subnetId",
            "tagFieldSpecifications",
            "transitGatewayAttachmentId",
            "transitGatewayId",
        ),
        outputs={"arn": arn("vpc-flow-log")},
        tags=tags("vpc-flow-log"),
        missing=gone("InvalidFlowLogId.NotFound"),
        fidelity="recorded by moto: no flow is logged",
    ),
    Row(
        token="aws:ec2/securityGroup:SecurityGroup",
        service="ec2",
        cfn="AWS::EC2::SecurityGroup",
        create=Call("CreateSecurityGroup"),
        read=Call("DescribeSecurityGroups", key={"GroupIds": ["{id}"]}, result="SecurityGroups[0]"),
        then=(
            # AWS opens every new group to the world; the official provider closes it again
            Call(
                "RevokeSecurityGroupEgress",
                fixed={
                    "IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
                },
            ),
        ),
        delete=Call("DeleteSecurityGroup"),
        identity=returned("GroupId"),
        key={"GroupId": "{id}"},
        rename={"name": "GroupName"},
        provider_only=("revokeRulesOnDelete",),
        autoname="name",
        defaults={"description": "Managed by Pulumi"},
        refuses=("egress", "ingress", "namePrefix"),
        replace_on=("description", "name", "vpcId"),
        outputs={"arn": arn("security-group"), "ownerId": "OwnerId", "name": "GroupName"},
        tags=tags("security-group"),
        missing=gone("InvalidGroup.NotFound", "InvalidGroupId.NotFound"),
        fidelity="recorded by moto: no traffic is filtered; rules are resources of their own",
    ),
    Row(
        token="aws:ec2/subnet:Subnet",
        service="ec2",
        cfn="AWS::EC2::Subnet",
        create=Call("CreateSubnet"),
        read=Call("DescribeSubnets", key={"SubnetIds": ["{id}"]}, result="Subnets[0]"),
        then=(
            Call(
                "ModifySubnetAttribute",
                ("mapPublicIpOnLaunch",),
                rename={"mapPublicIpOnLaunch": "MapPublicIpOnLaunch.Value"},
            ),
        ),
        delete=Call("DeleteSubnet"),
        identity=returned("Subnet.SubnetId"),
        key={"SubnetId": "{id}"},
        reads={"mapPublicIpOnLaunch": "MapPublicIpOnLaunch"},
        defaults={"mapPublicIpOnLaunch": False},
        computed=("availabilityZone", "availabilityZoneId"),
        replace_on=("availabilityZone", "availabilityZoneId", "cidrBlock", "vpcId"),
        refuses=(
            "assignIpv6AddressOnCreation",
            "customerOwnedIpv4Pool",
            "enableDns64",
            "enableLniAtDeviceIndex",
            "enableResourceNameDnsARecordOnLaunch",
            "enableResourceNameDnsAaaaRecordOnLaunch",
            "ipv4IpamPoolId",
            "ipv4NetmaskLength",
            "ipv6CidrBlock",
            "ipv6IpamPoolId",
            "ipv6Native",
            "ipv6NetmaskLength",
            "mapCustomerOwnedIpOnLaunch",
            "outpostArn",
            "privateDnsHostnameTypeOnLaunch",
        ),
        outputs={
            "arn": arn("subnet"),
            "availabilityZone": "AvailabilityZone",
            "availabilityZoneId": "AvailabilityZoneId",
            "ownerId": "OwnerId",
        },
        tags=tags("subnet"),
        missing=gone("InvalidSubnetID.NotFound"),
        fidelity="recorded by moto: nothing runs in it",
    ),
    Row(
        token="aws:ec2/vpc:Vpc",
        service="ec2",
        cfn="AWS::EC2::VPC",
        create=Call("CreateVpc", ("cidrBlock", "instanceTenancy")),
        read=Call("DescribeVpcs", key={"VpcIds": ["{id}"]}, result="Vpcs[0]"),
        also=(
            vpc_attribute("enableDnsHostnames"),
            vpc_attribute("enableDnsSupport"),
            Call(
                "DescribeRouteTables",
                key={
                    "Filters": [
                        {"Name": "vpc-id", "Values": ["{id}"]},
                        {"Name": "association.main", "Values": ["true"]},
                    ]
                },
                result="RouteTables[0].RouteTableId",
                into="MainRouteTableId",
            ),
            Call(
                "DescribeSecurityGroups",
                key={
                    "Filters": [
                        {"Name": "vpc-id", "Values": ["{id}"]},
                        {"Name": "group-name", "Values": ["default"]},
                    ]
                },
                result="SecurityGroups[0].GroupId",
                into="DefaultSecurityGroupId",
            ),
        ),
        then=(
            # DNS host names need DNS support, so support comes first
            attribute("enableDnsSupport", "EnableDnsSupport"),
            attribute("enableDnsHostnames", "EnableDnsHostnames"),
        ),
        delete=Call("DeleteVpc"),
        identity=returned("Vpc.VpcId"),
        key={"VpcId": "{id}"},
        defaults={
            "enableDnsHostnames": False,
            "enableDnsSupport": True,
            "instanceTenancy": "default",
        },
        replace_on=("cidrBlock", "instanceTenancy"),
        refuses=(
            "assignGeneratedIpv6CidrBlock",
            "enableNetworkAddressUsageMetrics",
            "ipv4IpamPoolId",
            "ipv4NetmaskLength",
            "ipv6CidrBlock",
            "ipv6CidrBlockNetworkBorderGroup",
            "ipv6IpamPoolId",
            "ipv6NetmaskLength",
        ),
        outputs={
            "arn": arn("vpc"),
            "defaultSecurityGroupId": "DefaultSecurityGroupId",
            "dhcpOptionsId": "DhcpOptionsId",
            "mainRouteTableId": "MainRouteTableId",
            "ownerId": "OwnerId",
        },
        tags=tags("vpc"),
        missing=gone("InvalidVpcID.NotFound"),
        fidelity="recorded by moto: no packets flow",
    ),
    Row(
        token="aws:ec2/vpcEndpoint:VpcEndpoint",
        service="ec2",
        cfn="AWS::EC2::VPCEndpoint",
        create=Call("CreateVpcEndpoint"),
        read=Call(
            "DescribeVpcEndpoints", key={"VpcEndpointIds": ["{id}"]}, result="VpcEndpoints[0]"
        ),
        update=(
            Call("ModifyVpcEndpoint", ("policy", "privateDnsEnabled")),
            Call(
                "ModifyVpcEndpoint",
                ("routeTableIds",),
                build=membership("routeTableIds", "RouteTableIds", "RouteTableIds"),
            ),
            Call(
                "ModifyVpcEndpoint",
                ("subnetIds",),
                build=membership("subnetIds", "SubnetIds", "SubnetIds"),
            ),
            Call(
                "ModifyVpcEndpoint",
                ("securityGroupIds",),
                build=membership("securityGroupIds", "SecurityGroupIds", "Groups"),
            ),
        ),
        delete=Call("DeleteVpcEndpoints", key={"VpcEndpointIds": ["{id}"]}),
        before_delete=let_go,
        identity=returned("VpcEndpoint.VpcEndpointId"),
        key={"VpcEndpointId": "{id}"},
        rename={"policy": "PolicyDocument"},
        reads={"securityGroupIds": "Groups[].GroupId"},
        defaults={"vpcEndpointType": "Gateway", "privateDnsEnabled": False},
        computed=("policy",),
        replace_on=("serviceName", "vpcEndpointType", "vpcId"),
        occupies=("serviceName", "vpcId"),
        refuses=(
            "autoAccept",
            "dnsOptions",
            "ipAddressType",
            "resourceConfigurationArn",
            "serviceNetworkArn",
            "serviceRegion",
            "subnetConfigurations",
        ),
        outputs={
            "arn": arn("vpc-endpoint"),
            "networkInterfaceIds": "NetworkInterfaceIds",
            "ownerId": "OwnerId",
            "policy": "PolicyDocument",
            "state": "State",
            "vpcEndpointType": "VpcEndpointType",
        },
        tags=tags("vpc-endpoint"),
        missing=gone("InvalidVpcEndpointId.NotFound"),
        gone="State == 'deleted'",
        fidelity="recorded by moto: nothing listens behind it",
    ),
    Row(
        token="aws:ec2/vpcIpv4CidrBlockAssociation:VpcIpv4CidrBlockAssociation",
        service="ec2",
        cfn="AWS::EC2::VPCCidrBlock",
        create=Call(
            "AssociateVpcCidrBlock",
            omits=(
                "amazonProvidedIpv6CidrBlock",
                "ipv6CidrBlock",
                "ipv6CidrBlockNetworkBorderGroup",
                "ipv6IpamPoolId",
                "ipv6NetmaskLength",
                "ipv6Pool",
            ),
        ),
        read=Call(
            "DescribeVpcs",
            key={
                "Filters": [{"Name": "cidr-block-association.association-id", "Values": ["{id}"]}]
            },
            result="Vpcs[0].{VpcId: VpcId, Association: "
            "CidrBlockAssociationSet[?AssociationId=='{id}'] | [0]}",
        ),
        delete=Call("DisassociateVpcCidrBlock", key={"AssociationId": "{id}"}),
        identity=returned("CidrBlockAssociation.AssociationId"),
        key={"AssociationId": "{id}"},
        reads={"cidrBlock": "Association.CidrBlock", "vpcId": "VpcId"},
        replace_on=("cidrBlock", "vpcId"),
        refuses=("ipv4IpamPoolId", "ipv4NetmaskLength"),
        missing=gone(
            "InvalidVpcID.NotFound",
            "InvalidVpcCidrBlockAssociationIdError.NotFound",
            "InvalidRoute.NotFound",  # moto's, about route tables that are younger; it is done then
        ),
        gone="!Association || Association.CidrBlockState.State == 'disassociated'",
        fidelity="recorded by moto: no packets flow",
    ),
)
