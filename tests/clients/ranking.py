"""The operations of SageMaker that users touch most, by rank, and how the local cloud answers them.

The rank is log-weighted use in public code: AWS's examples, its SDK, aiops-modules and
idea-to-production. Needs no client and no cloud.
"""

import json
import sys
from collections import Counter
from pathlib import Path

from stacks.local.aws.sagemaker.coverage import coverage

LIST = Path(__file__).with_name("ranking.txt")
"""An operation per line, the most used one first."""


def run(arguments: list[str]) -> int:
    """Print how many of the first 50, 100 and so on behave, and which do not."""
    ranked = LIST.read_text().split()
    how = {row.operation: row.fidelity for row in coverage()}
    firsts = {
        f"first {count}": Counter(how.get(name, "unknown") for name in ranked[:count])
        for count in (50, 100, len(ranked))
    }
    others = {name: how[name] for name in ranked if how[name] != "behaves"}
    sys.stdout.write(json.dumps({**firsts, "not_behaving": others}, indent=1) + "\n")
    return 0
