"""Drift of a large window of requests: the sketch of the training data beside all of its values.

    python tests/bench/drift.py [--rows 1000000] [--features 20] [--json]

The other side is what a user would write: SciPy's `ks_2samp`, and the stability index by NumPy's
`digitize`, feature by feature over all values. Both see the same data, feature after feature in
turns, and their results are compared. Ends with 1 where they differ by more than 0.001, or ours
takes longer than 0.5 s for the index or 1.5 s with the distance, in processor seconds at a million
rows of 20 features.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

LIMITS = {"index": 0.5, "both": 1.5}
"""Processor seconds for a million rows of 20 features."""


def main() -> int:
    import numpy as np
    import pandas as pd
    from scipy import stats

    from pipelines.toolkit import reference
    from tests.pipelines.test_reference import stability_of_all

    arguments = _parser().parse_args()
    dice = np.random.default_rng(0)
    spent = dict.fromkeys(("sketch", "index", "distance", "their index", "their distance"), 0.0)
    worst = {"index": 0.0, "distance": 0.0}

    def timed(what: str, act: Callable[[], Any]) -> Any:
        begun = time.process_time()
        found = act()
        spent[what] += time.process_time() - begun
        return found

    for number in range(arguments.features):
        trained = dice.normal(number, 1 + number, arguments.rows)
        asked = dice.normal(number + 0.1 * (number % 3), 1 + number, arguments.rows)
        before, after = pd.Series(trained), pd.Series(asked)
        sketch = timed("sketch", partial(reference.of, before))
        ours = (
            timed("index", partial(reference.stability, sketch, after)),
            timed("distance", partial(reference.distance, sketch, after)),
        )
        theirs = (
            timed("their index", partial(stability_of_all, trained, asked)),
            timed("their distance", partial(stats.ks_2samp, trained, asked)).statistic,
        )
        for name, own, other in zip(worst, ours, theirs, strict=True):
            worst[name] = max(worst[name], abs(own - other))
    return _report(arguments, spent, worst)


def _report(arguments: argparse.Namespace, spent: dict[str, float], worst: dict[str, float]) -> int:
    both = spent["index"] + spent["distance"]
    scale = arguments.rows * arguments.features / 20_000_000
    slow = spent["index"] > LIMITS["index"] * scale or both > LIMITS["both"] * scale
    differs = max(worst.values()) > 1e-3
    if arguments.json:
        print(json.dumps({"cpu_seconds": spent, "worst_difference": worst}))
    else:
        print(f"{arguments.rows:,} rows x {arguments.features} features, processor seconds")
        print(f"index     ours {spent['index']:6.2f}   NumPy {spent['their index']:6.2f}")
        print(f"distance  ours {spent['distance']:6.2f}   SciPy {spent['their distance']:6.2f}")
        print(f"sketch of the training data, once a model: {spent['sketch']:.2f}")
        print(f"largest difference: index {worst['index']:.6f}, distance {worst['distance']:.6f}")
    return int(slow or differs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
