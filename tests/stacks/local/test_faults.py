"""Faults on demand: which requests they meet, what services say, and what goes on meanwhile."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from click.testing import CliRunner

from stacks.cli import cli as entry
from stacks.commands.options import FAULTS
from stacks.local.aws import faults
from stacks.local.aws.faults import KINDS, Fault, Faults
from tests.kits.endpoints import configure, put_artifact, serve, serve_program, settled
from tests.kits.executions import create, execute, shell, steps_of
from tests.kits.local_cloud import (
    BUCKET,
    Cloud,
    create_processing,
    process,
    s3_input,
    s3_output,
    train,
    until,
)
from tests.kits.transform import request


@pytest.fixture
def inject(cloud: Cloud) -> Iterator[Any]:
    """Puts faults into the running cloud; afterwards there is none."""
    yield lambda *wanted: faults.write(cloud.home, wanted)
    faults.write(cloud.home, ())


def failing(cloud: Cloud, service: str) -> Any:
    """A client that asks once."""
    return cloud.client(service, config=Config(retries={"total_max_attempts": 1}))


def test_the_command_knows_the_kinds_of_the_cloud() -> None:
    assert FAULTS == KINDS


SAID = {
    "a JSON service": ("throttle", "sagemaker", "list_models", "ThrottlingException", 400),
    "S3": ("throttle", "s3", "list_buckets", "SlowDown", 503),
    "EC2": ("throttle", "ec2", "describe_vpcs", "RequestLimitExceeded", 503),
    "a query service": ("throttle", "iam", "list_roles", "Throttling", 400),
    "a model's own": ("throttle", "lambda", "list_functions", "TooManyRequestsException", 429),
    "an error of S3": ("5xx", "s3", "list_buckets", "InternalError", 500),
    "an error of DynamoDB": ("5xx", "dynamodb", "list_tables", "InternalServerError", 500),
    "an error of Lambda": ("5xx", "lambda", "list_functions", "ServiceException", 500),
    "an error of STS": ("5xx", "sts", "get_caller_identity", "InternalFailure", 500),
}


@pytest.mark.parametrize("case", SAID)
def test_a_service_fails_in_its_own_words(cloud: Cloud, inject: Any, case: str) -> None:
    kind, service, call, code, status = SAID[case]
    inject(Fault(kind=kind, service=service, rate=1.0))  # type: ignore[arg-type]
    with pytest.raises(ClientError) as raised:
        getattr(failing(cloud, service), call)()
    answer: Any = raised.value.response
    assert answer["Error"]["Code"] == code
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status


def test_a_quota_meets_what_makes_something_alone(cloud: Cloud, inject: Any) -> None:
    inject(Fault(kind="quota", service="sagemaker", rate=1.0))
    sagemaker = failing(cloud, "sagemaker")
    with pytest.raises(ClientError, match="ResourceLimitExceeded"):
        create_processing(sagemaker, "no-quota", "pass")
    sagemaker.list_processing_jobs()


def test_the_same_seed_meets_the_same_requests(cloud: Cloud, inject: Any) -> None:
    def round_of(seed: int) -> list[bool]:
        inject()
        time.sleep(0.01)  # the file's time tells that it is another
        inject(Fault(kind="throttle", service="sts", rate=0.5, seed=seed))
        return [_fails(failing(cloud, "sts")) for _ in range(24)]

    first = round_of(7)
    assert 0 < sum(first) < 24
    assert round_of(7) == first
    assert round_of(8) != first


def _fails(sts: Any) -> bool:
    try:
        sts.get_caller_identity()
    except ClientError:
        return True
    return False


def test_other_operations_and_services_are_left_alone(cloud: Cloud, inject: Any) -> None:
    inject(Fault(kind="throttle", service="s3", rate=1.0, operation="Put*"))
    s3 = failing(cloud, "s3")
    s3.list_buckets()
    failing(cloud, "sts").get_caller_identity()
    with pytest.raises(ClientError, match="SlowDown"):
        s3.put_bucket_tagging(Bucket="any", Tagging={"TagSet": []})


def test_an_answer_that_is_late_is_whole(cloud: Cloud, inject: Any) -> None:
    inject(Fault(kind="latency", service="sts", rate=1.0, seconds=0.7))
    began = time.monotonic()
    assert failing(cloud, "sts").get_caller_identity()["Account"]
    assert time.monotonic() - began >= 0.7


def test_a_client_that_asks_again_gets_through(cloud: Cloud, inject: Any) -> None:
    inject(Fault(kind="throttle", service="sts", rate=0.5, seed=3))
    patient = cloud.client("sts", config=Config(retries={"total_max_attempts": 9}))
    for _ in range(12):
        patient.get_caller_identity()
    assert faults.told(cloud.home)["throttle sts *"] > 0


def test_a_job_without_a_machine_fails_and_its_step_is_tried_again(
    cloud: Cloud, sm: Any, inject: Any
) -> None:
    job = Fault(kind="capacity", service="sagemaker", rate=1.0, operation="CreateProcessingJob")
    inject(job)
    create_processing(sm, "no-machine", "pass")
    done = until(
        lambda: sm.describe_processing_job(ProcessingJobName="no-machine"), "ProcessingJobStatus"
    )
    assert done["ProcessingJobStatus"] == "Failed"
    assert done["FailureReason"].startswith("CapacityError: Unable to provision")

    half = next(seed for seed in range(99) if [_hit(seed, n) for n in (1, 2)] == [True, False])
    inject(Fault(kind="capacity", service="sagemaker", rate=0.5, seed=half))
    policy = {
        "ExceptionType": ["SageMaker.CAPACITY_ERROR"],
        "IntervalSeconds": 1,
        "BackoffRate": 1.0,
        "MaxAttempts": 3,
    }
    create(sm, "tried-again", shell("A", "true", RetryPolicies=[policy]))
    ended = execute(sm, "tried-again")
    assert ended["PipelineExecutionStatus"] == "Succeeded", ended.get("FailureReason")
    assert steps_of(sm, ended["PipelineExecutionArn"])["A"]["AttemptCount"] == 2


def test_machines_of_every_kind_can_be_lacking(
    cloud: Cloud, sm: Any, inject: Any, tmp_path: Path
) -> None:
    s3 = cloud.client("s3")
    s3.put_object(Bucket=BUCKET, Key="lacking/rows.csv", Body=b"1\n")
    path, artifact = serve_program(tmp_path), put_artifact(s3)
    configure(sm, "there", path, artifact, only=1.0)
    configure(sm, "next", path, artifact, only=1.0)
    serve(sm, "there", "there")
    inject(
        Fault(kind="capacity", service="sagemaker", rate=1.0),
        Fault(kind="capacity", service="ec2", rate=1.0),
    )
    told = [train(sm, "lacking", "pass")["FailureReason"]]
    transform = request("lacking", "there-only")
    sm.create_transform_job(**transform)
    done = until(
        lambda: sm.describe_transform_job(TransformJobName="lacking"), "TransformJobStatus"
    )
    told.append(done["FailureReason"])
    sm.create_endpoint(EndpointName="lacking", EndpointConfigName="there")
    told.append(settled(sm, "lacking")["FailureReason"])
    sm.update_endpoint(EndpointName="there", EndpointConfigName="next")
    kept = settled(sm, "there")
    told.append(kept["FailureReason"])
    assert set(told) == {faults.NO_CAPACITY}
    assert (kept["EndpointStatus"], kept["EndpointConfigName"]) == ("InService", "there")
    with pytest.raises(ClientError, match="InsufficientInstanceCapacity"):
        failing(cloud, "ec2").run_instances(
            ImageId="ami-12c6146b", InstanceType="m5.large", MinCount=1, MaxCount=1
        )
    failing(cloud, "ec2").describe_instances()


def _hit(seed: int, number: int) -> bool:
    """Whether a fault with this seed and a rate of a half meets the request with this number."""
    drawn = Faults()
    fault = Fault(kind="capacity", service="sagemaker", rate=0.5, seed=seed)
    return [drawn._draws(fault) for _ in range(number)][-1]


def test_the_cloud_itself_goes_on(cloud: Cloud, sm: Any, inject: Any) -> None:
    """What jobs read and write is not the caller's business: SageMaker's own requests pass."""
    cloud.client("s3").put_object(Bucket=BUCKET, Key="storm/in.txt", Body=b"calm")
    inject(Fault(kind="5xx", service="s3", rate=1.0))
    code = "import os; os.rename('/opt/ml/processing/in/in.txt', '/opt/ml/processing/out/out.txt')"
    places = {
        "ProcessingInputs": [s3_input(f"s3://{BUCKET}/storm/", "/opt/ml/processing/in")],
        "ProcessingOutputConfig": s3_output(f"s3://{BUCKET}/calm", "/opt/ml/processing/out"),
    }
    done = process(sm, "in-a-storm", code, **places)
    assert done["ProcessingJobStatus"] == "Completed", done.get("FailureReason")


def test_a_damaged_file_injects_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / faults.FILE).write_text('{"faults": [{"kind": "throttle"}]}')
    assert Faults(home=tmp_path).active() == ()
    assert "no fault is injected" in caplog.text and "must hold faults" in caplog.text


# The command line


@pytest.fixture
def plinth(tmp_path: Path) -> Any:
    """Runs a command in a home of its own; exit code and what it printed."""

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner(env={"PLINTH_HOME": str(tmp_path)}).invoke(
            entry, [*arguments, "--json"], prog_name="plinth"
        )
        return done.exit_code, f"{done.output}{done.exception or ''}"

    return run


def data(done: tuple[int, str]) -> Any:
    assert done[0] == 0, done[1]
    return json.loads(done[1].splitlines()[-1])


def test_faults_are_injected_listed_and_cleared(plinth: Any) -> None:
    chosen = ("--rate", "0.25", "--seed", "7", "--operation", "Create*Job")
    injected = data(plinth("fault", "inject", "throttle", "sagemaker", *chosen))
    assert injected["faults"] == [
        {
            "kind": "throttle", "service": "sagemaker", "rate": 0.25, "seed": 7,
            "operation": "Create*Job", "seconds": 1.0, "happened": 0,
        }
    ]  # fmt: skip
    assert data(plinth("fault", "list"))["faults"] == injected["faults"]
    again = plinth("fault", "inject", "throttle", "sagemaker", "--operation", "Create*Job")
    assert [one["rate"] for one in data(again)["faults"]] == [1.0], "it takes the other's place"
    assert len(data(plinth("fault", "clear"))["cleared"]) == 1
    assert data(plinth("fault", "list"))["faults"] == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("throttle", "sagemakr"), "SERVICE must be one that boto3 knows, got 'sagemakr'"),
        (("capacity", "sts"), "no operation of sts fails by capacity"),
        (("quota", "sagemaker", "--operation", "ListModels"), "--operation must be one of"),
    ],
)
def test_a_fault_that_could_not_happen_is_refused(
    plinth: Any, arguments: tuple[str, ...], expected: str
) -> None:
    code, text = plinth("fault", "inject", *arguments)
    assert code != 0
    assert expected in text
