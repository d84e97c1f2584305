"""Change sets of CloudFormation over SageMaker's resources, and templates that nobody can make."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kits.local_cloud import BUCKET, Cloud, killed_cloud, refusal, running_cloud
from tests.kits.path import wait_until
from tests.stacks.local.test_cloudformation import reasons, registry

NO_CHANGES = (
    "The submitted information didn't contain changes. Submit different information to create a "
    "change set."
)
PARAMETERS = {"Text": {"Type": "String", "Default": "first"}}


@pytest.fixture(scope="module")
def cf(cloud: Cloud) -> Any:
    return cloud.client("cloudformation")


def template(name: str, text: Any = None, **more: Any) -> str:
    """A group whose description may be a parameter, and a package in it."""
    group = {
        "ModelPackageGroupName": name,
        "ModelPackageGroupDescription": text or {"Ref": "Text"},
    }
    package = {"ModelPackageGroupName": {"Ref": "Group"}}
    resources = {
        "Group": {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": group},
        "Package": {"Type": "AWS::SageMaker::ModelPackage", "Properties": package},
        **more,
    }
    outputs = {"Group": {"Value": {"Ref": "Group"}}}
    return json.dumps({"Parameters": PARAMETERS, "Resources": resources, "Outputs": outputs})


def proposed(cf: Any, stack: str, body: str, name: str = "c", **more: Any) -> Any:
    cf.create_change_set(StackName=stack, ChangeSetName=name, TemplateBody=body, **more)
    return cf.describe_change_set(StackName=stack, ChangeSetName=name)


def status(cf: Any, stack: str) -> str:
    return str(cf.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])


def changes(told: Any) -> list[tuple[Any, ...]]:
    rows = [one["ResourceChange"] for one in told["Changes"]]
    return [
        (row["Action"], row["LogicalResourceId"], row["ResourceType"], row.get("Replacement"))
        for row in rows
    ]


GROUP, PACKAGE = "AWS::SageMaker::ModelPackageGroup", "AWS::SageMaker::ModelPackage"


def test_a_stack_is_made_reviewed_changed_and_replaced_by_change_sets(cf: Any, sm: Any) -> None:
    told = proposed(cf, "reviewed", template("reviewed-1"), ChangeSetType="CREATE")
    assert status(cf, "reviewed") == "REVIEW_IN_PROGRESS"
    assert (told["Status"], told["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    assert changes(told) == [("Add", "Group", GROUP, None), ("Add", "Package", PACKAGE, None)]
    assert (
        sm.list_model_package_groups(NameContains="reviewed")["ModelPackageGroupSummaryList"] == []
    )
    cf.execute_change_set(StackName="reviewed", ChangeSetName="c")
    stack = cf.describe_stacks(StackName="reviewed")["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE", reasons(cf, "reviewed")
    (output,) = stack["Outputs"]
    assert output["OutputValue"].endswith(":model-package-group/reviewed-1")
    again = cf.describe_change_set(ChangeSetName=told["ChangeSetId"])
    assert again["ExecutionStatus"] == "EXECUTE_COMPLETE"

    given = [{"ParameterKey": "Text", "ParameterValue": "second"}]
    told = proposed(cf, "reviewed", template("reviewed-1"), "d", Parameters=given)
    replaced = [
        ("Modify", "Group", GROUP, "True"), ("Modify", "Package", PACKAGE, "Conditional"),
    ]  # fmt: skip
    assert changes(told) == replaced  # its description cannot be changed in place
    (detail,) = told["Changes"][0]["ResourceChange"]["Details"]
    assert detail["CausingEntity"] == "Text"
    cf.delete_change_set(StackName="reviewed", ChangeSetName="d")

    told = proposed(cf, "reviewed", template("reviewed-2", "third"), "e")
    assert changes(told) == replaced
    assert told["Changes"][0]["ResourceChange"]["PhysicalResourceId"] == output["OutputValue"]
    cf.execute_change_set(StackName="reviewed", ChangeSetName="e")
    assert status(cf, "reviewed") == "UPDATE_COMPLETE"
    (group,) = sm.list_model_package_groups(NameContains="reviewed")["ModelPackageGroupSummaryList"]
    assert group["ModelPackageGroupName"] == "reviewed-2"
    only = json.loads(template("reviewed-2", "third"))
    del only["Resources"]["Package"]
    told = proposed(cf, "reviewed", json.dumps(only), "f")
    assert changes(told) == [("Remove", "Package", PACKAGE, None)]
    cf.execute_change_set(ChangeSetName=told["ChangeSetId"])
    cf.delete_stack(StackName="reviewed")
    assert (
        sm.list_model_package_groups(NameContains="reviewed")["ModelPackageGroupSummaryList"] == []
    )


def test_a_change_set_without_changes_fails_and_cannot_be_executed(cf: Any) -> None:
    body = registry("same")
    cf.create_stack(StackName="same", TemplateBody=body)
    told = proposed(cf, "same", body)
    assert (told["Status"], told["StatusReason"]) == ("FAILED", NO_CHANGES)
    assert (told["ExecutionStatus"], told["Changes"]) == ("UNAVAILABLE", [])
    code, message, http = refusal(cf.execute_change_set, StackName="same", ChangeSetName="c")
    assert (code, http) == ("InvalidChangeSetStatus", 400)
    where = told["ChangeSetId"]
    assert message == f"ChangeSet [{where}] cannot be executed in its current status of [FAILED]"
    described = json.loads(body) | {"Outputs": {}}
    assert proposed(cf, "same", json.dumps(described), "d")["Status"] == "CREATE_COMPLETE"
    names = [one["ChangeSetName"] for one in cf.list_change_sets(StackName="same")["Summaries"]]
    assert names == ["c", "d"]
    cf.delete_stack(StackName="same")


def test_change_sets_belong_to_their_stacks(cf: Any) -> None:
    for stack in ("one", "two"):
        proposed(cf, stack, template(stack), ChangeSetType="CREATE")
    assert cf.describe_change_set(StackName="two", ChangeSetName="c")["StackName"] == "two"
    assert "'two'" in str(cf.get_template(StackName="two", ChangeSetName="c")["TemplateBody"])
    cf.delete_stack(StackName="one")
    code, _, http = refusal(cf.describe_change_set, StackName="one", ChangeSetName="c")
    assert (code, http) == ("ChangeSetNotFound", 404)
    new = {"ChangeSetName": "c", "TemplateBody": template("none"), "StackName": "none"}
    assert refusal(cf.create_change_set, **new)[:2] == (
        "ValidationError", "Stack [none] does not exist",
    )  # fmt: skip
    taken = {**new, "StackName": "two", "ChangeSetType": "CREATE"}
    assert refusal(cf.create_change_set, **taken)[0] == "AlreadyExistsException"
    moved = refusal(cf.create_change_set, **{**new, "StackName": "two", "ChangeSetName": "d"})
    assert "is in REVIEW_IN_PROGRESS state and can not be updated" in moved[1]
    moved = refusal(cf.update_stack, StackName="two", TemplateBody=template("two"))
    assert "is in REVIEW_IN_PROGRESS state and can not be updated" in moved[1]
    again = refusal(cf.create_stack, StackName="two", TemplateBody=template("two"))
    assert again == ("AlreadyExistsException", "Stack [two] already exists", 400)
    cf.delete_change_set(StackName="two", ChangeSetName="of nobody")
    cf.delete_stack(StackName="two")


UNKNOWN = {"Type": "AWS::SageMaker::Nope", "Properties": {}}


@pytest.mark.parametrize(
    ("kinds", "code", "message", "http"),
    [
        (["AWS::SageMaker::Nope"], "ValidationError",
         "Template format error: Unrecognized resource types: [AWS::SageMaker::Nope]", 400),
        (["AWS::SageMaker::TrainingJob", "AWS::Foo::Bar"], "ValidationError",
         "Template format error: Unrecognized resource types: "
         "[AWS::Foo::Bar, AWS::SageMaker::TrainingJob]", 400),
        (["AWS::Braket::Job"], "ValidationError",
         "Template format error: Unrecognized resource types: [AWS::Braket::Job]", 400),
        (["AWS::GameLift::Fleet"], "NotEmulated", "the resource type AWS::GameLift::Fleet is not "
         "emulated by the local cloud: nobody has built it", 501),
        (["AWS::CloudFormation::WaitCondition"], "NotEmulated", "the resource type "
         "AWS::CloudFormation::WaitCondition is not emulated by the local cloud: nobody has built "
         "it", 501),
    ],
)  # fmt: skip
def test_types_that_nobody_knows_or_makes(
    kinds: list[str], code: str, message: str, http: int, cf: Any
) -> None:
    more = {f"R{number}": {"Type": kind} for number, kind in enumerate(kinds)}
    body = template("types", "text", **more)
    asked = {"StackName": "types", "TemplateBody": body}
    assert refusal(cf.create_stack, **asked) == (code, message, http)
    change = {**asked, "ChangeSetName": "c", "ChangeSetType": "CREATE"}
    assert refusal(cf.create_change_set, **change) == (code, message, http)
    assert refusal(cf.describe_stacks, StackName="types")[0] == "ValidationError"
    cf.create_stack(StackName="types", TemplateBody=template("types", "text"))
    assert refusal(cf.update_stack, **asked) == (code, message, http)
    assert status(cf, "types") == "CREATE_COMPLETE"
    cf.delete_stack(StackName="types")


def test_what_a_condition_leaves_out_need_not_be_made(cf: Any) -> None:
    text = json.loads(template("conditional", "text"))
    text["Conditions"] = {"Never": {"Fn::Equals": ["a", "b"]}}
    text["Resources"]["Fleet"] = {"Type": "AWS::GameLift::Fleet", "Condition": "Never"}
    cf.create_stack(StackName="conditional", TemplateBody=json.dumps(text))
    assert status(cf, "conditional") == "CREATE_COMPLETE"
    cf.delete_stack(StackName="conditional")


def test_what_moto_cannot_update_is_refused_before_anything_changes(cf: Any) -> None:
    logs: Any = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "g"}}
    cf.create_stack(StackName="logs", TemplateBody=json.dumps({"Resources": {"Logs": logs}}))
    logs["Properties"]["RetentionInDays"] = 30
    body = json.dumps({"Resources": {"Logs": logs}})
    code, message, http = refusal(cf.update_stack, StackName="logs", TemplateBody=body)
    assert (code, http) == ("NotEmulated", 501)
    assert "an update of a resource of type AWS::Logs::LogGroup" in message
    asked = {"StackName": "logs", "TemplateBody": body, "ChangeSetName": "c"}
    assert refusal(cf.create_change_set, **asked)[0] == "NotEmulated"
    assert status(cf, "logs") == "CREATE_COMPLETE"
    assert cf.list_change_sets(StackName="logs")["Summaries"] == []
    cf.delete_stack(StackName="logs")


def test_conditions_that_change_make_and_take_away(cf: Any, sm: Any, cloud: Cloud) -> None:
    text = json.loads(template("switched", "text"))
    text["Parameters"] = {"On": {"Type": "String", "Default": "no"}}
    text["Conditions"] = {"On": {"Fn::Equals": [{"Ref": "On"}, "yes"]}}
    queue = {"Type": "AWS::SQS::Queue", "Condition": "On", "Properties": {"QueueName": "switched"}}
    text["Resources"] |= {"Queue": queue}
    text["Resources"]["Package"]["Condition"] = "On"
    body = json.dumps(text)
    cf.create_stack(StackName="switched", TemplateBody=body)

    def made() -> tuple[int, int]:
        found = sm.list_model_packages(ModelPackageGroupName="switched")["ModelPackageSummaryList"]
        listed = cloud.client("sqs").list_queues(QueueNamePrefix="switched").get("QueueUrls", [])
        return len(found), len(listed)

    assert made() == (0, 0)
    for word, action, count in (("yes", "Add", 1), ("no", "Remove", 0)):
        given = [{"ParameterKey": "On", "ParameterValue": word}]
        told = proposed(cf, "switched", body, word, Parameters=given)
        assert [row[:2] for row in changes(told)] == [(action, "Package"), (action, "Queue")]
        cf.execute_change_set(StackName="switched", ChangeSetName=word)
        assert status(cf, "switched") == "UPDATE_COMPLETE", reasons(cf, "switched")
        assert made() == (count, count)
    cf.delete_stack(StackName="switched")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("{", "Template format error: JSON not well-formed."),
        ("a: [", "Template format error: YAML not well-formed."),
        ("{}", "Template format error: At least one Resources member must be defined."),
        ('{"Resources": {"A": {}}}', "Template format error: [/Resources/A] Every Resources object "
         "must contain a Type member."),
    ],
)  # fmt: skip
def test_what_is_no_template(body: str, told: str, cf: Any) -> None:
    asked = refusal(cf.create_stack, StackName="broken", TemplateBody=body)
    assert asked == ("ValidationError", told, 400)


QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "Name"}}}
NAMED = {"Parameters": {"Name": {"Type": "String"}}, "Resources": {"Queue": QUEUE}}
LOST = "Template format error: Unresolved resource dependencies [Nope] in the"


@pytest.mark.parametrize(
    ("more", "given", "told"),
    [
        ({"Parameters": {}}, {}, LOST.replace("Nope", "Name") + " Resources block of the template"),
        ({"Outputs": {"A": {"Value": {"Fn::Sub": "${Nope.Arn} ${!x} ${AWS::Region}"}}}}, {},
         f"{LOST} Outputs block of the template"),
        ({}, {}, "Parameters: [Name] must have values"),
        ({}, {"Name": "a", "Other": "b"}, "Parameters: [Other] do not exist in the template"),
    ],
)  # fmt: skip
def test_what_a_template_refers_to_must_be_there(more: Any, given: Any, told: str, cf: Any) -> None:
    body = json.dumps({**NAMED, **more})
    parameters = [{"ParameterKey": key, "ParameterValue": one} for key, one in given.items()]
    asked = {"StackName": "refers", "TemplateBody": body, "Parameters": parameters}
    assert refusal(cf.create_stack, **asked) == ("ValidationError", told, 400)
    change = {**asked, "ChangeSetName": "c", "ChangeSetType": "CREATE"}
    assert refusal(cf.create_change_set, **change) == ("ValidationError", told, 400)
    assert refusal(cf.describe_stacks, StackName="refers")[0] == "ValidationError"


def test_previous_values_are_those_of_the_template_too(cf: Any) -> None:
    named = {**NAMED, "Parameters": {"Name": {"Type": "String", "Default": "kept-name"}}}
    cf.create_stack(StackName="before", TemplateBody=json.dumps(named))
    more = json.loads(json.dumps(named))
    more["Parameters"]["Name"]["Default"] = "another"
    more["Resources"]["Topic"] = {"Type": "AWS::SNS::Topic"}
    given = [{"ParameterKey": "Name", "UsePreviousValue": True}]
    told = proposed(cf, "before", json.dumps(more), Parameters=given)
    assert changes(told) == [("Add", "Topic", "AWS::SNS::Topic", None)]
    cf.update_stack(StackName="before", TemplateBody=json.dumps(more), Parameters=given)
    found = cf.describe_stack_resource(StackName="before", LogicalResourceId="Queue")
    assert found["StackResourceDetail"]["PhysicalResourceId"].endswith("kept-name")
    cf.delete_stack(StackName="before")


def test_a_stack_rolls_back_what_another_service_refuses(cloud: Cloud, cf: Any) -> None:
    resources = {
        "First": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "rolled-back"}},
        "Taken": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": BUCKET}},
    }
    resources["Taken"]["DependsOn"] = "First"
    cf.create_stack(StackName="taken", TemplateBody=json.dumps({"Resources": resources}))
    assert status(cf, "taken") == "ROLLBACK_COMPLETE"
    assert "bucket name is not available" in reasons(cf, "taken")
    topics = cloud.client("sns").list_topics()["Topics"]
    assert not [one for one in topics if one["TopicArn"].endswith(":rolled-back")]
    cloud.client("s3").head_bucket(Bucket=BUCKET)
    cf.delete_stack(StackName="taken")


def test_transforms_are_refused_by_name(cf: Any) -> None:
    body = json.loads(template("sam", "text")) | {"Transform": "AWS::Serverless-2016-10-31"}
    request = {"StackName": "sam", "TemplateBody": json.dumps(body)}
    assert refusal(cf.create_stack, **request)[0] == "InsufficientCapabilitiesException"
    asked = refusal(cf.create_stack, **request, Capabilities=["CAPABILITY_AUTO_EXPAND"])
    assert (asked[0], asked[2], "AWS::Serverless-2016-10-31" in asked[1]) == (
        "NotEmulated", 501, True,
    )  # fmt: skip


def test_an_update_that_is_refused_goes_back(cf: Any, sm: Any) -> None:
    cf.create_stack(StackName="back", TemplateBody=template("back", "text"))
    endpoint = {"Type": "AWS::SageMaker::Endpoint", "Properties": {"EndpointConfigName": "none"}}
    cf.update_stack(StackName="back", TemplateBody=template("back", "text", New=endpoint))
    assert status(cf, "back") == "UPDATE_ROLLBACK_COMPLETE"
    assert "Could not find endpoint configuration" in reasons(cf, "back")
    assert len(cf.list_stack_resources(StackName="back")["StackResourceSummaries"]) == 2
    cf.delete_stack(StackName="back")
    assert sm.list_model_package_groups(NameContains="back")["ModelPackageGroupSummaryList"] == []


def test_the_type_of_a_resource_stays(cf: Any) -> None:
    cf.create_stack(StackName="kinds", TemplateBody=template("kinds", "text"))
    text = json.loads(template("kinds", "text"))
    text["Resources"]["Package"] = {"Type": "AWS::SQS::Queue"}
    told = refusal(cf.update_stack, StackName="kinds", TemplateBody=json.dumps(text))
    assert told[1].endswith("modifies resource type of the following resources: [Package]")
    cf.delete_stack(StackName="kinds")


def test_stacks_of_sagemaker_outlive_their_cloud(tmp_path: Path) -> None:
    with running_cloud(tmp_path / "home") as cloud:
        cf = cloud.client("cloudformation")
        cf.create_stack(StackName="kept", TemplateBody=template("kept-1"))
        proposed(cf, "other", template("other"), ChangeSetType="CREATE")
        shown = cf.describe_stacks(StackName="kept")["Stacks"][0]["Outputs"]
        later = killed_cloud(cloud)
        cf, sm = later.client("cloudformation"), later.client("sagemaker")
        assert cf.describe_stacks(StackName="kept")["Stacks"][0]["Outputs"] == shown
        rows = cf.list_stack_resources(StackName="kept")["StackResourceSummaries"]
        assert {row["LogicalResourceId"] for row in rows} == {"Group", "Package"}
        cf.update_stack(StackName="kept", TemplateBody=template("kept-2"))
        assert status(cf, "kept") == "UPDATE_COMPLETE"
        sm.describe_model_package_group(ModelPackageGroupName="kept-2")
        cf.execute_change_set(StackName="other", ChangeSetName="c")
        assert status(cf, "other") == "CREATE_COMPLETE"
        for stack in ("kept", "other"):
            cf.delete_stack(StackName=stack)
        wait_until(lambda: not sm.list_model_package_groups()["ModelPackageGroupSummaryList"])
