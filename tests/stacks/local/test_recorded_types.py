"""What SageMaker's local stand-in only records: one of every type, made from botocore's model."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from policies.iam import reference
from stacks.local.aws.sagemaker import hub_contents, image_versions, notebooks, projects, studio
from stacks.local.aws.sagemaker.coverage import coverage, totals
from stacks.local.aws.sagemaker.recorded_types import RECORDED_TYPES
from stacks.local.aws.sagemaker.resource_type import ResourceType
from stacks.local.aws.sagemaker.shapes import errors_of, input_members
from tests.kits.answers import request
from tests.kits.sagemaker_alone import Account

ROLE = "arn:aws:iam::123456789012:role/plinth-test"
TAGS = [{"Key": "team", "Value": "flights"}]
SHOWN_LATER = {"CreateApp": "Deleted", "CreateProject": "DeleteCompleted"}
SHOWN_OTHERWISE = {"UiTemplate", "InstanceGroups", "Stages"}
LIVING_TYPES = (
    *hub_contents.TYPES,
    *image_versions.TYPES,
    *notebooks.TYPES,
    *projects.TYPES,
    *studio.TYPES,
)
each = pytest.mark.parametrize("kind", (*RECORDED_TYPES, *LIVING_TYPES), ids=lambda kind: kind.name)


@pytest.fixture
def account() -> Account:
    return Account()


def keys(kind: ResourceType, operation: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """What names one in a request."""
    names = {*kind.keys, kind.key} & input_members(operation).keys()
    return {name: known[name] for name in names if name in known}


def shown(account: Account, kind: ResourceType, made: Mapping[str, Any]) -> dict[str, Any]:
    answer = account.call(kind.describe, **keys(kind, kind.describe, made))
    return answer[kind.shown_in] if kind.shown_in else answer


def listed(account: Account, operation: str, **asked: Any) -> list[Any]:
    (rows,) = [v for v in account.call(operation, **asked).values() if isinstance(v, list)]
    return rows


@each
def test_one_of_each_is_made_shown_listed_changed_and_deleted(
    kind: ResourceType, account: Account
) -> None:
    made = account.made(kind)
    found = shown(account, kind, made)
    same = made.keys() & found.keys() - SHOWN_OTHERWISE
    assert {name: found[name] for name in same} == {name: made[name] for name in same}
    required = input_members(kind.list).keys() & {"ImageName"}
    (row,) = listed(account, kind.list, **{name: made[name] for name in required})
    assert row.items() <= found.items()
    if kind.create == "CreateNotebookInstance":
        account.call("StopNotebookInstance", NotebookInstanceName="a1")
    if kind.update:
        account.call(kind.update, **request(kind.update, **keys(kind, kind.update, made)))
    account.call(kind.delete, **keys(kind, kind.delete, made))
    if kind.create in SHOWN_LATER:
        assert shown(account, kind, made)[kind.status_field] == SHOWN_LATER[kind.create]
        account.later(timedelta(hours=25))
    code, _ = account.refusal(kind.describe, **keys(kind, kind.describe, made))
    has_own = "ResourceNotFound" in errors_of(kind.describe)
    assert code == ("ResourceNotFound" if has_own else "ValidationException")


@each
def test_an_arn_has_the_form_that_aws_documents_and_takes_tags(
    kind: ResourceType, account: Account
) -> None:
    arn = shown(account, kind, account.made(kind))[kind.arn_field]
    form = reference.arn_format("sagemaker", kind.name.replace(" ", "-"))
    assert form.count("/") == arn.count("/")
    assert form.split(":")[5].split("/")[0] == arn.split(":")[5].split("/")[0]
    account.call("AddTags", ResourceArn=arn, Tags=TAGS)
    assert account.call("ListTags", ResourceArn=arn)["Tags"] == TAGS


@each
def test_a_request_that_does_not_fit_the_model_is_refused(
    kind: ResourceType, account: Account
) -> None:
    """Whatever is required is missed, and nothing is made."""
    code, message = account.refusal(kind.create)
    assert code == "ValidationException" and "Member must not be null" in message
    assert account.refusal(kind.create, Nonsense="a1")[0] == "ValidationException"


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("CreateImage", "ResourceInUse"),
        ("CreateCodeRepository", "ValidationException"),
        ("CreateComputeQuota", "ConflictException"),
        ("CreateWorkteam", "ResourceInUse"),
        ("CreateNotebookInstance", "ValidationException"),
    ],
)
def test_a_name_is_given_once(operation: str, code: str, account: Account) -> None:
    account.call(operation, **request(operation))
    assert account.refusal(operation, **request(operation))[0] == code


def test_devices_come_and_go_with_their_fleet(account: Account) -> None:
    fleet = {"DeviceFleetName": "edge"}
    account.call("CreateDeviceFleet", **fleet, OutputConfig={"S3OutputLocation": "s3://b/k"})
    account.call("RegisterDevices", **fleet, Devices=[{"DeviceName": "one"}, {"DeviceName": "two"}])
    account.call("UpdateDevices", **fleet, Devices=[{"DeviceName": "one", "Description": "first"}])
    assert account.call("DescribeDevice", **fleet, DeviceName="one")["Description"] == "first"
    assert account.refusal("DeleteDeviceFleet", **fleet)[0] == "ResourceInUse"
    account.call("DeregisterDevices", **fleet, DeviceNames=["one", "two"])
    assert listed(account, "ListDevices") == []
    account.call("DeleteDeviceFleet", **fleet)


def test_lists_filter_sort_and_page(account: Account) -> None:
    for name in ("beta", "alpha", "gamma"):
        account.call("CreateAppImageConfig", AppImageConfigName=name)
    account.call("UpdateAppImageConfig", AppImageConfigName="beta")

    def names(**asked: Any) -> list[str]:
        return [r["AppImageConfigName"] for r in listed(account, "ListAppImageConfigs", **asked)]

    assert names() == ["gamma", "alpha", "beta"]  # documented: CreationTime, Descending
    assert names(SortBy="Name", SortOrder="Ascending") == ["alpha", "beta", "gamma"]
    assert names(SortBy="LastModifiedTime")[0] == "beta"
    assert names(NameContains="ph") == ["alpha"]
    later = datetime.now(UTC) + timedelta(hours=1)
    assert names(CreationTimeAfter=later) == [] and len(names(ModifiedTimeBefore=later)) == 3
    first = account.call("ListAppImageConfigs", MaxResults=2)
    rest = account.call("ListAppImageConfigs", MaxResults=2, NextToken=first["NextToken"])
    assert [len(page["AppImageConfigs"]) for page in (first, rest)] == [2, 1]
    assert "NextToken" not in rest


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ("CreateLabelingJob", "nobody labels"),
        ("CreateAutoMLJob", "tuning job"),
        ("CreateInferenceRecommendationsJob", "instance types"),
        ("CreateOptimizationJob", "compiled"),
    ],
)
def test_what_is_not_done_is_refused_with_the_reason(
    operation: str, words: str, account: Account
) -> None:
    code, message = account.refusal(operation)
    assert code == "NotEmulated" and operation in message and words in message


@pytest.mark.parametrize(
    ("stem", "more", "status", "words"),
    [
        ("AutoMLJobV2", {}, "Failed", "no search for models"),
        (
            "CompilationJob",
            {"InputConfig": {"S3Uri": "s3://b/model.tar.gz", "Framework": "PYTORCH"}},
            "FAILED",
            "no model is compiled",
        ),
    ],
)
def test_a_job_that_nothing_here_can_do_is_taken_and_fails_by_its_reason(
    stem: str, more: dict[str, Any], status: str, words: str, account: Account
) -> None:
    asked, lists = request(f"Create{stem}", **more), f"List{stem.removesuffix('V2')}s"
    account.call(f"Create{stem}", **asked)
    (name,) = (member for member in asked if member.endswith("JobName"))
    key = {name: asked[name]}
    found = account.call(f"Describe{stem}", **key)
    assert words in found["FailureReason"]
    (summary,) = listed(account, lists)
    assert summary[f"{stem.removesuffix('V2')}Status"] == status
    assert listed(account, lists, StatusEquals=status) == [summary]
    code, message = account.refusal(f"Stop{stem.removesuffix('V2')}", **key)
    assert code == "ValidationException" and f"in status {status}" in message


def test_coverage_calls_a_recorded_operation_recorded() -> None:
    rows = {row.operation: row.fidelity for row in coverage()}
    operations = {name for kind in RECORDED_TYPES for name in kind.operations}
    assert {rows[name] for name in operations} == {"recorded"}
    assert rows["CreateTrainingJob"] == rows["InvokeEndpoint"] == "behaves"
    assert rows["CreateLabelingJob"] == "refused"
    counted = totals(coverage())
    assert counted["operations"] == len(rows) == sum(counted.values()) - len(rows)
