"""The vocabulary of the provider's cases: one resource and a change, and what they share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ref:
    """An output of another resource."""

    token: str
    output: str = "id"


@dataclass(frozen=True, kw_only=True)
class Case:
    """Inputs that make one resource, and one change to them."""

    inputs: Mapping[str, Any]
    change: Mapping[str, Any]
    replaces: bool = False
    drop: tuple[str, ...] = ()
    """Inputs that the change removes."""
    stays: bool = False
    """AWS has no way to take it away: reading it after the deletion finds it."""
    after: tuple[str, ...] = ()
    """Types that it names nowhere and that stand before it."""


VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
ROUTES = "aws:ec2/routeTable:RouteTable"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
ROLE = "aws:iam/role:Role"
KEY = "aws:kms/key:Key"
BUCKET = "aws:s3/bucket:Bucket"
CLUSTER = "aws:eks/cluster:Cluster"
REPOSITORY = "aws:ecr/repository:Repository"
TOPIC = "aws:sns/topic:Topic"

TRUST = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
    '"Principal": {"Service": "%s.amazonaws.com"}}]}'
)
TRUSTS = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
    '"Principal": {"Service": ["ec2.amazonaws.com", "eks.amazonaws.com", "lambda.amazonaws.com", '
    '"sagemaker.amazonaws.com", "scheduler.amazonaws.com"]}}]}'
)
"""The services whose resources name the role of the cases."""

ALLOW = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "%s", "Resource": "*"}]}'
)
PIPELINE = (
    '{"Version": "2020-12-01", "Metadata": {}, "Parameters": [], "Steps": [{"Name": "Stop", '
    '"Type": "Fail", "Arguments": {"ErrorMessage": "%s"}}]}'
)
TAGS = {"team": "ml", "Name": "plinth-test"}
RETAGGED = {"team": "data", "stage": "test"}
