"""The trees of a model before they are asked: scikit-learn walks them in C, without a look around.

A node that names itself as its child never ends, one that names a child outside of its tree reads
memory of others. In a tree that scikit-learn grew, children come after their parent, so every walk
ends.
"""

from typing import Any

from serving.signature import ArtefactRefused

NODES = 20_000_000
"""Of all trees of an estimator."""


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
