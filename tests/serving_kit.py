"""Small models of both kinds and their signatures, for the tests of serving."""

import functools
import json
import os
from pathlib import Path
from typing import Any

# Read when OpenMP starts: on busy cores its threads wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).parent.parent
FEATURES: list[dict[str, Any]] = [
    {"name": "carrier", "kind": "categorical", "categories": ["AA", "UA"], "nullable": False},
    {"name": "distance", "kind": "numeric", "nullable": False},
    {"name": "wind", "kind": "numeric", "nullable": True},
]
SIGNATURE = {"format": 1, "features": FEATURES, "target": {"name": "late", "kind": "binary"}}
OUTPUTS = ["p10", "value", "p90"]
NUMBER = {"name": "minutes", "kind": "number", "outputs": OUTPUTS}
RECORD = {"carrier": "UA", "distance": 500, "wind": 3.5}
JSON, CSV, LINES = "application/json", "text/csv", "application/jsonlines"


@functools.cache
def matrix() -> Any:
    """400 rows of FEATURES."""
    import numpy as np

    rng = np.random.default_rng(0)
    columns = [rng.integers(0, 2, 400), rng.uniform(0, 3000, 400), rng.normal(size=400)]
    return np.column_stack(columns)


@functools.cache
def classifier() -> bytes:
    """A classifier on FEATURES, as skops saves it."""
    import skops.io
    from sklearn.ensemble import HistGradientBoostingClassifier

    late = matrix()[:, 1] + 500 * matrix()[:, 0] > 1500
    model = HistGradientBoostingClassifier(max_iter=5).fit(matrix(), late)
    content: bytes = skops.io.dumps(model)
    return content


@functools.cache
def regressors() -> bytes:
    """A regressor per output on FEATURES, as skops saves them."""
    import skops.io
    from sklearn.ensemble import HistGradientBoostingRegressor

    minutes = matrix()[:, 1] / 8 + 20 * matrix()[:, 2]
    models = [
        HistGradientBoostingRegressor(loss="quantile", quantile=share, max_iter=5)
        for share in (0.1, 0.5, 0.9)
    ]
    content: bytes = skops.io.dumps([model.fit(matrix(), minutes) for model in models])
    return content


def trained(folder: Path, kind: str = "binary") -> Path:
    """A folder with a model of a kind of target, and its signature."""
    folder.mkdir(parents=True, exist_ok=True)
    is_binary = kind == "binary"
    (folder / "model.skops").write_bytes(classifier() if is_binary else regressors())
    signature = SIGNATURE if is_binary else SIGNATURE | {"target": NUMBER}
    (folder / "signature.json").write_text(json.dumps(signature))
    return folder
