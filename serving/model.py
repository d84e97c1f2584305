"""The model artefact: a skops file and its signature, loaded only if every type in it is ours.

A model is somebody's file that becomes code's input, so nothing in it chooses what is run: pickles
and joblib dumps are never opened, and a skops file may hold the types of MODEL_TYPES alone. To be
among the hundreds of types that skops itself trusts is not enough to get in.
"""

import json
import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.signature import ArtefactRefused, Signature, read

MODEL_FILE = "model.skops"
SIGNATURE_FILE = "signature.json"
UNPACKED_LIMIT = 1 << 30
"""Bytes that the members of a skops file may unpack to."""

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

    def predict(self, rows: Sequence[Sequence[float]]) -> list[list[float]]:
        """The values of the signature's outputs per row."""
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
    _check(model)
    return model


def _loaded(path: Path, allowed: Sequence[str]) -> Any:
    unknown = sorted(_types(_schema(path)) - set(allowed))
    if unknown:
        raise ArtefactRefused(f"{path.name} holds types that are not trusted: {', '.join(unknown)}")
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        return skops.io.load(path, trusted=list(TRUSTED_TYPES))
    except UntrustedTypesFoundException as error:
        raise ArtefactRefused(f"{path.name} holds types that are not trusted: {error}") from error
    # What skops raises on a file that was tampered with depends on the place.
    except (
        ArithmeticError,
        AttributeError,
        ImportError,
        LookupError,
        OSError,
        RecursionError,
        TypeError,
        ValueError,
        zipfile.BadZipFile,
    ) as error:
        raise ArtefactRefused(f"{path.name} cannot be loaded: {error}") from error


def _schema(path: Path) -> Any:
    """The schema of a skops file, read without loading anything it describes."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
            if size > UNPACKED_LIMIT:
                raise ArtefactRefused(f"{path.name} unpacks to {size} bytes: too large")
            return json.loads(archive.read("schema.json"))
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, RecursionError) as error:
        raise ArtefactRefused(
            f"{path.name} is not a skops file ({error}); pickles are never loaded"
        ) from error


def _types(schema: Any) -> set[str]:
    return set(_type_names(schema))


def _type_names(node: Any) -> Iterator[str]:
    waiting = [node]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if "__class__" in item or "__module__" in item:
                yield f"{item.get('__module__')}.{item.get('__class__')}"
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


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
