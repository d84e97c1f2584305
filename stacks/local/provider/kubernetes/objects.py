"""Kubernetes objects as Pulumi resources: one shape for every kind, no table of kinds."""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from stacks.local.kubernetes.client import Object
from stacks.local.provider.backend import UNKNOWN, Properties, Subject

RELEASE = "kubernetes:helm.sh/v3:Release"
RECORDED_API = "recorded.plinth.local/v1"
"""API group of what is kept for its inputs alone."""

SERVER_METADATA = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")
"""Metadata that only the server writes."""

SECRET_FIELDS = ("data", "stringData")


def body(subject: Subject, inputs: Properties) -> Object:
    """The object that the inputs describe, as it is applied."""
    if subject.token == RELEASE:
        return _release(inputs)
    item = {key: value for key, value in inputs.items() if not key.startswith("__")}
    if item.get("kind") == "Secret" and item.get("apiVersion") == "v1" and "stringData" in item:
        # Server-side apply would never take a key of stringData away again
        plain = item.pop("stringData")
        encoded = {key: _base64(value) for key, value in plain.items()}
        item["data"] = {**(item.get("data") or {}), **encoded}
    return item


def _base64(text: Any) -> str:
    return UNKNOWN if text == UNKNOWN else base64.b64encode(str(text).encode()).decode()


def _release(inputs: Properties) -> Object:
    """A Helm release as a recorded object: which chart, which version, which values."""
    metadata = {"name": inputs.get("name"), "namespace": inputs.get("namespace", "default")}
    spec = {
        key: value
        for key, value in inputs.items()
        if key not in ("name", "namespace") and not key.startswith("__")
    }
    return {"apiVersion": RECORDED_API, "kind": "HelmRelease", "metadata": metadata, "spec": spec}


def outputs(subject: Subject, inputs: Properties, live: Object) -> Properties:
    """What the engine keeps: the object as the server has it, without its bookkeeping."""
    if subject.token == RELEASE:
        metadata = live["metadata"]
        told = {"name": metadata["name"], "namespace": metadata["namespace"], "revision": 1}
        return {**inputs, "status": {**told, "status": "recorded"}}
    metadata = {
        key: value
        for key, value in live["metadata"].items()
        if key not in ("managedFields", "resourceVersion", "generation")
    }
    return {**inputs, **live, "metadata": metadata}


def described(live: Object) -> Properties:
    """What a program would have to say to get an object: all but what the server writes."""
    metadata = {k: v for k, v in live["metadata"].items() if k not in SERVER_METADATA}
    return {**{k: v for k, v in live.items() if k != "status"}, "metadata": metadata}


def identity(item: Object) -> str:
    """`namespace/name`, or the name of what has no namespace."""
    metadata = item["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])


def located(id: str) -> tuple[str | None, str]:
    """Namespace and name of an id."""
    namespace, _, name = id.rpartition("/")
    return namespace or None, name


def drifted(wanted: Any, applied: Any, live: Any) -> Any:
    """The wanted value where applying it anew would change nothing, else what is there.

    The server is the judge: `applied` is what a dry run makes of the object, so another spelling of
    a quantity is no drift.
    """
    if applied == live:
        return wanted
    if isinstance(wanted, Mapping) and isinstance(applied, Mapping) and isinstance(live, Mapping):
        held = {
            key: drifted(value, applied.get(key), live.get(key)) for key, value in wanted.items()
        }
        return {key: value for key, value in held.items() if value is not None}
    return live


def has_unknown(value: Any) -> bool:
    """Whether a preview does not know all of it yet."""
    if isinstance(value, Mapping):
        return any(map(has_unknown, value.values()))
    if isinstance(value, list):
        return any(map(has_unknown, value))
    return bool(value == UNKNOWN)


def secrets_of(item: Object) -> Iterator[str]:
    """Values that must not be repeated in a message."""
    if item.get("kind") == "Secret":
        for name in SECRET_FIELDS:
            for value in (item.get(name) or {}).values():
                if isinstance(value, str) and value != UNKNOWN:
                    yield value
                    yield _base64(value)
