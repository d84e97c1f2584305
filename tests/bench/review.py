"""A whole review of a stack of 100 resources, beside a stock preview with the policy pack.

    python tests/bench/review.py [--runs 5] [--json]

The resources are the first hundred of AWS that the program of `prod.flight_delay` registers, and
where it has fewer, that of `prod.foundation`.

cold   `plinth review --digest` as a new process, to HTML: it imports everything and reads the
       settings, prices and exemptions. What Python compiled before is on the disk, as anywhere
       that the command ran once.
warm   The same again in one process that has done it before, to HTML and JSON.
stock  `pulumi preview --policy-pack` of a program that registers the same resources, with a
       provider that echoes. To be fair, ours gets the run of the same program against mocks added
       to its cold review. Both have pulumi imported; ours also tells losses, costs and access.

Both sides alternate. Processor seconds stand beside seconds: a busy machine disturbs them less.
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

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))
STACK = "prod.flight_delay"
RESOURCES = 100
COLD_SECONDS, WARM_SECONDS, STOCK_RATIO = 2.0, 1.2, 2.5


def first_resources() -> list[Any]:
    """Of a workload, then of what it stands on."""
    from stacks.stack_name import StackName
    from stacks.synth import synth_of

    stack = StackName.parse(STACK)
    found = [*synth_of(stack), *synth_of(stack.sibling("foundation"))]
    return [item for item in found if item.type.startswith("aws:")][:RESOURCES]


def digest(resources: list[Any]) -> dict[str, Any]:
    """What a preview of their first deployment says."""
    return {"steps": [_step(item) for item in resources]}


def _step(item: Any) -> dict[str, Any]:
    state = {
        "inputs": item.inputs.value,
        "outputs": {},
        "protect": item.options.protect,
        "propertyDependencies": item.dependencies,
    }
    _, _, rest = item.urn.partition("::")  # a preview is of one stack
    return {"op": "create", "urn": f"urn:pulumi:{STACK}::{rest}", "newState": state}


def reviewed(path: Path) -> tuple[float, float]:
    """Seconds and CPU seconds of one review in this process, rendered as HTML and JSON."""
    from stacks.commands.review import rendered
    from stacks.review.report import reviewed_change
    from stacks.settings.load import load
    from stacks.stack_name import StackName

    begin, used = time.perf_counter(), time.process_time()
    stack = StackName.parse(STACK)
    report, change = reviewed_change(stack, load(stack), path)
    for form in ("html", "json"):
        rendered(report, change, stack, form)
    return time.perf_counter() - begin, time.process_time() - used


def cold(path: Path) -> tuple[float, float]:
    """Seconds and CPU seconds of `plinth review` in a process of its own."""
    begin, used = time.perf_counter(), _children_cpu_seconds()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "stacks.cli", "review", STACK),
            *("--digest", path, "--output", path.with_suffix(".html")),
        ],
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


def registered(resources: list[Any]) -> tuple[float, float]:
    """Seconds and CPU seconds of the program against mocks, in this process like the stock one."""
    from tests.bench import crossguard

    begin, used = time.perf_counter(), time.process_time()
    crossguard.registered(resources)
    return time.perf_counter() - begin, time.process_time() - used


def stock(resources: list[Any]) -> tuple[float, float]:
    """Seconds and CPU seconds of a preview with the pack."""
    from stacks.policy_config import policy_config
    from stacks.settings.load import load
    from stacks.stack_name import StackName
    from tests.bench import crossguard

    config = policy_config(load(StackName.parse(STACK)))
    return crossguard.preview(resources, config, pack=True)[:2]


def medians(runs: list[dict[str, tuple[float, float]]]) -> dict[str, float]:
    """Of each side."""
    return {
        f"{side}_{unit}": round(statistics.median(run[side][i] for run in runs), 3)
        for side in runs[0]
        for i, unit in enumerate(("seconds", "cpu_seconds"))
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    resources = first_resources()
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "preview.json"
        path.write_text(json.dumps(digest(resources)))
        reviewed(path)
        for _ in range(asked.runs):
            sides = {"cold": cold(path), "warm": reviewed(path)}
            runs.append({**sides, "program": registered(resources), "stock": stock(resources)})
    found = {"resources": len(resources), "runs": asked.runs, **medians(runs)}
    for unit in ("seconds", "cpu_seconds"):
        ours = found[f"cold_{unit}"] + found[f"program_{unit}"]
        found[f"stock_ratio_{unit}"] = round(found[f"stock_{unit}"] / ours, 2)
    print(json.dumps(found) if asked.json else "\n".join(f"{k}  {v}" for k, v in found.items()))
    slow = found["cold_seconds"] > COLD_SECONDS or found["warm_seconds"] > WARM_SECONDS
    if slow or found["stock_ratio_seconds"] < STOCK_RATIO:
        sys.exit(1)


if __name__ == "__main__":
    main()
