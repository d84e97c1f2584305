"""Packages, cards and models of the local cloud, where clients are particular about the answers."""

from typing import Any

import pytest

from tests.kits.local_cloud import BUCKET, OWN_IMAGE, ROLE, Cloud, refusal, until


@pytest.fixture(scope="module")
def version(sm: Any) -> str:
    sm.create_model_package_group(ModelPackageGroupName="flights")
    arn: str = sm.create_model_package(ModelPackageGroupName="flights")["ModelPackageArn"]
    return arn


def test_a_version_has_a_group_and_a_number_and_no_name(sm: Any, version: str) -> None:
    """A client that builds its key of the name breaks on one (sagemaker-python-sdk#5606)."""
    shown = sm.describe_model_package(ModelPackageName=version)
    (listed,) = sm.list_model_packages(ModelPackageGroupName="flights")["ModelPackageSummaryList"]
    for answer in (shown, listed):
        assert "ModelPackageName" not in answer
        assert (answer["ModelPackageGroupName"], answer["ModelPackageVersion"]) == ("flights", 1)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, 0),
        ({"ModelPackageType": "Unversioned"}, 0),
        ({"ModelPackageType": "Versioned"}, 1),
        ({"ModelPackageType": "Both"}, 1),
        ({"ModelPackageGroupName": "flights"}, 1),
    ],
)
def test_a_list_is_of_unversioned_packages_unless_asked_otherwise(
    asked: dict[str, str], found: int, sm: Any, version: str
) -> None:
    """boto3#3069."""
    assert len(sm.list_model_packages(**asked)["ModelPackageSummaryList"]) == found


