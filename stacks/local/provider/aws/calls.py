"""Carrying out what a row says about one resource: calls, follow-ups, tags, waiting."""

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import boto3
import jmespath
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from botocore.parsers import ResponseParserError

from infra.errors import UserError
from stacks.local.provider.aws.kept_answers import making, name_calls
from stacks.local.provider.aws.requests import RowMapper, fill, pairs_or_map
from stacks.local.provider.aws.row import Call, HookContext, Row
from stacks.local.provider.aws.shapes import operation_model
from stacks.local.provider.backend import Properties, Subject

FIRST_PAUSE, LONGEST_PAUSE, PATIENCE = 0.02, 1.0, 900.0  # seconds
CONNECTIONS = 64


DELETE_TRIES = 4
"""As often may something come into a bucket that is emptied and deleted, such as access logs."""


class Gone(Exception):
    """AWS says that the resource does not exist."""


def missing(subject: Subject, id: str) -> UserError:
    """What was just made or changed is not there."""
    return UserError(
        f"{subject}: {id} must exist after the call, got nothing",
        fix='type `pulumi refresh` after `eval "$(plinth env local)"`, so that it is created again',
    )


class Session:
    """boto3 clients of one endpoint; they are thread-safe, so there is one per service."""

    def __init__(
        self, endpoint_url: str, region: str, signed: Mapping[str, str], *, names_urns: bool = False
    ) -> None:
        """`signed`: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and maybe `AWS_SESSION_TOKEN`."""
        self._names_urns = names_urns
        self.region = region
        self._signed = signed
        self._endpoint_url = endpoint_url
        self._clients: dict[str, Any] = {}
        self._guard = threading.Lock()

    def client(self, service: str) -> Any:
        """The client of a service. Making one is not thread-safe, so one is made at a time."""
        with self._guard:
            if service not in self._clients:
                signed = self._signed
                session = boto3.session.Session(
                    signed["AWS_ACCESS_KEY_ID"],
                    signed["AWS_SECRET_ACCESS_KEY"],
                    signed.get("AWS_SESSION_TOKEN"),
                    self.region,
                )
                self._clients[service] = session.client(
                    service,
                    endpoint_url=self._endpoint_url,
                    config=Config(
                        retries={"mode": "standard", "total_max_attempts": 4},
                        max_pool_connections=CONNECTIONS,
                        s3={"addressing_style": "path"},
                    ),
                )
                if self._names_urns:
                    name_calls(self._clients[service])
            return self._clients[service]

    @cached_property
    def caller(self) -> Mapping[str, str]:
        """Account, ARN and user id that the endpoint gives its callers."""
        answer: dict[str, str] = self.client("sts").get_caller_identity()
        return answer


class Clients(Protocol):
    """What calls are made through."""

    @property
    def region(self) -> str:
        """Where the calls go."""

    @property
    def caller(self) -> Mapping[str, str]:
        """Account, ARN and user id of whoever calls."""

    def client(self, service: str) -> Any:
        """The boto3 client of a service."""


