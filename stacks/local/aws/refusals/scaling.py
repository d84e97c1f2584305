"""Policies of targets that nobody registered."""

from collections.abc import Mapping

from stacks.local.aws.recorded.application_autoscaling import TARGET
from stacks.local.aws.refusals.account import Account
from stacks.local.aws.refusals.refusal import Refusal, Request


def no_target(request: Request, account: Account) -> Mapping[str, str] | None:
    """The subject of a policy is no scalable target."""
    key = tuple(str(request[name]) for name in TARGET.key)
    if key in account.recorded.of(TARGET):
        return None
    return {name: str(request[name]) for name in TARGET.key}


SCALING = (
    Refusal(
        service="application-autoscaling",
        operations=("PutScalingPolicy",),
        condition=no_target,
        code="ObjectNotFoundException",
        text=(
            "No scalable target registered for service namespace: {ServiceNamespace}, resource ID: "
            "{ResourceId}, scalable dimension: {ScalableDimension}"
        ),
        source="aws/copilot-cli issue 2149; Application Auto Scaling API, PutScalingPolicy",
    ),
)
