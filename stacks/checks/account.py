"""Whose account it is, and whether the caller may do what the deployment does there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stacks.checks.check import CheckResult, Platform, failed, passed
from stacks.paths import ENVIRONMENTS, shown
from stacks.settings.placeholders import placeholders
from stacks.stack_name import environment_file

ACTIONS: dict[str, tuple[str, ...]] = {
    "aws:appautoscaling": ("application-autoscaling:RegisterScalableTarget",),
    "aws:budgets": ("budgets:ModifyBudget",),
    "aws:cfg": ("config:PutConfigurationRecorder",),
    "aws:cloudtrail": ("cloudtrail:CreateTrail",),
    "aws:cloudwatch": ("cloudwatch:PutMetricAlarm", "events:PutRule", "logs:CreateLogGroup"),
    "aws:costexplorer": ("ce:CreateAnomalyMonitor",),
    "aws:dynamodb": ("dynamodb:CreateTable",),
    "aws:ec2": ("ec2:CreateLaunchTemplate", "ec2:CreateSubnet", "ec2:CreateVpc",
                "ec2:CreateVpcEndpoint", "ec2:RunInstances"),
    "aws:ecr": ("ecr:CreateRepository",),
    "aws:eks": ("eks:CreateCluster", "eks:CreateNodegroup"),
    "aws:elasticache": ("elasticache:CreateReplicationGroup",),
    "aws:emrserverless": ("emr-serverless:CreateApplication",),
    "aws:fsx": ("fsx:CreateFileSystem",),
    "aws:glue": ("glue:CreateDatabase",),
    "aws:iam": ("iam:AttachRolePolicy", "iam:CreateRole", "iam:PassRole", "iam:PutRolePolicy"),
    "aws:kinesis": ("kinesis:CreateStream",),
    "aws:kms": ("kms:CreateAlias", "kms:CreateKey"),
    "aws:lambda": ("lambda:CreateFunction",),
    "aws:msk": ("kafka:CreateClusterV2",),
    "aws:s3": ("s3:CreateBucket", "s3:PutBucketPolicy", "s3:PutEncryptionConfiguration"),
    "aws:sagemaker": ("sagemaker:CreateEndpoint", "sagemaker:CreateFeatureGroup",
                      "sagemaker:CreateModelPackageGroup", "sagemaker:CreatePipeline"),
    "aws:scheduler": ("scheduler:CreateSchedule",),
    "aws:sfn": ("states:CreateStateMachine",),
    "aws:sns": ("sns:CreateTopic",),
    "aws:sqs": ("sqs:CreateQueue",),
    "aws:vpc": ("ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress"),
}  # fmt: skip
"""Module of a resource type -> the actions without which nothing of it comes up.

Names of actions: AWS, service authorization reference.
"""


def check_account(platform: Platform) -> Iterator[CheckResult]:
    """The credentials are those of the account that the settings name."""
    got = platform.clients("sts").get_caller_identity()["Account"]
    wanted = platform.settings.environment.account.account_id
    if got == wanted:
        yield passed("account", "credentials", f"of account {got}")
    else:
        yield failed(
            "account",
            "credentials",
            f"must be of account {wanted} (account.account_id), got {got}",
            f"log in to account {wanted}, or correct {shown(environment_file(platform.env))}",
        )


def check_machine(platform: Platform) -> Iterator[CheckResult]:
    """This machine has the tools that a deployment calls, as `plinth doctor` lists them."""
    for what, there, got, fix in platform.machine():
        if there:
            yield passed("machine", what, got)
        else:
            yield failed("machine", what, f"must be there, got {got}", fix)


def check_placeholders(platform: Platform) -> Iterator[CheckResult]:
    """Accounts, images and addresses are yours and not those that the files come with."""
    found = dict(placeholders(platform.settings))
    for key, value in found.items():
        yield failed(
            "placeholders",
            key,
            f"must be filled in, is the placeholder {value}",
            f"fill it in, in {_file_of(platform, key)}",
        )
    if not found:
        yield passed("placeholders", "settings", "every value is filled in")


def _file_of(platform: Platform, key: str) -> str:
    own = platform.stack.file_in(ENVIRONMENTS)
    return shown(own if key.startswith("plinth:") else environment_file(platform.env))


def check_permissions(platform: Platform) -> Iterator[CheckResult]:
    """IAM's own simulator says that the caller may create what the program registers."""
    caller = principal(platform.clients("sts").get_caller_identity()["Arn"])
    wanted = actions(platform)
    pages = (
        platform.clients("iam")
        .get_paginator("simulate_principal_policy")
        .paginate(PolicySourceArn=caller, ActionNames=wanted)
    )
    results = [result for page in pages for result in page["EvaluationResults"]]
    denied = sorted(r["EvalActionName"] for r in results if r["EvalDecision"] != "allowed")
    if denied:
        yield failed(
            "permissions",
            caller,
            f"must be allowed {len(wanted)} actions, is not: {', '.join(denied)}",
            "let the deployer role do these, or take the role that may",
        )
    else:
        yield passed("permissions", caller, f"may do all {len(wanted)} actions that were simulated")


def actions(platform: Platform) -> list[str]:
    """What the caller must be allowed, by the kinds of resources that there are."""
    modules = {resource.type.partition("/")[0] for resource in platform.resources}
    return sorted({action for module in modules for action in ACTIONS.get(module, ())})


def principal(arn: str) -> str:
    """What the simulator takes: the role, not the session that assumed it.

    A role's path is not part of its session's ARN, so a role with a path cannot be named so.
    """
    session = re.fullmatch(r"arn:(aws[\w-]*):sts::(\d+):assumed-role/([^/]+)/.+", arn)
    return f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}" if session else arn
