"""A whole review of a stack of 100 resources, from its digest to HTML: cold and warm.

    python bench/review.py [--runs 5] [--json]

Cold is a new process that imports everything; warm is the same review again in one process.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
RESOURCES = 100
COLD_SECONDS, WARM_SECONDS = 2.0, 1.2


def digest() -> dict[str, Any]:
    """The first deployment of the environment prod, cut or grown to 100 resources."""
    from stacks.settings import load
    from stacks.synth import synthesize
    from stacks.workload import definitions

    settings = load("prod")
    found = synthesize("prod", settings, definitions("prod", settings))
    return {"steps": [_step(item) for item in found[:RESOURCES]]}


def _step(item: Any) -> dict[str, Any]:
    from policies.data import UNKNOWN

    text = json.dumps(
        item.inputs.value, default=lambda v: "04da6b54-80e4-46f7-96ec-b56ff0331ba9", sort_keys=True
    )
    assert UNKNOWN.name not in text
    state = {"inputs": json.loads(text), "outputs": {}, "propertyDependencies": item.dependencies}
    return {"op": "create", "urn": item.urn, "newState": state}


def reviewed(path: Path) -> float:
    """Seconds of one review in this process, rendered as HTML and JSON."""
    from stacks.commands.review import rendered, reviewed_change
    from stacks.settings import load

    begin = time.perf_counter()
    report, change = reviewed_change("prod", load("prod"), path)
    for form in ("html", "json"):
        rendered(report, change, "prod", form)
    return time.perf_counter() - begin


def cold(path: Path) -> tuple[float, float]:
    """Seconds and CPU seconds of `plinth review` in a process of its own."""
    begin, used = time.perf_counter(), _children_cpu_seconds()
    done = subprocess.run(
        [sys.executable, "-m", "stacks.cli", "review", "prod", "--digest", str(path)],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr.decode()
    return time.perf_counter() - begin, _children_cpu_seconds() - used


def _children_cpu_seconds() -> float:
    """What ended children have computed: what the clock says on a machine that is not shared."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    sys.path.insert(0, str(REPOSITORY))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "preview.json"
        path.write_text(json.dumps(digest()))
        reviewed(path)
        pairs = [(cold(path), reviewed(path)) for _ in range(asked.runs)]
    seconds = {
        "cold_seconds": round(statistics.median(pair[0][0] for pair in pairs), 3),
        "cold_cpu_seconds": round(statistics.median(pair[0][1] for pair in pairs), 3),
        "warm_seconds": round(statistics.median(pair[1] for pair in pairs), 3),
        "resources": RESOURCES,
        "runs": asked.runs,
    }
    print(json.dumps(seconds) if asked.json else "\n".join(f"{k}  {v}" for k, v in seconds.items()))
    if seconds["cold_seconds"] > COLD_SECONDS or seconds["warm_seconds"] > WARM_SECONDS:
        sys.exit(1)


if __name__ == "__main__":
    main()
