"""Multi-model endpoints of the local cloud: a container that loads what it is asked for."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.kits.endpoints import invoke, put_artifact, serve, serve_program, settled
from tests.kits.local_cloud import BUCKET, OWN_IMAGE, ROLE, Cloud, refusal, trusted_role
from tests.kits.multi_model import PREFIX, container, deploy, put_model
from tests.kits.path import wait_until

ACCOUNT = ROLE.rpartition("/")[0]


@pytest.fixture(scope="module")
def many(cloud: Cloud, sm: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An endpoint whose container has memory for two of its models."""
    s3 = cloud.client("s3")
    for name in ("a", "b", "c"):
        put_model(s3, f"{name}.tar.gz", f"model {name}")
    put_model(s3, "broken.tar.gz", "broken")
    deploy(sm, "many", container(tmp_path_factory.mktemp("bin")), role=ROLE)
    assert settled(sm, "many")["EndpointStatus"] == "InService"
    return "many"


def asked(cloud: Cloud, target: str, body: str = "row") -> list[str]:
    """What a model says: its text, its target, the request, its type, what is loaded."""
    return invoke(cloud, "many", body, TargetModel=target)[0].split("|")


def refused(cloud: Cloud, **request: Any) -> tuple[str, str, int]:
    return refusal(cloud.client("sagemaker-runtime").invoke_endpoint, Body=b"row", **request)


def test_a_model_is_brought_when_it_is_asked_and_the_one_least_recently_asked_goes(
    cloud: Cloud, many: str
) -> None:
    assert asked(cloud, "a.tar.gz") == ["model a", "a.tar.gz", "row", "text/csv", "model a"]
    assert asked(cloud, "b.tar.gz")[4] == "model a,model b"
    assert asked(cloud, "a.tar.gz")[0] == "model a"
    assert asked(cloud, "c.tar.gz")[4] == "model a,model c"
    assert asked(cloud, "b.tar.gz")[4] == "model b,model c"


def test_a_model_that_answers_is_not_unloaded(cloud: Cloud, many: str) -> None:
    """b is the one least recently asked, and answers all the while: c goes."""
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(asked, cloud, "b.tar.gz", "wait")
        wait_until(lambda: "model b" in asked(cloud, "c.tar.gz")[4])
        assert asked(cloud, "a.tar.gz", "go on")[4] == "model a,model b"
        assert waiting.result()[0] == "model b"


def test_a_model_that_comes_later_is_found_and_one_that_is_changed_is_not_brought_again(
    cloud: Cloud, many: str
) -> None:
    s3 = cloud.client("s3")
    put_model(s3, "later/d.tar.gz", "model d")
    assert asked(cloud, "later/d.tar.gz")[0] == "model d"
    put_model(s3, "later/d.tar.gz", "other d")
    assert asked(cloud, "later/d.tar.gz")[0] == "model d"


def test_what_is_not_under_the_prefix_cannot_be_asked(cloud: Cloud, many: str) -> None:
    put_artifact(cloud.client("s3"))
    for target in ("none.tar.gz", "../model.tar.gz"):
        code, message, status = refused(cloud, EndpointName=many, TargetModel=target)
        assert (code, status) == ("ValidationError", 400)
        assert f"(bucket: {BUCKET}, key: {PREFIX}/{target})" in message
    cloud.client("s3").put_object(Bucket=BUCKET, Key=f"{PREFIX}/text", Body=b"no archive")
    assert refused(cloud, EndpointName=many, TargetModel="text")[0] == "ValidationError"
    put_model(cloud.client("s3"), "text", "model t")
    assert asked(cloud, "text")[0] == "model t"
    assert asked(cloud, "a.tar.gz")[0] == "model a"


def test_what_the_container_says_is_a_model_error(cloud: Cloud, many: str) -> None:
    code, message, status = refused(cloud, EndpointName=many, TargetModel="broken.tar.gz")
    assert (code, status) == ("ModelError", 424)
    assert "(500)" in message and "cannot be read" in message
    runtime = cloud.client("sagemaker-runtime")
    bad = {"EndpointName": many, "TargetModel": "a.tar.gz", "Body": b"bad"}
    code, message, _ = refusal(runtime.invoke_endpoint, **bad)
    assert code == "ModelError" and "no such row" in message


