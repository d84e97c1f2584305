"""Inference components of local endpoints: models that come and go on an endpoint that stays."""

import os
import signal
from collections.abc import Iterator, Mapping
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from stacks.local.runtime.processes import RUN_VARIABLE
from tests.kits.endpoints import invoke, make_model, put_artifact, serve, serve_program
from tests.kits.local_cloud import OWN_IMAGE, ROLE, Cloud, refusal, until
from tests.kits.path import wait_until

ENDPOINT = "hosts"
CPU = {"ComputeResourceRequirements": {"MinMemoryRequiredInMb": 128}}


@pytest.fixture(scope="module")
def sm(cloud: Cloud) -> Any:
    made = cloud.client("sagemaker")
    variant = {"VariantName": "all", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    config = {"EndpointConfigName": ENDPOINT, "ProductionVariants": [variant]}
    assert refusal(made.create_endpoint_config, **config)[0] == "ValidationException"
    made.create_endpoint_config(**config, ExecutionRoleArn=ROLE)
    serve(made, ENDPOINT, ENDPOINT)
    return made


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return serve_program(tmp_path_factory.mktemp("bin"))


@pytest.fixture(scope="module")
def artifact(cloud: Cloud) -> str:
    return put_artifact(cloud.client("s3"))


def container(path: str, artifact: str, says: str) -> dict[str, Any]:
    environment = {"PATH": path, "NAME": says}
    own = {"Image": OWN_IMAGE, "ArtifactUrl": artifact, "Environment": environment}
    return {"Container": own, **CPU}


def settled(sm: Any, name: str) -> Mapping[str, Any]:
    return until(
        lambda: sm.describe_inference_component(InferenceComponentName=name),
        "InferenceComponentStatus",
    )


@pytest.fixture
def component(sm: Any, path: str, artifact: str) -> Iterator[str]:
    name = "component"
    create(sm, name, container(path, artifact, "first"))
    assert settled(sm, name)["InferenceComponentStatus"] == "InService"
    yield name
    remove(sm, name)


def create(sm: Any, name: str, specification: Mapping[str, Any], copies: int = 1) -> None:
    sm.create_inference_component(
        InferenceComponentName=name,
        EndpointName=ENDPOINT,
        VariantName="all",
        Specification=specification,
        RuntimeConfig={"CopyCount": copies},
    )


def remove(sm: Any, name: str) -> None:
    sm.delete_inference_component(InferenceComponentName=name)
    again = refusal(sm.delete_inference_component, InferenceComponentName=name)
    assert again[0] == "ValidationException"  # it is going, or gone

    def is_gone() -> bool:
        try:
            sm.describe_inference_component(InferenceComponentName=name)
        except ClientError as error:
            return "Could not find inference component" in error.response["Error"]["Message"]
        return False

    wait_until(is_gone)


def serving(cloud: Cloud) -> list[int]:
    """Processes of the tests' own program."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.environ().get(RUN_VARIABLE) == str(cloud.home / "local" / "run")
            if ours and process.cmdline()[-1].endswith("/serve"):
                found.append(process.pid)
        except (psutil.Error, IndexError):
            continue
    return found


def test_who_names_a_component_is_answered_by_it(
    cloud: Cloud, sm: Any, component: str, path: str, artifact: str
) -> None:
    model = make_model(sm, "of-a-component", path, artifact, "second")
    create(sm, "second", {"ModelName": model, **CPU})
    assert settled(sm, "second")["InferenceComponentStatus"] == "InService"
    asked = {"InferenceComponentName": component}
    assert invoke(cloud, ENDPOINT, "row", **asked) == ("first|m1|row|text/csv", "all")
    answer, _ = invoke(cloud, ENDPOINT, "row", InferenceComponentName="second")
    assert answer.startswith("second|")
    listed = sm.list_inference_components(EndpointNameEquals=ENDPOINT, SortBy="Name")
    names = [row["InferenceComponentName"] for row in listed["InferenceComponents"]]
    assert names == ["second", component]
    assert sm.list_inference_components(VariantNameEquals="none")["InferenceComponents"] == []
    remove(sm, "second")
    runtime = cloud.client("sagemaker-runtime")
    for wrong, words in (({}, "is required"), ({"InferenceComponentName": "second"}, "not found")):
        code, message, _ = refusal(
            runtime.invoke_endpoint, EndpointName=ENDPOINT, Body=b"x", **wrong
        )
        assert code == "ValidationError" and words in message


def test_a_component_streams(cloud: Cloud, sm: Any, component: str) -> None:
    answer = cloud.client("sagemaker-runtime").invoke_endpoint_with_response_stream(
        EndpointName=ENDPOINT, Body=b"row", InferenceComponentName=component
    )
    said = b"".join(entry["PayloadPart"]["Bytes"] for entry in answer["Body"])
    assert said.startswith(b"first|m1|row")


def test_copies_are_processes(cloud: Cloud, sm: Any, component: str) -> None:
    def resized(copies: int) -> None:
        sm.update_inference_component_runtime_config(
            InferenceComponentName=component, DesiredRuntimeConfig={"CopyCount": copies}
        )
        shown = settled(sm, component)
        assert shown["RuntimeConfig"] == {"DesiredCopyCount": copies, "CurrentCopyCount": copies}

    asked = {"InferenceComponentName": component}
    assert len(serving(cloud)) == 1
    resized(2)
    assert len(serving(cloud)) == 2
    assert invoke(cloud, ENDPOINT, "row", **asked)[0].startswith("first|")
    assert refusal(sm.delete_endpoint, EndpointName=ENDPOINT)[0] == "ValidationException"
    resized(0)
    wait_until(lambda: serving(cloud) == [])
    runtime = cloud.client("sagemaker-runtime")
    code, message, _ = refusal(runtime.invoke_endpoint, EndpointName=ENDPOINT, Body=b"x", **asked)
    assert code == "ValidationError" and "no copy" in message


def test_an_update_takes_over_when_it_stands_and_else_changes_nothing(
    cloud: Cloud, sm: Any, component: str, path: str, artifact: str
) -> None:
    asked = {"InferenceComponentName": component}
    broken = container(path, artifact, "crash")
    sm.update_inference_component(**asked, Specification=broken)
    shown = settled(sm, component)
    assert shown["InferenceComponentStatus"] == "InService"
    assert "cannot load the model" in shown["FailureReason"]
    assert invoke(cloud, ENDPOINT, "row", **asked)[0].startswith("first|")
    sm.update_inference_component(**asked, Specification=container(path, artifact, "newer"))
    shown = settled(sm, component)
    assert "FailureReason" not in shown
    assert shown["Specification"]["Container"]["Environment"]["NAME"] == "newer"
    assert invoke(cloud, ENDPOINT, "row", **asked)[0].startswith("newer|")


def test_a_copy_that_dies_is_started_again(cloud: Cloud, sm: Any, component: str) -> None:
    (process,) = serving(cloud)
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: (new := serving(cloud)) != [] and new != [process])
    asked = {"InferenceComponentName": component}

    def answers() -> bool:
        try:
            return invoke(cloud, ENDPOINT, "row", **asked)[0].startswith("first|")
        except ClientError:
            return False

    wait_until(answers)


def test_a_component_that_does_not_come_up_says_why(sm: Any, path: str, artifact: str) -> None:
    create(sm, "broken", container(path, artifact, "crash"))
    shown = settled(sm, "broken")
    assert shown["InferenceComponentStatus"] == "Failed"
    assert "cannot load the model" in shown["FailureReason"]
    remove(sm, "broken")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"EndpointName": "none"}, "ValidationException: Could not find endpoint"),
        ({"VariantName": "none"}, "ValidationException: {endpoint} has no variant 'none'"),
        ({"Specification": CPU}, "ValidationException: Specification needs either ModelName or"),
        (
            {"Specification": {"ModelName": "none", **CPU}},
            "ValidationException: Could not find model",
        ),
        (
            {"Specification": {"BaseInferenceComponentName": "base"}},
            "NotEmulated: CreateInferenceComponent with Specification.BaseInferenceComponentName",
        ),
    ],
)
def test_a_component_without_a_place_or_a_model_is_refused(
    change: dict[str, Any], words: str, sm: Any
) -> None:
    request = {
        "InferenceComponentName": "refused",
        "EndpointName": ENDPOINT,
        "VariantName": "all",
        "Specification": {"Container": {"Image": OWN_IMAGE}, **CPU},
        **change,
    }
    code, message, _ = refusal(sm.create_inference_component, **request)
    endpoint = f"arn:aws:sagemaker:us-east-1:123456789012:endpoint/{ENDPOINT}"
    assert f"{code}: {message}".startswith(words.format(endpoint=endpoint))


def test_a_component_without_a_copy_gets_one_from_its_policy(
    cloud: Cloud, sm: Any, component: str
) -> None:
    none = {"CopyCount": 0}
    sm.update_inference_component_runtime_config(
        InferenceComponentName=component, DesiredRuntimeConfig=none
    )
    assert settled(sm, component)["RuntimeConfig"]["CurrentCopyCount"] == 0
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"inference-component/{component}",
        "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
    }
    scaling = cloud.client("application-autoscaling")
    scaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=2)
    step = {"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}
    policy = scaling.put_scaling_policy(
        **target,
        PolicyName="wake",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ExactCapacity",
            "StepAdjustments": [step],
        },
    )
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="nobody-answers",
        Namespace="AWS/SageMaker",
        MetricName="NoCapacityInvocationFailures",
        Dimensions=[{"Name": "InferenceComponentName", "Value": component}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=2,
        DatapointsToAlarm=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        AlarmActions=[policy["PolicyARN"]],
    )
    with pytest.raises(ClientError, match="has no copy"):
        invoke(cloud, ENDPOINT, "row", InferenceComponentName=component)
    wait_until(lambda: settled(sm, component)["RuntimeConfig"]["CurrentCopyCount"] == 1)
    answer, _ = invoke(cloud, ENDPOINT, "row", InferenceComponentName=component)
    assert answer.startswith("first|")
    (done,) = scaling.describe_scaling_activities(ServiceNamespace="sagemaker")["ScalingActivities"]
    assert done["Description"] == "Setting desired copy count to 1."
    scaling.deregister_scalable_target(**target)
    cloud.client("cloudwatch").delete_alarms(AlarmNames=["nobody-answers"])
