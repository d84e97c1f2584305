"""What IAM decides where EC2 makes something: each resource of a launch, its tags, keys, roles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from tests.kits.controllers import tagged
from tests.kits.local_cloud import Cloud, refusal, running_cloud
from tests.stacks.local.test_iam import ACCOUNT, As, allow, document, role

POOL = {"aws:RequestTag/karpenter.sh/nodepool": "*"}
HEAD = f"arn:aws:ec2:us-east-1:{ACCOUNT}"


class Ground:
    """What instances are started in, made by the owner."""

    def __init__(self, cloud: Cloud) -> None:
        ec2, iam = cloud.client("ec2"), cloud.client("iam")
        vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
        self.subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.8.0.0/24")["Subnet"]["SubnetId"]
        self.group = ec2.create_security_group(GroupName="g", Description="g", VpcId=vpc)["GroupId"]
        self.image = ec2.register_image(Name="node", Architecture="x86_64")["ImageId"]
        trusts = {**allow("sts:AssumeRole"), "Principal": {"Service": "ec2.amazonaws.com"}}
        del trusts["Resource"]
        self.node = iam.create_role(RoleName="node", AssumeRolePolicyDocument=document(trusts))
        iam.create_instance_profile(InstanceProfileName="nodes")
        iam.add_role_to_instance_profile(InstanceProfileName="nodes", RoleName="node")
        self.key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]

    def run(self, **more: Any) -> dict[str, Any]:
        """Of RunInstances."""
        return {
            "ImageId": self.image,
            "InstanceType": "g5.xlarge",
            "SubnetId": self.subnet,
            "SecurityGroupIds": [self.group],
            "MinCount": 1,
            "MaxCount": 1,
            **more,
        }

    @property
    def used(self) -> list[str]:
        return [
            f"arn:aws:ec2:us-east-1::image/{self.image}",
            f"{HEAD}:subnet/{self.subnet}",
            f"{HEAD}:security-group/{self.group}",
        ]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="module")
def ground(cloud: Cloud) -> Ground:
    return Ground(cloud)


MADE = [f"{HEAD}:{kind}/*" for kind in ("instance", "network-interface", "volume")]


def launcher(cloud: Cloud, name: str, ground: Ground, *more: Mapping[str, Any]) -> As:
    """Who may start instances of a pool alone, of these means."""
    pool = {"StringLike": POOL}
    return As(
        cloud,
        role(
            cloud,
            name,
            allow("ec2:RunInstances", ground.used),
            allow("ec2:RunInstances", MADE, Condition=pool),
            allow("ec2:CreateTags", MADE, Condition={
                "StringEquals": {"ec2:CreateAction": "RunInstances"}}),
            *more,
        ),
    )  # fmt: skip


OF_A_POOL = tagged("instance", "network-interface", "volume")


def test_every_resource_of_a_launch_is_asked_for(cloud: Cloud, ground: Ground) -> None:
    ec2 = launcher(cloud, "launches", ground)("ec2")
    assert ec2.run_instances(**ground.run(TagSpecifications=OF_A_POOL))["Instances"]
    other = cloud.client("ec2").register_image(Name="other", Architecture="x86_64")["ImageId"]
    code, said, _ = refusal(
        ec2.run_instances, **ground.run(TagSpecifications=OF_A_POOL, ImageId=other)
    )
    assert code == "UnauthorizedOperation"
    assert f"ec2:RunInstances on resource: arn:aws:ec2:us-east-1::image/{other}" in said


@pytest.mark.parametrize("untagged", ["instance", "network-interface", "volume"])
def test_each_kind_is_judged_by_its_own_tags(cloud: Cloud, ground: Ground, untagged: str) -> None:
    ec2 = launcher(cloud, f"tags-{untagged}", ground)("ec2")
    tags = [one for one in OF_A_POOL if one["ResourceType"] != untagged]
    said = refusal(ec2.run_instances, **ground.run(TagSpecifications=tags))[1]
    assert f"ec2:RunInstances on resource: {HEAD}:{untagged}/*" in said


def test_tags_at_the_creation_need_a_right_of_their_own(cloud: Cloud) -> None:
    only = As(cloud, role(cloud, "makes-volumes", allow("ec2:CreateVolume")))("ec2")
    volume = {"AvailabilityZone": "us-east-1a", "Size": 1}
    assert only.create_volume(**volume)["VolumeId"]
    said = refusal(only.create_volume, **volume, TagSpecifications=tagged("volume"))[1]
    assert f"ec2:CreateTags on resource: {HEAD}:volume/*" in said
    by_hand = {"StringEquals": {"ec2:CreateAction": "RunInstances"}}
    elsewhere = [allow("ec2:CreateVolume"), allow("ec2:CreateTags", Condition=by_hand)]
    other = As(cloud, role(cloud, "tags-launches", *elsewhere))("ec2")
    assert "ec2:CreateTags" in refusal(
        other.create_volume, **volume, TagSpecifications=tagged("volume")
    )[1]  # fmt: skip


def test_the_role_of_an_instance_profile_is_passed(cloud: Cloud, ground: Ground) -> None:
    request = ground.run(TagSpecifications=OF_A_POOL, IamInstanceProfile={"Name": "nodes"})
    said = refusal(launcher(cloud, "passes-none", ground)("ec2").run_instances, **request)[1]
    assert f"iam:PassRole on resource: {ground.node['Role']['Arn']}" in said
    to_ec2 = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    passes = allow("iam:PassRole", ground.node["Role"]["Arn"], Condition=to_ec2)
    ec2 = launcher(cloud, "passes", ground, passes)("ec2")
    assert ec2.run_instances(**request)["Instances"]


def _keyed(ground: Ground, *actions: str) -> dict[str, Any]:
    via = {"StringEquals": {"kms:ViaService": "ec2.us-east-1.amazonaws.com"}}
    return allow(list(actions), ground.key, Condition=via)


def test_encrypted_volumes_take_a_data_key_and_a_grant(cloud: Cloud, ground: Ground) -> None:
    disk = {"VolumeSize": 8, "Encrypted": True, "KmsKeyId": ground.key}
    mapped = [{"DeviceName": "/dev/xvda", "Ebs": disk}]
    request = ground.run(TagSpecifications=OF_A_POOL, BlockDeviceMappings=mapped)
    missing = {
        "key-none": ((), "kms:GenerateDataKeyWithoutPlaintext"),
        "key-data": (("kms:GenerateDataKey*",), "kms:CreateGrant"),
    }
    for name, (actions, lacking) in missing.items():
        more = [_keyed(ground, *actions)] if actions else []
        ec2 = launcher(cloud, name, ground, *more)("ec2")
        said = refusal(ec2.run_instances, **request)[1]
        assert f"{lacking} on resource: {ground.key}" in said, name
    both = _keyed(ground, "kms:GenerateDataKey*", "kms:CreateGrant")
    ec2 = launcher(cloud, "key-both", ground, both)("ec2")
    assert ec2.run_instances(**request)["Instances"]


# -- templates and fleets ------------------------------------------------------------------------


def template(cloud: Cloud, ground: Ground, name: str, *kinds: str) -> str:
    data = {
        "ImageId": ground.image,
        "IamInstanceProfile": {"Name": "nodes"},
        "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": [ground.group]}],
        "TagSpecifications": tagged("network-interface"),
    }
    made = cloud.client("ec2").create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData=data, TagSpecifications=tagged(*kinds)
    )
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


def fleet(template_id: str, subnet: str, kinds: Sequence[str]) -> dict[str, Any]:
    used = {"LaunchTemplateId": template_id, "Version": "$Latest"}
    return {
        "Type": "instant",
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": used,
                "Overrides": [{"InstanceType": "g5.xlarge", "SubnetId": subnet}],
            }
        ],
        "TargetCapacitySpecification": {
            "TotalTargetCapacity": 1,
            "OnDemandTargetCapacity": 1,
            "DefaultTargetCapacityType": "on-demand",
        },
        "TagSpecifications": tagged(*kinds),
    }


FLEET = ("fleet", "instance", "volume")


@pytest.fixture(scope="module")
def starter(cloud: Cloud, ground: Ground) -> As:
    """Who may start fleets of templates of a pool, as Karpenter may."""
    both, pool = ["ec2:CreateFleet", "ec2:RunInstances"], {"StringLike": POOL}
    owned = {"StringLike": {"aws:ResourceTag/karpenter.sh/nodepool": "*"}}
    made = [f"{HEAD}:fleet/*", *MADE]
    return As(
        cloud,
        role(
            cloud,
            "fleets",
            allow(both, ground.used),
            allow(both, made, Condition=pool),
            allow(both, f"{HEAD}:launch-template/*", Condition=owned),
            allow("ec2:CreateTags", made, Condition=pool),
            allow("ec2:TerminateInstances", f"{HEAD}:instance/*", Condition=owned),
            allow("iam:PassRole", ground.node["Role"]["Arn"]),
        ),
    )


def test_a_fleet_starts_what_its_template_says(cloud: Cloud, ground: Ground, starter: As) -> None:
    ec2 = starter("ec2")
    own = template(cloud, ground, "own", "launch-template")
    started = ec2.create_fleet(**fleet(own, ground.subnet, FLEET))["Instances"]
    assert ec2.terminate_instances(InstanceIds=started[0]["InstanceIds"])["TerminatingInstances"]
    strange = template(cloud, ground, "strange")
    said = refusal(ec2.create_fleet, **fleet(strange, ground.subnet, FLEET))[1]
    assert f"on resource: {HEAD}:launch-template/{strange}" in said
    said = refusal(ec2.create_fleet, **fleet(own, ground.subnet, ("fleet", "instance")))[1]
    assert f"ec2:RunInstances on resource: {HEAD}:volume/*" in said


def test_a_version_that_is_not_there_is_refused_by_ec2(
    cloud: Cloud, ground: Ground, starter: As
) -> None:
    used = template(cloud, ground, "versions", "launch-template")
    request = ground.run(LaunchTemplate={"LaunchTemplateId": used, "Version": "7"})
    code = refusal(starter("ec2").run_instances, **request, TagSpecifications=OF_A_POOL)[0]
    assert code == "InvalidLaunchTemplateId.VersionNotFound"


def test_each_of_several_instances_is_asked_for(cloud: Cloud, ground: Ground, starter: As) -> None:
    mine = launcher(cloud, "starts-two", ground)("ec2").run_instances(
        **ground.run(TagSpecifications=OF_A_POOL)
    )["Instances"][0]["InstanceId"]
    other = cloud.client("ec2").run_instances(**ground.run())["Instances"][0]["InstanceId"]
    said = refusal(starter("ec2").terminate_instances, InstanceIds=[mine, other])[1]
    assert f"ec2:TerminateInstances on resource: {HEAD}:instance/{other}" in said
    assert starter("ec2").terminate_instances(InstanceIds=[mine])["TerminatingInstances"]


# -- roles of services, parameters ---------------------------------------------------------------


def test_the_first_use_of_a_service_takes_the_right_to_make_its_role(cloud: Cloud) -> None:
    scales = allow("application-autoscaling:RegisterScalableTarget")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/e/variant/v",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "MinCapacity": 1,
        "MaxCapacity": 2,
    }
    service = "sagemaker.application-autoscaling.amazonaws.com"
    name = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    arn = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{service}/{name}"
    lacking = As(cloud, role(cloud, "scales", scales))("application-autoscaling")
    said = refusal(lacking.register_scalable_target, **target)[1]
    assert f"iam:CreateServiceLinkedRole on resource: {arn}" in said
    own = {"StringEquals": {"iam:AWSServiceName": service}}
    may = role(cloud, "scales-first", scales, allow("iam:CreateServiceLinkedRole", Condition=own))
    As(cloud, may)("application-autoscaling").register_scalable_target(**target)
    assert cloud.client("iam").get_role(RoleName=name)["Role"]["Arn"] == arn
    lacking.register_scalable_target(**target)  # it is there now


def test_parameters_are_named_without_a_second_slash(cloud: Cloud) -> None:
    cloud.client("ssm").put_parameter(Name="/team/a", Value="1", Type="String")
    held = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/team/*"
    ssm = As(cloud, role(cloud, "reads-parameters", allow("ssm:GetParameter*", held)))("ssm")
    assert ssm.get_parameter(Name="/team/a")["Parameter"]["Value"] == "1"
    said = refusal(ssm.get_parameter, Name="/aws/service/ami")[1]
    assert "resource: arn:aws:ssm:us-east-1::parameter/aws/service/ami" in said
