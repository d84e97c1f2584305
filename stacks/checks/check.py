"""What a check is: a question about a platform whose answer is pass, fail, or honestly unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from infra.naming import Names
from policies.data import Resource, Unknown
from stacks.settings.model import (
    ClusterSettings,
    FoundationSettings,
    Settings,
    WorkloadSettings,
)
from stacks.stack_name import StackName

Answer = TypeVar("Answer")
Status = Literal["pass", "fail", "unknown"]

Clients = Callable[[str], Any]
"""Service name -> boto3 client; raises Unknowable where there is none to be had."""

Fetch = Callable[[str, Mapping[str, str]], tuple[int, Mapping[str, str], bytes]]
"""URL and headers -> status, headers and body; raises Unknowable where no network is used."""


class Unknowable(Exception):
    """A check cannot be decided here; the message is the reason."""


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """One line of the answer."""

    check: str
    """Id of the check, such as `quotas`."""

    subject: str
    """What it looked at, in AWS's words."""

    status: Status
    message: str
    """What must hold and what there is."""

    fix: str = ""
    """What to do about a failure. Default: nothing, since nothing failed."""


@dataclass(frozen=True, kw_only=True)
class Platform:
    """What checks look at: what one stack asks for, and the clouds in which it lives."""

    stack: StackName
    settings: Settings
    resources: Sequence[Resource]
    """What the stack's program registers, from a synth."""

    environment: Mapping[StackName, Sequence[Resource]] = field(default_factory=dict)
    """What the stacks of its environment register, for what adds up over all of them. Default:
    this stack stands alone."""

    clients: Clients
    fetch: Fetch
    plain_http: Clients
    """As `clients`, but without TLS; raises Unknowable where there is no TLS to leave out."""

    machine: Callable[[], Sequence[tuple[str, bool, str, str]]] = tuple
    """What the environment needs of this machine: what, whether it is there, what there is, and
    how to get it. Default: nothing."""

    kubernetes: Callable[[], Any]
    """A lightkube client of the cluster; raises Unknowable where none is reachable."""

    @property
    def env(self) -> str:
        return self.stack.env

    @property
    def names(self) -> Names:
        return self.settings.names

    @property
    def by_stack(self) -> Mapping[StackName, Sequence[Resource]]:
        """What every stack of the environment registers, this one among them."""
        return {**self.environment, self.stack: self.resources}

    @property
    def everything(self) -> list[Resource]:
        """What the environment registers, in whatever stack."""
        return [resource for found in self.by_stack.values() for resource in found]

    def of_type(self, *types: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.type in types]


FOUNDATION, CLUSTER, WORKLOAD = (FoundationSettings,), (ClusterSettings,), (WorkloadSettings,)
EVERY = (FoundationSettings, ClusterSettings, WorkloadSettings)
"""Kinds of stacks, by their settings."""


@dataclass(frozen=True)
class Check:
    """A question. What it yields before it cannot go on is kept."""

    id: str
    title: str
    ask: Callable[[Platform], Iterable[CheckResult]]
    applies_to: tuple[type, ...] = EVERY
    """The kinds of stacks that it is asked of. Default: all."""

    once: bool = False
    """Its answer is the same for all stacks of an environment, so that one of them is asked.
    Default: each is."""


def passed(check: str, subject: str, message: str) -> CheckResult:
    return CheckResult(check=check, subject=subject, status="pass", message=message)


def failed(check: str, subject: str, message: str, fix: str) -> CheckResult:
    return CheckResult(check=check, subject=subject, status="fail", message=message, fix=fix)


def unknown(check: str, subject: str, reason: str) -> CheckResult:
    return CheckResult(check=check, subject=subject, status="unknown", message=reason)


def refuse(why: str) -> Callable[..., Any]:
    """Stands in for clients, a network or a cluster that are not there, and says why."""

    def raise_it(*_: object) -> Any:
        raise Unknowable(why)

    return raise_it


def examine(platform: Platform, checks: Sequence[Check]) -> list[CheckResult]:
    """Every finding of every check that applies to the stack, in order.

    A check that cannot be decided is one `unknown`.
    """
    asked = [check for check in checks if isinstance(platform.settings, check.applies_to)]
    return [finding for check in asked for finding in _findings(platform, check)]


def _findings(platform: Platform, check: Check) -> Iterator[CheckResult]:
    found = iter(check.ask(platform))
    while True:
        finding = attempt(lambda: next(found, None))
        if isinstance(finding, CheckResult):
            yield finding
            continue
        if isinstance(finding, Unanswered):
            yield unknown(check.id, check.title, finding.reason)
        return


@dataclass(frozen=True)
class Unanswered:
    """Why a question to a cloud got no answer."""

    reason: str


def attempt(question: Callable[[], Answer]) -> Answer | Unanswered:
    """Ask a cloud: its answer, or why there is none."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        return question()
    except Unknowable as error:
        return Unanswered(str(error))
    except Unknown as error:
        return Unanswered(f"known only during the update: {error}")
    except ClientError as error:
        return Unanswered(_refusal(error))
    except ResponseParserError:
        return Unanswered("the cloud has no answer to this operation")
    except BotoCoreError as error:
        return Unanswered(str(error))


def _refusal(error: Any) -> str:
    answer = error.response["Error"]
    if "<html" in answer.get("Message", ""):  # the local cloud, to what nobody has built
        return f"the cloud has no answer to {error.operation_name}"
    said = f"{answer.get('Code', '')}: {answer.get('Message', '')}".strip(": ")
    return f"{error.operation_name} was refused: {said}"
