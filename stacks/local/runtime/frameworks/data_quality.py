"""Statistics of a table, the constraints they suggest, and what of another table violates them.

The documents are those of Model Monitor's prebuilt container (SageMaker developer guide, "Schema
for Statistics", "Schema for Constraints" and "Schema for Violations"). What it leaves open is
decided here: a distribution's sketch holds up to 2,048 values at even ranks, distances are those of
Deequ, on which that container is built (largest difference of the distribution functions; Robust
takes off what samples of such sizes differ by anyhow).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy
import pandas

SKETCH, BUCKETS, SMALL_DOMAIN = 2048, 10, 10
MISSING = ("", "nan", "NaN", "null", "None")
CATEGORICAL = "LInfinity"
CONFIG: Mapping[str, Any] = {
    "evaluate_constraints": "Enabled",
    "emit_metrics": "Enabled",
    "datatype_check_threshold": 1.0,
    "domain_content_threshold": 1.0,
    "distribution_constraints": {
        "perform_comparison": "Enabled",
        "comparison_threshold": 0.1,
        "comparison_method": "Robust",
        "categorical_comparison_threshold": 0.1,
        "categorical_drift_method": CATEGORICAL,
    },
}
"""The monitoring_config that a baseline suggests."""

Document = dict[str, Any]


def statistics(table: pandas.DataFrame) -> Document:
    """The content of statistics.json."""
    features = [_statistics_of(str(name), table[name]) for name in table.columns]
    return {"version": 0, "dataset": {"item_count": len(table)}, "features": features}


def constraints(found: Mapping[str, Any]) -> Document:
    """The content of constraints.json that statistics suggest."""
    features = [_constraints_of(feature) for feature in found["features"]]
    return {"version": 0, "features": features, "monitoring_config": dict(CONFIG)}


def refused(rules: Mapping[str, Any]) -> list[str]:
    """What constraints ask for that is not computed here ("Schema for Constraints")."""
    drift = rules.get("monitoring_config", {}).get("distribution_constraints", {})
    method = drift.get("categorical_drift_method", CATEGORICAL)
    told = [f"categorical_drift_method {method}"] if method != CATEGORICAL else []
    own = [rule["name"] for rule in rules["features"] if rule.get("monitoringConfigOverrides")]
    return told + [f"monitoringConfigOverrides of {name}" for name in own]


def violations(
    table: pandas.DataFrame, rules: Mapping[str, Any], baseline: Mapping[str, Any]
) -> Document:
    """The content of constraint_violations.json: what a table violates of a baseline."""
    config = {**CONFIG, **rules.get("monitoring_config", {})}
    drift = _drift_config(config)
    if config["evaluate_constraints"] != "Enabled":
        return {"violations": []}
    found = {feature["name"]: feature for feature in statistics(table)["features"]}
    before = {feature["name"]: feature for feature in baseline["features"]}
    told = list(_columns(list(found), [feature["name"] for feature in rules["features"]]))
    for rule in rules["features"]:
        name = rule["name"]
        if name in found:
            told += _of_type(rule, table[name], config)
            told += _of_completeness(rule, found[name])
            told += _of_domain(rule, table[name], config)
            if name in before:
                told += _of_drift(before[name], found[name], drift)
    return {"violations": told}


def _values(column: Any) -> Any:
    """What of a column is there, as text where it is text."""
    present = column[column.notna()]
    return present[~present.astype(str).isin(MISSING)]


def _numbers(values: Any) -> Any:
    return pandas.to_numeric(values, errors="coerce")


def _inferred(values: Any) -> str:
    numbers = _numbers(values)
    if len(values) == 0:
        return "Unknown"
    if numbers.isna().any():
        return "String"
    return "Integral" if bool((numbers % 1 == 0).all()) else "Fractional"


def _statistics_of(name: str, column: Any) -> Document:
    values = _values(column)
    common = {"num_present": len(values), "num_missing": len(column) - len(values)}
    kind = _inferred(values)
    found: Document = {"name": name, "inferred_type": kind}
    if kind in ("Integral", "Fractional"):
        found["numerical_statistics"] = {"common": common, **_numerical(_numbers(values))}
    else:
        found["string_statistics"] = {"common": common, **_categorical(values.astype(str))}
    return found


def _numerical(numbers: Any) -> Document:
    values = numpy.sort(numbers.to_numpy(dtype=float))
    counts, edges = numpy.histogram(values, bins=BUCKETS)
    buckets = [
        {"lower_bound": float(low), "upper_bound": float(high), "count": float(count)}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    ranks = numpy.linspace(0, len(values) - 1, min(len(values), SKETCH)).round().astype(int)
    sketch = {"parameters": {"c": 0.64, "k": float(SKETCH)}, "data": [values[ranks].tolist()]}
    return {
        "mean": float(values.mean()),
        "sum": float(values.sum()),
        "std_dev": float(values.std()),
        "min": float(values[0]),
        "max": float(values[-1]),
        "distribution": {"kll": {"buckets": buckets, "sketch": sketch}},
    }


def _categorical(texts: Any) -> Document:
    counts = texts.value_counts()
    buckets = [{"value": str(v), "count": int(n)} for v, n in counts.head(SKETCH).items()]
    return {
        "distinct_count": len(counts),
        "distribution": {"categorical": {"buckets": buckets}},
    }


def _common(feature: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = feature.get("numerical_statistics") or feature["string_statistics"]
    return found


def _completeness(feature: Mapping[str, Any]) -> float:
    common = _common(feature)["common"]
    rows = common["num_present"] + common["num_missing"]
    return float(common["num_present"] / rows) if rows else 0.0


def _constraints_of(feature: Mapping[str, Any]) -> Document:
    found: Document = {
        "name": feature["name"],
        "inferred_type": feature["inferred_type"],
        "completeness": _completeness(feature),
    }
    if "numerical_statistics" in feature:
        found["num_constraints"] = {"is_non_negative": feature["numerical_statistics"]["min"] >= 0}
    elif 0 < feature["string_statistics"]["distinct_count"] <= SMALL_DOMAIN:
        buckets = feature["string_statistics"]["distribution"]["categorical"]["buckets"]
        found["string_constraints"] = {"domains": sorted(bucket["value"] for bucket in buckets)}
    return found


def _violation(name: str, check: str, description: str) -> Document:
    return {"feature_name": name, "constraint_check_type": check, "description": description}


def _columns(found: Sequence[str], expected: Sequence[str]) -> Iterator[Document]:
    checks = (
        ("missing", "missing_column_check", [name for name in expected if name not in found]),
        ("extra", "extra_column_check", [name for name in found if name not in expected]),
    )
    for word, check, names in checks:
        if names:
            told = f"There are {word} columns in current dataset: {', '.join(names)}"
            yield _violation(" ", check, f"{told}. It has {len(found)}, baseline {len(expected)}")


def _of_type(rule: Mapping[str, Any], column: Any, config: Mapping[str, Any]) -> list[Document]:
    kind, values = rule["inferred_type"], _values(column)
    if kind not in ("Integral", "Fractional") or len(values) == 0:
        return []
    numbers = _numbers(values)
    fit = numbers.notna() & (numbers % 1 == 0) if kind == "Integral" else numbers.notna()
    share, least = float(fit.mean()), float(config["datatype_check_threshold"])
    if share >= least:
        return []
    told = (
        f"Data type match requirement is not met. Expected data type: {kind}, Expected match: "
        f"{least:.2%}. Observed: Only {share:.2%} of data is {kind}."
    )
    return [_violation(rule["name"], "data_type_check", told)]


def _of_completeness(rule: Mapping[str, Any], found: Mapping[str, Any]) -> list[Document]:
    share, least = _completeness(found), float(rule.get("completeness", 0.0))
    if share >= least:
        return []
    told = f"Completeness {share:.4f} is below that of the baseline, {least:.4f}"
    return [_violation(rule["name"], "completeness_check", told)]


def _of_domain(rule: Mapping[str, Any], column: Any, config: Mapping[str, Any]) -> list[Document]:
    domain = rule.get("string_constraints", {}).get("domains")
    values = _values(column).astype(str)
    if not domain or len(values) == 0:
        return []
    share, least = float(values.isin(domain).mean()), float(config["domain_content_threshold"])
    if share >= least:
        return []
    told = f"Only {share:.2%} of values are known to the baseline, {least:.2%} must be"
    return [_violation(rule["name"], "categorical_values_check", told)]


def drifts(
    found: Mapping[str, Any], rules: Mapping[str, Any], baseline: Mapping[str, Any]
) -> dict[str, float]:
    """How far each feature of statistics is from the baseline, of those that can be compared."""
    before = {feature["name"]: feature for feature in baseline["features"]}
    drift = _drift_config({**CONFIG, **rules.get("monitoring_config", {})})
    told = {
        now["name"]: _distance(before[now["name"]], now, drift)
        for now in found["features"]
        if now["name"] in before
    }
    return {name: distance[0] for name, distance in told.items() if distance is not None}


def completeness(found: Mapping[str, Any]) -> dict[str, float]:
    """The share of each feature's values that are there."""
    return {feature["name"]: _completeness(feature) for feature in found["features"]}


