"""Features, streams and engines: what the components register and what the settings refuse."""

import json
from dataclasses import replace
from functools import cache
from typing import Any

import pulumi
import pytest
from pydantic import ValidationError

from infra.component import ComponentArgs, Role
from infra.errors import UserError
from infra.feature_store import (
    FeatureGroupSpec,
    FeatureStore,
    FeatureStoreArgs,
    Throughput,
    TimeToLive,
)
from infra.naming import Names
from pipelines.workload import find
from policies.data import Resource
from policies.offline import evaluate
from stacks.composition.workload import check_reach
from stacks.contract import FoundationContract, stand_in
from stacks.paths import ROOT
from stacks.policy_config import policy_config
from stacks.settings.data import Brokers, Cache, Feast, Features, Kafka, Spark
from stacks.settings.load import load_foundation, load_workload
from stacks.settings.model import WorkloadSettings
from stacks.stack_name import environments
from stacks.synth import recorded
from tests.kits.stacks import (
    WORKLOADS,
    changed,
    fields_of,
    named,
    only_an_account_knows,
    synth,
)

NAMES = Names(env="test", account_id="123456789012", region="us-east-1")
TAGS = {"owner": "me"}
KEY = "arn:aws:kms:us-east-1:123456789012:key/k"
WORKLOAD = "prod.flight_delay"
STREAM = "plinth-prod-flight-delay-stream"
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


def test_a_setting_for_a_group_that_the_workload_does_not_own_is_refused() -> None:
    given = fields_of(load_workload(named(WORKLOAD)))
    features = Features.model_validate({"groups": {"hourly": {}}})
    with pytest.raises(ValidationError, match="groups must be of flights, got hourly"):
        WorkloadSettings.model_validate({**given, "features": features})


ENGINES: dict[str, Any] = {
    "spark": Spark(),
    "kafka": Kafka(brokers=Brokers(instance_type="kafka.m7g.large", kafka_version="3.8.x")),
}


@cache
def foundation(serverless: bool = False) -> list[Resource]:
    """The foundation of production with every engine; `serverless`: Kafka without brokers."""
    other = {"kafka": Kafka()} if serverless else {}
    return synth("prod.foundation", changed(load_foundation("prod"), **(ENGINES | other)))


@cache
def prod(cached: bool = False) -> list[Resource]:
    """A workload of production with Feast; `cached`: on Valkey."""
    chosen = Feast(cache=Cache(node_type="cache.r7g.large")) if cached else Feast()
    return synth(WORKLOAD, changed(load_workload(named(WORKLOAD)), feast=chosen))


@pytest.mark.parametrize("other", [False, True])
def test_production_with_every_engine_passes_its_policies(other: bool) -> None:
    below, above = load_foundation("prod"), load_workload(named(WORKLOAD))
    findings = [
        *evaluate(foundation(other), policy_config(below)),
        *evaluate(prod(other), policy_config(above)),
    ]
    assert len(findings) > 100
    open_points = [f for f in findings if f.status in ("fail", "error", "unknown")]
    assert [f for f in open_points if not only_an_account_knows(f)] == []


def test_no_engine_is_there_unless_asked_for() -> None:
    assert len(environments()) == 4
    for env in environments():
        settings = load_foundation(env)
        assert (settings.spark, settings.kafka) == (None, None)
    assert {load_workload(stack).feast for stack in WORKLOADS} == {None}


def test_jobs_of_a_workload_start_spark_as_its_own_role_and_nothing_else() -> None:
    assert "emr-serverless" not in str(synth(WORKLOAD))
    offered = stand_in(named("prod.foundation"))
    assert isinstance(offered, FoundationContract)
    application = "arn:aws:emr-serverless:us-east-1:333333333333:/applications/a"

    def program() -> None:
        from stacks.composition.compose import default_tags
        from stacks.composition.workload import build

        settings = load_workload(named(WORKLOAD))
        with_spark = replace(offered, spark_application_arn=application)
        tags = default_tags(named(WORKLOAD), settings)
        common = ComponentArgs(names=settings.names, tags=tags)
        build(common, settings, {"training": "{}"}, with_spark, None)

    found = {item.name: item.inputs.value for item in recorded(program)}
    statements = json.loads(found["access-allow-job"]["policy"])["Statement"]
    spark = [item for item in statements if "emr-serverless" in json.dumps(item)]
    assert [item["Resource"] for item in spark] == [
        [application],
        [f"{application}/jobruns/*"],
        ["arn:aws:iam::333333333333:role/plinth-prod-spark"],
    ]


def one(found: list[Resource], suffix: str) -> dict[str, Any]:
    [inputs] = by_type(found, suffix)
    return inputs


def test_feast_finds_tables_that_are_encrypted_and_recoverable() -> None:
    tables = [t for t in by_type(prod(), "dynamodb/table:Table") if "feast" in t["name"]]
    assert {t["name"] for t in tables} == {"plinth-prod-flight-delay-feast-flights"}
    for table in tables:
        assert table["serverSideEncryption"]["enabled"] and table["pointInTimeRecovery"]["enabled"]
        assert table["deletionProtectionEnabled"] and table["billingMode"] == "PAY_PER_REQUEST"
    uploaded = [o for o in by_type(prod(), "BucketObjectv2") if "feature_store" in o["key"]]
    configuration = json.loads(uploaded[0]["content"])
    template = configuration["online_store"]["table_name_template"]
    assert {template.format(table_name=view) for view in find()["flight_delay"].feature_groups} == {
        t["name"] for t in tables
    }
    assert configuration["online_store"]["tags"]["project"] == "plinth"


