"""Where models and images are kept: the model package group and the image repository."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role


@dataclass(frozen=True, kw_only=True)
class RegistryArgs(ComponentArgs):
    """What is registered, and how many images are kept."""

    model: str
    """What the model is for, such as `flight-delay`; names the model package group."""

    description: str
    kms_key_arn: pulumi.Input[str]

    untagged_image_days: int = 30
    """Days an image without a tag is kept. Default: 30."""

    protect: bool = True
    """Refuse to delete the group: versions and approvals go with it. Default: protected."""


class Registry(Component):
    """A model package group and the immutable, scanned repository of the workload image."""

    model_package_group_name: pulumi.Output[str]
    model_package_group_arn: pulumi.Output[str]
    repository_url: pulumi.Output[str]

    def __init__(
        self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        group = aws.sagemaker.ModelPackageGroup(
            f"{name}-{args.model}",
            model_package_group_name=self.names.of(args.model),
            model_package_group_description=args.description,
            tags=self.tags(args.model),
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
        self.model_package_group_name = group.model_package_group_name
        self.model_package_group_arn = group.arn
        self.repository_url = repository.repository_url
        self._repository_arn = repository.arn
        self.seal()

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
        self.grant(
            role,
            "pull",
            [
                {
                    "Action": [
                        "ecr:BatchCheckLayerAvailability",
                        "ecr:BatchGetImage",
                        "ecr:GetDownloadUrlForLayer",
                    ],
                    "Resource": [self._repository_arn],
                },
                {
                    # The one action without resource-level permissions (ECR, service
                    # authorization reference): it only yields a docker login
                    "Action": ["ecr:GetAuthorizationToken"],
                    "Resource": ["*"],
                },
            ],
        )


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
