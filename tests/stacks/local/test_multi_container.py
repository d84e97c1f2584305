"""Models of several containers on the local cloud: in a row, or each asked by its name."""

from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError

from tests.kits import multi_model
from tests.kits.endpoints import invoke, put_artifact, serve_program, settled
from tests.kits.local_cloud import BUCKET, OWN_IMAGE, ROLE, Cloud, refusal, trusted_role
from tests.kits.multi_model import deploy
from tests.kits.path import wait_until
from tests.kits.transform import Transforms, request

DIRECT = {"InferenceExecutionConfig": {"Mode": "Direct"}}


@pytest.fixture(scope="module")
def data(cloud: Cloud) -> str:
    return put_artifact(cloud.client("s3"))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return serve_program(tmp_path_factory.mktemp("bin"))


def container(path: str, data: str, says: str, **more: Any) -> dict[str, Any]:
    environment = {"PATH": path, "NAME": says}
    return {"Image": OWN_IMAGE, "ModelDataUrl": data, "Environment": environment, **more}


@pytest.fixture(scope="module")
def row(sm: Any, path: str, data: str) -> str:
    """An endpoint of three containers, each after the other."""
    deploy(sm, "row", *(container(path, data, says) for says in ("x", "y", "z")), role=ROLE)
    assert settled(sm, "row")["EndpointStatus"] == "InService"
    return "row"


@pytest.fixture(scope="module")
def beside(sm: Any, path: str, data: str) -> str:
    """An endpoint of two containers, each asked by its name."""
    named = [container(path, data, says, ContainerHostname=f"host-{says}") for says in ("x", "y")]
    deploy(sm, "beside", *named, role=ROLE, **DIRECT)
    assert settled(sm, "beside")["EndpointStatus"] == "InService"
    return "beside"


def test_each_container_of_a_row_is_asked_what_the_one_before_said(cloud: Cloud, row: str) -> None:
    said, variant = invoke(cloud, row, "body")
    assert said == "z|m1|y|m1|x|m1|body|text/csv|text/plain|text/plain"
    assert variant == "only"


def test_the_last_container_of_a_row_may_stream(cloud: Cloud, row: str) -> None:
    runtime = cloud.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint_with_response_stream(EndpointName=row, Body=b"body")
    parts = [part["PayloadPart"]["Bytes"] for part in answer["Body"]]
    assert b"".join(parts).startswith(b"z|m1|y|m1|x|m1|body|")


def test_a_container_that_refuses_ends_the_row_and_is_named(
    cloud: Cloud, sm: Any, path: str, data: str
) -> None:
    whole = [container(path, data, says) for says in ("x", "broken", "z")]
    deploy(sm, "stops", *whole, role=ROLE)
    assert settled(sm, "stops")["EndpointStatus"] == "InService"
    ask = cloud.client("sagemaker-runtime").invoke_endpoint
    code, message, status = refusal(ask, EndpointName="stops", Body=b"body")
    assert (code, status) == ("ModelError", 424)
    assert 'server error (500) from container-2 with message "out of order"' in message


def test_describe_shows_every_container(sm: Any, row: str, beside: str) -> None:
    [variant] = sm.describe_endpoint(EndpointName=row)["ProductionVariants"]
    assert [image["SpecifiedImage"] for image in variant["DeployedImages"]] == [OWN_IMAGE] * 3
    shown = sm.describe_model(ModelName=beside)
    assert shown["InferenceExecutionConfig"] == {"Mode": "Direct"}
    assert [one["ContainerHostname"] for one in shown["Containers"]] == ["host-x", "host-y"]


def test_a_container_is_asked_by_its_name_alone(cloud: Cloud, beside: str) -> None:
    for says in ("y", "x"):
        said = invoke(cloud, beside, "body", TargetContainerHostname=f"host-{says}")[0]
        assert said == f"{says}|m1|body|text/csv"


def test_a_name_is_needed_there_and_refused_elsewhere(cloud: Cloud, row: str, beside: str) -> None:
    ask = cloud.client("sagemaker-runtime").invoke_endpoint
    wrong = (
        ({"EndpointName": beside}, "is missing a target container hostname header."),
        ({"EndpointName": beside, "TargetContainerHostname": "host-z"}, "host-z not found"),
        ({"EndpointName": row, "TargetContainerHostname": "container-1"}, "does not support"),
        ({"EndpointName": row, "TargetModel": "a"}, "does not support target model header."),
    )
    for asked, told in wrong:
        code, message, status = refusal(ask, Body=b"body", **asked)
        assert (code, status) == ("ValidationError", 400) and told in message


