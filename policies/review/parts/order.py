"""The parts of a review, in the order in which they are shown: one module each, one function.

What costs money stands between the two: prices and instance types are no business of the rules.
"""

from policies.review.parts import (
    access,
    blast_radius,
    changes,
    coverage,
    data_loss,
    exposure,
    findings,
    keys,
    outputs,
    pipelines,
    preconditions,
    promotion,
    unexplained,
)
from policies.review.report import Part

FIRST: tuple[Part, ...] = (preconditions.part, data_loss.part, changes.part, unexplained.part)
"""What nobody may miss."""

THEN: tuple[Part, ...] = (
    promotion.part,
    pipelines.part,
    exposure.part,
    access.part,
    keys.part,
    outputs.part,
    findings.part,
    coverage.part,
    blast_radius.part,
)
