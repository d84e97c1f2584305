"""What every part of the emulator works with: store, machine, clients of this very cloud."""

import functools
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config

from stacks.local.aws.metrics import Metrics
from stacks.local.aws.store import Store
from stacks.local.runtime.container import ContainerRuntime
from stacks.local.runtime.jobs import Jobs

ACCOUNT_ID = "123456789012"
BACKGROUND_THREADS = 64

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """One emulated account and what it runs on."""

    host: ContainerRuntime
    store: Store = field(default_factory=Store)
    metrics: Metrics = field(default_factory=Metrics)
    threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(BACKGROUND_THREADS, "emulator")
    )

    @property
    def region(self) -> str:
        return self.host.region

    def arn(self, resource: str) -> str:
        return f"arn:aws:sagemaker:{self.region}:{ACCOUNT_ID}:{resource}"

    @functools.cached_property
    def s3(self) -> Any:
        return self._client("s3")

    @functools.cached_property
    def sns(self) -> Any:
        return self._client("sns")

    @functools.cached_property
    def sagemaker(self) -> Any:
        return self._client("sagemaker")

    @functools.cached_property
    def cloudwatch(self) -> Any:
        return self._client("cloudwatch")

    @functools.cached_property
    def jobs(self) -> Jobs:
        return Jobs(host=self.host, s3=self.s3)

    def _client(self, service: str) -> Any:
        return boto3.session.Session().client(
            service,
            endpoint_url=self.host.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.host.keys.access_key_id,
            aws_secret_access_key=self.host.keys.secret_access_key,
            config=Config(max_pool_connections=32, retries={"total_max_attempts": 2}),
        )

    def background(
        self, work: Callable[[], None], *, broken: Callable[[BaseException], None]
    ) -> None:
        """Do work in a thread; `broken` hears of an error that is ours."""

        def done(future: Future[None]) -> None:
            error = None if future.cancelled() else future.exception()
            if error is not None:
                log.error("background work failed", exc_info=error)
                broken(error)

        self.threads.submit(work).add_done_callback(done)
