"""Writes of records and items, and deletions of engines, put down one by one: those that no
snapshot holds yet are repeated.

A snapshot comes about once a second. What has no identity that the service makes up, a record of a
feature group or an item of a table, can be written again as it was asked for; so a cloud that is
killed loses none that it acknowledged. What an engine heard to be deleted is in no state any more,
so no engine would delete it again: the cloud does. A line is a signature with the home's key and
the entry as JSON, handed to the operating system before the answer goes out: a machine that loses
its power may lose the last ones. A file ends where a snapshot begins, and goes when no snapshot
needs it.
"""

from __future__ import annotations

import base64
import errno
import hmac
import io
import json
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stacks.local.aws.protocols import BODY, body_of, operation_of, signed_for
from stacks.local.runtime.keys import Keys

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]

REPEATED: Mapping[str, tuple[str, frozenset[str]]] = {
    "dynamodb": (
        "dynamodb",
        frozenset(("BatchWriteItem", "DeleteItem", "PutItem", "TransactWriteItems", "UpdateItem")),
    ),
    "sagemaker": (
        "sagemaker-featurestore-runtime",
        frozenset(("BatchWriteRecord", "DeleteRecord", "PutRecord", "UpdateRecord")),
    ),
}
"""Service of the signature -> botocore's service and its operations."""

KEPT_OF_A_REQUEST = (
    "CONTENT_TYPE",
    "HTTP_X_AMZ_TARGET",
    "PATH_INFO",
    "QUERY_STRING",
    "REQUEST_METHOD",
    "REQUEST_URI",
    "SERVER_NAME",
    "SERVER_PORT",
    "wsgi.url_scheme",
)
PURPOSE = b"plinth: journal of the local cloud"

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Journal:
    """Files `NUMBER.journal` beside the snapshots."""

    folder: Path
    keys: Keys = field(repr=False)
    _application: Application | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _out: int = -1
    _failing: bool = False

    def around(self, application: Application) -> Application:
        """The application; what it acknowledged of such writes is put down."""
        self._application = application

        def watched(environ: Environ, start: Start) -> Iterable[bytes]:
            service, operations = REPEATED.get(signed_for(environ), ("", frozenset()))
            if not service or operation_of(service, environ, operations) is None:
                return application(environ, start)
            told: list[str] = []

            def started(status: str, *more: Any) -> Any:
                told.append(status)
                return start(status, *more)

            answer = application(environ, started)  # which may call a function that writes, too
            if told and told[-1].startswith("2"):
                with self._lock:
                    self._append(environ)
            return answer

        return watched

    def rotate(self) -> int:
        """Begin another file; its number. What was put down before is in older ones.

        Where no moment was quiet, a write that is under way may be in it though it was done before.
        """
        with self._lock:
            found, old = self._files(), self._out
            number = int(found[-1].stem) + 1 if found else 1
            path = self.folder / f"{number:09}.journal"
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._out = os.open(path, flags, 0o600)
            if old >= 0:
                os.close(old)
            return number

    def forget(self, before: int) -> None:
        """Delete the files that no snapshot needs."""
        for path in self._files():
            if int(path.stem) < before:
                path.unlink(missing_ok=True)

    def repeat(self, since: int) -> int:
        """Do again what was put down in this file and later ones; how many were taken."""
        assert self._application is not None
        told = [entry for entry in self._entries(since) if "environ" in entry]
        return sum(_done(self._application, entry) for entry in told)

    def deleted(self, urn: str, id: str) -> None:
        """Put down that a resource is gone, before its engine hears of it."""
        with self._lock:
            self._put({"deleted": [urn, id]})

    def gone(self, since: int) -> list[tuple[str, str]]:
        """URN and id of what was deleted in this file and later ones, in order."""
        told = [entry["deleted"] for entry in self._entries(since) if "deleted" in entry]
        return list(dict.fromkeys((urn, id) for urn, id in told))

    def _entries(self, since: int) -> Iterator[Mapping[str, Any]]:
        for path in self._files():
            if int(path.stem) < since:
                continue
            for line in path.read_bytes().splitlines():
                signature, _, told = line.partition(b" ")
                if hmac.compare_digest(self.keys.sign(PURPOSE, told), signature):
                    yield json.loads(told)
                elif line:
                    log.warning("%s: a line is cut off or altered, and left out", path.name)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.journal"))

    def _append(self, environ: Environ) -> None:
        request = {name: environ[name] for name in KEPT_OF_A_REQUEST if name in environ}
        # who signed says for which service and region; the signature itself is for this once
        request["HTTP_AUTHORIZATION"] = environ["HTTP_AUTHORIZATION"].partition(",")[0]
        body = base64.b64encode(body_of(environ)).decode()
        self._put({"environ": request, "body": body})

    def _put(self, entry: Mapping[str, Any]) -> None:
        told = json.dumps(entry).encode()
        line = self.keys.sign(PURPOSE, told) + b" " + told + b"\n"
        if self._failing:
            line = b"\n" + line  # behind what a full disk took of the one before
        try:
            if os.write(self._out, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:  # a full disk must not refuse what fits into memory
            if not self._failing:
                log.warning("writes are not put down any more: %s", error)
            self._failing = True
        else:
            self._failing = False


def _done(application: Application, entry: Mapping[str, Any]) -> bool:
    body = base64.b64decode(entry["body"])
    environ = {
        **entry["environ"],
        BODY: body,
        "CONTENT_LENGTH": str(len(body)),
        "SCRIPT_NAME": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.errors": io.StringIO(),
        "wsgi.input": io.BytesIO(body),
        "wsgi.multiprocess": False,
        "wsgi.multithread": True,
        "wsgi.run_once": False,
        "wsgi.version": (1, 0),
    }
    told: list[str] = []
    answer = application(environ, lambda status, *_: told.append(status))
    good = bool(told) and told[-1].startswith("2")
    if not good:
        log.warning("a write is not repeated: %s %r", told, b"".join(answer)[:200])
    return good