def test_who_may_ask_one_container_is_denied_the_others(cloud: Cloud, beside: str) -> None:
    condition = {"StringEquals": {"sagemaker:TargetContainerHostname": "host-x"}}
    trusted_role(cloud.client("iam"), "one", Action="sagemaker:InvokeEndpoint", Condition=condition)
    asked = {"RoleArn": f"{ROLE.rpartition('/')[0]}/one", "RoleSessionName": "me"}
    keys = cloud.client("sts").assume_role(**asked)["Credentials"]
    own = boto3.session.Session(
        keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], "us-east-1"
    )
    runtime = own.client("sagemaker-runtime", endpoint_url=cloud.info.endpoint_url)
    request_of = {"EndpointName": beside, "Body": b"body"}
    assert runtime.invoke_endpoint(**request_of, TargetContainerHostname="host-x")["Body"].read()
    for target in ({"TargetContainerHostname": "host-y"}, {}):
        assert (
            refusal(runtime.invoke_endpoint, **request_of, **target)[0] == "AccessDeniedException"
        )


def test_a_container_that_does_not_come_up_is_named(sm: Any, path: str, data: str) -> None:
    deploy(sm, "half", *(container(path, data, says) for says in ("x", "crash")), role=ROLE)
    ended = settled(sm, "half")
    assert ended["EndpointStatus"] == "Failed"
    assert "The container-2 container for production variant only" in ended["FailureReason"]


def test_an_instance_of_which_a_container_died_is_started_again_whole(
    cloud: Cloud, sm: Any, path: str, data: str
) -> None:
    deploy(sm, "mends", *(container(path, data, says) for says in ("x", "y")), role=ROLE)
    assert settled(sm, "mends")["EndpointStatus"] == "InService"
    before = serving(cloud, "mends")
    assert len(before) == 2
    psutil.Process(before["container-2"]).kill()
    wait_until(lambda: len(serving(cloud, "mends")) == 2 and serving(cloud, "mends") != before)
    wait_until(lambda: answers(cloud, "mends"))
    assert not set(before.values()) & set(serving(cloud, "mends").values())


def serving(cloud: Cloud, endpoint: str) -> dict[str, int]:
    """Process of each container of an endpoint, by the folder in which it works."""
    found = {}
    for process in psutil.process_iter():
        try:
            folder = Path(process.environ().get("HOME", ""))
            command = process.cmdline()
        except psutil.Error:
            continue
        is_its = folder.parent == cloud.home / "local" / "endpoints" / endpoint
        if is_its and len(command) == 2 and command[1].endswith("/serve"):
            found["-".join(folder.name.split("-")[2:4])] = process.pid
    return found


def answers(cloud: Cloud, endpoint: str) -> bool:
    try:
        return invoke(cloud, endpoint, "body")[0].startswith("y|m1|x|")
    except ClientError:
        return False


@pytest.mark.parametrize(
    ("names", "mode", "told"),
    [
        (("a", ""), "Serial", "for every container of a model or for none"),
        (("a", "a"), "Serial", "must be unique"),
        (("", ""), "Direct", "InferenceExecutionConfig.Mode is Direct"),
    ],
)
def test_names_are_given_to_all_or_to_none_and_once(
    sm: Any, names: tuple[str, str], mode: str, told: str
) -> None:
    own = [{"Image": OWN_IMAGE, **({"ContainerHostname": name} if name else {})} for name in names]
    code, message, _ = refusal(
        sm.create_model,
        ModelName="wrong",
        ExecutionRoleArn=ROLE,
        Containers=own,
        InferenceExecutionConfig={"Mode": mode},
    )
    assert code == "ValidationException" and told in message


def test_a_row_may_end_in_a_container_of_many_models(
    cloud: Cloud, sm: Any, path: str, data: str, tmp_path: Path
) -> None:
    multi_model.put_model(cloud.client("s3"), "a.tar.gz", "model a")
    many = multi_model.container(tmp_path)
    deploy(sm, "mixed", container(path, data, "x"), many, role=ROLE)
    assert settled(sm, "mixed")["EndpointStatus"] == "InService"
    said = invoke(cloud, "mixed", "body", TargetModel="a.tar.gz")[0]
    assert said == "model a|a.tar.gz|x|m1|body|text/csv|text/plain|model a"


