"""The data contracts of the workloads: what real months hold, and what breaks them."""

import importlib
import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from pipelines.block_time import contract as block_time
from pipelines.flight_delay import contract as flight_delay
from pipelines.toolkit.contract import Contract, ContractResult, check
from pipelines.toolkit.flights import SCHEDULE
from pipelines.weather.contract import WEATHER
from tests.kits.pipelines import MONTHS, month

SHIPPED = ("block_time", "flight_delay", "weather")
CONTRACTS = [flight_delay.FLIGHTS, block_time.FLIGHTS, WEATHER]


def test_every_contract_of_a_workload_is_tested_here() -> None:
    modules = [importlib.import_module(f"pipelines.{name}.contract") for name in SHIPPED]
    held = [vars(module) for module in modules]
    contracts = [value for names in held for value in names.values() if type(value) is Contract]
    assert {id(contract) for contract in contracts} - {id(SCHEDULE)} == set(map(id, CONTRACTS))


@pytest.mark.parametrize("name", MONTHS)
def test_every_real_month_holds_the_contract(name: str) -> None:
    for contract in CONTRACTS:
        assert check(contract, month(contract.name, name), name).failures == []


def spoilt(dataset: str, spoil: Callable[[pd.DataFrame], pd.DataFrame]) -> ContractResult:
    contract: Contract = {"flights": flight_delay.FLIGHTS, "weather": WEATHER}[dataset]
    return check(contract, spoil(month(dataset, "2013-02")), "2013-02")


def cells(column: str, value: Any, rows: int = 3) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Put a value into a column of the first rows."""

    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        frame[column] = frame[column].astype(object)
        frame.loc[frame.index[:rows], column] = value
        return frame

    return spoil


BETWEEN, IN_SET, NOT_NULL = "values_to_be_between", "values_to_be_in_set", "values_to_not_be_null"
ROW_FAULTS = [
    ("flights", cells("carrier", None), f"{NOT_NULL}(carrier)"),
    ("flights", cells("carrier", "United"), "values_to_match_regex(carrier)"),
    ("flights", cells("distance", -200), f"{BETWEEN}(distance)"),
    ("flights", cells("distance", "far"), f"{IN_SET}(unreadable_numbers)"),
    ("flights", cells("origin", "SFO"), f"{IN_SET}(origin)"),
    ("flights", cells("sched_dep_time", 2460), f"{BETWEEN}(sched_dep_time)"),
    ("flights", cells("minute", 75), f"{BETWEEN}(minute)"),
    ("flights", cells("time_hour", "2013-03-01T05:00:00Z"), f"{BETWEEN}(hours_into_month)"),
    ("flights", cells("time_hour", "2013-02-01T04:00:00Z"), f"{BETWEEN}(hours_into_month)"),
    ("flights", cells("time_hour", "yesterday"), f"{NOT_NULL}(hours_into_month)"),
    ("flights", cells("month", 3), f"{IN_SET}(month)"),
    ("weather", cells("origin", "SFO"), f"{IN_SET}(origin)"),
    ("weather", cells("temp", 999), f"{BETWEEN}(temp)"),
]


@pytest.mark.parametrize(("dataset", "spoil", "expectation"), ROW_FAULTS)
def test_a_bad_row_breaks_the_contract_and_is_set_aside(
    dataset: str, spoil: Callable[[pd.DataFrame], pd.DataFrame], expectation: str
) -> None:
    verdict = spoilt(dataset, spoil)
    told = [failure.expectation for failure in verdict.failures]
    assert f"expect_column_{expectation}" in told
    aside = verdict.reasons[verdict.reasons != ""]
    assert list(aside.index) == [0, 1, 2]
    assert all(expectation in reason for reason in aside)


def test_a_duplicated_flight_breaks_the_contract_in_both_rows() -> None:
    verdict = spoilt("flights", lambda frame: pd.concat([frame, frame[7:8]], ignore_index=True))
    (failure,) = verdict.failures
    assert failure.expectation.startswith("expect_compound_columns_to_be_unique(year, month, day")
    assert list(verdict.reasons[verdict.reasons != ""].index) == [7, 24951]


TABLE_FAULTS = [
    (lambda frame: frame[:15_000], "expect_table_row_count_to_be_between", "observed 15000"),
    (
        lambda frame: frame[frame["day"] != 14],
        "expect_column_unique_value_count_to_be_between(day)",
        "observed 27",
    ),
    (
        lambda frame: frame.drop(columns=["carrier", "tailnum"]),
        "expect_table_columns_to_match_set(carrier, tailnum)",
        "missing",
    ),
]


@pytest.mark.parametrize(("spoil", "expectation", "detail"), TABLE_FAULTS)
def test_a_bad_month_breaks_the_contract(
    spoil: Callable[[pd.DataFrame], pd.DataFrame], expectation: str, detail: str
) -> None:
    told = {failure.expectation: failure.detail for failure in spoilt("flights", spoil).failures}
    assert told[expectation] == detail


def test_labels_that_are_mostly_lost_break_the_contract() -> None:
    told = [f.expectation for f in spoilt("flights", cells("arr_delay", None, 9000)).failures]
    assert told == ["expect_column_values_to_not_be_null(arr_delay)"]


def test_each_workload_holds_its_own_label() -> None:
    lost = cells("air_time", None, 9000)(month("flights", "2013-02"))
    told = check(block_time.FLIGHTS, lost, "2013-02").failures
    assert [f.expectation for f in told] == ["expect_column_values_to_not_be_null(air_time)"]
    assert check(flight_delay.FLIGHTS, lost, "2013-02").failures == []


def test_the_suites_are_data_that_great_expectations_knows() -> None:
    import great_expectations.expectations as gxe

    kinds = {entry["type"] for c in CONTRACTS for entry in c.suite("2013-01")}
    known = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() for name in dir(gxe)}
    assert kinds <= known
