"""What Model Monitor's analyzer image does: a baseline of data or predictions, and a check by one.

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

from stacks.local.runtime.frameworks import cloudwatch_metrics
from stacks.local.runtime.frameworks.install import OPT_ML
from stacks.local.runtime.frameworks.outcome import Refused, tell

BEFORE, AFTER = "record_preprocessor_script", "post_analytics_processor_script"
CAPTURED, MERGED = "sagemakercapturejson", "sagemakermergejson"
DATA, MODEL = "DATA_QUALITY", "MODEL_QUALITY"
VIOLATIONS = "constraint_violations"


def main(environment: Mapping[str, str]) -> int:
    """Analyze, and leave message and exit code."""
    return tell(lambda: analyze(environment))


def analyze(environment: Mapping[str, str]) -> int:
    """Write statistics and constraints, and violations against a baseline; how many there are."""
    form = json.loads(environment["dataset_format"])
    is_of, options = next(iter(form.items()), ("", {}))
    captured = is_of.lower() in (CAPTURED, MERGED)
    told = [AFTER] if environment.get(AFTER) else []
    if environment.get(BEFORE) and not captured:
        told.append(f"{BEFORE} of what no endpoint captured")
    kind = environment.get("analysis_type", DATA)
    if kind not in (DATA, MODEL):
        told.append(f"analysis_type {kind}")
    if told:
        raise Refused(f"{', '.join(told)} is not emulated: {DATA} and {MODEL} are analyzed here")
    source = _here(environment["dataset_source"])
    table = _captured(source, is_of, options, environment) if captured else read(source, form)
    output = _here(environment.get("output_path", "/opt/ml/processing/output"))
    output.mkdir(parents=True, exist_ok=True)
    documents, measured = (_of_model if kind == MODEL else _of_data)(table, environment)
    for name, content in documents.items():
        (output / f"{name}.json").write_text(json.dumps(content, indent=1))
    cloudwatch_metrics.write(_here(cloudwatch_metrics.FOLDER), measured, environment)
    return len(documents.get(VIOLATIONS, {}).get("violations", ()))


def _of_data(
    table: Any, environment: Mapping[str, str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Name of a file -> its content; and the metrics."""
    from stacks.local.runtime.frameworks import data_quality

    rules = _baseline(environment, "constraints")
    table = _named_as(table, rules)
    found = data_quality.statistics(table)
    documents = {"statistics": found, "constraints": data_quality.constraints(found)}
    drifts: dict[str, float] = {}
    if rules is not None:
        baseline = _baseline(environment, "statistics") or {"features": []}
        if told := data_quality.refused(rules):
            raise Refused(f"{', '.join(told)} of the constraints is not emulated")
        documents[VIOLATIONS] = data_quality.violations(table, rules, baseline)
        drifts = data_quality.drifts(found, rules, baseline)
    if (rules or {}).get("monitoring_config", {}).get("emit_metrics") == "Disabled":
        return documents, []
    complete = data_quality.completeness(found)
    return documents, cloudwatch_metrics.of_data(found, complete, drifts)


def _of_model(
    table: Any, environment: Mapping[str, str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Name of a file -> its content; and the metrics."""
    from stacks.local.runtime.frameworks import model_quality

    found = model_quality.statistics(table, environment)
    suggested = model_quality.constraints(found, environment)
    documents = {"statistics": found, "constraints": suggested}
    rules = _baseline(environment, "constraints")
    if rules is not None:
        documents[VIOLATIONS] = model_quality.violations(found, rules, environment)
    return documents, cloudwatch_metrics.of_model(found)


def _captured(
    source: Path, form: str, options: Mapping[str, Any], environment: Mapping[str, str]
) -> Any:
    """What an endpoint captured, with the truth that belongs to it where it is to be merged."""
    import pandas

    from stacks.local.runtime.frameworks import captured

    if form.lower() == MERGED:
        rows = captured.merged(source, _here(captured.TRUTHS))
    else:
        script = environment.get(BEFORE)
        parts = options.get("captureIndexNames", captured.PARTS)
        rows = captured.rows(source, parts, _here(script) if script else None)
    if not rows:
        raise Refused(f"there is no data in {source}")
    return pandas.DataFrame(rows).fillna("")


def _named_as(table: Any, rules: Any) -> Any:
    """Columns without a name have those of the baseline, in their order."""
    if rules is None or not all(str(name).startswith("_c") for name in table.columns):
        return table
    wanted = [feature["name"] for feature in rules.get("features", ())]
    return table.rename(columns=dict(zip(table.columns, wanted, strict=False)))


def _baseline(environment: Mapping[str, str], name: str) -> Any:
    """A document of the baseline; None where none is told."""
    path = environment.get(f"baseline_{name}")
    return json.loads(_here(path).read_text()) if path else None


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


if __name__ == "__main__":
    sys.exit(main(os.environ))
