"""Processing and training jobs of the local cloud, over real HTTP and in real processes."""

import io
import json
import os
import tarfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stacks.local.daemon import client as session
from stacks.local.runtime import keys
from stacks.local.runtime.container import ISOLATION_VARIABLE
from tests.kits.local_cloud import (
    BUCKET,
    Cloud,
    create_processing,
    left_of,
    process,
    refusal,
    s3_input,
    s3_output,
    train,
    trusted_role,
    until,
)


@pytest.fixture(scope="module")
def s3(cloud: Cloud) -> Any:
    return cloud.client("s3")


def test_a_processing_job_reads_and_writes_s3_through_opt_ml(sm: Any, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="in/deep/a.csv", Body=b"1,2")
    code = (
        "import os, pathlib; ml = pathlib.Path(os.environ.get('OPT_ML', '/opt/ml'));"
        "text = (ml / 'processing/input/deep/a.csv').read_text() + os.environ['MARK'];"
        "assert (ml / 'config/processingjobconfig.json').exists();"
        "(ml / 'processing/output/b.csv').write_text(text)"
    )
    job = process(
        sm,
        "reads-and-writes",
        code,
        Environment={"MARK": ",3"},
        ProcessingInputs=[s3_input(f"s3://{BUCKET}/in", "/opt/ml/processing/input")],
        ProcessingOutputConfig=s3_output(f"s3://{BUCKET}/out", "/opt/ml/processing/output"),
    )
    assert job["ProcessingJobStatus"] == "Completed"
    assert s3.get_object(Bucket=BUCKET, Key="out/b.csv")["Body"].read() == b"1,2,3"


def test_a_failed_job_says_why_and_ends_with_its_log(cloud: Cloud, sm: Any) -> None:
    job = process(
        sm,
        "fails",
        "import os; open(os.environ.get('OPT_ML', '/opt/ml') + '/output/message', 'w')"
        ".write('the gate is closed'); raise ValueError('negative distance')",
    )
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["ExitMessage"] == "the gate is closed"
    assert job["FailureReason"].startswith("AlgorithmError: the gate is closed, exit code: 1")
    assert job["FailureReason"].endswith("ValueError: negative distance")
    log = (cloud.home / "local/jobs/fails/log.txt").read_text()
    assert log.rstrip().endswith("ValueError: negative distance")


def test_missing_input_fails_the_job_with_its_address(sm: Any) -> None:
    inputs = [s3_input(f"s3://{BUCKET}/nothing-here", "/opt/ml/processing/input")]
    job = process(sm, "no-input", "pass", ProcessingInputs=inputs)
    assert job["ProcessingJobStatus"] == "Failed"
    assert f"s3://{BUCKET}/nothing-here" in job["FailureReason"]


def test_two_jobs_at_once_do_not_see_each_other_nor_does_the_host(cloud: Cloud, sm: Any) -> None:
    if cloud.info.job_isolation != "namespace":
        pytest.skip("the kernel grants no mount namespace here")
    before = sorted(path.name for path in Path("/opt").iterdir())
    code = (
        "import os, pathlib, time; mine = pathlib.Path('/opt/ml/processing/output/{name}');"
        "mine.touch(); time.sleep(0.7); print(sorted(os.listdir('/opt/ml/processing/output')),"
        "sorted(os.listdir('/opt')))"
    )
    names = ["alone-one", "alone-two"]
    for name in names:
        output = s3_output(f"s3://{BUCKET}/{name}", "/opt/ml/processing/output")
        create_processing(sm, name, code.format(name=name), ProcessingOutputConfig=output)
    for name in names:
        job = until(
            lambda name=name: sm.describe_processing_job(ProcessingJobName=name),  # type: ignore[misc]
            "ProcessingJobStatus",
        )
        assert job["ProcessingJobStatus"] == "Completed"
        log = (cloud.home / "local/jobs" / name / "log.txt").read_text().strip()
        assert log == f"['{name}'] {sorted({*before, 'ml'})}"
    assert sorted(path.name for path in Path("/opt").iterdir()) == before


def test_a_stopped_job_is_stopped_and_its_process_is_gone(cloud: Cloud, sm: Any) -> None:
    create_processing(sm, "sleeps", "import time; time.sleep(600)")
    time.sleep(0.3)
    sm.stop_processing_job(ProcessingJobName="sleeps")
    job = until(
        lambda: sm.describe_processing_job(ProcessingJobName="sleeps"), "ProcessingJobStatus"
    )
    assert job["ProcessingJobStatus"] == "Stopped"
    assert not [line for line in left_of(cloud.home) if "sleep(600)" in line]


