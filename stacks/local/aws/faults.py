"""Faults on demand: requests that fail as AWS's services do on a bad day, to be seen to survive.

`plinth fault inject` writes them into the home; the running cloud reads them anew when the file
changes. Which error a service says is read in botocore's model where it names one; otherwise it is
that of the protocol ("Common Errors" of the services, "Error responses" of Amazon S3, "Error codes
for the Amazon EC2 API"). What the local cloud asks itself, as AWS's services ask each other, is
left alone.
"""

from __future__ import annotations

import logging
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, get_args

from infra.errors import UserError
from stacks.local.aws.iam.asked import asked
from stacks.local.aws.protocols import (
    body_of,
    error_of,
    model_of,
    protocol_of,
    serialized,
    signed_for,
)
from stacks.local.runtime import files

Kind = Literal["throttle", "5xx", "latency", "capacity", "quota"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FILE, TOLD = "faults.json", "faults-told.json"
OWN = "plinth-local-cloud"
"""In the user agent of what the local cloud asks itself."""

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to a share of the requests to a service."""

    kind: Kind
    service: str
    """As boto3 calls it."""
    rate: float
    """Share of the requests, from 0 to 1."""
    seed: int = 0
    """Which of them: the same seed, the same requests."""
    operation: str = "*"
    """Operations, as fnmatch(3) has patterns."""
    seconds: float = 1.0
    """Of latency."""

    @property
    def name(self) -> str:
        """What it is called in lists."""
        return f"{self.kind} {self.service} {self.operation}"


def read(home: Path) -> list[Fault]:
    """The faults of a home; UserError where the file is damaged."""
    path = home / "local" / FILE
    fix = f"delete it, and inject what you want: plinth fault inject ({path})"
    found = files.read_json(path, fix=fix) or {}
    try:
        return [Fault(**one) for one in found.get("faults", [])]
    except TypeError as error:
        raise UserError(f"{path} must hold faults, got {error}", fix=fix) from error


def write(home: Path, faults: Iterable[Fault]) -> None:
    """Put faults in place of those that a home has."""
    path = home / "local" / FILE
    content = {"faults": [asdict(one) for one in faults]}
    if content["faults"]:
        files.write_json(path, content)
    else:
        path.unlink(missing_ok=True)
        (home / "local" / TOLD).unlink(missing_ok=True)


def told(home: Path) -> dict[str, int]:
    """Name of a fault -> how often it happened since the cloud read it."""
    found = files.read_json(home / "local" / TOLD, fix="delete it: it only counts") or {}
    return {str(name): int(count) for name, count in found.items()}


# -- what a service says


INSUFFICIENT = re.compile(r"Insufficient\w*Capacity|Capacity\w*(Insufficient|Exceeded)|NoCapacity")
INTERNAL = re.compile(
    r"^Internal(Server|Service)?(Error|Exception|Failure)|^Service(Exception|Unavailable)"
)
LIMIT = re.compile(r"LimitExceeded|QuotaExceeded|LimitExceded|TooMany(?!Requests)")
LAUNCHES = {
    "ec2": ("RunInstances", "StartInstances", "CreateFleet", "CreateCapacityReservation"),
    "sagemaker": (
        "CreateTrainingJob",
        "CreateProcessingJob",
        "CreateTransformJob",
        "CreateEndpoint",
        "UpdateEndpoint",
    ),
}
"""Service -> operations that launch machines, where its model does not tell."""

LATER = "sagemaker"
"""The service that takes a request and fails for capacity later."""

NO_CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a "
    "different ML instance type."
)
"""FailureReason of a job or an endpoint (SageMaker developer guide, "Troubleshoot")."""

BY_PROTOCOL: Mapping[str, Mapping[str, tuple[str, str, int]]] = {
    "throttle": {
        "rest-xml": ("SlowDown", "Please reduce your request rate.", 503),
        "ec2": ("RequestLimitExceeded", "Request limit exceeded.", 503),
        "query": ("Throttling", "Rate exceeded", 400),
        "json": ("ThrottlingException", "Rate exceeded", 400),
        "rest-json": ("TooManyRequestsException", "Rate exceeded", 429),
    },
    "5xx": {
        "rest-xml": ("InternalError", "We encountered an internal error. Please try again.", 500),
        "ec2": ("InternalError", "An internal error has occurred", 500),
        "query": ("InternalFailure", "The request processing has failed.", 500),
        "json": ("InternalFailure", "The request processing has failed.", 500),
        "rest-json": ("ServiceUnavailable", "The request has failed, please try again.", 503),
    },
    "capacity": {
        "ec2": (
            "InsufficientInstanceCapacity",
            "We currently do not have sufficient capacity in the Availability Zone you requested.",
            500,
        ),
    },
}
"""Kind -> protocol -> code, text and status, where the model names none."""


def error(kind: Kind, service: str, operation: str) -> tuple[str, str, int] | None:
    """Code, text and status of what an operation says; None: it never fails so."""
    if kind == "capacity" and service in LAUNCHES and operation not in LAUNCHES[service]:
        return None
    shapes = model_of(service).operation_model(operation).error_shapes
    for shape in shapes:
        if _is(kind, shape):
            default = 500 if kind == "5xx" else 400
            status = int(shape.metadata.get("error", {}).get("httpStatusCode", default))
            code = shape.metadata.get("error", {}).get("code") or shape.name
            return str(code), TEXTS.get(kind, "The request processing has failed."), status
    return BY_PROTOCOL.get(kind, {}).get(protocol_of(service))


TEXTS = {
    "throttle": "Rate exceeded",
    "capacity": "There is not enough capacity for this request at the moment.",
    "quota": "The account-level service limit for this resource has been reached.",
}


def _is(kind: Kind, shape: Any) -> bool:
    """Whether an error of a model is of a kind."""
    retryable = shape.metadata.get("retryable") or {}
    if kind == "throttle":
        return bool(retryable.get("throttling")) or "Throttl" in shape.name
    if kind == "5xx":
        return bool(INTERNAL.search(shape.name))
    if kind == "capacity":
        return bool(INSUFFICIENT.search(shape.name))
    return bool(LIMIT.search(shape.name)) and "Throttl" not in shape.name


def operations(kind: Kind, service: str) -> list[str]:
    """The operations of a service that can fail so."""
    names = model_of(service).operation_names
    return [one for one in names if kind == "latency" or error(kind, service, one) is not None]


# -- the running cloud


@dataclass(kw_only=True)
class Faults:
    """The faults of a running cloud, and which request is next."""

    home: Path | None = None
    """Default: there are none."""
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _seen: Counter[Fault] = field(default_factory=Counter)
    _told: Counter[str] = field(default_factory=Counter)
    _held: tuple[Fault, ...] = ()
    _stamp: int = 0

    def active(self) -> tuple[Fault, ...]:
        """What the home's file holds now."""
        if self.home is None:
            return ()
        try:
            stamp = (self.home / "local" / FILE).stat().st_mtime_ns
        except OSError:
            stamp = 0
        with self._guard:
            if stamp != self._stamp:
                self._stamp, self._held = stamp, tuple(self._read() if stamp else ())
                self._seen.clear()
                self._told.clear()
            return self._held

    def _read(self) -> list[Fault]:
        try:
            return read(self.home) if self.home else []
        except UserError as wrong:
            log.error("no fault is injected: %s", wrong)
            return []

    def hits(self, service: str, operation: str, kinds: Iterable[Kind] = KINDS) -> list[Fault]:
        """Those that happen to this request."""
        found = [
            fault
            for fault in self.active()
            if fault.kind in kinds
            and fault.service == service
            and fnmatchcase(operation, fault.operation)
            and self._draws(fault)
        ]
        if found and self.home is not None:
            with self._guard:
                self._told.update(fault.name for fault in found)
                files.write_json(self.home / "local" / TOLD, dict(self._told))
        return found

    def _draws(self, fault: Fault) -> bool:
        with self._guard:
            self._seen[fault] += 1
            number = self._seen[fault]
        drawn = random.Random(f"{fault.seed}/{number}").random()
        return drawn < fault.rate

    def no_capacity(self, operation: str) -> str:
        """Why a job or an endpoint of SageMaker gets no machine; empty where it gets one."""
        return NO_CAPACITY if self.hits(LATER, operation, ("capacity",)) else ""


@dataclass(frozen=True, kw_only=True)
class Failing:
    """A WSGI application in front of another, whose requests fail as the faults say."""

    application: Application
    faults: Faults

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        if not self.faults.active() or OWN in environ.get("HTTP_USER_AGENT", ""):
            return self.application(environ, start)
        what = asked(environ, body_of(environ), signed_for(environ) or "s3")
        if what is None:
            return self.application(environ, start)
        at_once = [kind for kind in KINDS if kind != "capacity" or what.service != LATER]
        for fault in self.faults.hits(what.service, what.operation, at_once):
            log.info("fault %s: %s of %s", fault.kind, what.operation, what.service)
            if fault.kind == "latency":
                time.sleep(fault.seconds)
                continue
            answer = error(fault.kind, what.service, what.operation)
            if answer is not None:
                return _answer(what.service, what.operation, answer, start)
        return self.application(environ, start)


def _answer(
    service: str, operation: str, answer: tuple[str, str, int], start: Start
) -> Iterable[bytes]:
    code, text, status = answer
    _, headers, body = serialized(service, operation, error_of(code, text))
    start(f"{status} Error", list(headers.items()))
    return [body]
