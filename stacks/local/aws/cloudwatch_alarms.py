"""CloudWatch alarms by themselves: metric data moves their states, and states call their actions.

moto keeps metric data and alarms; what connects them is here. An alarm is looked at once a second,
over periods that start on the clock, the running one included, so it fires as soon as its data say
so. Metric math and the rules of composite alarms are evaluated as far as `alarm_expressions.py`
understands them; an alarm with another one stays as somebody set it, and the log says so.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.alarm_expressions import NotUnderstood, computed, holds
from stacks.local.aws.deliveries import CLOUDWATCH, NotDelivered, check_key
from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.refusals.account import Account

DATA_LIMIT = 100_000
"""Data that are kept; older ones go in halves of it, so that a load test fits into memory."""

DEFAULT_PERIOD_SECONDS = 60
OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, limit: value >= limit,
    "GreaterThanThreshold": lambda value, limit: value > limit,
    "LessThanOrEqualToThreshold": lambda value, limit: value <= limit,
    "LessThanThreshold": lambda value, limit: value < limit,
}

Series = tuple[str, str, frozenset[tuple[str, str]]]
"""Namespace, metric and dimensions."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Datum:
    """One value, or a set of values of which only the sums are known."""

    at: float
    total: float
    least: float
    most: float
    count: float


@dataclass
class Watch:
    """What the rounds before have seen."""

    read: int = 0
    """Data of moto's that are in `data` already."""

    data: dict[Series, list[Datum]] = field(default_factory=lambda: defaultdict(list))
    judged: dict[str, str] = field(default_factory=dict)
    """State that the alarm's own data gave it, by ARN."""

    told: dict[str, str] = field(default_factory=dict)
    """State that its actions were called for."""

    unread: set[str] = field(default_factory=set)
    """ARNs of alarms whose expression is not understood."""


def watch(emulator: Emulator, seen: Watch) -> None:
    """One round: read new data, judge the alarms, call the actions of those that changed."""
    backend = moto_backend("cloudwatch", emulator)
    _read(backend, seen)
    now = datetime.now(UTC).timestamp()
    # composite ones last: they look at the others
    for alarm in sorted(backend.alarms.values(), key=lambda one: one.rule is not None):
        try:
            _compose(alarm, backend) if alarm.rule else judge(alarm, seen, now)
        except NotUnderstood as error:
            if alarm.alarm_arn not in seen.unread:
                seen.unread.add(alarm.alarm_arn)
                log.warning("alarm %s stays %s: %s", alarm.name, alarm.state_value, error)
        before = seen.told.setdefault(alarm.alarm_arn, "INSUFFICIENT_DATA")
        if alarm.state_value != before:
            seen.told[alarm.alarm_arn] = alarm.state_value
            _act(emulator, alarm, before)


def _compose(alarm: Any, backend: Any) -> None:
    """Give a composite alarm the state that its rule says."""
    by_name = {one.name: one.state_value for one in backend.alarms.values()}
    by_arn = {one.alarm_arn: one.state_value for one in backend.alarms.values()}
    state = "ALARM" if holds(alarm.rule, {**by_name, **by_arn}.get) else "OK"
    if state != alarm.state_value:
        reason = f"{alarm.alarm_arn} went to {state}: {alarm.rule}"
        alarm.update_state(reason, json.dumps({"rule": alarm.rule}), state)


def judge(alarm: Any, seen: Watch, now: float) -> None:
    """Give an alarm the state that its data say; without any data at all it stays as it is."""
    if alarm.comparison_operator not in OPERATORS:
        return
    points = points_of(alarm, seen, now)
    if points is None:
        return
    arn, period = alarm.alarm_arn, period_of(alarm)
    set_by_hand = seen.judged.get(arn, "OK") != alarm.state_value
    if set_by_hand and now - _seconds(alarm.state_updated_timestamp) < period:
        return  # SetAlarmState holds until the next evaluation
    state = verdict(
        points,
        breaches=lambda value: OPERATORS[alarm.comparison_operator](value, float(alarm.threshold)),
        needed=int(alarm.datapoints_to_alarm or alarm.evaluation_periods),
        missing=alarm.treat_missing_data or "missing",
        state=alarm.state_value,
    )
    seen.judged[arn] = state
    if state != alarm.state_value:
        shown = ", ".join("none" if value is None else f"{value:g}" for value in points)
        reason = f"Threshold Crossed: datapoints [{shown}] against {float(alarm.threshold):g}"
        alarm.update_state(reason, json.dumps({"recentDatapoints": points}), state)


def verdict(
    points: Sequence[float | None],
    *,
    breaches: Callable[[float], bool],
    needed: int,
    missing: str,
    state: str,
) -> str:
    """State by the newest points first; `missing` is what the alarm makes of a period without data.

    CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data".
    """
    filled = {"breaching": True, "notBreaching": False}.get(missing)
    seen = [filled if value is None else breaches(value) for value in points]
    if seen.count(True) >= needed:
        return "ALARM"
    if False in seen:
        return "OK"
    if True in seen or missing == "ignore":
        return state  # too little to tell
    return "INSUFFICIENT_DATA"


