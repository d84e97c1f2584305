"""The AWS endpoint decides what a role may, as IAM does, and says no in AWS's words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.kits.local_cloud import (
    BUCKET,
    Cloud,
    process,
    refusal,
    running_cloud,
    train,
    trusted_role,
)

ACCOUNT = "123456789012"
REGION = "us-east-1"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        running.client("s3").put_object(Bucket=BUCKET, Key="in/a", Body=b"mine")
        yield running


def arn(service: str, rest: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def document(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def role(cloud: Cloud, name: str, *statements: Mapping[str, Any], **more: Any) -> str:
    """A role that the account trusts and that may what is said; its ARN."""
    iam = cloud.client("iam")
    principal = {"AWS": f"arn:aws:iam::{ACCOUNT}:root", "Service": "sagemaker.amazonaws.com"}
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust), **more)
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(*statements))
    found: str = made["Role"]["Arn"]
    return found


def acting(cloud: Cloud, role_arn: str, **session: Any) -> boto3.session.Session:
    """A session of a role, as a person takes it."""
    keys = cloud.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="me", **session)[
        "Credentials"
    ]
    return boto3.session.Session(
        keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], REGION
    )


class As:
    """Clients that sign as a role."""

    def __init__(self, cloud: Cloud, role_arn: str, **session: Any) -> None:
        self._session = acting(cloud, role_arn, **session)
        self._url = cloud.info.endpoint_url

    def __call__(self, service: str) -> Any:
        return self._session.client(service, endpoint_url=self._url)


READ = allow(
    ["s3:GetObject", "s3:ListBucket"], [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/in/*"]
)


def test_a_role_does_what_it_is_allowed_and_no_more(cloud: Cloud) -> None:
    s3 = As(cloud, role(cloud, "reader", READ))("s3")
    assert s3.get_object(Bucket=BUCKET, Key="in/a")["Body"].read() == b"mine"
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] >= 1
    code, message, status = refusal(s3.put_object, Bucket=BUCKET, Key="in/b", Body=b"x")
    assert (code, status) == ("AccessDenied", 403)
    assert message == (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/reader/me is not authorized to perform: "
        f"s3:PutObject on resource: arn:aws:s3:::{BUCKET}/in/b because no identity-based policy "
        "allows the s3:PutObject action"
    )
    assert refusal(s3.get_object, Bucket=BUCKET, Key="out/a")[0] == "AccessDenied"
    assert refusal(s3.head_object, Bucket=BUCKET, Key="out/a")[2] == 403
    assert refusal(s3.list_buckets)[0] == "AccessDenied"


DENIED: Mapping[str, tuple[str, str, Mapping[str, Any], str, str, int]] = {
    "json": (
        "dynamodb",
        "get_item",
        {"TableName": "t", "Key": {"id": {"S": "1"}}},
        "AccessDeniedException",
        f"dynamodb:GetItem on resource: {arn('dynamodb', 'table/t')}",
        400,
    ),
    "several tables": (
        "dynamodb",
        "batch_get_item",
        {"RequestItems": {"t": {"Keys": [{"id": {"S": "1"}}]}}},
        "AccessDeniedException",
        f"dynamodb:BatchGetItem on resource: {arn('dynamodb', 'table/t')}",
        400,
    ),
    "an index": (
        "dynamodb",
        "query",
        {"TableName": "t", "IndexName": "idx", "KeyConditionExpression": "a"},
        "AccessDeniedException",
        f"dynamodb:Query on resource: {arn('dynamodb', 'table/t/index/idx')}",
        400,
    ),
    "query": (
        "iam",
        "get_role",
        {"RoleName": "nobody"},
        "AccessDenied",
        f"iam:GetRole on resource: arn:aws:iam::{ACCOUNT}:role/nobody",
        403,
    ),
    "a topic": (
        "sns",
        "publish",
        {"TopicArn": arn("sns", "t"), "Message": "m"},
        "AuthorizationError",
        f"SNS:Publish on resource: {arn('sns', 't')}",
        403,
    ),
    "a queue": (
        "sqs",
        "send_message",
        {"QueueUrl": f"http://x/{ACCOUNT}/q", "MessageBody": "m"},
        "AccessDeniedException",
        f"sqs:SendMessage on resource: {arn('sqs', 'q')}",
        400,
    ),
    "ec2": ("ec2", "describe_vpcs", {}, "UnauthorizedOperation", "ec2:DescribeVpcs", 403),
    "rest-json": (
        "lambda",
        "invoke",
        {"FunctionName": "f"},
        "AccessDeniedException",
        f"lambda:InvokeFunction on resource: {arn('lambda', 'function:f')}",
        403,
    ),
    "sagemaker": (
        "sagemaker",
        "describe_training_job",
        {"TrainingJobName": "j"},
        "AccessDeniedException",
        f"sagemaker:DescribeTrainingJob on resource: {arn('sagemaker', 'training-job/j')}",
        400,
    ),
    "an endpoint": (
        "sagemaker-runtime",
        "invoke_endpoint",
        {"EndpointName": "e", "Body": b"1"},
        "AccessDeniedException",
        f"sagemaker:InvokeEndpoint on resource: {arn('sagemaker', 'endpoint/e')}",
        403,
    ),
    "records": (
        "sagemaker-featurestore-runtime",
        "get_record",
        {"FeatureGroupName": "g", "RecordIdentifierValueAsString": "1"},
        "AccessDeniedException",
        f"sagemaker:GetRecord on resource: {arn('sagemaker', 'feature-group/g')}",
        403,
    ),
    "logs": (
        "logs",
        "create_log_group",
        {"logGroupName": "g"},
        "AccessDeniedException",
        f"logs:CreateLogGroup on resource: {arn('logs', 'log-group:g')}",
        400,
    ),
    "a stream": (
        "kinesis",
        "put_record",
        {"StreamName": "s", "Data": b"1", "PartitionKey": "p"},
        "AccessDeniedException",
        f"kinesis:PutRecord on resource: {arn('kinesis', 'stream/s')}",
        400,
    ),
    "no resource": (
        "cloudwatch",
        "put_metric_data",
        {"Namespace": "n", "MetricData": [{"MetricName": "m"}]},
        "AccessDeniedException",
        "cloudwatch:PutMetricData on resource: *",
        400,
    ),
    "images": (
        "ecr",
        "describe_images",
        {"repositoryName": "rr"},
        "AccessDeniedException",
        f"ecr:DescribeImages on resource: {arn('ecr', 'repository/rr')}",
        400,
    ),
    "a new package": (
        "sagemaker",
        "create_model_package",
        {"ModelPackageGroupName": "g"},
        "AccessDeniedException",
        f"sagemaker:CreateModelPackage on resource: {arn('sagemaker', 'model-package/g/*')}",
        400,
    ),
    "a schedule": (
        "scheduler",
        "get_schedule",
        {"Name": "s"},
        "AccessDeniedException",
        f"scheduler:GetSchedule on resource: {arn('scheduler', 'schedule/default/s')}",
        403,
    ),
    "a rule": ("events", "put_rule", {"Name": "r"}, "AccessDeniedException", "events:PutRule", 400),
    "a cluster": (
        "eks",
        "describe_cluster",
        {"name": "c"},
        "AccessDeniedException",
        f"eks:DescribeCluster on resource: {arn('eks', 'cluster/c')}",
        403,
    ),
}


@pytest.fixture(scope="module")
def nobody(cloud: Cloud) -> As:
    return As(cloud, role(cloud, "nothing"))


@pytest.mark.parametrize("name", DENIED)
def test_every_protocol_denies_with_its_own_code(nobody: As, name: str) -> None:
    service, method, request, code, told, status = DENIED[name]
    found = refusal(getattr(nobody(service), method), **request)
    assert (found[0], found[2]) == (code, status)
    assert f"is not authorized to perform: {told}".lower() in found[1].lower()


def test_who_one_is_everybody_may_ask(nobody: As) -> None:
    assert nobody("sts").get_caller_identity()["Arn"].endswith("assumed-role/nothing/me")


def test_a_boundary_and_a_session_policy_narrow(cloud: Cloud) -> None:
    bound = cloud.client("iam").create_policy(
        PolicyName="bound", PolicyDocument=document(allow("s3:*"))
    )["Policy"]["Arn"]
    made = role(cloud, "bounded", allow("*"), PermissionsBoundary=bound)
    assert As(cloud, made)("s3").list_buckets()["Buckets"]
    message = refusal(As(cloud, made)("sqs").list_queues)[1]
    assert message.endswith("because no permissions boundary allows the sqs:ListQueues action")
    narrow = As(cloud, made, Policy=document(READ))
    assert narrow("s3").get_object(Bucket=BUCKET, Key="in/a")
    message = refusal(narrow("s3").list_buckets)[1]
    assert message.endswith("because no session policy allows the s3:ListAllMyBuckets action")


def test_a_managed_policy_counts_with_its_default_version(cloud: Cloud) -> None:
    iam = cloud.client("iam")
    policy = iam.create_policy(PolicyName="p", PolicyDocument=document(READ))["Policy"]["Arn"]
    made = role(cloud, "managed")
    iam.attach_role_policy(RoleName="managed", PolicyArn=policy)
    s3 = As(cloud, made)("s3")
    assert s3.get_object(Bucket=BUCKET, Key="in/a")
    iam.create_policy_version(
        PolicyArn=policy, PolicyDocument=document(allow("sqs:*")), SetAsDefault=True
    )
    assert refusal(s3.get_object, Bucket=BUCKET, Key="in/a")[0] == "AccessDenied"


def test_a_bucket_policy_lets_in_and_keeps_out(cloud: Cloud) -> None:
    admin, bucket = cloud.client("s3"), "shared"
    admin.create_bucket(Bucket=bucket)
    admin.put_object(Bucket=bucket, Key="a", Body=b"1")
    guest, other = role(cloud, "guest"), role(cloud, "other", allow("s3:*"))
    objects = f"arn:aws:s3:::{bucket}/*"
    admin.put_bucket_policy(
        Bucket=bucket,
        Policy=document(
            {**allow("s3:GetObject", objects), "Principal": {"AWS": guest}},
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": objects,
                "Condition": {"ArnEquals": {"aws:PrincipalArn": other}},
            },
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": objects,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ),
    )
    assert As(cloud, guest)("s3").get_object(Bucket=bucket, Key="a")
    assert refusal(As(cloud, guest)("s3").put_object, Bucket=bucket, Key="b")[0] == "AccessDenied"
    message = refusal(As(cloud, other)("s3").get_object, Bucket=bucket, Key="a")[1]
    assert message.endswith("with an explicit deny in a resource-based policy")
    assert admin.get_object(Bucket=bucket, Key="a"), "the owner is denied by nothing here"


def test_a_key_policy_decides_and_a_grant_adds(cloud: Cloud) -> None:
    kms = cloud.client("kms")
    made = role(cloud, "encrypts", allow("kms:*"))
    owner = role(cloud, "owns-the-key")
    key = kms.create_key(Policy=document({**allow("kms:*"), "Principal": {"AWS": owner}}))[
        "KeyMetadata"
    ]["KeyId"]
    request = {"KeyId": key, "Plaintext": b"1"}
    message = refusal(As(cloud, made)("kms").encrypt, **request)[1]
    assert message.endswith("because no resource-based policy allows the kms:Encrypt action")
    assert As(cloud, owner)("kms").encrypt(**request)
    kms.create_grant(KeyId=key, GranteePrincipal=made, Operations=["Encrypt"])
    blob = As(cloud, made)("kms").encrypt(**request)["CiphertextBlob"]
    assert (
        refusal(As(cloud, made)("kms").decrypt, CiphertextBlob=blob)[0] == "AccessDeniedException"
    )


def test_trust_decides_who_becomes_a_role(cloud: Cloud) -> None:
    iam, name = cloud.client("iam"), "trusting"
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": ACCOUNT},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "x1"}},
    }
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    assume = As(cloud, role(cloud, "assumes", allow("sts:AssumeRole")))("sts").assume_role
    asked = {"RoleArn": made, "RoleSessionName": "ss"}
    message = refusal(assume, **asked)[1]
    assert "because no role trust policy allows the sts:AssumeRole action" in message
    assert assume(**asked, ExternalId="x1")["Credentials"]
    idle = As(cloud, role(cloud, "idle"))("sts").assume_role
    message = refusal(idle, **asked, ExternalId="x1")[1]
    assert "because no identity-based policy allows the sts:AssumeRole action" in message


def test_a_user_is_decided_as_a_role_is(cloud: Cloud) -> None:
    iam = cloud.client("iam")
    iam.create_user(UserName="anna")
    iam.create_group(GroupName="readers")
    iam.add_user_to_group(GroupName="readers", UserName="anna")
    iam.put_group_policy(GroupName="readers", PolicyName="p", PolicyDocument=document(READ))
    keys = iam.create_access_key(UserName="anna")["AccessKey"]
    s3 = boto3.client(
        "s3",
        endpoint_url=cloud.info.endpoint_url,
        region_name=REGION,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
    )
    assert s3.get_object(Bucket=BUCKET, Key="in/a")
    message = refusal(s3.list_buckets)[1]
    assert f"User: arn:aws:iam::{ACCOUNT}:user/anna is not authorized" in message


STARTS = allow("sagemaker:CreateProcessingJob")
JOB = f"arn:aws:iam::{ACCOUNT}:role/job-*"
PASSES = allow(
    "iam:PassRole",
    JOB,
    Condition={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
)


def _processing(role_arn: str, name: str = "passed") -> dict[str, Any]:
    return {
        "ProcessingJobName": name,
        "RoleArn": role_arn,
        "AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": ["true"]},
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "VolumeSizeInGB": 10,
            }
        },
    }


def test_a_role_is_passed_only_by_who_may_pass_it(cloud: Cloud) -> None:
    trusted_role(cloud.client("iam"), "job-a")
    job = JOB.replace("*", "a")
    create = As(cloud, role(cloud, "starts", STARTS))("sagemaker").create_processing_job
    message = refusal(create, **_processing(job))[1]
    assert f"is not authorized to perform: iam:PassRole on resource: {job}" in message
    passing = As(cloud, role(cloud, "passes", STARTS, PASSES))("sagemaker").create_processing_job
    assert passing(**_processing(job))["ProcessingJobArn"]
    assert "iam:PassRole" in refusal(passing, **_processing(role(cloud, "admin")))[1]


def test_a_service_takes_no_role_that_does_not_trust_it(cloud: Cloud) -> None:
    sm = cloud.client("sagemaker")
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    made = cloud.client("iam").create_role(
        RoleName="for-lambda", AssumeRolePolicyDocument=document(trust)
    )["Role"]["Arn"]
    for wrong in (made, "arn:aws:iam::123456789012:role/gone"):
        code, message, _ = refusal(sm.create_processing_job, **_processing(wrong, "untrusted"))
        assert code == "ValidationException"
        assert message.startswith(f"Could not assume role {wrong}.")


ASKS = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn']); "


def test_a_job_acts_as_its_role(cloud: Cloud) -> None:
    """Its program, and SageMaker that brings its data: the same role, the same limits."""
    sm = cloud.client("sagemaker")
    made = role(cloud, "trains", READ)
    code = ASKS + f"boto3.client('s3').put_object(Bucket='{BUCKET}', Key='x', Body=b'')"
    ended = process(sm, "writes", code, RoleArn=made)
    assert ended["ProcessingJobStatus"] == "Failed"
    assert "s3:PutObject" in ended["FailureReason"]
    log = (cloud.home / "local" / "jobs" / "writes" / "log.txt").read_text()
    assert f"arn:aws:sts::{ACCOUNT}:assumed-role/trains/SageMaker" in log
    channel = {
        "ChannelName": "train",
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/out/"}},
    }
    cloud.client("s3").put_object(Bucket=BUCKET, Key="out/a", Body=b"1")
    ended = train(sm, "reads", "pass", RoleArn=made, InputDataConfig=[channel])
    assert "Data download failed" in ended["FailureReason"]
    assert "s3:GetObject" in ended["FailureReason"]


def test_what_was_not_decided_is_counted(cloud: Cloud) -> None:
    when = {"StringEquals": {"dynamodb:LeadingKeys": "1"}}
    cloud.client("dynamodb").create_table(
        TableName="open",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    made = role(cloud, "leading", allow("dynamodb:GetItem", Condition=when))
    As(cloud, made)("dynamodb").get_item(TableName="open", Key={"id": {"S": "2"}})
    tally = json.loads((cloud.home / "local" / "iam.json").read_text())
    told = f"dynamodb:GetItem on {arn('dynamodb', 'table/open')} by leading: dynamodb:leadingkeys"
    assert tally["not_decided"][told] == 1
    assert tally["denied"]


def test_a_role_that_is_gone_may_nothing(cloud: Cloud) -> None:
    made = role(cloud, "gone-soon", allow("*"))
    client = As(cloud, made)("s3")
    assert client.list_buckets()["Buckets"]
    iam = cloud.client("iam")
    iam.delete_role_policy(RoleName="gone-soon", PolicyName="own")
    iam.delete_role(RoleName="gone-soon")
    with pytest.raises(ClientError, match="AccessDenied"):
        client.list_buckets()
