"""Ask the model of an analysis: an endpoint that is made for the job, or one that is there.

Source: developer guide, "Analysis Configuration Files", predictor: content_type, accept_type,
content_template, record_template, label, probability, label_headers. The endpoint is made with the
job's role, as Clarify's shadow endpoint is, and deleted in the end.
"""

import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from string import Template
from typing import Any

import numpy
import pandas

from stacks.local.runtime.frameworks.install import OPT_ML
from stacks.local.runtime.frameworks.outcome import Refused

ROWS_PER_REQUEST = 500
POLL_SECONDS = 0.2
CSV, LINES, JSON = "text/csv", "application/jsonlines", "application/json"
INSTANCE_TYPE = "ml.m5.large"
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class Predictor:
    """A model, and how its answers are read."""

    invoke: Callable[[str, str, str], str]
    """Body, content type and accepted type -> the answer's body."""
    told: Mapping[str, Any]
    """`predictor` of the configuration."""
    threshold: float | None
    """Default: none is told."""

    def ask(self, features: pandas.DataFrame, which: Any) -> list[Any]:
        """A part of what the model says of each row (place or JMESPath). Default: all of it."""
        content = str(self.told.get("content_type", CSV)).lower()
        accept = str(self.told.get("accept_type", content)).lower()
        if accept not in READERS:
            known = ", ".join(READERS)
            raise Refused(f"predictor.accept_type {accept} is not emulated: {known} are read")
        found: list[Any] = []
        for start in range(0, len(features), ROWS_PER_REQUEST):
            rows = features.iloc[start : start + ROWS_PER_REQUEST]
            body = self.invoke(_body(rows, content, self.told), content, accept)
            answered = READERS[accept](body, which, len(rows))
            if len(answered) != len(rows):
                raise Refused(
                    f"the model must answer each of {len(rows)} rows, got {len(answered)} answers "
                    f"in {accept}"
                )
            found += answered
        return found

    def scores(self, features: pandas.DataFrame) -> Any:
        """Numbers that explanations are about: rows x labels."""
        told = self.ask(features, self.told.get("label", self.told.get("probability")))
        rows = [one if isinstance(one, list) else [one] for one in told]
        try:
            return numpy.asarray(rows, dtype=float)
        except (TypeError, ValueError) as error:
            raise Refused(f"the model's scores must be numbers, say which by label: {error}") from (
                error
            )

    def labels(self, features: pandas.DataFrame) -> Any:
        """The predicted label of each row, or True and False where a score decides."""
        label, probability = self.told.get("label"), self.told.get("probability")
        if label is not None or (probability is None and self.threshold is None):
            return pandas.Series([_first(one) for one in self.ask(features, label)])
        headers = self.told.get("label_headers")
        threshold = DEFAULT_THRESHOLD if self.threshold is None else self.threshold
        return pandas.Series(
            [
                headers[int(numpy.argmax([float(score) for score in scores]))]
                if isinstance(scores, list) and headers
                else float(_first(scores)) > threshold
                for scores in self.ask(features, probability)
            ]
        )


@contextmanager
def predictor(
    config: Mapping[str, Any], environment: Mapping[str, str], *, needed: bool
) -> Iterator[Predictor | None]:
    """The model of an analysis for as long as it is asked; None where none is needed."""
    if not needed:
        yield None
        return
    told = dict(config.get("predictor") or {})
    if environment.get("model_name"):
        told["model_name"] = environment["model_name"]
    import boto3

    runtime, sagemaker = boto3.client("sagemaker-runtime"), boto3.client("sagemaker")
    with _endpoint(sagemaker, told) as name:

        def invoke(body: str, content: str, accept: str) -> str:
            more = {
                member: told[key]
                for member, key in (
                    ("CustomAttributes", "custom_attributes"),
                    ("TargetModel", "target_model"),
                )
                if told.get(key)
            }
            answer = runtime.invoke_endpoint(
                EndpointName=name, Body=body.encode(), ContentType=content, Accept=accept, **more
            )
            return str(answer["Body"].read().decode())

        yield Predictor(invoke, told, config.get("probability_threshold"))


