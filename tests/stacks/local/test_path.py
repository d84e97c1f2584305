"""The whole path on one machine, through the command line alone: what the README promises."""

import contextlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from stacks.local.runtime import keys
from tests.conftest import Clone
from tests.kits.attacks import answer, tracking_login

pytestmark = pytest.mark.e2e

GROUP = "plinth-local-flight-delay"


@pytest.fixture(scope="module")
def deployed(clone: Clone) -> dict[str, Any]:
    return clone.ok("up", "local", "--with-model", timeout=600)


def test_the_path_ends_with_answers_about_flights_the_model_has_not_seen(
    deployed: dict[str, Any],
) -> None:
    predicted = deployed["predict"]
    assert predicted["n"] >= 1000
    assert 0.6 < predicted["auc"] < 0.9
    assert 0 < predicted["brier"] < 0.25
    assert 0 < predicted["p50_ms"] <= predicted["p99_ms"]
    assert [step["status"] for step in deployed["run"]["steps"]] == ["Succeeded"] * 8


def test_a_second_deployment_changes_nothing(clone: Clone, deployed: dict[str, Any]) -> None:
    again = clone.ok("up", "local")
    changed = {name: n for name, n in again["changes"].items() if n and name != "same"}
    assert changed == {}
    assert again["changes"]["same"] > 100


