"""SageMaker's resources in stacks of CloudFormation, and their tags in the tagging API."""

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.kits.endpoints import on_instances, put_artifact, serve_program
from tests.kits.local_cloud import ROLE, Cloud
from tests.kits.path import wait_until

DEFINITION = {
    "Version": "2020-12-01",
    "Metadata": {},
    "Parameters": [],
    "Steps": [{"Name": "F", "Type": "Fail", "Arguments": {"ErrorMessage": "x"}}],
}
GROUP = {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"ModelPackageGroupName": "cf"}}
REAL_TIME = {"InstanceType": "ml.m5.large", "InstanceCount": 1}
VARIANT = {
    "ModelName": "m",
    "VariantName": "v",
    "InfrastructureConfig": {
        "InfrastructureType": "RealTimeInference",
        "RealTimeInferenceConfig": REAL_TIME,
    },
}
EXPERIMENT = {
    "Name": "e",
    "Type": "ShadowMode",
    "RoleArn": ROLE,
    "EndpointName": "none",
    "ModelVariants": [VARIANT],
}
FEATURES = [{"FeatureName": name, "FeatureType": "String"} for name in ("id", "t")]


def notebook(instance_type: str) -> dict[str, Any]:
    properties = {"InstanceType": instance_type, "RoleArn": ROLE, "VolumeSizeInGB": "6"}
    return {"Type": "AWS::SageMaker::NotebookInstance", "Properties": properties}


def template(instance_type: str) -> str:
    pipeline = {
        "PipelineName": "of-a-stack",
        "RoleArn": ROLE,
        "PipelineDefinition": {"PipelineDefinitionBody": json.dumps(DEFINITION)},
    }
    features = {
        "FeatureGroupName": "of-a-stack",
        "RecordIdentifierFeatureName": "id",
        "EventTimeFeatureName": "t",
        "FeatureDefinitions": FEATURES,
        "OnlineStoreConfig": {"EnableOnlineStore": "true"},
    }
    return json.dumps(
        {
            "Resources": {
                "Group": GROUP,
                "Notebook": notebook(instance_type),
                "Pipeline": {"Type": "AWS::SageMaker::Pipeline", "Properties": pipeline},
                "Features": {"Type": "AWS::SageMaker::FeatureGroup", "Properties": features},
            },
            "Outputs": {
                "Group": {"Value": {"Ref": "Group"}},
                "Features": {"Value": {"Ref": "Features"}},
                "Notebook": {"Value": {"Fn::GetAtt": ["Notebook", "NotebookInstanceName"]}},
            },
        }
    )


@pytest.fixture(scope="module")
def cf(cloud: Cloud) -> Any:
    return cloud.client("cloudformation")


def reasons(cf: Any, stack: str) -> str:
    events = cf.describe_stack_events(StackName=stack)["StackEvents"]
    return " ".join(str(event.get("ResourceStatusReason")) for event in events)


def test_a_stack_makes_changes_and_deletes_what_our_sagemaker_holds(sm: Any, cf: Any) -> None:
    cf.create_stack(StackName="ml", TemplateBody=template("ml.t3.medium"))
    shown = cf.describe_stacks(StackName="ml")["Stacks"][0]
    assert shown["StackStatus"] == "CREATE_COMPLETE", reasons(cf, "ml")
    told = {output["OutputKey"]: output["OutputValue"] for output in shown["Outputs"]}
    assert told["Group"] == "arn:aws:sagemaker:us-east-1:123456789012:model-package-group/cf"
    assert told["Features"] == "of-a-stack"
    before = sm.describe_notebook_instance(NotebookInstanceName=told["Notebook"])
    assert (before["InstanceType"], before["VolumeSizeInGB"]) == ("ml.t3.medium", 6)
    text = sm.describe_pipeline(PipelineName="of-a-stack")["PipelineDefinition"]
    assert json.loads(text) == DEFINITION

    cf.update_stack(StackName="ml", TemplateBody=template("ml.t3.large"))
    after = sm.describe_notebook_instance(NotebookInstanceName=told["Notebook"])
    assert (after["InstanceType"], after["NotebookInstanceStatus"]) == ("ml.t3.large", "InService")

    cf.delete_stack(StackName="ml")
    assert sm.list_notebook_instances()["NotebookInstances"] == []
    assert sm.list_pipelines(PipelineNamePrefix="of-a-stack")["PipelineSummaries"] == []
    assert sm.list_model_package_groups(NameContains="cf")["ModelPackageGroupSummaryList"] == []


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "ROLLBACK_COMPLETE"])
def test_a_stack_is_over_when_its_endpoint_is(
    status: str, cloud: Cloud, sm: Any, cf: Any, tmp_path: Path
) -> None:
    serves = status == "CREATE_COMPLETE"
    path = serve_program(tmp_path) if serves else "/nowhere"
    name = f"serves-{serves}".lower()
    variant = on_instances(sm, name, path, put_artifact(cloud.client("s3")), "only")
    config = {"EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]}}
    resources = {
        "Config": {
            "Type": "AWS::SageMaker::EndpointConfig",
            "Properties": {"ProductionVariants": [variant]},
        },
        "Endpoint": {"Type": "AWS::SageMaker::Endpoint", "Properties": config},
    }
    cf.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources}))

    def shown() -> str:
        return str(cf.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])

    wait_until(lambda: shown() != "CREATE_IN_PROGRESS")
    assert shown() == status, reasons(cf, name)
    cf.delete_stack(StackName=name)
    assert sm.list_endpoints(NameContains=name)["Endpoints"] == []


