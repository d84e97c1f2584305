"""Search of the local cloud, packages by ARN, and the SDK's session against it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stacks.local.daemon.environment import LocalEnvironment
from stacks.local.runtime.files import write_json
from tests.kits.local_cloud import ROLE, Cloud, process, refusal, train
from tests.kits.sagemaker_alone import Account


@pytest.fixture(scope="module")
def sm(cloud: Cloud) -> Any:
    made = cloud.client("sagemaker")
    for group, auc in (("delays", "0.7"), ("minutes", "0.9")):
        tags = [{"Key": "team", "Value": group}]
        made.create_model_package_group(ModelPackageGroupName=group, Tags=tags)
        for status in ("Approved", "Rejected"):
            made.create_model_package(
                ModelPackageGroupName=group,
                ModelApprovalStatus=status,
                CustomerMetadataProperties={"auc": auc},
            )
    train(made, "searched", "print('auc=0.75')", HyperParameters={"depth": "3"})
    return made


def where(name: str, how: str, value: str | None = None) -> dict[str, Any]:
    one = {"Name": name, "Operator": how, **({} if value is None else {"Value": value})}
    return {"Filters": [one]}


APPROVED = where("ModelApprovalStatus", "Equals", "Approved")


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ({}, ["delays/1", "delays/2", "minutes/1", "minutes/2"]),
        (APPROVED, ["delays/1", "minutes/1"]),
        (where("ModelApprovalStatus", "NotEquals", "Approved"), ["delays/2", "minutes/2"]),
        (where("ModelPackageGroupName", "Contains", "elay"), ["delays/1", "delays/2"]),
        (where("CustomerMetadataProperties.auc", "GreaterThan", "0.8"), ["minutes/1", "minutes/2"]),
        (where("CustomerMetadataProperties.f1", "NotExists"),
         ["delays/1", "delays/2", "minutes/1", "minutes/2"]),
        (where("ModelPackageVersion", "In", "2,3"), ["delays/2", "minutes/2"]),
        (where("CreationTime", "LessThan", "2001-01-01T00:00:00Z"), []),
        ({"SubExpressions": [APPROVED, where("ModelPackageGroupName", "Equals", "delays")]},
         ["delays/1"]),
        ({"SubExpressions": [APPROVED, where("ModelPackageGroupName", "Equals", "delays")],
          "Operator": "Or"}, ["delays/1", "delays/2", "minutes/1"]),
    ],
)  # fmt: skip
def test_packages_are_found_by_what_they_say(
    expression: dict[str, Any], found: list[str], sm: Any
) -> None:
    asked = {"SearchExpression": expression} if expression else {}
    answer = sm.search(Resource="ModelPackage", **asked)
    arns = [result["ModelPackage"]["ModelPackageArn"] for result in answer["Results"]]
    assert sorted(arn.partition("/")[2] for arn in arns) == found
    assert answer["TotalHits"]["Value"] == len(found)


@pytest.mark.parametrize(
    ("resource", "expression", "found"),
    [
        ("ModelPackageGroup", where("Tags.team", "Equals", "minutes"), 1),
        ("ModelPackageGroup", where("Tags.team", "Exists"), 2),
        ("TrainingJob", where("HyperParameters.depth", "Equals", "3"), 1),
        ("TrainingJob", where("Metrics.auc", "GreaterThan", "0.7"), 1),
        ("TrainingJob", where("Metrics.auc", "GreaterThan", "0.8"), 0),
        ("TrainingJob", where("TrainingJobStatus", "Equals", "Completed"), 1),
    ],
)
def test_tags_hyperparameters_and_metrics_are_searched(
    resource: str, expression: dict[str, Any], found: int, sm: Any
) -> None:
    answer = sm.search(Resource=resource, SearchExpression=expression)
    assert len(answer["Results"]) == found


def test_numbers_are_sorted_as_numbers() -> None:
    account = Account()
    for name, depth in (("much", 10.25), ("little", 2.0), ("more", 9.5)):
        told = {"depth": {"NumberValue": depth}}
        account.call("CreateTrialComponent", TrialComponentName=name, Parameters=told)
    asked = {"SortBy": "Parameters.depth", "SortOrder": "Ascending"}
    found = account.call("Search", Resource="ExperimentTrialComponent", **asked)["Results"]
    names = [row["TrialComponent"]["TrialComponentName"] for row in found]
    assert names == ["little", "more", "much"]


@pytest.mark.parametrize(
    "asked",
    [
        {"SortBy": "Nope"},
        {"SearchExpression": {"Filters": [{"Name": "TrainingJobNam", "Value": "a"}]}},
        {
            "SearchExpression": {
                "SubExpressions": [{"Filters": [{"Name": "Nope.Inner", "Operator": "Exists"}]}]
            }
        },
        {
            "SearchExpression": {
                "NestedFilters": [
                    {
                        "NestedPropertyName": "Channels",
                        "Filters": [{"Name": "Channels.ChannelName", "Value": "train"}],
                    }
                ]
            }
        },
    ],
)
def test_a_property_that_a_resource_has_not_is_refused(asked: dict[str, Any], sm: Any) -> None:
    code, message, _ = refusal(sm.search, Resource="TrainingJob", **asked)
    assert code == "ValidationException"
    assert message.endswith("is no valid property of TrainingJob")


def test_what_is_not_searched_is_said(sm: Any) -> None:
    assert refusal(sm.search, Resource="Image")[::2] == ("NotEmulated", 501)


def test_packages_are_described_by_the_list_of_their_arns(sm: Any) -> None:
    arn = "arn:aws:sagemaker:us-east-1:123456789012:model-package/{}"
    answer = sm.batch_describe_model_package(
        ModelPackageArnList=[arn.format("delays/1"), arn.format("delays/9")]
    )
    (summary,) = answer["ModelPackageSummaries"].values()
    assert (summary["ModelPackageVersion"], summary["ModelApprovalStatus"]) == (1, "Approved")
    assert list(answer["BatchDescribeModelPackageErrorMap"]) == [arn.format("delays/9")]


SESSION = """
import pathlib, sys
from sagemaker.core.helper.session_helper import Session
session = Session()
path = pathlib.Path(sys.argv[1]) / "rows.csv"
path.write_text("1,2")
print(session.default_bucket(), session.upload_data(str(path), key_prefix="in"))
"""


def test_a_session_of_the_sdk_finds_its_bucket_here(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(cloud.home / "local" / "mlflow.json", {"url": "http://127.0.0.1:1", "arn": "a"})
    exported = LocalEnvironment(home=cloud.home, cloud=cloud.info).shell()
    assert exported["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:1"
    done = subprocess.run(
        [sys.executable, "-c", SESSION, str(tmp_path)],
        env={**exported, "PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    bucket = "sagemaker-us-east-1-123456789012"
    assert done.stdout.splitlines()[-1] == f"{bucket} s3://{bucket}/in/rows.csv"
    stored = cloud.client("s3").get_object(Bucket=bucket, Key="in/rows.csv")
    assert stored["Body"].read() == b"1,2"


def test_a_job_finds_its_role_by_the_sdk(cloud: Cloud, sm: Any) -> None:
    if cloud.info.job_isolation != "namespace":
        pytest.skip("the SDK looks under /opt/ml, which is not the job's here")
    code = (
        "from sagemaker.core.helper.session_helper import get_execution_role;"
        "print(get_execution_role())"
    )
    job = process(sm, "asks-its-role", code)
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    log = (cloud.home / "local/jobs/asks-its-role/log.txt").read_text()
    assert log.splitlines()[-1] == ROLE
