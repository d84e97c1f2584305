"""Stand-ins for custom resource definitions whose operator does not run here.

An object of a kind that the server lacks needs a definition to be kept. The stand-in accepts any
content and nothing acts on it, so all such kinds are listed as not reconciled.
"""

import threading
import time
from typing import Any

from infra.errors import UserError
from stacks.local.kubernetes.client import Client, Kind, Object

DEFINITION = Kind(
    api_version="apiextensions.k8s.io/v1",
    kind="CustomResourceDefinition",
    plural="customresourcedefinitions",
    namespaced=False,
)
LABEL = "plinth.local/stand-in"
MANAGER = "plinth-local"
ESTABLISHED_SECONDS = 20
POLL_SECONDS = 0.05

ANYTHING = {
    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
}


def install(client: Client, item: Object) -> Kind:
    """Define the kind of an object, in its namespace or in none, and wait until it can be used."""
    group = item["apiVersion"].rpartition("/")[0]
    kind = item["kind"]
    plural = _plural(kind)
    name = f"{plural}.{group}"
    if not group:
        raise UserError(
            f"{item['apiVersion']} {kind} must be a kind of Kubernetes, got none of that name",
            fix="correct apiVersion and kind",
        )
    with _ONE_AT_A_TIME:  # two objects of one kind are created at once
        _offer(client, item, plural, name)
    return established(client, name, item["apiVersion"], kind)


_ONE_AT_A_TIME = threading.Lock()


def _offer(client: Client, item: Object, plural: str, name: str) -> None:
    """Add the version to the definition, unless it has it."""
    group, _, version = item["apiVersion"].rpartition("/")
    kind = item["kind"]
    held = client.get(DEFINITION, None, name)
    served = {v["name"]: v for v in (held or {}).get("spec", {}).get("versions", [])}
    if version in served:
        return
    offered = {
        "name": version,
        "served": True,
        "storage": not served,
        "schema": ANYTHING,
        "subresources": {"status": {}},
    }
    client.apply(
        DEFINITION,
        {
            "apiVersion": DEFINITION.api_version,
            "kind": DEFINITION.kind,
            "metadata": {
                "name": name,
                "labels": {LABEL: "true"},
                # asked for in groups that belong to Kubernetes itself
                "annotations": {"api-approved.kubernetes.io": "unapproved, a local stand-in"},
            },
            "spec": {
                "group": group,
                "scope": "Namespaced" if item["metadata"].get("namespace") else "Cluster",
                "names": {
                    "kind": kind,
                    "listKind": f"{kind}List",
                    "plural": plural,
                    "singular": kind.lower(),
                },
                "versions": [*served.values(), offered],
            },
        },
        manager=MANAGER,
    )


def established(client: Client, name: str, api_version: str, kind: str) -> Kind:
    """Wait until the server offers a kind that was just defined."""
    deadline = time.monotonic() + ESTABLISHED_SECONDS
    while time.monotonic() < deadline:
        definition = client.get(DEFINITION, None, name) or {}
        conditions = definition.get("status", {}).get("conditions") or []
        if any(c["type"] == "Established" and c["status"] == "True" for c in conditions):
            found = client.kind(api_version, kind)
            if found:
                return found
        time.sleep(POLL_SECONDS)
    raise UserError(
        f"{api_version} {kind} must be served within {ESTABLISHED_SECONDS} s of its definition, "
        "got nothing",
        fix="see why in .plinth/local/kubernetes/kube-apiserver.log",
    )


def replaced(client: Client, name: str) -> None:
    """A program brought the real definition: what only the stand-in said goes."""
    item = {
        "apiVersion": DEFINITION.api_version,
        "kind": DEFINITION.kind,
        "metadata": {"name": name},
    }
    client.apply(DEFINITION, item, manager=MANAGER)


def listed(client: Client) -> dict[str, list[str]]:
    """Kinds that nothing reconciles -> their objects as `namespace/name`."""
    found: dict[str, list[str]] = {}
    for definition in client.list(DEFINITION, labelSelector=LABEL):
        spec: dict[str, Any] = definition["spec"]
        api_version = f"{spec['group']}/{spec['versions'][0]['name']}"
        kind = client.kind(api_version, spec["names"]["kind"])
        items = client.list(kind) if kind else []
        names = (item["metadata"] for item in items)
        found[f"{api_version} {spec['names']['kind']}"] = sorted(
            "/".join(filter(None, (m.get("namespace"), m["name"]))) for m in names
        )
    return dict(sorted(found.items()))


def _plural(kind: str) -> str:
    """English plural, as definitions use it: queues, classes, policies."""
    word = kind.lower()
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "x", "ch", "sh")) else f"{word}s"
