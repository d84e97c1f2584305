"""Verify: what is deployed against what the program says, with the reason where it differs."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pulumi_aws as aws
import pytest
from botocore.response import StreamingBody

from pipelines.holdout import Holdout, Source
from stacks import contract
from stacks.checks import buckets_and_keys, endpoints, expectations, kubernetes
from stacks.checks.expectations import EXPECTATIONS, Expectation
from stacks.settings.load import load_workload
from stacks.stack_name import StackName
from tests.kits.checks import Script, ask, platform, statuses

ENDPOINT = "plinth-dev-flight-delay-realtime"
CONFIG = f"{ENDPOINT}-12345678"
REASON = f"The alarm {ENDPOINT}-5xx was breached"


def endpoint() -> None:
    aws.sagemaker.Endpoint("endpoint", name=ENDPOINT, endpoint_config_name=CONFIG)


def described(**changes: Any) -> tuple[str, Any]:
    return (
        "describe_endpoint",
        {
            "EndpointName": ENDPOINT,
            "EndpointArn": f"arn:aws:sagemaker:us-east-1:222222222222:endpoint/{ENDPOINT}",
            "EndpointConfigName": CONFIG,
            "EndpointStatus": "InService",
            "CreationTime": 0,
            "LastModifiedTime": 0,
            "ProductionVariants": [{"VariantName": "champion"}],
            **changes,
        },
    )


def test_an_endpoint_that_serves_the_wanted_configuration_passes() -> None:
    script: Script = {"sagemaker": [described()]}
    [found] = ask(endpoints.check_endpoints, platform(endpoint, script))
    assert found.status == "pass"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (described(EndpointConfigName="old", FailureReason=REASON), f"rolled back: {REASON}"),
        (described(EndpointConfigName="old"), "serves old: the update was never made"),
        (described(EndpointStatus="Failed", FailureReason=REASON), f"is Failed: {REASON}"),
        (described(EndpointStatus="Updating"), "is Updating"),
        (("describe_endpoint", "!ValidationException"), "must exist, does not"),
    ],
)
def test_an_endpoint_that_serves_something_else_fails_with_the_reason(
    answer: tuple[str, Any], why: str
) -> None:
    """SageMaker itself calls a rolled-back endpoint InService."""
    [found] = ask(endpoints.check_endpoints, platform(endpoint, {"sagemaker": [answer]}))
    assert found.status == "fail"
    assert why in found.message


@pytest.mark.parametrize(
    ("status", "reason", "fix"),
    [
        ("Updating", "", "wait until it is in service, then type `plinth verify {stack}`"),
        ("Failed", "the container did not answer", "mend the cause, then type `plinth up {stack}`"),
        ("OutOfService", "", "type `plinth up {stack}`"),
    ],
)
def test_what_to_do_about_an_endpoint_follows_its_status(
    status: str, reason: str, fix: str
) -> None:
    answer = described(EndpointStatus=status, FailureReason=reason)
    script: Script = {"sagemaker": [answer]}
    [found] = ask(endpoints.check_endpoints, platform(endpoint, script, stack="dev.flight_delay"))
    assert found.fix == fix.format(stack="dev.flight_delay")


def test_an_endpoint_that_nobody_may_describe_is_unknown() -> None:
    script: Script = {"sagemaker": [("describe_endpoint", "!AccessDeniedException")]}
    assert statuses(ask(endpoints.check_endpoints, platform(endpoint, script))) == ["unknown"]


def alarm(variant: str) -> Callable[[], None]:
    def program() -> None:
        aws.cloudwatch.MetricAlarm(
            "5xx",
            name="5xx",
            namespace="AWS/SageMaker",
            metric_name="Invocation5XXErrors",
            statistic="Sum",
            threshold=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            period=60,
            evaluation_periods=2,
            dimensions={"EndpointName": ENDPOINT, "VariantName": variant},
        )

    return program


@pytest.mark.parametrize(("variant", "status"), [("champion", "pass"), ("AllTraffic", "fail")])
def test_an_alarm_must_watch_a_variant_that_is_served(variant: str, status: str) -> None:
    script: Script = {"sagemaker": [described()]}
    [found] = ask(endpoints.check_alarms, platform(alarm(variant), script))
    assert found.status == status


def existing_alarm(**changes: Any) -> tuple[str, Any]:
    facts = {
        "AlarmName": "5xx",
        "Namespace": "AWS/SageMaker",
        "MetricName": "Invocation5XXErrors",
        "Dimensions": [
            {"Name": "VariantName", "Value": "champion"},
            {"Name": "EndpointName", "Value": ENDPOINT},
        ],
        "Threshold": 1.0,
        "EvaluationPeriods": 2,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "ActionsEnabled": True,
        **changes,
    }
    return ("describe_alarms", {"MetricAlarms": [facts]})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"Dimensions": [{"Name": "EndpointName", "Value": "other"}]}, "these dimensions"),
        ({"MetricName": "ModelLatency"}, "watch its metric"),
        ({"Threshold": 1000.0}, "at its threshold"),
        ({"ActionsEnabled": False}, "actions enabled"),
    ],
)
def test_an_alarm_that_watches_something_else_fails(
    changes: Mapping[str, Any], words: str | None
) -> None:
    script: Script = {"cloudwatch": [existing_alarm(**changes)]}
    [found] = ask(expectations.check, platform(alarm("champion"), script))
    assert found.status == ("fail" if words else "pass")
    assert words is None or words in found.message


def test_an_alarm_that_is_not_there_fails() -> None:
    script: Script = {"cloudwatch": [("describe_alarms", {"MetricAlarms": []})]}
    found = ask(expectations.check, platform(alarm("champion"), script))
    assert "fail" in statuses(found)
    assert "got None" in found[0].message


def cluster() -> None:
    aws.eks.NodeGroup(
        "pool",
        cluster_name="cluster",
        node_group_name="pool",
        node_role_arn="arn:aws:iam::123456789012:role/node",
        subnet_ids=["subnet-1"],
        instance_types=["g5.xlarge"],
        scaling_config={"min_size": 0, "desired_size": 1, "max_size": 2},
        labels={"plinth.dev/pool": "pool"},
    )


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"status": "ACTIVE", "scalingConfig": {"minSize": 0, "maxSize": 2}}, "pass"),
        ({"status": "DEGRADED", "scalingConfig": {"minSize": 0, "maxSize": 2}}, "fail"),
        ({"status": "ACTIVE", "scalingConfig": {"minSize": 0, "maxSize": 9}}, "fail"),
        ("!ResourceNotFoundException", "fail"),
        ("!AccessDeniedException", "unknown"),
    ],
)
def test_a_node_group_must_be_active_within_its_bounds(answer: Any, status: str) -> None:
    given = answer if isinstance(answer, str) else {"nodegroup": answer}
    script: Script = {"eks": [("describe_nodegroup", given)]}
    found = ask(expectations.check, platform(cluster, script))
    assert {finding.status for finding in found} == {status}


@pytest.mark.parametrize("row", EXPECTATIONS, ids=lambda row: f"{row.operation} {row.must}")
def test_an_expectation_asks_what_botocore_knows(row: Expectation) -> None:
    """The request's members and the first step of the query are in the operation's model."""
    import re

    import boto3

    client = boto3.client(row.service, region_name="us-east-1", **KEYS)
    name = client.meta.method_to_api_mapping[row.operation]
    model = client.meta.service_model.operation_model(name)
    assert set(row.request) <= set(model.input_shape.members)
    roots = set(re.findall(r"(?<![\w.\['`])([A-Za-z]\w+)(?=[.\[]|$)", row.query))
    known = set(model.output_shape.members)
    assert known & roots, (roots, known)


KEYS = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}

SECURE = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ({}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Effect": "Allow"}, False),
        ({"Action": "s3:GetObject"}, False),
        ({"Principal": {"AWS": "arn:aws:iam::1:root"}}, False),
        ({"Condition": {"Bool": {"aws:SecureTransport": "true"}}}, False),
        ({"Condition": {}}, False),
    ],
)
def test_a_policy_denies_plain_http_to_everyone_or_not(
    change: Mapping[str, Any], holds: bool
) -> None:
    assert buckets_and_keys.denies_plain_http({"Statement": [{**SECURE, **change}]}) is holds


def bucket() -> None:
    aws.s3.Bucket("b", bucket="b")


def policy(*statements: Mapping[str, Any]) -> Script:
    text = json.dumps({"Statement": list(statements)})
    return {"s3": [("get_bucket_policy", {"Policy": text})]}


class Answering:
    """S3 over plain HTTP that lets everyone in."""

    def head_bucket(self, Bucket: str) -> dict[str, Any]:
        return {}


def test_a_bucket_that_answers_plain_http_in_spite_of_its_policy_fails() -> None:
    asked = platform(bucket, policy(SECURE), plain_http=lambda service: Answering())
    [found] = ask(buckets_and_keys.check_buckets, asked)
    assert found.status == "fail"
    assert "answered" in found.message


def test_a_bucket_that_refuses_plain_http_passes_and_says_whether_it_was_tried() -> None:
    from tests.kits.checks import stubbed

    refusing = stubbed({"s3": [("head_bucket", "!403")]})
    [tried] = ask(
        buckets_and_keys.check_buckets, platform(bucket, policy(SECURE), plain_http=refusing)
    )
    [by_policy] = ask(buckets_and_keys.check_buckets, platform(bucket, policy(SECURE)))
    assert (tried.status, by_policy.status) == ("pass", "pass")
    assert "and tried" in tried.message
    assert "not tried: no TLS here" in by_policy.message


def test_a_bucket_without_that_statement_fails() -> None:
    assert statuses(ask(buckets_and_keys.check_buckets, platform(bucket, policy()))) == ["fail"]
    none: Script = {"s3": [("get_bucket_policy", "!NoSuchBucketPolicy")]}
    assert statuses(ask(buckets_and_keys.check_buckets, platform(bucket, none))) == ["fail"]


@pytest.mark.parametrize(("rotates", "status"), [(True, "pass"), (False, "fail")])
def test_a_key_must_rotate(rotates: bool, status: str) -> None:
    def program() -> None:
        aws.kms.Alias("key", name="alias/plinth-dev-storage", target_key_id="k")

    script: Script = {
        "kms": [
            ("describe_key", {"KeyMetadata": {"KeyId": "k"}}),
            ("get_key_rotation_status", {"KeyRotationEnabled": rotates}),
        ]
    }
    assert statuses(ask(buckets_and_keys.check_keys, platform(program, script))) == [status]


STAND_IN = "arn:aws:sagemaker:us-east-1:123456789012:mlflow-app/stand-in"
REAL = "arn:aws:sagemaker:us-east-1:123456789012:mlflow-app/app-1"


@pytest.mark.parametrize(
    ("wanted", "got", "where"),
    [
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, None),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, "$.a[1].b"),
        ({"a": [1]}, {"a": [1, 2]}, "$.a"),
        ({"a": 1}, {"a": 1, "b": 2}, "$.b"),
        ({"uri": STAND_IN}, {"uri": REAL}, None),
        ({"uri": f"{STAND_IN}/x"}, {"uri": f"{REAL}/x"}, None),
        ({"uri": STAND_IN}, {"uri": "elsewhere"}, "$.uri"),
        ({"net": ["subnet-stand-in-use1-az1"]}, {"net": ["subnet-0a1b"]}, None),
        ({"net": ["subnet-stand-in-use1-az1"]}, {"net": ["sg-0a1b"]}, "$.net[0]"),
        ({"net": ["sg-stand-in-jobs"]}, {"net": ["sg-0a1b"]}, None),
        ({"net": ["subnet-0a1c"]}, {"net": ["subnet-0a1b"]}, "$.net[0]"),
    ],
)
def test_definitions_differ_where_they_differ(wanted: Any, got: Any, where: str | None) -> None:
    """What a synth can only make up matches what AWS made."""
    assert endpoints.difference(wanted, got) == where


@pytest.mark.parametrize(("id_", "status"), [("subnet-0a1b", "pass"), ("public", "fail")])
def test_a_pipeline_holds_the_ids_that_aws_gave_its_network(id_: str, status: str) -> None:
    def definition(subnet_id: str) -> str:
        return json.dumps({"Version": "2020-12-01", "Steps": [{"Subnets": [subnet_id]}]})

    below = contract.stand_in(StackName("dev", "foundation"))
    assert isinstance(below, contract.FoundationContract)
    wanted = definition(str(next(iter(below.private_subnet_ids.values()))))

    def program() -> None:
        aws.sagemaker.Pipeline(
            "training",
            pipeline_name="training",
            pipeline_display_name="training",
            pipeline_definition=wanted,
        )

    script: Script = {"sagemaker": [("describe_pipeline", {"PipelineDefinition": definition(id_)})]}
    [found] = ask(endpoints.check_pipelines, platform(program, script))
    assert found.status == status


def test_a_pipeline_with_another_definition_fails_and_says_where() -> None:
    def program() -> None:
        aws.sagemaker.Pipeline(
            "training",
            pipeline_name="training",
            pipeline_display_name="training",
            pipeline_definition=json.dumps({"Version": "2020-12-01", "Steps": []}),
        )

    held = json.dumps({"Version": "2020-12-01", "Steps": [{"Name": "Train"}]})
    script: Script = {"sagemaker": [("describe_pipeline", {"PipelineDefinition": held})]}
    [found] = ask(endpoints.check_pipelines, platform(program, script))
    assert found.status == "fail"
    assert "$.Steps" in found.message


def one_day(source: Source, days: int) -> Holdout:
    """A holdout of the workload's own kind, which needs no store."""
    assert (source.data_bucket, days) == ("plinth-dev-data-111111111111", 1)
    return Holdout(records=[{"distance": 100}], truth=[0], baseline=[{"probability": 0.2}])


