"""Fill the group `flights` with a window's records, and build the sets to train and evaluate on.

Both sets are read back from the offline stores, the weather's included, and joined by event time:
what is trained on is what the stores hold.
"""

import argparse
from datetime import UTC, datetime

import boto3

from pipelines.flight_delay import derive
from pipelines.flight_delay.feature_groups import FLIGHTS, TARGET, WEATHER
from pipelines.toolkit import job, sets, used_features, window
from pipelines.toolkit.flights import ASKED_BEFORE
from pipelines.toolkit.landing import brought
from pipelines.toolkit.offline_store import OfflineStore


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

    start, end = (midnight - ASKED_BEFORE for midnight in asked_window.midnights())
    observed = used_features.read(
        weather, start - derive.WEATHER_MAX_AGE, end, pipeline="pipeline ingest of workload weather"
    )
    raw = brought("flights")
    records = derive.flights(raw, brought("planes"), brought("airports"))
    written = flights.write(records, datetime.now(UTC))
    print(f"flights: {len(records):,} records, {written} new files")

    asked = derive.questions(raw)
    asked = asked[(asked["at"] >= start) & (asked["at"] < end)]
    known = derive.answer(asked, flights.read(start, end), observed)
    print(f"{len(known):,} flights arrived, {known[TARGET].mean():.1%} late")
    sets.write(known, asked_window, ASKED_BEFORE)


if __name__ == "__main__":
    job.run(main)
