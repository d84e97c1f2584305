"""Features, streams and engines: what the components register and what the settings refuse."""

from dataclasses import replace
from typing import Any

import pulumi
import pytest
from pydantic import ValidationError

from infra.component import Role
from infra.feature_store import (
    FeatureGroupSpec,
    FeatureStore,
    FeatureStoreArgs,
    Throughput,
    TimeToLive,
)
from infra.naming import Names
from policies.data import Resource
from stacks.settings.data import Features
from stacks.synth import recorded

NAMES = Names(env="test", account_id="123456789012", region="us-east-1")
TAGS = {"owner": "me"}
KEY = "arn:aws:kms:us-east-1:123456789012:key/k"
FLIGHTS = FeatureGroupSpec(
    description="Flights",
    record_identifier="id",
    event_time="at",
    features={"id": "String", "at": "String"},
)


def role(purpose: str) -> Role:
    return Role(
        purpose, pulumi.Output.from_input(purpose), pulumi.Output.from_input(f"arn:{purpose}")
    )


def by_type(found: list[Resource], suffix: str) -> list[dict[str, Any]]:
    return [item.inputs.value for item in found if item.type.endswith(suffix)]


def group(spec: FeatureGroupSpec) -> dict[str, Any]:
    """The inputs of a store's only feature group."""

    def program() -> None:
        args = FeatureStoreArgs(
            names=NAMES,
            tags=TAGS,
            groups={"flights": spec},
            role=role("features"),
            bucket_name="data",
            bucket_arn="arn:aws:s3:::data",
            kms_key_arn=KEY,
        )
        FeatureStore("features", args)

    [inputs] = by_type(recorded(program), ":FeatureGroup")
    return inputs


def test_both_stores_of_a_feature_group_are_encrypted() -> None:
    made = group(FLIGHTS)
    assert made["onlineStoreConfig"]["securityConfig"] == {"kmsKeyId": KEY}
    assert made["offlineStoreConfig"]["s3StorageConfig"]["kmsKeyId"] == KEY


def test_what_sagemaker_takes_by_itself_is_left_out() -> None:
    """Naming the default of a create-only property would replace groups that exist."""
    made = group(FLIGHTS)
    assert set(made["onlineStoreConfig"]) == {"enableOnlineStore", "securityConfig"}
    assert set(made["offlineStoreConfig"]) == {"s3StorageConfig", "disableGlueTableCreation"}
    assert "throughputConfig" not in made


def test_a_group_says_how_long_and_how_fast_it_serves() -> None:
    spec = replace(
        FLIGHTS,
        time_to_live=TimeToLive(unit="Days", value=30),
        throughput=Throughput(mode="Provisioned", read_capacity_units=5, write_capacity_units=2),
        table_format="Iceberg",
    )
    made = group(spec)
    assert made["onlineStoreConfig"]["ttlDuration"] == {"unit": "Days", "value": 30}
    assert made["throughputConfig"] == {
        "throughputMode": "Provisioned",
        "provisionedReadCapacityUnits": 5,
        "provisionedWriteCapacityUnits": 2,
    }
    assert made["offlineStoreConfig"]["tableFormat"] == "Iceberg"


def test_an_in_memory_group_has_no_offline_store() -> None:
    made = group(replace(FLIGHTS, storage_type="InMemory", table_format=None))
    assert made["onlineStoreConfig"]["storageType"] == "InMemory"
    assert "offlineStoreConfig" not in made
    with pytest.raises(ValueError, match="InMemory must be online with table_format None"):
        replace(FLIGHTS, storage_type="InMemory")


@pytest.mark.parametrize(
    ("flights", "problem"),
    [
        ({"online": False, "table_format": None}, "online or have a table_format"),
        ({"storage_type": "InMemory"}, "InMemory must be online with table_format null"),
        ({"online": False, "time_to_live": {"unit": "Days", "value": 1}}, "beside online: true"),
        ({"throughput": {"mode": "Provisioned", "read_capacity_units": 1}}, "must have both units"),
        ({"throughput": {"read_capacity_units": 1}}, "must have no units"),
        (
            {
                "storage_type": "InMemory",
                "table_format": None,
                "throughput": {
                    "mode": "Provisioned",
                    "read_capacity_units": 1,
                    "write_capacity_units": 1,
                },
            },
            "beside storage_type Standard",
        ),
        ({"time_to_live": {"unit": "Years", "value": 1}}, "'Weeks'"),
        ({"table_format": "Hudi"}, "'Glue' or 'Iceberg'"),
    ],
)
def test_a_feature_group_that_sagemaker_would_refuse_is_refused_before(
    flights: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        Features.model_validate({"groups": {"flights": flights}})


def test_a_setting_for_an_entity_that_nobody_has_is_refused() -> None:
    with pytest.raises(ValidationError, match="must be of flights, weather, got planes"):
        Features.model_validate({"groups": {"planes": {}}})
