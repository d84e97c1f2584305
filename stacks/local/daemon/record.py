"""What the home says of the cloud that runs: where it answers, and what it made."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from stacks.local.daemon.state_files import ledger_file
from stacks.local.provider.ledger import Ledger
from stacks.local.runtime.files import write, write_json

UPKEEP_SECONDS = 1.0

log = logging.getLogger(__name__)


def last_port(home: Path) -> int:
    """Where the AWS endpoint of the last cloud listened; 0: there was none."""
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        record = json.loads((home / "local" / "daemon.lock").read_text())
        return int(record["endpoint_url"].rpartition(":")[2])
    return 0


@dataclass(kw_only=True)
class Made:
    """The file of what a cloud made, for commands that ask whether a state lacks something."""

    home: Path
    ledger: Ledger
    _written: int = -1
    """The ledger's count of changes that the file has."""

    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self) -> None:
        """Bring the file up to date; a full disk must not end a cloud."""
        with self._lock:
            changes = self.ledger.changes
            if changes == self._written:
                return
            try:
                write_json(ledger_file(self.home), self.ledger.ids())
            except OSError as error:
                log.warning("%s", error)
            else:
                self._written = changes

    def deleted(self, urn: str) -> None:
        """Bring the file up to date once the last resource of a stack is gone: the next command
        on it, which may come at once, would take what the file names for lost."""
        stack = urn.split("::", maxsplit=1)[0]
        if not any(held.startswith(f"{stack}::") for held in self.ledger.ids()):
            self.write()


def write_down(
    home: Path, record: Mapping[str, Any], lock: TextIO, made: Made, stop: threading.Event
) -> None:
    """Until the end, keep in the home where this cloud answers and what it made.

    Whoever deletes or damages `cloud.json` gets it back; what the lock holds is the same.
    """
    path, text = home / "local" / "cloud.json", json.dumps(record)
    lock.truncate(0)
    lock.write(text)
    lock.flush()
    while True:
        try:
            if not path.exists() or path.read_bytes() != text.encode():
                write(path, text.encode())
        except OSError as error:  # a full disk must not end a cloud
            log.warning("%s", error)
        made.write()
        if stop.wait(UPKEEP_SECONDS):
            return
