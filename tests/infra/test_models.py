"""Registry, tracking and endpoints: what they register, grant and refuse."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from infra.autoscaling import Autoscaling, AutoscalingArgs
from infra.component import Role
from infra.endpoint.endpoint import Endpoint, EndpointArgs
from infra.endpoint.rollout import Rollout
from infra.endpoint.variants import Asynchronous, Capture, Subnets, VariantSpec
from infra.images import Images, ImagesArgs
from infra.llm_endpoint import LlmEndpoint, LlmEndpointArgs
from infra.naming import Names
from infra.registry import Registry, RegistryArgs, approval_pattern
from infra.serverless_endpoint import ServerlessEndpoint, ServerlessEndpointArgs
from infra.tracking import Tracking, TrackingArgs, log_runs
from policies.data import Resource
from stacks.synth import recorded
from tests.infra.test_infra import by_type

NAMES = Names(env="test", account_id="123456789012", region="us-east-1")
COMMON: Any = {"names": NAMES, "tags": {"owner": "me"}}
PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/g/1"
CHAMPION = VariantSpec(model_package_arn=PACKAGE, instance_type="ml.m5.large", instance_count=1)
NEXT = replace(CHAMPION, model_package_arn=f"{PACKAGE}7")


def role(purpose: str = "serving") -> Role:
    return Role(purpose, pulumi.Output.from_input("r"), pulumi.Output.from_input("arn:r"))


def endpoint(**changes: Any) -> Callable[[], None]:
    def program() -> None:
        args = EndpointArgs(
            **COMMON,
            model="delay",
            variants={"champion": CHAMPION},
            role=role(),
            kms_key_arn="arn:k",
            alarm_key_arn="arn:k",
        )
        Endpoint("endpoint", replace(args, **changes))

    return program


def one(program: Callable[[], Any], kind: str) -> dict[str, Any]:
    [found] = by_type(recorded(program), f":{kind}")
    return found


def names_of(program: Callable[[], Any]) -> list[str]:
    found = recorded(program)
    kinds = ("Endpoint", "EndpointConfiguration", "Model")
    return [item["name"] for kind in kinds for item in by_type(found, f":{kind}")]


def test_an_endpoint_keeps_its_name_while_its_configuration_changes() -> None:
    before = names_of(endpoint())
    for changed in (
        {"variants": {"champion": replace(CHAMPION, instance_count=2)}},
        {"variants": {"champion": CHAMPION, "challenger": NEXT}},
        {"shadow": NEXT},
        {"capture": Capture(percent=5, uri="s3://b/capture")},
        {"asynchronous": Asynchronous(output_uri="s3://b/a", failure_uri="s3://b/f")},
    ):
        after = names_of(endpoint(**changed))
        assert after[0] == before[0]
        assert after[1] != before[1], changed
        assert before[2] in after[2:]


def test_a_model_in_another_network_is_another_model() -> None:
    def inside(cidr_block: str) -> str:
        subnets = Subnets(subnet_ids=["s"], security_group_ids=["g"], cidr_block=cidr_block)
        return names_of(endpoint(subnets=subnets))[2]

    assert len({inside("10.0.0.0/16"), inside("10.1.0.0/16"), names_of(endpoint())[2]}) == 3


def test_what_a_rollout_moves_is_no_input_of_what_up_compares() -> None:
    """Live weights and counts belong to the endpoint: `up` names a configuration, no more."""
    served = one(endpoint(), "Endpoint")
    assert set(served) == {"name", "endpointConfigName", "deploymentConfig", "tags"}


def test_an_endpoint_rolls_back_on_alarms_that_watch_its_variants() -> None:
    found = recorded(endpoint(variants={"champion": CHAMPION, "challenger": NEXT}))
    [served] = by_type(found, ":Endpoint")
    alarms = {item["name"]: item for item in by_type(found, "Alarm")}
    rollback = served["deploymentConfig"]["autoRollbackConfiguration"]["alarms"]
    guards = [alarms[item["alarmName"]] for item in rollback]
    assert {(g["dimensions"]["VariantName"], g["metricName"]) for g in guards} == {
        (variant, metric)
        for variant in ("champion", "challenger")
        for metric in ("Invocation5XXErrors", "ModelLatency")
    }
    assert {item["dimensions"]["EndpointName"] for item in alarms.values()} == {served["name"]}


def test_a_shadow_is_watched_and_rolls_nothing_back() -> None:
    found = recorded(endpoint(shadow=NEXT))
    watched = [item["name"] for item in by_type(found, "Alarm") if "shadow" in item["name"]]
    assert f"{NAMES.of('delay')}-shadow-5xx" in watched
    assert "shadow" not in json.dumps(by_type(found, ":Endpoint"))
    [config] = by_type(found, ":EndpointConfiguration")
    assert [v["variantName"] for v in config["productionVariants"]] == ["champion"]
    assert [v["variantName"] for v in config["shadowProductionVariants"]] == ["shadow"]


def test_alarms_on_busy_machines_know_how_many_cores_and_gpus_add_up() -> None:
    def thresholds(instance_type: str) -> dict[str, float]:
        variant = replace(CHAMPION, instance_type=instance_type)
        found = by_type(recorded(endpoint(variants={"champion": variant})), "Alarm")
        return {item["metricName"]: item["threshold"] for item in found}

    assert thresholds("ml.g6.12xlarge")["CPUUtilization"] == 90 * 48
    assert thresholds("ml.g6.12xlarge")["GPUUtilization"] == 90 * 4
    assert thresholds("ml.m5.large")["CPUUtilization"] == 90 * 2
    assert "GPUUtilization" not in thresholds("ml.m5.large")


@pytest.mark.parametrize(
    ("routing", "step", "path"),
    [
        ("CANARY", 10, ("canarySize", "value")),
        ("LINEAR", 20, ("linearStepSize", "value")),
        ("ALL_AT_ONCE", 100, ("type",)),
    ],
)
def test_a_rollout_is_said_in_sagemakers_words(
    routing: Any, step: int, path: tuple[str, ...]
) -> None:
    rollout = Rollout(traffic_routing=routing, step_percent=step, wait_interval_seconds=60)
    config = one(endpoint(rollout=rollout), "Endpoint")["deploymentConfig"]
    policy = config["blueGreenUpdatePolicy"]
    told: Any = policy["trafficRoutingConfiguration"]
    assert told["waitIntervalInSeconds"] == policy["terminationWaitInSeconds"] == 60
    for part in path:
        told = told[part]
    assert told == (routing if path == ("type",) else step)
    assert "rollingUpdatePolicy" not in config


def test_a_rolling_update_replaces_batches() -> None:
    rollout = Rollout(traffic_routing="ROLLING", step_percent=25)
    config = one(endpoint(rollout=rollout), "Endpoint")["deploymentConfig"]
    assert config["rollingUpdatePolicy"]["maximumBatchSize"]["value"] == 25
    assert "blueGreenUpdatePolicy" not in config
    assert config["autoRollbackConfiguration"]["alarms"]


@pytest.mark.parametrize(
    ("routing", "step"), [("CANARY", 51), ("LINEAR", 9), ("LINEAR", 51), ("ROLLING", 4)]
)
def test_a_step_that_sagemaker_would_refuse_is_refused_here(routing: Any, step: int) -> None:
    with pytest.raises(ValueError, match=rf"step_percent of {routing} must be .*, got {step}"):
        Rollout(traffic_routing=routing, step_percent=step)


def test_variants_that_cannot_stand_together_are_refused() -> None:
    two = {"champion": CHAMPION, "challenger": NEXT}
    with pytest.raises(ValueError, match="a rolling update of delay needs one variant"):
        endpoint(variants=two, rollout=Rollout(traffic_routing="ROLLING"))()
    with pytest.raises(ValueError, match="a shadow of delay needs exactly one variant"):
        endpoint(variants=two, shadow=NEXT)()
    with pytest.raises(ValueError, match="must have at least one, got none"):
        endpoint(variants={})()
    mixed = {"champion": CHAMPION, "challenger": replace(NEXT, instance_type="ml.g5.xlarge")}
    with pytest.raises(ValueError, match="must all have local NVMe or none"):
        recorded(endpoint(variants=mixed))


@pytest.mark.parametrize(("kind", "encrypted"), [("ml.m5.large", True), ("ml.g5.xlarge", False)])
def test_a_volume_key_is_left_out_where_sagemaker_would_refuse_it(
    kind: str, encrypted: bool
) -> None:
    variants = {"champion": replace(CHAMPION, instance_type=kind)}
    config = one(endpoint(variants=variants), "EndpointConfiguration")
    assert ("kmsKeyArn" in config) == encrypted


@pytest.mark.parametrize("uri", ["s3://b/capture/", "s3://b//capture", "b/capture"])
def test_a_capture_prefix_with_an_empty_part_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="must be s3://bucket/prefix without empty parts"):
        Capture(percent=10, uri=uri)


def test_an_endpoint_in_a_vpc_is_isolated_and_its_role_may_attach_it() -> None:
    subnets = Subnets(subnet_ids=["s1", "s2"], security_group_ids=["g"], cidr_block="10.0.0.0/16")
    found = recorded(endpoint(subnets=subnets))
    [model] = by_type(found, ":Model")
    assert model["vpcConfig"] == {"subnets": ["s1", "s2"], "securityGroupIds": ["g"]}
    assert model["enableNetworkIsolation"] is True
    policies = {item["name"]: json.loads(item["policy"]) for item in by_type(found, "RolePolicy")}
    attach = policies["endpoint-attach"]["Statement"][0]["Resource"]
    assert [arn.rpartition(":")[2] for arn in attach] == [
        "network-interface/*", "subnet/s1", "subnet/s2", "security-group/g",
    ]  # fmt: skip
    [watch] = policies["endpoint-watch"]["Statement"]
    assert watch["Action"] == ["cloudwatch:DescribeAlarms"]
    assert watch["Resource"] == [NAMES.arn("cloudwatch", "alarm:plinth-test-delay-*")]


def test_an_asynchronous_endpoint_tells_both_ends_of_a_request() -> None:
    queue = Asynchronous(output_uri="s3://b/answers", failure_uri="s3://b/failures")
    found = recorded(endpoint(asynchronous=queue))
    [config] = by_type(found, ":EndpointConfiguration")
    output = config["asyncInferenceConfig"]["outputConfig"]
    assert (output["s3OutputPath"], output["s3FailurePath"]) == (
        "s3://b/answers",
        "s3://b/failures",
    )
    assert output["kmsKeyId"] == "arn:k"
    topics = output["notificationConfig"]
    assert topics["successTopic"] != topics["errorTopic"]
    [notify] = [p for p in by_type(found, "RolePolicy") if p["name"] == "endpoint-notify"]
    [statement] = json.loads(notify["policy"])["Statement"]
    assert set(statement["Resource"]) == set(topics.values())


def serverless(**changes: Any) -> Callable[[], None]:
    def program() -> None:
        args = ServerlessEndpointArgs(
            **COMMON, model="delay", model_package_arn=PACKAGE, role=role(), alarm_key_arn="arn:k"
        )
        ServerlessEndpoint("serverless", replace(args, **changes))

    return program


def test_a_serverless_endpoint_asks_for_nothing_that_needs_instances() -> None:
    found = recorded(serverless(provisioned_concurrency=1))
    [config] = by_type(found, ":EndpointConfiguration")
    assert set(config) == {"name", "productionVariants", "tags"}
    [variant] = config["productionVariants"]
    assert "instanceType" not in variant
    assert variant["serverlessConfig"] == {
        "memorySizeInMb": 2048, "maxConcurrency": 5, "provisionedConcurrency": 1,
    }  # fmt: skip
    [model] = by_type(found, ":Model")
    assert {"vpcConfig", "enableNetworkIsolation"} & set(model) == set()
    assert "deploymentConfig" not in by_type(found, ":Endpoint")[0]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"memory_mib": 1500}, "memory_mib must be one of 1024"),
        ({"max_concurrency": 201}, "<= 200 must hold"),
        ({"provisioned_concurrency": 9}, "provisioned_concurrency <= max_concurrency"),
    ],
)
def test_a_serverless_size_that_sagemaker_lacks_is_refused(
    changes: dict[str, int], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        serverless(**changes)()


def scaling(**changes: Any) -> Callable[[], None]:
    def program() -> None:
        args = AutoscalingArgs(
            **COMMON,
            load="requests",
            subject="plinth-test-delay",
            resource_id="endpoint/plinth-test-delay/variant/champion",
            min_capacity=1,
            max_capacity=4,
            target_value=60,
        )
        Autoscaling("endpoint", replace(args, **changes))

    return program


def test_a_variant_follows_its_calls_between_its_bounds() -> None:
    found = recorded(scaling())
    [target] = by_type(found, ":Target")
    assert (target["minCapacity"], target["maxCapacity"]) == (1, 4)
    [policy] = by_type(found, ":Policy")
    tracking = policy["targetTrackingScalingPolicyConfiguration"]
    assert tracking["targetValue"] == 60
    assert tracking["predefinedMetricSpecification"] == {
        "predefinedMetricType": "SageMakerVariantInvocationsPerInstance"
    }
    assert by_type(found, "Alarm") == []


@pytest.mark.parametrize(
    ("load", "metric"),
    [("queue", "HasBacklogWithoutCapacity"), ("copies", "NoCapacityInvocationFailures")],
)
def test_what_sleeps_is_woken_by_a_step(load: Any, metric: str) -> None:
    found = recorded(scaling(load=load, min_capacity=0, alarm_topic_arn="arn:t"))
    [alarm] = by_type(found, "Alarm")
    assert alarm["metricName"] == metric
    assert alarm["alarmActions"] == ["arn:aws:mock:::endpoint-wake", "arn:t"]
    [step] = [p for p in by_type(found, ":Policy") if p["policyType"] == "StepScaling"]
    adjustment = step["stepScalingPolicyConfiguration"]["stepAdjustments"]
    assert adjustment == [{"metricIntervalLowerBound": "0", "scalingAdjustment": 1}]


def test_what_nothing_can_wake_may_not_sleep() -> None:
    with pytest.raises(ValueError, match="1 <= min_capacity <= max_capacity must hold"):
        scaling(min_capacity=0)()
    with pytest.raises(ValueError, match="got 5, 4"):
        scaling(min_capacity=5)()


def llm(**changes: Any) -> Callable[[], None]:
    def program() -> None:
        args = LlmEndpointArgs(
            **COMMON,
            model="assistant",
            image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/lmi@sha256:" + "0" * 64,
            model_data_uri="s3://b/weights/",
            role=role("llm"),
            kms_key_arn="arn:k",
            alarm_key_arn="arn:k",
            instance_type="ml.g6e.2xlarge",
            max_instances=2,
        )
        LlmEndpoint("llm", replace(args, **changes))

    return program


def test_a_language_model_is_an_inference_component_on_instances_that_come_and_go() -> None:
    found = recorded(llm())
    [config] = by_type(found, ":EndpointConfiguration")
    [variant] = config["productionVariants"]
    assert "modelName" not in variant and config["executionRoleArn"] == "arn:r"
    assert variant["managedInstanceScaling"] == {
        "status": "ENABLED", "minInstanceCount": 0, "maxInstanceCount": 2,
    }  # fmt: skip
    [component] = by_type(found, "cloudcontrol/resource:Resource")
    assert component["typeName"] == "AWS::SageMaker::InferenceComponent"
    state = json.loads(component["desiredState"])
    assert state["EndpointName"] == state["InferenceComponentName"] == "plinth-test-assistant"
    assert state["Specification"]["ModelName"] == by_type(found, ":Model")[0]["name"]
    rollback = state["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]
    alarms = {item["name"]: item["dimensions"] for item in by_type(found, "Alarm")}
    assert {item["AlarmName"] for item in rollback} == alarms.keys()
    assert list(alarms.values()) == [{"InferenceComponentName": "plinth-test-assistant"}] * 2


def test_an_inference_component_fits_the_schema_of_the_cloud_control_api() -> None:
    import jsonschema
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    [component] = by_type(recorded(llm()), "cloudcontrol/resource:Resource")
    found = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", component["typeName"])
    assert {"create", "delete", "read", "update"} <= set(found.schema["handlers"])
    schema = json.loads(json.dumps(found.schema).replace(r"\\p{L}\\p{Z}\\p{N}", r"\\w\\s"))
    jsonschema.validate(json.loads(component["desiredState"]), schema)


def test_a_copy_that_needs_more_gpus_than_an_instance_has_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be 1 to the 1 of ml\.g6e\.2xlarge, got 2"):
        llm(gpus_per_copy=2)()


def registry(**changes: Any) -> Callable[[], None]:
    def program() -> None:
        args = RegistryArgs(**COMMON, description="d", alarm_key_arn="arn:k")
        made = Registry("registry", replace(args, **changes))
        made.grant_register(role("pipeline"))

    return program


def images(readers: dict[str, list[str]]) -> list[Resource]:
    def program() -> None:
        Images("images", ImagesArgs(**COMMON, kms_key_arn="arn:k", readers=readers))

    return recorded(program)


def principals(document: str) -> list[list[str]]:
    return [statement["Principal"]["AWS"] for statement in json.loads(document)["Statement"]]


def test_a_registry_names_each_account_once_and_never_its_own() -> None:
    readers = {"222222222222": ["dev", "staging"], "123456789012": ["prod"]}
    [group] = by_type(recorded(registry(readers=readers)), "ModelPackageGroupPolicy")
    [repository] = by_type(images({"222222222222": ["dev", "staging"]}), "RepositoryPolicy")
    only = ["arn:aws:iam::222222222222:root"]
    assert principals(group["resourcePolicy"]) == [only, only]
    assert principals(repository["policy"]) == [only]
    assert "UpdateModelPackage" not in group["resourcePolicy"]
    condition = json.loads(repository["policy"])["Statement"][0]["Condition"]
    assert condition["ArnLike"]["aws:PrincipalArn"] == [
        "arn:aws:iam::222222222222:role/plinth-dev-*",
        "arn:aws:iam::222222222222:role/plinth-staging-*",
    ]


@pytest.mark.parametrize("readers", [{}, {"123456789012": ["dev"]}])
def test_a_registry_that_nobody_else_reads_has_no_policy(readers: dict[str, list[str]]) -> None:
    assert by_type(recorded(registry(readers=readers)), "ModelPackageGroupPolicy") == []
    assert by_type(images({}), "RepositoryPolicy") == []


def test_an_approval_reaches_a_topic_that_only_its_rule_may_write_to() -> None:
    found = recorded(registry())
    [rule] = by_type(found, ":EventRule")
    assert json.loads(rule["eventPattern"]) == approval_pattern("plinth-test-model")
    [target] = by_type(found, ":EventTarget")
    [policy] = by_type(found, ":TopicPolicy")
    assert target["arn"] == policy["arn"]
    statement, plaintext = json.loads(policy["policy"])["Statement"]
    assert (plaintext["Effect"], plaintext["Sid"]) == ("Deny", "TlsOnly")
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"]["ArnEquals"]["aws:SourceArn"].endswith("registry-approvals")


def test_who_registers_a_version_may_not_approve_one() -> None:
    [policy] = by_type(recorded(registry()), "RolePolicy")
    assert "sagemaker:CreateModelPackage" in policy["policy"]
    assert "UpdateModelPackage" not in policy["policy"]


def tracking(kind: Any) -> Callable[[], None]:
    def program() -> None:
        args = TrackingArgs(
            **COMMON, role=role("tracking"), artifact_store_uri="s3://b/mlflow", kind=kind
        )
        Tracking("tracking", args)

    return program


@pytest.mark.parametrize(
    ("kind", "made", "action"),
    [
        ("app", ":MlflowApp", "sagemaker:CallMlflowAppApi"),
        ("server", ":MlflowTrackingServer", "sagemaker-mlflow:CreateRun"),
    ],
)
def test_tracking_is_an_app_or_a_server_and_its_clients_may_call_it(
    kind: Any, made: str, action: str
) -> None:
    found = recorded(tracking(kind))
    assert len(by_type(found, made)) == 1
    [statement] = log_runs(kind, "arn:mlflow")
    assert action in statement["Action"] and statement["Resource"] == ["arn:mlflow"]
    assert "*" not in str(statement)
