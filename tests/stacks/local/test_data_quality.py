"""What stands for Model Monitor's analyzer: statistics, suggested constraints and violations."""

import json
from pathlib import Path
from typing import Any

import pandas
import pytest

from stacks.local.runtime.frameworks import analyze, data_quality, outcome

ROWS = 400
BASE = pandas.DataFrame(
    {
        "delay": [float(n % 40) + 0.5 for n in range(ROWS)],
        "seats": list(range(ROWS)),
        "carrier": ["AA" if n % 2 else "UA" for n in range(ROWS)],
        "note": ["" if n % 4 == 0 else f"n{n}" for n in range(ROWS)],
    }
)


def feature(found: Any, name: str) -> Any:
    return next(item for item in found["features"] if item["name"] == name)


def test_statistics_say_what_a_column_holds() -> None:
    found = data_quality.statistics(BASE.astype(str))
    assert found["dataset"] == {"item_count": ROWS}
    kinds = {item["name"]: item["inferred_type"] for item in found["features"]}
    assert kinds == {
        "delay": "Fractional",
        "seats": "Integral",
        "carrier": "String",
        "note": "String",
    }
    seats = feature(found, "seats")["numerical_statistics"]
    assert (seats["min"], seats["max"], seats["mean"], seats["sum"]) == (0, 399, 199.5, 79_800)
    assert seats["std_dev"] == pytest.approx(115.47, abs=0.01)
    buckets = seats["distribution"]["kll"]["buckets"]
    assert len(buckets) == 10 and sum(bucket["count"] for bucket in buckets) == ROWS
    carrier = feature(found, "carrier")["string_statistics"]
    assert carrier["distinct_count"] == 2
    assert carrier["distribution"]["categorical"]["buckets"][0]["count"] == 200
    assert feature(found, "note")["string_statistics"]["common"] == {
        "num_present": 300,
        "num_missing": 100,
    }


def test_constraints_are_what_the_baseline_keeps_to() -> None:
    rules = data_quality.constraints(data_quality.statistics(BASE))
    assert feature(rules, "seats") == {
        "name": "seats",
        "inferred_type": "Integral",
        "completeness": 1.0,
        "num_constraints": {"is_non_negative": True},
    }
    assert feature(rules, "carrier")["string_constraints"] == {"domains": ["AA", "UA"]}
    assert feature(rules, "note")["completeness"] == 0.75
    assert "string_constraints" not in feature(rules, "note")
    assert rules["monitoring_config"]["distribution_constraints"]["comparison_threshold"] == 0.1


def checks(table: pandas.DataFrame, **config: Any) -> list[tuple[str, str]]:
    """Feature and check of what a table violates of the baseline."""
    baseline = data_quality.statistics(BASE)
    rules = data_quality.constraints(baseline)
    rules["monitoring_config"] = {**rules["monitoring_config"], **config}
    found = data_quality.violations(table, rules, baseline)["violations"]
    return [(item["feature_name"].strip(), item["constraint_check_type"]) for item in found]


VIOLATED: dict[str, tuple[pandas.DataFrame, list[tuple[str, str]]]] = {
    "nothing": (BASE, []),
    "less of the same": (BASE.sample(200, random_state=1), []),
    "a shift": (BASE.assign(delay=BASE.delay + 20), [("delay", "baseline_drift_check")]),
    "another mix": (BASE.assign(carrier="AA"), [("carrier", "baseline_drift_check")]),
    "text among numbers": (
        BASE.astype(str).assign(seats=["many", *map(str, range(1, ROWS))]),
        [("seats", "data_type_check")],
    ),
    "fractions among integers": (
        BASE.assign(seats=BASE.seats + 0.5),
        [("seats", "data_type_check")],
    ),
    "holes": (
        BASE.assign(delay=BASE.delay.where(BASE.seats > 9)),
        [("delay", "completeness_check")],
    ),
    "an unknown value": (
        BASE.assign(carrier=["XX", *BASE.carrier[1:]]),
        [("carrier", "categorical_values_check")],
    ),
    "a missing column": (BASE.drop(columns="seats"), [("", "missing_column_check")]),
    "an extra column": (BASE.assign(more=1), [("", "extra_column_check")]),
}


