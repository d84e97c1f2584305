"""Features, the streams that fill them, and the engines that compute them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stacks.pins.table import pins
from stacks.settings.part import Part


class TimeToLive(Part):
    unit: Literal["Seconds", "Minutes", "Hours", "Days", "Weeks"]
    value: Annotated[int, Field(ge=1)]


class Throughput(Part):
    mode: Literal["OnDemand", "Provisioned"] = "OnDemand"
    read_capacity_units: Annotated[int, Field(ge=1)] | None = None
    write_capacity_units: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _has_units_when_provisioned(self) -> Throughput:
        units = (self.read_capacity_units, self.write_capacity_units)
        if self.mode == "Provisioned" and None in units:
            raise ValueError(f"Provisioned throughput must have both units, got {units}")
        if self.mode == "OnDemand" and units != (None, None):
            raise ValueError(f"OnDemand throughput must have no units, got {units}")
        return self


class FeatureGroup(Part):
    """How the records of one group are kept; its schema is the workload's."""

    data_class: Literal["public", "internal", "personal"] = "internal"
    """What the records are about. Default: internal."""

    online: bool = True
    storage_type: Literal["Standard", "InMemory"] = "Standard"
    time_to_live: TimeToLive | None = None
    throughput: Throughput | None = None
    table_format: Literal["Glue", "Iceberg"] | None = "Glue"
    """Fixed at creation; null: no offline store. The pipeline's steps read and write the files of
    a Glue table themselves, and cannot read those of Iceberg."""

    @model_validator(mode="after")
    def _is_possible(self) -> FeatureGroup:
        if not self.online and self.table_format is None:
            raise ValueError("a feature group must be online or have a table_format, got neither")
        if self.storage_type == "InMemory" and (not self.online or self.table_format):
            raise ValueError(
                "storage_type InMemory must be online with table_format null, "
                f"got online {self.online}, table_format {self.table_format!r}"
            )
        if not self.online and (self.time_to_live or self.throughput):
            raise ValueError("time_to_live and throughput must stand beside online: true")
        provisioned = self.throughput and self.throughput.mode == "Provisioned"
        if provisioned and self.storage_type == "InMemory":
            raise ValueError("Provisioned throughput must stand beside storage_type Standard")
        return self


class Features(Part):
    groups: dict[str, FeatureGroup] = Field(default_factory=dict)
    """By a group that the workload owns. Default: online and as a Glue table, records kept."""

    def group(self, name: str) -> FeatureGroup:
        """How the records of this group are kept."""
        return self.groups.get(name, FeatureGroup())


class Stream(Part):
    """Events that a function writes to the feature groups as they come."""

    retention_hours: Annotated[int, Field(ge=24, le=8760)] = 24
    batch_size: Annotated[int, Field(ge=1, le=10_000)] = 100
    batching_window_seconds: Annotated[int, Field(ge=0, le=300)] = 1
    max_retries: Annotated[int, Field(ge=0, le=10_000)] = 5
    max_record_age_seconds: Annotated[int, Field(ge=60, le=604_800)] = 3600
    max_lag_seconds: Annotated[int, Field(ge=1)] = 300
    log_retention_days: int = 30


class Cache(Part):
    """A Valkey cache in place of DynamoDB."""

    node_type: Annotated[str, Field(pattern=r"^cache\.[a-z0-9]+\.[a-z0-9]+$")]
    replicas: Annotated[int, Field(ge=0, le=5)] = 1
    snapshot_retention_days: Annotated[int, Field(ge=0, le=35)] = 7
    time_to_live_seconds: Annotated[int, Field(ge=1)] | None = None


class Feast(Part):
    """Feast as the feature store that is served from, beside SageMaker's groups."""

    cache: Cache | None = None
    """Default: DynamoDB."""


class Spark(Part):
    """EMR Serverless."""

    release_label: Annotated[str, Field(pattern=r"^emr-\d+\.\d+\.\d+$")] = pins().version(
        "engine/emr"
    )
    max_vcpus: Annotated[int, Field(ge=4)] = 64
    max_memory_gib: Annotated[int, Field(ge=8)] = 256
    max_disk_gib: Annotated[int, Field(ge=20)] = 1000
    idle_timeout_minutes: Annotated[int, Field(ge=1, le=10_080)] = 15


class Brokers(Part):
    instance_type: Annotated[str, Field(pattern=r"^kafka\.[a-z0-9]+\.[a-z0-9]+$")]
    kafka_version: Annotated[str, Field(pattern=r"^\d+\.\d+\.[\dx]+(\.kraft)?$")]
    """As MSK writes it: `3.8.x` takes the newest patch of 3.8 by itself, and no other release."""

    per_zone: Annotated[int, Field(ge=1)] = 1
    storage_gib: Annotated[int, Field(ge=1, le=16_384)] = 100


class Kafka(Part):
    """Amazon MSK."""

    brokers: Brokers | None = None
    """Default: serverless."""

    log_retention_days: int = 30
