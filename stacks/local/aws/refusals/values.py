"""Values of which AWS takes some alone, though the model says nothing of it."""

import time
from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from stacks.local.aws.refusals.account import Account
from stacks.local.aws.refusals.refusal import Condition, Refusal, Request
from stacks.local.aws.schedule_expressions import NoExpression, first

RETENTIONS = frozenset({
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
})  # fmt: skip
"""Days for which a log group may keep its events (CloudWatch Logs API, PutRetentionPolicy)."""

PROTOCOLS = frozenset({
    "http", "https", "email", "email-json", "sms", "sqs", "application", "lambda", "firehose",
})  # fmt: skip
"""Of subscriptions (Amazon SNS API, Subscribe)."""


def no_schedule(member: str, zone: str) -> Condition:
    """A schedule expression, or the time zone beside it, is none."""

    def condition(request: Request, account: Account) -> Mapping[str, str] | None:
        expression = request.get(member)
        if not expression:
            return None
        try:
            clock = ZoneInfo(str(request.get(zone) or "UTC"))
            first(str(expression), clock.key, time.time())
        except (NoExpression, ZoneInfoNotFoundError, ValueError):
            return {"expression": str(expression)}
        return None

    return condition


def _other_retention(request: Request, account: Account) -> Mapping[str, str] | None:
    days = request.get("retentionInDays")
    return {"days": str(days)} if days is not None and days not in RETENTIONS else None


def _other_protocol(request: Request, account: Account) -> Mapping[str, str] | None:
    protocol = str(request.get("Protocol"))
    return {"protocol": protocol} if protocol not in PROTOCOLS else None


def _longer_than_the_role_allows(request: Request, account: Account) -> Mapping[str, str] | None:
    most = account.longest_session(str(request.get("RoleArn")))
    return {} if most is not None and int(request.get("DurationSeconds") or 0) > most else None


def _no_role(request: Request, account: Account) -> Mapping[str, str] | None:
    role = str(request.get("RoleArn"))
    return {"role": role} if account.is_own_role(role) and not account.exists(role) else None


VALUES = (
    Refusal(
        service="sts",
        operations=("AssumeRole",),
        condition=_no_role,
        code="AccessDenied",
        text="User is not authorized to perform: sts:AssumeRole on resource: {role}",
        source="IAM user guide, I can't assume a role: the role must exist",
    ),
    Refusal(
        service="sts",
        operations=("AssumeRole",),
        condition=_longer_than_the_role_allows,
        code="ValidationError",
        text="The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        source="STS API, AssumeRole, DurationSeconds",
    ),
    Refusal(
        service="application-autoscaling",
        operations=("PutScheduledAction",),
        condition=no_schedule("Schedule", "Timezone"),
        code="ValidationException",
        text="Invalid schedule expression: {expression}",
        source="Application Auto Scaling API, PutScheduledAction; AWS's words are not known",
    ),
    Refusal(
        service="scheduler",
        operations=("CreateSchedule", "UpdateSchedule"),
        condition=no_schedule("ScheduleExpression", "ScheduleExpressionTimezone"),
        code="ValidationException",
        text="Invalid Schedule Expression {expression}.",
        source="EventBridge Scheduler user guide, Schedule types",
    ),
    Refusal(
        service="logs",
        operations=("PutRetentionPolicy",),
        condition=_other_retention,
        code="InvalidParameterException",
        text=(
            "1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy "
            "constraint: Member must satisfy enum value set"
        ),
        source="CloudWatch Logs API, PutRetentionPolicy",
    ),
    Refusal(
        service="sns",
        operations=("Subscribe",),
        condition=_other_protocol,
        code="InvalidParameter",
        text="Invalid parameter: Amazon SNS does not support this protocol string: {protocol}",
        source="Amazon SNS API, Subscribe",
    ),
)
