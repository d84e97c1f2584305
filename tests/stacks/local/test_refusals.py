"""What AWS refuses for the state of an account is refused by the local cloud, in AWS's words.

Each fault was in this repository once: it is put back into what the components make.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from infra.keys import KeysArgs, key_policy
from infra.naming import Names
from stacks.local.aws import service_linked_roles
from stacks.local.aws.deliveries import CLOUDWATCH, EVENTS, NotDelivered, check_key
from stacks.local.aws.policy_documents import lets
from stacks.local.aws.protocols import model_of, protocol_of
from stacks.local.aws.refusals.account import Account, backend
from stacks.local.aws.refusals.filter import refusal_of
from stacks.local.aws.refusals.table import PRINCIPALS, REFUSALS
from tests.kits.aws import client
from tests.kits.stacks import synth

NAMES = Names(env="test", account_id="123456789012", region="us-east-1")
OWN = f"arn:aws:iam::{NAMES.account_id}"

Policy = dict[str, Any]
Fault = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]


@pytest.fixture
def account() -> Iterator[Account]:
    with mock_aws():
        yield Account(region="us-east-1")


def policy_of(purpose: str, *services: str) -> Policy:
    args = KeysArgs(names=NAMES, tags={}, purposes={purpose: services})
    return key_policy(purpose, args)


def key(policy: Policy) -> str:
    made = client("kms").create_key(Policy=json.dumps(policy))
    return str(made["KeyMetadata"]["Arn"])


def faulty(policy: Policy, fault: Fault) -> Policy:
    return {**policy, "Statement": fault(policy["Statement"])}


def without(sid: str) -> Fault:
    return lambda statements: [one for one in statements if one["Sid"] != sid]


def told(found: Any) -> tuple[str, str] | None:
    return (found.code, found.message) if found else None


# -- keys ----------------------------------------------------------------------------------------


def once(statements: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The one statement for CloudTrail that there was: its context is never that of DescribeKey."""
    trail = "arn:aws:cloudtrail:*:123456789012:trail/*"
    return [
        {
            "Sid": "Cloudtrail",
            "Effect": "Allow",
            "Resource": "*",
            "Principal": {"Service": "cloudtrail.amazonaws.com"},
            "Action": ["kms:DescribeKey", "kms:GenerateDataKey*"],
            "Condition": {
                "StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": trail},
                "StringEquals": {"aws:SourceAccount": NAMES.account_id},
            },
        }
    ]


def trail(account: Account, key_arn: str) -> tuple[str, str] | None:
    request = {"Name": NAMES.of("trail"), "S3BucketName": "audited", "KmsKeyId": key_arn}
    return told(refusal_of("cloudtrail", "CreateTrail", request, account))


def audited_bucket() -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="audited")
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"},
        "BucketKeyEnabled": True,
    }
    s3.put_bucket_encryption(Bucket="audited", ServerSideEncryptionConfiguration={"Rules": [rule]})


def test_a_trail_is_made_with_the_key_as_it_is(account: Account) -> None:
    audited_bucket()
    assert trail(account, key(policy_of("audit", "cloudtrail"))) is None


@pytest.mark.parametrize(
    "fault",
    [once, *map(without, ("CloudtrailDescribes", "CloudtrailDecrypts", "CloudtrailEncrypts"))],
    ids=["as it was", "no DescribeKey", "no Decrypt", "no GenerateDataKey"],
)
def test_a_trail_is_refused_with_a_key_that_it_cannot_use(account: Account, fault: Fault) -> None:
    audited_bucket()
    made = key(faulty(policy_of("audit", "cloudtrail"), fault))
    assert trail(account, made) == (
        "InsufficientEncryptionPolicyException",
        f"Insufficient permissions to access S3 bucket audited or KMS key {made}.",
    )


def test_a_trail_needs_no_decrypt_without_a_bucket_key(account: Account) -> None:
    client("s3").create_bucket(Bucket="audited")
    policy = faulty(policy_of("audit", "cloudtrail"), without("CloudtrailDecrypts"))
    assert trail(account, key(policy)) is None


