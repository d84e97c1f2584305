"""Writes the model package to serve into an environment's file."""

from __future__ import annotations

from pathlib import Path

from stacks.settings.load import round_trip_yaml, stack_file


def pin_model_package(env: str, arn: str, path: Path | None = None) -> None:
    """Write the model package to serve into the environment's file, keeping all else as it is."""
    path = path or stack_file(env)
    yaml = round_trip_yaml()
    document = yaml.load(path.read_text())
    document["config"].setdefault("plinth:endpoint", {})["model_package_arn"] = arn
    draft = path.with_suffix(".yaml.tmp")
    with draft.open("w") as stream:
        yaml.dump(document, stream)
    draft.replace(path)
