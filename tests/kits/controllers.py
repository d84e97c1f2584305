"""Controllers of the cluster as AWS sees them: with the token of their pod, and what they ask."""

from __future__ import annotations

import contextlib
from typing import Any

from stacks.local.kubernetes import control_plane
from stacks.local.kubernetes.client import ApiError, Client
from tests.conftest import Clone
from tests.kits.people import Clients, asked, clients

CLUSTER = "plinth-local-cluster"
POOL_TAGS = {
    f"kubernetes.io/cluster/{CLUSTER}": "owned",
    "eks:eks-cluster-name": CLUSTER,
    "karpenter.sh/nodepool": "gpu-training",
}
"""What Karpenter tags everything with that it makes."""

GIB = 100


def work(clone: Clone) -> None:
    """Karpenter and the driver of volumes, as their pods."""
    inside = Client.of(clone.home / "local" / "kubernetes" / control_plane.OWN_KUBECONFIG)
    own = clone.client
    karpenter(own, of_pod(own, inside, "plinth-local-karpenter"), "plinth-local-karpenter-nodes")
    volumes_driver(own, of_pod(own, inside, "plinth-local-ebs-csi"))


def of_pod(own: Clients, inside: Client, role_name: str) -> Clients:
    """Clients of the pod whose service account EKS Pod Identity gives this role.

    `own`: clients with the keys of the home; `inside`: an administrator of the cluster.
    """
    eks = own("eks")
    arn = own("iam").get_role(RoleName=role_name)["Role"]["Arn"]
    listed = eks.list_pod_identity_associations(clusterName=CLUSTER)["associations"]
    described = [
        eks.describe_pod_identity_association(
            clusterName=CLUSTER, associationId=one["associationId"]
        )["association"]
        for one in listed
    ]
    found = next(one for one in described if one["roleArn"] == arn)
    accounts = f"/api/v1/namespaces/{found['namespace']}/serviceaccounts"
    name = {"metadata": {"name": found["serviceAccount"]}}
    with contextlib.suppress(ApiError):  # there: of a chart; else add-ons are recorded alone here
        inside.request("POST", accounts, content=name)
    spec = {"spec": {"audiences": ["pods.eks.amazonaws.com"]}}
    path = f"{accounts}/{found['serviceAccount']}/token"
    token = inside.request("POST", path, content=spec)["status"]["token"]
    answer = own("eks-auth").assume_role_for_pod_identity(clusterName=CLUSTER, token=token)
    keys = {name[0].upper() + name[1:]: value for name, value in answer["credentials"].items()}
    return clients(own("sts").meta.endpoint_url, keys)


def tagged(*kinds: str) -> list[dict[str, Any]]:
    """`TagSpecifications` of what a controller makes, one per kind."""
    tags = [{"Key": key, "Value": value} for key, value in POOL_TAGS.items()]
    return [{"ResourceType": kind, "Tags": tags} for kind in kinds]


def karpenter(own: Clients, pod: Clients, node_profile: str) -> None:
    """One node of a pool, from the look at what there is to its end.

    As Karpenter 1.x does it: a launch template, an instant fleet of one instance, its names, its
    interruption, its termination (Karpenter, Reference, CloudFormation; NodeClasses).
    """
    ec2 = pod("ec2")
    subnet, group, image = _looked_at(own, pod, node_profile)
    data = {
        "ImageId": image,
        "IamInstanceProfile": {"Name": node_profile},
        "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": [group]}],
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": _volume(own)}],
        "TagSpecifications": tagged("network-interface"),
    }
    template = ec2.create_launch_template(
        LaunchTemplateName="karpenter.k8s.aws/1",
        LaunchTemplateData=data,
        TagSpecifications=tagged("launch-template"),
    )["LaunchTemplate"]["LaunchTemplateId"]
    fleet = ec2.create_fleet(
        Type="instant",
        LaunchTemplateConfigs=[
            {
                "LaunchTemplateSpecification": {"LaunchTemplateId": template, "Version": "$Latest"},
                "Overrides": [{"InstanceType": "g5.xlarge", "SubnetId": subnet}],
            }
        ],
        TargetCapacitySpecification={
            "TotalTargetCapacity": 1,
            "OnDemandTargetCapacity": 1,
            "DefaultTargetCapacityType": "on-demand",
        },
        TagSpecifications=tagged("fleet", "instance", "volume"),
    )
    instance = fleet["Instances"][0]["InstanceIds"][0]
    names = [{"Key": "Name", "Value": "n"}, {"Key": "karpenter.sh/nodeclaim", "Value": "c"}]
    ec2.create_tags(Resources=[instance], Tags=names)
    ec2.describe_instances(InstanceIds=[instance])
    ec2.describe_instance_status(InstanceIds=[instance])
    _interruptions(own, pod)
    ec2.terminate_instances(InstanceIds=[instance])
    ec2.delete_launch_template(LaunchTemplateId=template)


