"""`train` of AWS's framework images: a person's script, told everything by SM_* variables.

The contract is that of script mode: hyperparameters are JSON; those called `sagemaker_*`, and the
objective of a tuning job, are for the container, the others become the script's arguments and
`SM_HP_*` (sagemaker-training, ENVIRONMENT_VARIABLES.md; SageMaker Python SDK, "Use Scikit-learn").
Without `sagemaker_program` an image may be an algorithm itself: XGBoost is.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipelines.toolkit import archives
from stacks.local.runtime.frameworks.install import OPT_ML, fail, install

CODE = OPT_ML / "code"
CONFIG = OPT_ML / "input" / "config"
CONTAINERS = ("sagemaker_", "_tuning_objective_metric")
"""How hyperparameters begin that are the container's and no argument of the script."""

SHOWN = 400
"""Characters of a script's last words in the reason."""


def main(argv: Sequence[str]) -> int:
    """Run the script of this job; its exit code."""
    library = argv[0]
    told = hyperparameters(_json("hyperparameters.json"))
    program = told.get("sagemaker_program") or os.environ.get("SAGEMAKER_PROGRAM")
    if program is None and library == "xgboost":
        from stacks.local.runtime.frameworks import xgboost_algorithm

        return xgboost_algorithm.train(OPT_ML, told)
    if program is None:
        fail(f"ClientError: the hyperparameter sagemaker_program must name the {library} script")
        return 1
    source = told.get("sagemaker_submit_directory") or os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY")
    try:
        code = fetch(str(source), CODE) if source else CODE
    except archives.Refused as error:
        fail(f"ClientError: {error}")
        return 1
    if (code / "requirements.txt").exists() and (
        failed := install(["-r", str(code / "requirements.txt")])
    ):
        return failed
    own = {name: value for name, value in told.items() if not name.startswith(CONTAINERS)}
    return run(str(program), code, own)


def hyperparameters(written: Mapping[str, str]) -> dict[str, Any]:
    """Values are JSON where they can be read as such, else text."""
    found: dict[str, Any] = {}
    for name, text in written.items():
        try:
            found[name] = json.loads(text)
        except (ValueError, TypeError):
            found[name] = text
    return found


def fetch(source: str, target: Path) -> Path:
    """The folder of the script: an archive in S3 unpacked, or one that lies here already."""
    if not source.startswith("s3://"):
        return Path(source)
    import boto3

    target.mkdir(parents=True, exist_ok=True)
    archive = target.with_name("sourcedir.tar.gz")
    parts = urlsplit(source)
    boto3.client("s3").download_file(parts.netloc, parts.path.lstrip("/"), str(archive))
    archives.unpack(archive, target)
    archive.unlink()
    return target


def run(program: str, code: Path, own: Mapping[str, Any]) -> int:
    """The script with its arguments and variables; the reason of a failure is left behind."""
    arguments = command_line(own)
    start = ["/bin/bash"] if program.endswith(".sh") else [sys.executable]
    command = [*start, program, *arguments]
    variables = environment(own, arguments, program, code)
    script = subprocess.Popen(
        command, cwd=code, env={**os.environ, **variables}, stderr=subprocess.PIPE, text=True
    )
    last = ""
    assert script.stderr is not None
    for line in script.stderr:
        sys.stderr.write(line)
        last = line.strip() or last
    if status := script.wait():
        fail(
            f'ExecuteUserScriptError:\nExitCode {status}\nErrorMessage "{last[:SHOWN]}"\n'
            f'Command "{" ".join(command)}"'
        )
    return status if status >= 0 else 128 - status


def command_line(own: Mapping[str, Any]) -> list[str]:
    """Hyperparameters as arguments, sorted by name."""
    found = []
    for name in sorted(own):
        found += [f"-{name}" if len(name) == 1 else f"--{name}", _text(own[name])]
    return found


def environment(
    own: Mapping[str, Any], arguments: Sequence[str], program: str, code: Path
) -> dict[str, str]:
    """SM_* variables."""
    resources, channels = _json("resourceconfig.json"), _json("inputdataconfig.json")
    data = OPT_ML / "input" / "data"
    output = OPT_ML / "output" / "data"
    output.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {
        "model_dir": str(OPT_ML / "model"),
        "input_dir": str(OPT_ML / "input"),
        "input_config_dir": str(CONFIG),
        "output_dir": str(OPT_ML / "output"),
        "output_data_dir": str(output),
        "channels": sorted(channels),
        "hps": dict(own),
        "hosts": resources["hosts"],
        "current_host": resources["current_host"],
        "network_interface_name": resources["network_interface_name"],
        "num_cpus": len(os.sched_getaffinity(0)),
        "num_gpus": len(list(Path("/dev").glob("nvidia[0-9]*"))),
        "log_level": 20,
        "resource_config": resources,
        "input_data_config": channels,
        "user_args": list(arguments),
        "user_entry_point": program,
        "module_name": Path(program).stem,
        "module_dir": str(code),
    }
    found["training_env"] = {
        **found,
        "hyperparameters": dict(own),
        "channel_input_dirs": {name: str(data / name) for name in channels},
        "job_name": os.environ.get("TRAINING_JOB_NAME", ""),
    }
    found |= {f"channel_{name}": str(data / name) for name in channels}
    found |= {f"hp_{name}": value for name, value in own.items()}
    return {f"SM_{name.upper()}": _text(value) for name, value in found.items()}


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value)
    return "" if value is None else str(value)


def _json(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CONFIG / name).read_text())
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