def test_a_training_job_leaves_a_model_and_its_metrics(cloud: Cloud, sm: Any, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="train/rows.csv", Body=b"1")
    code = (
        "import json, os, pathlib; ml = pathlib.Path(os.environ.get('OPT_ML', '/opt/ml'));"
        "hp = json.loads((ml / 'input/config/hyperparameters.json').read_text());"
        "rows = (ml / 'input/data/train/rows.csv').read_text();"
        "(ml / 'model/model.txt').write_text(hp['depth'] + rows);"
        "print('auc=0.5'); print('auc=0.7')"
    )
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/train"}
    job = train(
        sm,
        "trains",
        code,
        HyperParameters={"depth": "3"},
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
    )
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
    artifact = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert artifact == f"s3://{BUCKET}/models/trains/output/model.tar.gz"
    packed = s3.get_object(Bucket=BUCKET, Key="models/trains/output/model.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        member = tar.extractfile("model.txt")
        assert member is not None and member.read() == b"31"
    assert [(m["MetricName"], m["Value"]) for m in job["FinalMetricDataList"]] == [("auc", 0.7)]
    assert job["OutputDataConfig"]["KmsKeyId"] == "", "the SDK's attach() reads it"
    found = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName="auc",
        Dimensions=[{"Name": "TrainingJobName", "Value": "trains"}],
        StartTime=job["TrainingStartTime"] - timedelta(minutes=1),
        EndTime=job["TrainingEndTime"] + timedelta(minutes=1),
        Period=3600,
        Statistics=["Maximum", "Minimum", "SampleCount"],
    )
    (point,) = found["Datapoints"]
    assert (point["Minimum"], point["Maximum"], point["SampleCount"]) == (0.5, 0.7, 2)


def test_training_out_of_time_is_stopped(sm: Any) -> None:
    limit = {"MaxRuntimeInSeconds": 1}
    job = train(sm, "too-long", "import time; time.sleep(600)", StoppingCondition=limit)
    assert job["TrainingJobStatus"] == "Stopped"
    assert job["SecondaryStatus"] == "MaxRuntimeExceeded"


def test_a_job_finds_a_clean_environment(
    cloud: Cloud, sm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    process(sm, "environment", "import json, os; print(json.dumps(dict(os.environ)))")
    log = (cloud.home / "local/jobs/environment/log.txt").read_text()
    found = json.loads(log.splitlines()[-1])
    assert found["AWS_ENDPOINT_URL"] == cloud.info.endpoint_url
    assert found["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert found["AWS_SESSION_TOKEN"]
    assert keys.load(cloud.home).secret_access_key not in log
    assert "PYTEST_CURRENT_TEST" not in found
    assert found["HOME"] != os.environ.get("HOME")


REACH = (
    "import os, socket, urllib.parse as p; print(sorted(n for n in os.environ if 'AWS_' in n));"
    "u = p.urlparse({url!r}); s = socket.socket(); s.settimeout(5);"
    "print('reached' if s.connect_ex((u.hostname, u.port)) == 0 else 'cut off')"
)


@pytest.mark.parametrize("isolated", [False, True])
def test_an_isolated_container_has_neither_network_nor_credentials(
    isolated: bool, cloud: Cloud, sm: Any
) -> None:
    code = REACH.format(url=cloud.info.endpoint_url)
    network = {"EnableNetworkIsolation": isolated}
    names = [f"{kind}-{isolated}".lower() for kind in ("processes", "trains")]
    ends = [
        process(sm, names[0], code, NetworkConfig=network),
        train(sm, names[1], code, **network),
    ]
    assert [e.get("ProcessingJobStatus", e.get("TrainingJobStatus")) for e in ends] == (
        ["Completed"] * 2
    )
    for name in names:
        log = (cloud.home / "local/jobs" / name / "log.txt").read_text().splitlines()
        assert ("AWS_ACCESS_KEY_ID" in log[-2], "AWS_ENDPOINT_URL" in log[-2]) == (
            (not isolated, not isolated)
        )
        if cloud.info.job_isolation == "namespace":
            assert log[-1] == ("cut off" if isolated else "reached")


def test_without_namespaces_paths_are_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ISOLATION_VARIABLE, "rewritten-paths")
    reduced = Cloud(home=tmp_path, info=session.start(tmp_path))
    try:
        assert reduced.info.job_isolation == "rewritten-paths"
        reduced.client("s3").create_bucket(Bucket=BUCKET)
        trusted_role(reduced.client("iam"))
        sm, s3 = reduced.client("sagemaker"), reduced.client("s3")
        job = process(
            sm,
            "rewritten",
            "import os; open(os.environ['TARGET'] + '/x', 'w').write(os.environ['OPT_ML'])",
            Environment={"TARGET": "/opt/ml/processing/output"},
            ProcessingOutputConfig=s3_output(f"s3://{BUCKET}/out", "/opt/ml/processing/output"),
        )
        assert job["ProcessingJobStatus"] == "Completed"
        written = s3.get_object(Bucket=BUCKET, Key="out/x")["Body"].read().decode()
        assert written == str(tmp_path / "local/jobs/rewritten/algo-1/ml")
    finally:
        session.stop(tmp_path)


def test_a_type_of_instance_comes_with_its_number(sm: Any) -> None:
    resources = {"InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
    code, message, _ = refusal(train, sm=sm, name="how-many", code="pass", ResourceConfig=resources)
    assert (code, message) == (
        "ValidationException",
        "InstanceCount must be given with InstanceType",
    )
