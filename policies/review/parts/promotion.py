"""A model or an image that takes over in production, and an endpoint update without a way back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from policies.data import UNKNOWN, Resource
from policies.reading.images import by_digest
from policies.review.differences import Leaf
from policies.review.elsewhere import CONFIGURATIONS, ENDPOINTS, MODELS, is_moved, is_of
from policies.review.model import Change, StackChange
from policies.review.parts import data_loss
from policies.review.parts.changes import shown
from policies.review.report import Context, Reason, Risk, Row, Section
from policies.review.scales import Meaning

UNSAFE = "RV-006"
PROMOTED = "RV-007"
CARD = "aws:sagemaker/modelCard:ModelCard"


def part(change: StackChange, context: Context) -> Section | None:
    """One row per artefact that is served instead of another."""
    found = [(item, *pair) for item in change.changed() for pair in _artefacts(item)]
    unsafe = [r for item in change.of("update") for r in _unguarded(item, context)]
    served = [
        reason
        for item in change.of("update", "replace")
        for reason in (*_served(item, context), *_configured(item, change, context))
    ]
    if not found and not unsafe and not served:
        return None
    cards = _cards(change)
    facts = {item.urn: {**_facts(context, new), **cards.get(new, {})} for item, _, new in found}
    told = {item.urn: _told(facts[item.urn], _facts(context, old)) for item, old, _ in found}
    return Section(
        id="promotion",
        title="What is served",
        columns=("model", "from", "to", "what is known of it"),
        rows=[
            Row(
                cells=(
                    item.name,
                    _short(old),
                    _short(new),
                    told[item.urn],
                ),
                risk="high" if context.config.production else "medium",
                urn=item.urn,
                source=item.source,
            )
            for item, old, new in found
        ],
        data={
            "artefacts": [
                {"urn": item.urn, "from": old, "to": new, **facts[item.urn]}
                for item, old, new in found
            ]
        },
        notes=[reason.message for reason in served],
        reasons=[*(_reason(*one, context, facts) for one in found), *unsafe, *served],
    )


VARIANTS = ("productionVariants", "shadowProductionVariants")


def _served(item: Change, context: Context) -> Iterator[Reason]:
    """Who answers which share of the callers, and how many of them meet a new version at once."""
    for leaf, meant in item.differences:
        if leaf.path[0] in VARIANTS and item.type in CONFIGURATIONS:
            what = _of_variant(leaf, meant)
            if what:
                yield _said(item, what, "high" if context.config.production else "medium")
        elif leaf.name in data_loss.IMAGES and not is_of(item.type, leaf.path[0]):
            if by_digest(leaf.old) == by_digest(leaf.new) != UNKNOWN:
                continue
            what = f"runs {shown(leaf.new)} instead of {shown(leaf.old)}"
            yield _said(item, what, "high" if context.config.production else "medium")
        elif is_moved(leaf, item.type):
            yield _step(item, leaf)


def _configured(item: Change, change: StackChange, context: Context) -> Iterator[Reason]:
    """Another configuration answers: its models, weights and machines are not compared here.

    They are where the same resource of the stack is replaced, and told with that.
    """
    other = any(leaf.path == (NAMED,) for leaf, _ in item.differences)
    if item.type not in ENDPOINTS or not other or item.old is None or item.new is None:
        return
    sides = item.old, item.new
    before, after = ({*side.dependencies.get(NAMED, ())} for side in sides)
    replaced = {each.urn for each in change.of("replace", "update")}
    if not after or before != after or not after <= replaced:
        old, new = (shown(side.inputs.value.get(NAMED)) for side in sides)
        what = f"answers by configuration {new} instead of {old}"
        yield _said(item, what, "high" if context.config.production else "medium")


NAMED = "endpointConfigName"


def _of_variant(leaf: Leaf, meant: Meaning) -> str:
    """What one difference of a variant means for those who ask; empty: its price is all of it."""
    variant = next((name for name in leaf.path if name[:1] == "["), "[]")[1:-1] or "a variant"
    if leaf.name in VARIANTS:
        return f"variant {variant} {'comes' if leaf.new else 'goes'}"
    if leaf.name == "modelName":
        return f"variant {variant} serves model {shown(leaf.new)} instead of {shown(leaf.old)}"
    if leaf.name == "initialVariantWeight":
        return f"variant {variant} is asked with weight {leaf.new}, before {leaf.old}"
    if leaf.name == "variantName" and None not in (leaf.old, leaf.new):
        return f"variant {leaf.old} is {leaf.new} now, and what scales it goes by its name"
    if leaf.name in PRICED and not (leaf.name in COUNTED and meant.sense == "unclear"):
        return ""
    return f"variant {variant}: {leaf.text} {shown(leaf.old)} -> {shown(leaf.new)}"


PRICED = ("instanceType", "initialInstanceCount", "volumeSizeInGb", "variantName")
"""Members of a variant of which the cost and the rules tell."""

COUNTED = ("initialInstanceCount", "instanceType")
"""Those of which many times as many, none, or another kind are another matter, whoever pays."""

HALF = 50
"""Percent of an endpoint from which a canary is none."""


def _step(item: Change, leaf: Leaf) -> Reason:
    """A larger share meets the new version before anybody knows whether it works."""
    known = isinstance(leaf.old, int | float) and isinstance(leaf.new, int | float)
    grows = not known or leaf.new > leaf.old
    risk: Risk = "low" if not grows else "low" if known and leaf.new < HALF else "high"
    message = f"{leaf.text} {shown(leaf.old)} -> {shown(leaf.new)}: "
    return _said(item, message + ("more" if grows else "fewer") + " callers meet it first", risk)


def _said(item: Change, what: str, risk: Risk) -> Reason:
    return Reason(
        rule=PROMOTED,
        risk=risk,
        message=f"{item.name}: {what}",
        fix="compare its metrics with those of the model that serves now",
        urn=item.urn,
        source=item.source,
    )


def _artefacts(item: Change) -> Iterator[tuple[str, str]]:
    """Package or image before and after, where both are known to exist and differ."""
    if item.type not in MODELS or item.operation not in ("replace", "update"):
        return
    before, after = artefacts(item.old), artefacts(item.new)
    for old, new in zip(before, after, strict=False):
        if by_digest(old) != by_digest(new):
            yield old, new


def artefacts(model: Resource | None) -> list[str]:
    """Model packages or images of a model, container by container."""
    inputs = model.inputs.value if model else {}
    containers = [inputs.get("primaryContainer"), *(inputs.get("containers") or ())]
    found = []
    for container in containers:
        if isinstance(container, Mapping):
            value = container.get("modelPackageName") or container.get("image")
            found.append("known after the update" if value is UNKNOWN else str(value))
    return found


def _facts(context: Context, package: str) -> Mapping[str, Any]:
    return context.packages.get(package, {})


def _cards(change: StackChange) -> Mapping[str, Mapping[str, Any]]:
    """Model package -> status and risk of the stack's own model card about it."""
    found = {}
    for resource in change.after():
        if resource.type != CARD:
            continue
        try:
            content = json.loads(resource.inputs.value["content"])
        except (KeyError, TypeError, ValueError):
            continue
        package = content.get("model_overview", {}).get("model_id")
        if package:
            found[package] = {
                "card": str(resource.inputs.value.get("modelCardStatus")),
                "card_risk": str(content.get("intended_uses", {}).get("risk_rating", "Unknown")),
            }
    return found


