"""Shadow, serverless and asynchronous endpoints of the local cloud."""

import base64
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from stacks.local.aws.sagemaker.fleet import IDLE_SECONDS, Variant, rest
from stacks.local.aws.sagemaker.servers import Server
from stacks.local.runtime.processes import Children
from tests.kits.deliveries import open_queue
from tests.kits.endpoints import (
    invoke,
    make_model,
    on_instances,
    put_artifact,
    serve,
    serve_program,
)
from tests.kits.local_cloud import BUCKET, OWN_IMAGE, ROLE, Cloud, network, refusal
from tests.kits.path import wait_until
from tests.kits.provider import subject


@pytest.fixture(scope="module")
def container(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """PATH of the program and URI of the artefact."""
    path = serve_program(tmp_path_factory.mktemp("bin"))
    return path, put_artifact(cloud.client("s3"))


def objects_under(cloud: Cloud, prefix: str) -> list[bytes]:
    """What lies there, as soon as anything does."""
    s3 = cloud.client("s3")
    found = wait_until(lambda: s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents"))
    return [s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read() for item in found]


# -- shadow --------------------------------------------------------------------------------------


def test_a_shadow_gets_copies_and_answers_nobody(
    cloud: Cloud, sm: Any, container: tuple[str, str]
) -> None:
    sm.create_endpoint_config(
        EndpointConfigName="shadowed",
        ProductionVariants=[on_instances(sm, "shadowed", *container, "champion")],
        ShadowProductionVariants=[on_instances(sm, "shadowed", *container, "shadow")],
        DataCaptureConfig={
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{BUCKET}/shadow",
            "CaptureOptions": [{"CaptureMode": "Output"}],
        },
    )
    serve(sm, "shadowed", "shadowed")
    shown = sm.describe_endpoint(EndpointName="shadowed")
    assert [v["VariantName"] for v in shown["ShadowProductionVariants"]] == ["shadow"]
    assert {invoke(cloud, "shadowed", "row")[1] for _ in range(6)} == {"champion"}
    [captured] = objects_under(cloud, "shadow/shadowed/shadow/")
    lines = [json.loads(line) for line in captured.splitlines()]
    answers = [base64.b64decode(line["captureData"]["endpointOutput"]["data"]) for line in lines]
    assert set(answers) == {b"shadow|m1|row|text/csv"}
    sm.delete_endpoint(EndpointName="shadowed")


def test_a_shadow_beside_two_variants_is_refused(sm: Any, container: tuple[str, str]) -> None:
    variants = [on_instances(sm, "crowded", *container, name) for name in ("a", "b", "c")]
    code, message, _ = refusal(
        sm.create_endpoint_config,
        EndpointConfigName="crowded",
        ProductionVariants=variants[:2],
        ShadowProductionVariants=variants[2:],
    )
    assert code == "ValidationException" and "exactly one production variant" in message


# -- serverless ----------------------------------------------------------------------------------


def serverless(sm: Any, name: str, container: tuple[str, str], **config: int) -> dict[str, Any]:
    return {
        "VariantName": "only",
        "ModelName": make_model(sm, name, *container, name),
        "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1, **config},
    }


def serving(cloud: Cloud, endpoint: str) -> int:
    """How many servers of an endpoint run; those of others may be ending just now."""
    children = Children(folder=cloud.home / "local/run").recorded()
    return sum(one.purpose.startswith(f"endpoint {endpoint} ") and one.alive() for one in children)


def test_a_serverless_endpoint_runs_nothing_until_it_is_asked(
    cloud: Cloud, sm: Any, container: tuple[str, str]
) -> None:
    variant = serverless(sm, "lazy", container)
    sm.create_endpoint_config(EndpointConfigName="lazy", ProductionVariants=[variant])
    serve(sm, "lazy", "lazy")
    assert serving(cloud, "lazy") == 0
    [shown] = sm.describe_endpoint(EndpointName="lazy")["ProductionVariants"]
    assert shown["CurrentServerlessConfig"]["MaxConcurrency"] == 1
    assert "CurrentInstanceCount" not in shown
    assert invoke(cloud, "lazy", "row")[0].startswith("lazy|m1|row")
    assert serving(cloud, "lazy") == 1


def test_a_serverless_endpoint_refuses_more_at_once_than_its_concurrency(cloud: Cloud) -> None:
    once = Config(retries={"total_max_attempts": 1})
    runtime = cloud.client("sagemaker-runtime", config=once)

    def ask() -> int:
        try:
            answer = runtime.invoke_endpoint(
                EndpointName="lazy", Body=b"slow", ContentType="text/csv"
            )
        except runtime.exceptions.ClientError as error:
            answer = error.response
        return int(answer["ResponseMetadata"]["HTTPStatusCode"])

    with ThreadPoolExecutor(4) as threads:
        statuses = sorted(done.result() for done in [threads.submit(ask) for _ in range(4)])
    assert statuses[0] == 200 and statuses[-1] == 429


def test_a_serverless_endpoint_cannot_have_what_needs_instances(
    sm: Any, container: tuple[str, str]
) -> None:
    variant = serverless(sm, "greedy", container)
    code, message, _ = refusal(
        sm.create_endpoint_config,
        EndpointConfigName="greedy",
        ProductionVariants=[{**variant, "InstanceType": "ml.m5.large"}],
        KmsKeyId="key",
    )
    assert code == "ValidationException"
    assert message == "a serverless endpoint cannot have KmsKeyId, InstanceType"


class Ended:
    """A host that only ends processes."""

    def __init__(self) -> None:
        self.children = self

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("idle", "left"), [(IDLE_SECONDS + 1, 0), (IDLE_SECONDS - 10, 1)])
def test_a_worker_that_nobody_asks_goes_to_rest(tmp_path: Path, idle: float, left: int) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    variant = Variant(
        name="only", weight=1, instances=0, role_arn="", container={}, health_seconds=1,
        serverless={"MaxConcurrency": 1},
        servers=[Server(process=process, port=1, directory=tmp_path, log=tmp_path / "log.txt")],
        last_asked=time.monotonic() - idle,
    )  # fmt: skip
    emulator: Any = type("Emulator", (), {"host": Ended()})()
    try:
        rest(emulator, variant)
        assert len(variant.servers) == left
        assert (process.poll() is None) == bool(left)
    finally:
        process.kill()
        process.wait()


# -- asynchronous --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def heard(cloud: Cloud) -> dict[str, str]:
    """Topics and, for each, a queue that hears what it says."""
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    urls = {}
    for name in ("succeeded", "failed"):
        topic = sns.create_topic(Name=name)["TopicArn"]
        urls[topic] = open_queue(sqs, name)
        facts = sqs.get_queue_attributes(QueueUrl=urls[topic], AttributeNames=["QueueArn"])
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=facts["Attributes"]["QueueArn"])
    return urls


