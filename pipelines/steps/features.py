"""Fill the feature groups with a window's records, and build the sets to train and evaluate on.

Both sets are read back from the feature groups' offline store and joined by event time, so what is
trained on is what the store holds.
"""

import argparse
from datetime import UTC, datetime
from typing import Any

import boto3
import pandas as pd

from pipelines.steps import derive, job, tables, window
from pipelines.steps.feature_groups import FLIGHTS, TARGET, WEATHER, FeatureGroup
from pipelines.steps.ingest import MANIFEST
from pipelines.steps.offline_store import OfflineStore
from pipelines.steps.window import Window, midnight


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flights-feature-group", required=True)
    parser.add_argument("--weather-feature-group", required=True)
    window.add_arguments(parser)
    arguments = parser.parse_args(argv)
    asked_window = window.window(arguments)
    sagemaker, s3 = boto3.client("sagemaker"), boto3.client("s3")
    flights = OfflineStore.of(sagemaker, s3, arguments.flights_feature_group, FLIGHTS)
    weather = OfflineStore.of(sagemaker, s3, arguments.weather_feature_group, WEATHER)

    raw = _raw("flights")
    now = datetime.now(UTC)
    records = derive.flights(raw, _raw("planes"), _raw("airports"))
    print(f"flights: {len(records):,} records, {flights.write(records, now)} new files")
    observed = derive.weather(_raw("weather"))
    print(f"weather: {len(observed):,} records, {weather.write(observed, now)} new files")
    if sagemaker.describe_feature_group(FeatureGroupName=arguments.weather_feature_group).get(
        "OnlineStoreConfig"
    ):
        _put_newest(arguments.weather_feature_group, WEATHER, observed)

    start, end = _asked_between(asked_window)
    known = derive.answer(
        _within(derive.questions(raw), start, end),
        flights.read(start, end),
        weather.read(start - derive.WEATHER_MAX_AGE, end),
    )
    split = midnight(asked_window.train_end) - derive.ASKED_BEFORE
    is_training = derive.instants(known["event_time"]) < split
    _write("train", known[is_training], asked_window)
    _write("evaluation", known[~is_training], asked_window)


def _asked_between(asked_window: Window) -> tuple[datetime, datetime]:
    """When the first question of a window is asked, and the end of asking."""
    return (
        midnight(asked_window.train_start) - derive.ASKED_BEFORE,
        midnight(asked_window.end) - derive.ASKED_BEFORE,
    )


def _raw(dataset: str) -> pd.DataFrame:
    """A dataset of the raw input: one file, or the months in their order."""
    folder = job.given("raw")
    files = sorted((folder / dataset).glob("*.csv")) or [folder / f"{dataset}.csv"]
    return pd.concat([tables.read(path) for path in files], ignore_index=True)


def _within(asked: pd.DataFrame, start: datetime, end: datetime) -> pd.DataFrame:
    return asked[(asked["at"] >= start) & (asked["at"] < end)]


def _put_newest(name: str, group: FeatureGroup, records: pd.DataFrame) -> None:
    """Bring the newest record of each key to the online store."""
    runtime = boto3.client("sagemaker-featurestore-runtime")
    newest = records.sort_values(group.event_time).drop_duplicates(
        group.record_identifier, keep="last"
    )
    for record in newest[list(group.features)].to_dict("records"):
        runtime.put_record(
            FeatureGroupName=name, Record=_as_record(record), TargetStores=["OnlineStore"]
        )
    print(f"online store: {len(newest)} newest records")


def _as_record(values: dict[Any, Any]) -> list[dict[str, str]]:
    """A record in the runtime's form; a null is a feature left out."""
    return [
        {"FeatureName": str(name), "ValueAsString": str(value)}
        for name, value in values.items()
        if pd.notna(value)
    ]


def _write(name: str, known: pd.DataFrame, asked_window: Window) -> None:
    if known.empty:
        raise job.StepError(f"the {name} days hold no flight that arrived")
    manifest = job.read_json(job.given("raw") / MANIFEST)
    known.to_parquet(job.result(name) / f"{name}.parquet", index=False)
    job.write_json(
        job.result(name) / MANIFEST,
        {
            "data_hash": manifest["data_hash"],
            "rows": len(known),
            "train_start": asked_window.train_start.isoformat(),
            "train_end": asked_window.train_end.isoformat(),
            "end": asked_window.end.isoformat(),
        },
    )
    print(f"{name}: {len(known):,} flights, {known[TARGET].mean():.1%} late")


if __name__ == "__main__":
    job.run(main)
