"""The AWS provider: made of the environment's settings, and the only one that a stack uses."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from stacks.settings.environment import Environment


def use_provider(environment: Environment, tags: Mapping[str, str]) -> None:
    """Give every AWS resource of the running program this provider.

    It knows the account: with credentials of another one nothing is even read.
    """
    provider = aws.Provider(
        "aws",
        region=environment.account.region,
        allowed_account_ids=[environment.account.account_id],
        default_tags={"tags": dict(tags)},
    )

    def transformation(args: Any) -> pulumi.ResourceTransformationResult | None:
        if not args.type_.startswith("aws:") or args.opts.provider is not None:
            return None
        chosen = pulumi.ResourceOptions(provider=provider)
        return pulumi.ResourceTransformationResult(
            args.props, pulumi.ResourceOptions.merge(args.opts, chosen)
        )

    pulumi.runtime.register_stack_transformation(transformation)
