"""What a job leaves is read inside its folder alone: links, pipes, depth, names, sizes."""

import base64
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from stacks.local.aws.sagemaker.multi_model import Models
from stacks.local.runtime import job_metrics, keys, left
from tests.kits.executions import function
from tests.kits.local_cloud import BUCKET, Cloud, left_of, process, s3_output, train

OUT = "/opt/ml/processing/output"
MESSAGE = "/opt/ml/output/message"
BEGIN = "import os, sys; home = os.environ['HOME'];"
DEEP = "\nfor n in range(1500):\n os.mkdir('d'); os.chdir('d')"
SECRET = "{secret}"
"""A file that only the local cloud sees: the keys of its home."""

LEFT: dict[str, tuple[str, str]] = {
    "a-link-to-a-file": (f"os.symlink('{SECRET}', '{OUT}/x')", "leads out of its folder"),
    "a-link-as-the-output": (f"os.rmdir('{OUT}'); os.symlink('{{folder}}', '{OUT}')", "leads out"),
    "a-link-above-it": (
        "os.rename('/opt/ml/processing', '/opt/ml/p'); os.mkdir('/opt/ml/x');"
        "os.symlink('{folder}', '/opt/ml/x/output'); os.symlink('x', '/opt/ml/processing')",
        "leads out",
    ),
    "another-ml": (
        "os.rename(home + '/ml', home + '/m'); os.makedirs(home + '/ml/processing');"
        "os.symlink('{folder}', home + '/ml/processing/output')",
        "leads out",
    ),
    "a-link-as-message": (f"os.symlink('{SECRET}', '{MESSAGE}'); sys.exit(3)", "exit code: 3"),
    "a-pipe-as-message": (f"os.mkfifo('{MESSAGE}'); sys.exit(3)", "exit code: 3"),
    "a-device-as-message": (f"os.symlink('/dev/zero', '{MESSAGE}'); sys.exit(3)", "exit code: 3"),
    "no-end-as-message": (
        f"open('{MESSAGE}', 'wb').truncate(1 << 40); sys.exit(3)", "AlgorithmError: ",
    ),
    "another-log": (
        f"os.symlink('{SECRET}', home + '/log.txt'); os.symlink('{SECRET}', 'log.txt')"
        " if not os.path.lexists('log.txt') else None; sys.exit(3)",
        "exit code: 3",
    ),
    "a-deep-output": (f"os.chdir('{OUT}'){DEEP}", ""),
    "a-file-below-it": (f"os.chdir('{OUT}'){DEEP}{DEEP}\nopen('f', 'w')", "cannot be moved"),
    "a-deep-folder-beside-it": (f"os.chdir('/tmp'){DEEP}", ""),
    "a-name-in-other-bytes": (f"open(b'{OUT}/\\xff', 'w')", "Failed to upload output"),
    "a-pipe-in-the-output": (f"os.mkfifo('{OUT}/pipe'); open('{OUT}/file', 'w')", ""),
}  # fmt: skip
"""What a program does, and what the job then says: nothing where it is Completed."""


@pytest.mark.parametrize("name", LEFT)
def test_nothing_that_a_job_leaves_leads_out_of_its_folder_or_stops_the_cloud(
    name: str, cloud: Cloud, sm: Any
) -> None:
    if cloud.info.job_isolation != "namespace":
        pytest.skip("the kernel grants no mount namespace here")
    secret = cloud.home / "local" / "keys.json"
    code, reason = LEFT[name]
    code = code.replace(SECRET, str(secret)).replace("{folder}", str(secret.parent / "run"))
    output = s3_output(f"s3://{BUCKET}/left/{name}", OUT)
    job = process(sm, name, BEGIN + code, ProcessingOutputConfig=output)
    assert job["ProcessingJobStatus"] == ("Failed" if reason else "Completed")
    assert reason in job.get("FailureReason", "")
    objects = cloud.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"left/{name}/")
    assert [found["Key"] for found in objects.get("Contents", ())] in ([[], [f"left/{name}/file"]])
    assert keys.load(cloud.home).secret_access_key not in json.dumps(job, default=str)
    left_there = [path.name for path in (cloud.home / "local/jobs" / name).iterdir()]
    assert left_there == ["log.txt"]