def test_a_log_group_is_refused_with_a_key_that_logs_may_not_use(account: Account) -> None:
    name = "/aws/eks/plinth-test-cluster/cluster"
    group = account.arn("logs", f"log-group:{name}")

    def asked(policy: Policy) -> tuple[str, str] | None:
        request = {"logGroupName": name, "kmsKeyId": key(policy)}
        return told(refusal_of("logs", "CreateLogGroup", request, account))

    assert asked(policy_of("cluster", "logs")) is None
    assert asked(policy_of("cluster")) == (
        "AccessDeniedException",
        f"The specified KMS key does not exist or is not allowed to be used with Arn '{group}'",
    )


def topic(policy: Policy) -> str:
    made = client("sns").create_topic(
        Name=NAMES.of("alerts"), Attributes={"KmsMasterKeyId": key(policy)}
    )
    return str(made["TopicArn"])


def sourced(statements: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """EventBridge as it was: for this account alone, which it does not say."""
    bound = {"StringEquals": {"aws:SourceAccount": NAMES.account_id}}
    return [
        {**one, "Condition": bound} if one["Sid"].startswith("Events") else dict(one)
        for one in statements
    ]


def test_events_and_alarms_reach_an_encrypted_topic(account: Account) -> None:
    arn = topic(policy_of("operations", "events", "cloudwatch"))
    check_key(account, EVENTS, "", arn)
    check_key(account, CLOUDWATCH, account.arn("cloudwatch", "alarm:a"), arn)


@pytest.mark.parametrize(("fault", "service"), [
    (sourced, EVENTS), (without("EventsTopics"), EVENTS), (without("Cloudwatch"), CLOUDWATCH),
])  # fmt: skip
def test_a_message_is_lost_where_the_key_does_not_let_its_service(
    account: Account, fault: Fault, service: str
) -> None:
    arn = topic(faulty(policy_of("operations", "events", "cloudwatch"), fault))
    with pytest.raises(NotDelivered, match=f"does not let {service} call kms:GenerateDataKey"):
        check_key(account, service, account.arn("cloudwatch", "alarm:a"), arn)


def test_a_key_of_another_environment_is_not_for_our_topics(account: Account) -> None:
    policy = policy_of("operations", "events")
    strangers = replace(NAMES, env="other").of("alerts")
    context = {"kms:EncryptionContext:aws:sns:topicArn": account.arn("sns", strangers)}
    assert not lets(policy, EVENTS, "kms:Decrypt", context)


# -- principals ----------------------------------------------------------------------------------


def naming(principal: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ["123456789012", principal]},
        "Action": "*",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trusting(principal: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ["123456789012", principal]},
        "Action": "sts:AssumeRole",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


ASKED: Mapping[tuple[str, str], Callable[[str], dict[str, Any]]] = {
    ("kms", "CreateKey"): lambda who: {"Policy": naming(who)},
    ("kms", "PutKeyPolicy"): lambda who: {"KeyId": "k", "Policy": naming(who)},
    ("s3", "PutBucketPolicy"): lambda who: {"Bucket": "b", "Policy": naming(who)},
    ("ecr", "SetRepositoryPolicy"): lambda who: {"policyText": naming(who)},
    ("sns", "CreateTopic"): lambda who: {"Name": "t", "Attributes": {"Policy": naming(who)}},
    ("sns", "SetTopicAttributes"): lambda who: {
        "AttributeName": "Policy",
        "AttributeValue": naming(who),
    },
    ("sagemaker", "PutModelPackageGroupPolicy"): lambda who: {"ResourcePolicy": naming(who)},
    ("iam", "CreateRole"): lambda who: {"AssumeRolePolicyDocument": trusting(who)},
    ("iam", "UpdateAssumeRolePolicy"): lambda who: {"PolicyDocument": trusting(who)},
    ("eks", "CreateAccessEntry"): lambda who: {"principalArn": who},
}
"""Service and operation -> a request that names somebody."""

NOBODY = (
    "arn:aws:iam::222222222222:root",
    "222222222222",
    f"{OWN}:role/never-made",
    f"{OWN}:user/never-made",
)


@pytest.mark.parametrize("who", NOBODY)
@pytest.mark.parametrize("asked", ASKED, ids=".".join)
def test_who_does_not_exist_is_named_in_no_policy(
    account: Account, asked: tuple[str, str], who: str
) -> None:
    found = refusal_of(*asked, ASKED[asked](who), account)
    assert told(found) is not None


@pytest.mark.parametrize("asked", ASKED, ids=".".join)
def test_who_exists_may_be_named(account: Account, asked: tuple[str, str]) -> None:
    trust = naming(f"{OWN}:root")
    role = client("iam").create_role(RoleName="made", Path="/a/", AssumeRolePolicyDocument=trust)
    for who in (role["Role"]["Arn"], f"{OWN}:root", "arn:aws:iam::210987654321:role/theirs", "*"):
        assert refusal_of(*asked, ASKED[asked](who), account) is None, who


# -- roles ---------------------------------------------------------------------------------------


def stack_of_roles(fault: Callable[[str, Policy], Policy]) -> dict[str, str]:
    """The roles of a workload and a foundation as they are registered; ARNs by their names."""
    iam, arns = client("iam"), {}
    for resource in [*synth("local.flight_delay"), *synth("local.foundation")]:
        if resource.type == "aws:iam/role:Role":
            name, trust = resource.inputs.get("name"), resource.inputs.get("assumeRolePolicy")
            made = fault("trust", json.loads(trust))
            role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(made))
            arns[name] = role["Role"]["Arn"]
    for resource in synth("local.flight_delay"):
        if resource.type == "aws:iam/rolePolicy:RolePolicy" and "offline" in resource.name:
            made = fault("policy", json.loads(resource.inputs.get("policy")))
            name, text = "plinth-local-flight-delay-features", json.dumps(made)
            iam.put_role_policy(RoleName=name, PolicyName="offline", PolicyDocument=text)
    return arns