@dataclass(frozen=True, kw_only=True)
class RowExecutor:
    """One resource, its inputs before and after, and the calls that lead from here to there."""

    session: Clients
    subject: Subject
    table: RowMapper
    id: str = ""
    old: Properties = field(default_factory=dict)
    new: Properties = field(default_factory=dict)

    @property
    def row(self) -> Row:
        """The row of the resource's type."""
        return self.table.row

    def known(self, *more: Mapping[str, Any]) -> dict[str, Any]:
        """What templates can name: inputs, the id and its parts, region and account."""
        names = self.row.identity.inputs
        found = self.id.split(self.row.identity.separator, len(names) - 1)
        from_id = dict(zip(names, found if len(names) > 1 else [self.id], strict=False))
        given = {**self.old, **self.new, **{k: v for some in more for k, v in some.items()}}
        return {
            **{name: value for name, value in given.items() if isinstance(value, str)},
            **(from_id if self.id else {}),
            "id": self.id,
            "tail": re.split("[:/]", self.id)[-1],
            "region": self.session.region,
            "account": self.session.caller["Account"],
        }

    # -- single calls --------------------------------------------------------------------------

    def create(self) -> str:
        """Make the create call; the new id."""
        row, known = self.row, self.known()
        arguments = {**self.table.create(self.new, known), **self._built(row.create, {})}
        with making():
            answer = self._must(row.create, arguments)
        identity = row.identity
        if identity.returned:
            return str(jmespath.search(identity.returned, answer))
        if identity.template:
            return str(fill(identity.template, known))
        return identity.separator.join(known[name] for name in identity.inputs)

    def change(self, call: Call) -> None:
        """Make one follow-up or update call if it applies."""
        given = {**{name: self.row.defaults.get(name) for name in call.when}, **self.new}
        if any(given[name] != value for name, value in call.when.items()):
            return
        built = self._built(call, None)
        if built is not None:
            removed = sorted(set(self.old) - set(self.new))
            arguments = self.table.arguments(call, self.new, self.known(), removed)
            self._must(call, {**arguments, **built})

    def delete(self) -> None:
        """Make the delete call, after what has to go before it; quiet when it is gone."""
        row = self.row
        try:
            for last in (*[False] * DELETE_TRIES, True):
                if row.before_delete:
                    row.before_delete(self._scene())
                if not row.delete or self._deleted(row.delete, last):
                    break
        except Gone:
            return
        if row.wait:
            self._poll("be gone", lambda: self.describe() is None)

    def _deleted(self, call: Call, last: bool) -> bool:
        """Whether the delete call went through; not if something came in meanwhile, or if what was
        begun and interrupted is still on its way, which AWS lets nobody delete."""
        arguments = self.table.arguments(call, self.old, self.known())
        try:
            self._send(call, {**arguments, **self._built(call, {})})
        except UserError as error:
            if not last and self._is_on_its_way():
                self._poll("come to rest before it is deleted", lambda: not self._is_on_its_way())
                return False
            if last or not self.row.refilled or f"got {self.row.refilled}:" not in error.problem:
                raise
            return False
        return True

    def _is_on_its_way(self) -> bool:
        """Creating, Updating, Pending: AWS's words for what passes."""
        if self.row.wait is None:
            return False
        status = jmespath.search(self.row.wait.status, self.describe() or {})
        return str(status).endswith("ing")

    def describe(self) -> dict[str, Any] | None:
        """The answers of all read calls in one; None: it does not exist."""
        row, known = self.row, self.known()
        answer: dict[str, Any] = {}
        try:
            for call in (row.read, *row.also):
                raw = self._send(call, self.table.arguments(call, {}, {**known, **answer}))
                raw.pop("ResponseMetadata", None)
                found = jmespath.search(_named(call.result, known), raw)
                if call is row.read and found is None:
                    return None
                answer |= {call.into: found} if call.into else (found or {})
        except Gone:
            return None
        return None if row.gone and jmespath.search(row.gone, answer) else answer

    def retag(self) -> None:
        """Lead the tags from the old set to the new one."""
        tags = self.row.tags
        if tags is None:
            return
        old, new = self.old.get("tags") or {}, self.new.get("tags") or {}
        key = fill(tags.key, {**self.known(), **(self.describe() or {})})
        removed = sorted(set(old) - set(new))
        if removed and not (tags.whole and new):
            names = [{"Key": name} for name in removed] if tags.keys == tags.member else removed
            listed = {} if tags.whole else {tags.keys: names}
            self._must(Call(tags.remove), {**key, **listed})
        if new:
            *parents, last = tags.member.split(".")
            shape: Any = operation_model(self.row.service, tags.add).input_shape
            for member in (*parents, last):
                shape = shape.members[member]
            value: Any = pairs_or_map(new, shape)
            for member in (last, *reversed(parents)):
                value = {member: value}
            self._must(Call(tags.add), {**key, **value})

    # -- waiting -------------------------------------------------------------------------------

    def settle(self) -> None:
        """Wait until the describe answer says that the last change holds, or why it does not."""
        wait = self.row.wait
        if wait is None:
            return
        answer: dict[str, Any] = {}

        def settled() -> bool:
            found = self.describe()
            if found is None:
                raise missing(self.subject, self.id)
            answer.clear()
            answer.update(found)
            return jmespath.search(wait.status, answer) in (*wait.good, *wait.bad)

        good = " or ".join(wait.good)
        self._poll(f"reach {good}", settled)
        status, reason = (jmespath.search(path, answer) for path in (wait.status, wait.reason))
        if status in wait.bad:
            raise UserError(
                f"{self.subject}: {self.id} must become {good}, got {status}: {reason}",
                fix="correct what the reason names",
            )
        for name, path in wait.equal.items():
            held = jmespath.search(path, answer)
            wanted = self.new.get(name)
            if held != wanted:
                raise UserError(
                    f"{self.subject}: {name} must be {wanted!r}, got {held!r}: {reason}",
                    fix="correct what the reason names; what was there before still stands",
                )
        if reason:
            raise UserError(
                f"{self.subject}: the change must hold, got rolled back: {reason}",
                fix="correct what the reason names; what was there before still stands",
            )

    def _poll(self, goal: str, done: Callable[[], bool]) -> None:
        pause, end = FIRST_PAUSE, time.monotonic() + PATIENCE
        while not done():
            if time.monotonic() > end:
                raise UserError(
                    f"{self.subject}: {self.id} must {goal} within {PATIENCE:.0f} s, got nothing",
                    fix="see why in .plinth/local/cloud.log",
                )
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 1.5)

    # -- inside --------------------------------------------------------------------------------

    def _scene(self) -> HookContext:
        return HookContext(
            client=self.session.client(self.row.service),
            id=self.id,
            old=self.old,
            new=self.new,
            describe=self.describe,
        )

    def _built(self, call: Call, nothing: Any) -> Any:
        if call.build is None:
            return {}
        built = call.build(self._scene())
        return nothing if built is None else built

    def _send(self, call: Call, arguments: Mapping[str, Any]) -> Any:
        """One API call; raises Gone, or a UserError that says what AWS said."""
        try:
            client = self.session.client(self.row.service)
            return getattr(client, xform_name(call.operation))(**arguments)
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            if any(code == m.code and m.fragment in message for m in self.row.missing):
                raise Gone(message) from error
            if code in call.absent:
                return {}
            raise self._refusal(call, f"{code}: {message}") from error
        except ParamValidationError as error:
            raise self._refusal(call, str(error)) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise UserError(
                f"{self.subject}: {call.operation} must get an answer, got {error}",
                fix="see why the local cloud gives none in .plinth/local/cloud.log",
            ) from error

    def _must(self, call: Call, arguments: Mapping[str, Any]) -> Any:
        """One API call on something that has to exist."""
        try:
            return self._send(call, arguments)
        except Gone as error:
            raise UserError(
                f"{self.subject}: what {call.operation} needs must exist, got: {error}",
                fix='type `pulumi refresh` after `eval "$(plinth env local)"`, so that what is '
                "missing is created again",
            ) from error

    def _refusal(self, call: Call, got: str) -> UserError:
        return UserError(
            f"{self.subject}: {call.operation} must succeed, got {got}",
            fix="change the input that the message names",
        )


def _named(path: str, known: Mapping[str, Any]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: str(known[match[1]]), path)
