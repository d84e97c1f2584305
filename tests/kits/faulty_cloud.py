"""A local cloud that loses requests and answers, as behind a proxy that fails.

`python -m tests.kits.faulty_cloud HOME RATE SEED`; it ends like any local cloud.
"""

import random
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from stacks.local.aws.gate import _answer
from stacks.local.aws.signatures import Refused
from stacks.local.daemon import main as daemon
from stacks.local.runtime.files import write_json

KINDS = ("500 before", "500 after", "cut before", "cut after", "throttled")
LOST = Refused("InternalFailure", "the drill lost this", status=500)
THROTTLED = Refused("ThrottlingException", "Rate exceeded", status=400)
QUIET = "quiet"
"""File of the home that ends the faults."""


class Faulty:
    """A WSGI application in front of another; only requests of the provider are hurt."""

    def __init__(self, application: Any, rate: float, seed: int, record: Path) -> None:
        self.application = application
        self.rate = rate
        self.choices = random.Random(seed)
        self.record = record
        self.done: Counter[str] = Counter()
        self.guard = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        kind = self._kind() if environ.get("HTTP_X_PLINTH_URN") else None
        if kind is None:
            return self.application(environ, start)  # type: ignore[no-any-return]
        if kind.endswith("after"):
            for _ in self.application(environ, lambda *_: None):
                pass
        if kind.startswith("cut"):
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return _answer(environ, THROTTLED if kind == "throttled" else LOST, start)

    def _kind(self) -> str | None:
        with self.guard:
            if self.choices.random() >= self.rate or self.record.with_name(QUIET).exists():
                return None
            kind = self.choices.choice(KINDS)
            self.done[kind] += 1
            write_json(self.record, self.done)
            return kind


def main(home: Path, rate: float, seed: int) -> int:
    """Run the cloud of a home until it is told to stop."""
    guarded = daemon._guarded

    def hurt(*arguments: Any) -> Faulty:
        return Faulty(guarded(*arguments), rate, seed, home / "faults.json")

    daemon._guarded = hurt  # type: ignore[assignment]
    return daemon.main(["--home", str(home)])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