def test_the_cache_survives_a_zone_and_keeps_no_password() -> None:
    found = prod(cached=True)
    group = one(found, ":ReplicationGroup")
    assert group["multiAzEnabled"] and group["automaticFailoverEnabled"]
    assert group["transitEncryptionMode"] == "required" and group["atRestEncryptionEnabled"]
    assert one(found, "elasticache/user:User")["authenticationMode"] == {"type": "iam"}
    uploaded = [o for o in by_type(found, "BucketObjectv2") if "feature_store" in o["key"]]
    assert "password=${FEAST_REDIS_TOKEN}" in uploaded[0]["content"]
    assert not [t for t in by_type(found, "dynamodb/table:Table") if "feast" in t["name"]]


def test_spark_stops_by_itself_and_cannot_outgrow_its_limit() -> None:
    application = one(foundation(), "emrserverless/application:Application")
    assert application["maximumCapacity"] == {
        "cpu": "64 vCPU",
        "memory": "256 GB",
        "disk": "1000 GB",
    }
    assert application["autoStopConfiguration"] == {"enabled": True, "idleTimeoutMinutes": 15}
    assert application["networkConfiguration"]["subnetIds"]


def test_kafka_takes_tls_and_iam_and_nothing_else() -> None:
    cluster = one(foundation(), "msk/cluster:Cluster")
    assert cluster["clientAuthentication"] == {"sasl": {"iam": True}, "unauthenticated": False}
    transit = cluster["encryptionInfo"]["encryptionInTransit"]
    assert transit == {"clientBroker": "TLS", "inCluster": True}
    assert (
        cluster["numberOfBrokerNodes"]
        % len(load_foundation("prod").environment.availability_zone_ids)
        == 0
    )
    serverless = one(foundation(serverless=True), "msk/serverlessCluster:ServerlessCluster")
    assert serverless["clientAuthentication"] == {"sasl": {"iam": {"enabled": True}}}


@pytest.mark.parametrize("version", ["latest", "3.8", "3"])
def test_a_release_that_moves_by_itself_is_refused(version: str) -> None:
    with pytest.raises(ValidationError, match="kafka_version"):
        Brokers(instance_type="kafka.m7g.large", kafka_version=version)
    with pytest.raises(ValidationError, match="release_label"):
        Spark(release_label=f"emr-{version}")


def test_a_bad_record_never_stops_the_stream_and_nothing_is_lost_silently() -> None:
    found = prod()
    mapping = one(found, ":EventSourceMapping")
    assert mapping["bisectBatchOnFunctionError"] and mapping["maximumRetryAttempts"] >= 0
    assert mapping["functionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["destinationConfig"]["onFailure"]["destinationArn"]
    stream = one(found, "kinesis/stream:Stream")
    assert (stream["encryptionType"], stream["retentionPeriod"]) == ("KMS", 168)


def test_the_streams_alarms_watch_what_exists() -> None:
    found = prod()
    alarms = by_type(found, "MetricAlarm")
    stream_alarms = [alarm for alarm in alarms if alarm["name"].startswith(STREAM)]
    watched = {next(iter(alarm["dimensions"].items())) for alarm in stream_alarms}
    assert watched == {
        ("FunctionName", STREAM),
        ("QueueName", f"{STREAM}-dead-letters"),
    }
    topics = {topic["name"] for topic in by_type(foundation(), "sns/topic:Topic")}
    told = {arn for alarm in stream_alarms for arn in alarm["alarmActions"]}
    assert {arn.rpartition(":")[2] for arn in told} == {"plinth-prod-alerts"} <= topics
    assert STREAM in {f["name"] for f in by_type(found, "lambda/function:Function")}
    queues = {queue["name"] for queue in by_type(found, "sqs/queue:Queue")}
    assert f"{STREAM}-dead-letters" in queues


def test_a_workload_that_cannot_reach_its_services_is_refused() -> None:
    settings = load_workload(named(WORKLOAD))
    assert settings.stream is not None
    offered = stand_in(named("prod.foundation"))
    assert isinstance(offered, FoundationContract)
    check_reach(settings, offered)
    check_reach(settings, replace(offered, interface_endpoints=[], reaches_internet=True))
    check_reach(settings, replace(offered, reaches_internet=False))
    closed = replace(offered, interface_endpoints=["sts"], reaches_internet=False)
    lacking = r"got none to sagemaker\.api, sagemaker\.featurestore-runtime"
    with pytest.raises(UserError, match=f"{lacking}, sqs"):
        check_reach(settings, closed)
    with pytest.raises(UserError, match=f"{lacking}\n"):
        check_reach(changed(settings, stream=None), closed)


def test_the_streams_code_is_its_folder_and_no_more() -> None:
    """Text, not paths: the archive's hash is the same on every machine."""
    functions = by_type(prod(), "lambda/function:Function")
    [code] = [f["code"] for f in functions if f["name"] == STREAM]
    source = (ROOT / "pipelines" / "stream" / "ingest.py").read_text()
    assert {name: asset["text"] for name, asset in code["assets"].items()} == {"ingest.py": source}