def _told(facts: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """Approval, metrics and card; a metric with that of the model that serves now."""
    told = [
        f"{key} {value}" + (f" (was {before[key]})" if before.get(key, value) != value else "")
        for key, value in sorted(facts.items())
    ]
    if "approval" not in facts:
        told.append("the registry was not asked, or does not know it")
    if "card" not in facts:
        told.append("no model card names it")
    return ", ".join(told)


def _reason(
    item: Change, old: str, new: str, context: Context, facts: Mapping[str, Mapping[str, Any]]
) -> Reason:
    known = facts[item.urn]
    approved = known.get("approval", "Approved") == "Approved"
    status = "" if approved else f", which is {known['approval']}"
    return Reason(
        rule=PROMOTED,
        risk="high" if context.config.production or not approved else "medium",
        message=f"{item.name} serves {_short(new)} instead of {_short(old)}"
        f"{_kinship(old, new)}{status}",
        fix="compare its metrics with those of the model that serves now",
        urn=item.urn,
        source=item.source,
        blocks=not approved,
    )


def _kinship(old: str, new: str) -> str:
    """What is odd about a successor: of another group of models, or older."""
    was, becomes = _short(old).rpartition("/"), _short(new).rpartition("/")
    if not was[0] or not becomes[0] or "model-package/" not in old + new:
        return ""
    if was[0] != becomes[0]:
        return ", a model of another group"
    older = was[2].isdecimal() and becomes[2].isdecimal() and int(becomes[2]) < int(was[2])
    return ", an older version" if older else ""


def _unguarded(item: Change, context: Context) -> Iterator[Reason]:
    """A new configuration goes live with nothing that would take it back."""
    if item.type not in ENDPOINTS or "endpointConfigName" not in {p.root for p in item.properties}:
        return
    deployment = item.new.inputs.value.get("deploymentConfig") if item.new else None
    deployment = deployment if isinstance(deployment, Mapping) else {}
    rollback = deployment.get("autoRollbackConfiguration")
    if not (isinstance(rollback, Mapping) and rollback.get("alarms")):
        yield Reason(
            rule=UNSAFE,
            risk="high" if context.config.production else "medium",
            message=f"{item.name} is updated without an alarm that rolls it back",
            fix="set deployment_config with auto_rollback_configuration.alarms",
            urn=item.urn,
            source=item.source,
        )


def _short(artefact: str) -> str:
    return artefact.rpartition("model-package/")[2] or artefact
