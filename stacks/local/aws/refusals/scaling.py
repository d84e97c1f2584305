"""Policies of targets that nobody registered, and targets whose limits cross."""

import re
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


RESOURCES = {
    "sagemaker:inference-component:DesiredCopyCount": r"inference-component/[^/]+",
    "sagemaker:variant:DesiredInstanceCount": r"endpoint/[^/]+/variant/[^/]+",
    "sagemaker:variant:DesiredProvisionedConcurrency": r"endpoint/[^/]+/variant/[^/]+",
}
"""Dimension of SageMaker -> how its resource is named (RegisterScalableTarget, ResourceId)."""


def other_dimension(request: Request, account: Account) -> Mapping[str, str] | None:
    """The dimension is of another service than the one that is said."""
    service, dimension = (str(request[name]) for name in ("ServiceNamespace", "ScalableDimension"))
    is_its = dimension.partition(":")[0] == service or service == "custom-resource"
    return None if is_its else {"service": service, "dimension": dimension}


def other_resource(request: Request, account: Account) -> Mapping[str, str] | None:
    """A resource of SageMaker whose name is not of the kind that its dimension has."""
    form = RESOURCES.get(str(request["ScalableDimension"]))
    resource = str(request["ResourceId"])
    return None if form is None or re.fullmatch(form, resource) else {"resource": resource}


def unlimited(request: Request, account: Account) -> Mapping[str, str] | None:
    """A new target says how few and how many."""
    key = tuple(str(request[name]) for name in TARGET.key)
    if key in account.recorded.of(TARGET):
        return None
    lost = [name for name in ("MinCapacity", "MaxCapacity") if request.get(name) is None]
    return {"member": lost[0]} if lost else None


SCALING = (
    Refusal(
        service="application-autoscaling",
        operations=("RegisterScalableTarget",),
        condition=other_dimension,
        code="ValidationException",
        text="Unsupported service namespace {service}, resource type or dimension: {dimension}",
        source="Application Auto Scaling API, RegisterScalableTarget; the text is ours",
    ),
    Refusal(
        service="application-autoscaling",
        operations=("RegisterScalableTarget",),
        condition=other_resource,
        code="ValidationException",
        text="Unsupported resource ID: {resource}",
        source="Application Auto Scaling API, RegisterScalableTarget; the text is ours",
    ),
    Refusal(
        service="application-autoscaling",
        operations=("RegisterScalableTarget",),
        condition=unlimited,
        code="ValidationException",
        text="{member} must be specified when a scalable target is registered first",
        source="Application Auto Scaling API, RegisterScalableTarget; the text is ours",
    ),
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