def test_a_package_without_versions_has_a_name_and_no_approval(sm: Any, version: str) -> None:
    spec = {
        "Containers": [{"Image": OWN_IMAGE}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    created = {"ModelPackageName": "alone", "InferenceSpecification": spec}
    arn = sm.create_model_package(**created)["ModelPackageArn"]
    assert arn.endswith("model-package/alone")
    for known in ("alone", arn):
        shown = sm.describe_model_package(ModelPackageName=known)
        assert shown["ModelPackageName"] == "alone"
        assert "ModelApprovalStatus" not in shown and "ModelPackageVersion" not in shown
    (listed,) = sm.list_model_packages()["ModelPackageSummaryList"]
    assert listed["ModelPackageArn"] == arn
    both = sm.list_model_packages(ModelPackageType="Both")["ModelPackageSummaryList"]
    assert {row["ModelPackageArn"] for row in both} == {arn, version}
    container = {"ModelPackageName": arn}
    sm.create_model(ModelName="of-alone", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    group = {"ModelPackageGroupName": "flights"}
    for request, words in ((group | created, "Both ModelPackageName"), ({}, "Missing ARN")):
        code, message, _ = refusal(sm.create_model_package, **request)
        assert code == "ValidationException" and words in message
    sm.delete_model_package(ModelPackageName="alone")
    assert sm.list_model_packages()["ModelPackageSummaryList"] == []


def test_a_version_without_its_artefact_or_with_tags_of_its_own_is_refused(sm: Any) -> None:
    """What is refused takes no number."""
    sm.create_model_package_group(ModelPackageGroupName="particular")
    container = {"Image": OWN_IMAGE, "ModelDataUrl": f"s3://{BUCKET}/not/there.tar.gz"}
    spec = {
        "Containers": [container],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    group = {"ModelPackageGroupName": "particular"}
    missing = refusal(sm.create_model_package, **group, InferenceSpecification=spec)
    assert missing[:2] == (
        "ValidationException",
        f"Cannot find S3 object: not/there.tar.gz in bucket {BUCKET}. Please check if your S3 "
        "object exists and has proper permissions for SageMaker.",
    )
    tags = [{"Key": "team", "Value": "own"}]
    code, message, _ = refusal(sm.create_model_package, **group, Tags=tags)
    assert code == "ValidationException" and message.startswith("Tags cannot be given")
    assert sm.create_model_package(**group)["ModelPackageArn"].endswith("/particular/1")


ONE, TWO = (f'{{"model_overview": {{"model_version": {number}}}}}' for number in (1, 2))


def test_every_version_of_a_card_can_be_read(sm: Any) -> None:
    sm.create_model_card(ModelCardName="card", Content=ONE, ModelCardStatus="Draft")
    sm.update_model_card(ModelCardName="card", Content=TWO)
    sm.update_model_card(ModelCardName="card", ModelCardStatus="Approved")

    def read(**asked: int) -> tuple[int, str, str]:
        card = sm.describe_model_card(ModelCardName="card", **asked)
        return card["ModelCardVersion"], card["Content"], card["ModelCardStatus"]

    assert read() == read(ModelCardVersion=2) == (2, TWO, "Approved")
    assert read(ModelCardVersion=1) == (1, ONE, "Draft")
    code, message, _ = refusal(sm.describe_model_card, ModelCardName="card", ModelCardVersion=3)
    assert code == "ResourceNotFound" and "version 3" in message

    def listed(**asked: str) -> list[int]:
        found = sm.list_model_card_versions(ModelCardName="card", **asked)
        return [row["ModelCardVersion"] for row in found["ModelCardVersionSummaryList"]]

    assert listed() == [2, 1] and listed(SortOrder="Ascending") == [1, 2]
    assert listed(ModelCardStatus="Draft") == [1]


@pytest.mark.parametrize(
    "data",
    [
        {"ModelDataUrl": f"s3://{BUCKET}/nothing/model.tar.gz"},
        {"ModelDataUrl": "s3://no-such-bucket/model.tar.gz"},
        {"ModelDataUrl": f"s3://{BUCKET}/here/model.tar"},
        {
            "ModelDataSource": {
                "S3DataSource": {
                    "S3Uri": f"s3://{BUCKET}/nothing/",
                    "S3DataType": "S3Prefix",
                    "CompressionType": "None",
                }
            }
        },
    ],
)
def test_a_model_without_its_artefact_is_refused(
    data: dict[str, Any], cloud: Cloud, sm: Any
) -> None:
    cloud.client("s3").put_object(Bucket=BUCKET, Key="here/model.tar.gz", Body=b"x")
    request = {"ModelName": "empty", "ExecutionRoleArn": ROLE}
    code, message, _ = refusal(
        sm.create_model, **request, PrimaryContainer={"Image": OWN_IMAGE, **data}
    )
    assert code == "ValidationException"
    assert message.startswith("Could not find model data at s3://")


def test_a_model_with_its_artefact_is_made(cloud: Cloud, sm: Any) -> None:
    cloud.client("s3").put_object(Bucket=BUCKET, Key="there/model.tar.gz", Body=b"x")
    whole = {"Image": OWN_IMAGE, "ModelDataUrl": f"s3://{BUCKET}/there/model.tar.gz"}
    source = {
        "S3Uri": f"s3://{BUCKET}/there/",
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    prefix = {"Image": OWN_IMAGE, "ModelDataSource": {"S3DataSource": source}}
    for name, container in (("whole", whole), ("prefix", prefix)):
        made = sm.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        assert made["ModelArn"].endswith(f"model/{name}")


@pytest.mark.parametrize(("megabytes", "taken"), [(1024, True), (6144, True), (1500, False)])
def test_serverless_memory_comes_in_gigabytes(megabytes: int, taken: bool, sm: Any) -> None:
    model, name = f"serverless-{megabytes}", f"serverless-{megabytes}"
    sm.create_model(ModelName=model, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": OWN_IMAGE})
    variant = {
        "VariantName": "all",
        "ModelName": model,
        "ServerlessConfig": {"MemorySizeInMB": megabytes, "MaxConcurrency": 1},
    }
    request = {"EndpointConfigName": name, "ProductionVariants": [variant]}
    if taken:
        sm.create_endpoint_config(**request)
        return
    code, message, _ = refusal(sm.create_endpoint_config, **request)
    assert code == "ValidationException" and "MemorySizeInMB" in message


def test_a_step_is_shown_by_its_display_name(sm: Any) -> None:
    steps = (
        '{"Version": "2020-12-01", "Steps": [{"Name": "A", "Type": "Fail", "DisplayName": '
        '"Give up", "Arguments": {"ErrorMessage": "no"}}]}'
    )
    sm.create_pipeline(
        PipelineName="shown", PipelineDefinition=steps, RoleArn=ROLE, ClientRequestToken="t" * 32
    )
    arn = sm.start_pipeline_execution(PipelineName="shown")["PipelineExecutionArn"]
    until(
        lambda: sm.describe_pipeline_execution(PipelineExecutionArn=arn),
        "PipelineExecutionStatus",
    )
    (step,) = sm.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
    assert (step["StepName"], step["StepDisplayName"]) == ("A", "Give up")


def test_a_version_goes_through_the_stages_of_its_life(sm: Any) -> None:
    sm.create_model_package_group(ModelPackageGroupName="staged")
    arn = sm.create_model_package(
        ModelPackageGroupName="staged",
        ModelLifeCycle={"Stage": "Development", "StageStatus": "InProgress"},
    )["ModelPackageArn"]

    def life() -> dict[str, str]:
        found: dict[str, str] = sm.describe_model_package(ModelPackageName=arn)["ModelLifeCycle"]
        return found

    assert life()["Stage"] == "Development"
    later = {"Stage": "Production", "StageStatus": "Approved", "StageDescription": "good"}
    sm.update_model_package(ModelPackageArn=arn, ModelLifeCycle=later)
    assert life() == later
    wanted = {"Name": "ModelLifeCycle.Stage", "Operator": "Equals", "Value": "Production"}
    found = sm.search(Resource="ModelPackage", SearchExpression={"Filters": [wanted]})["Results"]
    assert [row["ModelPackage"]["ModelPackageArn"] for row in found] == [arn]