def test_a_model_that_is_a_link_is_not_packed_and_several_instances_share_an_archive(
    cloud: Cloud, sm: Any
) -> None:
    link = (
        "import os; os.rmdir('/opt/ml/model');"
        f"os.symlink({str(cloud.home / 'local/run')!r}, '/opt/ml/model')"
    )
    job = train(sm, "model-is-a-link", link)
    assert job["TrainingJobStatus"] == "Failed"
    assert "leads out of its folder" in job["FailureReason"]
    cluster = {"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
    write = (
        "import json; c = json.load(open('/opt/ml/input/config/resourceconfig.json'));"
        "open('/opt/ml/model/' + c['current_host'], 'w').write('1')"
    )
    assert train(sm, "two-parts", write, ResourceConfig=cluster)["TrainingJobStatus"] == "Completed"
    key = "models/two-parts/output/model.tar.gz"
    packed = cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert tar.getnames() == ["algo-1", "algo-2"]


def test_a_model_is_not_brought_through_a_link_that_its_container_made(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    other.mkdir()
    (own / "ml").mkdir(parents=True)
    (own / "ml" / "models").symlink_to(other)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    with pytest.raises(OSError, match="models"):
        left.bring(fresh, own, own / "ml" / "models" / "name" / "model")
    assert list(other.iterdir()) == []
    (own / "ml" / "models").unlink()
    left.bring(fresh, own, own / "ml" / "models" / "name" / "model")
    assert (own / "ml/models/name/model").is_dir()
    assert "directory" in Models.__dataclass_fields__, "whose container may write it"


def test_a_socket_is_one_only_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/log")
    assert not left.is_socket(tmp_path / "link")
    assert not left.is_socket(tmp_path / "none")


def test_metrics_are_read_line_by_line_and_the_last_ones_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_metrics, "METRIC_VALUES", 3)
    log = tmp_path / "log.txt"
    log.write_bytes(b"".join(b"auc=0.%d\n" % n for n in range(1, 10)) + b"\xffauc=1.2.3\n")
    assert job_metrics.metric_series(log, r"auc=([0-9.]+)") == [0.7, 0.8, 0.9]
    assert job_metrics.metric_series(tmp_path, "x") == []


def test_a_folder_goes_however_deep_it_is(tmp_path: Path) -> None:
    here = Path.cwd()
    (tmp_path / "top").mkdir()
    os.chdir(tmp_path / "top")
    try:
        for _ in range(1500):
            os.mkdir("d")  # noqa: PTH102 a path would be too long
            os.chdir("d")
    finally:
        os.chdir(here)
    left.remove(tmp_path / "top")
    assert list(tmp_path.iterdir()) == []


FUNCTIONS = {
    "reads": "return open({secret!r}).read()",
    "links-its-answer": "os.symlink({secret!r}, os.environ['HOME'] + '/answer.json'); os._exit(0)",
    "links-its-log": "os.symlink({secret!r}, os.environ['HOME'] + '/log.txt'); os._exit(3)",
    "writes": "open({secret!r} + '.new', 'w').write('1')",
    "leaves-a-process": "os.fork() or (os.setsid(), time.sleep(7715)); return 1",
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_sees_and_writes_nothing_of_what_the_local_cloud_keeps(
    name: str, cloud: Cloud
) -> None:
    if cloud.info.job_isolation != "namespace":
        pytest.skip("the kernel grants no mount namespace here")
    body = FUNCTIONS[name].format(secret=str(cloud.home / "local" / "keys.json"))
    function(cloud, name, f"import os, time\ndef handler(event, context):\n  {body}\n")
    answer = cloud.client("lambda").invoke(FunctionName=name, LogType="Tail")
    said = answer["Payload"].read() + base64.b64decode(answer.get("LogResult", ""))
    assert keys.load(cloud.home).secret_access_key.encode() not in said
    assert ("FunctionError" in answer) == (name != "leaves-a-process")
    assert not (cloud.home / "local" / "keys.json.new").exists()
    assert list((cloud.home / "local/functions" / name).iterdir()) == []
    assert not [line for line in left_of(cloud.home) if "lambda_process" in line]
