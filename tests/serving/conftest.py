"""A real model, and the real server process that answers by it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kits.serving import trained
from tests.kits.serving_process import Server, start, stop


@pytest.fixture(scope="module")
def opt_ml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ml")
    trained(folder / "model")
    return folder


@pytest.fixture(scope="module")
def server(opt_ml: Path) -> Iterator[Server]:
    running = start(opt_ml)
    yield running
    stop(running)
