"""The AWS CLI, of a pinned version in a venv of its own, typed against a local cloud.

One journey: what an earlier line makes a later one uses. A line passes where the CLI ends with 0
(or with the code that it is told to end with) and prints what the expression finds.
"""

import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.clients import harness
from tests.clients.aws_cli_lines import LINES

PACKAGES = ("awscli==1.46.3",)

INFERENCE = """
def model_fn(folder):
    return 2

def predict_fn(rows, factor):
    return rows * factor
"""

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["sagemaker.amazonaws.com", "lambda.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        }
    ],
}


def run(arguments: list[str]) -> int:
    """Type every line; 1 where the CLI could not be had."""
    try:
        programs = harness.venv("aws_cli", *PACKAGES)
    except harness.NotFetched as error:
        sys.stderr.write(f"{error}\n")
        return 1
    with tempfile.TemporaryDirectory() as folder, harness.cloud() as environment:
        for name, content in _files().items():
            (Path(folder) / name).write_bytes(content)
        found = f"{programs}:{environment['PATH']}"
        harness.told([*_typed({**environment, "PATH": found}, Path(folder))])
    return 0


def _files() -> Mapping[str, bytes]:
    """What the lines name by `file://`."""
    texts = {"trust.json": TRUST, "pipeline.json": PIPELINE}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("code/inference.py")
        member.size = len(INFERENCE)
        tar.addfile(member, io.BytesIO(INFERENCE.encode()))
    return {
        **{name: json.dumps(value).encode() for name, value in texts.items()},
        "model.tar.gz": packed.getvalue(),
        "rows.csv": b"1,2\n3,4\n",
    }


PIPELINE: Mapping[str, Any] = {
    "Version": "2020-12-01",
    "Metadata": {},
    "Parameters": [{"Name": "Limit", "Type": "Integer", "DefaultValue": 3}],
    "Steps": [
        {
            "Name": "Enough",
            "Type": "Condition",
            "Arguments": {
                "Conditions": [
                    {
                        "Type": "GreaterThanOrEqualTo",
                        "LeftValue": {"Get": "Parameters.Limit"},
                        "RightValue": 3,
                    }
                ],
                "IfSteps": [],
                "ElseSteps": [
                    {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "too few"}}
                ],
            },
        }
    ],
}


def _typed(environment: Mapping[str, str], folder: Path) -> Iterator[dict[str, str]]:
    """A result per line; what a line keeps is an environment variable of those after it."""
    kept: dict[str, str] = {}
    for line in LINES:
        done = subprocess.run(
            ["bash", "-c", line.text],
            cwd=folder,
            env={**environment, **kept},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        passed = done.returncode == line.code and re.search(line.prints, done.stdout + done.stderr)
        if line.keeps:
            kept[line.keeps] = done.stdout.strip()
        yield {
            "case": line.text,
            "outcome": "passed" if passed else "failed",
            "reason": f"{done.returncode}: {done.stderr.strip()[-400:]} {done.stdout[-300:]}",
        }
