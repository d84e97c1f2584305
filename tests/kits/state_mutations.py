"""Ways in which the state of a stack gets lost or altered: each takes a file and changes it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

Mutation = Callable[[Path], object]


def _text(content: str) -> Mutation:
    return lambda path: _write(path, content)


def _write(path: Path, content: str) -> None:
    path.write_text(content)


def _edited(edit: Callable[[dict[str, Any]], object]) -> Mutation:
    """A change inside well-formed JSON."""

    def mutate(path: Path) -> None:
        data = json.loads(path.read_text())
        edit(data)
        path.write_text(json.dumps(data, indent=4))

    return mutate


def _resources(edit: Callable[[list[dict[str, Any]]], object]) -> Mutation:
    return _edited(lambda data: edit(data["checkpoint"]["latest"]["resources"]))


def _custom(resources: list[dict[str, Any]], number: int = 0) -> dict[str, Any]:
    return [r for r in resources if r.get("custom") and r.get("id") and r.get("provider")][number]


def _set(resource: dict[str, Any], name: str, value: object) -> None:
    resource[name] = value


def _swap_ids(resources: list[dict[str, Any]]) -> None:
    by_type: dict[str, list[dict[str, Any]]] = {}
    for resource in resources:
        if resource.get("custom"):
            by_type.setdefault(resource["type"], []).append(resource)
    one, other = next(same for same in by_type.values() if len(same) > 1)[:2]
    one["id"], other["id"] = other["id"], one["id"]


def _drop_with_dependents(resources: list[dict[str, Any]]) -> None:
    """The first resource and all that needs it, so that what is left is well-formed."""
    gone = {_custom(resources)["urn"]}
    for resource in resources:
        if gone & {resource.get("parent"), *(resource.get("dependencies") or [])}:
            gone.add(resource["urn"])
    resources[:] = [r for r in resources if r["urn"] not in gone]


def _truncate(share: float) -> Mutation:
    def mutate(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return mutate


def _folder(path: Path) -> None:
    """Everything that the engine keeps."""
    shutil.rmtree(next(p for p in path.parents if p.name == ".pulumi"))


def _older(path: Path) -> None:
    """The checkpoint of the update before, as whoever copies a file back has it."""
    (path.with_suffix(".json.bak")).replace(path)


MUTATIONS: dict[str, Mutation] = {
    "older": _older,  # first: the file beside is gone after some of the others
    "deleted": lambda path: path.unlink(),
    "folder deleted": _folder,
    "empty": _text(""),
    "white space": _text("\n\n  "),
    "empty object": _text("{}"),
    "null": _text("null"),
    "list": _text("[]"),
    "number": _text("42"),
    "words": _text("not a state at all"),
    "zeros": lambda path: path.write_bytes(b"\0" * path.stat().st_size),
    "no UTF-8": lambda path: path.write_bytes(b"\xff\xfe{}"),
    "half": _truncate(0.5),
    "last byte": _truncate(0.999999),
    "twice": lambda path: _write(path, path.read_text() * 2),
    "version 99": _edited(lambda data: _set(data, "version", 99)),
    "no checkpoint": _edited(lambda data: data.pop("checkpoint") and None),
    "checkpoint is text": _edited(lambda data: _set(data, "checkpoint", "none")),
    "latest is a list": _edited(lambda data: _set(data["checkpoint"], "latest", [])),
    "no latest": _edited(lambda data: data["checkpoint"].pop("latest") and None),
    "another stack": _edited(
        lambda data: _set(data["checkpoint"], "stack", "organization/plinth/local.weather")
    ),
    "no resources": _resources(lambda found: found.clear()),
    "resources are text": _edited(
        lambda data: _set(data["checkpoint"]["latest"], "resources", "none")
    ),
    "resource is null": _resources(lambda found: found.append(None)),  # type: ignore[arg-type]
    "resource dropped": _resources(lambda found: found.remove(_custom(found, -1))),
    "with dependents dropped": _resources(_drop_with_dependents),
    "ids swapped": _resources(_swap_ids),
    "id altered": _resources(lambda found: _set(_custom(found, -1), "id", "another")),
    "id missing": _resources(lambda found: _custom(found, -1).pop("id")),
    "URN missing": _resources(lambda found: _custom(found, -1).pop("urn")),
    "type altered": _resources(lambda found: _set(_custom(found, -1), "type", "aws:s3/bucket:B")),
    "resource twice": _resources(lambda found: found.append(_custom(found))),
    "order reversed": _resources(lambda found: found.reverse()),
    "unknown parent": _resources(lambda found: _set(_custom(found, -1), "parent", "urn:none")),
    "output altered": _resources(lambda found: _set(_custom(found, -1)["outputs"], "arn", "arn:x")),
    "input altered": _resources(lambda found: _set(_custom(found, -1)["inputs"], "tags", {})),
    "protection altered": _resources(lambda found: _set(_custom(found), "protect", value=True)),
}
