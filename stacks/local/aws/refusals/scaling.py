"""Policies of targets that nobody registered, and targets whose limits cross."""

from collections.abc import Mapping

from stacks.local.aws.recorded.application_autoscaling import TARGET
from stacks.local.aws.refusals.account import Account
from stacks.local.aws.refusals.refusal import Refusal, Request


def no_target(request: Request, account: Account) -> Mapping[str, str] | None:
    """What is scaled, or is to be no more, is no scalable target."""
    key = tuple(str(request[name]) for name in TARGET.key)
    if key in account.recorded.of(TARGET):
        return None
    return {name: str(request[name]) for name in TARGET.key}


def crossed(request: Request, account: Account) -> Mapping[str, str] | None:
    """The least is more than the most, one of which may have been said before."""
    key = tuple(str(request[name]) for name in TARGET.key)
    known = account.recorded.of(TARGET).get(key)
    said = {**(known.members if known else {}), **request}
    least, most = said.get("MinCapacity"), said.get("MaxCapacity")
    return {} if least is not None and most is not None and least > most else None


SCALING = (
    Refusal(
        service="application-autoscaling",
        operations=("RegisterScalableTarget",),
        condition=crossed,
        code="ValidationException",
        text="Maximum capacity cannot be less than minimum capacity",
        source="Application Auto Scaling API, RegisterScalableTarget; AWS's words are not known",
    ),
    Refusal(
        service="application-autoscaling",
        operations=("PutScalingPolicy", "DeregisterScalableTarget"),
        condition=no_target,
        code="ObjectNotFoundException",
        text=(
            "No scalable target registered for service namespace: {ServiceNamespace}, resource ID: "
            "{ResourceId}, scalable dimension: {ScalableDimension}"
        ),
        source="aws/copilot-cli issue 2149; Application Auto Scaling API, PutScalingPolicy",
    ),
)
