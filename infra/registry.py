"""Where a workload's models are kept: its model package group, and who hears of approvals."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.component import (
    Component,
    ComponentArgs,
    Role,
    plain_json,
    policy_json,
    tls_only,
)
from infra.naming import MODEL_GROUP, Names, account_roots, role_arn_patterns


@dataclass(frozen=True, kw_only=True)
class RegistryArgs(ComponentArgs):
    """What is registered, and who may read it."""

    description: str
    alarm_key_arn: pulumi.Input[str]

    risk_class: str = "unknown"
    """How much harm a wrong answer does, as a tag of the group. Default: `unknown`."""

    readers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Environments in other accounts, by account, that serve what is registered here. Default:
    nobody outside the account."""

    protect: bool = True
    """Refuse to delete the group: versions and approvals go with it. Default: protected."""


class Registry(Component):
    """A model package group, and a topic that tells of every decision on a version."""

    model_package_group_name: pulumi.Output[str]
    model_package_group_arn: pulumi.Output[str]
    approval_topic_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        group = aws.sagemaker.ModelPackageGroup(
            f"{name}-{MODEL_GROUP}",
            model_package_group_name=self.names.of(MODEL_GROUP),
            model_package_group_description=args.description,
            tags={**self.tags(MODEL_GROUP), "risk_class": args.risk_class},
            opts=self.kept(args.protect),
        )
        self._share(args, group)
        self._announce_approval(args)
        self.model_package_group_name = group.model_package_group_name
        self.model_package_group_arn = group.arn
        self.seal()

    def _share(self, args: RegistryArgs, group: aws.sagemaker.ModelPackageGroup) -> None:
        """The group's policy for other accounts; none without any."""
        own = self.names.account_id
        readers = {account: envs for account, envs in args.readers.items() if account != own}
        if not readers:
            return
        aws.sagemaker.ModelPackageGroupPolicy(
            f"{self.component_name}-{MODEL_GROUP}",
            model_package_group_name=group.model_package_group_name,
            resource_policy=plain_json(group_policy(self.names, readers)),
            opts=self.child,
        )

    def _announce_approval(self, args: RegistryArgs) -> None:
        """Approvals and rejections go to a topic: what follows is the subscribers' business."""
        topic = aws.sns.Topic(
            f"{self.component_name}-approvals",
            name=self.names.of("approvals"),
            kms_master_key_id=args.alarm_key_arn,
            tags=self.tags("approvals"),
            opts=self.child,
        )
        rule = aws.cloudwatch.EventRule(
            f"{self.component_name}-approvals",
            name=self.names.of("approvals"),
            description="A version of the model was approved or rejected",
            event_pattern=json.dumps(approval_pattern(self.names.of(MODEL_GROUP)), sort_keys=True),
            tags=self.tags("approvals"),
            opts=self.child,
        )
        publish = {
            "Sid": "Events",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": topic.arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule.arn}},
        }
        policy = aws.sns.TopicPolicy(
            f"{self.component_name}-approvals",
            arn=topic.arn,
            policy=policy_json(_document(publish, tls_only("sns:Publish", topic.arn))),
            opts=self.child,
        )
        aws.cloudwatch.EventTarget(
            f"{self.component_name}-approvals",
            rule=rule.name,
            target_id="topic",
            arn=topic.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.approval_topic_arn = topic.arn

    def grant_register(self, role: Role) -> None:
        """Let a role add versions to the group; approving one is not part of it."""
        versions = self.model_package_group_arn.apply(
            lambda arn: arn.replace(":model-package-group/", ":model-package/") + "/*"
        )
        self.grant(
            role,
            "register",
            [
                {
                    "Action": [
                        "sagemaker:AddTags",
                        "sagemaker:CreateModelPackage",
                        "sagemaker:DescribeModelPackage",
                    ],
                    "Resource": [self.model_package_group_arn, versions],
                }
            ],
        )


def approval_pattern(group: str) -> dict[str, Any]:
    """The event of a decision on a version (developer guide, "Amazon EventBridge")."""
    return {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {
            "ModelPackageGroupName": [group],
            "ModelApprovalStatus": ["Approved", "Rejected"],
        },
    }


def group_policy(names: Names, readers: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """Reading packages and making models of them; approving stays with the registry's account.

    Developer guide, "Deploy a model version from a different account".
    """
    versions = names.arn("sagemaker", f"model-package/{names.of(MODEL_GROUP)}/*")
    group = names.arn("sagemaker", f"model-package-group/{names.of(MODEL_GROUP)}")
    see = ["sagemaker:DescribeModelPackageGroup"]
    read = [
        "sagemaker:CreateModel",
        "sagemaker:DescribeModelPackage",
        "sagemaker:ListModelPackages",
    ]
    return _document(
        {**_allow("SeeGroup", names, readers, see), "Resource": group},
        {**_allow("ReadVersions", names, readers, read), "Resource": versions},
    )


def _allow(
    sid: str, names: Names, readers: Mapping[str, Sequence[str]], actions: Sequence[str]
) -> dict[str, object]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": account_roots(readers, names.region)},
        "Action": list(actions),
        "Condition": {"ArnLike": {"aws:PrincipalArn": role_arn_patterns(readers, names.region)}},
    }


def _document(*statements: Mapping[str, object]) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": list(statements)}
