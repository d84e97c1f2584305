"""The data set of an analysis: what a model is asked with, the labels, and the columns by name.

Source: developer guide, "Analysis Configuration Files" (dataset_type, headers, label, features,
excluded_columns, predicted_label, joinsource_name_or_index).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas

from stacks.local.runtime.frameworks.outcome import Refused

LABEL, PREDICTED = "label", "predicted_label"


@dataclass(frozen=True)
class Dataset:
    """Rows with everything that was said of them."""

    table: pandas.DataFrame
    """All columns, label and prediction too."""
    features: pandas.DataFrame
    """What a model is asked with."""
    label: Any = None
    """A column. Default: the configuration names none."""
    predicted: Any = None
    """A column of predictions that the data set has. Default: the model is asked."""

    def column(self, name_or_index: Any, said: str) -> Any:
        """A column by its name or place; `said` is the member that names it."""
        return _column(self.table, name_or_index, said)


def read(folder: Path, config: Mapping[str, Any]) -> Dataset:
    """The data set in the files of a folder."""
    kind = str(config.get("dataset_type", "")).lower()
    if kind not in READERS:
        known = ", ".join(READERS)
        raise Refused(f"dataset_type {kind or 'none'} is not emulated: {known} are read")
    paths = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    if not paths:
        raise Refused("the data set is empty: there is no file in /opt/ml/processing/input/data")
    tables = [READERS[kind](path, config) for path in paths]
    table = pandas.concat(tables, ignore_index=True)
    if table.empty:
        raise Refused("the data set is empty: its files have no rows")
    label, predicted = (_named(table, config, name) for name in (LABEL, PREDICTED))
    gone = [one.name for one in (label, predicted) if one is not None]
    others = [*config.get("excluded_columns", ()), config.get("joinsource_name_or_index")]
    gone += [_column(table, one, "excluded_columns").name for one in others if one is not None]
    return Dataset(table, table.drop(columns=gone), label, predicted)


def _named(table: pandas.DataFrame, config: Mapping[str, Any], member: str) -> Any:
    if config.get(member) is None:
        return None
    if _by_query(config):  # the reader has put it there
        return table[member] if member in table else _column(table, config[member], member)
    return _column(table, config[member], member)


def _column(table: pandas.DataFrame, name_or_index: Any, said: str) -> Any:
    names = list(table.columns)
    if name_or_index in names:
        return table[name_or_index]
    if isinstance(name_or_index, int) and 0 <= name_or_index < len(names):
        return table.iloc[:, name_or_index]
    raise Refused(f"{said} must name a column of {', '.join(map(str, names))}, got {name_or_index}")


def _by_query(config: Mapping[str, Any]) -> bool:
    return str(config["dataset_type"]).lower() in ("application/jsonlines", "application/json")


def _csv(path: Path, config: Mapping[str, Any]) -> pandas.DataFrame:
    """With the headers of the configuration, else those of the file, else by place."""
    headers = config.get("headers")
    table = pandas.read_csv(path, header=None, skipinitialspace=True, low_memory=False)
    first = [str(cell) for cell in table.iloc[0]] if len(table) else []
    if headers:
        _fits(headers, table.shape[1])
        names: Sequence[str] = headers
        has_header = first == [str(name) for name in headers]
    else:
        has_header = bool(first) and not any(_is_number(cell) for cell in first)
        names = first if has_header else [f"column_{n}" for n in range(table.shape[1])]
    if has_header:
        table = pandas.read_csv(path, header=0, skipinitialspace=True, low_memory=False)
    table.columns = pandas.Index(names)
    return table


def _parquet(path: Path, config: Mapping[str, Any]) -> pandas.DataFrame:
    return pandas.read_parquet(path)


def _json_lines(path: Path, config: Mapping[str, Any]) -> pandas.DataFrame:
    records = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    picked = {
        member: [_search(config[member], record) for record in records]
        for member in ("features", LABEL, PREDICTED)
        if config.get(member) is not None
    }
    return _picked(records, picked, config)


def _json(path: Path, config: Mapping[str, Any]) -> pandas.DataFrame:
    content = json.loads(path.read_text())
    picked = {
        member: _search(config[member], content)
        for member in ("features", LABEL, PREDICTED)
        if config.get(member) is not None
    }
    return _picked(content if isinstance(content, list) else [], picked, config)


def _picked(
    records: Sequence[Any], picked: Mapping[str, Any], config: Mapping[str, Any]
) -> pandas.DataFrame:
    """A table of what the queries of the configuration found."""
    rows = picked.get("features", records)
    if not isinstance(rows, list):
        raise Refused(f"features must find a list of records, got {type(rows).__name__}")
    if rows and not isinstance(rows[0], Mapping):
        rows = [row if isinstance(row, list) else [row] for row in rows]
    table = pandas.DataFrame(rows)
    headers = list(config.get("headers") or [])
    others = [member for member in (LABEL, PREDICTED) if member in picked]
    if headers and not (rows and isinstance(rows[0], Mapping)):
        _fits(headers[: table.shape[1]], table.shape[1])
        table.columns = pandas.Index(headers[: table.shape[1]])
    elif not (rows and isinstance(rows[0], Mapping)):
        table.columns = pandas.Index([f"column_{n}" for n in range(table.shape[1])])
    for member in others:
        if len(picked[member] or ()) != len(table):
            raise Refused(f"{member} must find one value for each of {len(table)} records")
        table[member] = picked[member]
    return table


def _search(query: Any, content: Any) -> Any:
    import jmespath

    try:
        return jmespath.search(str(query), content)
    except jmespath.exceptions.JMESPathError as error:
        raise Refused(f"{query!r} is no JMESPath: {error}") from error


def _fits(headers: Sequence[Any], columns: int) -> None:
    if len(headers) != columns:
        raise Refused(
            f"headers must name {columns} columns as the data set has, got {len(headers)}"
        )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


READERS = {
    "text/csv": _csv,
    "application/jsonlines": _json_lines,
    "application/json": _json,
    "application/x-parquet": _parquet,
}
"""dataset_type -> what reads a file of it."""
