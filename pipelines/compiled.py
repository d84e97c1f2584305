"""Pipeline definitions as build artefacts: compiled once by the SageMaker SDK, then read.

Importing the SDK takes seconds, so it happens in a process of its own, once for all definitions
that are asked for together, and only when the inputs, the builder's sources or the SDK changed. The
same inputs give the same bytes on any machine and any day.
"""

import contextlib
import hashlib
import importlib
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from infra.errors import UserError
from pipelines.workload import Parameter, Workload

SDK_PARTS = ("sagemaker", "sagemaker-core", "sagemaker-mlops", "sagemaker-serve", "sagemaker-train")
SHOWN_LINES = 8
COMPILE_SECONDS = 300
FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
SHARED = ("compiled.py", "step_factory.py", "workload.py")
"""Sources in this folder that decide the bytes of every definition."""

SDK_VARIABLES = frozenset(
    {
        "SAGEMAKER_CONTAINER_LOG_LEVEL",
        "SAGEMAKER_PROGRAM",
        "SAGEMAKER_REGION",
        "SAGEMAKER_SUBMIT_DIRECTORY",
    }
)
MAY_BE_EMPTY = frozenset({"Bias", "Environment", "Explainability"})

NOWHERE = "http://127.0.0.1:9"
"""A proxy that does not exist."""


@dataclass(frozen=True, kw_only=True)
class PipelineInputs:
    """What an environment decides about a pipeline of a workload."""

    workload: str
    """Name of the workload, as its package."""

    pipeline_name: str
    region: str
    account_id: str
    role_arn: str
    image_uri: str
    data_bucket: str
    artifacts_bucket: str
    model_package_group_name: str | None
    """None where the workload has no model."""

    feature_groups: Mapping[str, str]
    """AWS name by logical name: `flights` is the workload's own, `weather.hourly` another's."""

    tracking_arn: str
    """ARN of the MLflow app."""

    subnet_ids: Sequence[str]
    """Private subnets that the jobs run in, of one or more zones."""

    security_group_ids: Sequence[str]
    """Let the jobs out to HTTPS, and to each other."""

    kms_key_arn: str
    """Encrypts what the jobs write."""

    volume_kms_key_arn: str | None
    """Encrypts their volumes; None where the instance type has local NVMe, which encrypts itself
    and for which SageMaker refuses a key (CreateTrainingJob, VolumeKmsKeyId)."""

    instance_type: str
    max_runtime_seconds: int
    """Limit of each job."""

    parameters: Mapping[str, Parameter]
    """Default of each of the pipeline's parameters in this environment, by name."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One definition to compile."""

    workload: Workload
    pipeline: str
    inputs: PipelineInputs

    @property
    def build(self) -> str:
        """The builder as `module:function`."""
        return self.workload.pipeline(self.pipeline).build

    @property
    def title(self) -> str:
        """How a person knows the pipeline."""
        return f"{self.workload.name} {self.pipeline}"


def definition(workload: Workload, pipeline: str, inputs: PipelineInputs, *, cache: Path) -> str:
    """The compiled definition as JSON text, from the cache if it was compiled before."""
    (text,) = definitions(
        [Request(workload=workload, pipeline=pipeline, inputs=inputs)], cache=cache
    )
    return text


def definitions(requests: Sequence[Request], *, cache: Path) -> list[str]:
    """The compiled definitions in the order asked for; one process compiles all that are new."""
    artefacts = [cache / f"{cache_key(request)}.json" for request in requests]
    missing = [
        (request, path)
        for request, path in zip(requests, artefacts, strict=True)
        if not path.exists()
    ]
    if missing:
        texts = _compile_elsewhere([request for request, _ in missing])
        cache.mkdir(parents=True, exist_ok=True)
        for (_, path), text in zip(missing, texts, strict=True):
            with tempfile.NamedTemporaryFile("w", dir=cache, suffix=".part", delete=False) as part:
                part.write(text)
            Path(part.name).replace(path)
    return [path.read_text() for path in artefacts]


def cache_key(request: Request) -> str:
    """SHA-256 over everything that decides the definition's bytes."""
    sources = [FOLDER / name for name in SHARED]
    sources += sorted((FOLDER / request.workload.name).glob("*.py"))
    total = hashlib.sha256()
    for source in sources:
        total.update(source.read_bytes())
    versions = {part: importlib.metadata.version(part) for part in SDK_PARTS}
    decides = [request.build, asdict(request.inputs), versions]
    total.update(json.dumps(decides, sort_keys=True).encode())
    return total.hexdigest()


def _compile_elsewhere(requests: Sequence[Request]) -> list[str]:
    titles = ", ".join(request.title for request in requests)
    asked = [
        {"title": request.title, "build": request.build, "inputs": asdict(request.inputs)}
        for request in requests
    ]
    with tempfile.TemporaryDirectory() as home:
        try:
            done = subprocess.run(
                [sys.executable, "-W", "ignore", "-m", "pipelines.compiled"],
                input=json.dumps(asked),
                env=clean_environment(requests[0].inputs.region, Path(home)),
                capture_output=True,
                text=True,
                timeout=COMPILE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UserError(
                f"{titles} must compile within {COMPILE_SECONDS} s, it did not",
                fix="try again when the machine is less busy",
            ) from None
    if done.returncode:
        lines = "\n".join(done.stderr.strip().splitlines()[-SHOWN_LINES:])
        raise UserError(
            f"a pipeline does not compile ({titles}):\n{lines}",
            fix="correct the settings named above, or the workload's pipeline",
        )
    texts: list[str] = json.loads(done.stdout)
    return texts


def clean_environment(region: str, home: Path) -> dict[str, str]:
    """An environment without account, network or anything of this person's configuration.

    The SDK reports its use to AWS unless a configuration file says no, but given such a file it
    validates it a hundred times, 14 seconds in all. So the file is empty and the network is cut.
    """
    settings = home / "sagemaker.yaml"
    settings.touch()
    return {
        "AWS_ACCESS_KEY_ID": "unused",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_SECRET_ACCESS_KEY": "unused",
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "HOME": str(home),
        "HTTPS_PROXY": NOWHERE,
        "HTTP_PROXY": NOWHERE,
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(ROOT),
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(settings),
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(settings),
        # asks IAM whether the role may do its work: a network call
        "SAGEMAKER_VALIDATE_ROLE": "false",
    }


def main() -> None:
    """Build in this process: what to build on stdin, a list of JSON texts on stdout."""
    texts = []
    with contextlib.redirect_stdout(sys.stderr):  # the SDK prints
        for asked in json.load(sys.stdin):
            sys.stderr.write(f"compiling {asked['title']}\n")  # the last one is the culprit
            module, _, function = asked["build"].partition(":")
            built = getattr(importlib.import_module(module), function)(
                PipelineInputs(**asked["inputs"])
            )
            compiled = without_residue(json.loads(built.definition()))
            texts.append(json.dumps(compiled, sort_keys=True, separators=(",", ":")))
    json.dump(texts, sys.stdout)


def without_residue(value: Any) -> Any:
    """The definition without what the SDK adds and nobody said.

    `ModelBuilder.register` cannot leave these out: variables of AWS's own containers (one with the
    region in it, so a package could not move), and reports that are empty objects.
    """
    if isinstance(value, list):
        return [without_residue(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    kept = {key: without_residue(entry) for key, entry in value.items() if key not in SDK_VARIABLES}
    return {key: entry for key, entry in kept.items() if entry != {} or key not in MAY_BE_EMPTY}


if __name__ == "__main__":
    main()