def of_account(kind: str, document: Policy) -> Policy:
    """Trusts as they were, for every service: for this account, which it may not say."""
    bound = {"StringEquals": {"aws:SourceAccount": NAMES.account_id}}
    if kind == "trust":
        for statement in document["Statement"]:
            if "StringEqualsIfExists" in statement.get("Condition", {}):
                statement["Condition"] = bound
    return document


def no_acl(kind: str, document: Policy) -> Policy:
    """The offline store's grant as it was."""
    if kind == "policy":
        for statement in document["Statement"]:
            statement["Action"] = [one for one in statement["Action"] if "ObjectAcl" not in one]
    return document


@pytest.mark.parametrize(
    ("fault", "refused"),
    [
        (lambda _, document: document, None),
        (of_account, "The execution role ARN is invalid."),
        (no_acl, "must be allowed s3:PutObjectAcl on the offline store"),
    ],
    ids=["as it is", "for an account", "without ACL"],
)
def test_feature_store_and_mlflow_take_their_roles(
    account: Account, fault: Callable[[str, Policy], Policy], refused: str | None
) -> None:
    arns = stack_of_roles(fault)
    group = {
        "FeatureGroupName": "plinth-local-flight-delay-schedule",
        "RoleArn": arns["plinth-local-flight-delay-features"],
        "OfflineStoreConfig": {
            "S3StorageConfig": {"S3Uri": "s3://plinth-local-data-123456789012/features"}
        },
    }
    app = {"Name": "a", "RoleArn": arns["plinth-local-tracking"]}
    said = [
        told(refusal_of("sagemaker", "CreateFeatureGroup", group, account)),
        told(refusal_of("sagemaker", "CreateMlflowApp", app, account)),
    ]
    if refused is None:
        assert said == [None, None]
    else:
        assert said[0] is not None and refused in said[0][1]
        assert (said[1] is not None) == (fault is of_account)


