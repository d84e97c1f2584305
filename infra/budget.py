"""What a month may cost, who hears of it, and what stops when it costs more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role, plain_json

STOPPED = (
    "sagemaker:CreateAutoMLJobV2",
    "sagemaker:CreateEndpoint",
    "sagemaker:CreateHyperParameterTuningJob",
    "sagemaker:CreateInferenceComponent",
    "sagemaker:CreateProcessingJob",
    "sagemaker:CreateTrainingJob",
    "sagemaker:CreateTransformJob",
    "sagemaker:StartPipelineExecution",
    "sagemaker:UpdateEndpoint",
)
"""What makes new cost in SageMaker. Reading, stopping and deleting stay allowed."""

DAY_SECONDS = 86_400


@dataclass(frozen=True, kw_only=True)
class BudgetArgs(ComponentArgs):
    """The limit, who is told, and what happens at the limit."""

    monthly_limit_usd: int

    tag: tuple[str, str]
    """Key and value of the cost allocation tag of what is counted."""

    alerts_topic_arn: pulumi.Input[str]
    """Its policy must let AWS Budgets publish."""

    actual_percents: Sequence[int] = (80, 100)
    """Shares of the limit that were spent, each of which is told. Default: 80 and 100."""

    forecast_percent: int = 100
    """Share of the limit that the month is expected to reach, which is told. Default: all."""

    stop_role: Role | None = None
    """AWS Budgets takes it to stop new work once the limit is spent. Default: nothing stops."""

    stopped_roles: Sequence[Role] = ()
    """Who may then start no more endpoints and jobs. Needed with `stop_role`."""

    idle_variants: Mapping[str, str] = field(default_factory=dict)
    """Variant by endpoint whose instances cost as much without a request; a day without one is
    told. Default: none."""

    activated_tags: Sequence[str] = ()
    """Tags to activate for cost allocation. Only the account that pays may, and a tag must have
    been seen in a bill. Default: none; the paying account does it."""

    def __post_init__(self) -> None:
        if self.stop_role is not None and not self.stopped_roles:
            raise ValueError("stopped_roles must name a role when there is a stop_role, got none")


class Budget(Component):
    """A monthly budget with alerts, and an optional brake.

    It sees what carries the tag; AWS reads a tag only after it was activated for cost allocation in
    the paying account.
    """

    budget_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: BudgetArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._args = args
        tags = [
            aws.costexplorer.CostAllocationTag(
                f"{name}-{tag}", tag_key=tag, status="Active", opts=self.child
            )
            for tag in args.activated_tags
        ]
        key, value = args.tag
        budget = aws.budgets.Budget(
            f"{name}-monthly",
            name=self.names.of("monthly"),
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(args.monthly_limit_usd),
            limit_unit="USD",
            # as AWS Budgets names a tag of ours once it is active
            cost_filters=[{"name": "TagKeyValue", "values": [f"user:{key}${value}"]}],
            notifications=[
                *(self._notification("ACTUAL", percent) for percent in args.actual_percents),
                self._notification("FORECASTED", args.forecast_percent),
            ],
            tags=self.tags("monthly"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=tags),
        )
        if args.stop_role is not None:
            self._stop(budget, args.stop_role)
        for endpoint_name, variant in args.idle_variants.items():
            self._idle(endpoint_name, variant)
        self.budget_name = budget.name
        self.seal()

    def _notification(self, kind: str, percent: int) -> aws.budgets.BudgetNotificationArgs:
        return aws.budgets.BudgetNotificationArgs(
            notification_type=kind,
            comparison_operator="GREATER_THAN",
            threshold=percent,
            threshold_type="PERCENTAGE",
            subscriber_sns_topic_arns=[self._args.alerts_topic_arn],
        )

    def _stop(self, budget: aws.budgets.Budget, role: Role) -> None:
        """At the limit, a policy that denies new work is attached to the roles that start it.

        AWS takes it off again when the budget's next period begins.
        """
        deny = {"Sid": "NoNewWork", "Effect": "Deny", "Action": list(STOPPED), "Resource": "*"}
        policy = aws.iam.Policy(
            f"{self.component_name}-stop",
            name=self.names.of("stop-new-work"),
            description="Attached by AWS Budgets when the month's limit is spent",
            policy=plain_json({"Version": "2012-10-17", "Statement": [deny]}),
            tags=self.tags("stop-new-work"),
            opts=self.child,
        )
        allowed = self.grant(
            role,
            "stop",
            [
                {
                    "Action": ["iam:AttachRolePolicy", "iam:DetachRolePolicy"],
                    "Resource": [stopped.arn for stopped in self._args.stopped_roles],
                    "Condition": {"ArnEquals": {"iam:PolicyARN": policy.arn}},
                }
            ],
        )
        aws.budgets.BudgetAction(
            f"{self.component_name}-stop",
            budget_name=budget.name,
            action_type="APPLY_IAM_POLICY",
            approval_model="AUTOMATIC",
            notification_type="ACTUAL",
            execution_role_arn=role.arn,
            action_threshold={"action_threshold_type": "PERCENTAGE", "action_threshold_value": 100},
            definition={
                "iam_action_definition": {
                    "policy_arn": policy.arn,
                    "roles": [stopped.name for stopped in self._args.stopped_roles],
                }
            },
            subscribers=[{"subscription_type": "SNS", "address": self._args.alerts_topic_arn}],
            tags=self.tags("stop-new-work"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed]),
        )

    def _idle(self, endpoint_name: str, variant: str) -> None:
        """CloudWatch has no data points of Invocations while nobody asks."""
        aws.cloudwatch.MetricAlarm(
            f"{self.component_name}-idle-{endpoint_name}",
            name=f"{endpoint_name}-idle",
            alarm_description="Nobody asked this endpoint for a day; its instances cost the same",
            namespace="AWS/SageMaker",
            metric_name="Invocations",
            dimensions={"EndpointName": endpoint_name, "VariantName": variant},
            statistic="Sum",
            threshold=1,
            comparison_operator="LessThanThreshold",
            period=DAY_SECONDS,
            evaluation_periods=1,
            treat_missing_data="breaching",
            alarm_actions=[self._args.alerts_topic_arn],
            tags=self.tags("idle"),
            opts=self.child,
        )
