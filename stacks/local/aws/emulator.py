"""What every part of the emulator works with: store, machine, clients of this very cloud."""

import functools
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import botocore.session
from botocore.config import Config

from pipelines.executor.external import LAMBDA_SECONDS
from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.container_logs import ContainerLogs
from stacks.local.aws.faults import OWN, Faults
from stacks.local.aws.iam.authorizer import Authorizer
from stacks.local.aws.iam.networks import vpc_of
from stacks.local.aws.iam.resources import Place
from stacks.local.aws.metrics import Metrics
from stacks.local.aws.role_sessions import assume
from stacks.local.aws.store import Store
from stacks.local.runtime.acting import Acting
from stacks.local.runtime.container import ContainerRuntime
from stacks.local.runtime.jobs import Jobs

BACKGROUND_THREADS = 64
WAITING_THREADS = 512
"""For what waits for other work, so that it never takes the threads of what it waits for."""

PATIENCE: Mapping[str, Mapping[str, Any]] = {
    # a Lambda step waits ten minutes for its function, and calls it once
    "lambda": {"read_timeout": LAMBDA_SECONDS, "retries": {"total_max_attempts": 1}},
}
"""Service -> how its clients differ from those of the others."""


log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """One emulated account and what it runs on."""

    host: ContainerRuntime
    authorizer: Authorizer
    store: Store = field(default_factory=Store)
    metrics: Metrics = field(default_factory=Metrics)
    faults: Faults = field(default_factory=Faults)
    logs: ContainerLogs = field(default_factory=ContainerLogs)
    spark_ends: Counter[str] = field(default_factory=Counter)
    """Service -> how many of its Spark jobs are over."""
    threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(BACKGROUND_THREADS, "emulator")
    )
    waiting: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(WAITING_THREADS, "waiting")
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
    def sagemaker(self) -> Any:
        return self._client("sagemaker")

    @functools.cached_property
    def cloudformation(self) -> Any:
        return self._client("cloudformation")

    @functools.cached_property
    def cloudwatch(self) -> Any:
        return self._client("cloudwatch")

    def own_client(self, service: str) -> Any:
        """By the home's own keys, for what this cloud does itself."""
        return self._client(service)

    @functools.cached_property
    def jobs(self) -> Jobs:
        def act(role_arn: str, job_arn: str, subnets: Sequence[str]) -> Acting:
            return self.act(role_arn, job_arn, subnets=subnets)

        return Jobs(host=self.host, act=act)

    def act(
        self,
        role_arn: str,
        source_arn: str = "",
        *,
        service: str = "sagemaker",
        session_name: str = "SageMaker",
        subnets: Sequence[str] = (),
    ) -> Acting:
        """A session of a role that a service assumes; CannotAssume where it may not.

        `subnets`: where the program runs. Default: in no VPC of the account.
        """
        place = Place(partition="aws", region=self.region, account=ACCOUNT_ID)
        vpc = vpc_of(list(subnets), place) if subnets else ""
        return self.acting_by(
            assume(role_arn, service, session_name, self.region, source_arn=source_arn, vpc=vpc)
        )

    def acting_by(self, keys: Mapping[str, str]) -> Acting:
        """What acts with the keys of a session, by the variables that say them."""
        return Acting(environment=keys, client=functools.cache(lambda of: self._client(of, keys)))

    def _client(self, service: str, keys: Mapping[str, str] | None = None) -> Any:
        """A client of this very cloud, by the keys of a session. Default: by the home's own."""
        signed = self.host.keys.aws() if keys is None else keys
        # the requests of a pipeline's steps may fail on purpose, for their retry policies
        own = {"user_agent_extra": OWN} if keys is None or service == "s3" else {}
        # what a step asks SageMaker for wrongly is told by SageMaker, in its words
        checks = {"parameter_validation": False} if service == "sagemaker" else {}
        session = botocore.session.Session()  # one of its own: making clients is for one thread
        return session.create_client(
            service,
            endpoint_url=self.host.endpoint_url,
            region_name=self.region,
            aws_access_key_id=signed["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=signed["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=signed.get("AWS_SESSION_TOKEN"),
            config=Config(
                **{
                    "max_pool_connections": 32,
                    "retries": {"total_max_attempts": 2},
                    **PATIENCE.get(service, {}),
                    **own,
                    **checks,
                }
            ),
        )

    def background(
        self,
        work: Callable[[], None],
        *,
        broken: Callable[[BaseException], None],
        waits: bool = False,
    ) -> None:
        """Do work in a thread; `broken` hears of an error that is ours.

        `waits`: it waits for other work. Default: it works.
        """

        def done(future: Future[None]) -> None:
            error = None if future.cancelled() else future.exception()
            if error is not None:
                log.error("background work failed", exc_info=error)
                broken(error)

        pool = self.waiting if waits else self.threads
        pool.submit(work).add_done_callback(done)


def moto_backend(service: str, emulator: Emulator) -> Any:
    """What moto keeps of a service, in this very process."""
    from moto.backends import get_backend

    return get_backend(service)[ACCOUNT_ID][emulator.region]
