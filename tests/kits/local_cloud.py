"""A running local cloud for tests, and short ways to use it."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError

from stacks.local.daemon import client as session
from stacks.local.keeping import folder
from stacks.local.kubernetes import login
from stacks.local.provider.aws.backend import AwsBackend
from stacks.local.runtime import keys
from stacks.local.runtime.processes import RUN_VARIABLE
from tests.conftest import HANGS_SECONDS
from tests.kits.answers import watched
from tests.kits.path import wait_until

UNDER_WAY = ("InProgress", "Pending", "Starting", "Stopping", "Creating", "Updating", "Executing")
"""Statuses that do not stay."""

WRITTEN_SECONDS = 30
BUCKET = "plinth-test"
OWN_IMAGE = "plinth-test-images:1"
"""Runs our `train` and `serve`."""

ROLE = "arn:aws:iam::123456789012:role/plinth-test"


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """A running cloud and clients of it."""

    home: Path
    info: session.CloudInfo

    def client(self, service: str, **more: Any) -> Any:
        """A client by the home's own keys; what SageMaker answers it is held against its model."""
        own = keys.load(self.home)
        made = boto3.client(
            service,
            endpoint_url=self.info.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=own.access_key_id,
            aws_secret_access_key=own.secret_access_key,
            **more,
        )
        return watched(made)

    def place(self) -> login.Place:
        """Where its STS answers, for tokens of the owner of the home."""
        own = keys.load(self.home).aws()
        return login.Place(endpoint=self.info.endpoint_url, region="us-east-1", keys=own)

    def backend(self) -> AwsBackend:
        """The AWS side of the provider, in this process."""
        return AwsBackend(self.info.endpoint_url, "us-east-1", keys.load(self.home), whose="aws")


@contextlib.contextmanager
def running_cloud(home: Path) -> Iterator[Cloud]:
    """A cloud with a bucket; nothing of it may be left afterwards."""
    running = Cloud(home=home, info=session.start(home))
    try:
        running.client("s3").create_bucket(Bucket=BUCKET)
        trusted_role(running.client("iam"))
        yield running
    finally:
        session.stop(home)
    # the kernel takes a moment to end what was in a namespace of processes
    wait_until(lambda: left_of(home) == [])


def network(cloud: Cloud) -> dict[str, list[str]]:
    """A VpcConfig of the account's default VPC: two subnets and a security group."""
    ec2 = cloud.client("ec2")
    (vpc,) = [one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"] if one["IsDefault"]]
    there = [{"Name": "vpc-id", "Values": [vpc]}]
    subnets = [one["SubnetId"] for one in ec2.describe_subnets(Filters=there)["Subnets"][:2]]
    groups = ec2.describe_security_groups(Filters=there)["SecurityGroups"]
    return {"Subnets": subnets, "SecurityGroupIds": [groups[0]["GroupId"]]}


def kill(cloud: Cloud) -> None:
    """End a cloud as a machine without memory does."""
    process = psutil.Process(cloud.info.pid)
    process.kill()
    psutil.wait_procs([process], timeout=60)


def killed_cloud(cloud: Cloud) -> Cloud:
    """The cloud that comes after one that was killed once it had everything on disk."""
    assert folder.wait(cloud.home, WRITTEN_SECONDS)
    kill(cloud)
    return Cloud(home=cloud.home, info=session.start(cloud.home))


def trusted_role(iam: Any, name: str = ROLE.rpartition("/")[2], **policy: Any) -> None:
    """A role that services and the account may assume; it may do everything, or what is said."""
    words = ("ec2", "eks", "events", "glue", "lambda", "sagemaker", "scheduler", "states")
    services = [f"{word}.amazonaws.com" for word in words]
    principals = {"Service": services, "AWS": ROLE.partition(":role/")[0] + ":root"}
    trust = {"Effect": "Allow", "Principal": principals, "Action": "sts:AssumeRole"}
    allowed = {"Effect": "Allow", "Action": "*", "Resource": "*", **policy}

    def document(statement: Any) -> str:
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(allowed))


def left_of(home: Path) -> list[str]:
    """Processes that a cloud of this home started and that still run."""
    left = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(RUN_VARIABLE) == str(home / "local" / "run"):
                left.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return left


def until(answer: Callable[[], Mapping[str, Any]], member: str) -> Mapping[str, Any]:
    """The answer once its status is final."""
    deadline = time.monotonic() + HANGS_SECONDS
    while time.monotonic() < deadline:
        found = answer()
        if found[member] not in UNDER_WAY:
            return found
        time.sleep(0.05)
    raise TimeoutError(f"{member} stayed {found[member]}")


def program(code: str) -> dict[str, list[str]]:
    """Python code as the command of a container; an argument has at most 256 characters."""
    parts = [code[start : start + 200] for start in range(0, len(code), 200)]
    run = "import sys; exec(''.join(sys.argv[1:]))"
    return {"ContainerEntrypoint": ["python3", "-c", run], "ContainerArguments": parts}


def process(sm: Any, name: str, code: str, **more: Any) -> Mapping[str, Any]:
    """Run Python code as a processing job to its end."""
    create_processing(sm, name, code, **more)
    return until(lambda: sm.describe_processing_job(ProcessingJobName=name), "ProcessingJobStatus")


def create_processing(sm: Any, name: str, code: str, **more: Any) -> None:
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
    request = {
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": "image", **program(code)},
        "ProcessingResources": {"ClusterConfig": cluster},
        **more,
    }
    sm.create_processing_job(**request)


def train(sm: Any, name: str, code: str, **more: Any) -> Mapping[str, Any]:
    """Run Python code as a training job to its end."""
    algorithm = {
        "TrainingImage": "image",
        "TrainingInputMode": "File",
        **program(code),
        "MetricDefinitions": [{"Name": "auc", "Regex": r"auc=([0-9.]+)"}],
    }
    request = {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": algorithm,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models"},
        "ResourceConfig": {
            "InstanceCount": 1,
            "InstanceType": "ml.m5.large",
            "VolumeSizeInGB": 10,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        **more,
    }
    sm.create_training_job(**request)
    return until(lambda: sm.describe_training_job(TrainingJobName=name), "TrainingJobStatus")


def s3_input(uri: str, path: str) -> dict[str, Any]:
    source = {"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {"InputName": "input", "S3Input": source}


def s3_output(uri: str, path: str) -> dict[str, Any]:
    output = {"S3Uri": uri, "LocalPath": path, "S3UploadMode": "EndOfJob"}
    return {"Outputs": [{"OutputName": "output", "S3Output": output}]}


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str, int]:
    """Code, message and HTTP status of the error that a call must raise."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    answer = caught.value.response
    status: int = answer["ResponseMetadata"]["HTTPStatusCode"]
    return answer["Error"]["Code"], answer["Error"]["Message"], status
