"""Requests with values that AWS does not take, by boto3, and those beside them that it takes."""

import base64
import json
import time
from datetime import date
from typing import Any

import pytest

from stacks.local.aws.refusals.account import Account
from stacks.local.aws.refusals.filter import refusal_of
from stacks.pins.table import pins
from tests.kits.local_cloud import BUCKET, ROLE, Cloud, refusal

NOBODY = ROLE.replace("plinth-test", "nobody")
ALARM = {
    "AlarmName": "a", "ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1,
    "MetricName": "m", "Namespace": "mine", "Period": 60, "Statistic": "Sum", "Threshold": 1,
}  # fmt: skip
DATUM = {"MetricName": "m", "Value": 1}
SCHEDULE = {
    "Name": "s", "ScheduleExpression": "rate(1 minute)", "FlexibleTimeWindow": {"Mode": "OFF"},
    "Target": {"Arn": "arn:aws:sqs:us-east-1:123456789012:q", "RoleArn": ROLE},
}  # fmt: skip
TABLE = {
    "TableName": "refused", "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
}  # fmt: skip
ITEM = {"TableName": "refused", "Item": {"p": {"S": "a"}}}
TARGET = {
    "ServiceNamespace": "sagemaker", "ResourceId": "endpoint/e/variant/v", "MinCapacity": 1,
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount", "MaxCapacity": 2,
}  # fmt: skip
NOW = time.time

