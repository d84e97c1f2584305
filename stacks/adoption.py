"""Existing resources that the program takes over by id instead of creating them.

`stacks/environments/adopt/<env>.<layer>.yaml` maps a resource of the program, `type::name` as its
URN ends, to the id of the one that exists. A transformation gives the engine that id for its
import; components know nothing of it. What is in the state already is left alone, so an entry may
stay for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.errors import UserError
from stacks.paths import ENVIRONMENTS, shown
from stacks.reading import brief, yaml_of
from stacks.stack_name import StackName

Adopted = Mapping[str, str]
"""`type::name` -> id."""


def adoption_file(stack: StackName) -> Path:
    """Where a stack's adopted resources stand."""
    return ENVIRONMENTS / "adopt" / f"{stack}.yaml"


def load_adopted(stack: StackName, path: Path | None = None) -> dict[str, str]:
    """What the stack adopts: nothing without a file; UserError when the file is wrong."""
    path = path or adoption_file(stack)
    if not path.exists():
        return {}
    from ruamel.yaml import YAML

    found = yaml_of(path, YAML(typ="safe"))
    wrong = [
        f"{key}: {brief(value)}"
        for key, value in found.items()
        if not ("::" in key and isinstance(value, str) and value)
    ]
    if wrong:
        raise UserError(
            f"{shown(path)} must map `type::name` to an id, got {'; '.join(wrong)}",
            fix="write lines such as aws:s3/bucket:Bucket::storage-data: my-bucket",
        )
    return dict(found)


def save_adopted(stack: StackName, adopted: Adopted, path: Path | None = None) -> Path:
    """Write what the stack adopts, sorted."""
    from ruamel.yaml import YAML

    path = path or adoption_file(stack)
    path.parent.mkdir(parents=True, exist_ok=True)
    yaml = YAML()
    yaml.width = 4096
    with path.open("w") as stream:
        yaml.dump(dict(sorted(adopted.items())), stream)
    return path


def adopt(adopted: Adopted) -> None:
    """Give every resource of the running program that is named here its id to import."""
    import pulumi

    if not adopted:
        return

    def transformation(args: Any) -> pulumi.ResourceTransformationResult | None:
        resource_id = adopted.get(f"{args.type_}::{args.name}")
        if resource_id is None:
            return None
        imported = pulumi.ResourceOptions(import_=resource_id)
        return pulumi.ResourceTransformationResult(
            args.props, pulumi.ResourceOptions.merge(args.opts, imported)
        )

    pulumi.runtime.register_stack_transformation(transformation)