@pytest.fixture(scope="module")
def queued(cloud: Cloud, sm: Any, container: tuple[str, str], heard: dict[str, str]) -> str:
    success, error = heard
    sm.create_endpoint_config(
        EndpointConfigName="queued",
        ProductionVariants=[on_instances(sm, "queued", *container, "only")],
        AsyncInferenceConfig={
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 2},
            "OutputConfig": {
                "S3OutputPath": f"s3://{BUCKET}/answers",
                "S3FailurePath": f"s3://{BUCKET}/failures",
                "NotificationConfig": {
                    "SuccessTopic": success,
                    "ErrorTopic": error,
                    "IncludeInferenceResponseIn": ["SUCCESS_NOTIFICATION_TOPIC"],
                },
            },
        },
    )
    serve(sm, "queued", "queued")
    return "queued"


def put_request(cloud: Cloud, endpoint: str, body: bytes, **more: Any) -> Any:
    """Ask as the SDK does: only the object says what it is."""
    place = {"Bucket": BUCKET, "Key": "requests/one"}
    cloud.client("s3").put_object(**place, Body=body, ContentType="text/csv")
    return cloud.client("sagemaker-runtime").invoke_endpoint_async(
        EndpointName=endpoint,
        InputLocation=f"s3://{BUCKET}/requests/one",
        **more,
    )


def message_in(cloud: Cloud, queue: str) -> dict[str, Any]:
    [message] = cloud.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
    told: dict[str, Any] = json.loads(json.loads(message["Body"])["Message"])
    return told