def points_of(alarm: Any, seen: Watch, now: float) -> list[float | None] | None:
    """The alarm's statistic of each evaluated period, newest first; None: there are no data."""
    period, count = period_of(alarm), int(alarm.evaluation_periods)
    if not alarm.metric_data_queries:
        key = (alarm.namespace, alarm.metric_name, _dimensions(alarm.dimensions))
        statistic = alarm.statistic or alarm.extended_statistic
        return _series(seen.data.get(key), statistic, now // period * period, period, count)
    series: dict[str, list[float | None]] = {}
    for query in alarm.metric_data_queries:
        if query.metric_stat is not None:
            metric = query.metric_stat.metric
            key = (metric.namespace, metric.metric_name, _dimensions(metric.dimensions))
            found = _series(
                seen.data.get(key), query.metric_stat.stat, now // period * period, period, count
            )
            series[query.id] = found or [None] * count
    if all(value is None for values in series.values() for value in values):
        return None
    told = [query for query in alarm.metric_data_queries if query.expression]
    for query in told:  # one may use those before it
        series[query.id] = computed(query.expression, series)
    chosen = next(
        (one for one in alarm.metric_data_queries if str(one.return_data).lower() == "true"),
        alarm.metric_data_queries[-1],
    )
    return series[chosen.id]


def period_of(alarm: Any) -> int:
    """Seconds of an alarm's periods; of metric math those of its metrics."""
    stats = [query.metric_stat for query in alarm.metric_data_queries or ()]
    periods = [alarm.period, *(stat.period for stat in stats if stat is not None)]
    return int(next((period for period in periods if period), DEFAULT_PERIOD_SECONDS))


def _series(
    data: Sequence[Datum] | None, statistic: str, start: float, period: int, count: int
) -> list[float | None] | None:
    if not data:
        return None
    points: list[float | None] = []
    for number in range(count):
        low = start - number * period
        inside = [datum for datum in data if low <= datum.at < low + period]
        points.append(statistic_of(statistic, inside) if inside else None)
    return points


def statistic_of(name: str, data: Sequence[Datum]) -> float:
    """A statistic by CloudWatch's name, percentiles (`p99`) included."""
    count = sum(datum.count for datum in data)
    if name.startswith("p") and name[1:].replace(".", "", 1).isdigit():
        return _percentile(sorted(datum.most for datum in data), float(name[1:]))
    total = sum(datum.total for datum in data)
    known = {
        "Average": total / count,
        "Maximum": max(datum.most for datum in data),
        "Minimum": min(datum.least for datum in data),
        "SampleCount": count,
        "Sum": total,
    }
    return known[name]


def _percentile(values: Sequence[float], percent: float) -> float:
    place = (len(values) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def _read(backend: Any, seen: Watch) -> None:
    """Take in what was published since the round before."""
    published = backend.metric_data
    if len(published) < seen.read:  # moto was reset
        seen.read = 0
    for datum in published[seen.read :]:
        key = (datum.namespace, datum.name, _dimensions(datum.dimensions))
        seen.data[key].append(_datum(datum))
    seen.read = len(published)
    if len(published) > DATA_LIMIT:
        del published[: DATA_LIMIT // 2]
        seen.read = len(published)
        for key, data in seen.data.items():
            seen.data[key] = data[-DATA_LIMIT // 100 :]


def _datum(datum: Any) -> Datum:
    at = _seconds(datum.timestamp)
    if hasattr(datum, "sample_count"):
        return Datum(at, datum.sum, datum.min, datum.max, datum.sample_count)
    return Datum(at, datum.value, datum.value, datum.value, 1)


def _dimensions(dimensions: Sequence[Any]) -> frozenset[tuple[str, str]]:
    return frozenset((dimension.name, dimension.value) for dimension in dimensions)


def _seconds(time: datetime | str) -> float:
    """moto's times are UTC, with and without saying so."""
    parsed = datetime.fromisoformat(time) if isinstance(time, str) else time
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _act(emulator: Emulator, alarm: Any, before: str) -> None:
    """Publish to the topics of the new state. Other actions are CloudWatch's own: not here."""
    if not alarm.actions_enabled:
        return
    topics = moto_backend("sns", emulator)
    for arn in _actions(alarm):
        if arn in topics.topics:
            try:
                check_key(Account(region=emulator.region), CLOUDWATCH, alarm.alarm_arn, arn)
            except NotDelivered as error:
                log.warning("alarm %s did not reach %s: %s", alarm.name, arn, error)
                continue
            subject = f'{alarm.state_value}: "{alarm.name}"'
            topics.publish(json.dumps(_message(emulator, alarm, before)), arn=arn, subject=subject)
        elif ":sns:" in arn:
            log.warning("alarm %s found no topic %s", alarm.name, arn)


def _actions(alarm: Any) -> Iterator[str]:
    yield from {
        "ALARM": alarm.alarm_actions,
        "OK": alarm.ok_actions,
        "INSUFFICIENT_DATA": alarm.insufficient_data_actions,
    }[alarm.state_value] or ()


def _message(emulator: Emulator, alarm: Any, before: str) -> dict[str, Any]:
    """What subscribers of an alarm's topic get."""
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": ACCOUNT_ID,
        "NewStateValue": alarm.state_value,
        "OldStateValue": before,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": alarm.state_updated_timestamp.isoformat(),
        "Region": emulator.region,
        "AlarmArn": alarm.alarm_arn,
        "Trigger": {
            "MetricName": alarm.metric_name,
            "Namespace": alarm.namespace,
            "Threshold": alarm.threshold,
            "Dimensions": [{"name": d.name, "value": d.value} for d in alarm.dimensions],
        },
    }
