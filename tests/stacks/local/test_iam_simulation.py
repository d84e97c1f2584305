"""The simulator says what the account would decide, of an entity and of documents."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from policies.iam.document import compiled
from stacks.local.aws.iam.statement_positions import positions
from tests.kits.local_cloud import Cloud, refusal, running_cloud

BUCKET = "arn:aws:s3:::data"
READS = {"Sid": "Reads", "Effect": "Allow", "Action": "s3:Get*", "Resource": f"{BUCKET}/*"}
KEEPS = {"Effect": "Deny", "Action": "s3:*", "Resource": f"{BUCKET}/kept/*"}
TAGGED = {
    "Effect": "Allow",
    "Action": "sagemaker:StopTrainingJob",
    "Resource": "*",
    "Condition": {"StringEquals": {"aws:ResourceTag/Team": "${aws:PrincipalTag/Team}"}},
}


def document(*statements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [*statements]}, indent=2)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("home")) as running:
        iam = running.client("iam")
        iam.create_user(UserName="ann")
        iam.create_group(GroupName="readers")
        iam.put_group_policy(
            GroupName="readers", PolicyName="reads", PolicyDocument=document(READS, KEEPS)
        )
        iam.add_user_to_group(GroupName="readers", UserName="ann")
        trust = document(
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "x.com"}}
        )
        bounds = iam.create_policy(
            PolicyName="bounds",
            PolicyDocument=document({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}),
        )["Policy"]["Arn"]
        iam.create_role(
            RoleName="bounded", AssumeRolePolicyDocument=trust, PermissionsBoundary=bounds
        )
        iam.put_role_policy(
            RoleName="bounded",
            PolicyName="much",
            PolicyDocument=document({"Effect": "Allow", "Action": "*", "Resource": "*"}),
        )
        yield running


@pytest.fixture
def iam(cloud: Cloud) -> Any:
    return cloud.client("iam")


def arn(of: str) -> str:
    return f"arn:aws:iam::123456789012:{of}"


def test_a_user_is_decided_with_its_groups_each_resource_for_itself(iam: Any) -> None:
    [result] = iam.simulate_principal_policy(
        PolicySourceArn=arn("user/ann"),
        ActionNames=["s3:GetObject"],
        ResourceArns=[f"{BUCKET}/open", f"{BUCKET}/kept/one", "arn:aws:s3:::other/one"],
    )["EvaluationResults"]
    assert result["EvalDecision"] == "explicitDeny"
    assert result["EvalResourceName"] == "arn:${Partition}:s3:::${BucketName}/${ObjectName}"
    each = [one["EvalResourceDecision"] for one in result["ResourceSpecificResults"]]
    assert each == ["allowed", "explicitDeny", "implicitDeny"]
    [denial] = result["MatchedStatements"]
    assert denial["SourcePolicyId"] == "reads"
    lines = document(READS, KEEPS).splitlines()
    first, last = denial["StartPosition"], denial["EndPosition"]
    assert lines[first["Line"] - 1][first["Column"] - 1] == "{"
    assert lines[last["Line"] - 1][last["Column"] - 1] == "}"
    assert '"Deny"' in lines[first["Line"]]


def test_a_group_and_the_owner_of_the_home_are_entities_too(iam: Any, cloud: Cloud) -> None:
    asked = {"ActionNames": ["s3:GetObject"], "ResourceArns": [f"{BUCKET}/open"]}
    owner = cloud.client("sts").get_caller_identity()["Arn"]
    for source in (arn("group/readers"), owner):
        [result] = iam.simulate_principal_policy(PolicySourceArn=source, **asked)[
            "EvaluationResults"
        ]
        assert result["EvalDecision"] == "allowed", source


def test_a_boundary_limits_and_is_told(iam: Any) -> None:
    results = iam.simulate_principal_policy(
        PolicySourceArn=arn("role/bounded"), ActionNames=["s3:GetObject", "sqs:SendMessage"]
    )["EvaluationResults"]
    limits = [
        one["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"] for one in results
    ]
    assert [one["EvalDecision"] for one in results] == ["allowed", "implicitDeny"]
    assert limits == [True, False]
    assert all("ResourceSpecificResults" not in one for one in results)


def test_what_was_put_into_the_context_decides_and_what_was_not_is_named(iam: Any) -> None:
    def asked(**tags: str) -> Any:
        entries = [
            {"ContextKeyName": name, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for name, value in tags.items()
        ]
        [result] = iam.simulate_custom_policy(
            PolicyInputList=[document(TAGGED)],
            ActionNames=["sagemaker:StopTrainingJob"],
            ContextEntries=entries,
        )["EvaluationResults"]
        return result["EvalDecision"], result["MissingContextValues"]

    resource, principal = "aws:ResourceTag/Team", "aws:PrincipalTag/Team"
    assert asked() == ("implicitDeny", [resource, principal])
    assert asked(**{resource: "a"}) == ("implicitDeny", [principal])
    assert asked(**{resource: "a", principal: "a"}) == ("allowed", [])
    assert asked(**{resource: "a", principal: "b"}) == ("implicitDeny", [])


def test_the_keys_that_policies_ask_for_are_told(iam: Any) -> None:
    told = iam.get_context_keys_for_custom_policy(PolicyInputList=[document(TAGGED, READS)])
    assert told["ContextKeyNames"] == ["aws:ResourceTag/Team", "aws:PrincipalTag/Team"]
    of_user = iam.get_context_keys_for_principal_policy(
        PolicySourceArn=arn("user/ann"), PolicyInputList=[document(TAGGED)]
    )
    assert of_user["ContextKeyNames"] == told["ContextKeyNames"]


def test_service_control_policies_must_allow_at_every_level(iam: Any) -> None:
    everything = document({"Effect": "Allow", "Action": "*", "Resource": "*"})
    other = document({"Effect": "Allow", "Action": "sqs:*", "Resource": "*"})

    def decided(*levels: str) -> str:
        [result] = iam.simulate_custom_policy(
            PolicyInputList=[everything],
            ActionNames=["s3:ListAllMyBuckets"],
            OrderedOrganizationPolicyInputList=[
                {"ServiceControlPolicyInputList": [level]} for level in levels
            ],
        )["EvaluationResults"]
        return str(result["EvalDecision"])

    assert decided(everything, everything) == "allowed"
    assert decided(everything, other) == "implicitDeny"


def test_a_policy_of_the_resource_lets_a_user_in(iam: Any) -> None:
    asked = {
        "PolicySourceArn": arn("user/ann"),
        "ActionNames": ["s3:PutObject"],
        "ResourceArns": [f"{BUCKET}/open"],
    }
    own = document(
        {
            "Effect": "Allow",
            "Action": "s3:PutObject",
            "Resource": f"{BUCKET}/*",
            "Principal": {"AWS": arn("user/ann")},
        }
    )
    for more, decision in (({}, "implicitDeny"), ({"ResourcePolicy": own}, "allowed")):
        [result] = iam.simulate_principal_policy(**asked, **more)["EvaluationResults"]
        assert result["EvalDecision"] == decision
    role = {**asked, "PolicySourceArn": arn("role/bounded"), "ResourcePolicy": own}
    assert refusal(iam.simulate_principal_policy, **role)[0] == "InvalidInput"


def test_results_come_in_pages(iam: Any) -> None:
    actions = [f"s3:Get{kind}" for kind in ("Object", "ObjectAcl", "ObjectTagging")]
    pages = iam.get_paginator("simulate_principal_policy").paginate(
        PolicySourceArn=arn("user/ann"),
        ActionNames=actions,
        ResourceArns=[f"{BUCKET}/open"],
        PaginationConfig={"PageSize": 2},
    )
    told = [[one["EvalActionName"] for one in page["EvaluationResults"]] for page in pages]
    assert told == [actions[:2], actions[2:]]
    code, _, status = refusal(
        iam.simulate_principal_policy,
        PolicySourceArn=arn("user/ann"), ActionNames=actions, Marker="what",
    )  # fmt: skip
    assert (code, status) == ("ValidationError", 400)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("user/nobody", "NoSuchEntity"),
        ("role/nobody", "NoSuchEntity"),
        ("root", "InvalidInput"),
    ],
)
def test_who_is_not_there_is_refused(iam: Any, source: str, code: str) -> None:
    said = refusal(
        iam.simulate_principal_policy, PolicySourceArn=arn(source), ActionNames=["s3:GetObject"]
    )
    assert said[0] == code


@pytest.mark.parametrize("action", ["s3:*", "GetObject"])
def test_an_action_that_is_none_is_refused(iam: Any, action: str) -> None:
    with pytest.raises(ClientError, match="Invalid Action"):
        iam.simulate_principal_policy(PolicySourceArn=arn("user/ann"), ActionNames=[action])


def test_only_who_may_simulate_does(cloud: Cloud, iam: Any) -> None:
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    import boto3

    ann = boto3.client(
        "iam",
        "us-east-1",
        endpoint_url=cloud.info.endpoint_url,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    code, message, _ = refusal(
        ann.simulate_principal_policy,
        PolicySourceArn=arn("role/bounded"),
        ActionNames=["s3:GetObject"],
    )
    assert code == "AccessDenied"
    assert "iam:SimulatePrincipalPolicy on resource: " + arn("role/bounded") in message


@pytest.mark.parametrize(
    "text",
    [
        document(READS, KEEPS, TAGGED),
        json.dumps({"Statement": READS}),
        json.dumps({"Id": "{[", "Statement": [READS], "Version": "2012-10-17"}),
        '{"Statement": [{"Sid": "a\\"}", "Effect": "Deny", "Action": [], "Resource": "*"}]}',
    ],
    ids=("several", "one", "brackets in texts", "escaped"),
)
def test_every_statement_has_its_place(text: str) -> None:
    found = positions(text)
    assert len(found) == len(compiled(text).statements)
    lines = text.splitlines()
    for start, end in found:
        first = "\n".join(lines[: start["Line"] - 1])
        begin = len(first) + bool(first) + start["Column"] - 1
        before = "\n".join(lines[: end["Line"] - 1])
        finish = len(before) + bool(before) + end["Column"]
        assert "Effect" in json.loads(text[begin:finish])
