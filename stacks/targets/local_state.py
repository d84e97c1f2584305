"""What of the local cloud runs, where it answers and what guards it, for `plinth status`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stacks.local.daemon.client import CloudInfo
from stacks.local.daemon.listeners import listeners
from stacks.local.runtime.processes import Children
from stacks.targets import local_kubernetes


def state(home: Path, cloud: CloudInfo) -> dict[str, Any]:
    """Addresses, processes, ports, and the control plane."""
    recorded = Children(folder=home / "local" / "run").recorded()
    children = [child for child in recorded if child.alive()]
    return {
        "endpoint_url": cloud.endpoint_url,
        "tracking_url": _tracking_url(home),
        "iam": _decisions(home),
        "job_isolation": cloud.job_isolation,
        **local_kubernetes.state(home),
        "pids": [cloud.pid, *(child.pid for child in children)],
        "processes": {"cloud": cloud.pid} | {child.purpose: child.pid for child in children},
        "listeners": [asdict(listener) for listener in listeners(home, cloud)],
    }


def _decisions(home: Path) -> dict[str, int]:
    """How many different calls IAM denied and could not decide; `iam.json` beside lists them."""
    path = home / "local" / "iam.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    return {
        "denied": len(found.get("denied", {})),
        "not_decided": len(found.get("not_decided", {})),
    }


def _tracking_url(home: Path) -> str | None:
    path = home / "local" / "mlflow.json"
    return str(json.loads(path.read_text())["url"]) if path.exists() else None
