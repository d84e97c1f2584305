"""A data contract, and what Great Expectations says of one month of data under it.

Great Expectations takes seconds to import, so it is imported where a contract is checked.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipelines.toolkit.window import midnight, month_bounds

if TYPE_CHECKING:
    import pandas as pd

HOURS_INTO_MONTH = "hours_into_month"
"""Hours from the month's first local midnight to `time_hour`; added before the check."""

UNREADABLE = "unreadable_numbers"
"""How many cells of the row should be numbers and are not; added before the check."""


def expect(kind: str, **kwargs: Any) -> dict[str, Any]:
    """One expectation in Great Expectations' own serialised form."""
    return {"type": f"expect_{kind}", "kwargs": kwargs}


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What one month of one dataset must hold."""

    name: str
    texts: Sequence[str]
    numbers: Sequence[str]
    expectations: Sequence[Mapping[str, Any]]
    rows_per_day: int
    """The month's mean must not be below."""

    days_missing: int = 0
    """Days of the month that may have no row. Default: none."""

    def extended(
        self, *, numbers: Sequence[str] = (), expectations: Sequence[Mapping[str, Any]] = ()
    ) -> "Contract":
        """The same contract with more columns and expectations."""
        return replace(
            self,
            numbers=(*self.numbers, *numbers),
            expectations=(*self.expectations, *expectations),
        )

    def suite(self, month: str) -> list[Mapping[str, Any]]:
        """All expectations of one month, those that follow from its calendar first."""
        first, after = month_bounds(month)
        days = (after - first).days
        hours = (midnight(after) - midnight(first)).total_seconds() / 3600
        return [
            expect(
                "table_columns_to_match_set",
                column_set=[*self.texts, *self.numbers],
                exact_match=False,
            ),
            expect("table_row_count_to_be_between", min_value=self.rows_per_day * days),
            expect(
                "column_unique_value_count_to_be_between",
                column="day",
                min_value=days - self.days_missing,
                max_value=days,
            ),
            expect("column_values_to_be_in_set", column="year", value_set=[first.year]),
            expect("column_values_to_be_in_set", column="month", value_set=[first.month]),
            expect("column_values_to_be_in_set", column=UNREADABLE, value_set=[0]),
            expect("column_values_to_not_be_null", column=HOURS_INTO_MONTH),
            expect(
                "column_values_to_be_between",
                column=HOURS_INTO_MONTH,
                min_value=0,
                max_value=hours,
                strict_max=True,
            ),
            *self.expectations,
        ]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One expectation that does not hold."""

    expectation: str
    """With its column, as `expect_column_values_to_not_be_null(carrier)`."""

    column: str | None
    unexpected: int | None
    """Rows against it; None where it speaks of the whole table."""

    detail: str
    """What was seen."""


@dataclass(frozen=True, kw_only=True)
class ContractResult:
    """What a check found."""

    failures: Sequence[Failure]
    reasons: "pd.Series[str]"
    """By row: the expectations it breaks, joined by `; `; empty where it breaks none."""

    @property
    def passed(self) -> bool:
        return not self.failures


def check(contract: Contract, frame: "pd.DataFrame", month: str) -> ContractResult:
    """Check one month of data; the frame's index comes back on the verdict's reasons."""
    import pandas as pd

    prepared = _prepared(contract, frame.reset_index(drop=True), month)
    present = {*prepared.columns}
    suite = [entry for entry in contract.suite(month) if _columns(entry) <= present]
    failures = []
    reasons: list[list[str]] = [[] for _ in range(len(frame))]
    for entry, result in zip(suite, _ask(contract.name, suite, prepared), strict=True):
        if result["success"]:
            continue
        failure = _failure(entry, result)
        failures.append(failure)
        for row in result["result"].get("unexpected_index_list") or ():
            reasons[row].append(failure.expectation)
    joined = ["; ".join(broken) for broken in reasons]
    return ContractResult(
        failures=failures, reasons=pd.Series(joined, index=frame.index, dtype=str)
    )


def _ask(
    name: str, suite: Sequence[Mapping[str, Any]], frame: "pd.DataFrame"
) -> list[dict[str, Any]]:
    """Great Expectations' results, in the order of the suite."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.expectations.expectation_configuration import (
        ExpectationConfiguration,
    )

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    configurations = [
        ExpectationConfiguration(**entry, meta={"at": at}) for at, entry in enumerate(suite)
    ]
    batch = (
        context.data_sources.add_pandas(name)
        .add_dataframe_asset(name)
        .add_batch_definition_whole_dataframe(name)
        .get_batch({"dataframe": frame})
    )
    outcome = batch.validate(
        gx.ExpectationSuite(name=name, expectations=configurations),
        result_format={"result_format": "COMPLETE", "return_unexpected_index_query": False},
    )
    results = [result.to_json_dict() for result in outcome.results]
    return sorted(results, key=lambda result: result["expectation_config"]["meta"]["at"])


def _prepared(contract: Contract, frame: "pd.DataFrame", month: str) -> "pd.DataFrame":
    """The frame with numbers as numbers and the columns that expectations need besides."""
    import pandas as pd

    prepared = frame.copy()
    unreadable = pd.Series(0, index=frame.index)
    for column in set(contract.numbers) & set(frame.columns):
        numbers = pd.to_numeric(frame[column], errors="coerce")
        unreadable += (numbers.isna() & frame[column].notna()).astype(int)
        prepared[column] = numbers
    prepared[UNREADABLE] = unreadable
    if "time_hour" in frame:
        since = pd.Timestamp(midnight(month_bounds(month)[0]))
        times = pd.to_datetime(frame["time_hour"], utc=True, format="ISO8601", errors="coerce")
        prepared[HOURS_INTO_MONTH] = (times - since).dt.total_seconds() / 3600
    return prepared


def _columns(entry: Mapping[str, Any]) -> set[str]:
    """The columns an expectation reads."""
    kwargs = entry["kwargs"]
    return {kwargs["column"]} if "column" in kwargs else {*kwargs.get("column_list", ())}


def _failure(entry: Mapping[str, Any], result: Mapping[str, Any]) -> Failure:
    found = result["result"]
    columns = sorted(_columns(entry))
    missing = found.get("details", {}).get("mismatched", {}).get("missing", ())
    if missing:
        columns, detail = list(missing), "missing"
    elif "observed_value" in found:
        detail = f"observed {found['observed_value']}"
    else:
        examples = dict.fromkeys(str(value) for value in found.get("partial_unexpected_list", ()))
        detail = f"such as {', '.join(list(examples)[:3])}"
    label = ", ".join(columns if missing else entry["kwargs"].get("column_list", columns))
    return Failure(
        expectation=f"{entry['type']}({label})" if label else entry["type"],
        column=columns[0] if len(columns) == 1 else None,
        unexpected=found.get("unexpected_count"),
        detail=detail,
    )