@contextmanager
def _endpoint(sagemaker: Any, told: Mapping[str, Any]) -> Iterator[str]:
    """The endpoint that is there, or one that is made of a model and deleted afterwards."""
    if told.get("endpoint_name"):
        yield str(told["endpoint_name"])
        return
    if not told.get("model_name"):
        raise Refused("predictor must have model_name or endpoint_name: a model is to be asked")
    name = f"{told.get('endpoint_name_prefix', 'sm-clarify')}-{_of_job()}"[:63]
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": told["model_name"],
                "InstanceType": told.get("instance_type", INSTANCE_TYPE),
                "InitialInstanceCount": told.get("initial_instance_count", 1),
            }
        ],
    )
    try:
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        try:
            _wait(sagemaker, name)
            yield name
        finally:
            sagemaker.delete_endpoint(EndpointName=name)
    finally:
        sagemaker.delete_endpoint_config(EndpointConfigName=name)


def _wait(sagemaker: Any, name: str) -> None:
    while True:
        found = sagemaker.describe_endpoint(EndpointName=name)
        if found["EndpointStatus"] == "InService":
            return
        if found["EndpointStatus"] != "Creating":
            reason = found.get("FailureReason", found["EndpointStatus"])
            raise Refused(f"endpoint {name} of the model to be asked is not in service: {reason}")
        time.sleep(POLL_SECONDS)


def _of_job() -> str:
    """A name of this job's own, the same whenever it is asked."""
    config = OPT_ML / "config/processingjobconfig.json"
    return hashlib.sha256(config.read_bytes()).hexdigest()[:12]


# -- requests and answers


def _body(rows: pandas.DataFrame, content: str, told: Mapping[str, Any]) -> str:
    if content == CSV:
        return rows.to_csv(header=False, index=False)
    records = [[_plain(cell) for cell in row] for row in rows.itertuples(index=False)]
    if content == LINES:
        template = told.get("content_template") or '{"features":$features}'
        return "".join(f"{_filled(template, rows, record)}\n" for record in records)
    if content == JSON:
        template = told.get("content_template") or "$records"
        one = told.get("record_template") or "$features"
        filled = ",".join(_filled(one, rows, record) for record in records)
        return _replaced(template, {"records": f"[{filled}]", "record": filled})
    raise Refused(f"predictor.content_type {content} is not emulated: {CSV}, {LINES}, {JSON} are")


def _filled(template: Any, rows: pandas.DataFrame, record: Sequence[Any]) -> str:
    by_name = dict(zip(map(str, rows.columns), record, strict=True))
    return _replaced(
        template, {"features": json.dumps(record), "features_kvp": json.dumps(by_name)}
    )


def _replaced(template: Any, values: Mapping[str, str]) -> str:
    text = template if isinstance(template, str) else json.dumps(template)
    for name in values:  # an object holds the place as a text
        text = text.replace(f'"${name}"', f"${name}").replace(f'"${{{name}}}"', f"${{{name}}}")
    try:
        return Template(text).substitute(values)
    except (KeyError, ValueError) as error:
        raise Refused(f"the template {text!r} must hold {', '.join(values)} alone") from error


def _plain(cell: Any) -> Any:
    return cell.item() if isinstance(cell, numpy.generic) else cell


def _of_csv(body: str, which: Any, rows: int) -> list[Any]:
    """A line for each row, or one line with a value for each."""
    table = pandas.read_csv(io.StringIO(body), header=None, skipinitialspace=True)
    lines = [[_plain(cell) for cell in line] for line in table.itertuples(index=False)]
    if len(lines) == 1 and rows > 1 and len(lines[0]) == rows:
        return lines[0]
    return [_part(line if len(line) > 1 else line[0], which) for line in lines]


def _of_lines(body: str, which: Any, rows: int) -> list[Any]:
    return [_part(json.loads(line), which) for line in body.splitlines() if line.strip()]


def _of_json(body: str, which: Any, rows: int) -> list[Any]:
    """By a query of the whole answer, else of each record in the list that it holds."""
    content = json.loads(body)
    if isinstance(which, str):
        found = _search(which, content)
        if isinstance(found, list) and len(found) == rows:
            return found
        if found is not None and rows == 1:
            return [found]
    while isinstance(content, Mapping) and len(content) == 1:
        content = next(iter(content.values()))
    return [_part(one, which) for one in (content if isinstance(content, list) else [content])]


READERS = {CSV: _of_csv, LINES: _of_lines, JSON: _of_json}
"""Accepted type -> what finds the part of each row in an answer."""


def _part(answer: Any, which: Any) -> Any:
    if isinstance(which, int) and isinstance(answer, list):
        return answer[which]
    if isinstance(which, str) and isinstance(answer, Mapping):
        return _search(which, answer)
    return answer


def _search(query: str, content: Any) -> Any:
    import jmespath

    return jmespath.search(query, content)


def _first(value: Any) -> Any:
    while isinstance(value, list) and value:
        value = value[0]
    return value
