"""What of the local cloud runs, where it answers and what guards it, for `plinth status`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from stacks.local.aws import faults
from stacks.local.daemon.client import CloudInfo
from stacks.local.daemon.listeners import listeners
from stacks.local.runtime.files import read_json
from stacks.local.runtime.processes import Children
from stacks.targets import local_kubernetes

WRITTEN_ANEW = "the local cloud writes it anew when there is something new to say"


def state(home: Path, cloud: CloudInfo) -> dict[str, Any]:
    """Addresses, processes, ports, and the control plane."""
    recorded = Children(folder=home / "local" / "run").recorded()
    children = [child for child in recorded if child.alive()]
    return {
        "endpoint_url": cloud.endpoint_url,
        "tracking_url": _tracking_url(home),
        "iam": _decisions(home),
        "faults": [fault.name for fault in faults.read(home)],
        "job_isolation": cloud.job_isolation,
        **local_kubernetes.state(home),
        "pids": [cloud.pid, *(child.pid for child in children)],
        "processes": {"cloud": cloud.pid} | {child.purpose: child.pid for child in children},
        "listeners": [asdict(listener) for listener in listeners(home, cloud)],
    }


def _decisions(home: Path) -> dict[str, int]:
    """How many different calls IAM denied and could not decide; `iam.json` beside lists them."""
    found = read_json(home / "local" / "iam.json", fix=f"delete it: {WRITTEN_ANEW}") or {}
    return {
        "denied": len(found.get("denied", {})),
        "not_decided": len(found.get("not_decided", {})),
    }


def _tracking_url(home: Path) -> str | None:
    found = read_json(home / "local" / "mlflow.json", fix=f"delete it: {WRITTEN_ANEW}") or {}
    return found.get("url")