CASES: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("sqs", "create_queue", {"QueueName": "r", "Attributes": {"VisibilityTimeout": "43201"}},
     "InvalidAttributeValue", "VisibilityTimeout"),
    ("sqs", "create_queue", {"QueueName": "r", "Attributes": {"DelaySeconds": "soon"}},
     "InvalidAttributeValue", "DelaySeconds"),
    ("sqs", "create_queue", {"QueueName": "r", "Attributes": {"Foo": "1"}},
     "InvalidAttributeName", "Unknown Attribute Foo."),
    ("sns", "publish", {"TopicArn": "T", "Message": ""}, "InvalidParameter", "Empty message"),
    ("sns", "publish", {"TopicArn": "T", "Message": "m", "Subject": "a\nb"},
     "InvalidParameter", "Subject"),
    ("sns", "set_topic_attributes", {"TopicArn": "T", "AttributeName": "Foo"},
     "InvalidParameter", "AttributeName"),
    ("events", "put_rule", {"Name": "r", "ScheduleExpression": "rate(1 hours)"},
     "ValidationException", "ScheduleExpression"),
    ("events", "put_rule", {"Name": "r", "ScheduleExpression": "cron(* * * * *)"},
     "ValidationException", "ScheduleExpression"),
    ("events", "put_rule", {"Name": "r", "EventPattern": '{"a": {"b": [{"foo": 1}]}}'},
     "InvalidEventPatternException", "Unrecognized match type foo"),
    ("scheduler", "create_schedule", {**SCHEDULE, "FlexibleTimeWindow": {"Mode": "FLEXIBLE"}},
     "ValidationException", "MaximumWindowInMinutes"),
    ("scheduler", "create_schedule", {**SCHEDULE, "GroupName": "none"},
     "ResourceNotFoundException", "none"),
    ("cloudwatch", "put_metric_data", {"Namespace": "AWS/X", "MetricData": [DATUM]},
     "InvalidParameterValue", "Namespace"),
    ("cloudwatch", "put_metric_data", {"Namespace": "x", "MetricData": [{"MetricName": "m"}]},
     "InvalidParameterCombination", "MetricData.member.1"),
    ("cloudwatch", "put_metric_data", {"Namespace": "x", "MetricData": [DATUM] * 1001},
     "InvalidParameterValue", "1000"),
    ("cloudwatch", "put_metric_data",
     {"Namespace": "x", "MetricData": [DATUM, {**DATUM, "Timestamp": 1}]},
     "InvalidParameterValue", "MetricData.member.2.Timestamp"),
    ("cloudwatch", "put_metric_data",
     {"Namespace": "x", "MetricData": [{**DATUM, "Timestamp": NOW() + 90_000}]},
     "InvalidParameterValue", "two hours in the future"),
    ("cloudwatch", "put_metric_data",
     {"Namespace": "x", "MetricData": [{**DATUM, "StorageResolution": 5}]},
     "InvalidParameterValue", "StorageResolution"),
    ("cloudwatch", "put_metric_alarm", {**ALARM, "Period": 45}, "ValidationError", "Period"),
    ("cloudwatch", "put_metric_alarm", {**ALARM, "Period": 3600, "EvaluationPeriods": 169},
     "ValidationError", "604800"),
    ("cloudwatch", "put_metric_alarm", {**ALARM, "ExtendedStatistic": "p99"},
     "ValidationError", "Exactly one"),
    ("cloudwatch", "put_metric_alarm", {**ALARM, "DatapointsToAlarm": 2},
     "ValidationError", "DatapointsToAlarm"),
    ("cloudwatch", "put_metric_alarm", {**ALARM, "AlarmActions": ["mail"]},
     "ValidationError", "Invalid arn syntax: mail"),
    ("cloudwatch", "put_metric_alarm", {**ALARM, "TreatMissingData": "bad"},
     "ValidationError", "Option bad is not supported"),
    ("cloudwatch", "get_metric_statistics",
     {"Namespace": "x", "MetricName": "m", "StartTime": 0, "EndTime": 60 * 1441, "Period": 60,
      "Statistics": ["Sum"]}, "InvalidParameterCombination", "1,441"),
    ("dynamodb", "put_item", {**ITEM, "ConditionExpression": "attribute_not_exists(p)",
     "ExpressionAttributeValues": {":x": {"S": "1"}}}, "ValidationException", "keys: {:x}"),
    ("dynamodb", "put_item", {**ITEM, "ConditionExpression": "attribute_not_exists(p)",
     "ExpressionAttributeNames": {"#x": "q"}}, "ValidationException", "keys: {#x}"),
    ("dynamodb", "query", {"TableName": "refused", "KeyConditionExpression": "p = :p",
     "FilterExpression": "p = :p", "ExpressionAttributeValues": {":p": {"S": "1"}}},
     "ValidationException", "Primary key attribute: p"),
    ("dynamodb", "batch_write_item",
     {"RequestItems": {"refused": [{"PutRequest": {"Item": {"p": {"S": str(number)}}}}
                                   for number in range(26)]}},
     "ValidationException", "length less than or equal to 25"),
    ("dynamodb", "update_time_to_live",
     {"TableName": "refused", "TimeToLiveSpecification": {"Enabled": False, "AttributeName": "e"}},
     "ValidationException", "already disabled"),
    ("ssm", "put_parameter",
     {"Name": "p", "Value": "abc", "Type": "String", "AllowedPattern": r"^\d+$"},
     "ParameterPatternMismatchException", r"^\d+$"),
    ("ssm", "get_parameters_by_path", {"Path": "a"}, "ValidationException", "forward slash"),
    ("kinesis", "get_records", {"ShardIterator": "junk"}, "InvalidArgumentException", "Iterator"),
    ("kms", "create_alias", {"AliasName": "alias/aws/x", "TargetKeyId": "k"},
     "InvalidAliasNameException", "reserved"),
    ("ecr", "create_repository", {"repositoryName": "Upper"},
     "InvalidParameterException", "regular expression"),
    ("firehose", "create_delivery_stream",
     {"DeliveryStreamName": "d", "ExtendedS3DestinationConfiguration":
      {"RoleARN": NOBODY, "BucketARN": f"arn:aws:s3:::{BUCKET}"}},
     "InvalidArgumentException", "unable to assume role"),
    ("eks", "create_addon", {"clusterName": "none", "addonName": "vpc-cni"},
     "ResourceNotFoundException", "No cluster found for name: none."),
    ("eks", "create_cluster",
     {"name": "k", "roleArn": ROLE, "resourcesVpcConfig": {"subnetIds": ["subnet-1"]}},
     "InvalidParameterException", "subnet-1"),
    ("ec2", "run_instances",
     {"ImageId": "ami-12345678", "InstanceType": "x9.huge", "MinCount": 1, "MaxCount": 1},
     "InvalidParameterValue", "x9.huge"),
    ("ec2", "create_tags", {"Resources": ["vpc-1"], "Tags": [{"Key": "aws:x", "Value": "1"}]},
     "InvalidParameterValue", "reserved"),
    ("ec2", "authorize_security_group_ingress",
     {"GroupId": "sg-1", "IpProtocol": "tcp", "FromPort": 1, "ToPort": 70_000,
      "CidrIp": "10.0.0.0/8"},
     "InvalidParameterValue", "70000"),
    ("iam", "tag_role", {"RoleName": "plinth-test", "Tags": [{"Key": "aws:x", "Value": "1"}]},
     "InvalidInput", "aws:x"),
    ("iam", "put_role_permissions_boundary",
     {"RoleName": "plinth-test", "PermissionsBoundary": "arn:aws:iam::aws:policy/Nope"},
     "NoSuchEntity", "does not exist or is not attachable"),
    ("application-autoscaling", "register_scalable_target",
     {**TARGET, "ScalableDimension": "ecs:service:DesiredCount"}, "ValidationException", "ecs"),
    ("application-autoscaling", "register_scalable_target", {**TARGET, "ResourceId": "foo"},
     "ValidationException", "Unsupported resource ID: foo"),
    ("application-autoscaling", "register_scalable_target",
     {name: value for name, value in TARGET.items() if name != "MinCapacity"},
     "ValidationException", "MinCapacity"),
    ("stepfunctions", "create_state_machine", {"name": "m", "definition": "{}", "roleArn": NOBODY},
     "AccessDeniedException", "states.amazonaws.com"),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def there(cloud: Cloud) -> None:
    cloud.client("dynamodb").create_table(**TABLE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}-{case[4]}")
