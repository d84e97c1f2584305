"""The model artefact: an estimator saved with skops, and the signature that says what it eats.

Serving knows this format and nothing else of the pipeline.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

MODEL = "model.skops"
SIGNATURE = "signature.json"
FORMAT = 1
"""Of the signature; a server refuses one that it does not know."""

TRUSTED_TYPES = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)
"""What a model may consist of besides skops' own list; serving holds the same tuple."""


def matrix(features: Sequence[Mapping[str, Any]], frame: "pd.DataFrame") -> np.ndarray:
    """Rows as the estimator takes them: numbers as they are, names by their place in `categories`.

    What is null, or a name that training never saw, is NaN: the trees have a branch for it.
    """
    columns = []
    for feature in features:
        values = frame[feature["name"]]
        if feature["kind"] == "categorical":
            codes = {name: float(at) for at, name in enumerate(feature["categories"])}
            values = values.map(codes)
        columns.append(values.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.column_stack(columns)
