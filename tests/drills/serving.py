"""Generated requests to a real inference server: none may fail it, slow it, or be taken wrongly.

    python -m tests.drills serving [--requests 200000] [--seed 1]

One connection after the other way of asking: requests are sent in turn and timed where they are
asked. Exit code 1 where one was answered with 5xx, took more than a second, was predicted and must
not have been, or was refused and must not have been.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.kits.requests import Asked, requests
from tests.kits.serving import trained
from tests.kits.serving_process import start, stop

SLOW_SECONDS = 1.0


@dataclass
class Tally:
    """What came of the requests."""

    statuses: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    slowest_seconds: float = 0.0
    slowest_kind: str = ""
    failed: list[str] = field(default_factory=list)
    """5xx."""

    slow: list[str] = field(default_factory=list)
    wrongly_taken: list[str] = field(default_factory=list)
    wrongly_refused: list[str] = field(default_factory=list)

    def add(self, asked: Asked, status: int, seconds: float) -> None:
        shown = f"{asked.kind} {asked.content_type} {asked.body[:120]!r}"
        self.statuses[status] += 1
        self.kinds[asked.kind] += 1
        if seconds > self.slowest_seconds:
            self.slowest_seconds, self.slowest_kind = seconds, asked.kind
        if seconds > SLOW_SECONDS:
            self.slow.append(f"{seconds:.2f} s {shown}")
        if status >= 500:
            self.failed.append(f"{status} {shown}")
        elif status == 200 and not asked.good:
            self.wrongly_taken.append(shown)
        elif status != 200 and asked.good:
            self.wrongly_refused.append(f"{status} {shown}")

    @property
    def wrong(self) -> list[str]:
        return [*self.failed, *self.slow, *self.wrongly_taken, *self.wrongly_refused]


def drill(asked: Iterable[Asked], port: int) -> Tally:
    """Send every request to the server, and count."""
    tally = Tally()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for one in asked:
        headers = {"Content-Type": one.content_type, "Accept": one.accept}
        begun = time.perf_counter()
        connection.request("POST", "/invocations", one.body, headers)
        answer = connection.getresponse()
        answer.read()
        tally.add(one, answer.status, time.perf_counter() - begun)
    connection.close()
    return tally


def run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests.drills serving", description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        trained(Path(folder, "model"))
        server = start(Path(folder))
        try:
            tally = drill(requests(options.seed, options.requests), server.port)
        finally:
            stop(server)
    counts = {
        "requests": options.requests,
        "seed": options.seed,
        "statuses": {str(status): count for status, count in sorted(tally.statuses.items())},
        "kinds": len(tally.kinds),
        "slowest_ms": round(1000 * tally.slowest_seconds, 1),
        "slowest_kind": tally.slowest_kind,
        "failed": len(tally.failed),
        "slow": len(tally.slow),
        "wrongly_taken": len(tally.wrongly_taken),
        "wrongly_refused": len(tally.wrongly_refused),
    }
    sys.stdout.write(json.dumps(counts) + "\n")
    for line in tally.wrong[:20]:
        sys.stderr.write(f"{line}\n")
    return int(bool(tally.wrong))
