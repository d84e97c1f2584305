"""Metric math and rules of composite alarms: what they compute, and what alarms do with it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from stacks.local.aws.alarm_expressions import NotUnderstood, Series, computed, holds
from tests.kits.local_cloud import Cloud
from tests.kits.path import wait_until

STATES = {"high": "ALARM", "low": "OK", "new": "INSUFFICIENT_DATA", "a b": "ALARM"}
RULES = {
    'ALARM("high")': True,
    "ALARM(high)": True,
    "ALARM(low)": False,
    "OK(low) AND INSUFFICIENT_DATA(new)": True,
    'ALARM("high") AND NOT OK("low")': False,
    '(ALARM("low") OR ALARM("a b")) AND ALARM(high)': True,
    "NOT (ALARM(high) AND TRUE) OR FALSE": False,
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_holds_by_the_states_that_it_names(rule: str) -> None:
    assert holds(rule, STATES.get) is RULES[rule]


@pytest.mark.parametrize(
    "rule", ["ALARM(gone)", "ALARM(high) XOR OK(low)", "__import__('os')", "1"]
)
def test_a_rule_that_is_none_is_refused(rule: str) -> None:
    with pytest.raises(NotUnderstood):
        holds(rule, STATES.get)


SERIES: dict[str, Series] = {"errors": [1.0, None, 3.0], "calls": [10.0, 0.0, 4.0]}
MATH: dict[str, Series] = {
    "errors / calls * 100": [10.0, None, 75.0],
    "100 - errors": [99.0, None, 97.0],
    "calls / errors": [10.0, None, 4 / 3],
    "FILL(errors, 0) + calls": [11.0, 0.0, 7.0],
    "IF(calls > 5, FILL(errors, 0))": [1.0, 0.0, 0.0],
    "SUM([errors, calls])": [11.0, 0.0, 7.0],
    "MAX(METRICS())": [10.0, 0.0, 4.0],
    "AVG(errors)": [2.0, 2.0, 2.0],
    "CEIL(errors / 2) ^ 2": [1.0, None, 4.0],
    "errors / (calls - calls)": [None, None, None],
    "-ABS(0 - errors)": [-1.0, None, -3.0],
}


@pytest.mark.parametrize("expression", MATH)
def test_an_expression_is_computed_period_by_period(expression: str) -> None:
    assert computed(expression, SERIES) == MATH[expression]


@pytest.mark.parametrize(
    "expression", ["RATE(errors)", "other + 1", "[errors, calls]", "errors.real", "errors +", "'a'"]
)
def test_an_expression_that_is_not_evaluated_is_said(expression: str) -> None:
    with pytest.raises(NotUnderstood):
        computed(expression, SERIES)


def metric(name: str, metric_id: str) -> dict[str, Any]:
    stat = {"Metric": {"Namespace": "tests", "MetricName": name}, "Period": 60, "Stat": "Sum"}
    return {"Id": metric_id, "MetricStat": stat, "ReturnData": False}


def test_alarms_of_math_and_of_alarms_move_by_themselves(cloud: Cloud) -> None:
    cloudwatch = cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="share",
        Metrics=[
            metric("Errors", "e"),
            metric("Calls", "c"),
            {"Id": "share", "Expression": "e / c", "ReturnData": True},
        ],
        EvaluationPeriods=2,
        DatapointsToAlarm=1,
        Threshold=0.1,
        ComparisonOperator="GreaterThanThreshold",
    )
    cloudwatch.put_metric_alarm(
        AlarmName="odd",
        Metrics=[metric("Calls", "c"), {"Id": "r", "Expression": "RATE(c)", "ReturnData": True}],
        EvaluationPeriods=1,
        Threshold=0.1,
        ComparisonOperator="GreaterThanThreshold",
    )
    cloudwatch.put_composite_alarm(AlarmName="both", AlarmRule='ALARM("share") AND NOT ALARM(odd)')
    now = datetime.now(UTC)
    cloudwatch.put_metric_data(
        Namespace="tests",
        MetricData=[
            {"MetricName": "Errors", "Timestamp": now, "Value": 3},
            {"MetricName": "Calls", "Timestamp": now, "Value": 10},
        ],
    )

    def states() -> dict[str, str]:
        answer = cloudwatch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        return {
            alarm["AlarmName"]: alarm["StateValue"]
            for alarm in [*answer["MetricAlarms"], *answer["CompositeAlarms"]]
        }

    wait_until(lambda: states()["both"] == "ALARM")
    assert states()["share"] == "ALARM" and states()["odd"] == "OK"
    wait_until(
        lambda: "alarm odd stays OK: 'RATE(c)'" in (cloud.home / "local/cloud.log").read_text()
    )
