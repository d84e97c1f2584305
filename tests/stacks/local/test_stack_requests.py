"""What CloudFormation asks of a request and of each resource, and what it tells of them."""

import json
from typing import Any

import pytest

from stacks.local.aws.cloudformation.properties import problems
from tests.kits.local_cloud import Cloud, refusal

QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": "30"}}
WRONG = {"Type": "AWS::SQS::Queue", "DependsOn": "Q", "Properties": {"VisibilityTimeOut": 30}}
WHY = (
    "Properties validation failed for resource W with message: "
    "#: extraneous key [VisibilityTimeOut] is not permitted"
)
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
ROLE = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}
NAMED = {"Type": "AWS::IAM::Role", "Properties": {**ROLE["Properties"], "RoleName": "of-a-stack"}}  # type: ignore[dict-item]


@pytest.fixture(scope="module")
def cf(cloud: Cloud) -> Any:
    return cloud.client("cloudformation")


def body(**resources: Any) -> str:
    return json.dumps({"Resources": resources})


def told(cf: Any, stack: str) -> list[tuple[str, str]]:
    events = cf.describe_stack_events(StackName=stack)["StackEvents"]
    return [(one["LogicalResourceId"], one["ResourceStatus"]) for one in reversed(events)]


def status(cf: Any, stack: str) -> str:
    return str(cf.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])


@pytest.mark.parametrize(
    ("kind", "properties", "wrong"),
    [
        ("AWS::S3::Bucket", {"Nmae": "a"}, "#: extraneous key [Nmae] is not permitted"),
        (
            "AWS::S3::Bucket",
            {"VersioningConfiguration": {"Status": "On"}},
            "#/VersioningConfiguration/Status: #: On is not a valid enum value",
        ),
        ("AWS::IAM::Role", {}, "#: required key [AssumeRolePolicyDocument] not found"),
        ("AWS::Logs::LogGroup", {"RetentionInDays": "8"}, "8 is not a valid enum value"),
        (
            "AWS::SQS::Queue",
            {"VisibilityTimeout": "soon"},
            "#/VisibilityTimeout: expected type: Integer, found: String",
        ),
        ("AWS::SNS::Topic", {"Subscription": {}}, "expected type: Array, found: JSONObject"),
        (
            "AWS::Lambda::Function",
            {"Role": "mine", "Code": {"ZipFile": "x"}},
            "#/Role: string [mine] does not match pattern",
        ),
    ],
)
def test_what_a_schema_does_not_allow_is_said(kind: str, properties: Any, wrong: str) -> None:
    (found,) = problems(kind, properties)
    assert wrong in found


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("AWS::Logs::LogGroup", {"RetentionInDays": "7"}),
        ("AWS::SQS::Queue", {"VisibilityTimeout": "30", "FifoQueue": "true"}),
        ("AWS::SSM::Parameter", {"Type": "String", "Value": 1, "Description": None}),
        ("AWS::IAM::Role", ROLE["Properties"]),
        ("AWS::Lambda::Function", {"Role": "arn:aws:iam::123456789012:role/r", "Code": {},
                                   "Environment": {"Variables": {"SIZE": 1}}}),
    ],
)  # fmt: skip
def test_texts_stand_for_numbers_and_flags_as_parameters_do(kind: str, properties: Any) -> None:
    assert problems(kind, properties) == []


def test_a_property_that_is_none_fails_its_resource_and_rolls_the_stack_back(cf: Any) -> None:
    cf.create_stack(StackName="wrong", TemplateBody=body(Q=QUEUE, W=WRONG))
    assert status(cf, "wrong") == "ROLLBACK_COMPLETE"
    assert told(cf, "wrong") == [
        ("wrong", "CREATE_IN_PROGRESS"),
        ("Q", "CREATE_IN_PROGRESS"),
        ("Q", "CREATE_COMPLETE"),
        ("W", "CREATE_IN_PROGRESS"),
        ("W", "CREATE_FAILED"),
        ("wrong", "ROLLBACK_IN_PROGRESS"),
        ("Q", "DELETE_IN_PROGRESS"),
        ("Q", "DELETE_COMPLETE"),
        ("wrong", "ROLLBACK_COMPLETE"),
    ]
    events = cf.describe_stack_events(StackName="wrong")["StackEvents"]
    assert WHY in [event.get("ResourceStatusReason") for event in events]


