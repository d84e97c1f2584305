"""Networks and launch templates."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stacks.local.provider.aws.row import ALL, Call, HookContext, Row, named, returned
from stacks.local.provider.aws.rows.ec2_kit import arn, gone, tags
from stacks.local.provider.aws.rows.ec2_routes import ROUTES
from stacks.local.provider.aws.rows.ec2_vpc import VPCS


def newest_version(scene: HookContext) -> Mapping[str, Any] | None:
    """A new version becomes the default one when the program says so."""
    if not scene.new.get("updateDefaultVersion"):
        return None
    return {"DefaultVersion": str((scene.describe() or {})["LatestVersionNumber"])}


NODES = (
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
        token="aws:ec2/placementGroup:PlacementGroup",
        service="ec2",
        cfn="AWS::EC2::PlacementGroup",
        create=Call("CreatePlacementGroup", omits=("linkedGroupId", "operator", "parentGroupId")),
        read=Call(
            "DescribePlacementGroups",
            key={"GroupNames": ["{id}"]},
            result="PlacementGroups[0]",
        ),
        delete=Call("DeletePlacementGroup"),
        identity=named("name"),
        key={"GroupName": "{id}"},
        rename={"name": "GroupName"},
        autoname="name",
        computed=("partitionCount", "spreadLevel"),
        replace_on=("name", "partitionCount", "spreadLevel", "strategy"),
        outputs={"arn": "GroupArn", "placementGroupId": "GroupId"},
        tags=replace(tags("placement-group"), key={"Resources": ["{GroupId}"]}),
        missing=gone("InvalidPlacementGroup.Unknown"),
        fidelity="recorded only: no instance is placed",
    ),
)

ROWS = tuple(sorted((*NODES, *ROUTES, *VPCS), key=lambda row: row.token))