def test_what_aws_does_not_take_is_refused_in_its_words(
    cloud: Cloud, case: tuple[str, str, dict[str, Any], str, str]
) -> None:
    service, operation, asked, code, words = case
    topic = cloud.client("sns").create_topic(Name="refused")["TopicArn"]
    given = {name: topic if value == "T" else value for name, value in asked.items()}
    found = refusal(getattr(cloud.client(service), operation), **given)
    assert found[0] == code
    assert words in found[1]


def test_what_lies_beside_it_is_taken(cloud: Cloud) -> None:
    cloudwatch, ssm = cloud.client("cloudwatch"), cloud.client("ssm")
    cloudwatch.put_metric_alarm(**{**ALARM, "Period": 3600, "EvaluationPeriods": 168})
    cloudwatch.put_metric_data(Namespace="x", MetricData=[{**DATUM, "Timestamp": NOW() - 86_400}])
    ssm.put_parameter(Name="taken", Value="12", Type="String", AllowedPattern=r"^\d+$")
    cloud.client("sns").publish(
        TopicArn=cloud.client("sns").create_topic(Name="taken")["TopicArn"],
        Message="m",
        Subject="Schwelle überschritten: 'a' in us-east-1",
    )
    for name, value in (("MaximumMessageSize", "1024"), ("HTTPSuccessFeedbackSampleRate", "5")):
        asked = {"service": "sns", "operation": "SetTopicAttributes"}
        told = {"AttributeName": name, "AttributeValue": value}
        assert refusal_of(**asked, request=told, account=Account(region="us-east-1")) is None
    for rate in ("rate(1 hour)", "rate(5 minutes)", "cron(0 12 * * ? *)"):
        cloud.client("events").put_rule(Name="taken", ScheduleExpression=rate)
    found = cloud.client("dynamodb").query(
        TableName="refused",
        KeyConditionExpression="#k = :p",
        FilterExpression="price > :n",
        ExpressionAttributeNames={"#k": "p"},
        ExpressionAttributeValues={":p": {"S": "1"}, ":n": {"N": "1"}},
    )
    assert found["Count"] == 0


def test_a_compressed_request_is_read(cloud: Cloud) -> None:
    """boto3 compresses what is longer than 10 KiB."""
    cloudwatch = cloud.client("cloudwatch")
    data = [{"MetricName": f"m{number}", "Value": number} for number in range(1000)]
    cloudwatch.put_metric_data(Namespace="compressed", MetricData=data)
    listed = cloudwatch.get_paginator("list_metrics").paginate(Namespace="compressed")
    assert sum(len(page["Metrics"]) for page in listed) == len(data)


def test_what_is_only_tried_is_not_done(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    before = len(ec2.describe_vpcs()["Vpcs"])
    found = refusal(ec2.create_vpc, CidrBlock="10.77.0.0/16", DryRun=True)
    assert found[::2] == ("DryRunOperation", 412)
    assert len(ec2.describe_vpcs()["Vpcs"]) == before


def test_a_cluster_gets_a_version_that_is_offered(cloud: Cloud) -> None:
    ec2, eks = cloud.client("ec2"), cloud.client("eks")
    vpc = ec2.create_vpc(CidrBlock="10.78.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.78.0.0/24")["Subnet"]["SubnetId"]
    asked = {"name": "newest", "roleArn": ROLE, "resourcesVpcConfig": {"subnetIds": [subnet]}}
    version = eks.create_cluster(**asked)["cluster"]["version"]
    assert pins().is_offered(version, date.today())
    eks.delete_cluster(name="newest")


def test_a_key_that_is_to_be_deleted_does_nothing(cloud: Cloud) -> None:
    kms = cloud.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    assert json.loads(kms.get_key_policy(KeyId=key)["Policy"])["Statement"]
    secret = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.disable_key(KeyId=key)
    assert refusal(kms.decrypt, CiphertextBlob=secret)[0] == "DisabledException"
    kms.enable_key(KeyId=key)
    assert refusal(kms.schedule_key_deletion, KeyId=key, PendingWindowInDays=3)[0] == (
        "ValidationException"
    )
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert refusal(kms.enable_key, KeyId=key)[0] == "KMSInvalidStateException"
    assert refusal(kms.decrypt, CiphertextBlob=secret)[0] == "KMSInvalidStateException"
    kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=secret)["Plaintext"] == b"x"