def test_a_target_is_needed_here_and_refused_elsewhere(
    cloud: Cloud, sm: Any, many: str, tmp_path: Path
) -> None:
    code, message, _ = refused(cloud, EndpointName=many)
    assert code == "ValidationError" and message.endswith("is missing a target model header.")
    stream = cloud.client("sagemaker-runtime").invoke_endpoint_with_response_stream
    assert "target model header" in refusal(stream, EndpointName=many, Body=b"row")[1]
    path, artefact = serve_program(tmp_path), put_artifact(cloud.client("s3"))
    own = {"Image": OWN_IMAGE, "ModelDataUrl": artefact, "Environment": {"PATH": path, "NAME": "x"}}
    deploy(sm, "single", own, role=ROLE)
    assert settled(sm, "single")["EndpointStatus"] == "InService"
    code, message, _ = refused(cloud, EndpointName="single", TargetModel="a.tar.gz")
    assert (code, message) == (
        "ValidationError",
        "Endpoint single is not a multi-model endpoint and does not support target model header.",
    )


def test_a_model_without_cache_is_unloaded_after_its_answer(
    cloud: Cloud, sm: Any, many: str, tmp_path: Path
) -> None:
    """Two would not fit beside each other."""
    own = container(tmp_path, capacity=1, MultiModelConfig={"ModelCacheSetting": "Disabled"})
    deploy(sm, "uncached", own, role=ROLE)
    assert settled(sm, "uncached")["EndpointStatus"] == "InService"
    for name in ("a", "b", "a"):
        said = invoke(cloud, "uncached", "row", TargetModel=f"{name}.tar.gz")[0]
        assert said.split("|")[4] == f"model {name}"
    wait_until(lambda: measures(cloud, "uncached", "ModelUnloadingTime")["SampleCount"] == 3)
    assert measures(cloud, "uncached", "ModelCacheHit")["Sum"] == 0


def test_an_artefact_is_brought_by_the_rights_of_the_execution_role(
    cloud: Cloud, sm: Any, many: str, tmp_path: Path
) -> None:
    allowed = f"arn:aws:s3:::{BUCKET}/{PREFIX}/a.tar.gz"
    trusted_role(cloud.client("iam"), "narrow", Action="s3:GetObject", Resource=allowed)
    deploy(sm, "narrow", container(tmp_path), role=f"{ACCOUNT}/narrow")
    ended = settled(sm, "narrow")
    assert ended["EndpointStatus"] == "InService", ended.get("FailureReason")
    assert invoke(cloud, "narrow", "row", TargetModel="a.tar.gz")[0].startswith("model a|")
    code, message, _ = refused(cloud, EndpointName="narrow", TargetModel="b.tar.gz")
    assert code == "ValidationError" and f"key: {PREFIX}/b.tar.gz" in message


def test_who_may_ask_some_models_is_denied_the_others(cloud: Cloud, many: str) -> None:
    runtime = allowed_to(cloud, "some", {"StringLike": {"sagemaker:TargetModel": "a*"}})
    request = {"EndpointName": many, "Body": b"row"}
    assert runtime.invoke_endpoint(**request, TargetModel="a.tar.gz")["Body"].read()
    assert refusal(runtime.invoke_endpoint, **request, TargetModel="b.tar.gz")[0] == (
        "AccessDeniedException"
    )
    assert refusal(runtime.invoke_endpoint, **request)[0] == "AccessDeniedException"


def allowed_to(cloud: Cloud, name: str, condition: Mapping[str, Any]) -> Any:
    """A client of somebody who may invoke under a condition."""
    trusted_role(cloud.client("iam"), name, Action="sagemaker:InvokeEndpoint", Condition=condition)
    asked = {"RoleArn": f"{ACCOUNT}/{name}", "RoleSessionName": "me"}
    keys = cloud.client("sts").assume_role(**asked)["Credentials"]
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=cloud.info.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def measures(
    cloud: Cloud, endpoint: str, name: str, namespace: str = "AWS/SageMaker"
) -> Mapping[str, Any]:
    """A metric of an endpoint over the last hours."""
    dimensions = {"EndpointName": endpoint, "VariantName": "only"}
    now = datetime.now(UTC)
    points = cloud.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=3600,
        Statistics=["Sum", "SampleCount", "Maximum", "Minimum"],
    )["Datapoints"]
    found = {of: sum(point[of] for point in points) for of in ("Sum", "SampleCount")}
    found["Maximum"] = max((point["Maximum"] for point in points), default=0)
    found["Minimum"] = min((point["Minimum"] for point in points), default=0)
    return found


