"""What the home says of the cloud that runs: where it answers, and what it made."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from stacks.local.daemon.state_files import ledger_file
from stacks.local.provider.ledger import Ledger
from stacks.local.runtime.files import write, write_json

UPKEEP_SECONDS = 1.0

log = logging.getLogger(__name__)


def last_port(home: Path) -> int:
    """Where the AWS endpoint of the last cloud listened; 0: there was none."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        record = json.loads((home / "local" / "daemon.lock").read_text())
        return int(record["endpoint_url"].rpartition(":")[2])
    return 0


def write_down(
    home: Path, record: Mapping[str, Any], lock: TextIO, ledger: Ledger, stop: threading.Event
) -> None:
    """Until the end, keep in the home where this cloud answers and what it made.

    Whoever deletes or damages `cloud.json` gets it back; what the lock holds is the same.
    """
    path, written, text = home / "local" / "cloud.json", -1, json.dumps(record)
    lock.truncate(0)
    lock.write(text)
    lock.flush()
    while True:
        try:
            if not path.exists() or path.read_bytes() != text.encode():
                write(path, text.encode())
            if ledger.changes != written:
                written = ledger.changes
                write_json(ledger_file(home), ledger.ids())
        except OSError as error:  # a full disk must not end a cloud
            log.warning("%s", error)
        if stop.wait(UPKEEP_SECONDS):
            return
