"""What Model Monitor's analyzer image does for data quality: a baseline, and a check against one.

It is told by the environment, as the prebuilt container is (developer guide, "Container contract
inputs"): `dataset_source`, `dataset_format`, `output_path`, and `baseline_constraints` with
`baseline_statistics` where there is a baseline to check against.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stacks.local.runtime.frameworks.install import OPT_ML

SCRIPTS = ("record_preprocessor_script", "post_analytics_processor_script")
METRICS = "publish_cloudwatch_metrics"


class Refused(Exception):
    """What this analyzer does not do, or cannot read."""


def main(environment: Mapping[str, str]) -> int:
    """Analyze, and say how it went where a processing job's message is read; the exit code."""
    code, told = 0, "Completed: Job completed successfully with no violations."
    try:
        if found := analyze(environment):
            told = f"CompletedWithViolations: Job completed successfully with {found} violations."
    except Refused as error:
        code, told = 1, f"ClientError: {error}"
    message = OPT_ML / "output" / "message"
    message.parent.mkdir(parents=True, exist_ok=True)
    message.write_text(told)
    return code


def analyze(environment: Mapping[str, str]) -> int:
    """Write statistics and constraints, and violations against a baseline; how many there are."""
    from stacks.local.runtime.frameworks import data_quality

    told = [name for name in SCRIPTS if environment.get(name)]
    if environment.get(METRICS, "Disabled") != "Disabled":
        told.append(f"{METRICS} {environment[METRICS]}")
    if environment.get("analysis_type", "DATA_QUALITY") != "DATA_QUALITY":
        told.append(f"analysis_type {environment['analysis_type']}")
    if told:
        raise Refused(f"{', '.join(told)} is not emulated: data quality alone is analyzed here")
    table = read(_here(environment["dataset_source"]), json.loads(environment["dataset_format"]))
    output = _here(environment.get("output_path", "/opt/ml/processing/output"))
    output.mkdir(parents=True, exist_ok=True)
    statistics = data_quality.statistics(table)
    _write(output / "statistics.json", statistics)
    _write(output / "constraints.json", data_quality.constraints(statistics))
    if "baseline_constraints" not in environment:
        return 0
    rules, baseline = (
        json.loads(_here(environment[f"baseline_{name}"]).read_text())
        for name in ("constraints", "statistics")
    )
    if told := data_quality.refused(rules):
        raise Refused(f"{', '.join(told)} of the constraints is not emulated")
    violations = data_quality.violations(table, rules, baseline)
    _write(output / "constraint_violations.json", violations)
    return len(violations["violations"])


def read(folder: Path, form: Mapping[str, Any]) -> Any:
    """The table in the files of a folder."""
    import pandas

    kind, options = next(iter(form.items()))
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if not paths:
        raise Refused(f"there is no data in {folder}")
    if kind.lower() == "csv":
        header = 0 if options.get("header", options.get("Header", True)) else None
        tables = [
            pandas.read_csv(path, header=header, dtype=str, keep_default_na=False) for path in paths
        ]
        if header is None:  # as Spark names them
            tables = [table.rename(columns=lambda n: f"_c{n}") for table in tables]
    elif kind.lower() == "json":
        lines = bool(options.get("lines", options.get("Line", True)))
        tables = [pandas.read_json(path, lines=lines, dtype=False) for path in paths]
    elif kind.lower() == "parquet":
        tables = [pandas.read_parquet(path) for path in paths]
    else:
        raise Refused(f"dataset_format {kind} is not emulated: csv, json and parquet are read")
    return pandas.concat(tables, ignore_index=True)


def _here(path: str) -> Path:
    """A path of the contract, where this job has it."""
    return OPT_ML / path.removeprefix("/opt/ml/") if path.startswith("/opt/ml/") else Path(path)


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    sys.exit(main(os.environ))