def test_an_asynchronous_answer_is_an_object_and_a_message(
    cloud: Cloud, queued: str, heard: dict[str, str]
) -> None:
    accepted = put_request(cloud, queued, b"row", InferenceId="mine")
    assert accepted["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert accepted["InferenceId"] == "mine"
    prefix = accepted["OutputLocation"].removeprefix(f"s3://{BUCKET}/")
    assert prefix.startswith("answers/")
    assert objects_under(cloud, prefix) == [b"only|m1|row|text/csv"]
    told = message_in(cloud, next(iter(heard.values())))
    assert (told["invocationStatus"], told["inferenceId"]) == ("Completed", "mine")
    assert told["responseParameters"]["outputLocation"] == accepted["OutputLocation"]
    assert base64.b64decode(told["responseBody"]["content"]) == b"only|m1|row|text/csv"
    assert told["responseBody"]["encoding"] == "BASE64"


def test_what_a_model_refuses_in_the_queue_is_a_failure_with_its_reason(
    cloud: Cloud, queued: str, heard: dict[str, str]
) -> None:
    accepted = put_request(cloud, queued, b"bad")
    [reason] = objects_under(cloud, accepted["FailureLocation"].removeprefix(f"s3://{BUCKET}/"))
    assert b"no such row" in reason
    told = message_in(cloud, list(heard.values())[1])
    assert told["invocationStatus"] == "Failed" and "no such row" in told["failureReason"]


def test_an_endpoint_answers_in_its_own_way_only(cloud: Cloud, queued: str) -> None:
    runtime = cloud.client("sagemaker-runtime")
    code, message, _ = refusal(runtime.invoke_endpoint, EndpointName=queued, Body=b"x")
    assert code == "ValidationError" and "InvokeEndpointAsync only" in message
    code, message, _ = refusal(
        runtime.invoke_endpoint_async, EndpointName="lazy", InputLocation="s3://b/k"
    )
    assert code == "ValidationError" and "InvokeEndpoint only" in message


# -- as `up` sees them ---------------------------------------------------------------------------

CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
ON_INSTANCES = {"instanceType": "ml.m5.large", "initialInstanceCount": 1, "initialVariantWeight": 1}
SERVERLESS = {"memorySizeInMb": 1024, "maxConcurrency": 5}


@pytest.mark.parametrize(
    ("variant", "more"),
    [
        ({"initialVariantWeight": 1, "serverlessConfig": SERVERLESS}, {}),
        (
            {"serverlessConfig": {**SERVERLESS, "provisionedConcurrency": 1}},
            {},
        ),
        (
            ON_INSTANCES,
            {
                "asyncInferenceConfig": {
                    "clientConfig": {"maxConcurrentInvocationsPerInstance": 2},
                    "outputConfig": {
                        "s3OutputPath": "s3://b/answers",
                        "s3FailurePath": "s3://b/failures",
                        "kmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/k",
                        "notificationConfig": {
                            "successTopic": "arn:aws:sns:us-east-1:123456789012:yes",
                            "errorTopic": "arn:aws:sns:us-east-1:123456789012:no",
                        },
                    },
                }
            },
        ),
        (
            ON_INSTANCES,
            {"shadowProductionVariants": [{"variantName": "shadow", **ON_INSTANCES}]},
        ),
    ],
    ids=("serverless", "warm", "asynchronous", "shadow"),
)
def test_what_up_wrote_reads_back_without_a_difference(
    cloud: Cloud, container: tuple[str, str], variant: dict[str, Any], more: dict[str, Any]
) -> None:
    backend, there = cloud.backend(), network(cloud)
    model = {
        "name": "deployed",
        "executionRoleArn": ROLE,
        "primaryContainer": {"image": OWN_IMAGE, "modelDataUrl": container[1]},
        "enableNetworkIsolation": True,
        "vpcConfig": {
            "subnets": there["Subnets"][::-1],
            "securityGroupIds": there["SecurityGroupIds"],
        },
    }
    config = {
        "name": "deployed",
        "productionVariants": [{"variantName": "champion", "modelName": "deployed", **variant}],
        **more,
    }
    for shadow in config.get("shadowProductionVariants", []):
        shadow["modelName"] = "deployed"
    made = []
    for token, inputs in (("aws:sagemaker/model:Model", model), (CONFIGURATION, config)):
        it = subject(token)
        existing = backend.create(it, inputs)
        made.append((it, existing.id, inputs))
        read = backend.read(it, existing.id, inputs)
        assert read is not None and backend.diff(it, read.inputs, inputs).changes == ()
    for it, physical_id, inputs in reversed(made):
        backend.delete(it, physical_id, inputs)
