"""The signature of a model: which features a record must have, and what the model answers."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

FORMAT = 1
"""Of signature.json; another one is refused."""

SIGNATURE_BYTES = 16 << 20

MISSING = math.nan
"""What the model sees for a null, and for a category that it was not trained on."""


class ArtefactRefused(Exception):
    """A model artefact that must not, or cannot, be served."""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One column of the matrix that the model was trained on."""

    name: str
    kind: Literal["numeric", "categorical"]
    nullable: bool = False
    """Whether a record may hold null. Default: it must hold a value."""
    codes: Mapping[str, float] = field(default_factory=dict)
    """Code by category: its place in the signature's list. Default: the feature is numeric."""


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Features in the order of the model's matrix, and the outputs in the order of its answer."""

    features: tuple[Feature, ...]
    names: frozenset[str]
    kind: Literal["binary", "number"]
    """Of the target: whether something happens, or how much of it."""

    outputs: tuple[str, ...]
    """What a prediction is made of: `probability`, or a number's quantiles by name, from the
    lowest to the highest."""


def read(path: Path) -> Signature:
    """The signature in a file, or ArtefactRefused with everything that is wrong with it."""
    try:
        size = path.stat().st_size
        if size > SIGNATURE_BYTES:
            raise ArtefactRefused(f"{path.name} must have at most {SIGNATURE_BYTES} bytes: {size}")
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ArtefactRefused(f"{path.name} cannot be read: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ArtefactRefused(f"{path.name}: format must be {FORMAT}")
    listed = document.get("features")
    if not isinstance(listed, list) or not listed:
        raise ArtefactRefused(f"{path.name}: features must be a list of at least one feature")
    features = tuple(_feature(item, f"{path.name}: features[{i}]") for i, item in enumerate(listed))
    names = [feature.name for feature in features]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ArtefactRefused(f"{path.name}: features are listed twice: {', '.join(twice[:10])}")
    kind, outputs = _target(document.get("target"), f"{path.name}: target")
    return Signature(features=features, names=frozenset(names), kind=kind, outputs=outputs)


def _target(item: Any, where: str) -> tuple[Literal["binary", "number"], tuple[str, ...]]:
    kind = item.get("kind") if isinstance(item, dict) else None
    if kind == "binary":
        return kind, ("probability",)
    if kind != "number":
        raise ArtefactRefused(f"{where}.kind must be binary or number, got {kind!r}")
    listed = item.get("outputs")
    are_names = isinstance(listed, list) and all(
        isinstance(name, str) and name and name.isprintable() for name in listed
    )
    if not are_names or not listed or len(set(listed)) != len(listed):
        raise ArtefactRefused(f"{where}.outputs must be distinct names, got {listed!r}")
    return kind, tuple(listed)


def _feature(item: Any, where: str) -> Feature:
    name = item.get("name") if isinstance(item, dict) else None
    if not isinstance(name, str) or not name or not name.isprintable():
        raise ArtefactRefused(f"{where} must have a name")
    kind, nullable = item.get("kind"), item.get("nullable", False)
    if kind not in ("numeric", "categorical"):
        raise ArtefactRefused(f"{where}.kind must be numeric or categorical, got {kind!r}")
    if not isinstance(nullable, bool):
        raise ArtefactRefused(f"{where}.nullable must be true or false, got {nullable!r}")
    categories = item.get("categories") or []
    if not isinstance(categories, list) or not all(isinstance(text, str) for text in categories):
        raise ArtefactRefused(f"{where}.categories must be a list of text")
    if (kind == "categorical") != bool(categories) or len(set(categories)) != len(categories):
        raise ArtefactRefused(f"{where}.categories must be distinct, and only a category has them")
    codes = {category: float(code) for code, category in enumerate(categories)}
    return Feature(name=name, kind=kind, nullable=nullable, codes=codes)
