"""The model artefact: a skops file and its signature, loaded only if every type in it is ours.

A model is somebody's file that becomes code's input, so nothing in it chooses what is run: pickles
and joblib dumps are never opened, and a skops file may hold the types of MODEL_TYPES alone. To be
among the hundreds of types that skops itself trusts is not enough to get in. What it may cost is
bounded before it is read ([artefact.py](artefact.py)), and its trees are looked at before they are
asked ([trees.py](trees.py)).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from serving import artefact, trees
from serving.signature import ArtefactRefused, Signature, read

FEW_ROWS = 8
"""Up to here a walk of our own takes less time than scikit-learn (tests/bench/serving.py)."""

MODEL_FILE = "model.skops"
SIGNATURE_FILE = "signature.json"
_GRADIENT_BOOSTING = "sklearn.ensemble._hist_gradient_boosting"
TRUSTED_TYPES = (f"{_GRADIENT_BOOSTING}.predictor.TreePredictor",)
"""What skops does not trust by itself and a model of ours needs; training holds the same tuple."""

_COMMON = (
    "builtins.dict",
    "builtins.list",
    "builtins.str",
    "builtins.tuple",
    "numpy.ndarray",
    "numpy.random._generator.Generator",
    "numpy.uint64",
    "sklearn._loss.link.Interval",
    f"{_GRADIENT_BOOSTING}.binning._BinMapper",
    *TRUSTED_TYPES,
)
MODEL_TYPES: Mapping[str, tuple[str, ...]] = {
    "binary": (
        *_COMMON,
        "sklearn._loss._loss.CyHalfBinomialLoss",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.loss.HalfBinomialLoss",
        f"{_GRADIENT_BOOSTING}.gradient_boosting.HistGradientBoostingClassifier",
        "sklearn.preprocessing._label.LabelEncoder",
    ),
    "number": (
        *_COMMON,
        "sklearn._loss._loss.CyPinballLoss",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.loss.PinballLoss",
        f"{_GRADIENT_BOOSTING}.gradient_boosting.HistGradientBoostingRegressor",
    ),
}
"""By the kind of target, all types of a model on a plain matrix, saved by scikit-learn 1.9: a
HistGradientBoostingClassifier, or a list of HistGradientBoostingRegressor with quantile loss."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A loaded model and the records it takes."""

    estimators: tuple[Any, ...]
    """A classifier, or one regressor per output of the signature."""

    signature: Signature
    walks: tuple[trees.Walk, ...] = ()
    """The trees of each estimator, for a few rows. Default: scikit-learn is asked for every row."""

    def predict(self, rows: Sequence[Sequence[float]]) -> list[list[float]]:
        """The values of the signature's outputs per row."""
        if self.walks and len(rows) <= FEW_ROWS:
            return [self._walked(row) for row in rows]
        import numpy as np

        matrix = np.asarray(rows, dtype=np.float64)
        if self.signature.kind == "binary":
            found = self.estimators[0].predict_proba(matrix)[:, 1:]
        else:
            # each quantile has a model of its own: where two cross, they change places
            answers = [estimator.predict(matrix) for estimator in self.estimators]
            found = np.sort(np.column_stack(answers), axis=1)
        values: list[list[float]] = found.tolist()
        return values

    def _walked(self, row: Sequence[float]) -> list[float]:
        raw = [walk.raw(row) for walk in self.walks]
        if self.signature.kind == "binary":
            import numpy as np
            from scipy.special import expit

            return [float(expit(np.float64(raw[0])))]
        return sorted(raw)


def load(folder: Path) -> Model:
    """The model in a folder, warmed up by one prediction; ArtefactRefused if it is not fit."""
    path = folder / MODEL_FILE
    if not path.is_file():
        held = ", ".join(sorted(item.name for item in folder.glob("*"))[:10]) or "nothing"
        raise ArtefactRefused(
            f"{folder} must hold {MODEL_FILE}, it holds {held}; pickles are never loaded"
        )
    signature = read(folder / SIGNATURE_FILE)
    found = _loaded(path, MODEL_TYPES[signature.kind])
    model = Model(
        estimators=tuple(found) if isinstance(found, list) else (found,), signature=signature
    )
    try:
        with artefact.bounded_memory():
            _check(model)
    except ArtefactRefused:
        raise
    except Exception as error:  # attributes that are there and are something else
        raise ArtefactRefused(f"{path.name} holds no model that answers: {error!r}") from error
    walks = [trees.walk(estimator) for estimator in model.estimators]
    return replace(model, walks=tuple(walk for walk in walks if walk and all(walks)))


def _loaded(path: Path, allowed: Sequence[str]) -> Any:
    """What a skops file holds; all of it is looked at before anything of it is made."""
    content = artefact.read(path)
    unknown = sorted(content.types - set(allowed))
    if unknown:
        raise ArtefactRefused(f"{path.name} holds types that are not trusted: {', '.join(unknown)}")
    if content.loaders - artefact.LOADERS:
        others = ", ".join(sorted(content.loaders - artefact.LOADERS))
        raise ArtefactRefused(f"{path.name} cannot be loaded: {others} is not trusted")
    import skops.io

    with artefact.bounded_memory():
        try:
            return skops.io.load(path, trusted=list(TRUSTED_TYPES))
        # What skops raises on a file that was tampered with depends on the place.
        except Exception as error:
            raise ArtefactRefused(f"{path.name} cannot be loaded: {error!r}") from error


def _check(model: Model) -> None:
    """A prediction on an empty record: the file fits its signature, and the first call is warm."""
    expected, outputs = len(model.signature.features), model.signature.outputs
    if len(model.estimators) != len(outputs):
        raise ArtefactRefused(
            f"the model must have {len(outputs)} estimators, as its signature has outputs,"
            f" got {len(model.estimators)}"
        )
    for estimator in model.estimators:
        found = getattr(estimator, "n_features_in_", None)
        if found != expected:
            raise ArtefactRefused(f"the model has {found} features, its signature {expected}")
        trees.check(estimator, expected)
    if model.signature.kind == "binary":
        _check_classifier(model.estimators[0])
    elif not all(hasattr(estimator, "predict") for estimator in model.estimators):
        raise ArtefactRefused("the model must hold regressors alone")
    (values,) = model.predict([[math.nan] * expected])
    if not all(math.isfinite(value) for value in values):
        raise ArtefactRefused(f"the model answers {values}, which are no numbers")
    if model.signature.kind == "binary" and not 0 <= values[0] <= 1:
        raise ArtefactRefused(f"the model answers {values[0]}, which is no probability")


def _check_classifier(estimator: Any) -> None:
    classes = len(getattr(estimator, "classes_", ()))
    if classes != 2 or not hasattr(estimator, "predict_proba"):
        raise ArtefactRefused(f"the model must be a classifier of two classes, got {classes}")
