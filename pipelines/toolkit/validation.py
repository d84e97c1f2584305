"""Check every month of raw data against its contract, and set the failing rows aside.

The program succeeds also when data fails: the report decides the pipeline's next condition, and the
failing rows leave with the job's outputs.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipelines.toolkit import job, tables
from pipelines.toolkit.contract import Contract, ContractResult, check

SUITE_VARIABLE = "GREAT_EXPECTATIONS_SUITE"
MESSAGE_LIMIT = 900
REASON_COLUMN = "failed_expectations"


def main(argv: list[str], contracts: Sequence[Contract]) -> None:
    """The program of a Validate step; the job's environment names the suites to hold."""
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    suites = {contract.name: contract for contract in contracts}
    names = [name for name in os.environ.get(SUITE_VARIABLE, "").split(",") if name]
    unknown = sorted(set(names) - suites.keys())
    if unknown or not names:
        known = ", ".join(sorted(suites))
        raise job.StepError(f"{SUITE_VARIABLE} must name suites of {known}, got {unknown or names}")
    failures, rows = [], 0
    for name in names:
        for path in sorted((job.given("raw") / name).glob("*.csv")):
            frame = tables.read(path)
            verdict = check(suites[name], frame, path.stem)
            rows += _quarantine(frame, verdict, suites[name], path.stem)
            failures += _told(verdict, suites[name], path)
    report = {
        "passed": not failures,
        "failed_expectations": [f"{entry['dataset']} {entry['expectation']}" for entry in failures],
        "failures": failures,
        "unexpected_rows": rows,
        "suites": names,
        "message": _message(failures),
    }
    job.write_json(job.result("report") / "report.json", report)
    print(f"contract broken: {report['message']}" if failures else "contract holds")


def _told(verdict: ContractResult, contract: Contract, path: Path) -> list[dict[str, object]]:
    """The verdict's failures for the report, and a line on the log for the month."""
    found = "passed" if verdict.passed else f"{len(verdict.failures)} expectations failed"
    print(f"{contract.name} {path.stem}: {len(verdict.reasons):,} rows, {found}")
    return [
        {
            "dataset": contract.name,
            "month": path.stem,
            "expectation": failure.expectation,
            "column": failure.column,
            "unexpected": failure.unexpected,
            "detail": failure.detail,
        }
        for failure in verdict.failures
    ]


def _quarantine(
    frame: pd.DataFrame, verdict: ContractResult, contract: Contract, month: str
) -> int:
    """Write the rows that break an expectation, with the expectations; how many there are."""
    failing = frame[verdict.reasons != ""]
    if len(failing):
        failing = failing.assign(**{REASON_COLUMN: verdict.reasons})
        failing.to_csv(job.result("quarantine") / f"{contract.name}-{month}.csv", index=False)
    else:
        job.result("quarantine")
    return len(failing)


def _message(failures: list[dict[str, object]]) -> str:
    """Every broken expectation in one line, for the execution's failure reason."""
    told = [
        f"{failure['dataset']} {failure['month']} {failure['expectation']} "
        + (f"{failure['unexpected']} rows" if failure["unexpected"] else str(failure["detail"]))
        for failure in failures
    ]
    message = "; ".join(told)
    return message if len(message) <= MESSAGE_LIMIT else f"{message[: MESSAGE_LIMIT - 3]}..."
