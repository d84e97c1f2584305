"""Checkov on the resources of a stack: writes them as a Terraform plan and runs its command.

Pulumi's AWS provider is made from Terraform's, so a type and its properties have one name there.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from policies.data import Resource

PROVIDER = "registry.terraform.io/hashicorp/aws"
MODULES = {"ec2": "", "lb": "", "cfg": "config_", "costexplorer": "ce_"}
"""Modules whose name Terraform's types leave out or write in another way."""

NAMED = {"aws:rds/instance:Instance": "aws_db_instance"}
"""Types that have another name there altogether."""

OPTIONS = ("--framework", "terraform_plan", "--skip-download", "--compact", "-o", "json")


def run(command: Path, resources: Sequence[Resource]) -> tuple[float, float, int]:
    """Seconds, processor seconds and the number of checks of one run of the whole process."""
    begin, used = time.perf_counter(), _cpu_seconds()
    summary = _report(command, resources, "--quiet")["summary"]
    wall, cpu = time.perf_counter() - begin, _cpu_seconds() - used
    assert summary["resource_count"] == len(resources), summary
    assert not summary["parsing_errors"], summary
    return wall, cpu, summary["passed"] + summary["failed"]


def known(command: Path, resources: Sequence[Resource]) -> set[str]:
    """The types among these that it has any check for."""
    results = _report(command, resources)["results"]
    checks = [*results["passed_checks"], *results["failed_checks"]]
    seen = {check["resource"].partition(".")[0] for check in checks}
    return {item.type for item in resources if _type(item.type) in seen}


def _report(command: Path, resources: Sequence[Resource], *options: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.json"
        path.write_text(json.dumps(plan(resources)))
        done = subprocess.run(
            [command, "-f", path, *OPTIONS, *options],
            env={**os.environ, "CHECKOV_RUN_SCA_PACKAGE_SCAN": "false", "LOG_LEVEL": "ERROR"},
            capture_output=True,
            check=False,
        )
    assert done.returncode in (0, 1), done.stderr.decode()
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def plan(resources: Sequence[Resource]) -> dict[str, Any]:
    """What `terraform show -json` says of a plan that creates them all."""
    about, values = [], []
    for number, item in enumerate(resources):
        kind = _type(item.type)
        name = f"{re.sub('[^A-Za-z0-9_]', '_', item.name)}_{number}"
        about.append(
            {
                "address": f"{kind}.{name}",
                "mode": "managed",
                "type": kind,
                "name": name,
                "provider_name": PROVIDER,
            }
        )
        values.append({_snake(key): _block(key, v) for key, v in item.inputs.value.items()})
    return {
        "format_version": "1.2",
        "terraform_version": "1.9.0",
        "planned_values": {
            "root_module": {
                "resources": [
                    {**one, "schema_version": 0, "values": known, "sensitive_values": {}}
                    for one, known in zip(about, values, strict=True)
                ]
            }
        },
        "resource_changes": [
            {**one, "change": {"actions": ["create"], "before": None, "after": known}}
            for one, known in zip(about, values, strict=True)
        ],
        "configuration": {"root_module": {"resources": []}},
    }


def _type(token: str) -> str:
    """`aws:s3/bucketPolicy:BucketPolicy` is `aws_s3_bucket_policy`."""
    if token in NAMED:
        return NAMED[token]
    module, _, name = token.split(":")[1].partition("/")
    return f"aws_{MODULES.get(module, f'{module}_')}{_snake(name)}"


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def _block(key: str, value: Any) -> Any:
    """Blocks stand in lists there, also single ones; tags are no block."""
    if isinstance(value, dict) and key != "tags":
        return [{_snake(k): _block(k, v) for k, v in value.items()}]
    if isinstance(value, list):
        return [_block("", each)[0] if isinstance(each, dict) else each for each in value]
    return value
