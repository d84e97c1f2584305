"""The local cloud itself: pipelines, the API's manners, and its processes."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from infra.errors import UserError
from stacks.local.aws.sagemaker.accepted import acting
from stacks.local.aws.sagemaker.api import OPERATIONS
from stacks.local.aws.sagemaker.coverage import coverage
from stacks.local.aws.sagemaker.fields import FIELDS, RECORDED
from stacks.local.aws.sagemaker.mlflow_app import SETTINGS
from stacks.local.aws.sagemaker.refused_fields import REFUSED
from stacks.local.aws.sagemaker.shapes import operation_names, service
from stacks.local.daemon import client as session
from stacks.local.runtime.processes import Children
from tests.kits.local_cloud import (
    BUCKET,
    ROLE,
    Cloud,
    create_processing,
    left_of,
    process,
    refusal,
    trusted_role,
    until,
)
from tests.kits.path import wait_until


@pytest.fixture(scope="module")
def s3(cloud: Cloud) -> Any:
    return cloud.client("s3")


# Pipelines


def definition(code: str) -> str:
    """A pipeline of one processing step that gets the parameter `Text` as its argument."""
    arguments = {
        "RoleArn": ROLE,
        "AppSpecification": {
            "ImageUri": "image",
            "ContainerEntrypoint": ["python3", "-c", code],
            "ContainerArguments": [{"Get": "Parameters.Text"}],
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "VolumeSizeInGB": 10,
            }
        },
    }
    return json.dumps(
        {
            "Version": "2020-12-01",
            "Metadata": {},
            "Parameters": [{"Name": "Text", "Type": "String", "DefaultValue": "hello"}],
            "Steps": [{"Name": "Say", "Type": "Processing", "Arguments": arguments}],
        }
    )


def execute(sm: Any, name: str, **more: Any) -> Mapping[str, Any]:
    arn = sm.start_pipeline_execution(PipelineName=name, **more)["PipelineExecutionArn"]
    return until(
        lambda: sm.describe_pipeline_execution(PipelineExecutionArn=arn),
        "PipelineExecutionStatus",
    )


def test_a_pipeline_runs_its_steps_as_jobs(cloud: Cloud, sm: Any) -> None:
    sm.create_pipeline(
        PipelineName="says",
        RoleArn=ROLE,
        PipelineDefinition=definition("import sys; print(sys.argv[1])"),
    )
    parameters = [{"Name": "Text", "Value": "bonjour"}]
    done = execute(sm, "says", PipelineParameters=parameters)
    assert done["PipelineExecutionStatus"] == "Succeeded"
    arn = done["PipelineExecutionArn"]
    (step,) = sm.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
    assert (step["StepName"], step["StepStatus"]) == ("Say", "Succeeded")
    job = step["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    assert (cloud.home / "local/jobs" / job / "log.txt").read_text().strip() == "bonjour"
    given = sm.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)
    assert given["PipelineParameters"] == parameters


def test_a_failed_step_fails_the_execution_with_its_log(sm: Any) -> None:
    code = "raise SystemExit('no flights in this window')"
    sm.create_pipeline(PipelineName="raises", RoleArn=ROLE, PipelineDefinition=definition(code))
    done = execute(sm, "raises")
    assert done["PipelineExecutionStatus"] == "Failed"
    arn = done["PipelineExecutionArn"]
    (step,) = sm.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
    assert step["FailureReason"].endswith("no flights in this window")


def test_a_definition_that_cannot_run_is_refused(sm: Any) -> None:
    broken = json.loads(definition("pass"))
    broken["Steps"][0]["Type"] = "Telepathy"
    code, message, _ = refusal(
        sm.create_pipeline,
        PipelineName="broken",
        RoleArn=ROLE,
        PipelineDefinition=json.dumps(broken),
    )
    assert code == "ValidationException" and "Telepathy" in message


def test_a_pipeline_starts_once_per_token_and_with_declared_parameters(sm: Any) -> None:
    sm.create_pipeline(
        PipelineName="sleepy",
        RoleArn=ROLE,
        PipelineDefinition=definition("import time; time.sleep(600)"),
    )
    unknown = [{"Name": "Txt", "Value": "x"}]
    code, message, _ = refusal(
        sm.start_pipeline_execution, PipelineName="sleepy", PipelineParameters=unknown
    )
    assert code == "ValidationException" and "Txt" in message
    token = "t" * 32
    arns = {
        sm.start_pipeline_execution(PipelineName="sleepy", ClientRequestToken=token)[
            "PipelineExecutionArn"
        ]
        for _ in range(2)
    }
    assert len(arns) == 1
    assert refusal(sm.delete_pipeline, PipelineName="sleepy")[0] == "ConflictException"
    (arn,) = arns
    sm.stop_pipeline_execution(PipelineExecutionArn=arn)
    stopped = until(
        lambda: sm.describe_pipeline_execution(PipelineExecutionArn=arn),
        "PipelineExecutionStatus",
    )
    assert stopped["PipelineExecutionStatus"] == "Stopped"
    sm.delete_pipeline(PipelineName="sleepy")
    assert refusal(sm.describe_pipeline, PipelineName="sleepy")[0] == "ResourceNotFound"


# The API itself


def test_what_nobody_built_is_a_501_that_names_it(sm: Any, cloud: Cloud) -> None:
    code, message, status = refusal(sm.list_labeling_jobs)
    assert (code, status) == ("NotEmulated", 501) and "ListLabelingJobs" in message
    code, message, status = refusal(
        sm.create_model,
        ModelName="many",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": "image", "InferenceSpecificationName": "second"},
    )
    assert (code, status) == ("NotEmulated", 501) and "the first is used" in message


def test_a_malformed_request_is_refused_with_every_problem(sm: Any) -> None:
    code, message, _ = refusal(
        sm.create_model_package_group,
        ModelPackageGroupName="under_score",
        Tags=[{"Key": "k" * 200, "Value": "v"}],
    )
    assert code == "ValidationException"
    assert message.startswith("2 validation errors detected")
    assert "'modelPackageGroupName'" in message and "'tags.1.member.key'" in message


def test_tags_are_kept_with_what_they_belong_to(sm: Any) -> None:
    arn = sm.create_model_package_group(
        ModelPackageGroupName="tagged", Tags=[{"Key": "team", "Value": "ml"}]
    )["ModelPackageGroupArn"]
    sm.add_tags(ResourceArn=arn, Tags=[{"Key": "cost", "Value": "1"}])
    sm.delete_tags(ResourceArn=arn, TagKeys=["team"])
    assert sm.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "cost", "Value": "1"}]
    sm.delete_model_package_group(ModelPackageGroupName="tagged")
    assert refusal(sm.list_tags, ResourceArn=arn)[0] == "ValidationException"


def test_lists_are_paged_and_filtered(sm: Any) -> None:
    for number in range(3):
        sm.create_model_package_group(ModelPackageGroupName=f"paged-{number}")
    pages = sm.get_paginator("list_model_package_groups").paginate(
        NameContains="paged", SortBy="Name", PaginationConfig={"PageSize": 2}
    )
    names = [
        [entry["ModelPackageGroupName"] for entry in page["ModelPackageGroupSummaryList"]]
        for page in pages
    ]
    assert names == [["paged-0", "paged-1"], ["paged-2"]]
    for number in range(3):
        sm.delete_model_package_group(ModelPackageGroupName=f"paged-{number}")


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_every_member_of_a_request_is_a_conscious_choice(operation: str) -> None:
    shape = service().operation_model(operation).input_shape
    members = set(shape.members if shape else ())
    recorded = {path for path in RECORDED.get(operation, {}) if "." not in path}
    assert acting(operation) & members | recorded <= members
    assert not acting(operation) & recorded
    if operation in FIELDS:
        assert acting(operation) <= members
    for path, why in {**RECORDED.get(operation, {}), **REFUSED.get(operation, {})}.items():
        assert path and why


def test_coverage_names_every_operation_once() -> None:
    rows = coverage()
    names = [row.operation for row in rows]
    assert len(set(names)) == len(names)
    answered = {row.operation for row in rows if row.fidelity != "refused"}
    assert OPERATIONS.keys() <= answered
    assert answered - OPERATIONS.keys() <= set(names) - operation_names()
    assert {"InvokeEndpoint", "PutRecord", "GetRecord"} <= answered
    assert (FIELDS.keys() | RECORDED.keys() | REFUSED.keys()) <= OPERATIONS.keys()


def test_mlflow_settings_have_the_names_mlflow_uses() -> None:
    spec = importlib.util.find_spec("mlflow")
    assert spec is not None and spec.origin is not None
    constants = (Path(spec.origin).parent / "server" / "constants.py").read_text()
    for name, value in SETTINGS.items():
        assert f'{name} = "{value}"' in constants


TRACKS = """
import mlflow
mlflow.set_experiment("of a job")
with mlflow.start_run():
    mlflow.log_metric("auc", 0.75)
    mlflow.log_text("a note", "note.txt")