@pytest.mark.parametrize(
    ("asked", "ends", "left"),
    [
        ({"OnFailure": "DO_NOTHING"}, "CREATE_FAILED", ["Q"]),
        ({"DisableRollback": True}, "CREATE_FAILED", ["Q"]),
        ({"OnFailure": "DELETE"}, "DELETE_COMPLETE", []),
        ({"DisableRollback": False}, "ROLLBACK_COMPLETE", []),
    ],
)
def test_a_failure_ends_as_the_request_has_it(
    cf: Any, asked: Any, ends: str, left: list[str]
) -> None:
    made = cf.create_stack(StackName="fails", TemplateBody=body(Q=QUEUE, W=WRONG), **asked)
    assert status(cf, made["StackId"]) == ends
    if ends != "DELETE_COMPLETE":
        listed = cf.list_stack_resources(StackName="fails")["StackResourceSummaries"]
        assert [one["LogicalResourceId"] for one in listed] == left
        cf.delete_stack(StackName="fails")
    assert status(cf, made["StackId"]) == "DELETE_COMPLETE"


def test_both_ways_to_say_what_a_failure_ends_in_are_refused(cf: Any) -> None:
    asked = {"StackName": "both", "TemplateBody": body(Q=QUEUE), "OnFailure": "DELETE"}
    refused = refusal(cf.create_stack, **asked, DisableRollback=True)
    assert refused[0] == "ValidationError"


def test_updates_and_deletions_are_told_by_resource(cf: Any) -> None:
    kept = {**QUEUE, "DeletionPolicy": "Retain"}
    made = cf.create_stack(StackName="told", TemplateBody=body(Q=QUEUE, K=kept))["StackId"]
    before = len(told(cf, "told"))
    changed = {**QUEUE, "Properties": {"VisibilityTimeout": "40"}}
    cf.update_stack(StackName="told", TemplateBody=body(Q=changed, K=kept))
    cf.delete_stack(StackName="told")
    assert told(cf, made)[before:] == [
        ("told", "UPDATE_IN_PROGRESS"),
        ("Q", "UPDATE_IN_PROGRESS"),
        ("Q", "UPDATE_COMPLETE"),
        ("told", "UPDATE_COMPLETE"),
        ("K", "DELETE_SKIPPED"),
        ("told", "DELETE_IN_PROGRESS"),
        ("Q", "DELETE_IN_PROGRESS"),
        ("Q", "DELETE_COMPLETE"),
        ("told", "DELETE_COMPLETE"),
    ]


@pytest.mark.parametrize(
    ("resource", "given", "lost"),
    [
        (ROLE, [], "CAPABILITY_IAM"),
        (NAMED, ["CAPABILITY_IAM"], "CAPABILITY_NAMED_IAM"),
        (ROLE, ["CAPABILITY_NAMED_IAM"], ""),
    ],
)
def test_resources_of_iam_are_acknowledged(
    cf: Any, resource: Any, given: list[str], lost: str
) -> None:
    asked = {"TemplateBody": body(R=resource), "Capabilities": given}
    reviewed = {**asked, "ChangeSetName": "c", "ChangeSetType": "CREATE"}
    if lost:
        for act, request in ((cf.create_stack, asked), (cf.create_change_set, reviewed)):
            code, said = refusal(act, StackName="iam", **request)[:2]
            assert code == "InsufficientCapabilitiesException"
            assert f"Requires capabilities : [{lost}]" in said
        return
    cf.create_stack(StackName="iam", **asked)
    assert status(cf, "iam") == "CREATE_COMPLETE"
    cf.delete_stack(StackName="iam")


def test_a_protected_stack_is_not_deleted(cf: Any) -> None:
    asked = {"StackName": "kept", "TemplateBody": body(Q=QUEUE)}
    cf.create_stack(**asked, EnableTerminationProtection=True)
    code, said = refusal(cf.delete_stack, StackName="kept")[:2]
    assert (code, "TerminationProtection is enabled" in said) == ("ValidationError", True)
    assert status(cf, "kept") == "CREATE_COMPLETE"
    cf.update_termination_protection(StackName="kept", EnableTerminationProtection=False)
    cf.delete_stack(StackName="kept")
    assert "kept" not in {one["StackName"] for one in cf.describe_stacks()["Stacks"]}


def test_a_template_says_what_it_takes(cf: Any) -> None:
    slots = {"A": {"Type": "Number", "Default": 3, "NoEcho": "true", "AllowedValues": [3, 4]}}
    text = json.dumps(
        {"Description": "d", "Parameters": slots, "Resources": {"R": NAMED, "Q": QUEUE}}
    )
    parameter = {"ParameterKey": "A", "DefaultValue": "3", "NoEcho": True}
    found = cf.validate_template(TemplateBody=text)
    assert (found["Description"], found["Parameters"]) == ("d", [parameter])
    assert found["Capabilities"] == ["CAPABILITY_NAMED_IAM"]
    assert found["CapabilitiesReason"].endswith("[AWS::IAM::Role]")
    found = cf.get_template_summary(TemplateBody=text)
    constraints = {"AllowedValues": ["3", "4"]}
    more = {"ParameterType": "Number", "ParameterConstraints": constraints}
    assert found["Parameters"] == [{**parameter, **more}]
    assert found["ResourceTypes"] == ["AWS::IAM::Role", "AWS::SQS::Queue"]
