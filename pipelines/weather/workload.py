"""Hourly weather at the airports of origin, as features for whoever predicts flights."""

from pipelines.weather.feature_groups import HOURLY
from pipelines.workload import Pipeline, Workload

WORKLOAD = Workload(
    name="weather",
    owner="flight-data",
    description="Hourly weather at the airports of origin, as features for other workloads",
    feature_groups={"hourly": HOURLY},
    stream_groups=("hourly",),
    pipelines={
        "ingest": Pipeline(
            description="Reads months of observations, holds them to the contract, publishes them",
            build="pipelines.weather.ingest:build",
            calls_aws={
                "Ingest": "reads the months of its run from the bucket",
                "Publish": "writes to the feature store",
            },
            parameters={"FirstMonth": "2013-01", "LastMonth": "2013-03"},
        )
    },
)
