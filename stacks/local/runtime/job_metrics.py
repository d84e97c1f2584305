"""Metrics of a training job: what its expressions find in what it printed.

Source: developer guide, "Use Amazon CloudWatch metrics for monitoring and analyzing training jobs".
"""

import contextlib
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from stacks.local.runtime import left

LINE_BYTES = 1_000_000
"""Of a log that are searched at once for a metric."""

METRIC_VALUES = 100_000
"""Of one metric that are kept, the last ones."""


def last_metrics(
    logs: Sequence[Path], definitions: Sequence[Mapping[str, str]]
) -> dict[str, float]:
    """The last value that each metric's expression found in the logs, of the last first."""
    series = {
        one["Name"]: [value for log in logs[::-1] for value in metric_series(log, one["Regex"])]
        for one in definitions
    }
    return {name: values[-1] for name, values in series.items() if values}


def metric_series(log: Path, regex: str) -> list[float]:
    """The values that a metric's expression finds in the log so far."""
    found: deque[float] = deque(maxlen=METRIC_VALUES)
    for match in _matches(log, re.compile(regex)):
        try:
            found.append(float(match.group(1)))
        except (ValueError, IndexError, TypeError):  # the expression caught no number
            continue
    return [*found]


def _matches(log: Path, regex: re.Pattern[str]) -> Iterator[re.Match[str]]:
    """Line by line, as SageMaker looks; of a log that may be larger than memory its end."""
    with contextlib.suppress(OSError), log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - left.READ_BYTES))
        while line := stream.readline(LINE_BYTES):
            yield from regex.finditer(line.decode(errors="replace"))
