"""What the tests of pipelines share: inputs, real months, a job's folder, tiny builders."""

import ast
import functools
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from infra.naming import Names
from pipelines.compiled import PipelineInputs
from pipelines.toolkit import nycflights, tables
from pipelines.toolkit.feature_group import FeatureGroup
from pipelines.workload import Model, Pipeline, Workload, named
from stacks import definitions as bridge

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
MONTHS = [f"2013-{month:02}" for month in range(1, 13)]

NAMES = Names(env="test", account_id="123456789012", region="us-east-1")
KEY = "arn:aws:kms:us-east-1:123456789012:key/storage"


def inputs(workload: str, pipeline: str, **changes: Any) -> PipelineInputs:
    """Inputs of a pipeline in an environment `test`, with everything known."""
    found = bridge.inputs(
        named(workload),
        pipeline,
        NAMES,
        image_uri=f"{NAMES.repository_url('images')}@sha256:{'0' * 64}",
        zones=["a", "b"],
        instance_type="ml.m5.large",
        max_runtime_seconds=900,
    )
    known: dict[str, Any] = {
        "tracking_arn": "arn:aws:sagemaker:us-east-1:123456789012:mlflow-app/app-1",
        "subnet_ids": ["subnet-1", "subnet-2"],
        "security_group_ids": ["sg-1"],
        "kms_key_arn": KEY,
        "volume_kms_key_arn": KEY,
    }
    return replace(found, **(known | changes))


INPUTS = inputs("flight_delay", "training")


def tiny(builder: str, **changes: Any) -> Workload:
    """A workload of one pipeline that a function of this module builds."""
    facts: dict[str, Any] = {
        "name": "tiny",
        "owner": "nobody",
        "description": "Nothing",
        "pipelines": {
            "training": Pipeline(description="Nothing", build=f"tests.kits.pipelines:{builder}")
        },
    }
    return Workload(**(facts | changes))


CLASSIFIER = Model(description="Yes or no", kind="classification", card={})
GROUP = FeatureGroup(
    description="Things",
    record_identifier="thing",
    event_time="event_time",
    features={"thing": "String", "event_time": "String"},
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
    """Runs a workload's programs as processes, each with its own /opt/ml, against one endpoint."""

    workload: str
    folder: Path
    endpoint_url: str

    def run(self, step: str, *argv: str, expect: int = 0, **environment: str) -> str:
        """Run a step in `<folder>/<step>`; what it printed."""
        self.home(step).mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", f"pipelines.{self.workload}.steps.{step}", *argv],
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


def counting(inputs: PipelineInputs) -> Built:
    """A builder that leaves a line per call in the file that the inputs name."""
    with Path(inputs.artifacts_bucket).open("a") as calls:
        calls.write("built\n")
    sys.stdout.write("a builder may print")
    return Built({"b": 1, "a": [inputs.parameters, {"Bias": {}, "SAGEMAKER_REGION": "x"}]})


def failing(inputs: PipelineInputs) -> Built:
    """A builder that cannot."""
    raise ValueError(f"instance type {inputs.instance_type} is unknown")


def each(found: Iterable[T]) -> list[T]:
    """What was found, which must be something: a loop over nothing would pass."""
    listed = list(found)
    assert listed
    return listed


def imports(module: str) -> set[str]:
    """Every module that a module of this checkout imports, at the top or inside a function."""
    path = ROOT.joinpath(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not source.exists():  # a name of a module, not a module
        return set()
    found = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def reached(module: str) -> set[str]:
    """Every module of `pipelines` and `serving` that a module draws in, itself included."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [n for n in imports(name) if n.split(".")[0] in ("pipelines", "serving")]
    return seen


def outside(module: str) -> set[str]:
    """The packages of others that a module draws in by way of ours."""
    names = {name.split(".")[0] for ours in reached(module) for name in imports(ours)}
    return names - {"pipelines", "serving"}
