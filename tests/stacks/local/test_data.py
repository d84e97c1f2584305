"""The data domain under the real engine: events arrive, schemas evolve and keep their records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra.component import ComponentArgs
from pipelines.toolkit.feature_group import FeatureGroup, FeatureType
from pipelines.workload import find
from stacks import contract, program
from stacks.composition import data, models
from stacks.composition.base import base
from stacks.composition.compose import default_tags
from stacks.composition.provider import use_provider
from stacks.local.daemon import environment
from stacks.settings.data import Brokers, Cache, Feast, Kafka, Spark
from stacks.settings.load import load_foundation, load_workload
from stacks.settings.model import FoundationSettings, WorkloadSettings
from stacks.targets.engine import Changes, Stack
from tests.kits.local_cloud import Cloud, running_cloud
from tests.kits.path import wait_until
from tests.kits.stacks import changed, named
from tests.stacks.local.test_streams import read

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

FOUNDATION, WORKLOAD = named("local.foundation"), named("local.flight_delay")
SCHEMAS = find()["flight_delay"].feature_groups
GROUP, STREAM = "plinth-local-flight-delay-flights", "plinth-local-flight-delay-stream"
EVERY_ENGINE = {
    "spark": Spark(),
    "kafka": Kafka(brokers=Brokers(instance_type="kafka.m7g.large", kafka_version="3.8.x")),
}
TYPE = "aws:sagemaker/featureGroup:FeatureGroup"
Schemas = Mapping[str, FeatureGroup]
Run = Callable[[Any, Schemas], Changes]


@cache
def foundation() -> FoundationSettings:
    """The foundation of `local` with every engine."""
    chosen: FoundationSettings = changed(load_foundation("local"), **EVERY_ENGINE)
    return chosen


def settings(schemas: Schemas) -> WorkloadSettings:
    """A workload with these feature groups, and with Feast."""
    chosen = load_workload(WORKLOAD)
    feast = Feast(cache=Cache(node_type="cache.r7g.large"))
    declared = replace(chosen.workload, feature_groups=schemas)
    with_them: WorkloadSettings = changed(chosen, workload=declared, feast=feast)
    return with_them


def register(schemas: Schemas) -> Callable[[], None]:
    """The data domain of the workload, nothing else."""

    def program() -> None:
        chosen = settings(schemas)
        tags = default_tags(WORKLOAD, chosen)
        use_provider(chosen.environment, tags)
        common = ComponentArgs(names=chosen.names, tags=tags)
        below = contract.read(FOUNDATION)
        assert isinstance(below, contract.FoundationContract)
        roles = data.roles(chosen) | models.roles(chosen)
        data.build(base(common, chosen.environment, below, roles), chosen)

    return program


def flights(**changes: FeatureType | None) -> Schemas:
    """The workload's schemas with features of the flights added, retyped or (None) removed."""
    features = {**SCHEMAS["flights"].features, **changes}
    kept = {name: kind for name, kind in features.items() if kind is not None}
    return {**SCHEMAS, "flights": replace(SCHEMAS["flights"], features=kept)}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with pytest.MonkeyPatch.context() as patch:
        # the official provider replaces a group to which a feature is added
        patch.setenv("PLINTH_REPLACES_AS", "aws")
        with running_cloud(tmp_path_factory.mktemp("home")) as running:
            yield running


@pytest.fixture(scope="module")
def run(cloud: Cloud, pulumi_cli: Path) -> Iterator[Run]:
    local = environment.LocalEnvironment(home=cloud.home, cloud=cloud.info)
    local.state.mkdir(parents=True, exist_ok=True)
    stack = Stack(
        name=str(WORKLOAD),
        pulumi_root=pulumi_cli.parent.parent,
        pulumi_home=cloud.home / "pulumi",
        environment=local.engine(),
        secrets_provider="passphrase",
        policy_pack=None,
    )

    below = replace(stack, name=str(FOUNDATION))

    def operate(operation: Any, schemas: Schemas = SCHEMAS) -> Changes:
        return stack.run(operation, register(schemas), lambda done, name: None)

    below.run("up", lambda: program.deploy(FOUNDATION, foundation(), {}), lambda done, name: None)
    operate("up")
    yield operate
    operate("destroy")
    below.run("destroy", lambda: None, lambda done, name: None)
    assert cloud.client("kinesis").list_streams()["StreamNames"] == []
    assert cloud.client("lambda").list_functions()["Functions"] == []


def test_an_event_that_is_put_on_the_deployed_stream_is_served_as_a_record(
    cloud: Cloud, run: Run
) -> None:
    record = {"flight_id": "UA1", "event_time": "2013-01-01T12:00:00Z", "carrier": "UA"}
    good = json.dumps({"entity": "flights", "record": record})
    kinesis = cloud.client("kinesis")
    for message in ("not json", good):
        kinesis.put_record(StreamName=STREAM, Data=message.encode(), PartitionKey="UA1")
    assert wait_until(lambda: read(cloud, GROUP, "UA1")) == record
    sqs = cloud.client("sqs")
    url = sqs.get_queue_url(QueueName=f"{STREAM}-dead-letters")["QueueUrl"]
    [letter] = wait_until(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    assert "must be JSON" in json.loads(letter["Body"])["reason"]


def test_the_same_again_changes_nothing(run: Run) -> None:
    assert run("up", SCHEMAS).changed == []


WIDER = flights(gate="String")
OLD = {"flight_id": "UA2", "event_time": "2013-01-01T12:00:00Z"}


@pytest.fixture(scope="module")
def evolved(cloud: Cloud, run: Run) -> list[list[str]]:
    """What the preview and the deployment of a further feature said, and the preview after it."""
    cloud.client("sagemaker-featurestore-runtime").put_record(
        FeatureGroupName=GROUP,
        Record=[{"FeatureName": name, "ValueAsString": value} for name, value in OLD.items()],
    )
    return [run(operation, WIDER).changed for operation in ("preview", "up", "preview")]


def test_a_new_feature_is_added_in_place_and_keeps_every_record(
    cloud: Cloud, evolved: list[list[str]]
) -> None:
    update = [f"update {TYPE} features-flights"]
    assert evolved == [update, update, []]
    assert read(cloud, GROUP, "UA2") == OLD
    shown = cloud.client("sagemaker").describe_feature_group(FeatureGroupName=GROUP)
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
