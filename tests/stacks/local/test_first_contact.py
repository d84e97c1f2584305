"""What clients that nobody here wrote met first: limits, tokens, policies, searches and events."""

import json
from typing import Any

import pytest
from botocore.config import Config
from moto.events.models import Rule

from stacks.local.aws.emulator import moto_backend
from stacks.local.aws.eventbridge import States, tell
from tests.kits.local_cloud import Cloud, refusal
from tests.kits.sagemaker_alone import Account

ARN = "arn:aws:sagemaker:us-east-1:123456789012"
GROUP = {"ModelPackageGroupName": "flights"}


@pytest.fixture
def account() -> Account:
    made = Account()
    made.call("CreateModelPackageGroup", **GROUP)
    return made


def tags(first: int, last: int) -> list[dict[str, str]]:
    return [{"Key": f"k{number}", "Value": "v"} for number in range(first, last)]


def test_a_resource_has_at_most_fifty_tags(account: Account) -> None:
    named = {"ResourceArn": f"{ARN}:model-package-group/flights"}
    code, told = account.refusal("AddTags", **named, Tags=tags(0, 51))
    assert code == "ValidationException"
    assert told.endswith("Member must have length less than or equal to 50")
    assert "at 'tags' failed" in told
    account.call("AddTags", **named, Tags=tags(0, 30))
    assert "at most 50 tags, got 51" in account.refusal("AddTags", **named, Tags=tags(20, 51))[1]
    account.call("AddTags", **named, Tags=tags(20, 50))
    assert len(account.call("ListTags", **named)["Tags"]) == 50


@pytest.mark.parametrize("key", ["aws:team", "AWS:team"])
def test_the_tags_of_aws_are_its_own(key: str, account: Account) -> None:
    given = [{"Key": key, "Value": "v"}]
    code, told = account.refusal("CreateModelPackageGroup", ModelPackageGroupName="g", Tags=given)
    assert code == "ValidationException" and "reserved" in told
    named = {"ResourceArn": f"{ARN}:model-package-group/flights"}
    assert account.refusal("AddTags", **named, Tags=given)[0] == "ValidationException"
    assert account.call("ListTags", **named)["Tags"] == []


def test_a_token_makes_one_package(account: Account) -> None:
    first, again, other = (
        account.call("CreateModelPackage", **GROUP, ClientToken=token)["ModelPackageArn"]
        for token in ("one", "one", "two")
    )
    assert (first, again, other) == (
        *[f"{ARN}:model-package/flights/1"] * 2,
        f"{ARN}:model-package/flights/2",
    )
    listed = account.call("ListModelPackages", **GROUP)["ModelPackageSummaryList"]
    assert len(listed) == 2


@pytest.mark.parametrize("policy", ["{no json", "[]", '{"Version": "2012-10-17"}'])
def test_the_policy_of_a_group_is_a_document(policy: str, account: Account) -> None:
    code, told = account.refusal("PutModelPackageGroupPolicy", **GROUP, ResourcePolicy=policy)
    assert code == "ValidationException" and "ResourcePolicy must be a JSON" in told
    assert account.refusal("GetModelPackageGroupPolicy", **GROUP)[0] == "ValidationException"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "must be JSON"),
        ("[]", "it: [] is not of type 'object'"),
        ('{"overview": {}}', "it: Additional properties are not allowed ('overview'"),
        ('{"intended_uses": []}', "intended_uses: [] is not of type 'object'"),
        ('{"evaluation_details": {}}', "evaluation_details: {} is not of type 'array'"),
        ('{"evaluation_details": [{}]}', "evaluation_details.0: 'Name' is a required property"),
        ('{"intended_uses": {"risk_rating": "Huge"}}', "risk_rating: 'Huge' is not one of"),
    ],
)
def test_the_content_of_a_card_has_the_members_of_one(
    content: str, told: str, account: Account
) -> None:
    card = {"ModelCardName": "c"}
    good = json.dumps({"model_overview": {}, "evaluation_details": [{"name": "e"}]})
    code, message = account.refusal(
        "CreateModelCard", **card, Content=content, ModelCardStatus="Draft"
    )
    assert code == "ValidationException" and told in message
    account.call("CreateModelCard", **card, Content=good, ModelCardStatus="Draft")
    assert account.refusal("UpdateModelCard", **card, Content=content)[0] == "ValidationException"
    assert account.call("DescribeModelCard", **card)["Content"] == good


def found(account: Account, resource: str, name: str, value: str) -> list[dict[str, Any]]:
    wanted = {"Filters": [{"Name": name, "Operator": "Equals", "Value": value}]}
    rows = account.call("Search", Resource=resource, SearchExpression=wanted)["Results"]
    return [row[resource] for row in rows]


