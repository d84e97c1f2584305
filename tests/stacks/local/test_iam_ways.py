"""What IAM decides on the way of a request: keys behind buckets, VPC endpoints, services' roles."""

from __future__ import annotations

import functools
import io
import json
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kits.local_cloud import BUCKET, Cloud, network, process, refusal, running_cloud, until
from tests.kits.path import wait_until
from tests.stacks.local.test_iam import ACCOUNT, READ, As, allow, arn, document, role


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        running.client("s3").put_object(Bucket=BUCKET, Key="in/a", Body=b"mine")
        yield running


def _encrypted_bucket(cloud: Cloud, name: str) -> str:
    """A bucket whose objects are encrypted by a key of the account; the key's ARN."""
    key: str = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=name)
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
        "BucketKeyEnabled": True,
    }
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_object(Bucket=name, Key="a", Body=b"1")
    return key


def test_an_encrypted_object_needs_its_key_too(cloud: Cloud) -> None:
    key = _encrypted_bucket(cloud, "secret")
    s3_only = allow("s3:*", "arn:aws:s3:::secret/*")
    via = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
    without = As(cloud, role(cloud, "no-key", s3_only))("s3")
    message = refusal(without.get_object, Bucket="secret", Key="a")[1]
    assert f"is not authorized to perform: kms:Decrypt on resource: {key}" in message
    assert "kms:GenerateDataKey" in refusal(without.put_object, Bucket="secret", Key="b")[1]
    made = role(cloud, "with-key", s3_only, allow("kms:Decrypt", key, Condition=via))
    assert As(cloud, made)("s3").get_object(Bucket="secret", Key="a")
    assert refusal(As(cloud, made)("s3").put_object, Bucket="secret", Key="b")[0] == "AccessDenied"
    direct = cloud.client("kms").encrypt(KeyId=key, Plaintext=b"1")["CiphertextBlob"]
    assert refusal(As(cloud, made)("kms").decrypt, CiphertextBlob=direct)[0] == (
        "AccessDeniedException"
    )


PUTS = f"""
import boto3
try:
    boto3.client('s3').put_object(Bucket='{BUCKET}', Key='in/out', Body=b'')
except Exception as error:
    print(error)
    raise SystemExit(3)
"""


def test_what_runs_in_a_vpc_meets_the_policy_of_its_endpoint(cloud: Cloud) -> None:
    ec2, sm = cloud.client("ec2"), cloud.client("sagemaker")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="g", Description="g", VpcId=vpc)["GroupId"]
    network = {"VpcConfig": {"SecurityGroupIds": [group], "Subnets": [subnet]}}
    made = role(cloud, "in-vpc", allow(["s3:*", "ec2:*"]))
    reads = {**allow("s3:GetObject"), "Principal": "*"}
    ec2.create_vpc_endpoint(
        VpcId=vpc,
        ServiceName="com.amazonaws.us-east-1.s3",
        VpcEndpointType="Gateway",
        PolicyDocument=document(reads),
    )
    inside = process(sm, "inside", PUTS, RoleArn=made, NetworkConfig=network)
    assert inside["ProcessingJobStatus"] == "Failed"
    assert (
        "because no VPC endpoint policy allows the s3:PutObject action" in inside["FailureReason"]
    )
    assert process(sm, "outside", PUTS, RoleArn=made)["ProcessingJobStatus"] == "Completed"


VPC: dict[str, Any] = {"NetworkConfig": {}}
IMAGE = {
    "AppSpecification": {
        "ImageUri": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/train@sha256:{'0' * 64}",
        "ContainerEntrypoint": ["true"],
    }
}
PULLED = "arn:aws:ecr:us-east-1:123456789012:repository/train"


@pytest.mark.parametrize(
    ("name", "request_", "allowed", "denied"),
    [
        ("image", IMAGE, [], "ecr:GetAuthorizationToken on resource: *"),
        ("layers", IMAGE, ["ecr:GetAuthorizationToken"], f"on resource: {PULLED}"),
        ("pulled", IMAGE, ["ecr:*"], ""),
        ("network", VPC, [], "ec2:DescribeDhcpOptions on resource: *"),
        ("interface", VPC, ["ec2:Describe*"], "ec2:CreateNetworkInterface on resource"),
        ("subnet", VPC, ["ec2:*"], ""),
    ],
)
def test_what_sagemaker_does_for_a_job_needs_its_role(
    cloud: Cloud, name: str, request_: dict[str, Any], allowed: list[str], denied: str
) -> None:
    """The image, the network and the key of the volume; logs are only counted."""
    made = role(cloud, f"needs-{name}", allow(allowed or "none:none"))
    if "NetworkConfig" in request_:
        request_ = {"NetworkConfig": {"VpcConfig": network(cloud)}}
    ended = process(cloud.client("sagemaker"), f"needs-{name}", "pass", RoleArn=made, **request_)
    assert ended["ProcessingJobStatus"] == ("Failed" if denied else "Completed")
    assert denied in ended.get("FailureReason", "")
    tally = json.loads((cloud.home / "local" / "iam.json").read_text())
    assert any(f"/needs-{name}/SageMaker is not" in told and "logs:PutLogEvents" in told
               for told in tally["denied"])  # fmt: skip


