"""The data domain under the real engine: events arrive, schemas evolve and keep their records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pipelines.steps.feature_groups import FEATURE_GROUPS, FeatureGroup, FeatureType

from infra.component import ComponentArgs
from stacks.composition import data, foundation, models
from stacks.local.daemon import environment
from stacks.settings.data import Brokers, Cache, Feast, Kafka, Spark
from stacks.settings.load import load
from stacks.settings.model import Settings
from stacks.targets.engine import Changes, Stack
from tests.kits.local_cloud import Cloud, running_cloud
from tests.stacks.local.test_streams import eventually, read

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

EVERY_ENGINE = {
    "feast": Feast(cache=Cache(node_type="cache.r7g.large")),
    "spark": Spark(),
    "kafka": Kafka(brokers=Brokers(instance_type="kafka.m7g.large", kafka_version="3.8.x")),
}
TYPE = "aws:sagemaker/featureGroup:FeatureGroup"
Schemas = Mapping[str, FeatureGroup]
Run = Callable[[Any, Schemas], Changes]


@cache
def settings() -> Settings:
    """The environment `local` with every engine."""
    return load("local").model_copy(update=EVERY_ENGINE)


def program(schemas: Schemas) -> Callable[[], None]:
    """The foundation and the data domain, nothing else."""

    def register() -> None:
        chosen, asking = settings(), (foundation, data, models)
        tags = {**chosen.tags.model_dump(), "environment": "local", "project": "plinth"}
        base = foundation.build(
            ComponentArgs(names=chosen.names("local"), tags=tags),
            chosen,
            roles={name: spec for each in asking for name, spec in each.roles(chosen).items()},
            key_purposes=[each.KEY_PURPOSES for each in asking],
        )
        data.build(base, chosen, schemas)

    return register


def flights(**changes: FeatureType | None) -> Schemas:
    """The workload's schemas with features of the flights added, retyped or (None) removed."""
    features = {**FEATURE_GROUPS["flights"].features, **changes}
    kept = {name: kind for name, kind in features.items() if kind is not None}
    return {**FEATURE_GROUPS, "flights": replace(FEATURE_GROUPS["flights"], features=kept)}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="module")
def run(cloud: Cloud, pulumi_cli: Path) -> Iterator[Run]:
    local = environment.LocalEnvironment(home=cloud.home, cloud=cloud.info)
    local.state.mkdir(parents=True, exist_ok=True)
    stack = Stack(
        env="local",
        pulumi_root=pulumi_cli.parent.parent,
        pulumi_home=cloud.home / "pulumi",
        environment=local.engine(),
        secrets_provider="passphrase",
        policy_pack=None,
    )

    def operate(operation: Any, schemas: Schemas = FEATURE_GROUPS) -> Changes:
        return stack.run(operation, program(schemas), lambda done, name: None)

    operate("up")
    yield operate
    operate("destroy")
    assert cloud.client("kinesis").list_streams()["StreamNames"] == []
    assert cloud.client("lambda").list_functions()["Functions"] == []


def test_an_event_that_is_put_on_the_deployed_stream_is_served_as_a_record(
    cloud: Cloud, run: Run
) -> None:
    record = {"flight_id": "UA1", "event_time": "2013-01-01T12:00:00Z", "carrier": "UA"}
    good = json.dumps({"entity": "flights", "record": record})
    kinesis = cloud.client("kinesis")
    for message in ("not json", good):
        kinesis.put_record(
            StreamName="plinth-local-stream", Data=message.encode(), PartitionKey="UA1"
        )
    assert eventually(lambda: read(cloud, "plinth-local-flights", "UA1")) == record
    sqs = cloud.client("sqs")
    url = sqs.get_queue_url(QueueName="plinth-local-stream-dead-letters")["QueueUrl"]
    [letter] = eventually(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    assert "must be JSON" in json.loads(letter["Body"])["reason"]


def test_the_same_again_changes_nothing(run: Run) -> None:
    assert run("up", FEATURE_GROUPS).changed == []


WIDER = flights(gate="String")
OLD = {"flight_id": "UA2", "event_time": "2013-01-01T12:00:00Z"}


@pytest.fixture(scope="module")
def evolved(cloud: Cloud, run: Run) -> list[list[str]]:
    """What the preview and the deployment of a further feature said, and the preview after it."""
    cloud.client("sagemaker-featurestore-runtime").put_record(
        FeatureGroupName="plinth-local-flights",
        Record=[{"FeatureName": name, "ValueAsString": value} for name, value in OLD.items()],
    )
    return [run(operation, WIDER).changed for operation in ("preview", "up", "preview")]


def test_a_new_feature_is_added_in_place_and_keeps_every_record(
    cloud: Cloud, evolved: list[list[str]]
) -> None:
    update = [f"update {TYPE} features-flights"]
    assert evolved == [update, update, []]
    assert read(cloud, "plinth-local-flights", "UA2") == OLD
    shown = cloud.client("sagemaker").describe_feature_group(
        FeatureGroupName="plinth-local-flights"
    )
    assert {"FeatureName": "gate", "FeatureType": "String"} in shown["FeatureDefinitions"]


@pytest.mark.parametrize(
    "schema",
    [
        flights(gate="String", carrier=None)["flights"],
        flights(gate="String", distance="Fractional")["flights"],
        replace(WIDER["flights"], record_identifier="carrier"),
        replace(WIDER["flights"], event_time="carrier"),
    ],
    ids=["feature removed", "feature retyped", "other identifier", "other event time"],
)
@pytest.mark.usefixtures("evolved")
def test_what_sagemaker_cannot_change_shows_as_a_replacement(
    run: Run, schema: FeatureGroup
) -> None:
    changed = run("preview", {**WIDER, "flights": schema}).changed
    assert f"replace {TYPE} features-flights" in changed
    assert not [line for line in changed if TYPE in line and "flights" not in line]
