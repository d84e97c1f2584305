"""Registry, models and endpoints of the local cloud, served by real processes."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stacks.local.daemon.listeners import listeners
from stacks.local.runtime.processes import Children
from tests.conftest import HANGS_SECONDS
from tests.kits.endpoints import (
    configure,
    invoke,
    on_instances,
    put_artifact,
    serve,
    serve_program,
    settled,
)
from tests.kits.local_cloud import BUCKET, OWN_IMAGE, ROLE, Cloud, left_of, refusal
from tests.kits.path import wait_until


@pytest.fixture(scope="module")
def s3(cloud: Cloud) -> Any:
    return cloud.client("s3")


@pytest.fixture(scope="module")
def serve_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return serve_program(tmp_path_factory.mktemp("bin"))


@pytest.fixture(scope="module")
def group(sm: Any) -> str:
    sm.create_model_package_group(ModelPackageGroupName="group")
    return "group"


@pytest.fixture(scope="module")
def artifact(s3: Any, cloud: Cloud) -> str:
    return put_artifact(s3)


def package(sm: Any, group: str, artifact: str, **more: Any) -> str:
    arn: str = sm.create_model_package(
        ModelPackageGroupName=group,
        InferenceSpecification={
            "Containers": [{"Image": OWN_IMAGE, "ModelDataUrl": artifact}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
        **more,
    )["ModelPackageArn"]
    return arn


def test_a_package_must_be_approved_before_a_model_uses_it(
    sm: Any, group: str, artifact: str
) -> None:
    arn = package(sm, group, artifact, CustomerMetadataProperties={"commit": "abc"})
    assert arn == "arn:aws:sagemaker:us-east-1:123456789012:model-package/group/1"
    wanted = {
        "ModelName": "of-package",
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": {"ModelPackageName": arn},
    }
    code, message, _ = refusal(sm.create_model, **wanted)
    assert code == "ValidationException" and "PendingManualApproval" in message
    sm.update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="good"
    )
    shown = sm.describe_model_package(ModelPackageName=arn)
    assert shown["ModelApprovalStatus"] == "Approved"
    assert shown["ApprovalDescription"] == "good"
    assert shown["CustomerMetadataProperties"] == {"commit": "abc"}
    sm.create_model(**wanted)
    assert sm.describe_model(ModelName="of-package")["PrimaryContainer"] == {
        "ModelPackageName": arn
    }


def test_versions_are_listed_by_approval_and_guard_their_group(sm: Any, artifact: str) -> None:
    sm.create_model_package_group(ModelPackageGroupName="guarded")
    first = package(sm, "guarded", artifact)
    second = package(sm, "guarded", artifact, ModelApprovalStatus="Approved")
    approved = sm.list_model_packages(
        ModelPackageGroupName="guarded", ModelApprovalStatus="Approved"
    )["ModelPackageSummaryList"]
    assert [entry["ModelPackageArn"] for entry in approved] == [second]
    assert refusal(sm.delete_model_package_group, ModelPackageGroupName="guarded")[0] == (
        "ConflictException"
    )
    for arn in (first, second):
        sm.delete_model_package(ModelPackageName=arn)
    sm.delete_model_package_group(ModelPackageGroupName="guarded")
    code, message, _ = refusal(sm.describe_model_package_group, ModelPackageGroupName="guarded")
    assert code == "ValidationException" and "does not exist" in message


def test_an_endpoint_serves_updates_survives_a_bad_update_and_goes(
    cloud: Cloud, sm: Any, serve_path: str, artifact: str
) -> None:
    configure(sm, "blue", serve_path, artifact, blue=1)
    configure(sm, "green", serve_path, artifact, green=1)
    configure(sm, "broken", serve_path, artifact, crash=1)
    sm.create_endpoint(EndpointName="flights", EndpointConfigName="blue")
    assert settled(sm, "flights")["EndpointStatus"] == "InService"
    assert invoke(cloud, "flights", "x") == ("blue|m1|x|text/csv", "blue")

    sm.update_endpoint(EndpointName="flights", EndpointConfigName="green")
    shown = settled(sm, "flights")
    assert shown["EndpointConfigName"] == "green" and "FailureReason" not in shown
    assert invoke(cloud, "flights", "x")[1] == "green"

    sm.update_endpoint(EndpointName="flights", EndpointConfigName="broken")
    shown = settled(sm, "flights")
    assert shown["EndpointStatus"] == "InService"
    assert shown["EndpointConfigName"] == "green"
    assert shown["FailureReason"].endswith("cannot load the model")
    assert invoke(cloud, "flights", "x")[1] == "green"

    sm.delete_endpoint(EndpointName="flights")
    wait_until(lambda: sm.list_endpoints()["Endpoints"] == [])
    assert refusal(sm.describe_endpoint, EndpointName="flights")[1].startswith("Could not find")
    assert not [line for line in left_of(cloud.home) if line.endswith("serve")]


def test_an_endpoint_that_does_not_come_up_is_failed_with_its_log(
    sm: Any, serve_path: str, artifact: str
) -> None:
    configure(sm, "crashing", serve_path, artifact, crash=1)
    sm.create_endpoint(EndpointName="crashing", EndpointConfigName="crashing")
    shown = settled(sm, "crashing")
    assert shown["EndpointStatus"] == "Failed"
    assert "ping health check" in shown["FailureReason"]
    assert shown["FailureReason"].endswith("cannot load the model")
    sm.delete_endpoint(EndpointName="crashing")


@pytest.fixture(scope="module")
def split(sm: Any, serve_path: str, artifact: str) -> Iterator[str]:
    """An endpoint with two variants, all traffic on `left`."""
    configure(sm, "split", serve_path, artifact, left=1, right=0)
    sm.create_endpoint(EndpointName="split", EndpointConfigName="split")
    assert settled(sm, "split")["EndpointStatus"] == "InService"
    yield "split"
    sm.delete_endpoint(EndpointName="split")


def test_weights_split_the_traffic(cloud: Cloud, sm: Any, split: str) -> None:
    assert {invoke(cloud, split, "x")[1] for _ in range(10)} == {"left"}
    assert invoke(cloud, split, "x", TargetVariant="right")[1] == "right"
    weights = [
        {"VariantName": "left", "DesiredWeight": 0},
        {"VariantName": "right", "DesiredWeight": 3},
    ]
    sm.update_endpoint_weights_and_capacities(
        EndpointName=split, DesiredWeightsAndCapacities=weights
    )
    assert {invoke(cloud, split, "x")[1] for _ in range(10)} == {"right"}
    weights[0]["DesiredWeight"] = 1
    weights[1]["DesiredWeight"] = 0
    sm.update_endpoint_weights_and_capacities(
        EndpointName=split, DesiredWeightsAndCapacities=weights
    )


def test_a_weight_is_of_one_variant_of_the_endpoint(sm: Any, split: str) -> None:
    for names, why in (
        (["middle"], 'The variant name(s) "middle" is/are not present'),
        (["left", "left"], 'The variant name "left" was non-unique within the request.'),
    ):
        weights = [{"VariantName": name, "DesiredWeight": 1} for name in names]
        asked = {"EndpointName": split, "DesiredWeightsAndCapacities": weights}
        code, message, _ = refusal(sm.update_endpoint_weights_and_capacities, **asked)
        assert code == "ValidationException" and message.startswith(why)


def test_a_variant_that_answers_at_once_keeps_an_instance(sm: Any, split: str) -> None:
    change = [{"VariantName": "left", "DesiredInstanceCount": 0}]
    code, message, _ = refusal(
        sm.update_endpoint_weights_and_capacities,
        EndpointName=split,
        DesiredWeightsAndCapacities=change,
    )
    assert (code, message) == (
        "ValidationException",
        "DesiredInstanceCount of variant 'left' must be at least 1.",
    )


def test_what_a_model_refuses_is_a_model_error(cloud: Cloud, split: str) -> None:
    with pytest.raises(ClientError) as caught:
        invoke(cloud, split, "bad")
    answer: Any = caught.value.response
    assert answer["Error"]["Code"] == "ModelError"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert (answer["OriginalStatusCode"], answer["OriginalMessage"]) == (422, "no such row")
    words = 'Received client error (422) from primary with message "no such row".'
    assert answer["Error"]["Message"].startswith(words)
    group, _, stream = answer["LogStreamArn"].partition(":log-group:")[2].partition(":log-stream:")
    assert group == f"/aws/sagemaker/Endpoints/{split}"
    assert stream.partition("/")[0] in {"left", "right"}


def test_a_killed_server_costs_no_request_that_another_can_take(
    cloud: Cloud, sm: Any, serve_path: str, artifact: str
) -> None:
    """Two processes, one killed again and again: whoever asks afterwards is answered."""
    variant = on_instances(sm, "pair", serve_path, artifact, "pair")
    sm.create_endpoint_config(
        EndpointConfigName="pair",
        ProductionVariants=[{**variant, "InitialInstanceCount": 2}],
    )
    serve(sm, "pair", "pair")
    children = Children(folder=cloud.home / "local/run")
    killed: list[int] = []
    answers: list[str] = []
    deadline = time.monotonic() + HANGS_SECONDS
    while len(killed) < 3 and time.monotonic() < deadline:
        listening = [
            one for one in listeners(cloud.home, cloud.info) if "endpoint pair" in one.process
        ]
        if len(listening) == 2:
            running = [one for one in children.recorded() if "endpoint pair" in one.purpose]
            killed.append(running[0].pid)
            os.kill(killed[-1], signal.SIGKILL)
            while running[0].alive():  # until then, a request may still reach it, and be lost
                time.sleep(0.01)
        answers += [invoke(cloud, "pair", "x")[1] for _ in range(10)]
    assert len(killed) == 3
    assert set(answers) == {"pair"}
    sm.delete_endpoint(EndpointName="pair")


def test_a_body_is_at_most_what_invoke_endpoint_takes(cloud: Cloud, split: str) -> None:
    from botocore.config import Config

    runtime = cloud.client("sagemaker-runtime", config=Config(retries={"max_attempts": 0}))
    limit = 6_291_456
    taken = runtime.invoke_endpoint(EndpointName=split, Body=b"x" * limit, ContentType="text/csv")
    assert taken["ResponseMetadata"]["HTTPStatusCode"] == 200
    with pytest.raises(ClientError, match=f"at most {limit} bytes, got {limit + 1}"):
        runtime.invoke_endpoint(EndpointName=split, Body=b"x" * (limit + 1), ContentType="text/csv")


def test_a_killed_serving_process_is_started_again(cloud: Cloud, split: str) -> None:
    children = Children(folder=cloud.home / "local/run").recorded()
    (victim,) = [child for child in children if child.purpose == "endpoint split variant left"]
    os.kill(victim.pid, signal.SIGKILL)

    def answered() -> bool:
        with suppress(ClientError):
            return invoke(cloud, split, "x", TargetVariant="left")[1] == "left"
        return False

    wait_until(answered)


def test_an_alarm_after_the_switch_rolls_back(
    cloud: Cloud, sm: Any, serve_path: str, artifact: str
) -> None:
    configure(sm, "calm", serve_path, artifact, calm=1)
    configure(sm, "alarming", serve_path, artifact, alarming=1)
    sm.create_endpoint(EndpointName="guarded", EndpointConfigName="calm")
    assert settled(sm, "guarded")["EndpointStatus"] == "InService"
    cloudwatch = cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="errors",
        MetricName="Errors",
        Namespace="test",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        Period=60,
        Statistic="Sum",
        Threshold=0,
    )
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="test")
    routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    sm.update_endpoint(
        EndpointName="guarded",
        EndpointConfigName="alarming",
        DeploymentConfig={
            "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing},
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]},
        },
    )
    shown = settled(sm, "guarded")
    assert (shown["EndpointStatus"], shown["EndpointConfigName"]) == ("InService", "calm")
    assert "errors" in shown["FailureReason"]
    assert invoke(cloud, "guarded", "x")[1] == "calm"
    sm.delete_endpoint(EndpointName="guarded")


def test_captured_data_lands_in_s3_as_json_lines(
    cloud: Cloud, sm: Any, s3: Any, serve_path: str, artifact: str
) -> None:
    configure(sm, "plain", serve_path, artifact, only=1)
    variants = sm.describe_endpoint_config(EndpointConfigName="plain")["ProductionVariants"]
    sm.create_endpoint_config(
        EndpointConfigName="captured",
        ProductionVariants=variants,
        DataCaptureConfig={
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{BUCKET}/capture",
            "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
        },
    )
    sm.create_endpoint(EndpointName="captured", EndpointConfigName="captured")
    settled(sm, "captured")
    invoke(cloud, "captured", "1,2", InferenceId="row-1")
    prefix = "capture/captured/only/"
    objects = wait_until(lambda: s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents"))
    (line,) = s3.get_object(Bucket=BUCKET, Key=objects[0]["Key"])["Body"].read().splitlines()
    record = json.loads(line)
    assert record["eventMetadata"]["inferenceId"] == "row-1"
    assert record["captureData"]["endpointInput"] == {
        "observedContentType": "text/csv",
        "mode": "INPUT",
        "data": "1,2",
        "encoding": "CSV",
    }
    assert record["captureData"]["endpointOutput"]["mode"] == "OUTPUT"
    sm.delete_endpoint(EndpointName="captured")


def test_a_variant_runs_on_something(sm: Any, artifact: str) -> None:
    container = {"Image": OWN_IMAGE, "ModelDataUrl": artifact}
    sm.create_model(ModelName="on-nothing", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {"VariantName": "a", "ModelName": "on-nothing", "InitialInstanceCount": 1}
    code, message, _ = refusal(
        sm.create_endpoint_config, EndpointConfigName="on-nothing", ProductionVariants=[variant]
    )
    assert (code, message) == (
        "ValidationException",
        "variant a must have an InstanceType or a ServerlessConfig",
    )
