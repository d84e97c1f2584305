"""What commands ask AWS of an environment, whose clients they are given."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Any

Clients = Callable[[str], Any]
"""Service name -> boto3 client."""


def has_credentials() -> bool:
    """Whether boto3 finds AWS credentials.

    The instance metadata service is asked only with `AWS_EC2_METADATA_DISABLED=false`: elsewhere
    the question costs seconds and leaves the machine.
    """
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    import boto3

    return boto3.Session().get_credentials() is not None


def package_exists(client: Clients, arn: str) -> bool:
    """Whether the registry knows this model package."""
    from botocore.exceptions import ClientError

    try:
        client("sagemaker").describe_model_package(ModelPackageName=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFound"):
            return False
        raise
    return True


def delete_model_packages(client: Clients, group: str) -> int:
    """Delete all versions of a group, without which SageMaker does not delete the group."""
    from botocore.exceptions import ClientError

    sagemaker = client("sagemaker")
    pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
    try:
        found = [package for page in pages for package in page["ModelPackageSummaryList"]]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFound"):
            return 0
        raise
    for package in found:
        sagemaker.delete_model_package(ModelPackageName=package["ModelPackageArn"])
    return len(found)


def stop_executions(client: Clients, pipelines: Iterable[str], seconds: float = 60) -> int:
    """Stop every execution of these pipelines: SageMaker deletes no pipeline before."""
    sagemaker = client("sagemaker")
    running = [
        execution["PipelineExecutionArn"]
        for pipeline in pipelines
        for execution in _executions(sagemaker, pipeline)
        if execution["PipelineExecutionStatus"] in ("Executing", "Stopping")
    ]
    for arn in running:
        sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=arn[-32:])
    deadline = time.monotonic() + seconds
    for arn in running:
        while time.monotonic() < deadline:
            described = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
            if described["PipelineExecutionStatus"] not in ("Executing", "Stopping"):
                break
            time.sleep(0.2)
    return len(running)


def _executions(sagemaker: Any, pipeline: str) -> list[dict[str, Any]]:
    """The newest hundred executions; none of a pipeline that does not exist."""
    from botocore.exceptions import ClientError

    try:
        answer = sagemaker.list_pipeline_executions(PipelineName=pipeline, MaxResults=100)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFound":
            raise
        return []
    found: list[dict[str, Any]] = answer["PipelineExecutionSummaries"]
    return found


LEFTOVERS = (
    ("cloudwatch", "describe_alarms", "MetricAlarms[].AlarmName"),
    ("ec2", "describe_launch_templates", "LaunchTemplates[].LaunchTemplateName"),
    ("ec2", "describe_vpc_endpoints", "VpcEndpoints[?State!='deleted'].VpcEndpointId"),
    ("ec2", "describe_vpcs", "Vpcs[?!IsDefault].VpcId"),
    ("ecr", "describe_repositories", "repositories[].repositoryName"),
    ("eks", "list_clusters", "clusters[]"),
    ("iam", "list_roles", "Roles[?starts_with(RoleName, 'plinth-')].RoleName"),
    ("kms", "list_aliases", "Aliases[?starts_with(AliasName, 'alias/plinth-')].AliasName"),
    (  # SageMaker's groups of jobs are the account's
        "logs",
        "describe_log_groups",
        "logGroups[?!contains(['/aws/sagemaker/ProcessingJobs', '/aws/sagemaker/TrainingJobs'], "
        "logGroupName)].logGroupName",
    ),
    ("s3", "list_buckets", "Buckets[].Name"),
    ("sagemaker", "list_endpoint_configs", "EndpointConfigs[].EndpointConfigName"),
    ("sagemaker", "list_endpoints", "Endpoints[].EndpointName"),
    ("sagemaker", "list_feature_groups", "FeatureGroupSummaries[].FeatureGroupName"),
    ("sagemaker", "list_mlflow_apps", "Summaries[].Name"),
    (
        "sagemaker",
        "list_model_package_groups",
        "ModelPackageGroupSummaryList[].ModelPackageGroupName",
    ),
    ("sagemaker", "list_models", "Models[].ModelName"),
    ("sagemaker", "list_pipelines", "PipelineSummaries[].PipelineName"),
    ("sns", "list_topics", "Topics[].TopicArn"),
)
"""Service, operation and what it lists, for every kind of thing that the stack creates."""


def leftovers(client: Clients) -> list[str]:
    """What a destroyed local environment still holds: nothing, if all went well."""
    import jmespath

    found = []
    for service, operation, names in LEFTOVERS:
        answer = getattr(client(service), operation)()
        found += [f"{service} {name}" for name in jmespath.search(names, answer) or []]
    return found
