"""Budgets and what they set in motion."""

from collections.abc import Mapping
from typing import Any

from stacks.local.provider.aws.row import Call, HookContext, Identity, Missing, Row, Tags, named

MISSING = (Missing("NotFoundException"),)
RECORDED = "recorded only: nothing costs anything here, nobody is told and nothing is stopped"

LIMIT = {
    "limitAmount": "BudgetLimit.Amount",
    "limitUnit": "BudgetLimit.Unit",
    "name": "BudgetName",
}
PLAIN = {"budgetType": "BudgetType", "costFilters": "CostFilters", "timeUnit": "TimeUnit"}
KINDS = {"subscriberEmailAddresses": "EMAIL", "subscriberSnsTopicArns": "SNS"}
TOLD = {
    "comparisonOperator": "ComparisonOperator",
    "notificationType": "NotificationType",
    "threshold": "Threshold",
    "thresholdType": "ThresholdType",
}


def tags(arn: str) -> Tags:
    """Budgets are tagged by an ARN that no answer shows."""
    return Tags(
        create="ResourceTags",
        add="TagResource",
        remove="UntagResource",
        member="ResourceTags",
        keys="ResourceTagKeys",
        key={"ResourceARN": arn},
        path="ResourceTags",
    )


def notifications(scene: HookContext) -> Mapping[str, Any]:
    """Each with its subscribers, who are of two kinds."""
    return {
        "NotificationsWithSubscribers": [
            {
                "Notification": {TOLD[name]: item[name] for name in TOLD if name in item},
                "Subscribers": [
                    {"SubscriptionType": kind, "Address": address}
                    for name, kind in KINDS.items()
                    for address in item.get(name, ())
                ],
            }
            for item in scene.new.get("notifications", ())
        ]
    }


BUDGET_ARN = "arn:aws:budgets::{account}:budget/{name}"
ACTION_ARN = "arn:aws:budgets::{account}:budget/{budgetName}/action/{actionId}"

ROWS = (
    Row(
        token="aws:budgets/budget:Budget",
        service="budgets",
        cfn="AWS::Budgets::Budget",
        create=Call(
            "CreateBudget",
            omits=(
                "calculatedSpend",
                "healthStatus",
                "lastUpdatedTime",
                "notificationsWithSubscribers",
                "plannedBudgetLimits",
                "resourceTags",
                "timePeriod",
            ),
            key={"AccountId": "{account}"},
            build=notifications,
        ),
        read=Call("DescribeBudget", into="Budget", result="Budget"),
        also=(Call("ListTagsForResource", key={"ResourceARN": BUDGET_ARN}),),
        update=(
            Call(
                "UpdateBudget",
                (*LIMIT, *PLAIN, "notifications"),
                key={"AccountId": "{account}"},
                rename={n: f"NewBudget.{path}" for n, path in {**LIMIT, **PLAIN}.items()},
                build=lambda scene: {},
            ),
        ),
        delete=Call("DeleteBudget"),
        identity=named("name"),
        key={"AccountId": "{account}", "BudgetName": "{name}"},
        body="Budget",
        rename=LIMIT,
        write_only=("costFilters", "notifications"),
        autoname="name",
        replace_on=("name",),
        refuses=(
            "accountId",
            "autoAdjustData",
            "billingViewArn",
            "costTypes",
            "filterExpression",
            "metrics",
            "namePrefix",
            "plannedLimits",
            "timePeriodEnd",
            "timePeriodStart",
        ),
        outputs={"arn": BUDGET_ARN},
        tags=tags(BUDGET_ARN),
        missing=MISSING,
        fidelity=RECORDED,
    ),
    Row(
        token="aws:budgets/budgetAction:BudgetAction",
        service="budgets",
        cfn="AWS::Budgets::BudgetsAction",
        create=Call("CreateBudgetAction", key={"AccountId": "{account}"}, omits=("resourceTags",)),
        read=Call("DescribeBudgetAction", result="Action"),
        also=(Call("ListTagsForResource", key={"ResourceARN": ACTION_ARN}),),
        update=(
            Call(
                "UpdateBudgetAction",
                (
                    "actionThreshold",
                    "approvalModel",
                    "definition",
                    "executionRoleArn",
                    "notificationType",
                    "subscribers",
                ),
            ),
        ),
        delete=Call("DeleteBudgetAction"),
        identity=Identity(
            inputs=("accountId", "actionId", "budgetName"),
            returned="join(':', [AccountId, ActionId, BudgetName])",
        ),
        key={"AccountId": "{account}", "BudgetName": "{budgetName}", "ActionId": "{actionId}"},
        computed=("accountId", "actionId"),
        replace_on=("actionType", "budgetName"),
        refuses=("accountId",),
        outputs={"actionId": "{actionId}", "arn": ACTION_ARN, "status": "Status"},
        tags=tags(ACTION_ARN),
        missing=MISSING,
        fidelity=RECORDED,
    ),
)
