"""What the tests of pipelines share: inputs, real months, a job's folder, tiny builders."""

import functools
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.compiled import TrainingInputs
from pipelines.steps import nycflights, tables

ROOT = Path(__file__).parents[2]
MONTHS = [f"2013-{month:02}" for month in range(1, 13)]

INPUTS = TrainingInputs(
    pipeline_name="plinth-test-training",
    region="us-east-1",
    account_id="123456789012",
    role_arn="arn:aws:iam::123456789012:role/plinth-test-job",
    image_uri=f"123456789012.dkr.ecr.us-east-1.amazonaws.com/plinth-test@sha256:{'0' * 64}",
    data_bucket="plinth-test-data-123456789012",
    artifacts_bucket="plinth-test-artifacts-123456789012",
    model_package_group_name="plinth-test-flight-delay",
    flights_feature_group_name="plinth-test-flights",
    weather_feature_group_name="plinth-test-weather",
    tracking_arn="arn:aws:sagemaker:us-east-1:123456789012:mlflow-app/app-1",
    subnet_ids=["subnet-1", "subnet-2"],
    security_group_ids=["sg-1"],
    kms_key_arn="arn:aws:kms:us-east-1:123456789012:key/storage",
    volume_kms_key_arn="arn:aws:kms:us-east-1:123456789012:key/storage",
    train_start="2013-01-01",
    train_end="2013-03-01",
    evaluation_days=14,
    auc_threshold=0.65,
    instance_type="ml.m5.large",
    max_runtime_seconds=900,
)


@functools.cache
def _months(dataset: str) -> dict[str, bytes]:
    return nycflights.months(dataset, MONTHS)


def month(dataset: str, name: str) -> pd.DataFrame:
    """A month of real data, fresh to be spoilt."""
    return tables.read(io.BytesIO(_months(dataset)[name]))


def reference(dataset: str) -> pd.DataFrame:
    return tables.read(io.BytesIO(nycflights.table(dataset)))


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """Runs step programs as processes, each with its own /opt/ml, against one AWS endpoint."""

    folder: Path
    endpoint_url: str

    def run(self, step: str, *argv: str, expect: int = 0, **environment: str) -> str:
        """Run a step in `<folder>/<step>`; what it printed."""
        self.home(step).mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", f"pipelines.steps.{step}", *argv],
            env={
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": self.endpoint_url,
                "OPT_ML": str(self.home(step)),
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                **environment,
            },
            cwd=self.home(step),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout

    def home(self, step: str) -> Path:
        return self.folder / step

    def output(self, step: str, name: str) -> Path:
        return self.home(step) / "processing" / "output" / name

    def hand(self, source: Path, step: str, target: str) -> None:
        """Let a step find a folder or file that another one wrote."""
        place = self.home(step) / target
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(source)


class Built:
    """Stands for an SDK pipeline."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def definition(self) -> str:
        return json.dumps(self.content)


def counting(inputs: TrainingInputs) -> Built:
    """A builder that leaves a line per call in the file that the inputs name."""
    with Path(inputs.artifacts_bucket).open("a") as calls:
        calls.write("built\n")
    sys.stdout.write("a builder may print")
    return Built({"b": 1, "a": [inputs.train_start, {"Bias": {}, "SAGEMAKER_REGION": "x"}]})


def failing(inputs: TrainingInputs) -> Built:
    """A builder that cannot."""
    raise ValueError(f"instance type {inputs.instance_type} is unknown")
