"""New features reach groups that exist without replacing them."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from infra.errors import UserError
from pipelines.workload import named
from stacks.commands import add_features
from tests.kits.local_cloud import ROLE, running_cloud
from tests.kits.stacks import synth


@pytest.fixture(scope="module")
def sm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running.client("sagemaker")


@pytest.fixture
def group(sm: Any) -> str:
    name = f"flights-{time.time_ns()}"
    sm.create_feature_group(
        FeatureGroupName=name,
        RecordIdentifierFeatureName="id",
        EventTimeFeatureName="at",
        FeatureDefinitions=[
            {"FeatureName": "id", "FeatureType": "String"},
            {"FeatureName": "at", "FeatureType": "String"},
        ],
        OnlineStoreConfig={"EnableOnlineStore": True},
        RoleArn=ROLE,
    )
    return name


OLD = {"id": "String", "at": "String"}


def test_what_a_group_lacks_is_added_once(sm: Any, group: str) -> None:
    wanted = {**OLD, "distance": "Integral", "carrier": "String"}
    missing = add_features.lacking(sm, "flights", group, wanted)
    assert missing is not None
    assert missing.features == {"distance": "Integral", "carrier": "String"}
    add_features.add(sm, missing)
    assert list(add_features.features(sm, group)) == list(wanted)
    assert add_features.lacking(sm, "flights", group, wanted) is None


def test_a_feature_between_old_ones_is_refused_because_the_provider_would_replace(
    sm: Any, group: str
) -> None:
    wanted = {"id": "String", "distance": "Integral", "at": "String"}
    with pytest.raises(UserError, match=r"must come after the ones .* got distance between them"):
        add_features.lacking(sm, "flights", group, wanted)


@pytest.mark.parametrize("wanted", [{"id": "String"}, {"id": "Integral", "at": "String"}])
def test_what_is_removed_or_retyped_is_left_to_the_preview(
    sm: Any, group: str, wanted: dict[str, str]
) -> None:
    assert add_features.lacking(sm, "flights", group, wanted) is None


def test_a_group_that_does_not_exist_yet_lacks_nothing(sm: Any) -> None:
    assert add_features.lacking(sm, "flights", "nobody", OLD) is None


def test_the_state_is_told_of_resources_that_the_program_has() -> None:
    urns = {item.urn for item in synth("dev.flight_delay") if item.name.startswith("features-")}
    groups = named("flight_delay").feature_groups
    told = {add_features.URN.format(stack="dev.flight_delay", entity=group) for group in groups}
    assert told
    assert told <= urns
