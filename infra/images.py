"""Where container images are kept: one repository for all workloads of an environment."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Statement, plain_json
from infra.naming import IMAGES, Names, account_roots, role_arn_patterns

PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


@dataclass(frozen=True, kw_only=True)
class ImagesArgs(ComponentArgs):
    """How many images are kept, and who pulls them."""

    kms_key_arn: pulumi.Input[str]

    readers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Environments in other accounts, by account, that run the same images. Default: nobody
    outside the account."""

    untagged_image_days: int = 30
    """Days an image without a tag is kept. Default: 30."""

    protect: bool = True
    """Refuse to delete the repository. Default: protected."""


class Images(Component):
    """An immutable, scanned, encrypted repository."""

    repository_url: pulumi.Output[str]

    def __init__(
        self, name: str, args: ImagesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        repository = aws.ecr.Repository(
            f"{name}-repository",
            name=self.names.of(IMAGES),
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": args.kms_key_arn}],
            force_delete=not args.protect,
            tags=self.tags(IMAGES),
            opts=self.kept(args.protect),
        )
        aws.ecr.LifecyclePolicy(
            f"{name}-repository",
            repository=repository.name,
            policy=json.dumps(_expire_untagged(args.untagged_image_days), sort_keys=True),
            opts=self.child,
        )
        if args.readers:
            aws.ecr.RepositoryPolicy(
                f"{name}-repository",
                repository=repository.name,
                policy=plain_json(repository_policy(args.readers, self.names.region)),
                opts=self.child,
            )
        self.repository_url = repository.repository_url
        self.seal()


def repository_policy(readers: Mapping[str, Sequence[str]], region: str) -> dict[str, object]:
    """Pulling, by the roles of these environments in their accounts."""
    statement = {
        "Sid": "Pull",
        "Effect": "Allow",
        "Principal": {"AWS": account_roots(readers, region)},
        "Action": list(PULL),
        "Condition": {"ArnLike": {"aws:PrincipalArn": role_arn_patterns(readers, region)}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def pull_images(names: Names) -> list[Statement]:
    """Pulling the images of an environment."""
    repository = names.arn("ecr", f"repository/{names.platform.of(IMAGES)}")
    return [
        {"Action": list(PULL), "Resource": [repository]},
        {
            # The one action without resource-level permissions (ECR, service authorization
            # reference): it only yields a docker login
            "Action": ["ecr:GetAuthorizationToken"],
            "Resource": ["*"],
        },
    ]


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
