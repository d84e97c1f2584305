"""The tables behind IAM's decisions agree with botocore's models and AWS's reference."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from policies.data import UNKNOWN
from policies.iam import reference
from stacks.local.aws.iam import context, operations, resources, special
from stacks.local.aws.iam.asked import PREFIXES, SIGNED_AS, Asked
from stacks.local.aws.iam.resources import Place

HERE = Place(partition="aws", region="us-east-1", account="123456789012")
SESSION = botocore.session.get_session()
USED = (
    "application-autoscaling", "athena", "autoscaling", "budgets", "ce", "cloudtrail",
    "cloudwatch", "config", "dynamodb", "ec2", "ecr", "eks", "elasticache", "emr-serverless",
    "events", "firehose", "fsx", "glue", "iam", "kafka", "kinesis", "kms", "lambda", "logs",
    "resourcegroupstaggingapi", "s3", "sagemaker", "sagemaker-featurestore-runtime",
    "sagemaker-runtime", "scheduler", "secretsmanager", "service-quotas", "sns", "sqs", "ssm",
    "stepfunctions", "sts",
)  # fmt: skip
"""Services that a platform consists of."""


def model(service: str) -> Any:
    return SESSION.get_service_model(service)


def asked(service: str, operation: str, **parameters: Any) -> Asked:
    found = model(service)
    signed_for = found.signing_name
    return Asked(
        signed_for=signed_for,
        service=service,
        prefix=PREFIXES.get(signed_for, signed_for),
        operation=operation,
        protocol=found.protocol,
        parameters=parameters,
        members=frozenset(name.lower() for name in parameters),
    )


@pytest.mark.parametrize("service", USED)
def test_a_service_is_found_by_what_its_requests_are_signed_for(service: str) -> None:
    signed_for = model(service).signing_name
    assert service in SIGNED_AS.get(signed_for, (signed_for,))
    prefix = PREFIXES.get(signed_for, signed_for)
    assert reference.action(f"{prefix}:*") is None
    known = [
        name
        for name in model(service).operation_names
        if any(map(reference.action, operations.actions(asked(service, name))))
    ]
    assert len(known) > 0.7 * len(model(service).operation_names), "most operations are actions"


def test_every_action_with_a_name_of_its_own_is_one_of_aws() -> None:
    named = {f"s3:{name}" for names in operations.S3.values() for name in names}
    named |= {name for names in operations.OTHERS.values() for name in names}
    named |= {f"dynamodb:{name}" for name in operations.IN_TRANSACTIONS.values()}
    named |= {f"s3:{operations._versioned(name)}" for name in operations.OF_VERSIONS}
    assert len(named) > 50
    assert {name for name in named if reference.action(name) is None} == set()


def test_every_operation_with_an_action_of_another_name_exists() -> None:
    operations_of_s3 = set(model("s3").operation_names)
    assert set(operations.S3) - operations_of_s3 == set()
    others = {key.partition(":")[::2] for key in operations.OTHERS}
    wrong = [
        pair for pair in others if pair[1] not in model(pair[0]).operation_names
    ]  # a table row nobody can ask for
    assert [pair for pair in wrong if pair[0] != "budgets"] == []


def test_every_operation_of_s3_is_an_action_or_not_decided() -> None:
    """What has no documented action is asked on an unknown resource, which is told."""
    without = {
        name
        for name in model("s3").operation_names
        if not any(map(reference.action, operations.actions(asked("s3", name))))
    }
    assert without <= {"CreateSession", "ListDirectoryBuckets", "RenameObject",
                       "DeleteBucketMetadataConfiguration", "GetBucketMetadataConfiguration",
                       "CreateBucketMetadataConfiguration", "WriteGetObjectResponse"}  # fmt: skip


ARNS: tuple[tuple[str, str, dict[str, Any], list[Any]], ...] = (
    ("s3", "PutObject", {"Bucket": "b", "Key": "a/b"}, ["arn:aws:s3:::b/a/b"]),
    ("s3", "ListObjectsV2", {"Bucket": "b"}, ["arn:aws:s3:::b"]),
    ("s3", "DeleteObjects", {"Bucket": "b", "Delete": {"Objects": [{"Key": "x"}, {"Key": "y"}]}},
     ["arn:aws:s3:::b/x", "arn:aws:s3:::b/y"]),
    ("dynamodb", "TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "t"}}]},
     ["arn:aws:dynamodb:us-east-1:123456789012:table/t"]),
    ("glue", "GetTable", {"DatabaseName": "d", "Name": "t"},
     ["arn:aws:glue:us-east-1:123456789012:database/d",
      "arn:aws:glue:us-east-1:123456789012:catalog",
      "arn:aws:glue:us-east-1:123456789012:table/d/t"]),
    ("sagemaker", "CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"},
     ["arn:aws:sagemaker:us-east-1:123456789012:endpoint/e",
      "arn:aws:sagemaker:us-east-1:123456789012:endpoint-config/c"]),
    ("sagemaker", "AddTags", {"ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:model/m"},
     ["arn:aws:sagemaker:us-east-1:123456789012:model/m"]),
    ("sagemaker", "DescribePipelineExecution",
     {"PipelineExecutionArn": "arn:aws:sagemaker:us-east-1:123456789012:pipeline/p/execution/1"},
     ["arn:aws:sagemaker:us-east-1:123456789012:pipeline/p/execution/1"]),
    ("sagemaker", "Search", {"Resource": "Model"}, ["*"]),
    ("logs", "PutLogEvents", {"logGroupName": "g", "logStreamName": "s"},
     ["arn:aws:logs:us-east-1:123456789012:log-group:g:log-stream:s"]),
    ("sns", "Publish", {"TopicArn": "arn:aws:sns:us-east-1:123456789012:t"},
     ["arn:aws:sns:us-east-1:123456789012:t"]),
    ("ecr", "GetAuthorizationToken", {}, ["*"]),
    ("ecr", "BatchGetImage", {"repositoryName": "a/b"},
     ["arn:aws:ecr:us-east-1:123456789012:repository/a/b"]),
    ("kinesis", "PutRecords", {"StreamARN": "arn:aws:kinesis:us-east-1:123456789012:stream/s"},
     ["arn:aws:kinesis:us-east-1:123456789012:stream/s"]),
    ("eks", "DescribeNodegroup", {"clusterName": "c", "nodegroupName": "n"}, [UNKNOWN]),
    ("events", "PutRule", {"Name": "r"}, ["arn:aws:events:us-east-1:123456789012:rule/r"]),
    ("scheduler", "CreateSchedule", {"Name": "s", "GroupName": "g"},
     ["arn:aws:scheduler:us-east-1:123456789012:schedule/g/s"]),
)  # fmt: skip


@pytest.mark.parametrize(("service", "operation", "given", "wanted"), ARNS)
def test_the_resource_of_a_request_is_told_by_its_members(
    service: str, operation: str, given: dict[str, Any], wanted: list[Any]
) -> None:
    what = asked(service, operation, **given)
    action = operations.actions(what)[0]
    found = resources.resources(action, what, HERE, special.find)
    assert sorted(map(str, found)) == sorted(map(str, wanted))


def test_a_key_that_is_not_derived_is_unknown_and_one_that_cannot_be_is_absent() -> None:
    what = asked("dynamodb", "GetItem", TableName="t")
    found = context.context("dynamodb:GetItem", what, "arn:t", lambda _: None, {})
    assert found.get("dynamodb:leadingkeys") is UNKNOWN
    assert found.get("aws:resourcetag/team") is UNKNOWN
    assert found.get("s3:prefix") is None
    tagged = context.context("dynamodb:GetItem", what, "arn:t", lambda _: {"team": "a"}, {})
    assert tagged.get("aws:resourcetag/team") == ("a",)
    assert tagged.get("aws:resourcetag/other") is None


def test_a_member_with_the_name_of_a_key_is_that_key() -> None:
    what = asked("sagemaker", "UpdateModelPackage", ModelApprovalStatus="Approved")
    known = context.context("sagemaker:UpdateModelPackage", what, "arn:x", lambda _: {}, {})
    assert known.get("sagemaker:modelapprovalstatus") == ("Approved",)
    job = asked("sagemaker", "CreateTrainingJob", VpcConfig={"Subnets": ["s-1", "s-2"]},
                ResourceConfig={"InstanceType": "ml.p5.48xlarge"},
                Tags=[{"Key": "team", "Value": "a"}])  # fmt: skip
    known = context.context("sagemaker:CreateTrainingJob", job, "arn:x", lambda _: {}, {})
    assert known.get("sagemaker:vpcsubnets") == ("s-1", "s-2")
    assert known.get("sagemaker:instancetypes") == ("ml.p5.48xlarge",)
    assert known.get("sagemaker:networkisolation") is None
    assert known.get("aws:requesttag/team") == ("a",)
    assert known.get("aws:tagkeys") == ("team",)


def test_a_tuning_job_is_decided_by_the_training_jobs_that_it_defines() -> None:
    action = "CreateHyperParameterTuningJob"
    one = {
        "VpcConfig": {"Subnets": ["s-1"], "SecurityGroupIds": ["g-1"]},
        "ResourceConfig": {"InstanceType": "ml.p5.48xlarge", "VolumeKmsKeyId": "k-1"},
        "OutputDataConfig": {"KmsKeyId": "k-2"},
        "EnableNetworkIsolation": True,
    }
    flexible = {"InstanceConfigs": [{"InstanceType": "ml.m5.large"}], "VolumeKmsKeyId": "k-3"}
    other = {"HyperParameterTuningResourceConfig": flexible}
    for given in ({"TrainingJobDefinition": one}, {"TrainingJobDefinitions": [one, other]}):
        job = asked("sagemaker", action, **given)
        known = context.context(f"sagemaker:{action}", job, "arn:x", lambda _: {}, {})
        several = "TrainingJobDefinitions" in given
        types = ("ml.p5.48xlarge", "ml.m5.large") if several else ("ml.p5.48xlarge",)
        assert known.get("sagemaker:instancetypes") == types
        assert known.get("sagemaker:volumekmskey") == (("k-1", "k-3") if several else ("k-1",))
        assert known.get("sagemaker:outputkmskey") == ("k-2",)
        assert known.get("sagemaker:vpcsubnets") == ("s-1",)
        assert known.get("sagemaker:vpcsecuritygroupids") == ("g-1",)
        assert known.get("sagemaker:networkisolation") == ("true",)


@pytest.mark.parametrize(
    ("service", "operation", "given", "wanted"),
    [
        ("sagemaker", "CreateTrainingJob", {"RoleArn": "arn:aws:iam::123456789012:role/a"}, 1),
        ("lambda", "CreateFunction", {"Role": "arn:aws:iam::123456789012:role/a"}, 1),
        ("events", "PutTargets", {"Targets": [{"RoleArn": "arn:aws:iam::123456789012:role/a"}]}, 1),
        ("sts", "AssumeRole", {"RoleArn": "arn:aws:iam::123456789012:role/a"}, 0),
        ("lambda", "GetFunction", {"Role": "arn:aws:iam::123456789012:role/a"}, 0),
    ],
)
def test_a_role_that_is_given_to_a_service_is_passed(
    service: str, operation: str, given: dict[str, Any], wanted: int
) -> None:
    assert len(resources.passed_roles(asked(service, operation, **given))) == wanted
