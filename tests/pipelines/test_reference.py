"""The sketch of the training data: what is found with it is what all values would say."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipelines.toolkit import drift, reference

DICE = np.random.default_rng(14)
ROWS = 30_000

SHAPES: dict[str, tuple[Any, Any]] = {
    "the same": (DICE.normal(size=ROWS), DICE.normal(size=ROWS // 3)),
    "shifted": (DICE.normal(size=ROWS), DICE.normal(0.3, 1, ROWS)),
    "wider": (DICE.normal(size=ROWS), DICE.normal(0, 3, ROWS)),
    "heavy tails": (DICE.standard_cauchy(ROWS), 2 * DICE.standard_cauchy(ROWS)),
    "counts": (DICE.poisson(3, ROWS), DICE.poisson(4, ROWS)),
    "one value": (np.full(ROWS, 2.0), DICE.normal(2, 1, ROWS)),
    "a spike between the points": (DICE.normal(size=ROWS), np.full(5_000, 0.1234567)),
    "elsewhere": (DICE.uniform(0, 1, ROWS), DICE.uniform(5, 6, ROWS)),
    "few rows": (DICE.normal(size=ROWS), DICE.normal(1, 1, 12)),
    "few trained on": (DICE.normal(size=15), DICE.normal(1, 1, ROWS)),
    "mostly nought": (DICE.binomial(1, 0.1, ROWS) * DICE.normal(size=ROWS), DICE.normal(size=ROWS)),
}


def shares(values: Any, edges: Any) -> Any:
    counted = np.bincount(np.digitize(values, edges), minlength=len(edges) + 1)
    return np.maximum(counted / len(values), reference.FLOOR)


def stability_of_all(trained: Any, asked: Any) -> float:
    """The index as its definition says it: the sum over the bins of (b - a) * ln(b / a)."""
    edges = np.unique(np.quantile(trained, np.linspace(0, 1, reference.BINS + 1)))[1:-1]
    before, after = shares(trained, edges), shares(asked, edges)
    return float(np.sum((after - before) * np.log(after / before)))


@pytest.mark.parametrize("name", SHAPES)
def test_what_the_sketch_finds_is_what_all_values_say(name: str) -> None:
    trained, asked = SHAPES[name]
    sketch = reference.of(pd.Series(trained))
    exact = stats.ks_2samp(trained, asked).statistic
    assert reference.distance(sketch, pd.Series(asked)) == pytest.approx(exact, abs=1e-3)
    index = reference.stability(sketch, pd.Series(asked))
    assert index == pytest.approx(stability_of_all(trained, asked), abs=1e-3)


def test_missing_values_are_left_out_of_the_distance_and_in_of_the_index() -> None:
    trained = pd.Series(SHAPES["the same"][0])
    holes = pd.Series([*SHAPES["the same"][1], *[np.nan] * 5_000])
    sketch = reference.of(trained)
    assert reference.distance(sketch, holes) == reference.distance(sketch, holes.dropna())
    assert reference.stability(sketch, holes) > reference.stability(sketch, holes.dropna()) + 0.5
    nothing = pd.Series([None, None], dtype=object)
    assert reference.distance(sketch, nothing) == 1.0
    assert reference.distance(reference.of(nothing.astype(float)), nothing) == 0.0


def test_text_that_is_numbers_is_compared_as_numbers() -> None:
    sketch = reference.of(pd.Series(range(1000)))
    assert reference.distance(sketch, pd.Series([str(n) for n in range(1000)])) == 0


def test_a_sketch_is_small_and_comes_back_as_it_was(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "number": DICE.normal(size=ROWS),
            "carrier": pd.Series(DICE.choice(["AA", "UA", ""], ROWS)).replace("", None),
            "count": DICE.poisson(3, ROWS),
            "at": pd.Timestamp("2013-01-01", tz="UTC"),
            "name": [f"row {number}" for number in range(ROWS)],
        }
    )
    sketches = reference.of_all(frame)
    assert list(sketches) == ["number", "carrier", "count"]
    path = tmp_path / reference.FILE
    reference.write(sketches, path)
    assert path.stat().st_size < 200_000
    again = reference.read(path)
    later = frame.sample(1_000, random_state=1)
    for name, sketch in sketches.items():
        for measure in (reference.stability, reference.distance):
            assert measure(again[name], later[name]) == measure(sketch, later[name])


class NoSuchKey(Exception):
    """What S3 says of a key that is not there."""


class Bucket:
    """An S3 client with some objects."""

    exceptions = SimpleNamespace(NoSuchKey=NoSuchKey)

    def __init__(self, **objects: bytes) -> None:
        self.objects = objects

    def get_object(self, Bucket: str, Key: str) -> Any:
        if Key not in self.objects:
            raise NoSuchKey
        return {"Body": io.BytesIO(self.objects[Key])}


def test_a_package_that_is_older_than_sketches_is_compared_with_its_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": DICE.normal(size=500)})
    rows = io.BytesIO()
    frame.to_parquet(rows)
    reference.write(reference.of_all(frame), tmp_path / reference.FILE)
    sketch = (tmp_path / reference.FILE).read_bytes()
    old = drift.baseline(
        Bucket(**{"run/train.parquet": rows.getvalue()}), "s3://b/run/train.parquet"
    )
    new = drift.baseline(Bucket(**{"run/reference.npz": sketch}), "s3://b/run/train.parquet")
    asked = pd.Series(DICE.normal(1, 1, 300))
    assert reference.distance(old["a"], asked) == reference.distance(new["a"], asked)
