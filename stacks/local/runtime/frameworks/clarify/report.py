"""The page report.html of an analysis: metrics and importances as tables."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

STYLE = (
    "body{font:16px/1.5 sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;"
    "border-bottom:1px solid #ccc}td.n{text-align:right;font-variant-numeric:tabular-nums}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#eee}}"
)
TITLES = {
    "pre_training_bias_metrics": "Bias of the data",
    "post_training_bias_metrics": "Bias of the predictions",
}


def page(found: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    """The document."""
    title = escape(str(told.get("title") or "Analysis report"))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>'
        f"<h1>{title}</h1>{''.join(_parts(found))}</html>\n"
    )


def _parts(found: Mapping[str, Any]) -> Iterator[str]:
    for key, title in TITLES.items():
        for facet, values in found.get(key, {}).get("facets", {}).items():
            for one in values:
                value = escape(str(one["value_or_threshold"]))
                yield f"<h2>{title}: {escape(facet)} = {value}</h2>"
                rows = [(metric["description"], metric["value"]) for metric in one["metrics"]]
                yield _table("Metric", "Value", rows)
    explained = found.get("explanations", {})
    for label, one in explained.get("kernel_shap", {}).items():
        yield f"<h2>Importance of features for {escape(label)}</h2>"
        values = one["global_shap_values"]
        ranked = sorted(values.items(), key=lambda item: -abs(item[1]))
        yield _table("Feature", "Global SHAP value", ranked)
    for one in explained.get("pdp", ()):
        yield f"<h2>Partial dependence on {escape(one['feature_name'])}</h2>"
        pairs = zip(one["feature_values"], one["model_predictions"][0], strict=True)
        yield _table("Value", "Mean prediction", list(pairs))


def _table(what: str, value: str, rows: Any) -> str:
    body = "".join(
        f'<tr><td>{escape(str(name))}</td><td class="n">{_number(number)}</td></tr>'
        for name, number in rows
    )
    return f"<table><tr><th>{what}</th><th>{value}</th></tr>{body}</table>"


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) else escape(str(value or "-"))
