"""Projects of the local SageMaker: their stacks are made, changed and deleted by CloudFormation."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.kits.local_cloud import BUCKET, Cloud, refusal
from tests.kits.path import wait_until
from tests.kits.sagemaker_alone import Account

TEMPLATE: dict[str, Any] = {
    "Parameters": {
        "SageMakerProjectName": {"Type": "String"},
        "SageMakerProjectId": {"Type": "String"},
        "Retention": {"Type": "String", "Default": "7"},
    },
    "Resources": {
        "Group": {
            "Type": "AWS::SageMaker::ModelPackageGroup",
            "Properties": {
                "ModelPackageGroupName": {"Ref": "SageMakerProjectName"},
                "ModelPackageGroupDescription": {"Ref": "SageMakerProjectId"},
            },
        },
        "Logs": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {
                "LogGroupName": {"Fn::Sub": "/projects/${SageMakerProjectName}"},
                "RetentionInDays": {"Ref": "Retention"},
            },
        },
    },
}
MORE = {
    "Type": "AWS::Logs::LogGroup",
    "Properties": {
        "LogGroupName": {"Fn::Sub": "/projects/${SageMakerProjectName}/more"},
        "RetentionInDays": {"Ref": "Retention"},
    },
}
BETTER = {**TEMPLATE, "Resources": {**TEMPLATE["Resources"], "More": MORE}}
BROKEN = {"Resources": {"Endpoint": {"Type": "AWS::SageMaker::ModelCard", "Properties": {}}}}


@pytest.fixture(scope="module")
def url(cloud: Cloud) -> str:
    """Where the templates are."""
    s3 = cloud.client("s3")
    for name, template in (("good", TEMPLATE), ("better", BETTER), ("broken", BROKEN)):
        s3.put_object(Bucket=BUCKET, Key=f"{name}.json", Body=json.dumps(template).encode())
    return f"https://{BUCKET}.s3.amazonaws.com"


def settled(sm: Any, name: str) -> Mapping[str, Any]:
    """The project when nothing is done to it any more."""
    found: dict[str, Any] = {}

    def is_settled() -> bool:
        found.update(sm.describe_project(ProjectName=name))
        return not found["ProjectStatus"].endswith(("Pending", "InProgress"))

    wait_until(is_settled)
    return found


def retention(cloud: Cloud, name: str) -> list[str]:
    logs = cloud.client("logs")
    groups = logs.describe_log_groups(logGroupNamePrefix=f"/projects/{name}")["logGroups"]
    return [str(group["retentionInDays"]) for group in groups]


def provider(url: str, name: str = "good", **parameters: str) -> dict[str, Any]:
    given = [{"Key": key, "Value": value} for key, value in parameters.items()]
    template = {"TemplateName": "base", "TemplateURL": f"{url}/{name}.json", "Parameters": given}
    return {"CfnTemplateProvider": template}


def test_a_project_makes_what_its_template_says_and_takes_it_down(
    cloud: Cloud, sm: Any, url: str
) -> None:
    tags = [{"Key": "team", "Value": "flights"}]
    made = sm.create_project(
        ProjectName="flights", TemplateProviders=[provider(url, Retention="30")], Tags=tags
    )
    assert sm.describe_project(ProjectName="flights")["ProjectStatus"] == "Pending"
    assert refusal(sm.delete_project, ProjectName="flights")[0] == "ConflictException"
    found = settled(sm, "flights")
    assert found["ProjectStatus"] == "CreateCompleted"
    assert found["ProjectId"] == made["ProjectId"]
    (detail,) = found["TemplateProviderDetails"]
    stack = detail["CfnTemplateProviderDetail"]["StackDetail"]
    assert stack["StatusMessage"] == "AVAILABLE"
    (told,) = cloud.client("cloudformation").describe_stacks(StackName=stack["Id"])["Stacks"]
    assert told["StackStatus"] == "CREATE_COMPLETE" and told["StackName"] == stack["Name"]
    group = sm.describe_model_package_group(ModelPackageGroupName="flights")
    assert group["ModelPackageGroupDescription"] == made["ProjectId"]
    assert retention(cloud, "flights") == ["30"]
    (row,) = sm.list_projects(NameContains="flig")["ProjectSummaryList"]
    assert (row["ProjectName"], row["ProjectStatus"]) == ("flights", "CreateCompleted")
    changed = provider(url, "better", Retention="30")
    sm.update_project(ProjectName="flights", TemplateProvidersToUpdate=[changed])
    assert settled(sm, "flights")["ProjectStatus"] == "UpdateCompleted"
    assert retention(cloud, "flights") == ["30", "30"]
    sm.delete_project(ProjectName="flights")
    assert settled(sm, "flights")["ProjectStatus"] == "DeleteCompleted"
    assert refusal(sm.describe_model_package_group, ModelPackageGroupName="flights")[0] == (
        "ValidationException"
    )


def test_a_project_whose_stack_fails_says_so(sm: Any, url: str) -> None:
    sm.create_project(ProjectName="broken", TemplateProviders=[provider(url, "broken")])
    found = settled(sm, "broken")
    assert found["ProjectStatus"] == "CreateFailed"
    (detail,) = found["TemplateProviderDetails"]
    message = detail["CfnTemplateProviderDetail"]["StackDetail"]["StatusMessage"]
    assert message.startswith("TAINTED") and "ModelCard" in message


def test_a_project_is_provisioned_from_a_product_of_the_service_catalog(
    cloud: Cloud, sm: Any, url: str
) -> None:
    product = cloud.client("servicecatalog").create_product(
        Name="mlops",
        Owner="us",
        ProductType="CLOUD_FORMATION_TEMPLATE",
        ProvisioningArtifactParameters={
            "Info": {"LoadTemplateFromURL": f"{url}/good.json"},
            "Type": "CLOUD_FORMATION_TEMPLATE",
        },
        IdempotencyToken="mlops",
    )
    key = product["ProductViewDetail"]["ProductViewSummary"]["ProductId"]
    parameters = [{"Key": "Retention", "Value": "14"}]
    details = {"ProductId": key, "ProvisioningParameters": parameters}
    sm.create_project(ProjectName="catalog", ServiceCatalogProvisioningDetails=details)
    found = settled(sm, "catalog")
    assert found["ProjectStatus"] == "CreateCompleted"
    product = found["ServiceCatalogProvisionedProductDetails"]
    assert product["ProvisionedProductId"].startswith("pp-")
    assert product["ProvisionedProductStatusMessage"] == "AVAILABLE"
    assert retention(cloud, "catalog") == ["14"]
    sm.delete_project(ProjectName="catalog")
    assert settled(sm, "catalog")["ProjectStatus"] == "DeleteCompleted"
    assert retention(cloud, "catalog") == []


def test_a_product_that_is_not_there_is_refused() -> None:
    account = Account()
    details = {"ServiceCatalogProvisioningDetails": {"ProductId": "prod-none"}}
    told = account.refusal("CreateProject", ProjectName="none", **details)
    text = "Product prod-none does not exist or access was denied"
    assert told == ("ValidationException", text)
    assert account.refusal("DescribeProject", ProjectName="none")[0] == "ValidationException"


def test_the_portfolio_of_aws_is_off_until_it_is_enabled() -> None:
    account = Account()

    def status() -> str:
        return str(account.call("GetSagemakerServicecatalogPortfolioStatus")["Status"])

    assert status() == "Disabled"
    account.call("EnableSagemakerServicecatalogPortfolio")
    assert status() == "Enabled"
    account.call("DisableSagemakerServicecatalogPortfolio")
    assert status() == "Disabled"


def test_a_deleted_project_is_shown_for_a_while_and_its_name_is_free() -> None:
    account = Account()
    first = account.call("CreateProject", ProjectName="ours")["ProjectId"]
    account.call("DeleteProject", ProjectName="ours")
    (row,) = account.call("ListProjects")["ProjectSummaryList"]
    assert row["ProjectStatus"] == "DeleteCompleted"
    assert account.call("CreateProject", ProjectName="ours")["ProjectId"] != first
    assert account.refusal("CreateProject", ProjectName="ours")[0] == "ValidationException"
