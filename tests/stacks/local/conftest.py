"""The running local cloud that the tests of a file share."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from stacks.local.daemon.environment import LocalEnvironment
from stacks.toolchain import spark
from tests.kits.local_cloud import BUCKET, Cloud, running_cloud


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="module")
def sm(cloud: Cloud) -> Any:
    return cloud.client("sagemaker")


@pytest.fixture(scope="module")
def environment(cloud: Cloud) -> Iterator[None]:
    """What `plinth env local` says, to an SDK that has asked no other cloud in this process.

    It keeps clients for the whole process (sagemaker.core.utils), and boto3 one session.
    """
    import boto3
    from sagemaker.core.utils import utils

    given = LocalEnvironment(home=cloud.home, cloud=cloud.info).clients()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        for keeps in (utils.SingletonMeta, utils._ClientCacheMeta):
            patch.setattr(keeps, "_instances", {})
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        yield


@pytest.fixture(scope="module")
def session(environment: None) -> Any:
    """In which the SDK compiles steps; it starts nothing."""
    from sagemaker.core.workflow.pipeline_context import PipelineSession

    return PipelineSession(default_bucket=BUCKET)


@pytest.fixture(scope="module")
def java() -> None:
    """Java, which Spark needs."""
    if spark.java_home() is None and not os.environ.get("CI"):
        pytest.skip(f"Spark needs Java: apt-get install {spark.JAVA_PACKAGE}")
    assert spark.java_home(), "CI must install Java: see .ci/run"
