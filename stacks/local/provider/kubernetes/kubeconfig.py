"""What a kubeconfig says of the server and of whoever speaks to it."""

from collections.abc import Mapping
from typing import Any


def server(kubeconfig: Any) -> str | None:
    """URL of the current context's cluster."""
    found = _chosen(kubeconfig, "cluster").get("server")
    return str(found) if found else None


def user(kubeconfig: Any) -> Mapping[str, Any]:
    """How the current context's user logs in."""
    return _chosen(kubeconfig, "user")


def _chosen(kubeconfig: Any, part: str) -> Mapping[str, Any]:
    """The `cluster` or `user` of the current context, out of JSON or YAML; empty: it has none."""
    if isinstance(kubeconfig, str):
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        try:
            kubeconfig = YAML(typ="safe").load(kubeconfig)
        except YAMLError:
            return {}
    if not isinstance(kubeconfig, Mapping):
        return {}
    named = {c["name"]: c["context"] for c in kubeconfig.get("contexts") or []}
    context = named.get(kubeconfig.get("current-context"), {})
    held = {one["name"]: one[part] or {} for one in kubeconfig.get(f"{part}s") or []}
    found: Mapping[str, Any] | None = (
        held.get(context.get(part)) if context else next(iter(held.values()), None)
    )
    return found or {}
