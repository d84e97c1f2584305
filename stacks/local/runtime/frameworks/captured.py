"""What an endpoint captured, as a table: a row per record, its answer's columns before its input's.

Sources: SageMaker developer guide, "Capture data from real-time endpoint", "Preprocessing and
postprocessing", "Ingest ground truth labels and merge them with predictions". Names of columns that
have none are those of a table without a header (`_c0`).
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
import runpy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stacks.local.runtime.frameworks.outcome import Refused

PARTS = ("endpointOutput", "endpointInput")
TRUTHS = "/opt/ml/processing/groundtruth"
"""Where a job finds the ground truth."""

TRUTH = "ground_truth"
"""Column of the truth that was merged."""

HANDLER = "preprocess_handler"
Row = dict[str, Any]


def rows(folder: Path, parts: Sequence[str], script: Path | None) -> list[Row]:
    """The rows of every record; what a preprocessor makes of them where there is one."""
    handler = _handler(script) if script else None
    found: list[Row] = []
    for record in _records(folder):
        found += _handled(handler, record) if handler else _rows(record, parts)
    return found


def merged(folder: Path, truths: Path) -> list[Row]:
    """The answers that have a truth, by their event or inference id; each with it."""
    known = _truths(truths)
    found: list[Row] = []
    for record in _records(folder):
        about = record.get("eventMetadata", {})
        ids = (about.get("eventId"), about.get("inferenceId"))
        labels = next((known[one] for one in ids if one in known), None)
        if labels is not None:
            answers = _part(record, "endpointOutput")
            if len(labels) != len(answers):
                told = f"{len(answers)} answers and {len(labels)} labels"
                raise Refused(f"a record must have a label for each answer, got {told}")
            pairs = zip(answers, labels, strict=True)
            found += [{**_named(answer), TRUTH: label} for answer, label in pairs]
    if not found:
        raise Refused("no captured record has a ground truth with its event or inference id")
    return found


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            for number, line in enumerate(path.read_text().splitlines(), 1):
                yield _object(line, f"{path.name}, line {number}")


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refused(f"{where} must be a JSON object, got {text[:80]!r}")
    return found


def _rows(record: Mapping[str, Any], parts: Sequence[str]) -> list[Row]:
    """The rows of one record: those of its parts side by side."""
    asked = [part for part in PARTS if part in parts and part in record.get("captureData", {})]
    sides = [_part(record, part) for part in asked]
    if len({len(side) for side in sides}) > 1:
        told = ", ".join(f"{len(side)} of {part}" for side, part in zip(sides, asked, strict=True))
        raise Refused(f"input and answer must have as many rows, got {told}")
    return [_named([cell for side in row for cell in side]) for row in zip(*sides, strict=True)]


def _named(cells: Sequence[tuple[str, Any]]) -> Row:
    """Cells by their names; those without one by their place."""
    return {name or f"_c{place}": value for place, (name, value) in enumerate(cells)}


def _part(record: Mapping[str, Any], part: str) -> list[list[tuple[str, Any]]]:
    """Rows of cells, each with its name or none."""
    side = record.get("captureData", {}).get(part)
    if side is None:
        raise Refused(f"{part} was not captured")
    text, kind = side["data"], side.get("observedContentType", "").partition(";")[0].strip()
    if side.get("encoding") == "BASE64":
        try:
            text = base64.b64decode(text, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise Refused(f"captured data of type {kind} are no text") from None
    if side.get("encoding") == "CSV" or kind == "text/csv":
        return [[("", value) for value in row] for row in csv.reader(io.StringIO(text)) if row]
    if side.get("encoding") == "JSON" or "json" in kind:
        lines = text.splitlines() if kind.endswith("jsonlines") else [text]
        return [cells for line in lines if line.strip() for cells in _of_json(line)]
    raise Refused(f"captured data of type {kind} are not read: CSV and JSON are")


def _of_json(text: str) -> list[list[tuple[str, Any]]]:
    try:
        found = json.loads(text)
    except ValueError:
        raise Refused(f"captured data must be JSON, got {text[:80]!r}") from None
    rows = found if isinstance(found, list) else [found]
    if rows and not any(isinstance(row, list | dict) for row in rows):
        rows = [rows]
    return [
        [*_flat(row)] if isinstance(row, dict) else [("", _cell(one)) for one in row]
        for row in rows
    ]


def _flat(row: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Members of members under both names."""
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", _cell(value)


def _cell(value: Any) -> str:
    """As it would stand in a CSV."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _truths(folder: Path) -> dict[str, list[str]]:
    """Event id -> labels, of JSON Lines with groundTruthData and eventMetadata."""
    found = {}
    for record in _records(folder):
        about, told = record.get("eventMetadata", {}), record.get("groundTruthData", {})
        if "eventId" not in about or "data" not in told:
            raise Refused("a ground truth must have groundTruthData.data and eventMetadata.eventId")
        if told.get("encoding", "CSV") != "CSV":
            raise Refused(f"ground truth must be CSV, got {told['encoding']}")
        cells = [cell for row in csv.reader(io.StringIO(str(told["data"]))) for cell in row]
        found[about["eventId"]] = cells
    return found


# -- preprocessors


def _handler(script: Path) -> Any:
    handler = runpy.run_path(str(script)).get(HANDLER)
    if handler is None:
        raise Refused(f"{script.name} must define {HANDLER}(inference_record)")
    return handler


def _handled(handler: Any, record: Mapping[str, Any]) -> list[Row]:
    """Rows that a preprocessor makes of a record: one, several, or none."""
    sides = record.get("captureData", {})
    about = record.get("eventMetadata", {})
    told = handler(
        SimpleNamespace(
            endpoint_input=_side(sides.get("endpointInput", {})),
            endpoint_output=_side(sides.get("endpointOutput", {})),
            event_metadata=SimpleNamespace(
                event_id=about.get("eventId"),
                inference_time=about.get("inferenceTime"),
                inference_id=about.get("inferenceId"),
                custom_attribute=about.get("customAttributes"),
            ),
        )
    )
    found = told if isinstance(told, list) else [told] if told else []
    if not all(isinstance(row, dict) for row in found):
        raise Refused(f"{HANDLER} must return a dict or a list of them, got {type(told).__name__}")
    return [{str(name): _cell(value) for name, value in row.items()} for row in found]


def _side(side: Mapping[str, str]) -> SimpleNamespace:
    return SimpleNamespace(
        data=side.get("data", ""),
        encoding=side.get("encoding"),
        mode=side.get("mode"),
        observed_content_type=side.get("observedContentType"),
    )
