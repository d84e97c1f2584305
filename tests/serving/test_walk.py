"""The walk of a few rows through the trees of a model, beside scikit-learn's own."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from serving import trees
from serving.model import FEW_ROWS, load
from tests.kits.serving import trained

RNG = np.random.default_rng(5)
ROWS = RNG.normal(size=(400, 4))
ROWS[RNG.random(ROWS.shape) < 0.15] = math.nan
LABELS = np.nan_to_num(ROWS[:, 0]) + RNG.normal(size=400) > 0.3


def asked() -> Any:
    """Rows that the model has not seen: what is missing, and values on a threshold among them."""
    rows = RNG.normal(size=(300, 4)) * 2
    rows[RNG.random(rows.shape) < 0.2] = math.nan
    return np.vstack([rows, ROWS[:100], [[math.inf, -math.inf, 0.0, math.nan]]])


def test_a_walk_comes_to_the_same_as_scikit_learn_to_the_last_bit() -> None:
    classifier = HistGradientBoostingClassifier(max_iter=60, early_stopping=False)
    classifier.fit(ROWS, LABELS)
    minutes = np.nan_to_num(ROWS[:, 1]) * 40
    regressor = HistGradientBoostingRegressor(loss="quantile", quantile=0.9, max_iter=60)
    regressor.fit(ROWS, minutes)
    for model in (classifier, regressor):
        walk = trees.walk(model)
        assert walk is not None and len(walk.roots) > 20
        rows = asked()
        expected = model._raw_predict(rows)[:, 0].tolist()
        assert [walk.raw(row) for row in rows.tolist()] == expected
        bounds = sorted({bound for bound, of in zip(walk.threshold, walk.feature, strict=True)
                         if of == 0})  # fmt: skip
        edges = np.full((len(bounds), 4), 0.1)
        edges[:, 0] = bounds
        assert [walk.raw(row) for row in edges.tolist()] == model._raw_predict(edges)[:, 0].tolist()


@pytest.mark.parametrize("kind", ["binary", "number"])
def test_a_model_answers_few_rows_as_it_answers_many(tmp_path: Path, kind: str) -> None:
    model = load(trained(tmp_path, kind))
    assert len(model.walks) == len(model.estimators)
    rows = [[float(n % 2), 150.0 * n, math.nan if n == 2 else n - 3.0] for n in range(FEW_ROWS + 1)]
    assert [model.predict([row])[0] for row in rows] == model.predict(rows)


def test_a_model_of_too_many_nodes_is_not_held_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "WALKED_NODES", 3)
    model = load(trained(tmp_path))
    assert model.walks == ()
    assert len(model.predict([[1.0, 500.0, 3.5]])) == 1
