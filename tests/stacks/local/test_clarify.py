"""Checks of bias and of explanations in the local cloud, by what stands for Clarify's image."""

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.kits.endpoints import make_model, put_artifact
from tests.kits.executions import create, execute, shell, steps_of
from tests.kits.local_cloud import BUCKET, Cloud

CLARIFY = "017069133835.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-clarify-processing:1.0"
HEADERS = ["approved", "income", "debt", "member"]
ROOT = f"s3://{BUCKET}/clarify"
SERVE = f"""#!{sys.executable}
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Type", "text/csv")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def do_GET(self):
        self.answer("")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        rows = [list(map(float, line.split(","))) for line in body.splitlines()]
        scores = [0.1 + {{weight}} * row[0] - 0.02 * row[1] for row in rows]
        self.answer("".join(f"{{{{score}}}}\\n" for score in scores))
    def log_message(self, *_):
        pass
port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
"""A linear model of income and debt; who is a member does not matter to it."""


def data_set(s3: Any, name: str, *, members: float) -> str:
    """Rows of which members are approved more often; `members` is their share of approvals."""
    drawn = random.Random(7)
    rows = []
    for number in range(200):
        member = number % 2
        approved = drawn.random() < (members if member else 0.3)
        income, debt = drawn.randint(10, 90) / 10, drawn.randint(0, 90) / 10
        rows.append(f"{int(approved)},{income},{debt},{member}")
    s3.put_object(Bucket=BUCKET, Key=f"clarify/{name}/rows.csv", Body="\n".join(rows).encode())
    return f"{ROOT}/{name}/"


def check(s3: Any, kind: str, data: str, methods: Any, **members: Any) -> Any:
    """A ClarifyCheck step as the SDK writes it, and its analysis configuration in S3."""
    config = {
        "dataset_type": "text/csv",
        "headers": HEADERS,
        "label": "approved",
        "label_values_or_threshold": [1],
        "facet": [{"name_or_index": "member", "value_or_threshold": [0]}],
        "methods": {**methods, "report": {"name": "report", "title": "Analysis Report"}},
        "predictor": {"instance_type": "ml.m5.large", "accept_type": "text/csv"},
        "probability_threshold": 0.5,
    }
    if kind == "DATA_BIAS":
        del config["predictor"]
    key = f"clarify/config/{kind}/analysis_config.json"
    s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(config).encode())
    step = shell("C", "true")
    places = {"analysis_config": (f"s3://{BUCKET}/{key}", "config"), "dataset": (data, "data")}
    output = members.pop("output", f"{ROOT}/out/{kind}")
    step["Arguments"] |= {
        "AppSpecification": {"ImageUri": CLARIFY},
        "ProcessingInputs": [
            {
                "InputName": name,
                "S3Input": {
                    "S3Uri": uri,
                    "LocalPath": f"/opt/ml/processing/input/{folder}",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
            for name, (uri, folder) in places.items()
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "analysis_result",
                    "S3Output": {
                        "S3Uri": output,
                        "LocalPath": "/opt/ml/processing/output",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
    }
    return {**step, "Type": "ClarifyCheck", "CheckType": kind, **members}


NEW = {"SkipCheck": True, "RegisterNewBaseline": True}


def read(s3: Any, uri: str) -> Any:
    key = uri.removeprefix(f"s3://{BUCKET}/")
    return json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())


def told(sm: Any, done: Any) -> Any:
    return steps_of(sm, done["PipelineExecutionArn"])["C"]["Metadata"]["ClarifyCheck"]


def test_bias_of_data_that_grows_fails_the_check(cloud: Cloud, sm: Any) -> None:
    s3 = cloud.client("s3")
    fair, unfair = data_set(s3, "fair", members=0.5), data_set(s3, "unfair", members=0.9)
    methods = {"pre_training_bias": {"methods": "all"}}
    create(sm, "bias-baseline", check(s3, "DATA_BIAS", fair, methods, **NEW))
    first = execute(sm, "bias-baseline")
    assert first["PipelineExecutionStatus"] == "Succeeded", first.get("FailureReason")
    shown = told(sm, first)
    assert shown["CalculatedBaselineConstraints"] == f"{ROOT}/out/DATA_BIAS/analysis.json"
    assert shown["BaselineUsedForDriftCheckConstraints"] == shown["CalculatedBaselineConstraints"]
    supplied = {"SuppliedBaselineConstraints": shown["CalculatedBaselineConstraints"]}
    step = check(s3, "DATA_BIAS", unfair, methods, output=f"{ROOT}/out/later", **supplied)
    create(sm, "bias-drifts", step)
    later = execute(sm, "bias-drifts")
    assert later["PipelineExecutionStatus"] == "Failed"
    listed = sm.list_pipeline_execution_steps(PipelineExecutionArn=later["PipelineExecutionArn"])
    (step,) = listed["PipelineExecutionSteps"]
    assert "member 0 DPL: Value 0." in step["FailureReason"]
    found = read(s3, told(sm, later)["ViolationReport"])["violations"]
    assert {one["constraint_check_type"] for one in found} == {"bias_drift_check"}


@pytest.fixture
def model(cloud: Cloud, sm: Any, tmp_path: Path) -> Any:
    """Makes a model whose income has this weight."""
    artifact = put_artifact(cloud.client("s3"))

    def make(name: str, weight: float) -> str:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "serve").write_text(SERVE.format(weight=weight))
        (folder / "serve").chmod(0o755)
        return make_model(sm, name, f"{folder}:/usr/bin:/bin", artifact, name)

    return make


def test_explanations_of_a_linear_model_are_its_weights(cloud: Cloud, sm: Any, model: Any) -> None:
    s3 = cloud.client("s3")
    data = data_set(s3, "explained", members=0.5)
    baseline = [[5.0, 4.0, 1]]
    shap = {"shap": {"baseline": baseline, "num_samples": 16, "agg_method": "mean_abs"}}
    name = model("linear", 0.05)
    kind = "MODEL_EXPLAINABILITY"
    create(sm, "explained", check(s3, kind, data, shap, ModelName=name, **NEW))
    first = execute(sm, "explained")
    assert first["PipelineExecutionStatus"] == "Succeeded", first.get("FailureReason")
    uri = told(sm, first)["CalculatedBaselineConstraints"]
    found = read(s3, uri)["explanations"]["kernel_shap"]["label0"]
    assert found["expected_value"] == pytest.approx(0.1 + 0.05 * 5 - 0.02 * 4)
    key = "clarify/explained/rows.csv"
    lines = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode().splitlines()
    rows = [list(map(float, line.split(","))) for line in lines]
    expected = {
        "income": sum(abs(0.05 * (row[1] - 5)) for row in rows) / len(rows),
        "debt": sum(abs(-0.02 * (row[2] - 4)) for row in rows) / len(rows),
        "member": 0.0,
    }
    assert found["global_shap_values"] == pytest.approx(expected, abs=1e-6)
    assert sm.list_endpoints(NameContains="sm-clarify")["Endpoints"] == [], "none is left behind"


def test_bias_of_predictions_is_that_of_the_model_that_is_asked(
    cloud: Cloud, sm: Any, model: Any
) -> None:
    s3 = cloud.client("s3")
    data = data_set(s3, "predicted", members=0.5)
    methods = {"post_training_bias": {"methods": ["DPPL", "DI", "AD"]}}
    step = check(s3, "MODEL_BIAS", data, methods, ModelName=model("judged", 0.1), **NEW)
    create(sm, "model-bias", step)
    done = execute(sm, "model-bias")
    assert done["PipelineExecutionStatus"] == "Succeeded", done.get("FailureReason")
    found = read(s3, told(sm, done)["CalculatedBaselineConstraints"])
    (facet,) = found["post_training_bias_metrics"]["facets"]["member"]
    values = {metric["name"]: metric["value"] for metric in facet["metrics"]}
    key = "clarify/predicted/rows.csv"
    lines = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode().splitlines()
    rows = [list(map(float, line.split(","))) for line in lines]
    share = {}
    for member in (0, 1):
        group = [row for row in rows if row[3] == member]
        share[member] = sum(0.1 + 0.1 * row[1] - 0.02 * row[2] > 0.5 for row in group) / len(group)
    assert values["DPPL"] == pytest.approx(share[1] - share[0])
    assert values["DI"] == pytest.approx(share[0] / share[1])
    assert values.keys() == {"AD", "DI", "DPPL"}


def test_what_is_not_emulated_of_an_analysis_fails_the_job_by_name(cloud: Cloud, sm: Any) -> None:
    s3 = cloud.client("s3")
    data = data_set(s3, "refused", members=0.5)
    methods = {"shap": {"text_config": {"granularity": "token", "language": "english"}}}
    step = check(s3, "MODEL_EXPLAINABILITY", data, methods, ModelName="none", **NEW)
    create(sm, "refused-analysis", step)
    done = execute(sm, "refused-analysis")
    assert done["PipelineExecutionStatus"] == "Failed"
    job = told(sm, done)["CheckJobArn"].rpartition("/")[2]
    message = sm.describe_processing_job(ProcessingJobName=job)["ExitMessage"]
    assert message == (
        "ClientError: methods.shap.text_config of the analysis configuration is not emulated"
    )
