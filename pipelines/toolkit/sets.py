"""The sets that a model is trained and evaluated on, as steps hand them to each other."""

from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.toolkit import job, reference
from pipelines.toolkit.feature_group import EVENT_TIME
from pipelines.toolkit.landing import MANIFEST
from pipelines.toolkit.point_in_time import instants
from pipelines.toolkit.window import Window, midnight


def write(known: pd.DataFrame, asked: Window, asked_before: pd.Timedelta) -> None:
    """Part the rows at the end of training, and write both sets to the job's outputs."""
    split = midnight(asked.train_end) - asked_before
    is_training = instants(known[EVENT_TIME]) < split
    _write("train", known[is_training], asked)
    reference.write(reference.of_all(known[is_training]), job.result("train") / reference.FILE)
    _write("evaluation", known[~is_training], asked)


def _write(name: str, rows: pd.DataFrame, asked: Window) -> None:
    if rows.empty:
        raise job.StepError(f"the {name} days hold no row with a known outcome")
    manifest = job.read_json(job.given("raw") / MANIFEST)
    rows.to_parquet(job.result(name) / f"{name}.parquet", index=False)
    job.write_json(
        job.result(name) / MANIFEST,
        {
            "data_hash": manifest["data_hash"],
            "rows": len(rows),
            "train_start": asked.train_start.isoformat(),
            "train_end": asked.train_end.isoformat(),
            "end": asked.end.isoformat(),
        },
    )
    print(f"{name}: {len(rows):,} rows")


def read(folder: Path, name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A set and its manifest."""
    return pd.read_parquet(folder / f"{name}.parquet"), job.read_json(folder / MANIFEST)
