"""Writes into a stack's file which model package the workload serves."""

from pathlib import Path

from stacks.paths import ENVIRONMENTS
from stacks.settings.load import yaml_reader
from stacks.stack_name import StackName


def pin_model_package(stack: StackName, arn: str, folder: Path = ENVIRONMENTS) -> None:
    """Write the model package to serve into the stack's file, keeping all else as it is."""
    yaml, path = yaml_reader(), stack.file_in(folder)
    document = yaml.load(path.read_text())
    document["config"].setdefault("plinth:endpoint", {})["model_package_arn"] = arn
    draft = path.with_suffix(".yaml.tmp")
    with draft.open("w") as stream:
        yaml.dump(document, stream)
    draft.replace(path)
