"""A model card: what a model is for, what it is not for, and how risky it is to be wrong."""

from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, plain_json

RiskRating = Literal["High", "Medium", "Low", "Unknown"]
Status = Literal["Draft", "PendingReview", "Approved", "Archived"]


@dataclass(frozen=True, kw_only=True)
class ModelCardArgs(ComponentArgs):
    """What a reviewer wants to know (developer guide, "Model card JSON schema")."""

    description: str
    owner: str
    purpose: str
    intended_uses: str
    limits: str
    """What makes it worse, and what it must not be used for."""

    risk_rating: RiskRating
    risk_explanation: str
    kms_key_arn: pulumi.Input[str]
    status: Status = "Draft"
    """Where the review stands; a person sets it. Default: a draft."""

    model_package_arn: str | None = None
    """The version that is served. Default: none is."""


class ModelCard(Component):
    """A card in SageMaker; every change of its content makes a new version of it there."""

    def __init__(
        self, name: str, args: ModelCardArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        aws.sagemaker.ModelCard(
            f"{name}-card",
            model_card_name=self.names.of("model"),
            model_card_status=args.status,
            content=plain_json(_content(args)),
            security_config={"kms_key_id": args.kms_key_arn},
            tags=self.tags("model"),
            opts=self.child,
        )
        self.seal()


def _content(args: ModelCardArgs) -> dict[str, object]:
    overview = {"model_description": args.description, "model_owner": args.owner}
    if args.model_package_arn is not None:
        overview["model_id"] = args.model_package_arn
        overview["model_name"] = args.model_package_arn.rpartition("model-package/")[2]
    return {
        "model_overview": overview,
        "intended_uses": {
            "purpose_of_model": args.purpose,
            "intended_uses": args.intended_uses,
            "factors_affecting_model_efficiency": args.limits,
            "risk_rating": args.risk_rating,
            "explanations_for_risk_rating": args.risk_explanation,
        },
    }
