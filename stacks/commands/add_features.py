"""`plinth add-features`: add new features to feature groups that exist, without replacing them.

SageMaker adds features in place (UpdateFeatureGroup, FeatureAdditions), but the AWS provider of
Pulumi and Terraform has no such update: it replaces the group, and its online records go with it
(hashicorp/terraform-provider-aws issues 26809 and 36784). So they are added first, and the state
is told: then the next `up` finds nothing to change. What is removed or retyped is left to
`preview`, which shows the replacement that it is. The environment `local` replaces as the official
provider does, unless PLINTH_REPLACES_AS=aws is set when it starts.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.errors import CheckFailed, UserError
from stacks.commands.output import CommandOutput
from stacks.settings.load import workload_stack
from stacks.targets.target import target_of
from stacks.targets.work import engine_of

PAUSE_SECONDS, PATIENCE_SECONDS = 1.0, 900.0
URN = (
    "urn:pulumi:{stack}::plinth::plinth:infra:FeatureStore"
    "$aws:sagemaker/featureGroup:FeatureGroup::features-{entity}"
)

Features = Mapping[str, str]
"""Type by name, in order."""


@dataclass(frozen=True, kw_only=True)
class Addition:
    """What one existing group lacks."""

    entity: str
    group: str
    features: Features


def add_features(name: str, report: CommandOutput) -> dict[str, Any]:
    """Add what a workload's schemas have and its groups lack, then refresh their state."""
    stack, settings = workload_stack(name)
    environment = settings.environment
    clients = target_of(stack.env).clients(environment.account.region)
    sagemaker = clients("sagemaker")
    missing = [
        addition
        for group, schema in settings.workload.feature_groups.items()
        if (addition := lacking(sagemaker, group, settings.names.of(group), schema.features))
    ]
    for addition in missing:
        with report.stage("add features", f"add to {addition.group}") as stage:
            add(sagemaker, addition)
            stage.done = ", ".join(addition.features)
    if missing:
        engine = engine_of(stack, report)
        with report.stage("refresh", "tell the state"):
            engine.refresh([URN.format(stack=stack, entity=one.entity) for one in missing])
    else:
        report.say(f"{stack}: the feature groups have every feature")
    return {"stack": str(stack), "added": {a.group: dict(a.features) for a in missing}}


def lacking(sagemaker: Any, entity: str, group: str, wanted: Features) -> Addition | None:
    """What to add to a group; None when it has everything, or does not exist yet."""
    held = features(sagemaker, group)
    new = {name: kind for name, kind in wanted.items() if name not in held}
    if not held or not new:
        return None
    kept = [name for name in wanted if name in held]
    if list(wanted) != [*kept, *new]:
        raise UserError(
            f"new features of {entity} must come after the ones that {group} has, "
            f"got {', '.join(new)} between them",
            fix="move them to the end of its schema: the provider compares the lists in order",
        )
    return Addition(entity=entity, group=group, features=new)


def features(sagemaker: Any, group: str) -> Features:
    """The features of a group; none when it does not exist."""
    found: dict[str, str] = {}
    token: dict[str, str] = {}
    while True:
        try:
            answer = sagemaker.describe_feature_group(FeatureGroupName=group, **token)
        except sagemaker.exceptions.ResourceNotFound:
            return {}
        found |= {f["FeatureName"]: f["FeatureType"] for f in answer["FeatureDefinitions"]}
        if not answer.get("NextToken"):
            return found
        token = {"NextToken": answer["NextToken"]}


def add(sagemaker: Any, addition: Addition) -> None:
    """Add features to a group and wait until it has them."""
    sagemaker.update_feature_group(
        FeatureGroupName=addition.group,
        FeatureAdditions=[
            {"FeatureName": name, "FeatureType": kind} for name, kind in addition.features.items()
        ],
    )
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = sagemaker.describe_feature_group(FeatureGroupName=addition.group)
        update = answer.get("LastUpdateStatus") or {}
        if update.get("Status") == "Successful":
            return
        if update.get("Status") == "Failed" or time.monotonic() > end:
            raise CheckFailed(
                f"{addition.group} must take {', '.join(addition.features)}, "
                f"got {update.get('FailureReason') or update.get('Status')}",
                fix="mend what SageMaker names and type the command again",
            )
        time.sleep(PAUSE_SECONDS)
