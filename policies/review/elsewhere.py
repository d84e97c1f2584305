"""Inputs that a section of the review takes apart, and of which types: of no other does anybody.

What a section tells is not told twice. A name alone does not say that a section looks: the same
input of another provider's type is left to the words of its name like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from policies.review.differences import Leaf

PIPELINES = ("aws:sagemaker/pipeline:Pipeline", "aws-native:sagemaker:Pipeline")
MODELS = ("aws:sagemaker/model:Model", "aws-native:sagemaker:Model")
ENDPOINTS = ("aws:sagemaker/endpoint:Endpoint", "aws-native:sagemaker:Endpoint")
CONFIGURATIONS = (
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration",
    "aws-native:sagemaker:EndpointConfig",
)

TAKEN_APART: Mapping[str, Sequence[str]] = {
    "pipelineDefinition": PIPELINES,
    "productionVariants": CONFIGURATIONS,
    "shadowProductionVariants": CONFIGURATIONS,
    "endpointConfigName": ENDPOINTS,
}
"""Input -> the types of which a section takes it apart."""

ARTEFACTS = ("image", "modelPackageName")
"""Names of what a model's container is made of (API reference, ContainerDefinition)."""


def is_taken_apart(leaf: Leaf, token: str) -> bool:
    """Whether a section of its own tells of it; of a model's container that is what it is made of.

    Where its weights are (`modelDataUrl`) is no name of an artefact, and nobody else tells of it.
    """
    if leaf.path[0] == "primaryContainer":
        return leaf.name in ARTEFACTS and token in MODELS
    return is_of(token, leaf.path[0]) and "environment" not in leaf.path


STEPS = ("canarySize", "linearStepSize", "maximumBatchSize")
"""Shares of an endpoint that an update moves at once."""

COMPONENT = "aws-native:sagemaker:InferenceComponent"


def is_moved(leaf: Leaf, token: str) -> bool:
    """Whether it is such a share; of other types nobody here knows what a step is."""
    return token in (*ENDPOINTS, COMPONENT) and any(name in STEPS for name in leaf.path)


def is_of(token: str, root: str) -> bool:
    """Whether a section takes this input of this type apart."""
    return token in TAKEN_APART.get(root, ())
