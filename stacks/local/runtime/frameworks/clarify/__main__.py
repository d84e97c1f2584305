"""Read the analysis configuration, compute what it asks for, and write analysis.json.

Inputs and outputs lie where the developer guide says ("Configure a SageMaker Clarify Processing
Job"). Of the report, report.html is written; AWS's notebook and PDF are not. Where the job is told
of a baseline (`baseline_constraints`, an earlier analysis.json), what has drifted from it is
listed in constraint_violations.json.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stacks.local.runtime.frameworks.install import OPT_ML
from stacks.local.runtime.frameworks.outcome import Refused, tell

INPUT = OPT_ML / "processing/input"
OUTPUT = OPT_ML / "processing/output"
NOT_BUILT = ("asymmetric_shapley_value",)
NOT_READ = (
    "facet_dataset_uri",
    "predicted_label_dataset_uri",
    "segment_config",
    "time_series_data_config",
)


def main(environment: Mapping[str, str]) -> int:
    """Analyze, and leave message and exit code."""
    return tell(lambda: analyze(environment))


def analyze(environment: Mapping[str, str]) -> int:
    """Write the results; how many of them violate the baseline."""
    from stacks.local.runtime.frameworks.clarify import bias, drift, explain, report
    from stacks.local.runtime.frameworks.clarify.dataset import read
    from stacks.local.runtime.frameworks.clarify.predictor import predictor

    config = _config()
    methods = config.get("methods") or {}
    if told := list(_not_built(config, methods)):
        raise Refused(f"{', '.join(told)} of the analysis configuration is not emulated")
    data = read(INPUT / "data", config)
    found: dict[str, Any] = {"version": "1.0"}
    if "pre_training_bias" in methods:
        found["pre_training_bias_metrics"] = bias.before_training(data, config)
    asks_model = {"post_training_bias", "shap", "pdp"} & methods.keys()
    needs_model = bool(asks_model - {"post_training_bias"}) or (
        bool(asks_model) and data.predicted is None
    )
    OUTPUT.mkdir(parents=True, exist_ok=True)
    with predictor(config, environment, needed=needs_model) as ask:
        if "post_training_bias" in methods:
            found["post_training_bias_metrics"] = bias.after_training(data, config, ask)
        if ask is not None and {"shap", "pdp"} & methods.keys():
            found["explanations"] = explain.explanations(data, config, ask, OUTPUT)
    (OUTPUT / "analysis.json").write_text(json.dumps(found, indent=1))
    if "report" in methods:
        (OUTPUT / "report.html").write_text(report.page(found, methods["report"]))
    baseline = environment.get("baseline_constraints")
    if not baseline:
        return 0
    before = json.loads((OPT_ML / baseline.removeprefix("/opt/ml/")).read_text())
    violations = drift.violations(before, found)
    listed = {"version": "1.0", "violations": violations}
    (OUTPUT / "constraint_violations.json").write_text(json.dumps(listed, indent=1))
    return len(violations)


def _config() -> dict[str, Any]:
    folder = INPUT / "config"
    paths = sorted(folder.rglob("*.json")) if folder.is_dir() else []
    if not paths:
        raise Refused(f"there is no analysis_config.json in {_contract(folder)}")
    try:
        found = json.loads(paths[0].read_text())
    except json.JSONDecodeError as error:
        raise Refused(f"{_contract(paths[0])} is no JSON: {error}") from error
    if not isinstance(found, dict) or not found.get("methods"):
        raise Refused(f"{_contract(paths[0])} must have methods")
    return found


def _not_built(config: Mapping[str, Any], methods: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"methods.{name}" for name in NOT_BUILT if name in methods)
    yield from (name for name in NOT_READ if name in config)
    shap = methods.get("shap") or {}
    for name in ("text_config", "image_config", "features_to_explain"):
        if name in shap:
            yield f"methods.shap.{name}"


def _contract(path: Path) -> str:
    """A path as the container knows it."""
    return f"/opt/ml/{path.relative_to(OPT_ML)}"


if __name__ == "__main__":
    sys.exit(main(os.environ))
