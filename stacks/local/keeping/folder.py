"""Where the data of a home's cloud lie, seen from the command line; cheap to import."""

import shutil
import time
from pathlib import Path

CHANGED = "changed"
"""File that is there while something has changed that no snapshot holds."""

POLL_SECONDS = 0.02


def data_folder(home: Path) -> Path:
    """Where the snapshots of a home lie."""
    return home / "local" / "data"


def wait(home: Path, seconds: float) -> bool:
    """Until everything that a running cloud holds is written down; whether it is."""
    deadline = time.monotonic() + seconds
    changed = data_folder(home) / CHANGED
    while changed.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def forget(home: Path) -> None:
    """Delete everything that was kept of a home's clouds."""
    for name in ("data", "data-put-aside"):
        shutil.rmtree(home / "local" / name, ignore_errors=True)