def test_a_request_goes_to_the_instance_that_has_its_model(
    cloud: Cloud, sm: Any, many: str, tmp_path: Path
) -> None:
    sm.create_model(ModelName="two", ExecutionRoleArn=ROLE, PrimaryContainer=container(tmp_path))
    variant = {"VariantName": "only", "ModelName": "two", "InstanceType": "ml.m5.large",
               "InitialInstanceCount": 2}  # fmt: skip
    sm.create_endpoint_config(EndpointConfigName="two", ProductionVariants=[variant])
    serve(sm, "two", "two")
    for _ in range(4):
        invoke(cloud, "two", "row", TargetModel="a.tar.gz")
    wait_until(lambda: measures(cloud, "two", "ModelCacheHit")["SampleCount"] == 4)
    assert measures(cloud, "two", "ModelCacheHit")["Sum"] == 3


def test_loading_is_measured(cloud: Cloud, many: str) -> None:
    wait_until(lambda: measures(cloud, many, "ModelCacheHit")["SampleCount"] > 0)
    hits = measures(cloud, many, "ModelCacheHit")
    assert 0 < hits["Sum"] < hits["SampleCount"]
    for name in ("Loading", "Downloading", "Unloading"):
        found = measures(cloud, many, f"Model{name}Time")
        assert found["Minimum"] > 0
    assert measures(cloud, many, "ModelLoadingWaitTime")["Maximum"] > 0
    loaded = measures(cloud, many, "LoadedModelCount", "/aws/sagemaker/Endpoints")
    assert loaded["Maximum"] == 2


def test_what_holds_many_models_says_where_they_are(sm: Any, tmp_path: Path) -> None:
    own = container(tmp_path)
    del own["ModelDataUrl"]
    create = {"ModelName": "nowhere", "ExecutionRoleArn": ROLE, "PrimaryContainer": own}
    assert "ModelDataUrl" in refusal(sm.create_model, **create)[1]
    source = {"S3Uri": f"s3://{BUCKET}/x/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    own["ModelDataSource"] = {"S3DataSource": source}
    assert refusal(sm.create_model, **create)[0] == "NotEmulated"


def test_a_container_without_the_contract_does_not_come_up(
    cloud: Cloud, sm: Any, tmp_path: Path
) -> None:
    """Our own server has one model."""
    own = {**container(tmp_path), "Environment": {}}
    deploy(sm, "ours", own, role=ROLE)
    ended = settled(sm, "ours")
    assert ended["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in ended["FailureReason"]


SCIKIT = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
SCRIPT = """
import pathlib
def model_fn(model_dir):
    text = pathlib.Path(model_dir, "model.txt").read_text()
    if text == "large":
        raise MemoryError("no memory")
    return text
def predict_fn(data, model):
    return [model, float(data.sum())]
"""


def test_an_image_of_aws_holds_many_models_each_with_its_script(cloud: Cloud, sm: Any) -> None:
    s3 = cloud.client("s3")
    for text in ("one", "two", "large"):
        put_model(s3, f"script/{text}.tar.gz", text, **{"code/inference.py": SCRIPT})
    own = {"Image": SCIKIT, "Mode": "MultiModel", "ModelDataUrl": f"s3://{BUCKET}/{PREFIX}/script"}
    deploy(sm, "scikit", own, role=ROLE)
    ended = settled(sm, "scikit")
    assert ended["EndpointStatus"] == "InService", ended.get("FailureReason")
    for text in ("one", "two", "one"):
        assert invoke(cloud, "scikit", "1,2", TargetModel=f"{text}.tar.gz", Accept="text/csv")[
            0
        ].split() == [text, "3.0"]
    code, message, _ = refused(cloud, EndpointName="scikit", TargetModel="large.tar.gz")
    assert code == "ModelError" and "(507)" in message and "no memory" in message


def test_many_models_stand_behind_endpoints_with_instances_alone(sm: Any, tmp_path: Path) -> None:
    sm.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container(tmp_path))
    lazy = {"VariantName": "v", "ModelName": "m",
            "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}  # fmt: skip
    request = {"EndpointConfigName": "lazy", "ProductionVariants": [lazy]}
    code, message, _ = refusal(sm.create_endpoint_config, **request)
    assert code == "ValidationException" and "a serverless endpoint must have" in message
    fixed = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large",
             "InitialInstanceCount": 1}  # fmt: skip
    request = {"EndpointConfigName": "lazy", "ProductionVariants": [fixed],
               "ShadowProductionVariants": [{**fixed, "VariantName": "w"}]}  # fmt: skip
    assert "a shadow test must have" in refusal(sm.create_endpoint_config, **request)[1]
