"""Refuses, in front of every service of the local cloud, what the table says that AWS refuses."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from stacks.local.aws.protocols import (
    AnswerError,
    error_of,
    model_of,
    operation_of,
    parsed,
    serialized,
    signed_for,
)
from stacks.local.aws.refusals.account import Account
from stacks.local.aws.refusals.refusal import Refusal, Request
from stacks.local.aws.refusals.table import REFUSALS

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Refusing:
    """The WSGI application; what nothing refuses goes on to `application`."""

    application: Application
    account: Account

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        service = _services().get(signed_for(environ))
        known = _operations(service) if service else frozenset()
        operation = operation_of(service, environ, known) if service else None
        if service is None or operation is None:
            return self.application(environ, start)
        request = parsed(service, operation, environ, known)
        refused = refusal_of(service, operation, request, self.account)
        if refused is None:
            return self.application(environ, start)
        log.warning("refused %s of %s: %s", operation, service, refused)
        status, headers, body = serialized(service, operation, refused)
        start(f"{refused.status or status} Error", list(headers.items()))
        return [body]


def refusal_of(
    service: str, operation: str, request: Request, account: Account
) -> AnswerError | None:
    """The error that AWS answers a request with, if the account is such that it does."""
    for refusal in _rows().get((service, operation), ()):
        found = refusal.condition(request, account)
        if found is not None:
            error = error_of(refusal.code, refusal.text.format_map(found))
            error.status = refusal.status
            return error
    return None


@functools.cache
def _rows() -> dict[tuple[str, str], list[Refusal]]:
    rows: dict[tuple[str, str], list[Refusal]] = {}
    for refusal in REFUSALS:
        for operation in refusal.operations:
            rows.setdefault((refusal.service, operation), []).append(refusal)
    return rows


@functools.cache
def _services() -> dict[str, str]:
    """Service by the name that requests are signed with."""
    return {model_of(service).signing_name: service for service, _ in _rows()}


@functools.cache
def _operations(service: str) -> frozenset[str]:
    return frozenset(operation for of, operation in _rows() if of == service)
