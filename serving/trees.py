"""The trees of a model before they are asked: scikit-learn walks them in C, without a look around.

And a walk of our own for a few rows: scikit-learn prepares each of a hundred trees for many rows,
which takes longer than to walk them all for one.

A node that names itself as its child never ends, one that names a child outside of its tree reads
memory of others. In a tree that scikit-learn grew, children come after their parent, so every walk
ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from serving.signature import ArtefactRefused

NODES = 20_000_000
"""Of all trees of an estimator."""

WALKED_NODES = 200_000
"""Most nodes that are held a second time, as Python's own numbers (some 100 bytes each)."""

LEAF = -1


def check(estimator: Any, features: int) -> None:
    """Refuse an estimator whose trees lead out of themselves, or that has more than trees."""
    if estimator.n_trees_per_iteration_ != 1 or estimator._preprocessor is not None:
        raise ArtefactRefused("the model must have one tree per iteration and no preprocessor")
    categorical = getattr(estimator._bin_mapper, "is_categorical_", None)
    if categorical is not None and bool(categorical.any()):
        raise ArtefactRefused("the model must take numbers alone, its bins have categories")
    if estimator._baseline_prediction.shape != (1, 1):
        raise ArtefactRefused("the model must have one baseline")
    seen = 0
    for number, iteration in enumerate(estimator._predictors):
        if len(iteration) != 1:
            raise ArtefactRefused(f"iteration {number} must have one tree, got {len(iteration)}")
        seen += len(iteration[0].nodes)
        if seen > NODES:
            raise ArtefactRefused(f"the model must have at most {NODES} nodes")
        _check_tree(iteration[0].nodes, features, f"tree {number}")


def _check_tree(nodes: Any, features: int, where: str) -> None:
    import numpy as np
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

    if nodes.dtype != PREDICTOR_RECORD_DTYPE or nodes.ndim != 1 or not len(nodes):
        raise ArtefactRefused(f"{where} must be nodes of scikit-learn, got {nodes.dtype}")
    places = np.flatnonzero(nodes["is_leaf"] == 0)
    inner = nodes[places]
    for side in ("left", "right"):
        leads = inner[side].astype(np.int64)
        if not ((leads > places) & (leads < len(nodes))).all():
            raise ArtefactRefused(f"{where}: a {side} child must come after its node, inside")
    asked = inner["feature_idx"]
    if not ((asked >= 0) & (asked < features)).all() or inner["is_categorical"].any():
        raise ArtefactRefused(f"{where} must ask for numbers among its {features} features")
    if not np.isfinite(nodes["value"]).all():
        raise ArtefactRefused(f"{where} must answer finite numbers")


@dataclass(frozen=True, kw_only=True)
class Walk:
    """All trees of an estimator in flat lists; a node is a place in them."""

    roots: Sequence[int]
    feature: Sequence[int]
    """Of the record, or LEAF."""
    threshold: Sequence[float]
    missing_left: Sequence[bool]
    left: Sequence[int]
    right: Sequence[int]
    value: Sequence[float]
    baseline: float

    def raw(self, row: Sequence[float]) -> float:
        """The sum of the leaves that a row comes to, in scikit-learn's order: to the last bit."""
        feature, threshold, missing_left = self.feature, self.threshold, self.missing_left
        left, right, value = self.left, self.right, self.value
        total = self.baseline
        for node in self.roots:
            while (asked := feature[node]) != LEAF:
                found, bound = row[asked], threshold[node]
                # what is missing (NaN) is neither below nor above
                goes_left = found <= bound or (missing_left[node] and not found > bound)
                node = left[node] if goes_left else right[node]  # noqa: PLW2901 - that is a walk
            total += value[node]
        return total


def walk(estimator: Any) -> Walk | None:
    """The trees of a checked estimator; None where there are too many nodes."""
    import numpy as np

    trees = [iteration[0].nodes for iteration in estimator._predictors]
    sizes = [len(nodes) for nodes in trees]
    if sum(sizes) > WALKED_NODES:
        return None
    roots = [0, *accumulate(sizes)][:-1]
    nodes = np.concatenate(trees)
    shift = np.repeat(roots, sizes)
    return Walk(
        roots=roots,
        feature=np.where(nodes["is_leaf"] != 0, LEAF, nodes["feature_idx"]).tolist(),
        threshold=nodes["num_threshold"].tolist(),
        missing_left=(nodes["missing_go_to_left"] != 0).tolist(),
        left=(nodes["left"].astype(np.int64) + shift).tolist(),
        right=(nodes["right"].astype(np.int64) + shift).tolist(),
        value=nodes["value"].tolist(),
        baseline=float(estimator._baseline_prediction[0, 0]),
    )
