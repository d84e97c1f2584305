"""Write the group `hourly`: the whole history to its offline store, the newest hour online."""

import argparse
from datetime import UTC, datetime

import boto3

from pipelines.toolkit import job, online_store
from pipelines.toolkit.landing import brought
from pipelines.toolkit.offline_store import OfflineStore
from pipelines.weather import derive
from pipelines.weather.feature_groups import HOURLY


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hourly-feature-group", required=True)
    name = parser.parse_args(argv).hourly_feature_group
    sagemaker, s3 = boto3.client("sagemaker"), boto3.client("s3")
    store = OfflineStore.of(sagemaker, s3, name, HOURLY)
    records = derive.hourly(brought("weather"))
    written = store.write(records, datetime.now(UTC))
    print(f"offline store: {len(records):,} records, {written} new files")
    runtime = boto3.client("sagemaker-featurestore-runtime")
    newest = online_store.put_newest(sagemaker, runtime, name, HOURLY, records)
    print(f"online store: {newest} newest records")


if __name__ == "__main__":
    job.run(main)
