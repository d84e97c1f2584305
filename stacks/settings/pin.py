"""Writes into files of an environment what commands decide: a release, a place for the state."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from stacks.paths import ENVIRONMENTS
from stacks.settings.load import yaml_reader
from stacks.stack_name import StackName, environment_file


def pin_model_package(stack: StackName, arn: str, folder: Path = ENVIRONMENTS) -> None:
    """Write the model package to serve into the stack's file, keeping all else as it is."""
    yaml, path = yaml_reader(), stack.file_in(folder)
    document = yaml.load(path.read_text())
    document["config"].setdefault("plinth:endpoint", {})["model_package_arn"] = arn
    with replaced(path) as stream:
        yaml.dump(document, stream)


def write_backend_url(env: str, url: str | None, folder: Path = ENVIRONMENTS) -> None:
    """Write into the environment's file where its stacks' state lies, or delete it there.

    As a line among those of `account`: people wrote the rest as they like it.
    """
    path = environment_file(env, folder)
    lines = path.read_text().splitlines(keepends=True)
    account = yaml_reader().load("".join(lines))["account"]
    places = {key: account.lc.key(key)[0] for key in account}
    at = places.get("backend_url")
    if at is None:
        at = max(places.values()) + 1
    else:
        del lines[at]
    if url is not None:
        lines.insert(at, f"{' ' * account.lc.col}backend_url: {url}\n")
    with replaced(path) as stream:
        stream.writelines(lines)


@contextmanager
def replaced(path: Path) -> Iterator[TextIO]:
    """A draft that takes the file's place once it is whole."""
    draft = path.with_suffix(".yaml.tmp")
    with draft.open("w") as stream:
        yield stream
    draft.replace(path)
