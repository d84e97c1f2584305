"""The whole path on one machine, through the command line alone: what the README promises."""

import json
import os
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from stacks.local.runtime import keys
from stacks.review import binding
from tests.conftest import Clone, Done
from tests.kits import path
from tests.kits.attacks import answer, tracking_login

pytestmark = pytest.mark.e2e

FLIGHT_DELAY, BLOCK_TIME, WEATHER = "local.flight_delay", "local.block_time", "local.weather"
WORKLOADS = {FLIGHT_DELAY, BLOCK_TIME, WEATHER}
STACKS = {"local.foundation", "local.cluster", *WORKLOADS}
ENDPOINT = "plinth-local-flight-delay-realtime"


@pytest.fixture(scope="module")
def deployed(clone: Clone) -> dict[str, Any]:
    return clone.ok("up", "local", "--with-model")


@pytest.fixture(scope="module")
def delays(deployed: dict[str, Any]) -> Mapping[str, Any]:
    """What the deployment said of the flights' delays."""
    found: Mapping[str, Any] = deployed["workloads"][FLIGHT_DELAY]
    return found


def test_the_path_ends_with_answers_about_flights_the_model_has_not_seen(
    delays: Mapping[str, Any],
) -> None:
    predicted = delays["predict"]
    assert predicted["n"] >= 1000
    assert 0.6 < predicted["auc"] < 0.9
    assert predicted["auc"] > predicted["baseline_auc"]
    assert 0 < predicted["brier"] < 0.25
    assert 0 < predicted["p50_ms"] <= predicted["p99_ms"]
    assert [step["status"] for step in delays["runs"]["training"]["steps"]] == ["Succeeded"] * 8


def test_minutes_in_the_air_are_guessed_better_than_by_their_mean(deployed: dict[str, Any]) -> None:
    predicted = deployed["workloads"][BLOCK_TIME]["predict"]
    assert predicted["n"] >= 1000
    assert 0 < predicted["mae"] < predicted["baseline_mae"]


def test_weather_has_features_and_no_model(deployed: dict[str, Any]) -> None:
    said = deployed["workloads"][WEATHER]
    assert said["runs"]["ingest"]["status"] == "Succeeded"
    assert said["predict"] is None


@dataclass(frozen=True)
class Reviewed:
    """A review of the whole environment, and where its report lies."""

    said: dict[str, Any]
    plan: Path


@pytest.fixture(scope="module")
def reviewed(clone: Clone, deployed: dict[str, Any]) -> Reviewed:
    plan = clone.home / "report.json"
    said = clone.ok("review", "local", "--format", "json", "--output", str(plan))
    return Reviewed(said, plan)


@pytest.fixture(scope="module")
def refused(
    clone: Clone, reviewed: Reviewed, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Done]:
    """Deployments held to a review of a state that moved since, of which none changes a thing."""
    stale = tmp_path_factory.mktemp("plan") / "stale.json"
    changed = json.loads(reviewed.plan.read_text())
    changed["stacks"][WEATHER]["binding"]["state_sha256"] = "0" * 64
    stale.write_text(json.dumps(changed))
    before = path.states(clone)
    done = {name: clone.plinth("up", name, "--plan", str(stale)) for name in ("local", WEATHER)}
    assert path.states(clone) == before
    return done


@pytest.fixture(scope="module")
def again(clone: Clone, reviewed: Reviewed, refused: dict[str, Done]) -> path.Watched:
    """A second deployment, held to the review, and what listened while it ran."""
    up = clone.start("up", "local", "--plan", str(reviewed.plan), "--json")
    return path.listening_until_over(clone, up)


def test_a_second_deployment_changes_nothing(again: path.Watched) -> None:
    assert set(again.said["stacks"]) == STACKS
    assert path.not_same(again.said) == {}
    assert again.said["changes"]["same"] > 100


def test_a_deployment_holds_to_its_review(reviewed: Reviewed, refused: dict[str, Done]) -> None:
    bound = {stack: report["binding"] for stack, report in reviewed.said["stacks"].items()}
    assert set(bound) == STACKS
    assert binding.read(reviewed.plan) == bound
    for done in refused.values():
        assert done.code == 1
        assert "local.weather must be as it was reviewed" in done.err


