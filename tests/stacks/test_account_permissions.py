"""What deployers may do, by AWS's own schemas, and what IAM is asked of whoever deploys."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from stacks.checks.account import check_permissions
from stacks.checks.check import CheckResult
from stacks.service_linked_roles import ROLES, needed
from stacks.settings.load import load_environment
from stacks.stack_name import StackName
from tests.kits.faults import asked, told
from tests.kits.iam import decide
from tests.kits.stacks import ALL, synth

# -- F14, F18: what the deployer may, and what IAM is asked of whoever deploys ---------------------

REAL = [stack for stack in ALL if stack.env != "local"]


STRICTEST_FIRST = ("explicitDeny", "implicitDeny", "allowed")


@cache
def deployer(env: str) -> list[dict[str, Any]]:
    """The policies of an environment's deployer, and its boundary."""
    names = load_environment(env).names
    return [
        json.loads(one.inputs.get("policy"))
        for one in synth(f"{env}.foundation")
        if one.type == "aws:iam/rolePolicy:RolePolicy"
        and one.inputs.get("role") == names.of("deployer")
    ]


@dataclass
class Simulator:
    """IAM's SimulatePrincipalPolicy over policies: all resources where a question names none."""

    policies: list[dict[str, Any]]
    arn: str

    def get_caller_identity(self) -> dict[str, str]:
        return {"Arn": self.arn}

    def get_paginator(self, operation: str) -> "Simulator":
        assert operation == "simulate_principal_policy"
        return self

    def paginate(
        self, *, ActionNames: list[str], ResourceArns: Sequence[str] = ("*",),
        ContextEntries: Sequence[dict[str, Any]] = (), PolicySourceArn: str,
    ) -> list[dict[str, Any]]:  # fmt: skip
        assert PolicySourceArn == self.arn and len(ResourceArns) <= 1000
        context = {
            one["ContextKeyName"].replace(":", "__"): one["ContextKeyValues"][0]
            for one in ContextEntries
        }
        results = []
        for action in ActionNames:
            each = [
                {
                    "EvalResourceName": arn,
                    "EvalResourceDecision": {"allow": "allowed", "deny": "explicitDeny"}.get(
                        decide(self.policies, action, arn, **context), "implicitDeny"
                    ),
                }
                for arn in ResourceArns
            ]
            said = {one["EvalResourceDecision"] for one in each}
            result = {"EvalActionName": action, "EvalResourceName": "arn:${Partition}:x:::${Name}"}
            result["EvalDecision"] = next(one for one in STRICTEST_FIRST if one in said)
            specific = {} if list(ResourceArns) == ["*"] else {"ResourceSpecificResults": each}
            results.append({**result, **specific})
        return [{"EvaluationResults": results}]


def simulated(stack: StackName, policies: list[dict[str, Any]]) -> list[CheckResult]:
    simulator = Simulator(policies, load_environment(stack.env).names.role_arn("deployer"))
    return asked(check_permissions, str(stack), clients=lambda service: simulator)


@pytest.mark.parametrize("stack", REAL, ids=str)
def test_the_deployer_may_deploy_every_stack(stack: StackName) -> None:
    found = simulated(stack, deployer(stack.env))
    assert told(found) == []
    assert any(one.status == "pass" for one in found)
    foundation = stack.layer == "foundation"  # its personas are an administrator's
    assert len(told(found, "unknown")) == foundation


MISSED: Mapping[str, tuple[str, str, str]] = {
    # fault -> stack, what the policy was without (its statement, and a part of one), what is told
    "PassRole to AWS Budgets": (
        "dev.flight_delay", "PassRoles budgets", "iam:PassRole on arn:aws:iam::111111111111:role/",
    ),
    "the app of MLflow": ("dev.foundation", "Named mlflow-app", "on arn:aws:sagemaker:us-east-1:"),
    "the key of a stream": (
        "prod.flight_delay", "StreamKeys", "kinesis:StartStreamEncryption on arn:aws:kms:us-east-1",
    ),
    "a mapping, which has no ARN before": (
        "prod.flight_delay", "Unnamed lambda", "lambda:CreateEventSourceMapping",
    ),
    "dashboards": (
        "dev.flight_delay", "Dashboards", "cloudwatch:PutDashboard on arn:aws:cloudwatch::1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", MISSED)
def test_what_the_deployer_could_not_do_is_told(fault: str) -> None:
    """Each part of the policy that was missing, taken out again."""
    stack, part, told_of = MISSED[fault]
    [found] = [
        one
        for one in simulated(
            StackName.parse(stack),
            without(deployer(StackName.parse(stack).env), *part.split()),
        )
        if one.status == "fail"
    ]
    assert told_of in found.message


def without(policies: list[dict[str, Any]], sid: str, part: str = "") -> list[dict[str, Any]]:
    """Policies without a statement, or without the values of one that have a part in them."""
    made: list[dict[str, Any]] = json.loads(json.dumps(policies))
    for policy in made:
        for statement in list(policy["Statement"]):
            if statement.get("Sid") == sid and not part:
                policy["Statement"].remove(statement)
            elif statement.get("Sid") == sid:
                for member in ("Action", "Resource"):
                    statement[member] = [one for one in statement[member] if part not in one]
                equals = statement.get("Condition", {}).get("StringEquals", {})
                for key, values in equals.items():
                    equals[key] = [one for one in values if part not in one]
    return made


def test_a_question_about_everything_would_be_denied_to_the_deployer() -> None:
    """As it was asked: no resource, and no region."""
    simulator = Simulator(deployer("dev"), "arn")
    for action in ("s3:CreateBucket", "kms:CreateKey"):
        [page] = simulator.paginate(ActionNames=[action], PolicySourceArn="arn")
        assert page["EvaluationResults"][0]["EvalDecision"] == "implicitDeny"


@pytest.mark.parametrize("env", ["dev", "staging", "prod"])
def test_the_deployer_makes_the_roles_of_services_that_the_stacks_need(env: str) -> None:
    resources = [one for stack in REAL if stack.env == env for one in synth(str(stack))]
    account_id = load_environment(env).account.account_id
    arn = f"arn:aws:iam::{account_id}:role/aws-service-role/x"
    assert needed(resources)
    for role in ROLES:
        asked_for = {"iam__AWSServiceName": role.service}
        assert decide(deployer(env), "iam:CreateServiceLinkedRole", arn, **asked_for) == "allow"
    other = {"iam__AWSServiceName": "trustedadvisor.amazonaws.com"}
    assert decide(deployer(env), "iam:CreateServiceLinkedRole", arn, **other) == "nothing"
    assert decide(deployer(env), "iam:SimulatePrincipalPolicy", arn) == "allow"
