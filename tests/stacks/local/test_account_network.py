"""A network that a request names is the account's; so are the keys of volumes and features."""

from typing import Any

import pytest

from stacks.local.aws.account_id import ACCOUNT_ID
from tests.kits.local_cloud import OWN_IMAGE, ROLE, Cloud, network, process, refusal, train
from tests.kits.sagemaker_alone import Account

SUBNET, GROUP = "subnet-0none", "sg-0none"
NO_SUBNET = f"The subnet ID '{SUBNET}' does not exist"
CONFIG = {"Subnets": [SUBNET], "SecurityGroupIds": [GROUP]}
JOB = {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}}
MACHINE = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT_ID}:key/11111111-2222-3333-4444-555555555555"
NAMED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("CreateModel", {"ModelName": "m", "ExecutionRoleArn": ROLE, "VpcConfig": CONFIG}),
    (
        "CreateProcessingJob",
        {
            "ProcessingJobName": "p",
            "RoleArn": ROLE,
            "AppSpecification": {"ImageUri": OWN_IMAGE},
            "ProcessingResources": JOB,
            "NetworkConfig": {"VpcConfig": CONFIG},
        },
    ),
    (
        "CreateTrainingJob",
        {
            "TrainingJobName": "t",
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
            "StoppingCondition": {},
            "VpcConfig": CONFIG,
        },
    ),
    (
        "CreateNotebookInstance",
        {
            "NotebookInstanceName": "n",
            "InstanceType": "ml.t3.medium",
            "RoleArn": ROLE,
            "SubnetId": SUBNET,
        },
    ),
    (
        "CreateDomain",
        {
            "DomainName": "d",
            "AuthMode": "IAM",
            "DefaultUserSettings": {"ExecutionRole": ROLE},
            "SubnetIds": [SUBNET],
        },
    ),
)


@pytest.mark.parametrize(("operation", "asked"), NAMED, ids=lambda one: str(one)[:24])
def test_a_subnet_that_is_not_there_is_refused(operation: str, asked: dict[str, Any]) -> None:
    assert Account().refusal(operation, **asked) == ("ValidationException", NO_SUBNET)


def test_what_is_only_written_down_may_name_any_network() -> None:
    made = Account().call(
        "CreateCompilationJob",
        CompilationJobName="c",
        RoleArn=ROLE,
        OutputConfig={"S3OutputLocation": "s3://bucket/out"},
        StoppingCondition={},
        VpcConfig=CONFIG,
    )
    assert made["CompilationJobArn"].endswith(":compilation-job/c")


def test_a_group_must_be_in_the_vpc_of_the_subnets(cloud: Cloud) -> None:
    ec2, there = cloud.client("ec2"), network(cloud)
    other = ec2.create_vpc(CidrBlock="10.11.0.0/16")["Vpc"]["VpcId"]
    far = ec2.create_security_group(GroupName="far", Description="g", VpcId=other)["GroupId"]
    asked = {
        "NetworkConfig": {"VpcConfig": {**there, "SecurityGroupIds": [far]}},
        "ProcessingJobName": "far",
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": OWN_IMAGE, "ContainerEntrypoint": ["true"]},
        "ProcessingResources": JOB,
    }
    sm = cloud.client("sagemaker")
    code, message, _ = refusal(sm.create_processing_job, **asked)
    assert code == "ValidationException"
    assert message.startswith(f"The security group '{far}' does not exist in VPC 'vpc-")
    good = {"VpcConfig": there}
    ended = process(sm, "near", "pass", NetworkConfig=good)
    assert ended["ProcessingJobStatus"] == "Completed"
    assert ended["NetworkConfig"] == good


def test_a_job_fails_whose_volume_has_a_key_that_is_not_there(cloud: Cloud) -> None:
    machine = {**MACHINE, "VolumeKmsKeyId": KEY}
    ended = train(cloud.client("sagemaker"), "keyless", "pass", ResourceConfig=machine)
    assert ended["TrainingJobStatus"] == "Failed"
    assert ended["FailureReason"].startswith(f"ClientError: Key '{KEY}' does not exist")


@pytest.mark.parametrize(
    "store",
    [
        {"OnlineStoreConfig": {"EnableOnlineStore": True, "SecurityConfig": {"KmsKeyId": KEY}}},
        {"OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": "s3://bucket/off", "KmsKeyId": KEY}}},
    ],
)
def test_a_feature_group_needs_the_keys_that_it_names(cloud: Cloud, store: dict[str, Any]) -> None:
    names = [{"FeatureName": name, "FeatureType": "String"} for name in ("id", "at")]
    code, told, _ = refusal(
        cloud.client("sagemaker").create_feature_group,
        FeatureGroupName="keyless",
        RecordIdentifierFeatureName="id",
        EventTimeFeatureName="at",
        FeatureDefinitions=names,
        RoleArn=ROLE,
        **store,
    )
    assert code == "ValidationException" and told.startswith(f"Key '{KEY}' does not exist")