@pytest.mark.parametrize(
    ("workload", "answer", "status"),
    [
        ("flight_delay", {"probability": 0.3}, "pass"),
        ("flight_delay", {"probability": 1.7}, "fail"),
        ("flight_delay", {"value": 90}, "fail"),
        ("flight_delay", "!ModelError", "fail"),
        ("block_time", {"p10": 80.0, "value": 91.5, "p90": 99.0}, "pass"),
        ("block_time", {"p10": 95.0, "value": 91.5, "p90": 99.0}, "fail"),
        ("block_time", {"value": 91.5}, "fail"),
    ],
)
def test_an_endpoint_must_answer_as_its_kind_of_model_does(
    workload: str, answer: Any, status: str
) -> None:
    stack = StackName("dev", workload)
    settings = load_workload(stack)
    holding = replace(settings.workload, holdout="tests.stacks.test_verify:one_day")
    name = settings.names.of("realtime")

    def program() -> None:
        aws.sagemaker.Endpoint("endpoint", name=name, endpoint_config_name="config")

    given = answer
    if not isinstance(answer, str):
        body = json.dumps({"predictions": [answer]}).encode()
        given = {"Body": StreamingBody(io.BytesIO(body), len(body))}
    asked = platform(
        program,
        {"sagemaker-runtime": [("invoke_endpoint", given)]},
        stack=str(stack),
        settings=settings.model_copy(update={"workload": holding}),
    )
    [found] = ask(endpoints.check_answers, asked)
    assert (found.subject, found.status) == (name, status)


@pytest.mark.parametrize("stack", ["dev.weather", "dev.flight_delay"])
def test_what_serves_nothing_is_asked_nothing(stack: str) -> None:
    assert ask(endpoints.check_answers, platform(stack=stack)) == []


def test_without_a_cluster_its_nodes_and_quotas_are_unknown() -> None:
    for check in (kubernetes.check_nodes, kubernetes.check_quotas):
        [found] = ask(check, platform(cluster))
        assert (found.status, found.message) == ("unknown", "no cluster")