def test_a_key_of_a_volume_needs_a_grant(cloud: Cloud) -> None:
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
    more = {"ProcessingResources": {"ClusterConfig": {**cluster, "VolumeKmsKeyId": key}}}
    for name, statements, status in (
        ("no-grant", [], "Failed"),
        ("grant", [allow("kms:CreateGrant", key,
                         Condition={"Bool": {"kms:GrantIsForAWSResource": "true"}})], "Completed"),
    ):  # fmt: skip
        made = role(cloud, name, *statements)
        ended = process(cloud.client("sagemaker"), name, "pass", RoleArn=made, **more)
        assert ended["ProcessingJobStatus"] == status, ended.get("FailureReason")


HANDLER = """
import boto3
def handler(event, context):
    boto3.client("s3").get_object(Bucket=event["bucket"], Key=event["key"])
    return boto3.client("sts").get_caller_identity()["Arn"]
"""


def _archive() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("main.py", HANDLER)
    return held.getvalue()


def test_a_function_acts_as_its_role(cloud: Cloud) -> None:
    iam = cloud.client("iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    made = iam.create_role(RoleName="function", AssumeRolePolicyDocument=document(trust))
    iam.put_role_policy(RoleName="function", PolicyName="own", PolicyDocument=document(READ))
    functions = cloud.client("lambda")
    functions.create_function(
        FunctionName="reads", Runtime="python3.12", Role=made["Role"]["Arn"],
        Handler="main.handler", Code={"ZipFile": _archive()}, Timeout=60,
    )  # fmt: skip

    def invoke(key: str) -> Any:
        event = json.dumps({"bucket": BUCKET, "key": key})
        return json.loads(functions.invoke(FunctionName="reads", Payload=event)["Payload"].read())

    assert invoke("in/a") == f"arn:aws:sts::{ACCOUNT}:assumed-role/function/reads"
    assert "s3:GetObject on resource" in invoke("out/a")["errorMessage"]
    guest = role(cloud, "invokes", allow("lambda:InvokeFunction", arn("lambda", "function:reads")))
    event = json.dumps({"bucket": BUCKET, "key": "in/a"})
    answer = As(cloud, guest)("lambda").invoke(FunctionName="reads", Payload=event)
    assert b"assumed-role/function/reads" in answer["Payload"].read()


def _pipeline(job_role: str) -> str:
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
    arguments = {
        "RoleArn": job_role,
        "AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": ["true"]},
        "ProcessingResources": {"ClusterConfig": cluster},
    }
    step = {"Name": "only", "Type": "Processing", "Arguments": arguments}
    return json.dumps({"Version": "2020-12-01", "Steps": [step]})


def test_a_pipeline_does_what_its_role_may(cloud: Cloud) -> None:
    sm = cloud.client("sagemaker")
    job = role(cloud, "job")
    starts = allow(["sagemaker:CreateProcessingJob", "sagemaker:DescribeProcessingJob",
                    "sagemaker:AddTags"])  # fmt: skip
    for name, statements, status in (
        ("starts-nothing", [READ], "Failed"),
        ("passes-nothing", [starts], "Failed"),
        ("does-all", [starts, allow("iam:PassRole", job)], "Succeeded"),
    ):
        made = role(cloud, name, *statements)
        sm.create_pipeline(PipelineName=name, RoleArn=made, PipelineDefinition=_pipeline(job))
        run = sm.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
        describe = functools.partial(sm.describe_pipeline_execution, PipelineExecutionArn=run)
        ended = until(describe, "PipelineExecutionStatus")
        assert ended["PipelineExecutionStatus"] == status, (name, ended.get("FailureReason"))


def test_an_event_starts_a_pipeline_as_the_role_of_its_target(cloud: Cloud) -> None:
    sm, events, iam = cloud.client("sagemaker"), cloud.client("events"), cloud.client("iam")
    job = role(cloud, "job-of-event")
    sm.create_pipeline(
        PipelineName="told", RoleArn=role(cloud, "runs", allow("*")),
        PipelineDefinition=_pipeline(job),
    )  # fmt: skip
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    target = iam.create_role(RoleName="target", AssumeRolePolicyDocument=document(trust))
    pattern = json.dumps(
        {"source": ["aws.sagemaker"], "detail": {"ProcessingJobName": [{"prefix": "rings"}]}}
    )
    events.put_rule(Name="rings", EventPattern=pattern)
    events.put_targets(
        Rule="rings",
        Targets=[{"Id": "1", "Arn": arn("sagemaker", "pipeline/told"),
                  "RoleArn": target["Role"]["Arn"]}],
    )  # fmt: skip

    def runs() -> int:
        return len(sm.list_pipeline_executions(PipelineName="told")["PipelineExecutionSummaries"])

    process(sm, "rings", "pass", RoleArn=job)
    time.sleep(4)
    assert runs() == 0, "the role may start nothing"
    start = document(allow("sagemaker:StartPipelineExecution", arn("sagemaker", "pipeline/told")))
    iam.put_role_policy(RoleName="target", PolicyName="own", PolicyDocument=start)
    process(sm, "rings-again", "pass", RoleArn=job)
    wait_until(runs)
