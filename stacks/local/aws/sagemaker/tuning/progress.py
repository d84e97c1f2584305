"""When a tuning job, or one of its training jobs, is not worth going on with.

Source: developer guide, "Stop training jobs early" (the median rule) and "Track and set completion
criteria for your tuning job"; BestObjectiveNotImproving, API reference (1 %).
"""

from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

SIGNIFICANT = 0.01
"""Share of the best value by which a better one counts as an improvement."""


def below_median(
    current: Sequence[float], earlier: Sequence[Sequence[float]], *, maximize: bool
) -> bool:
    """Whether a job's last value is worse than the median of the running averages of earlier jobs
    up to the same epoch."""
    epoch = len(current)
    averages = [fmean(series[:epoch]) for series in earlier if len(series) >= epoch]
    if not averages or not epoch:
        return False
    middle = median(averages)
    return current[-1] < middle if maximize else current[-1] > middle


def not_improving(values: Sequence[float], *, maximize: bool) -> int:
    """How many jobs, in the order in which they ended, came after the last improvement."""
    count, best = 0, None
    for value in values:
        signed = value if maximize else -value
        if best is None or signed - best > abs(best) * SIGNIFICANT:
            best, count = signed, 0
        else:
            count += 1
    return count


def complete(criteria: Mapping[str, Any], values: Sequence[float], *, maximize: bool) -> bool:
    """Whether the criteria of a job are met by the values of those that ended."""
    target = criteria.get("TargetObjectiveMetricValue")
    if target is not None and any(v >= target if maximize else v <= target for v in values):
        return True
    most = criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving")
    return most is not None and not_improving(values, maximize=maximize) >= most
