"""The running local cloud that the tests of a file share."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kits.local_cloud import Cloud, running_cloud


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="module")
def sm(cloud: Cloud) -> Any:
    return cloud.client("sagemaker")