def test_a_secret_is_rotated_by_a_function_and_not_opened_to_everybody(cloud: Cloud) -> None:
    secrets = cloud.client("secretsmanager")
    secrets.create_secret(Name="refused", SecretString="x")
    assert refusal(secrets.rotate_secret, SecretId="refused")[0] == "InvalidRequestException"
    statement = {"Effect": "Allow", "Principal": "*", "Resource": "*",
                 "Action": "secretsmanager:GetSecretValue"}  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    asked = {"SecretId": "refused", "ResourcePolicy": policy, "BlockPublicPolicy": True}
    assert refusal(secrets.put_resource_policy, **asked)[0] == "PublicPolicyException"


def test_the_type_of_a_parameter_stays(cloud: Cloud) -> None:
    ssm = cloud.client("ssm")
    ssm.put_parameter(Name="typed", Value="x", Type="String")
    asked = {"Name": "typed", "Value": "y", "Overwrite": True}
    assert refusal(ssm.put_parameter, **asked, Type="SecureString")[0] == (
        "HierarchyTypeMismatchException"
    )
    ssm.put_parameter(**asked)
    assert ssm.get_parameter(Name="typed")["Parameter"]["Value"] == "y"


def test_a_shard_is_read_from_a_number_that_is_given(cloud: Cloud) -> None:
    kinesis = cloud.client("kinesis")
    kinesis.create_stream(StreamName="refused", ShardCount=1)
    asked = {"StreamName": "refused", "ShardId": "shardId-000000000000"}
    found = refusal(kinesis.get_shard_iterator, **asked, ShardIteratorType="AT_SEQUENCE_NUMBER")
    assert (found[0], "StartingSequenceNumber" in found[1]) == ("InvalidArgumentException", True)
    latest = kinesis.get_shard_iterator(**asked, ShardIteratorType="LATEST")["ShardIterator"]
    assert base64.b64decode(latest)
    assert kinesis.get_records(ShardIterator=latest)["Records"] == []


@pytest.mark.parametrize(
    ("service", "operation", "request_", "rule"),
    [
        ("ssm", "PutParameter", {"Name": "n", "Value": "v", "Type": "Text"}, "enum value set"),
        ("ssm", "GetParameters", {"Names": [str(n) for n in range(11)]}, "equal to 10"),
        ("kinesis", "CreateStream", {"StreamName": "a b"}, "regular expression pattern"),
        ("logs", "GetLogEvents", {"logGroupName": "a b", "logStreamName": "s"}, "pattern"),
        ("stepfunctions", "ListExecutions", {"maxResults": 1001}, "value less than or equal"),
        ("kms", "CreateKey", {"Tags": [{"TagKey": "k" * 129, "TagValue": ""}]}, "equal to 128"),
    ],
)
def test_requests_are_held_against_their_model_at_any_depth(
    service: str, operation: str, request_: dict[str, Any], rule: str
) -> None:
    refused = refusal_of(service, operation, request_, Account(region="us-east-1"))
    assert refused is not None
    assert rule in str(refused)


def test_a_value_that_the_model_calls_sensitive_is_not_shown() -> None:
    asked = {"Name": "n", "Value": "hunter2" * 2000, "Type": "String", "Tier": "Advanced"}
    refused = refusal_of("ssm", "PutParameter", asked, Account(region="us-east-1"))
    assert refused is not None and "hunter2" not in str(refused)
    longer: dict[str, Any] = {"KeyId": "k", "Plaintext": b"hunter2" * 1000}
    refused = refusal_of("kms", "Encrypt", longer, Account(region="us-east-1"))
    assert refused is not None and "hunter2" not in str(refused)