def test_a_feature_that_changes_its_type_is_a_loss_to_the_engine_itself(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    """And to nobody else: a review of the environment finds it in one stack."""
    groups = clone.root / "pipelines" / "flight_delay" / "feature_groups.py"
    text = groups.read_text()
    groups.write_text(text.replace('"carrier": "String"', '"carrier": "Integral"', 1))
    try:
        done = clone.plinth("review", "local", "--json")
    finally:
        groups.write_text(text)
    rules = {
        stack: {reason["rule"] for reason in report["reasons"]}
        for stack, report in done.json["stacks"].items()
    }
    assert [stack for stack, found in rules.items() if "RV-001" in found] == [FLIGHT_DELAY]
    replaced = {stack: said["tally"]["replace"] for stack, said in done.json["stacks"].items()}
    assert replaced.pop(FLIGHT_DELAY) >= 1
    assert replaced[BLOCK_TIME] == replaced["local.foundation"] == 0


def test_status_says_what_is_served_and_where(clone: Clone, deployed: dict[str, Any]) -> None:
    status = clone.ok("status", "local")
    served = status["stacks"][FLIGHT_DELAY]
    assert served["model_package_arn"].endswith("model-package/plinth-local-flight-delay-model/1")
    assert served["endpoint_status"] == "InService"
    assert served["pipeline_names"] == ["plinth-local-flight-delay-training"]
    assert set(status["stacks"]) == STACKS
    assert all(psutil.pid_exists(pid) for pid in status["pids"])
    assert sum(said["resources"] for said in status["stacks"].values()) >= 90
    own = keys.load(clone.home)
    login = tracking_login(own.TRACKING_USER, own.tracking_password)
    assert answer(status["tracking_url"], "GET", "/health", login)[0] == 200


ENGINES = ("pulumi", "pulumi-analyzer-policy-python", "python", "python3")
"""Programs that listen while a command runs: Pulumi's, which know no authentication."""


def test_every_socket_of_a_full_up_is_on_loopback_and_something_guards_it(
    clone: Clone, again: path.Watched
) -> None:
    lasting = clone.ok("status", "local")["listeners"]
    assert [one for one in lasting if one["guard"] is None] == []
    assert {one["address"] for one in lasting} == {"127.0.0.1"}
    assert {one["process"].split(" app-")[0] for one in lasting} == {
        "AWS endpoint",
        "AWS provider",
        "Kubernetes provider",
        "access to the cluster",
        "etcd",
        "kube-apiserver",
        "mlflow app",
    }
    known = {one["port"] for one in lasting}
    passing = {item for item in again.sockets if item[2] not in known}
    assert {item[2] for item in again.sockets} >= known
    assert {address for _, address, _ in again.sockets} == {"127.0.0.1"}
    assert {name for name, _, _ in passing} <= set(ENGINES)
    assert "pulumi" in {name for name, _, _ in passing}


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


def test_lineage_hangs_on_the_registered_package(clone: Clone, delays: Mapping[str, Any]) -> None:
    arn = delays["approve"]["model_package_arn"]
    package = clone.client("sagemaker").describe_model_package(ModelPackageName=arn)
    facts = package["CustomerMetadataProperties"]
    assert package["ModelApprovalStatus"] == "Approved"
    assert len(facts["data_hash"]) >= 32
    measured = delays["runs"]["training"]["metrics"]["auc"]
    assert float(facts["auc"]) == pytest.approx(measured, abs=1e-3)
    assert facts["commit"] != ""


@pytest.mark.parametrize(("workload", "metric"), [(FLIGHT_DELAY, "auc"), (BLOCK_TIME, "mae")])
def test_the_run_is_logged_in_mlflow(
    clone: Clone, deployed: dict[str, Any], workload: str, metric: str
) -> None:
    url = clone.ok("status", "local")["tracking_url"]
    login = {**os.environ, **keys.load(clone.home).tracking()}
    done = path.python(path.MLFLOW_METRICS, url, env=login)
    assert done.returncode == 0, done.stderr[-2000:]
    logged = [run[metric] for run in json.loads(done.stdout) if metric in run]
    measured = deployed["workloads"][workload]["runs"]["training"]["metrics"][metric]
    assert logged == [pytest.approx(measured, abs=1e-6)]


def test_the_sagemaker_sdk_starts_the_provisioned_pipeline(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    exports = clone.ok("env", "local")
    shell = {"PATH": os.environ["PATH"], "HOME": str(clone.root), **exports}
    done = path.python(path.SDK_RUN, env=shell)
    assert done.returncode == 0, done.stderr[-2000:]
    status, steps = done.stdout.strip().splitlines()[-2:]
    assert status == "Succeeded"
    assert "Register" in steps


def test_boto3_with_the_endpoint_alone_drives_the_platform(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    done = path.python(
        path.BOTO3_STATUS,
        env={
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": clone.ok("status", "local")["endpoint_url"],
            **keys.load(clone.home).aws(),
            "AWS_DEFAULT_REGION": "us-east-1",
        },
    )
    assert done.stdout.strip() == "InService", done.stderr[-2000:]


def test_a_corrupt_month_stops_at_the_gate_and_the_champion_serves_on(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    s3, key = clone.client("s3"), "landing/flights/2013-02.csv"
    whole = s3.get_object(Bucket=path.DATA, Key=key)["Body"].read()
    before = clone.ok("status", FLIGHT_DELAY)["stacks"][FLIGHT_DELAY]
    broken = path.corrupted(whole.decode().splitlines())
    s3.put_object(Bucket=path.DATA, Key=key, Body=broken.encode())
    try:
        done = clone.plinth("run", FLIGHT_DELAY, "training", "--json")
    finally:
        s3.put_object(Bucket=path.DATA, Key=key, Body=whole)
    assert done.code == 1
    reasons = " ".join(step["failure_reason"] or "" for step in done.json["steps"])
    assert "expect_column_values_to_not_be_null" in reasons
    assert "carrier" in reasons
    assert "distance" in reasons
    assert done.json["status"] == "Failed"
    assert "Train" not in {step["name"] for step in done.json["steps"]}
    after = clone.ok("status", FLIGHT_DELAY)["stacks"][FLIGHT_DELAY]
    assert after["model_package_arn"] == before["model_package_arn"]
    assert after["endpoint_status"] == "InService"
    quarantine = "quarantine/flight-delay/"
    assert s3.list_objects_v2(Bucket=path.DATA, Prefix=quarantine)["KeyCount"] > 0


def test_a_step_that_raises_shows_the_end_of_its_log(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    param = ("--param", "TrainStart=2012-01-01")
    done = clone.plinth("run", FLIGHT_DELAY, "training", *param, "--json")
    assert done.code == 1
    page = Path(done.json["page"])
    assert page.is_relative_to(clone.home) and "2012" in page.read_text()
    again = clone.ok("execution", FLIGHT_DELAY, "--output", str(clone.home / "again.html"))
    assert again["execution_arn"] == done.json["execution_arn"]
    assert (clone.home / "again.html").read_text() == page.read_text()
    [reason] = [s["failure_reason"] for s in done.json["steps"] if s["failure_reason"]]
    assert "2012" in reason
    assert reason in done.err or reason.splitlines()[-1] in done.err


def test_an_unknown_pipeline_parameter_is_refused(clone: Clone, deployed: dict[str, Any]) -> None:
    done = clone.plinth("run", FLIGHT_DELAY, "training", "--param", "TrainStrat=x")
    assert done.code == 2
    assert "TrainStrat" in done.err


def test_the_block_of_the_readme_for_other_clients_runs(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    """Plain pulumi previews the same program; boto3 needs nothing but the exports."""
    from stacks.toolchain import pulumi as toolchain

    host = toolchain.ensure_language_host(lambda text: None)
    pulumi = toolchain.ensure(lambda text: None).executable
    [block] = re.findall(
        r"^```sh\n(eval .*?)^```", (clone.root / "README.md").read_text(), re.M | re.S
    )
    assert f"--stack {FLIGHT_DELAY}" in block
    done = path.shell(clone, block, host, pulumi.parent)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert ENDPOINT in done.stdout
    assert "unchanged" in done.stdout


def test_preflight_finds_nothing_that_would_stop_the_environment(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    found = clone.ok("preflight", "local")
    assert found["counts"]["fail"] == 0
    assert set(found["stacks"]) == STACKS
    assert set(path.checked(found, "pass")) >= {"account", "quotas", "addresses", "cost"}


def test_verify_finds_everything_as_the_files_say(clone: Clone, deployed: dict[str, Any]) -> None:
    found = clone.ok("verify", "local")
    wanted = {"endpoints", "answers", "alarms", "pipelines", "buckets", "keys", "logs"}
    assert set(path.checked(found, "pass")) >= wanted
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
    policy = s3.get_bucket_policy(Bucket=path.DATA)["Policy"]
    try:
        elsewhere = [{"Name": "EndpointName", "Value": "another"}]
        cloudwatch.put_metric_alarm(**{**kept, "Dimensions": elsewhere})
        s3.delete_bucket_policy(Bucket=path.DATA)
        done = clone.plinth("verify", "local", "--json")
    finally:
        cloudwatch.put_metric_alarm(**kept)
        s3.put_bucket_policy(Bucket=path.DATA, Policy=policy)
    assert done.code == 1
    failed = path.checked(done.json, "fail")
    assert "must watch these dimensions" in failed["alarms"]
    assert "must deny requests without TLS" in failed["buckets"]


def test_a_release_of_one_workload_touches_no_other_stack(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    clone.ok("run", BLOCK_TIME, "training")
    clone.ok("approve", BLOCK_TIME)
    assert clone.ok("promote", BLOCK_TIME)["changed"]
    before = path.states(clone)
    reviewed = clone.ok("review", BLOCK_TIME)
    assert 0 < sum(n for name, n in reviewed["tally"].items() if name != "same") <= 70
    released = clone.ok("up", BLOCK_TIME)
    assert set(released["stacks"]) == {BLOCK_TIME}
    assert 0 < sum(path.not_same(released)[BLOCK_TIME].values()) <= 70
    after = path.states(clone)
    assert set(after) == STACKS
    assert {stack for stack in STACKS if after[stack] != before[stack]} == {BLOCK_TIME}
    shown = clone.ok("preview", "local")
    assert path.not_same(shown) == {}
    assert {name for name, n in shown["changes"].items() if n} == {"same"}
    served = clone.ok("status", BLOCK_TIME)["stacks"][BLOCK_TIME]
    assert served["model_package_arn"].endswith("model-package/plinth-local-block-time-model/2")


def test_a_new_workload_deploys_and_runs_before_anybody_edits_it(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    demo = "local.demo"
    written = clone.ok("workload", "new", "demo", "--kind", "classification")["files"]
    try:
        made = clone.ok("up", demo)
        assert set(made["stacks"]) == {demo}
        assert made["stacks"][demo]["changes"]["create"] > 20
        run = clone.ok("run", demo)
        assert run["status"] == "Succeeded"
        assert {step["status"] for step in run["steps"]} == {"Succeeded"}
        assert "Register" in {step["name"] for step in run["steps"]}
        assert clone.ok("status", demo)["stacks"][demo]["pipeline_names"] == [
            "plinth-local-demo-training"
        ]
        assert path.not_same(clone.ok("up", demo)) == {}
        assert set(clone.ok("destroy", demo, "--yes")["stacks"]) == {demo}
    finally:
        for name in written:
            (clone.root / name).unlink()


def test_a_foundation_that_others_stand_on_is_not_destroyed(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    before = path.states(clone)
    done = clone.plinth("destroy", "local.foundation", "--yes")
    assert done.code == 2
    assert "local.foundation must carry no other stack" in done.err
    assert {stack for stack in STACKS if stack in done.err} == STACKS
    assert path.states(clone) == before


def test_a_killed_workload_leaves_that_beside_it_right_and_the_next_up_mends_it(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    for stack in (FLIGHT_DELAY, BLOCK_TIME):
        assert set(clone.ok("destroy", stack, "--yes")["stacks"]) == {stack}
    killed, left_alone = (
        clone.start("up", stack, "--json") for stack in (FLIGHT_DELAY, BLOCK_TIME)
    )
    groups = clone.client("sagemaker")
    wanted = {"FeatureGroupName": "plinth-local-flight-delay-flights"}
    path.wait_until(lambda: path.answers(groups.describe_feature_group, **wanted))
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    _, err = left_alone.communicate()
    assert left_alone.returncode == 0, err
    assert path.not_same(clone.ok("preview", BLOCK_TIME)) == {}
    mended = clone.ok("up", "local")
    assert set(path.not_same(mended)) <= {FLIGHT_DELAY}
    assert path.not_same(clone.ok("preview", FLIGHT_DELAY)) == {}


def test_destroy_leaves_no_resource_and_no_process(clone: Clone, deployed: dict[str, Any]) -> None:
    gone = clone.ok("destroy", "local", "--yes")
    assert gone["left"] == []
    assert gone["changes"]["delete"] > 90
    path.wait_until(lambda: clone.processes() == [])
