"""Lists of SageMaker's local stand-in: whatever AWS lets one ask for acts, or is named as not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stacks.local.aws.sagemaker import crud
from stacks.local.aws.sagemaker.accepted import acting
from stacks.local.aws.sagemaker.fields import RECORDED
from stacks.local.aws.sagemaker.refused_fields import REFUSED
from stacks.local.aws.sagemaker.resource_type import ResourceType
from stacks.local.aws.sagemaker.resource_types import BY_NAME, RESOURCE_TYPES
from stacks.local.aws.sagemaker.shapes import default_sort, input_members
from stacks.local.aws.store import Resource
from tests.kits.sagemaker_alone import Account

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)

UNBUILT = {"ListPipelines": {"ManagedBy"}}
"""Members that are answered with NotEmulated."""


@pytest.mark.parametrize("kind", RESOURCE_TYPES, ids=lambda kind: kind.name)
def test_every_filter_of_a_list_acts(kind: ResourceType) -> None:
    members = input_members(kind.list)
    told = RECORDED.get(kind.list, {}).keys() | REFUSED.get(kind.list, {}).keys()
    assert members.keys() - acting(kind.list) - told == UNBUILT.get(kind.list, set())
    assert bool(kind.status_field) or "StatusEquals" not in members


def filled(kind: str, **members: tuple[Any, ...]) -> Account:
    """An account with three of a kind, made a day apart: b, a, c."""
    account = Account()
    for place, name in enumerate("bac"):
        own = {member: values[place] for member, values in members.items()}
        row = BY_NAME[kind]
        item = Resource(
            kind=kind,
            name=name,
            arn=f"arn:aws:sagemaker:us-east-1:123456789012:x/{name}",
            fields={row.name_field: name, **own},
            created=NEW_YEAR + timedelta(days=place),
            modified=NEW_YEAR + timedelta(days=10 - place),
        )
        account.emulator.store.add(item)
    return account


def names(account: Account, kind: str, **asked: Any) -> str:
    """One letter for each of the list."""
    answer = crud.listing(account.emulator, BY_NAME[kind], asked)
    (rows,) = [value for value in answer.values() if isinstance(value, list)]
    return "".join(row[BY_NAME[kind].name_field] for row in rows)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, "bac"),
        ({"SortOrder": "Descending"}, "cab"),
        ({"SortBy": "Name"}, "abc"),
        ({"SortBy": "Status"}, "acb"),
        ({"StatusEquals": "Completed"}, "ac"),
        ({"NameContains": "b"}, "b"),
        ({"CreationTimeAfter": NEW_YEAR + timedelta(hours=1)}, "ac"),
        ({"CreationTimeBefore": NEW_YEAR + timedelta(hours=1)}, "b"),
        ({"LastModifiedTimeAfter": NEW_YEAR + timedelta(days=9, hours=1)}, "b"),
        ({"LastModifiedTimeBefore": (NEW_YEAR + timedelta(days=8)).timestamp()}, "c"),
        ({"WarmPoolStatusEquals": "Available"}, ""),
        ({"MaxResults": 2}, "ba"),
        ({"MaxResults": 2, "NextToken": "2"}, "c"),
    ],
)
def test_training_jobs_are_filtered_sorted_and_paged(asked: dict[str, Any], found: str) -> None:
    account = filled("training job", TrainingJobStatus=("InProgress", "Completed", "Completed"))
    assert names(account, "training job", **asked) == found


@pytest.mark.parametrize(
    ("kind", "asked", "found"),
    [
        ("endpoint", {}, "cab"),
        ("endpoint", {"SortBy": "Status", "SortOrder": "Ascending"}, "acb"),
        ("endpoint", {"StatusEquals": "Failed"}, "ca"),
        ("model", {}, "cab"),
        ("model", {"SortBy": "Name", "SortOrder": "Ascending"}, "abc"),
        ("processing job", {}, "bac"),
    ],
)
def test_others_are_listed_in_their_own_order(kind: str, asked: dict[str, Any], found: str) -> None:
    account = filled(kind, EndpointStatus=("InService", "Failed", "Failed"))
    assert names(account, kind, **asked) == found


def test_the_offline_store_is_looked_into() -> None:
    states = tuple({"Status": word} for word in ("Active", "Blocked", "Active"))
    account = filled("feature group", OfflineStoreStatus=states)
    assert names(account, "feature group", OfflineStoreStatusEquals="Blocked") == "a"


@pytest.mark.parametrize(
    ("operation", "by", "order"),
    [
        ("ListTrainingJobs", "CreationTime", "Ascending"),
        ("ListEndpoints", "CreationTime", "Descending"),
        ("ListCodeRepositories", "Name", "Ascending"),
        ("ListNotebookInstances", "Name", "Ascending"),
        ("ListAutoMLJobs", "Name", "Descending"),
        ("ListImages", "CREATION_TIME", "DESCENDING"),
        ("ListDomains", "CreationTime", "Descending"),
    ],
)
def test_the_documented_order_is_the_order(operation: str, by: str, order: str) -> None:
    """API reference of each: SortBy and SortOrder, where it has them."""
    assert default_sort(operation) == (by, order)