def test_features_are_found_by_what_people_say_of_them(account: Account) -> None:
    features = [{"FeatureName": name, "FeatureType": "String"} for name in ("id", "at")]
    account.call(
        "CreateFeatureGroup",
        FeatureGroupName="weather",
        RecordIdentifierFeatureName="id",
        EventTimeFeatureName="at",
        FeatureDefinitions=features,
        OnlineStoreConfig={"EnableOnlineStore": True},
    )
    named = {"FeatureGroupName": "weather", "FeatureName": "at"}
    added = [{"Key": "team", "Value": "flights"}]
    account.call("UpdateFeatureMetadata", **named, Description="when", ParameterAdditions=added)
    (feature,) = found(account, "FeatureMetadata", "Description", "when")
    assert named.items() <= feature.items() and feature["Parameters"] == added
    assert len(found(account, "FeatureMetadata", "FeatureGroupName", "weather")) == 2
    assert found(account, "FeatureMetadata", "FeatureGroupName", "other") == []
    for word in ("team", "flights"):
        (feature,) = found(account, "FeatureMetadata", "AllParameters", word)
        assert feature["FeatureName"] == "at"
    assert found(account, "FeatureMetadata", "AllParameters", "when") == []
    arn = account.call("DescribeFeatureGroup", FeatureGroupName="weather")["FeatureGroupArn"]
    account.call("AddTags", ResourceArn=arn, Tags=[{"Key": "stage", "Value": "prod"}])
    (group,) = found(account, "FeatureGroup", "AllTags", "prod")
    assert group["FeatureGroupName"] == "weather"


def test_a_serverless_endpoint_keeps_no_more_ready_than_it_may_have(account: Account) -> None:
    serverless = {"MemorySizeInMB": 1024, "MaxConcurrency": 5}

    def told(kept: int) -> str:
        given = {**serverless, "ProvisionedConcurrency": kept}
        variant = {"VariantName": "v", "ModelName": "none", "ServerlessConfig": given}
        return account.refusal(
            "CreateEndpointConfig", EndpointConfigName="c", ProductionVariants=[variant]
        )[1]

    assert told(6) == "ProvisionedConcurrency (6) must not exceed MaxConcurrency (5)"
    assert told(5).startswith("Could not find model")


def definition(name: str) -> str:
    step = {"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}
    return json.dumps({"Version": "2020-12-01", "Steps": [step]})


def test_versions_of_a_pipeline_are_found(account: Account) -> None:
    named, role = {"PipelineName": "p"}, "arn:aws:iam::123456789012:role/plinth-test"
    account.call(
        "CreatePipeline",
        **named,
        PipelineDefinition=definition("One"),
        RoleArn=role,
        ClientRequestToken="t" * 32,
    )
    account.call("UpdatePipeline", **named, PipelineDefinition=definition("Two"))
    rows = found(account, "PipelineVersion", "PipelineVersionId", "2")
    assert [row["PipelineArn"] for row in rows] == [f"{ARN}:pipeline/p"]


def test_an_event_shows_what_describe_shows_with_times_in_milliseconds(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[dict[str, Any]] = []
    monkeypatch.setattr(Rule, "send_to_targets", lambda rule, event: heard.append(event))
    moto_backend("events", account.emulator).put_rule(
        name="all", event_pattern='{"source": ["aws.sagemaker"]}'
    )
    account.call("CreateModelPackage", **GROUP, ClientToken="one", SourceUri="s3://b/k")
    made = account.call("DescribeModelPackage", ModelPackageName=f"{ARN}:model-package/flights/1")
    tell(account.emulator, States())
    (event,) = heard
    assert event["detail"]["CreationTime"] == int(made["CreationTime"].timestamp() * 1000)
    same = ("ModelPackageArn", "ModelPackageVersion", "ModelApprovalStatus", "SourceUri")
    assert {name: event["detail"][name] for name in same} == {name: made[name] for name in same}
    assert not {"ClientToken", "ModelPackageType"} & event["detail"].keys()


@pytest.mark.parametrize(
    ("request_of_it", "told"),
    [
        ({}, "Value null at 'trainingJobName' failed to satisfy constraint: Member must not be"),
        (
            {"TrainingJobName": ""},
            "Value at 'trainingJobName' failed to satisfy constraint: Member must have length",
        ),
        (
            {"TrainingJobName": "t", "Tags": [{"Value": "v"}]},
            "Value null at 'tags.1.member.key' failed to satisfy constraint: Member must not be",
        ),
        (
            {"TrainingJobName": "t", "StoppingCondition": {"MaxRuntimeInSeconds": 0}},
            "Value '0' at 'stoppingCondition.maxRuntimeInSeconds' failed to satisfy constraint: "
            "Member must have value greater than or equal to 1",
        ),
    ],
)
def test_a_client_that_does_not_look_first_hears_what_aws_says(
    request_of_it: dict[str, Any], told: str, cloud: Cloud
) -> None:
    """Only boto3 holds a request against the model before it sends it."""
    unchecked = cloud.client("sagemaker", config=Config(parameter_validation=False))
    code, message, _ = refusal(unchecked.create_training_job, **request_of_it)
    assert code == "ValidationException" and told in message
    assert "validation errors detected: " in message