def registered(sm: Any, group: str, *held: dict[str, Any]) -> str:
    """The ARN of an approved package of containers."""
    sm.create_model_package_group(ModelPackageGroupName=group)
    csv = ["text/csv"]
    formats = {"SupportedContentTypes": csv, "SupportedResponseMIMETypes": csv}
    made = sm.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        InferenceSpecification={"Containers": [*held], **formats},
    )
    return str(made["ModelPackageArn"])


def test_a_package_of_several_containers_is_served_in_their_order(
    cloud: Cloud, sm: Any, path: str, data: str
) -> None:
    held = [container(path, data, says) for says in ("x", "y")]
    package = registered(sm, "row-of-two", *held)
    told = sm.describe_model_package(ModelPackageName=package)["InferenceSpecification"]
    assert [one["Environment"]["NAME"] for one in told["Containers"]] == ["x", "y"]
    deploy(sm, "packaged", {"ModelPackageName": package}, container(path, data, "z"), role=ROLE)
    assert settled(sm, "packaged")["EndpointStatus"] == "InService"
    said, _ = invoke(cloud, "packaged", "body")
    assert said == "z|m1|y|m1|x|m1|body|text/csv|text/plain|text/plain"


def test_what_a_package_of_several_containers_cannot_be(sm: Any, path: str, data: str) -> None:
    held = [container(path, data, says) for says in ("x", "y")]
    named = [{**held[0], "ContainerHostname": "front"}, held[1]]
    models = {"ModelName": "none", "ExecutionRoleArn": ROLE}
    many = {"ModelPackageName": registered(sm, "eight", *(held * 4))}
    half = {"ModelPackageName": registered(sm, "half-named", *named)}
    code, message, _ = refusal(sm.create_model, **models, Containers=[many, many])
    assert code == "ValidationException" and "at most 15 containers, got 16" in message
    code, message, _ = refusal(sm.create_model, **models, Containers=[half])
    assert code == "ValidationException" and "ContainerHostname" in message
    more = {**many, "Environment": {"A": "b"}}
    code, message, _ = refusal(sm.create_model, **models, PrimaryContainer=more)
    assert code == "NotEmulated" and "Environment beside a ModelPackageName" in message


def test_a_row_transforms_in_batch(cloud: Cloud, tmp_path: Path) -> None:
    jobs = Transforms(cloud=cloud, folder=tmp_path)
    containers = [jobs.container(), jobs.container()]
    jobs.sm.create_model(ModelName="sums", ExecutionRoleArn=ROLE, Containers=containers)
    jobs.put("sums", {"rows.csv": b"1,2\n3,4\n"})
    ended = jobs.run("sums", "sums")
    assert ended["TransformJobStatus"] == "Completed", ended.get("FailureReason")
    assert jobs.outputs("sums") == {"rows.csv.out": b"3.0\n7.0\n"}
    logs = sorted(path.name for path in (cloud.home / "local/transforms/sums").glob("log-*"))
    assert logs == ["log-container-1.txt", "log-container-2.txt"]


def test_containers_beside_each_other_are_asked_in_real_time_alone(
    cloud: Cloud, tmp_path: Path
) -> None:
    jobs = Transforms(cloud=cloud, folder=tmp_path)
    own = [{**jobs.container(), "ContainerHostname": name} for name in ("a", "b")]
    create = {"ModelName": "apart", "ExecutionRoleArn": ROLE, "Containers": own, **DIRECT}
    jobs.sm.create_model(**create)
    variant = {"VariantName": "v", "ModelName": "apart", "InstanceType": "ml.m5.large",
               "InitialInstanceCount": 1}  # fmt: skip
    output = {"OutputConfig": {"S3OutputPath": f"s3://{BUCKET}/answers"}}
    queued = {"ProductionVariants": [variant], "AsyncInferenceConfig": output}
    _, message, _ = refusal(jobs.sm.create_endpoint_config, EndpointConfigName="apart", **queued)
    assert "an asynchronous endpoint must have" in message
    code, message, _ = refusal(jobs.sm.create_transform_job, **request("apart", "apart"))
    assert code == "ValidationException" and "in SingleModel mode, in Serial" in message
