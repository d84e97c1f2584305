"""What the stacks of `local` register is refused nowhere: asked of the table, without a cloud."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from moto import mock_aws

from policies.data import Resource
from stacks.local.aws.refusals.account import Account
from stacks.local.aws.refusals.filter import refusal_of
from stacks.stack_name import stacks_of
from tests.kits.aws import client
from tests.kits.stacks import synth

Request = Mapping[str, Any]
MADE = re.compile(r"arn:aws:mock:::(?P<name>[\w-]+)|arn:aws:kms:[^\"]*key/stand-in-(?P<key>[\w-]+)")


class Made:
    """ARNs of what was made, by the names of the program's resources."""

    def __init__(self) -> None:
        self.arns: dict[str, str] = {}

    def in_(self, resource: Resource) -> dict[str, Any]:
        """Inputs of a resource with these ARNs in place of stand-ins."""

        def known(match: re.Match[str]) -> str:
            name = match["name"] or f"keys-{match['key']}"
            return self.arns.get(name, match[0])

        inputs: dict[str, Any] = json.loads(MADE.sub(known, json.dumps(resource.inputs.value)))
        return inputs


def _vpc(config: Request | None) -> Request | None:
    return config and {
        "SubnetIds": config["subnetIds"], "SecurityGroupIds": config["securityGroupIds"],
    }  # fmt: skip


def _policy(inputs: Request, member: str = "policy") -> Request:
    return {"Policy": inputs[member]}


ASKED: dict[str, tuple[str, str, Callable[[Request], Request]]] = {
    "aws:kms/key:Key": ("kms", "CreateKey", _policy),
    "aws:iam/role:Role": (
        "iam", "CreateRole",
        lambda i: {"RoleName": i["name"], "AssumeRolePolicyDocument": i["assumeRolePolicy"]},
    ),
    "aws:iam/rolePolicy:RolePolicy": (
        "iam", "PutRolePolicy",
        lambda i: {
            "RoleName": i["role"], "PolicyName": i["name"], "PolicyDocument": i["policy"],
        },
    ),
    "aws:iam/policy:Policy": (
        "iam", "CreatePolicy",
        lambda i: {"PolicyName": i["name"], "PolicyDocument": i["policy"]},
    ),
    "aws:lambda/function:Function": (
        "lambda", "CreateFunction",
        lambda i: {"Role": i["role"], "VpcConfig": _vpc(i.get("vpcConfig"))},
    ),
    "aws:lambda/eventSourceMapping:EventSourceMapping": (
        "lambda", "CreateEventSourceMapping",
        lambda i: {"FunctionName": i["functionName"], "EventSourceArn": i["eventSourceArn"]},
    ),
    "aws:sagemaker/pipeline:Pipeline": (
        "sagemaker", "CreatePipeline", lambda i: {"RoleArn": i["roleArn"]},
    ),
    "aws:scheduler/schedule:Schedule": (
        "scheduler", "CreateSchedule",
        lambda i: {"Target": {"RoleArn": i["target"]["roleArn"]}},
    ),
    "aws:eks/nodeGroup:NodeGroup": (
        "eks", "CreateNodegroup", lambda i: {"nodeRole": i["nodeRoleArn"]},
    ),
    "aws:s3/bucketPolicy:BucketPolicy": ("s3", "PutBucketPolicy", _policy),
    "aws:sns/topicPolicy:TopicPolicy": (
        "sns", "SetTopicAttributes",
        lambda i: {"AttributeName": "Policy", "AttributeValue": i["policy"]},
    ),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": (
        "ecr", "SetRepositoryPolicy", lambda i: {"policyText": i["policy"]},
    ),
    "aws:cloudwatch/logGroup:LogGroup": (
        "logs", "CreateLogGroup",
        lambda i: {"logGroupName": i["name"], "kmsKeyId": i.get("kmsKeyId")},
    ),
    "aws:cloudtrail/trail:Trail": (
        "cloudtrail", "CreateTrail",
        lambda i: {
            "Name": i["name"], "S3BucketName": i["s3BucketName"], "KmsKeyId": i["kmsKeyId"],
        },
    ),
    "aws:costexplorer/anomalyMonitor:AnomalyMonitor": (
        "ce", "CreateAnomalyMonitor",
        lambda i: {
            "AnomalyMonitor": {
                "MonitorType": i["monitorType"], "MonitorDimension": i.get("monitorDimension"),
            }
        },
    ),
    "aws:eks/cluster:Cluster": (
        "eks", "CreateCluster", lambda i: {"version": i["version"], "roleArn": i["roleArn"]},
    ),
    "aws:eks/accessEntry:AccessEntry": (
        "eks", "CreateAccessEntry", lambda i: {"principalArn": i["principalArn"]},
    ),
    "aws:sagemaker/mlflowApp:MlflowApp": (
        "sagemaker", "CreateMlflowApp", lambda i: {"RoleArn": i["roleArn"]},
    ),
    "aws:sagemaker/featureGroup:FeatureGroup": (
        "sagemaker", "CreateFeatureGroup",
        lambda i: {
            "RoleArn": i["roleArn"],
            "FeatureGroupName": i["featureGroupName"],
            "OfflineStoreConfig": {
                "S3StorageConfig": {
                    "S3Uri": f"s3://plinth-local-data-123456789012/{FOLDER}",
                }
            },
        },
    ),
}  # fmt: skip
FOLDER = "features"

