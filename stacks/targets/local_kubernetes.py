"""The control plane behind the local EKS cluster, as commands show it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BUILD_IT = "type `plinth toolchain kubernetes`, then destroy and deploy local anew"


def state(home: Path) -> dict[str, Any]:
    """Where the server answers, its nodes and GPUs, and the objects that nothing reconciles."""
    from stacks.toolchain import control_plane

    folder = home / "local" / "kubernetes"
    if not (folder / "kubeconfig").exists():
        if control_plane.find() is None:
            reason = f"objects are checked against schemas and recorded: {BUILD_IT}"
            return {"kubernetes": f"no control plane on this machine, {reason}"}
        return {"kubernetes": "no control plane: it comes with the EKS cluster"}
    return _asked(folder)


def _asked(folder: Path) -> dict[str, Any]:
    """As the local cloud itself, whoever types: what it runs is no secret of the cluster."""
    import httpx2 as httpx

    from stacks.local.kubernetes import control_plane, nodes, stand_ins
    from stacks.local.kubernetes.client import ApiError, Client

    client = Client.of(folder / control_plane.OWN_KUBECONFIG)
    try:
        listed = client.list(nodes.NODE)
        left = stand_ins.listed(client)
    except (ApiError, httpx.HTTPError) as error:
        return {"kubernetes": f"{client.url} does not answer: {error}"}
    ready = [item for item in listed if _is_ready(item)]
    return {
        "kubernetes": client.url,
        "kubeconfig": str(folder / "kubeconfig"),
        "nodes": len(listed),
        "nodes_ready": len(ready),
        "gpus": sum(int(item["status"]["allocatable"].get(nodes.GPU, 0)) for item in ready),
        "not_reconciled": [f"{kind} {name}" for kind, names in left.items() for name in names],
    }


def _is_ready(item: dict[str, Any]) -> bool:
    conditions = item["status"].get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
