"""Secrets that people put where a cloud has room for them: none may be seen where nobody asks.

`python -m tests.drills canaries` puts one in each of PLACES of a running local cloud. Then none may
stand in the lines that the cloud and its servers write, in the page about an execution, in what
the cache says of a step, or in a command line that `ps` shows; and every file that holds one must
be the owner's alone. What a program of a person prints is its own, and stays in its log.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from stacks.commands.execution import write_page
from stacks.local.keeping import folder
from stacks.local.runtime import keys
from tests.kits.executions import create, ended, function, shell, start
from tests.kits.local_cloud import BUCKET, ROLE, WRITTEN_SECONDS, Cloud, running_cloud, until
from tests.kits.path import python

Put = Callable[[Cloud, str], object]

TRACKED = """
import sys, mlflow
uri, canary = sys.argv[1:]
mlflow.set_tracking_uri(uri)
with mlflow.start_run(description=canary + "-description") as run:
    mlflow.log_param("db_password", canary + "-param")
    mlflow.set_tag("api_token", canary + "-tag")
    mlflow.log_text(canary + "-text", "notes.txt")
client = mlflow.MlflowClient()
client.create_registered_model("m", tags={"token": canary + "-r"}, description=canary + "-model")
client.create_model_version("m", run.info.artifact_uri, run.info.run_id, tags={"token": canary})
"""


def _tracked(cloud: Cloud, canary: str) -> None:
    sagemaker, url = cloud.client("sagemaker"), cloud.info.endpoint_url
    asked = {"ArtifactStoreUri": f"s3://{BUCKET}/mlflow", "RoleArn": ROLE}
    arn = sagemaker.create_mlflow_app(Name="canary", **asked)["Arn"]
    until(lambda: sagemaker.describe_mlflow_app(Arn=arn), "Status")
    environ = {
        **os.environ,
        **keys.load(cloud.home).aws(),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
        "MLFLOW_S3_ENDPOINT_URL": url,
        "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT": url,
    }
    done = python(TRACKED, arn, canary, env=environ)
    assert done.returncode == 0, done.stderr[-2000:]


def _pipeline(cloud: Cloud, canary: str) -> None:
    """Two runs, so that the cache has something to say; every secret is another in each."""
    sagemaker = cloud.client("sagemaker")
    for run in ("one", "two"):
        one = f"{canary}-{run}"
        step = shell(
            "Work", "true", "--api-token", f"{one}-argument", f"--db-password={one}-pair",
            f"postgres://me:{one}-url@host/db",
            Arguments={"Environment": {"DB_PASSWORD": f"{one}-variable"}},
            CacheConfig={"Enabled": True, "ExpireAfter": "P1D"},
        )  # fmt: skip
        declared = [
            {"Name": "ApiToken", "Type": "String", "DefaultValue": f"{one}-default"},
            {"Name": "Source", "Type": "String", "DefaultValue": f"https://me:{one}-link@host"},
        ]
        if run == "one":
            create(sagemaker, "canaries", step, parameters=declared)
        else:
            text = {"Version": "2020-12-01", "Parameters": declared, "Steps": [step]}
            sagemaker.update_pipeline(PipelineName="canaries", PipelineDefinition=json.dumps(text))
        given = [{"Name": "ApiToken", "Value": f"{one}-parameter"}]
        more = {"PipelineExecutionDescription": f"DB_PASSWORD={one}-description"}
        ended(sagemaker, start(sagemaker, "canaries", PipelineParameters=given, **more))


PLACES: Mapping[str, Put] = {
    "Secrets Manager": lambda cloud, canary: cloud.client("secretsmanager").create_secret(
        Name="canary", SecretString=canary
    ),
    "Parameter Store": lambda cloud, canary: cloud.client("ssm").put_parameter(
        Name="/canary", Type="SecureString", Value=canary
    ),
    "Parameter Store, in plain text": lambda cloud, canary: cloud.client("ssm").put_parameter(
        Name="/plain", Type="String", Value=canary
    ),
    "environment of a function": lambda cloud, canary: (
        function(cloud, "canary", "def handler(event, context): pass"),
        cloud.client("lambda").update_function_configuration(
            FunctionName="canary", Environment={"Variables": {"DB_PASSWORD": canary}}
        ),
    ),
    "environment of a model": lambda cloud, canary: cloud.client("sagemaker").create_model(
        ModelName="canary",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": "plinth-test-images:1", "Environment": {"API_TOKEN": canary}},
    ),
    "parameters, descriptions, arguments and variables of a pipeline": _pipeline,
    "parameters, tags, descriptions and texts of MLflow": _tracked,
}


def run(arguments: Sequence[str]) -> int:
    """Drill; 0 where no canary was seen."""
    with tempfile.TemporaryDirectory() as place, running_cloud(Path(place)) as cloud:
        seen, held = drilled(cloud, Path(place) / "page.html")
    told = {"places": len(PLACES), "files that hold one": held, "seen": seen}
    sys.stdout.write(json.dumps(told) + "\n")
    return int(bool(seen))


def drilled(cloud: Cloud, page: Path) -> tuple[list[str], int]:
    """Where a canary was seen, and how many files hold one as they may."""
    for number, put in enumerate(PLACES.values()):
        put(cloud, f"canary-{number}-7f3a91")
    assert folder.wait(cloud.home, WRITTEN_SECONDS)
    counts = Counter[str]()
    seen = [*_told(cloud, page), *_shown(), *_written(cloud.home, counts)]
    return seen, counts["held"]


def _told(cloud: Cloud, page: Path) -> Iterator[str]:
    """In the page about the newest execution and in what the cache said of its step."""
    sagemaker = cloud.client("sagemaker")
    newest = sagemaker.list_pipeline_executions(PipelineName="canaries", MaxResults=1)
    arn = newest["PipelineExecutionSummaries"][0]["PipelineExecutionArn"]
    record = write_page(cloud.client, arn, page)
    cache = json.dumps(record.steps[0].cache)
    assert "another" in cache, cache  # it compared the two
    texts = {"the page": page.read_text(), "the cache": cache, "the record": repr(record)}
    yield from (f"{name}: {_around(text)}" for name, text in texts.items() if "canary-" in text)


def _shown() -> Iterator[str]:
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if "canary-" in words:
            yield f"ps: {_around(words)}"


def _written(home: Path, counts: Counter[str]) -> Iterator[str]:
    """In lines of logs, and in files that others may read."""
    for path in sorted(home.rglob("*")):
        if not path.is_file() or path.is_symlink() or b"canary-" not in path.read_bytes():
            continue
        counts["held"] += 1
        if path.suffix == ".log":
            yield f"{path.relative_to(home)}: {_around(path.read_text(errors='replace'))}"
        open_to = [place for place in (path, *path.parents) if home in (place, *place.parents)]
        if all(place.stat().st_mode & 0o077 for place in open_to):
            yield f"{path.relative_to(home)} is not the owner's alone"


def _around(text: str) -> str:
    at = text.index("canary-")
    return repr(text[max(0, at - 80) : at + 60])
