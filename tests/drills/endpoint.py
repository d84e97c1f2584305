"""Wrong requests to the endpoint of a local cloud: each is a refusal of AWS's, never a page.

    python -m tests.drills endpoint [--requests 5000] [--seed 1]

Exit code 1 where one ended with 5xx but 501, with HTML, with a status that its kind must not have,
or after more than a second; or where the cloud has more threads afterwards than before.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import psutil

from stacks.local.runtime import keys
from tests.kits.attacks import Target
from tests.kits.endpoint_requests import Wrong, sent, wrong
from tests.kits.local_cloud import Cloud, running_cloud

SLOW_SECONDS = 10.0
"""The first request of a service imports moto's part of it."""


def target_of(cloud: Cloud) -> Target:
    info = cloud.info
    return Target(
        url=info.endpoint_url, keys=keys.load(cloud.home), provider_port=info.provider_port
    )


def drill(target: Target, asked: Iterable[Wrong]) -> tuple[Counter[int], list[str], float]:
    """Statuses, what ended as it must not, and the slowest in seconds."""
    statuses: Counter[int] = Counter()
    harms, slowest = [], 0.0
    for one in asked:
        begun = time.perf_counter()
        status, body, headers = sent(target, one)
        seconds = time.perf_counter() - begun
        statuses[status] += 1
        slowest = max(slowest, seconds)
        is_page = b"<html" in body[:200].lower() or b"<!doctype" in body[:200].lower()
        if status not in one.expected or is_page or seconds > SLOW_SECONDS:
            kind = headers.get("content-type")
            told = f"{one.kind} {one.service} {one.target or one.path} {one.body[:60]!r}"
            harms.append(f"{told}: {status} {kind} {seconds:.2f} s {body[:200]!r}")
    return statuses, harms, slowest


def run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests.drills endpoint", description=__doc__)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, running_cloud(Path(folder)) as cloud:
        daemon = psutil.Process(cloud.info.pid)
        before = daemon.num_threads()
        target = target_of(cloud)
        statuses, harms, slowest = drill(target, wrong(options.seed, options.requests))
        time.sleep(1)
        after = daemon.num_threads()
    counts = {
        "requests": options.requests,
        "seed": options.seed,
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "slowest_s": round(slowest, 2),
        "harmful": len(harms),
        "threads_before": before,
        "threads_after": after,
    }
    sys.stdout.write(json.dumps(counts) + "\n")
    sys.stderr.write("".join(f"{harm}\n" for harm in harms[:20]))
    return int(bool(harms) or after > before + 4)
