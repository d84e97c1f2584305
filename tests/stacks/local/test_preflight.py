"""Preflight on the environment `local`: the same checks, asked of its running cloud."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pulumi_aws as aws
import pytest

from stacks.checks import account, quotas
from stacks.checks.check import Platform, examine
from stacks.checks.preflight import PREFLIGHT
from stacks.checks.quota_table import G_AND_VT
from tests.kits.checks import ask, platform
from tests.kits.local_cloud import Cloud, refusal, running_cloud


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(Path(tmp_path_factory.mktemp("preflight"))) as running:
        yield running


def nodes(count: int) -> None:
    aws.eks.NodeGroup(
        "pool",
        cluster_name="cluster",
        node_role_arn="arn:aws:iam::123456789012:role/node",
        subnet_ids=["subnet-1"],
        instance_types=["g5.xlarge"],
        capacity_type="SPOT",
        release_version="1.34.1-20251007",
        ami_type="AL2023_x86_64_NVIDIA",
        scaling_config={"min_size": 0, "desired_size": 0, "max_size": count},
    )


def asked(cloud: Cloud, count: int) -> Platform:
    return platform(lambda: nodes(count), clients=cloud.client, stack="local.cluster")


def test_a_quota_that_is_too_small_passes_once_the_increase_is_granted(cloud: Cloud) -> None:
    spot = G_AND_VT["SPOT"]

    def status() -> str:
        found = ask(quotas.check, asked(cloud, 40))
        return next(finding.status for finding in found if finding.subject == spot.name)

    client = cloud.client("service-quotas")
    default = client.get_aws_default_service_quota(ServiceCode="ec2", QuotaCode=spot.code)
    assert default["Quota"]["Value"] == 0
    assert status() == "fail"
    answer = client.request_service_quota_increase(
        ServiceCode="ec2", QuotaCode=spot.code, DesiredValue=160
    )
    assert answer["RequestedQuota"]["Status"] == "APPROVED"
    assert status() == "pass"


def test_a_quota_that_does_not_exist_is_refused_as_aws_does(cloud: Cloud) -> None:
    code, _, status = refusal(
        cloud.client("service-quotas").get_service_quota, ServiceCode="ec2", QuotaCode="L-0"
    )
    assert (code, status) == ("NoSuchResourceException", 400)


def test_the_local_account_is_the_one_in_the_file(cloud: Cloud) -> None:
    [found] = ask(account.check_account, asked(cloud, 1))
    assert found.status == "pass"


def test_every_check_comes_to_a_finding_whatever_the_local_cloud_lacks(cloud: Cloud) -> None:
    found = examine(asked(cloud, 1), PREFLIGHT)
    unsure = {finding.check for finding in found if finding.status == "unknown"}
    assert [finding for finding in found if finding.status == "fail"] == []
    assert unsure <= {"permissions", "amis", "add-ons", "charts", "cost"}


def test_who_may_not_deploy_is_told_what_and_where(cloud: Cloud) -> None:
    """By the simulator of the local account: the owner of the home, then a user of few rights."""
    iam = cloud.client("iam")
    iam.create_user(UserName="few")
    bucket = "arn:aws:s3:::plinth-local-data"
    rights = [
        {"Effect": "Allow", "Action": "s3:*", "Resource": bucket},
        {"Effect": "Deny", "Action": "s3:PutBucketTagging", "Resource": "*"},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": rights})
    iam.put_user_policy(UserName="few", PolicyName="few", PolicyDocument=policy)
    key = iam.create_access_key(UserName="few")["AccessKey"]

    def few(service: str) -> Any:
        return boto3.client(
            service,
            "us-east-1",
            endpoint_url=cloud.info.endpoint_url,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )

    def found(clients: Any, *names: str) -> Any:
        def buckets() -> None:
            for name in names:
                aws.s3.Bucket(name, bucket=name)

        asked = platform(buckets, clients=clients, stack="local.foundation")
        return ask(account.check_permissions, asked)[0]

    assert found(cloud.client, "plinth-local-data").status == "pass"
    assert found(few, "plinth-local-data").status == "unknown"  # it may not ask
    rights.append({"Effect": "Allow", "Action": "iam:SimulatePrincipalPolicy", "Resource": "*"})
    policy = json.dumps({"Version": "2012-10-17", "Statement": rights})
    iam.put_user_policy(UserName="few", PolicyName="few", PolicyDocument=policy)
    told = found(few, "plinth-local-data", "plinth-local-other").message
    assert f"s3:PutBucketTagging on {bucket}" in told
    assert "s3:CreateBucket on arn:aws:s3:::plinth-local-other" in told
    assert f"s3:CreateBucket on {bucket}" not in told
