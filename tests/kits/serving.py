"""A small model and its signature, for the tests of serving."""

import functools
import json
import os
from pathlib import Path
from typing import Any

# Read when OpenMP starts: on busy cores its threads wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).parents[2]
FEATURES: list[dict[str, Any]] = [
    {"name": "carrier", "kind": "categorical", "categories": ["AA", "UA"], "nullable": False},
    {"name": "distance", "kind": "numeric", "nullable": False},
    {"name": "wind", "kind": "numeric", "nullable": True},
]
SIGNATURE = {"format": 1, "features": FEATURES, "target": "late"}
RECORD = {"carrier": "UA", "distance": 500, "wind": 3.5}
JSON, CSV, LINES = "application/json", "text/csv", "application/jsonlines"


@functools.cache
def model_file() -> bytes:
    """A classifier on FEATURES, as skops saves it."""
    import numpy as np
    import skops.io
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    columns = [rng.integers(0, 2, 400), rng.uniform(0, 3000, 400), rng.normal(size=400)]
    matrix = np.column_stack(columns)
    late = matrix[:, 1] + 500 * matrix[:, 0] > 1500
    content: bytes = skops.io.dumps(HistGradientBoostingClassifier(max_iter=5).fit(matrix, late))
    return content


def trained(folder: Path) -> Path:
    """A folder with that model and its signature."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.skops").write_bytes(model_file())
    (folder / "signature.json").write_text(json.dumps(SIGNATURE))
    return folder
