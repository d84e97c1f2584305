"""What of an analysis violates an earlier one.

A bias metric that is further from balance than the baseline's (0; 1 of DI, which is a ratio), and
global SHAP values whose ranking scores below 0.9 (nDCG) against the baseline's. Source: developer
guide, "Bias Drift Violations" and "Model Feature Attribution Drift Violations".
"""

from collections.abc import Iterator, Mapping
from typing import Any

LEAST_NDCG = 0.9
BALANCE = {"DI": 1.0}
SECTIONS = ("pre_training_bias_metrics", "post_training_bias_metrics")

Document = dict[str, Any]


def violations(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Document]:
    """The violations of constraint_violations.json."""
    return [*_of_bias(before, now), *_of_attributions(before, now)]


def _of_bias(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Document]:
    for section in SECTIONS:
        bounds = dict(_metrics(before.get(section, {})))
        for key, value in _metrics(now.get(section, {})):
            facet, facet_value, name = key
            balance = BALANCE.get(name, 0.0)
            if key in bounds and abs(value - balance) > abs(bounds[key] - balance):
                yield {
                    "facet": facet,
                    "facet_value": facet_value,
                    "metric_name": name,
                    "constraint_check_type": "bias_drift_check",
                    "description": f"Value {value} does not meet the constraint requirement",
                }


def _metrics(section: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str, str], float]]:
    for facet, values in section.get("facets", {}).items():
        for one in values:
            for metric in one["metrics"]:
                if metric["value"] is not None:
                    key = (facet, str(one["value_or_threshold"]), metric["name"])
                    yield key, float(metric["value"])


def _of_attributions(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Document]:
    from sklearn.metrics import ndcg_score

    old, new = (one.get("explanations", {}).get("kernel_shap", {}) for one in (before, now))
    for label in sorted(old.keys() & new.keys()):
        values = [one[label]["global_shap_values"] for one in (old, new)]
        names = sorted(values[0].keys() & values[1].keys())
        if len(names) < 2:
            continue
        gains, scores = ([[abs(one[name]) for name in names]] for one in values)
        score = float(ndcg_score(gains, scores))
        if score < LEAST_NDCG:
            yield {
                "label": label,
                "metric_name": "shap",
                "constraint_check_type": "feature_attribution_drift_check",
                "description": f"Feature attribution drift {score} crosses threshold {LEAST_NDCG}",
            }
