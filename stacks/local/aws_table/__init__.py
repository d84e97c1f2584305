"""The AWS resource types of the local environment: one row each, by the module of their token."""

from stacks.local.aws_row import Row
from stacks.local.aws_table import (
    appautoscaling,
    budgets,
    cfg,
    cloudtrail,
    cloudwatch,
    costexplorer,
    dynamodb,
    ec2,
    ecr,
    eks,
    emrserverless,
    fsx,
    glue,
    iam,
    kinesis,
    kms,
    lambda_,
    msk,
    s3,
    sagemaker,
    scheduler,
    sns,
    sqs,
    vpc,
)

MODULES = (
    appautoscaling,
    budgets,
    cfg,
    cloudtrail,
    cloudwatch,
    costexplorer,
    dynamodb,
    ec2,
    ecr,
    eks,
    emrserverless,
    fsx,
    glue,
    iam,
    kinesis,
    kms,
    lambda_,
    msk,
    s3,
    sagemaker,
    scheduler,
    sns,
    sqs,
    vpc,
)

ROWS: dict[str, Row] = {row.token: row for module in MODULES for row in module.ROWS}
"""Every row by its token."""