FIRST = ("aws:iam/role:Role", "aws:kms/key:Key", "aws:s3/bucket:Bucket")
"""Types that others name, in the order in which they are made."""


def _order(resource: Resource) -> int:
    return FIRST.index(resource.type) if resource.type in FIRST else len(FIRST)


def make(resource: Resource, inputs: Request, made: Made) -> None:
    """Make what others name: roles, their policies, keys and buckets."""
    if resource.type == "aws:iam/role:Role":
        trust = inputs["assumeRolePolicy"]
        role = client("iam").create_role(RoleName=inputs["name"], AssumeRolePolicyDocument=trust)
        made.arns[resource.name] = role["Role"]["Arn"]
    if resource.type == "aws:iam/rolePolicy:RolePolicy":
        client("iam").put_role_policy(
            RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"]
        )
    if resource.type == "aws:kms/key:Key":
        key = client("kms").create_key(Policy=inputs["policy"])
        made.arns[resource.name] = key["KeyMetadata"]["Arn"]
    if resource.type == "aws:s3/bucket:Bucket":
        client("s3").create_bucket(Bucket=inputs["bucket"])
        made.arns[resource.name] = f"arn:aws:s3:::{inputs['bucket']}"


@pytest.fixture
def account() -> Iterator[Account]:
    with mock_aws():
        yield Account(region="us-east-1")


def test_what_the_stacks_register_is_refused_nowhere(account: Account) -> None:
    made, asked = Made(), set()
    for stack in stacks_of("local"):
        found = sorted(synth(str(stack)), key=_order)
        policies = [one for one in found if one.type == "aws:iam/rolePolicy:RolePolicy"]
        for one in [*(r for r in found if r.type in FIRST), *policies]:
            inputs = made.in_(one)
            if one.type in ASKED:
                service, operation, request = ASKED[one.type]
                assert refusal_of(service, operation, request(inputs), account) is None, one.name
                asked.add(one.type)
            make(one, inputs, made)
        for one in found:
            if one.type in ASKED and one.type not in FIRST:
                service, operation, request = ASKED[one.type]
                refused = refusal_of(service, operation, request(made.in_(one)), account)
                assert refused is None, (one.name, refused)
                asked.add(one.type)
    # nobody else reads from `local`, and drift has a schedule once a model is served
    unasked = {"aws:ecr/repositoryPolicy:RepositoryPolicy", "aws:scheduler/schedule:Schedule"}
    assert asked == set(ASKED) - unasked
