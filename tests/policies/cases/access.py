"""Programs for the rules about identities and about pipeline definitions; see case.py."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pulumi_aws as aws

from tests.policies.cases.case import ACCOUNT, Case, later

ROLES = f"arn:aws:iam::{ACCOUNT}:role"


def document(**statement: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}


def role_policy(**statement: Any) -> None:
    aws.iam.RolePolicy("policy", role="role", policy=json.dumps(document(**statement)))


def role(**changes: Any) -> None:
    aws.iam.Role(
        "role", assume_role_policy=json.dumps(document(Action="sts:AssumeRole")), **changes
    )


def inline_role() -> None:
    policy = json.dumps(document(Action="iam:*", Resource=f"{ROLES}/*"))
    role(inline_policies=[{"name": "inline", "policy": policy}])


def attached(policy: Any) -> None:
    aws.iam.RolePolicyAttachment("attached", role="role", policy_arn=policy)


def single_statement() -> None:
    """One statement without its list, as IAM allows."""
    policy = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"},
    }
    aws.iam.Policy("policy", policy=json.dumps(policy))


def object_policy() -> None:
    """A policy given as an object, half of it unknown."""
    statements: list[Any] = [
        {"effect": "Allow", "action": "iam:*", "resource": later()},
        {"effect": "Allow", "action": "*", "resource": "*"},
    ]
    document: Any = {"version": "2012-10-17", "statement": statements}
    aws.iam.Policy("policy", policy=document)


AWS_POLICY = "arn:aws:iam::aws:policy"
PASS = {"Action": "iam:PassRole", "Condition": {"StringEquals": {"iam:PassedToService": "x"}}}
BOUNDARY = {"StringEquals": {"iam:PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/boundary"}}


def allowed(**statement: Any) -> Case:
    return Case(rule="PF-IAM-001", status="pass", program=partial(role_policy, **statement))


def refused(says: str, **statement: Any) -> Case:
    return Case(
        rule="PF-IAM-001", status="fail", program=partial(role_policy, **statement), says=says
    )


ACCESS = [
    allowed(Action=["s3:GetObject"], Resource="arn:aws:s3:::bucket/*"),
    allowed(Action="sagemaker:*", Resource=f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:pipeline/p"),
    allowed(Resource=f"{ROLES}/plinth-job", **PASS),
    allowed(Action="iam:PutRolePolicy", Resource="*", Condition=BOUNDARY),
    Case(
        rule="PF-IAM-001",
        status="pass",
        program=partial(attached, f"{AWS_POLICY}/AmazonSageMakerFullAccess"),
        config={"production": False},
    ),
    refused("every action", Action="*", Resource="*"),
    refused("sagemaker:*", Action=["s3:GetObject", "SageMaker:*"], Resource="*"),
    refused("iam:PassRole", Resource="*", **PASS),
    refused("iam:PassRole", Action="iam:Pass*", Resource=f"{ROLES}/*"),
    refused("iam:PutRolePolicy", Action=["iam:Put*"], Resource="*"),
    refused("NotAction", NotAction="iam:*", Resource="*"),
    refused("every action", Action="*", NotResource="arn:aws:s3:::bucket"),
    Case(rule="PF-IAM-001", status="fail", program=inline_role, says="inlinePolicies[0].policy"),
    Case(rule="PF-IAM-001", status="fail", program=single_statement, says="every action"),
    Case(
        rule="PF-IAM-001", status="fail", program=object_policy, preview=True, says="every action"
    ),
    Case(
        rule="PF-IAM-001",
        status="fail",
        program=partial(attached, f"{AWS_POLICY}/AmazonSageMakerFullAccess"),
        says="must not attach AmazonSageMakerFullAccess",
    ),
    Case(
        rule="PF-IAM-001",
        status="fail",
        program=partial(attached, f"{AWS_POLICY}/AdministratorAccess"),
        config={"production": False},
        says="must not attach AdministratorAccess",
    ),
    Case(
        rule="PF-IAM-001",
        status="unknown",
        program=lambda: attached(later()),
        preview=True,
        says="policyArn",
    ),
    Case(
        rule="PF-IAM-001",
        status="unknown",
        program=lambda: aws.iam.Policy("policy", policy=later()),
        preview=True,
        says="policy",
    ),
    Case(rule="PF-IAM-001", status="not_applicable", program=role, says="grants nothing"),
]

# Pipeline definitions: as small as the grammar allows, given to the real constructor


def step(name: str, kind: str, depends: Any = (), **arguments: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"Name": name, "Type": kind, "Arguments": arguments}
    return {**made, "DependsOn": list(depends)} if depends else made


def validate(**environment: str) -> dict[str, Any]:
    suite = {"GREAT_EXPECTATIONS_SUITE": "flights", **environment}
    return step("Validate", "Processing", Environment=suite)


def holds(then: Any = (), otherwise: Any = (), *, asks: str = "Validate") -> dict[str, Any]:
    report = {"PropertyFile": {"Get": f"Steps.{asks}.PropertyFiles.Report"}, "Path": "passed"}
    condition = {"Type": "Equals", "LeftValue": {"Std:JsonGet": report}, "RightValue": True}
    return step(
        "Holds",
        "Condition",
        Conditions=[condition],
        IfSteps=list(then),
        ElseSteps=list(otherwise),
    )


TRAIN = step("Train", "Training", RoleArn="role")
FAIL = step("Broken", "Fail", ErrorMessage="contract broken")
AFTER_HOLDS = step("Train", "Training", ("Holds",))
USES_FEATURES = step(
    "Train", "Training", InputDataConfig=[{"S3Uri": {"Get": "Steps.Features.Outputs['x'].S3Uri"}}]
)
FEATURES = step("Features", "Processing")


def register(status: Any) -> dict[str, Any]:
    return step("Register", "RegisterModel", ModelApprovalStatus=status)


def quality(**fields: Any) -> dict[str, Any]:
    return {**step("Quality", "QualityCheck"), **fields}


AFTER_QUALITY = step("Train", "Training", ("Quality",))


def pipeline(name: str, *steps: Any) -> None:
    document = {"Version": "2020-12-01", "Parameters": [], "Steps": list(steps)}
    defined(json.dumps(document), name)


def defined(definition: Any, name: str = "training") -> None:
    aws.sagemaker.Pipeline(
        name,
        pipeline_name=name,
        pipeline_display_name=name,
        role_arn="role",
        pipeline_definition=definition,
    )


def unread_pipeline() -> None:
    defined(later())


def gated(*steps: Any) -> Case:
    return Case(rule="ML-PL-001", status="pass", program=partial(pipeline, "training", *steps))


def ungated(says: str, *steps: Any) -> Case:
    return Case(
        rule="ML-PL-001", status="fail", program=partial(pipeline, "training", *steps), says=says
    )


PIPELINES = [
    gated(validate(), holds([TRAIN], [FAIL])),
    gated(holds([TRAIN]), validate()),
    gated(validate(), holds([], [FAIL]), AFTER_HOLDS),
    gated(validate(), holds([FEATURES, USES_FEATURES], [FAIL])),
    gated(validate(), holds([FEATURES]), USES_FEATURES),
    gated(validate(), holds([step("Inner", "Condition", Conditions=[], IfSteps=[TRAIN])], [FAIL])),
    gated(quality(SkipCheck=False, FailOnViolation=True), AFTER_QUALITY),
    ungated("Steps[0] (Train)", TRAIN),
    ungated("Steps[1] (Train)", validate(), TRAIN),
    ungated("(Train)", validate(), step("Train", "Training", ("Validate",))),
    ungated("(Train)", validate(), holds([], []), AFTER_HOLDS),
    ungated("(Train)", validate(), holds([TRAIN], [step("Tune", "Tuning")])),
    ungated("IfSteps[0] (Train)", validate(), FEATURES, holds([TRAIN], [FAIL], asks="Features")),
    ungated("(Train)", FEATURES, validate(), holds([], [FAIL]), USES_FEATURES),
    ungated(
        "(Train)",
        validate(),
        holds([], [FAIL]),
        step("Train", "Training", ({"Step": "Holds", "Trigger": "Any"},)),
    ),
    ungated("(Train)", quality(SkipCheck=True), AFTER_QUALITY),
    ungated("(Train)", quality(SkipCheck={"Get": "Parameters.Skip"}), AFTER_QUALITY),
    ungated("(Train)", quality(FailOnViolation=False), AFTER_QUALITY),
    ungated("(Retrain)", validate(), holds([TRAIN], [FAIL]), step("Retrain", "Tuning")),
    Case(rule="ML-PL-001", status="unknown", program=unread_pipeline, preview=True),
    Case(
        rule="ML-PL-001",
        status="not_applicable",
        program=partial(pipeline, "training", validate()),
        says="trains nothing",
    ),
    Case(
        rule="ML-PL-001",
        status="error",
        program=partial(defined, "{"),
        says="JSONDecodeError",
    ),
    Case(
        rule="ML-PL-003",
        status="pass",
        program=partial(pipeline, "training", register("PendingManualApproval")),
    ),
    Case(
        rule="ML-PL-003",
        status="fail",
        program=partial(pipeline, "training", holds([register("Approved")])),
        says="Steps[0].Arguments.IfSteps[0].Arguments.ModelApprovalStatus",
    ),
    Case(
        rule="ML-PL-003",
        status="fail",
        program=partial(pipeline, "training", register({"Get": "Parameters.Status"})),
        says="got {'Get': 'Parameters.Status'}",
    ),
    Case(rule="ML-PL-003", status="unknown", program=unread_pipeline, preview=True),
    Case(
        rule="ML-PL-003",
        status="not_applicable",
        program=partial(pipeline, "training", TRAIN),
        says="registers no model",
    ),
]