@pytest.mark.parametrize("case", VIOLATED)
def test_a_violation_is_named_by_its_check(case: str) -> None:
    table, expected = VIOLATED[case]
    assert checks(table) == expected


def test_the_configuration_of_the_constraints_decides() -> None:
    shifted = BASE.assign(delay=BASE.delay + 20)
    drift = data_quality.CONFIG["distribution_constraints"]
    assert checks(shifted, distribution_constraints={"comparison_threshold": 0.9}) == []
    off = {**drift, "perform_comparison": "Disabled"}
    assert checks(shifted, distribution_constraints=off) == []
    assert checks(shifted, evaluate_constraints="Disabled") == []
    few = BASE.head(30).assign(delay=BASE.delay.head(30) + 4)
    simple = {**drift, "comparison_method": "Simple"}
    assert ("delay", "baseline_drift_check") in checks(few, distribution_constraints=simple)
    assert ("delay", "baseline_drift_check") not in checks(few), "too few rows to tell"


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a job, as /opt/ml."""
    for module in (analyze, outcome):
        monkeypatch.setattr(module, "OPT_ML", tmp_path)
    (tmp_path / "processing/input/data").mkdir(parents=True)
    return tmp_path


SOURCE = "/opt/ml/processing/input/data"
OUTPUT = "/opt/ml/processing/output"


def environment(form: Any, **more: str) -> dict[str, str]:
    told = {"dataset_source": SOURCE, "output_path": OUTPUT, "dataset_format": json.dumps(form)}
    return {**told, **more}


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ({"csv": {"header": True, "output_columns_position": "START"}}, "part.csv"),
        ({"json": {"lines": True}}, "part.jsonl"),
        ({"Parquet": {}}, "part.parquet"),
    ],
)
def test_a_table_is_read_in_its_format_and_checked(form: Any, name: str, job: Path) -> None:
    path = job / "processing/input/data" / name
    writers = {
        "part.csv": lambda: BASE.to_csv(path, index=False),
        "part.jsonl": lambda: BASE.to_json(path, orient="records", lines=True),
        "part.parquet": lambda: BASE.to_parquet(path),
    }
    writers[name]()
    assert analyze.main(environment(form)) == 0
    output = job / "processing/output"
    assert sorted(item.name for item in output.iterdir()) == ["constraints.json", "statistics.json"]
    assert (job / "output/message").read_text().startswith("Completed: ")
    statistics = json.loads((output / "statistics.json").read_text())
    assert statistics == data_quality.statistics(BASE)
    baseline = job / "processing/baseline"
    output.rename(baseline)
    paths = {
        f"baseline_{part}": f"/opt/ml/processing/baseline/{part}.json"
        for part in ("constraints", "statistics")
    }
    assert analyze.main(environment(form, **paths)) == 0
    report = json.loads((output / "constraint_violations.json").read_text())
    assert report == {"violations": []}


MONITORED = {
    "publish_cloudwatch_metrics": "Enabled",
    "sagemaker_endpoint_name": "flights",
    "sagemaker_monitoring_schedule_name": "hourly",
}


def left(job: Path) -> dict[str, Any]:
    """Metric -> what the analyzer left of it for CloudWatch."""
    told = [
        json.loads(line)
        for file in (job / "output/metrics/cloudwatch").glob("*")
        for line in file.read_text().splitlines()
    ]
    return {one["MetricName"]: one for one in told}


def test_what_a_schedule_measures_is_left_for_cloudwatch(job: Path) -> None:
    BASE.to_csv(job / "processing/input/data/part.csv", index=False)
    assert analyze.main(environment({"csv": {}}, **MONITORED)) == 0
    (job / "processing/output").rename(job / "processing/baseline")
    paths = {
        f"baseline_{part}": f"/opt/ml/processing/baseline/{part}.json"
        for part in ("constraints", "statistics")
    }
    BASE.assign(delay=BASE["delay"] + 1000).to_csv(
        job / "processing/input/data/part.csv", index=False
    )
    analyze.main(environment({"csv": {}}, **paths, **MONITORED))
    found = left(job)
    assert found["feature_data_seats"]["StatisticValues"] == {
        "SampleCount": 400,
        "Sum": 79_800,
        "Minimum": 0,
        "Maximum": 399,
    }
    assert "feature_data_carrier" not in found
    assert found["feature_non_null_note"]["Value"] == 0.75
    assert found["feature_baseline_drift_seats"]["Value"] == 0
    assert found["feature_baseline_drift_delay"]["Value"] > 0.8
    assert found["feature_non_null_note"]["Dimensions"] == [
        {"Name": "Endpoint", "Value": "flights"},
        {"Name": "MonitoringSchedule", "Value": "hourly"},
    ]


@pytest.mark.parametrize(
    "told",
    [
        {**MONITORED, "publish_cloudwatch_metrics": "Disabled"},
        {**MONITORED, "sagemaker_monitoring_schedule_name": ""},
        {**MONITORED, "baseline_constraints": "/opt/ml/processing/rules.json"},
    ],
)
def test_nothing_is_left_where_nobody_wants_metrics(told: dict[str, str], job: Path) -> None:
    BASE.to_csv(job / "processing/input/data/part.csv", index=False)
    rules = data_quality.constraints(data_quality.statistics(BASE))
    rules["monitoring_config"]["emit_metrics"] = "Disabled"
    (job / "processing/rules.json").write_text(json.dumps(rules))
    assert analyze.main(environment({"csv": {}}, **told)) == 0
    assert left(job) == {}


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"analysis_type": "MODEL_BIAS"}, "analysis_type MODEL_BIAS is not emulated"),
        (
            {"record_preprocessor_script": "x.py"},
            "record_preprocessor_script of what no endpoint captured is not emulated",
        ),
        (
            {"post_analytics_processor_script": "x.py"},
            "post_analytics_processor_script is not emulated",
        ),
        (
            {"dataset_format": '{"sagemakerCaptureJson": {}}'},
            "part.csv, line 1 must be a JSON object",
        ),
        ({"dataset_format": '{"orc": {}}'}, "dataset_format orc is not emulated"),
        ({"dataset_source": "/opt/ml/processing/none"}, "there is no data in"),
    ],
)
def test_what_is_not_analyzed_fails_the_job_by_name(
    told: dict[str, str], reason: str, job: Path
) -> None:
    BASE.to_csv(job / "processing/input/data/part.csv", index=False)
    assert analyze.main({**environment({"csv": {}}), **told}) == 1
    assert (job / "output/message").read_text().startswith(f"ClientError: {reason}")


CHI = {"distribution_constraints": {"categorical_drift_method": "ChiSquared"}}


def test_constraints_that_ask_for_what_is_not_computed_fail_the_job_by_name(
    job: Path,
) -> None:
    BASE.to_csv(job / "processing/input/data/part.csv", index=False)
    assert analyze.main(environment({"csv": {}})) == 0
    baseline = job / "processing/output"
    path = baseline / "constraints.json"
    rules = json.loads(path.read_text())
    rules["monitoring_config"] = CHI
    rules["features"][1]["monitoringConfigOverrides"] = {"emit_metrics": "Disabled"}
    path.write_text(json.dumps(rules))
    paths = {f"baseline_{path.stem}": f"{OUTPUT}/{path.name}" for path in baseline.iterdir()}
    assert analyze.main(environment({"csv": {}}, **paths, output_path=f"{OUTPUT}/two")) == 1
    assert (job / "output/message").read_text() == (
        "ClientError: categorical_drift_method ChiSquared, monitoringConfigOverrides of seats of "
        "the constraints is not emulated"
    )