def registry(description: str) -> str:
    """A group, and a card of what refers to it by the name that it makes."""
    group = {
        "Type": "AWS::SageMaker::ModelPackageGroup",
        "Properties": {
            "ModelPackageGroupName": f"group-{description}",
            "ModelPackageGroupDescription": description,
        },
    }
    content = {"Fn::GetAtt": ["Group", "ModelPackageGroupArn"]}
    package = {
        "Type": "AWS::SageMaker::ModelPackage",
        "Properties": {"ModelPackageGroupName": {"Fn::GetAtt": ["Group", "ModelPackageGroupName"]}},
    }
    outputs = {"Group": {"Value": content}}
    return json.dumps({"Resources": {"Group": group, "Package": package}, "Outputs": outputs})


def test_what_refers_to_a_replaced_resource_follows_it(sm: Any, cf: Any) -> None:
    cf.create_stack(StackName="follows", TemplateBody=registry("one"))
    with pytest.raises(ClientError, match="No updates are to be performed"):
        cf.update_stack(StackName="follows", TemplateBody=registry("one"))
    (first,) = sm.list_model_packages(ModelPackageGroupName="group-one")["ModelPackageSummaryList"]
    cf.update_stack(StackName="follows", TemplateBody=registry("two"))
    (second,) = sm.list_model_packages(ModelPackageGroupName="group-two")["ModelPackageSummaryList"]
    assert first["ModelPackageArn"].endswith("group-one/1")
    assert second["ModelPackageArn"].endswith("group-two/1")
    cf.delete_stack(StackName="follows")
    assert sm.list_model_package_groups(NameContains="group-")["ModelPackageGroupSummaryList"] == []


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (
            {"Type": "AWS::SageMaker::Endpoint", "Properties": {"EndpointConfigName": "none"}},
            "Could not find endpoint configuration",
        ),
        ({"Type": "AWS::SageMaker::InferenceExperiment", "Properties": EXPERIMENT}, "NotEmulated"),
        (
            {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"Groop": "a"}},
            "extraneous key [Groop] is not permitted",
        ),
    ],
)
def test_a_stack_whose_resource_is_refused_rolls_back_and_says_why(
    sm: Any, cf: Any, bad: Any, why: str
) -> None:
    both = {"Group": GROUP, "Bad": {**bad, "DependsOn": "Group"}}
    cf.create_stack(StackName="bad", TemplateBody=json.dumps({"Resources": both}))
    shown = cf.describe_stacks(StackName="bad")["Stacks"][0]
    assert shown["StackStatus"] == "ROLLBACK_COMPLETE"
    assert why in reasons(cf, "bad")
    assert sm.list_model_package_groups(NameContains="cf")["ModelPackageGroupSummaryList"] == []
    cf.delete_stack(StackName="bad")


def test_the_tagging_api_lists_and_changes_the_tags_of_sagemaker(cloud: Cloud, sm: Any) -> None:
    tagging = cloud.client("resourcegroupstaggingapi")
    tags = [{"Key": "team", "Value": "ml"}]
    arn = sm.create_model_package_group(ModelPackageGroupName="tagged", Tags=tags)[
        "ModelPackageGroupArn"
    ]

    def listed(**filters: Any) -> list[str]:
        found = tagging.get_resources(**filters)["ResourceTagMappingList"]
        return [one["ResourceARN"] for one in found]

    assert listed(ResourceTypeFilters=["sagemaker"]) == [arn]
    assert listed(TagFilters=[{"Key": "team", "Values": ["ml"]}]) == [arn]
    assert listed(ResourceTypeFilters=["sagemaker:model"]) == []
    tagging.tag_resources(ResourceARNList=[arn], Tags={"stage": "dev"})
    tagging.untag_resources(ResourceARNList=[arn], TagKeys=["team"])
    assert sm.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "stage", "Value": "dev"}]
    sm.delete_model_package_group(ModelPackageGroupName="tagged")
    assert listed() == []


def test_a_stack_waits_for_a_domain_and_takes_its_users_down_first(cf: Any, cloud: Cloud) -> None:
    """A user profile is refused while its domain is Pending, and a domain while it has one."""
    domain = {"DomainName": "cf", "AuthMode": "IAM", "DefaultUserSettings": {"ExecutionRole": ROLE}}
    profile = {"DomainId": {"Ref": "Domain"}, "UserProfileName": "ann"}
    resources = {
        "Domain": {"Type": "AWS::SageMaker::Domain", "Properties": domain},
        "Ann": {"Type": "AWS::SageMaker::UserProfile", "Properties": profile},
    }
    body = json.dumps({"Resources": resources})
    cf.create_stack(StackName="studio", TemplateBody=body)
    cf.get_waiter("stack_create_complete").wait(StackName="studio", WaiterConfig={"Delay": 1})
    sm = cloud.client("sagemaker")
    (row,) = sm.list_domains()["Domains"]
    assert row["Status"] == "InService"
    found = sm.describe_user_profile(DomainId=row["DomainId"], UserProfileName="ann")
    assert found["Status"] == "InService"
    cf.delete_stack(StackName="studio")
    cf.get_waiter("stack_delete_complete").wait(StackName="studio", WaiterConfig={"Delay": 1})
    assert sm.list_user_profiles()["UserProfiles"] == sm.list_domains()["Domains"] == []
