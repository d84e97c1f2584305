"""Decisions of IAM as lines of a file, with all that is needed to decide them again.

What would be denied without a grant is told from a trace by deciding its requests over the policies
less that grant: no deployment per grant, and no other answer than the gate would give.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from policies.data import UNKNOWN
from policies.iam.decision import Decision, Policies
from policies.iam.document import Policy, compiled
from policies.iam.request import Principal, Request
from stacks.local.aws.iam.context import Context

OF_THE_MOMENT = frozenset(
    ("aws:currenttime", "aws:epochtime", "aws:sourceip", "aws:tokenissuetime", "aws:useragent")
)
"""Condition keys by which two requests are not told apart."""


@dataclass(frozen=True, kw_only=True)
class Decided:
    """One line: a request that was decided, and over what."""

    at: float
    """Seconds since the epoch, of the first request like it."""

    operation: str
    request: Request
    policies: Policies
    allowed: bool
    undecided: bool


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The file, which holds every policy once and of requests that are alike the first."""

    path: Path
    seen: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(
        self, operation: str, request: Request, policies: Policies, decision: Decision
    ) -> None:
        """Add a decision."""
        held = {
            "identity": [_digest(one) for one in policies.identity],
            "boundary": _digest(policies.boundary),
            "session": None if policies.session is None else [*map(_digest, policies.session)],
            "resource": [_digest(one) for one in policies.resource],
            "endpoint": _digest(policies.endpoint),
            "trust": policies.trust,
            "resource_decides": policies.resource_decides,
        }
        line: dict[str, Any] = {
            "operation": operation,
            "principal": asdict(request.principal),
            "action": request.action,
            "account": request.account,
            "resource": None if request.resource is UNKNOWN else request.resource,
            "policies": held,
            "allowed": decision.allowed,
            "undecided": bool(decision.undecided),
        }
        context = _stored(request.context)
        known = {key: value for key, value in context["known"].items() if key not in OF_THE_MOMENT}
        alike = json.dumps([line, known], sort_keys=True)
        with self.lock:
            if alike in self.seen:
                return
            self.seen.add(alike)
            with self.path.open("a") as file:
                for policy in _all(policies):
                    self._keep(file, policy)
                file.write(json.dumps({**line, "at": time.time(), "context": context}) + "\n")

    def _keep(self, file: Any, policy: Policy) -> None:
        digest = str(_digest(policy))
        if digest not in self.seen:
            self.seen.add(digest)
            kept = {"policy": digest, "name": policy.name, "text": policy.text}
            file.write(json.dumps(kept) + "\n")


def read(path: Path) -> Iterator[Decided]:
    """The decisions of a trace, in the order in which they were made."""
    policies: dict[str | None, Policy] = {}
    with path.open() as file:
        for line in file:
            item = json.loads(line)
            if "policy" in item:
                text = item["text"] or json.dumps({"Statement": []})
                policies[item["policy"]] = compiled(text, item["name"])
            else:
                yield _decided(item, policies)


def _decided(item: Mapping[str, Any], known: Mapping[str | None, Policy]) -> Decided:
    held = item["policies"]
    session = held["session"]
    return Decided(
        at=item["at"],
        operation=item["operation"],
        request=Request(
            principal=Principal(**item["principal"]),
            action=item["action"],
            account=item["account"],
            resource=UNKNOWN if item["resource"] is None else item["resource"],
            context=_context(item["context"]),
        ),
        policies=Policies(
            identity=[known[one] for one in held["identity"]],
            boundary=known.get(held["boundary"]),
            session=None if session is None else [known[one] for one in session],
            resource=[known[one] for one in held["resource"]],
            endpoint=known.get(held["endpoint"]),
            trust=held["trust"],
            resource_decides=held["resource_decides"],
        ),
        allowed=item["allowed"],
        undecided=item["undecided"],
    )


def _all(policies: Policies) -> Iterator[Policy]:
    several = (*policies.identity, *policies.resource, *(policies.session or ()))
    for policy in (*several, policies.boundary, policies.endpoint):
        if policy is not None:
            yield policy


def _digest(policy: Policy | None) -> str | None:
    """None: there is none."""
    if policy is None:
        return None
    return hashlib.sha256(f"{policy.name}\n{policy.text}".encode()).hexdigest()[:16]


def _stored(context: Mapping[str, Any]) -> dict[str, Any]:
    """Condition keys; None stands for a value that nobody knows."""
    known = {key: None if value is UNKNOWN else [*value] for key, value in sorted(context.items())}
    may = context if isinstance(context, Context) else None
    return {
        "known": known,
        "open": sorted(may.open) if may else [],
        "prefixes": [*may.prefixes] if may else [],
    }


def _context(stored: Mapping[str, Any]) -> Context:
    known = {
        key: UNKNOWN if value is None else tuple(value) for key, value in stored["known"].items()
    }
    return Context(known, frozenset(stored["open"]), tuple(stored["prefixes"]))
