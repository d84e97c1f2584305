"""The parts of a review, in the order in which they are shown: one module each, one function."""

from policies.review.parts import (
    access,
    blast,
    changes,
    exposure,
    findings,
    keys,
    loss,
    pipelines,
    promotion,
)
from policies.review.report import Part

PARTS: tuple[Part, ...] = (
    loss.part,
    changes.part,
    promotion.part,
    pipelines.part,
    exposure.part,
    access.part,
    keys.part,
    findings.part,
    blast.part,
)