def test_a_preview_after_a_deployment_shows_no_change(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    shown = clone.ok("preview", "local")["changes"]
    assert {name for name, n in shown.items() if n} == {"same"}


def test_status_says_what_is_served_and_where(clone: Clone, deployed: dict[str, Any]) -> None:
    status = clone.ok("status", "local")
    assert status["model_package_arn"].endswith(f"model-package/{GROUP}/1")
    assert status["endpoint_status"] == "InService"
    assert status["pipeline_name"] == "plinth-local-training"
    assert all(psutil.pid_exists(pid) for pid in status["pids"])
    assert status["resources"] >= 90
    own = keys.load(clone.home)
    login = tracking_login(own.TRACKING_USER, own.tracking_password)
    assert answer(status["tracking_url"], "GET", "/health", login)[0] == 200


ENGINES = ("pulumi", "pulumi-analyzer-policy-python", "python", "python3")
"""Programs that listen while a command runs: Pulumi's, which know no authentication."""


def test_every_socket_of_a_full_up_is_on_loopback_and_something_guards_it(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    lasting = clone.ok("status", "local")["listeners"]
    assert [one for one in lasting if one["guard"] is None] == []
    assert {one["address"] for one in lasting} == {"127.0.0.1"}
    assert {one["process"].split(" app-")[0] for one in lasting} == {
        "AWS endpoint",
        "AWS provider",
        "Kubernetes provider",
        "etcd",
        "kube-apiserver",
        "mlflow app",
    }
    again = clone.start("up", "local", "--json")
    while_it_runs = listening_until_over(clone, again)
    known = {one["port"] for one in lasting}
    passing = {item for item in while_it_runs if item[2] not in known}
    assert {item[2] for item in while_it_runs} >= known
    assert {address for _, address, _ in while_it_runs} == {"127.0.0.1"}
    assert {name for name, _, _ in passing} <= set(ENGINES)
    assert "pulumi" in {name for name, _, _ in passing}


def listening_until_over(clone: Clone, command: subprocess.Popen[str]) -> set[tuple[str, str, int]]:
    """Program, address and port of all that listens for this clone while a command runs."""
    found: set[tuple[str, str, int]] = set()
    while command.poll() is None:
        for process in clone.processes():
            with contextlib.suppress(psutil.Error):
                found |= {
                    (process.name(), c.laddr.ip.removeprefix("::ffff:"), c.laddr.port)
                    for c in process.net_connections(kind="tcp")
                    if c.status == psutil.CONN_LISTEN
                }
    _, err = command.communicate()
    assert command.returncode == 0, err
    return found


def test_no_key_of_the_home_is_written_anywhere_else(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    own = keys.load(clone.home)
    files = [path for path in clone.home.rglob("*") if path.is_file()]
    holding = [
        str(path.relative_to(clone.home))
        for path in files
        if own.secret_access_key.encode() in path.read_bytes()
    ]
    assert holding == ["local/keys.json"]


def test_lineage_hangs_on_the_registered_package(clone: Clone, deployed: dict[str, Any]) -> None:
    arn = deployed["approve"]["model_package_arn"]
    package = clone.client("sagemaker").describe_model_package(ModelPackageName=arn)
    facts = package["CustomerMetadataProperties"]
    assert package["ModelApprovalStatus"] == "Approved"
    assert len(facts["data_hash"]) >= 32
    assert float(facts["auc"]) == pytest.approx(deployed["run"]["metrics"]["auc"], abs=1e-3)
    assert facts["commit"] != ""


def test_the_run_is_logged_in_mlflow(clone: Clone, deployed: dict[str, Any]) -> None:
    url = clone.ok("status", "local")["tracking_url"]
    code = (
        "import mlflow, sys; c = mlflow.MlflowClient(sys.argv[1]);"
        "e = [x.experiment_id for x in c.search_experiments()];"
        "print(c.search_runs(e)[0].data.metrics['auc'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, url],
        env={**os.environ, **keys.load(clone.home).tracking()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) == pytest.approx(deployed["run"]["metrics"]["auc"], abs=1e-6)


def test_the_sagemaker_sdk_starts_the_provisioned_pipeline(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    code = """
from sagemaker.mlops.workflow.pipeline import Pipeline
execution = Pipeline(name="plinth-local-training", steps=[]).start()
execution.wait(delay=1, max_attempts=300)
print(execution.describe()["PipelineExecutionStatus"])
print(sorted(step["StepName"] for step in execution.list_steps()))
"""
    exports = clone.ok("env", "local")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={"PATH": os.environ["PATH"], "HOME": str(clone.root), **exports},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    status, steps = done.stdout.strip().splitlines()[-2:]
    assert status == "Succeeded"
    assert "Register" in steps


def test_boto3_with_the_endpoint_alone_drives_the_platform(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    code = """
import boto3, json
print(boto3.client("sagemaker").describe_endpoint(EndpointName="plinth-local-flight-delay")["EndpointStatus"])
"""
    url = clone.ok("status", "local")["endpoint_url"]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": url,
            **keys.load(clone.home).aws(),
            "AWS_DEFAULT_REGION": "us-east-1",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "InService"


def landed(clone: Clone, month: str) -> tuple[Any, str, str, list[str]]:
    s3 = clone.client("s3")
    bucket = f"plinth-local-data-{'123456789012'}"
    key = f"landing/flights/{month}.csv"
    lines = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode().splitlines()
    return s3, bucket, key, lines


def test_a_corrupt_month_stops_at_the_gate_and_the_champion_serves_on(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    s3, bucket, key, lines = landed(clone, "2013-02")
    header = lines[0].split(",")
    carrier, distance = header.index("carrier"), header.index("distance")
    broken = [line.split(",") for line in lines]
    for row in broken[1:50]:
        row[carrier] = ""
    for row in broken[50:100]:
        row[distance] = f"-{row[distance]}"
    text = "\n".join(",".join(row) for row in broken)
    before = clone.ok("status", "local")
    s3.put_object(Bucket=bucket, Key=key, Body=text.encode())
    try:
        done = clone.plinth("run", "local", "training", "--json")
    finally:
        s3.put_object(Bucket=bucket, Key=key, Body="\n".join(lines).encode())
    assert done.code == 1
    reasons = " ".join(step["failure_reason"] or "" for step in done.json["steps"])
    assert "expect_column_values_to_not_be_null" in reasons
    assert "carrier" in reasons
    assert "distance" in reasons
    assert done.json["status"] == "Failed"
    assert "Train" not in {step["name"] for step in done.json["steps"]}
    after = clone.ok("status", "local")
    assert after["model_package_arn"] == before["model_package_arn"]
    assert after["endpoint_status"] == "InService"
    quarantined = s3.list_objects_v2(Bucket=bucket, Prefix="quarantine/")
    assert quarantined["KeyCount"] > 0


def test_a_step_that_raises_shows_the_end_of_its_log(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    done = clone.plinth("run", "local", "training", "--param", "TrainStart=2012-01-01", "--json")
    assert done.code == 1
    [reason] = [s["failure_reason"] for s in done.json["steps"] if s["failure_reason"]]
    assert "2012" in reason
    assert reason in done.err or reason.splitlines()[-1] in done.err


def test_an_unknown_pipeline_parameter_is_refused(clone: Clone, deployed: dict[str, Any]) -> None:
    done = clone.plinth("run", "local", "training", "--param", "TrainStrat=x")
    assert done.code == 2
    assert "TrainStrat" in done.err


def test_the_block_of_the_readme_for_other_clients_runs(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    """Plain pulumi previews the same program; boto3 needs nothing but the exports."""
    from stacks.toolchain import pulumi as toolchain

    host = toolchain.ensure_language_host(lambda text: None)
    pulumi = toolchain.ensure(lambda text: None).executable
    venv = Path(sys.prefix)
    [block] = re.findall(
        r"^```sh\n(eval .*?)^```", (clone.root / "README.md").read_text(), re.M | re.S
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=clone.root,
        env={
            "HOME": str(clone.root),
            "PATH": f"{host}:{pulumi.parent}:{venv / 'bin'}:{os.environ['PATH']}",
            "PLINTH_HOME": str(clone.home),
            "VIRTUAL_ENV": str(venv),
            "PYTHONPATH": str(clone.root),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "plinth-local-flight-delay" in done.stdout
    assert "unchanged" in done.stdout


def test_preflight_finds_nothing_that_would_stop_the_environment(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    found = clone.ok("preflight", "local")
    assert found["counts"]["fail"] == 0
    checks = {finding["check"] for finding in found["findings"] if finding["status"] == "pass"}
    assert checks >= {"account", "quotas", "addresses", "cost"}


def test_verify_finds_everything_as_the_file_says(clone: Clone, deployed: dict[str, Any]) -> None:
    found = clone.ok("verify", "local")
    passed = {finding["check"] for finding in found["findings"] if finding["status"] == "pass"}
    assert passed >= {"endpoints", "answers", "alarms", "pipelines", "buckets", "keys", "logs"}
    assert found["counts"]["fail"] == 0


def test_verify_fails_where_somebody_changed_what_is_deployed(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    """An alarm that looks elsewhere, and a bucket that takes plain HTTP."""
    cloudwatch, s3 = clone.client("cloudwatch"), clone.client("s3")
    alarm = next(
        item
        for item in cloudwatch.describe_alarms()["MetricAlarms"]
        if item.get("MetricName") == "ModelLatency"
    )
    kept = {
        name: value
        for name, value in alarm.items()
        if name
        in cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
    }
    bucket = "plinth-local-data-123456789012"
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    try:
        elsewhere = [{"Name": "EndpointName", "Value": "another"}]
        cloudwatch.put_metric_alarm(**{**kept, "Dimensions": elsewhere})
        s3.delete_bucket_policy(Bucket=bucket)
        done = clone.plinth("verify", "local", "--json")
    finally:
        cloudwatch.put_metric_alarm(**kept)
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert done.code == 1
    failed = {
        finding["check"]: finding["message"]
        for finding in done.json["findings"]
        if finding["status"] == "fail"
    }
    assert "must watch these dimensions" in failed["alarms"]
    assert "must deny requests without TLS" in failed["buckets"]


def test_destroy_leaves_no_resource_and_no_process(clone: Clone, deployed: dict[str, Any]) -> None:
    gone = clone.ok("destroy", "local", "--yes")
    assert gone["left"] == []
    assert gone["changes"]["delete"] > 90
    deadline = time.monotonic() + 5
    while clone.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert clone.processes() == []
