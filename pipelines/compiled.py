"""Pipeline definitions as build artefacts: compiled once by the SageMaker SDK, then read.

Importing the SDK takes seconds, so it happens in a process of its own and only when the inputs, the
builder's source or the SDK changed. The same inputs give the same bytes on any machine and any day.
"""

import contextlib
import hashlib
import importlib
import importlib.metadata
import importlib.util
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

PIPELINES: Mapping[str, str] = {"training": "pipelines.training:build"}
"""Builder of each pipeline as `module:function`; it takes the inputs, returns an SDK `Pipeline`."""

SDK_PARTS = ("sagemaker", "sagemaker-core", "sagemaker-mlops", "sagemaker-serve", "sagemaker-train")
SHOWN_LINES = 8
COMPILE_SECONDS = 300
ROOT = Path(__file__).parent.parent

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
class TrainingInputs:
    """What an environment decides about the training pipeline."""

    pipeline_name: str
    region: str
    account_id: str
    role_arn: str
    image_uri: str
    data_bucket: str
    artifacts_bucket: str
    model_package_group_name: str
    flights_feature_group_name: str
    weather_feature_group_name: str
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

    train_start: str
    """First day of the training window, `YYYY-MM-DD`."""

    train_end: str
    """The day after the training window; evaluation starts here."""

    evaluation_days: int
    auc_threshold: float
    instance_type: str
    max_runtime_seconds: int
    """Limit of each job."""


def definition(pipeline: str, inputs: TrainingInputs, *, cache: Path) -> str:
    """The compiled definition as JSON text, from the cache if it was compiled before."""
    artefact = cache / f"{cache_key(pipeline, inputs)}.json"
    try:
        return artefact.read_text()
    except FileNotFoundError:
        text = _compile_elsewhere(pipeline, inputs)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=cache, suffix=".part", delete=False) as part:
        part.write(text)
    Path(part.name).replace(artefact)
    return text


def cache_key(pipeline: str, inputs: TrainingInputs) -> str:
    """SHA-256 over everything that decides the definition's bytes."""
    module = _module(pipeline)
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise UserError(f"pipelines.compiled.PIPELINES: {module} must be a module")
    total = hashlib.sha256()
    module_file, factory = Path(spec.origin), Path(__file__).with_name("step_factory.py")
    for source in (Path(__file__), module_file, factory):
        total.update(source.read_bytes())
    versions = {part: importlib.metadata.version(part) for part in SDK_PARTS}
    total.update(json.dumps([pipeline, asdict(inputs), versions], sort_keys=True).encode())
    return total.hexdigest()


def _module(pipeline: str) -> str:
    if pipeline not in PIPELINES:
        known = ", ".join(sorted(PIPELINES))
        raise UserError(f"no pipeline is called {pipeline!r}", fix=f"name one of: {known}")
    return PIPELINES[pipeline].partition(":")[0]


def _compile_elsewhere(pipeline: str, inputs: TrainingInputs) -> str:
    with tempfile.TemporaryDirectory() as home:
        try:
            done = subprocess.run(
                [sys.executable, "-W", "ignore", "-m", "pipelines.compiled", PIPELINES[pipeline]],
                input=json.dumps(asdict(inputs)),
                env=clean_environment(inputs.region, Path(home)),
                capture_output=True,
                text=True,
                timeout=COMPILE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UserError(
                f"pipeline {pipeline!r} must compile within {COMPILE_SECONDS} s, it did not",
                fix="try again when the machine is less busy",
            ) from None
    if done.returncode:
        lines = "\n".join(done.stderr.strip().splitlines()[-SHOWN_LINES:])
        raise UserError(
            f"pipeline {pipeline!r} does not compile:\n{lines}",
            fix=f"correct the settings named above, or {_module(pipeline)}",
        )
    return done.stdout


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
    """Build in this process: the builder as argument, inputs on stdin, JSON on stdout."""
    module, _, function = sys.argv[1].partition(":")
    inputs = TrainingInputs(**json.load(sys.stdin))
    with contextlib.redirect_stdout(sys.stderr):  # the SDK prints
        built = getattr(importlib.import_module(module), function)(inputs)
        compiled = without_residue(json.loads(built.definition()))
    sys.stdout.write(json.dumps(compiled, sort_keys=True, separators=(",", ":")))


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
