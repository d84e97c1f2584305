"""Fill the workload's groups with a window's records, and build the sets to train and evaluate on.

Both sets are read back from the offline stores, the weather's included, and joined by event time:
what is trained on is what the stores hold.
"""

import argparse
from datetime import UTC, datetime

import boto3

from pipelines.block_time import derive
from pipelines.block_time.feature_groups import FLIGHTS, ROUTES, TARGET, WEATHER
from pipelines.toolkit import job, sets, used_features, window
from pipelines.toolkit.flights import ASKED_BEFORE
from pipelines.toolkit.landing import brought
from pipelines.toolkit.offline_store import OfflineStore


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for group in ("flights", "routes", "weather"):
        parser.add_argument(f"--{group}-feature-group", required=True)
    window.add_arguments(parser)
    arguments = parser.parse_args(argv)
    asked_window = window.window(arguments)
    sagemaker, s3 = boto3.client("sagemaker"), boto3.client("s3")
    flights = OfflineStore.of(sagemaker, s3, arguments.flights_feature_group, FLIGHTS)
    routes = OfflineStore.of(sagemaker, s3, arguments.routes_feature_group, ROUTES)
    weather = OfflineStore.of(sagemaker, s3, arguments.weather_feature_group, WEATHER)

    start, end = (midnight - ASKED_BEFORE for midnight in asked_window.midnights())
    observed = used_features.read(
        weather, start - derive.WEATHER_MAX_AGE, end, pipeline="pipeline ingest of workload weather"
    )
    raw, now = brought("flights"), datetime.now(UTC)
    records = derive.flights(raw, brought("planes"), brought("airports"))
    print(f"flights: {len(records):,} records, {flights.write(records, now)} new files")
    flown = derive.routes(raw)
    print(f"routes: {len(flown):,} records, {routes.write(flown, now)} new files")

    asked = derive.questions(raw)
    asked = asked[(asked["at"] >= start) & (asked["at"] < end)]
    known = derive.answer(
        asked,
        flights.read(start, end),
        routes.read(start - derive.ROUTES_MAX_AGE, end),
        observed,
    )
    print(f"{len(known):,} flights arrived, {known[TARGET].median():.0f} minutes in the air")
    sets.write(known, asked_window, ASKED_BEFORE)


if __name__ == "__main__":
    job.run(main)
