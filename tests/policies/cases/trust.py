"""Programs for the rules about who may assume a role; see case.py."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pulumi_aws as aws

from tests.policies.cases.access import document
from tests.policies.cases.case import ACCOUNT, Case, later

GITHUB = "token.actions.githubusercontent.com"
SUBJECT = "repo:owner/name:environment:production"


def trusting(service: str = "sagemaker.amazonaws.com", **condition: Any) -> None:
    statement: Any = {"Action": "sts:AssumeRole", "Principal": {"Service": service}}
    if condition:
        statement["Condition"] = {"StringEquals": condition}
    aws.iam.Role("role", assume_role_policy=json.dumps(document(**statement)))


def trusting_later() -> None:
    aws.iam.Role("role", assume_role_policy=later())


def deploying(*subjects: str, operator: str = "StringEquals", audience: Any = None) -> None:
    compared: dict[str, Any] = {"StringEquals": {f"{GITHUB}:aud": audience or "sts.amazonaws.com"}}
    compared.setdefault(operator, {})[f"{GITHUB}:sub"] = list(subjects)
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}"
    statement: Any = {"Principal": {"Federated": provider}, "Condition": compared}
    action = "sts:AssumeRoleWithWebIdentity"
    aws.iam.Role("role", assume_role_policy=json.dumps(document(Action=action, **statement)))


TRUST = [
    Case(
        rule="PF-IAM-002",
        status="pass",
        program=partial(trusting, **{"aws:SourceAccount": ACCOUNT}),
    ),
    Case(
        rule="PF-IAM-002",
        status="fail",
        program=trusting,
        says="assumeRolePolicy.Statement[0] must have a condition on aws:SourceAccount",
    ),
    Case(
        rule="PF-IAM-002",
        status="fail",
        program=partial(trusting, **{"aws:RequestedRegion": "us-east-1"}),
        says="must have a condition",
    ),
    Case(
        rule="PF-IAM-002",
        status="unknown",
        program=trusting_later,
        preview=True,
        says="assumeRolePolicy",
    ),
    Case(
        rule="PF-IAM-002",
        status="not_applicable",
        program=partial(trusting, "ec2.amazonaws.com"),
        says="no service that says where it stands",
    ),
    Case(rule="PF-IAM-003", status="pass", program=partial(deploying, SUBJECT)),
    *(
        Case(
            rule="PF-IAM-003",
            status="fail",
            program=partial(deploying, subject, operator="StringLike"),
            says=f"environment:NAME, got {subject}",
        )
        for subject in ("repo:owner/*:environment:production", "repo:owner/name:*", "*")
    ),
    Case(
        rule="PF-IAM-003",
        status="fail",
        program=partial(deploying, "repo:owner/name:ref:refs/heads/main"),
        says="environment:NAME, got repo:owner/name:ref:refs/heads/main",
    ),
    Case(rule="PF-IAM-003", status="fail", program=deploying, says="got none"),
    Case(
        rule="PF-IAM-003",
        status="fail",
        program=partial(deploying, SUBJECT, audience="https://github.com/owner"),
        says="aud with sts.amazonaws.com",
    ),
    Case(
        rule="PF-IAM-003",
        status="unknown",
        program=trusting_later,
        preview=True,
        says="assumeRolePolicy",
    ),
    Case(
        rule="PF-IAM-003",
        status="not_applicable",
        program=trusting,
        says="no workflow of GitHub",
    ),
]