def _looked_at(own: Clients, pod: Clients, node_profile: str) -> tuple[str, str, str]:
    """A subnet and a group of the cluster, and an image; everything else is asked for alone."""
    ec2, vpc = pod("ec2"), own("eks").describe_cluster(name=CLUSTER)["cluster"]
    pod("eks").describe_cluster(name=CLUSTER)
    where = vpc["resourcesVpcConfig"]
    ec2.describe_subnets(SubnetIds=where["subnetIds"])
    ec2.describe_security_groups(GroupIds=where["securityGroupIds"])
    image = own("ec2").register_image(Name="node", Architecture="x86_64")["ImageId"]
    ec2.describe_images(ImageIds=[image])
    pod("iam").get_instance_profile(InstanceProfileName=node_profile)
    for call in (
        ec2.describe_instance_types,
        ec2.describe_instance_type_offerings,
        ec2.describe_launch_templates,
        ec2.describe_spot_price_history,
        ec2.describe_capacity_reservations,
        ec2.describe_placement_groups,
        pod("iam").list_instance_profiles,
    ):
        asked(call)
    asked(pod("pricing").get_products, ServiceCode="AmazonEC2")
    name = (
        "/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/nvidia/recommended/image_id"
    )
    asked(pod("ssm").get_parameter, Name=name)
    return where["subnetIds"][0], where["securityGroupIds"][0], str(image)


def _volume(own: Clients) -> dict[str, Any]:
    key = own("kms").describe_key(KeyId="alias/plinth-local-ebs")["KeyMetadata"]["Arn"]
    return {"VolumeSize": GIB, "VolumeType": "gp3", "Encrypted": True, "KmsKeyId": key}


def _interruptions(own: Clients, pod: Clients) -> None:
    """A warning that EventBridge left in the queue is read and taken away."""
    sqs = pod("sqs")
    url = sqs.get_queue_url(QueueName="plinth-local-karpenter")["QueueUrl"]
    own("sqs").send_message(QueueUrl=url, MessageBody="{}")
    for message in sqs.receive_message(QueueUrl=url)["Messages"]:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def volumes_driver(own: Clients, pod: Clients) -> None:
    """A volume of a claim, on an instance, and away again (EBS CSI driver, its example policy)."""
    ec2 = pod("ec2")
    tags = {"CSIVolumeName": "pvc-1", "ebs.csi.aws.com/cluster": "true"}
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    zone = own("ec2").describe_subnets()["Subnets"][0]["AvailabilityZone"]
    volume = _volume(own)
    made = ec2.create_volume(
        AvailabilityZone=zone,
        Size=volume["VolumeSize"],
        VolumeType=volume["VolumeType"],
        Encrypted=True,
        KmsKeyId=volume["KmsKeyId"],
        TagSpecifications=[{"ResourceType": "volume", "Tags": listed}],
    )["VolumeId"]
    ec2.describe_volumes(VolumeIds=[made])
    ec2.delete_volume(VolumeId=made)
