"""Where models and images are kept: the model package group and the image repository."""

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
    Statement,
    plain_json,
    policy_json,
    tls_only,
)
from infra.naming import Names, account_roots, role_arn_patterns

PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


@dataclass(frozen=True, kw_only=True)
class RegistryArgs(ComponentArgs):
    """What is registered, and how many images are kept."""

    model: str
    """What the model is for, such as `flight-delay`; names the model package group."""

    description: str
    kms_key_arn: pulumi.Input[str]
    alarm_key_arn: pulumi.Input[str]

    risk_class: str = "unknown"
    """How much harm a wrong answer does, as a tag of the group. Default: `unknown`."""

    readers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Environments in other accounts, by account, that serve what is registered here: they read
    packages and pull the image. Default: nobody outside the account."""

    untagged_image_days: int = 30
    """Days an image without a tag is kept. Default: 30."""

    protect: bool = True
    """Refuse to delete the group: versions and approvals go with it. Default: protected."""


class Registry(Component):
    """A model package group and the immutable, scanned repository of the workload image."""

    model_package_group_name: pulumi.Output[str]
    model_package_group_arn: pulumi.Output[str]
    repository_url: pulumi.Output[str]
    approval_topic_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        group = aws.sagemaker.ModelPackageGroup(
            f"{name}-{args.model}",
            model_package_group_name=self.names.of(args.model),
            model_package_group_description=args.description,
            tags={**self.tags(args.model), "risk_class": args.risk_class},
            opts=self.kept(args.protect),
        )
        repository = aws.ecr.Repository(
            f"{name}-workload",
            name=self.names.of("workload"),
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": args.kms_key_arn}],
            force_delete=not args.protect,
            tags=self.tags("workload"),
            opts=self.kept(args.protect),
        )
        aws.ecr.LifecyclePolicy(
            f"{name}-workload",
            repository=repository.name,
            policy=json.dumps(_expire_untagged(args.untagged_image_days), sort_keys=True),
            opts=self.child,
        )
        self._share(args, group, repository)
        self._announce_approval(args)
        self.model_package_group_name = group.model_package_group_name
        self.model_package_group_arn = group.arn
        self.repository_url = repository.repository_url
        self._repository_arn = repository.arn
        self.seal()

    def _share(
        self,
        args: RegistryArgs,
        group: aws.sagemaker.ModelPackageGroup,
        repository: aws.ecr.Repository,
    ) -> None:
        """Policies of the group and the repository for other accounts; none without any."""
        own = self.names.account_id
        readers = {account: envs for account, envs in args.readers.items() if account != own}
        if not readers:
            return
        aws.sagemaker.ModelPackageGroupPolicy(
            f"{self.component_name}-{args.model}",
            model_package_group_name=group.model_package_group_name,
            resource_policy=plain_json(group_policy(self.names, args.model, readers)),
            opts=self.child,
        )
        aws.ecr.RepositoryPolicy(
            f"{self.component_name}-workload",
            repository=repository.name,
            policy=plain_json(_document(_allow("Pull", readers, PULL))),
            opts=self.child,
        )

    def _announce_approval(self, args: RegistryArgs) -> None:
        """Approvals and rejections go to a topic: what follows is the subscribers' business."""
        topic = aws.sns.Topic(
            f"{self.component_name}-approvals",
            name=self.names.of(f"{args.model}-approvals"),
            kms_master_key_id=args.alarm_key_arn,
            tags=self.tags("approvals"),
            opts=self.child,
        )
        rule = aws.cloudwatch.EventRule(
            f"{self.component_name}-approvals",
            name=self.names.of(f"{args.model}-approvals"),
            description=f"A version of {args.model} was approved or rejected",
            event_pattern=json.dumps(approval_pattern(self.names.of(args.model)), sort_keys=True),
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
                        "sagemaker:DescribeModelPackageGroup",
                    ],
                    "Resource": [self.model_package_group_arn, versions],
                }
            ],
        )

    def grant_pull(self, role: Role) -> None:
        """Let a role pull the workload image."""
        self.grant(role, "pull", _pull(self._repository_arn))

    def grant_pull_of(self, role: Role, other: Names) -> None:
        """Let a role pull the image of another environment's registry, if its policy lets it."""
        repository = other.arn("ecr", f"repository/{other.of('workload')}")
        self.grant(role, f"pull-{other.env}", _pull(repository))


def _pull(repository_arn: pulumi.Input[str]) -> list[Statement]:
    return [
        {"Action": list(PULL), "Resource": [repository_arn]},
        {
            # The one action without resource-level permissions (ECR, service authorization
            # reference): it only yields a docker login
            "Action": ["ecr:GetAuthorizationToken"],
            "Resource": ["*"],
        },
    ]


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


def group_policy(
    names: Names, model: str, readers: Mapping[str, Sequence[str]]
) -> dict[str, object]:
    """Reading packages and making models of them; approving stays with the registry's account.

    Developer guide, "Deploy a model version from a different account".
    """
    versions = names.arn("sagemaker", f"model-package/{names.of(model)}/*")
    group = names.arn("sagemaker", f"model-package-group/{names.of(model)}")
    see = ["sagemaker:DescribeModelPackageGroup"]
    read = [
        "sagemaker:CreateModel",
        "sagemaker:DescribeModelPackage",
        "sagemaker:ListModelPackages",
    ]
    return _document(
        {**_allow("SeeGroup", readers, see), "Resource": group},
        {**_allow("ReadVersions", readers, read), "Resource": versions},
    )


def _allow(
    sid: str, readers: Mapping[str, Sequence[str]], actions: Sequence[str]
) -> dict[str, object]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": account_roots(readers)},
        "Action": list(actions),
        "Condition": {"ArnLike": {"aws:PrincipalArn": role_arn_patterns(readers)}},
    }


def _document(*statements: Mapping[str, object]) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _expire_untagged(days: int) -> dict[str, object]:
    return {
        "rules": [
            {
                "rulePriority": 1,
                "description": f"expire untagged images after {days} days",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": days,
                },
                "action": {"type": "expire"},
            }
        ]
    }
