"""What of a record a model is asked, and what of it and of the answer is kept (DataProcessing).

Source: developer guide, "Associate prediction results with input records": a row of CSV is a JSON
array; an answer joins a JSON object as SageMakerOutput, anything else beside it as SageMakerInput.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stacks.local.aws.sagemaker.transform.json_path import Path, PathError, parse, select
from stacks.local.aws.sagemaker.transform.splitting import BadRecord

KINDS: Mapping[str, str] = {
    "text/csv": "csv",
    "application/json": "json",
    "application/jsonlines": "json",
}
"""Media type -> how records of it are read."""


@dataclass(frozen=True, kw_only=True)
class Association:
    """The filters of a job and whether it joins."""

    asks: Path = ()
    """Default: the whole record."""

    keeps: Path = ()
    """Default: all."""

    joins: bool = False
    input_kind: str = ""
    """`csv` or `json`. Default: neither, records are not read."""

    output_kind: str = ""

    @property
    def reads_answers(self) -> bool:
        return self.joins or bool(self.keeps)

    def asked(self, record: bytes) -> bytes:
        """What the model gets of a record."""
        if not self.asks:
            return record
        return _write(self.input_kind, _picked(_read(self.input_kind, record), self.asks))

    def kept(self, records: Sequence[bytes], answer: bytes) -> list[bytes]:
        """The records of the output that follow from an answer to these records."""
        if not self.reads_answers:
            return [answer]
        answers = _answers(self.output_kind, answer, len(records))
        if self.joins:
            inputs = [_read(self.input_kind, record) for record in records]
            answers = [
                _JOINS[self.output_kind](*both) for both in zip(inputs, answers, strict=True)
            ]
        return [_write(self.output_kind, _picked(item, self.keeps)) for item in answers]


def association(request: Mapping[str, Any]) -> Association:
    """Of a CreateTransformJob request; PathError where a filter cannot be read."""
    processing = request.get("DataProcessing", {})
    return Association(
        asks=parse(processing.get("InputFilter", "$")),
        keeps=parse(processing.get("OutputFilter", "$")),
        joins=processing.get("JoinSource") == "Input",
        input_kind=kind(request["TransformInput"].get("ContentType", "")),
        output_kind=kind(request["TransformOutput"].get("Accept", "")),
    )


def kind(media_type: str) -> str:
    """How records of a media type are read; empty: they are not."""
    return KINDS.get(media_type.partition(";")[0].strip().lower(), "")


def _picked(value: Any, path: Path) -> Any:
    try:
        return select(value, path)
    except PathError as error:
        raise BadRecord(f"the filter does not fit: {error}") from error


def _read(how: str, record: bytes) -> Any:
    try:
        text = record.decode()
        if how == "csv":
            return next(csv.reader([text], strict=True), [])
        return json.loads(text)
    except (ValueError, csv.Error) as error:
        raise BadRecord(f"Failed to parse a record as {how.upper()}: {error}") from error


def _write(how: str, value: Any) -> bytes:
    if how == "json":
        return json.dumps(value, ensure_ascii=False).encode()
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(value if isinstance(value, list) else [value])
    return out.getvalue().encode()


def _answers(how: str, answer: bytes, count: int) -> list[Any]:
    """The answer to each record; a single one may stand on several lines."""
    if count == 1 and how == "json":
        return [_read(how, answer)]
    lines = answer.removesuffix(b"\n").splitlines()
    if len(lines) != count:
        raise BadRecord(
            "Fail to join data: mismatched line count between the input and the output: "
            f"{count} records, {len(lines)} lines"
        )
    return [_read(how, line) for line in lines]


def _join_json(record: Any, answer: Any) -> dict[str, Any]:
    held = record if isinstance(record, dict) else {"SageMakerInput": record}
    return {**held, "SageMakerOutput": answer}


_JOINS: Mapping[str, Callable[[Any, Any], Any]] = {
    "csv": lambda record, answer: [*record, *answer],
    "json": _join_json,
}