def _drift_config(config: Mapping[str, Any]) -> dict[str, Any]:
    return {**CONFIG["distribution_constraints"], **config["distribution_constraints"]}


def _of_drift(
    before: Mapping[str, Any], now: Mapping[str, Any], config: Mapping[str, Any]
) -> list[Document]:
    distance = _distance(before, now, config)
    if distance is None or distance[0] <= distance[1]:
        return []
    told = f"Baseline drift distance: {distance[0]:.4f} exceeds threshold: {distance[1]}"
    return [_violation(now["name"], "baseline_drift_check", told)]


def _distance(
    before: Mapping[str, Any], now: Mapping[str, Any], config: Mapping[str, Any]
) -> tuple[float, float] | None:
    """Distance and threshold; None where the two are not compared."""
    if config["perform_comparison"] != "Enabled":
        return None
    numerical = "numerical_statistics" in before and "numerical_statistics" in now
    if numerical:
        most = float(config["comparison_threshold"])
        away = _linf(_sketch(before), _sketch(now))
    elif "string_statistics" in before and "string_statistics" in now:
        most = float(config["categorical_comparison_threshold"])
        away = _largest_share(before["string_statistics"], now["string_statistics"])
    else:  # another type, which the type check tells
        return None
    if config["comparison_method"] == "Robust":
        sizes = [_common(feature)["common"]["num_present"] for feature in (before, now)]
        away = max(0.0, away - 1.8 * math.sqrt(sum(sizes) / math.prod(sizes))) if all(sizes) else 0
    return away, most


def _sketch(feature: Mapping[str, Any]) -> Any:
    data = feature["numerical_statistics"]["distribution"]["kll"]["sketch"]["data"]
    return numpy.sort(numpy.concatenate([numpy.asarray(level, dtype=float) for level in data]))


def _linf(first: Any, second: Any) -> float:
    """The largest difference of two empirical distribution functions."""
    points = numpy.concatenate([first, second])
    shares = [numpy.searchsorted(s, points, side="right") / len(s) for s in (first, second)]
    return float(numpy.abs(shares[0] - shares[1]).max())


def _largest_share(before: Mapping[str, Any], now: Mapping[str, Any]) -> float:
    """The largest difference of a category's share."""
    shares = []
    for found in (before, now):
        buckets = found["distribution"]["categorical"]["buckets"]
        total = sum(bucket["count"] for bucket in buckets) or 1
        shares.append({bucket["value"]: bucket["count"] / total for bucket in buckets})
    names = shares[0].keys() | shares[1].keys()
    return max((abs(shares[0].get(n, 0) - shares[1].get(n, 0)) for n in names), default=0.0)
