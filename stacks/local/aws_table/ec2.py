"""Networks and launch templates."""

from collections.abc import Mapping, Sequence
from typing import Any

from stacks.local.aws_row import ALL, Call, Missing, Row, Scene, Tags, returned


def gone(*codes: str) -> tuple[Missing, ...]:
    """Errors that mean the resource does not exist."""
    return tuple(Missing(code) for code in codes)


def tags(resource_type: str) -> Tags:
    """EC2 tags every kind of resource with the same two calls."""
    return Tags(
        resource_type=resource_type,
        add="CreateTags",
        remove="DeleteTags",
        keys="Tags",
        key={"Resources": ["{id}"]},
    )


def arn(kind: str) -> str:
    """EC2 answers seldom carry the ARN."""
    return f"arn:aws:ec2:{{region}}:{{account}}:{kind}/{{id}}"


def membership(name: str, member: str, path: str) -> Any:
    """Add and Remove lists for an input that is a set, from what is there now."""

    def build(scene: Scene) -> Mapping[str, Any] | None:
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


def newest_version(scene: Scene) -> Mapping[str, Any] | None:
    """A new version becomes the default one when the program says so."""
    if not scene.new.get("updateDefaultVersion"):
        return None
    return {"DefaultVersion": str((scene.describe() or {})["LatestVersionNumber"])}


ROWS = (
    Row(
        token="aws:ec2/launchTemplate:LaunchTemplate",
        service="ec2",
        cfn="AWS::EC2::LaunchTemplate",
        create=Call(
            "CreateLaunchTemplate",
            omits=("elasticGpuSpecifications", "elasticInferenceAccelerators", "operator"),
        ),
        read=Call(
            "DescribeLaunchTemplates",
            key={"LaunchTemplateIds": ["{id}"]},
            result="LaunchTemplates[0]",
        ),
        also=(
            Call(
                "DescribeLaunchTemplateVersions",
                fixed={"Versions": ["$Latest"]},
                result="LaunchTemplateVersions[0]",
            ),
        ),
        update=(
            Call("CreateLaunchTemplateVersion", ALL, omits=("defaultVersion", "name")),
            Call(
                "ModifyLaunchTemplate", ALL, omits=("defaultVersion", "name"), build=newest_version
            ),
            Call("ModifyLaunchTemplate", ("defaultVersion",)),
        ),
        delete=Call("DeleteLaunchTemplate"),
        identity=returned("LaunchTemplate.LaunchTemplateId"),
        key={"LaunchTemplateId": "{id}"},
        body="LaunchTemplateData",
        rename={
            "/name": "LaunchTemplateName",
            "/description": "VersionDescription",
            "securityGroupNames": "SecurityGroups",
            "securityGroups": "Groups",
            "vpcSecurityGroupIds": "SecurityGroupIds",
        },
        # moto mixes the template's own tags into what instances are tagged with
        write_only=("tagSpecifications",),
        refuses=(
            "instanceRequirements",
            "namePrefix",
            "networkInterfaces.ipv4AddressCount",
            "networkInterfaces.ipv4Addresses",
            "secondaryInterfaces",
        ),
        reads={"defaultVersion": "DefaultVersionNumber"},
        computed=("defaultVersion",),
        provider_only=("updateDefaultVersion",),
        autoname="name",
        replace_on=("name",),
        outputs={
            "arn": arn("launch-template"),
            "latestVersion": "LatestVersionNumber",
            "defaultVersion": "DefaultVersionNumber",
            "name": "LaunchTemplateName",
        },
        volatile=("latestVersion", "defaultVersion"),
        tags=tags("launch-template"),
        missing=gone(
            "InvalidLaunchTemplateId.NotFound",
            "InvalidLaunchTemplateId.NotFoundException",
            "InvalidLaunchTemplateName.NotFoundException",  # moto's, also when asked by id
        ),
        fidelity="recorded by moto: node groups do not start instances from it",
    ),
    Row(
        token="aws:ec2/routeTable:RouteTable",
        service="ec2",
        cfn="AWS::EC2::RouteTable",
        create=Call("CreateRouteTable"),
        read=Call("DescribeRouteTables", key={"RouteTableIds": ["{id}"]}, result="RouteTables[0]"),
        delete=Call("DeleteRouteTable"),
        identity=returned("RouteTable.RouteTableId"),
        key={"RouteTableId": "{id}"},
        replace_on=("vpcId",),
        refuses=("propagatingVgws", "routes"),
        outputs={"arn": arn("route-table"), "ownerId": "OwnerId"},
        tags=tags("route-table"),
        missing=gone("InvalidRouteTableID.NotFound"),
        fidelity="recorded by moto: nothing is routed",
    ),
    Row(
        token="aws:ec2/routeTableAssociation:RouteTableAssociation",
        service="ec2",
        cfn="AWS::EC2::SubnetRouteTableAssociation",
        create=Call("AssociateRouteTable", omits=("publicIpv4Pool",)),
        read=Call(
            "DescribeRouteTables",
            key={
                "Filters": [{"Name": "association.route-table-association-id", "Values": ["{id}"]}]
            },
            result="RouteTables[].Associations[] | [?RouteTableAssociationId=='{id}'] | [0]",
        ),
        delete=Call("DisassociateRouteTable"),
        identity=returned("AssociationId"),
        key={"AssociationId": "{id}"},
        replace_on=("gatewayId", "routeTableId", "subnetId"),
        occupies=("gatewayId", "subnetId"),
        missing=gone("InvalidAssociationID.NotFound"),
        fidelity="recorded by moto: nothing is routed",
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
)