# -- cost, configurations ------------------------------------------------------------------------


BY_TAG = {
    "MonitorName": "m",
    "MonitorType": "CUSTOM",
    "MonitorSpecification": {"Tags": {"Key": "environment", "Values": ["dev"]}},
}
BY_SERVICE = {"MonitorName": "m", "MonitorType": "DIMENSIONAL", "MonitorDimension": "SERVICE"}


def monitored(account: Account, monitor: Mapping[str, Any]) -> tuple[str, str] | None:
    request = {"AnomalyMonitor": monitor}
    return told(refusal_of("ce", "CreateAnomalyMonitor", request, account))


def test_a_member_account_has_no_monitor_by_tag(account: Account) -> None:
    assert monitored(account, BY_TAG) == (
        "ValidationException",
        "Linked account doesn't have access to cost allocation tags.",
    )
    assert monitored(account, {**BY_SERVICE, "MonitorDimension": "LINKED_ACCOUNT"})
    assert monitored(account, BY_SERVICE) is None


def test_aws_config_has_one_recorder_in_a_region(account: Account) -> None:
    config = client("config")
    role = f"{OWN}:role/config"

    def record(name: str) -> None:
        config.put_configuration_recorder(ConfigurationRecorder={"name": name, "roleARN": role})

    record("plinth-dev-recorder")
    with pytest.raises(ClientError, match="MaxNumberOfConfigurationRecordersExceededException"):
        record("plinth-staging-recorder")


def test_aws_config_needs_its_own_role_to_be_there(account: Account) -> None:
    arn = NAMES.service_linked_role_arn("config", "AWSServiceRoleForConfig")
    request = {"ConfigurationRecorder": {"name": "r", "roleARN": arn}}
    refused = told(refusal_of("config", "PutConfigurationRecorder", request, account))
    assert refused is not None and refused[0] == "InvalidRoleException"
    service_linked_roles.make()
    assert refusal_of("config", "PutConfigurationRecorder", request, account) is None


@pytest.mark.parametrize(
    ("version", "day", "refused"),
    [
        ("1.31", date(2026, 11, 26), False),
        ("1.31", date(2026, 11, 27), True),
        ("1.30", date(2026, 1, 1), True),
        ("1.35", date(2026, 11, 29), False),
        ("1.99", date(2026, 11, 29), False),
    ],
)
def test_a_cluster_of_a_version_that_is_gone_is_refused(
    version: str, day: date, refused: bool
) -> None:
    account = Account(region="us-east-1", today=day)
    found = told(refusal_of("eks", "CreateCluster", {"version": version}, account))
    wanted = ("InvalidParameterException", f"unsupported Kubernetes version {version}")
    assert found == (wanted if refused else None)


# -- the table -----------------------------------------------------------------------------------


def test_every_row_is_of_an_operation_with_an_error_that_it_has() -> None:
    """Codes of S3, of EC2 and of query services stand in no model."""
    assert len(REFUSALS) >= len(ASKED)
    for refusal in REFUSALS:
        model = model_of(refusal.service)
        assert set(refusal.operations) <= set(model.operation_names), refusal
        assert refusal.source and refusal.text, refusal
        for operation in refusal.operations:
            codes = {shape.name for shape in model.operation_model(operation).error_shapes}
            if protocol_of(refusal.service) == "json" and refusal.code.endswith("Exception"):
                general = {"ValidationException", "AccessDeniedException"}
                assert refusal.code in codes | general, (refusal, codes)


def test_every_operation_that_names_principals_is_tried() -> None:
    rows = {(row.service, operation) for row in PRINCIPALS for operation in row.operations}
    assert rows == set(ASKED)


def test_the_backends_are_those_of_the_one_account(account: Account) -> None:
    client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=naming(f"{OWN}:root"))
    assert [role.name for role in backend("iam", "aws").roles.values()] == ["r"]
