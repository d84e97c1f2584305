"""Programs for the rules about services around the models; see case.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pulumi
import pulumi_aws as aws

from tests.policies.cases.access import document
from tests.policies.cases.case import ACCOUNT, KEY, Case, later
from tests.policies.cases.platform import tls_only

NOTHING = "no resource of this kind"
OUTSIDE = {"production": False}
PUBLIC = json.dumps(document(Principal="*", Action="*", Resource="*"))

Make = Callable[..., Any]


def quartet(
    rule: str, make: Make, *, wrong: Mapping[str, Any], says: str, unknown: str, path: str
) -> list[Case]:
    """A case of every result of a rule that applies to one kind of resource."""
    return [
        Case(rule=rule, status="pass", program=make),
        Case(rule=rule, status="fail", program=partial(make, **wrong), says=says),
        Case(
            rule=rule,
            status="unknown",
            program=lambda: make(**{unknown: later()}),
            preview=True,
            says=path,
        ),
        Case(rule=rule, status="not_applicable", program=lambda: aws.ec2.Eip("ip"), says=NOTHING),
    ]


def repository(
    *,
    policy: Any = None,
    tidy: bool = True,
    tags: Any = "IMMUTABLE",
    scan: bool = True,
    key: Any = KEY,
) -> None:
    made = aws.ecr.Repository(
        "images",
        name="images",
        image_tag_mutability=tags,
        image_scanning_configuration={"scan_on_push": scan},
        encryption_configurations=[{"encryption_type": "KMS", "kms_key": key}],
    )
    if tidy:
        aws.ecr.LifecyclePolicy("images", repository=made.name, policy="{}")
    if policy:
        aws.ecr.RepositoryPolicy("images", repository=made.name, policy=policy)


def key(*, protect: bool = True, **changes: Any) -> None:
    shape: dict[str, Any] = {"enable_key_rotation": True, "deletion_window_in_days": 30}
    opts = pulumi.ResourceOptions(protect=protect)
    aws.kms.Key("key", opts=opts, **{**shape, **changes})


def logs(**changes: Any) -> None:
    shape: dict[str, Any] = {"name": "/aws/lambda/x", "retention_in_days": 30, "kms_key_id": KEY}
    aws.cloudwatch.LogGroup("logs", **{**shape, **changes})


def trail(*, kind: str = "AWS::S3::Object", **changes: Any) -> None:
    selector = {"field_selectors": [{"field": "resources.type", "equals": [kind]}]}
    shape: dict[str, Any] = {
        "is_multi_region_trail": True,
        "enable_log_file_validation": True,
        "kms_key_id": KEY,
        "s3_bucket_name": "audit",
        "advanced_event_selectors": [selector],
    }
    aws.cloudtrail.Trail("trail", **{**shape, **changes})


def shared(*, parts: bool = True, key: Any = KEY) -> None:
    made = aws.efs.FileSystem("files", encrypted=True, kms_key_id=key)
    if parts:
        aws.efs.AccessPoint("files", file_system_id=made.id)
        aws.efs.BackupPolicy("files", file_system_id=made.id, backup_policy={"status": "ENABLED"})


def lustre(kind: str = "PERSISTENT_2", **changes: Any) -> None:
    aws.fsx.LustreFileSystem("lustre", subnet_ids="subnet", deployment_type=kind, **changes)


def agent(**changes: Any) -> None:
    guard = {"guardrail_identifier": "guard", "guardrail_version": "1"}
    shape: dict[str, Any] = {
        "guardrail_configurations": [guard],
        "customer_encryption_key_arn": KEY,
        "idle_session_ttl_in_seconds": 600,
    }
    aws.bedrock.AgentAgent(
        "agent",
        agent_name="agent",
        agent_resource_role_arn="role",
        foundation_model="model",
        **{**shape, **changes},
    )


def topic(**changes: Any) -> None:
    aws.sns.Topic("topic", **{"kms_master_key_id": KEY, **changes})


def function(*, kept: bool = True, **changes: Any) -> None:
    shape: dict[str, Any] = {"name": "f", "runtime": "python3.13", "role": "role"}
    aws.lambda_.Function("function", **{**shape, **changes})
    if kept:
        aws.lambda_.FunctionEventInvokeConfig(
            "function",
            function_name="f",
            destination_config={"on_failure": {"destination": "queue"}},
        )


def queue(*, redrive: str | None = "{}", source: Any = None) -> None:
    made = aws.sqs.Queue("queue", name="queue", redrive_policy=redrive)
    aws.lambda_.EventSourceMapping("reads", function_name="f", event_source_arn=source or made.arn)


def environment(*names: str) -> dict[str, Any]:
    return {"variables": dict.fromkeys(names, "x")}


def permission(principal: Any = "events.amazonaws.com", **changes: Any) -> None:
    aws.lambda_.Permission(
        "may", action="lambda:InvokeFunction", function="f", principal=principal, **changes
    )


def function_url(kind: str) -> None:
    aws.lambda_.FunctionUrl("url", function_name="f", authorization_type=kind)


SERVICES = [
    *quartet(
        "PF-ECR-001",
        repository,
        wrong={"policy": PUBLIC, "tidy": False, "tags": "MUTABLE", "scan": False, "key": None},
        says="IMMUTABLE_WITH_EXCLUSION, got MUTABLE; imageScanningConfiguration.scanOnPush must be "
        "true, got false; encryptionConfigurations[0].kmsKey must be set, got none; must have a "
        "LifecyclePolicy, got none; policy.Statement[0] must not be for everybody",
        unknown="tags",
        path="imageTagMutability",
    ),
    *quartet(
        "PF-KMS-001",
        key,
        wrong={
            "protect": False,
            "policy": PUBLIC,
            "enable_key_rotation": False,
            "deletion_window_in_days": 7,
        },
        says="deletionWindowInDays must be at least 14, got 7; enableKeyRotation must be true, got "
        "false; policy.Statement[0] must not be for everybody; must be protected",
        unknown="policy",
        path="policy",
    ),
    Case(
        rule="PF-KMS-001",
        status="pass",
        program=partial(key, protect=False, deletion_window_in_days=7),
        config=OUTSIDE,
    ),
    Case(
        rule="PF-KMS-001",
        status="pass",
        program=partial(
            key,
            policy=json.dumps(
                document(
                    Principal={"AWS": "*"},
                    Action="kms:Decrypt",
                    Resource="*",
                    Condition={"StringEquals": {"kms:CallerAccount": ACCOUNT}},
                )
            ),
        ),
    ),
    *quartet(
        "PF-LOG-001",
        logs,
        wrong={"retention_in_days": None, "kms_key_id": None},
        says="retentionInDays must be at least 1, got none; kmsKeyId must be set",
        unknown="kms_key_id",
        path="kmsKeyId",
    ),
    Case(
        rule="PF-LOG-001",
        status="fail",
        program=partial(logs, name="/aws/sagemaker/Endpoints/x", retention_in_days=90),
        says="retentionInDays must be at least 180, got 90",
    ),
    *quartet(
        "PF-CT-001",
        trail,
        wrong={
            "kind": "AWS::Lambda::Function",
            "is_multi_region_trail": False,
            "enable_log_file_validation": None,
            "kms_key_id": None,
            "enable_logging": False,
        },
        says="isMultiRegionTrail must be true, got false; enableLogFileValidation must be true, "
        "got none; kmsKeyId must be set, got none; enableLogging must be true, got false; must "
        "select data events of AWS::S3::Object",
        unknown="kms_key_id",
        path="kmsKeyId",
    ),
    Case(rule="PF-EFS-001", status="pass", program=shared),
    Case(rule="PF-EFS-001", status="pass", program=shared, preview=True),
    Case(
        rule="PF-EFS-001",
        status="fail",
        program=partial(shared, parts=False),
        says="must have an AccessPoint, got none; must have an BackupPolicy, got none",
    ),
    Case(
        rule="PF-EFS-001",
        status="fail",
        program=lustre,
        says="kmsKeyId must be set, got none; automaticBackupRetentionDays must be at least 1",
    ),
    Case(
        rule="PF-EFS-001",
        status="unknown",
        program=lambda: shared(key=later()),
        preview=True,
        says="kmsKeyId",
    ),
    Case(
        rule="PF-EFS-001",
        status="not_applicable",
        program=partial(lustre, "SCRATCH_2"),
        says="a scratch file system",
    ),
    *quartet(
        "PF-BED-001",
        agent,
        wrong={
            "guardrail_configurations": [
                {"guardrail_identifier": "guard", "guardrail_version": "DRAFT"}
            ],
            "customer_encryption_key_arn": None,
            "idle_session_ttl_in_seconds": None,
        },
        says="guardrailVersion must be a version, got DRAFT; customerEncryptionKeyArn must be set, "
        "got none; idleSessionTtlInSeconds must be 1 to 3600, got none",
        unknown="customer_encryption_key_arn",
        path="customerEncryptionKeyArn",
    ),
    Case(
        rule="PF-BED-001",
        status="fail",
        program=partial(agent, guardrail_configurations=None),
        says="guardrailIdentifier must be set",
    ),
    *quartet(
        "PF-MSG-001",
        topic,
        wrong={"kms_master_key_id": None, "policy": PUBLIC},
        says="kmsMasterKeyId must be set, got none; policy.Statement[0] must not be for everybody",
        unknown="kms_master_key_id",
        path="kmsMasterKeyId",
    ),
    Case(
        rule="PF-MSG-001",
        status="pass",
        program=lambda: aws.sqs.QueuePolicy("p", queue_url="q", policy=tls_only("q", "sqs")),
    ),
    Case(
        rule="PF-MSG-001",
        status="pass",
        program=lambda: aws.sqs.Queue("q", sqs_managed_sse_enabled=True),
    ),
    Case(
        rule="PF-MSG-001",
        status="fail",
        program=lambda: aws.sqs.Queue("q"),
        says="kmsMasterKeyId must be set",
    ),
    Case(
        rule="PF-MSG-001",
        status="fail",
        program=lambda: aws.sns.TopicPolicy(
            "p", arn="t", policy=json.dumps(document(Principal={"AWS": ACCOUNT}, Action="sns:*"))
        ),
        says="policy must deny requests without TLS",
    ),
    Case(rule="PF-MSG-002", status="pass", program=function),
    Case(rule="PF-MSG-002", status="pass", program=queue, preview=True),
    Case(
        rule="PF-MSG-002",
        status="pass",
        program=partial(function, kept=False, dead_letter_config={"target_arn": "queue"}),
    ),
    Case(
        rule="PF-MSG-002",
        status="fail",
        program=partial(function, kept=False),
        says="must keep what fails",
    ),
    Case(
        rule="PF-MSG-002",
        status="fail",
        program=partial(queue, redrive=None),
        says="must have a redrivePolicy, got none",
    ),
    Case(
        rule="PF-MSG-002",
        status="unknown",
        program=lambda: function(
            kept=False, dead_letter_config=later().apply(lambda arn: {"target_arn": arn})
        ),
        preview=True,
        says="deadLetterConfig",
    ),
    Case(
        rule="PF-MSG-002",
        status="not_applicable",
        program=partial(queue, source="another"),
        says="no function reads it",
    ),
    *quartet(
        "PF-LMB-001",
        function,
        wrong={"runtime": "python3.8", "environment": environment("DB_PASSWORD", "TOKEN_ARN")},
        says="runtime must be supported, got python3.8; kmsKeyArn must be set, got none; "
        "environment.variables must not have DB_PASSWORD",
        unknown="runtime",
        path="runtime",
    ),
    Case(
        rule="PF-LMB-001",
        status="pass",
        program=partial(function, environment=environment("TOKEN_ARN"), kms_key_arn=KEY),
    ),
    Case(rule="PF-LMB-001", status="pass", program=partial(permission, source_arn="rule")),
    Case(rule="PF-LMB-001", status="pass", program=partial(permission, ACCOUNT)),
    Case(
        rule="PF-LMB-001",
        status="fail",
        program=permission,
        says="must be set for events.amazonaws.com",
    ),
    Case(
        rule="PF-LMB-001", status="fail", program=partial(permission, "*"), says="must be set for *"
    ),
    Case(
        rule="PF-LMB-001",
        status="fail",
        program=partial(function_url, "NONE"),
        says="authorizationType must be AWS_IAM, got NONE",
    ),
]