"""


def test_an_mlflow_app_is_a_server_and_jobs_ask_it_as_their_role(cloud: Cloud, sm: Any) -> None:
    arn = sm.create_mlflow_app(
        Name="tracking", ArtifactStoreUri=f"s3://{BUCKET}/mlflow", RoleArn=ROLE
    )["Arn"]
    shown = until(lambda: sm.describe_mlflow_app(Arn=arn), "Status")
    assert shown["Status"] == "Created"
    address = json.loads((cloud.home / "local/mlflow.json").read_text())
    assert address["arn"] == arn
    variables = {"MLFLOW_TRACKING_URI": arn, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    process(sm, "tracked", TRACKS, Environment=variables)
    asked = sm.describe_processing_job(ProcessingJobName="tracked")
    assert asked["ProcessingJobStatus"] == "Completed"
    kept = cloud.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="mlflow/")["Contents"]
    assert [one["Key"].rpartition("/")[2] for one in kept] == ["note.txt"]
    trusted_role(cloud.client("iam"), "no-mlflow", Action=["s3:*", "logs:*", "cloudwatch:*"])
    other = ROLE.replace("plinth-test", "no-mlflow")
    process(sm, "untracked", TRACKS, Environment=variables, RoleArn=other)
    asked = sm.describe_processing_job(ProcessingJobName="untracked")
    assert asked["ProcessingJobStatus"] == "Failed"
    log = (cloud.home / "local/jobs/untracked/log.txt").read_text()
    assert "sagemaker:CallMlflowAppApi" in log
    assert [app["Name"] for app in sm.list_mlflow_apps()["Summaries"]] == ["tracking"]
    link = sm.create_presigned_mlflow_app_url(Arn=arn)["AuthorizedUrl"]
    assert link.startswith(address["url"])
    with_session = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    assert b"MLflow" in with_session.open(link).read()
    sm.delete_mlflow_app(Arn=arn)
    assert not psutil.pid_exists(address["pid"])
    assert refusal(sm.describe_mlflow_app, Arn=arn)[0] == "ResourceNotFound"


def test_a_tracking_server_stops_and_starts_again(cloud: Cloud, sm: Any) -> None:
    name = {"TrackingServerName": "server"}
    sm.create_mlflow_tracking_server(**name, ArtifactStoreUri=f"s3://{BUCKET}/mlflow", RoleArn=ROLE)

    def pid() -> int:
        found: int = json.loads((cloud.home / "local/mlflow.json").read_text())["pid"]
        return found

    def status() -> Mapping[str, Any]:
        return until(lambda: sm.describe_mlflow_tracking_server(**name), "TrackingServerStatus")

    assert status()["TrackingServerStatus"] == "Created"
    first = pid()
    sm.stop_mlflow_tracking_server(**name)
    assert status()["TrackingServerStatus"] == "Stopped" and not psutil.pid_exists(first)
    refused = refusal(sm.create_presigned_mlflow_tracking_server_url, **name)
    assert refused[0] == "ValidationException" and "Stopped" in refused[1]
    sm.start_mlflow_tracking_server(**name)
    shown = status()
    assert shown["TrackingServerStatus"] == "Started" and psutil.pid_exists(pid())
    link = sm.create_presigned_mlflow_tracking_server_url(**name)["AuthorizedUrl"]
    assert link.startswith(shown["TrackingServerUrl"])
    sm.delete_mlflow_tracking_server(**name)


# The process


def test_two_starts_at_once_give_one_cloud(tmp_path: Path) -> None:
    try:
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(session.start, [tmp_path, tmp_path])
        assert first == second == session.find(tmp_path)
    finally:
        assert session.stop(tmp_path)
    assert session.find(tmp_path) is None
    assert not (tmp_path / "local/cloud.json").exists()
    assert not session.stop(tmp_path)


def test_a_taken_port_is_reported_with_its_owner(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(UserError) as caught:
            session.start(tmp_path, port=port)
    assert f"port {port} must be free" in caught.value.problem
    assert f"pid {os.getpid()}" in caught.value.problem
    assert "exit code 2" in caught.value.problem


def test_a_killed_cloud_leaves_nothing_once_another_starts(tmp_path: Path) -> None:
    first = Cloud(home=tmp_path, info=session.start(tmp_path))
    trusted_role(first.client("iam"))
    create_processing(first.client("sagemaker"), "orphan", "import time; time.sleep(600)")
    wait_until(lambda: left_of(tmp_path) != [])
    os.kill(first.info.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(first.info.pid)], timeout=60)
    assert left_of(tmp_path)
    assert session.find(tmp_path) is None
    try:
        session.start(tmp_path)
        assert left_of(tmp_path) == []
    finally:
        session.stop(tmp_path)


def test_a_cloud_whose_starter_was_killed_is_found_and_not_doubled(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from stacks.local.daemon import client;"
            "client.start(Path(sys.argv[1]))",
            str(tmp_path),
        ]
    )
    record, log = tmp_path / "local/cloud.json", tmp_path / "local/cloud.log"
    wait_until(log.exists, by=starter)
    time.sleep(0.1)  # the cloud has been spawned and is on its way up
    assert not record.exists()
    starter.kill()
    starter.wait()
    try:
        found = session.start(tmp_path)
        clouds = [
            process.pid
            for process in psutil.process_iter(["cmdline"])
            if str(tmp_path) in (process.info["cmdline"] or [])
        ]
        assert clouds == [found.pid]
    finally:
        session.stop(tmp_path)


def test_a_stopped_cloud_is_said_at_once_and_ends_politely(tmp_path: Path) -> None:
    """One can connect to it, and would wait for minutes."""
    info = session.start(tmp_path)
    process = psutil.Process(info.pid)
    try:
        process.suspend()
        wait_until(lambda: process.status() == psutil.STATUS_STOPPED)
        for ask in (session.find, session.start):
            with pytest.raises(UserError, match=f"process {info.pid}.* is stopped") as caught:
                ask(tmp_path)
            assert f"kill -CONT {info.pid}" in caught.value.fix
        process.resume()
        wait_until(lambda: process.status() != psutil.STATUS_STOPPED)
        assert session.find(tmp_path) == info
        process.suspend()
    finally:
        session.stop(tmp_path)
    assert not (tmp_path / "local/cloud.json").exists()
    assert session.find(tmp_path) is None


def test_another_process_with_a_recorded_id_is_left_alone(tmp_path: Path) -> None:
    children = Children(folder=tmp_path)
    log = tmp_path / "log.txt"
    sleeper = children.spawn(
        ["sleep", "60"], purpose="test", env={"PATH": "/usr/bin:/bin"}, cwd=tmp_path, log=log
    )
    (record,) = tmp_path.glob("*.json")
    content = json.loads(record.read_text())
    stranger = Children(folder=tmp_path / "other")
    stranger.folder.mkdir()
    content["create_time"] -= 100
    (stranger.folder / record.name).write_text(json.dumps(content))
    try:
        assert stranger.reap() == []
        assert sleeper.poll() is None
    finally:
        reaper = threading.Thread(target=sleeper.wait)
        reaper.start()
        assert [child.pid for child in children.reap()] == [sleeper.pid]
        reaper.join(5)
    assert sleeper.poll() is not None


def test_endpoint_services_are_found_by_a_filter(cloud: Cloud) -> None:
    pages = cloud.client("ec2").get_paginator("describe_vpc_endpoint_services")
    wanted = [
        {"Name": "service-name", "Values": ["com.amazonaws.us-east-1.s3", "com.example.none"]}
    ]
    found = [one for page in pages.paginate(Filters=wanted) for one in page["ServiceNames"]]
    assert set(found) == {"com.amazonaws.us-east-1.s3"}
