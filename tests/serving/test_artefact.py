"""What the server loads, and what it refuses to."""

import json
import os
import pickle
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.toolkit.feature_group import Columns
from serving import artefact
from serving.model import MODEL_TYPES, TRUSTED_TYPES, load
from serving.server import ServerLimits, Service
from serving.signature import ArtefactRefused
from tests.kits.serving import (
    CSV,
    FEATURES,
    JSON,
    LINES,
    OUTPUTS,
    RECORD,
    REPOSITORY,
    SIGNATURE,
    trained,
)


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    folder = trained(tmp_path / "model")
    marker = tmp_path / "ran"
    (folder / "model.skops").write_bytes(pickle.dumps(Payload(marker)))
    with pytest.raises(ArtefactRefused, match="not a skops file"):
        load(folder)
    (folder / "model.skops").rename(folder / "model.pkl")
    with pytest.raises(ArtefactRefused, match=r"must hold model\.skops, it holds model\.pkl"):
        load(folder)
    assert not marker.exists()


@pytest.mark.parametrize(
    "hostile",
    [
        {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode"},
        {
            "__class__": "MLPClassifier",
            "__module__": "sklearn.neural_network",
            "__loader__": "ObjectNode",
        },
        {"__class__": "methodcaller", "__module__": "operator", "__loader__": "OperatorFuncNode"},
    ],
)
def test_a_type_outside_our_list_is_refused_by_name(tmp_path: Path, hostile: Any) -> None:
    folder = trained(tmp_path / "model")
    rewrite(folder / "model.skops", lambda schema: schema | {"content": {"extra": hostile}})
    with pytest.raises(ArtefactRefused, match=f"{hostile['__module__']}.{hostile['__class__']}"):
        load(folder)


def rewrite(path: Path, change: Any) -> None:
    """Change the schema inside a skops file."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["schema.json"] = json.dumps(change(json.loads(members["schema.json"]))).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("kind", sorted(MODEL_TYPES))
def test_our_list_holds_exactly_what_a_model_needs(tmp_path: Path, kind: str) -> None:

    folder = trained(tmp_path / "model", kind)
    assert artefact.read(folder / "model.skops").types == set(MODEL_TYPES[kind])


# A number with its quantiles


def test_a_number_is_answered_by_its_outputs_in_every_media_type(tmp_path: Path) -> None:
    service = Service(model=load(trained(tmp_path / "model", "number")), limits=ServerLimits())
    body = json.dumps([RECORD, RECORD | {"wind": None}]).encode()
    predictions = json.loads(service.invoke(JSON, "", body).body)["predictions"]
    assert [list(prediction) for prediction in predictions] == [OUTPUTS, OUTPUTS]
    assert all(one["p10"] <= one["value"] <= one["p90"] for one in predictions)
    lines = service.invoke(JSON, LINES, body).body.decode().splitlines()
    assert [json.loads(line) for line in lines] == predictions
    rows = service.invoke(JSON, CSV, body).body.decode().splitlines()
    assert [list(map(float, row.split(","))) for row in rows] == [
        list(prediction.values()) for prediction in predictions
    ]


def test_quantiles_that_cross_change_places(tmp_path: Path) -> None:
    model = load(trained(tmp_path / "model", "number"))
    turned = replace(model, estimators=model.estimators[::-1])
    rows = [[1.0, 500.0, 3.5], [0.0, 2500.0, 0.0]]
    assert turned.predict(rows) == model.predict(rows)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (None, "target.kind must be binary or number, got None"),
        ("late", "target.kind must be binary or number, got None"),
        ({"kind": "image"}, "target.kind must be binary or number, got 'image'"),
        ({"kind": "number"}, "target.outputs must be distinct names, got None"),
        ({"kind": "number", "outputs": []}, "must be distinct names"),
        ({"kind": "number", "outputs": ["a", "a", "b"]}, "must be distinct names"),
        ({"kind": "number", "outputs": ["a", 1, "b"]}, "must be distinct names"),
        ({"kind": "number", "outputs": ["value"]}, "must have 1 estimators, as its signature"),
        ({"kind": "binary"}, "types that are not trusted: .*HistGradientBoostingRegressor"),
    ],
)
def test_a_target_that_does_not_fit_is_refused(tmp_path: Path, target: Any, reason: str) -> None:
    folder = trained(tmp_path / "model", "number")
    (folder / "signature.json").write_text(json.dumps(SIGNATURE | {"target": target}))
    with pytest.raises(ArtefactRefused, match=reason):
        load(folder)


# Training and serving


def frame_of(columns: Columns) -> Any:
    """300 made-up rows of a model's features and target."""
    import pandas as pd

    rows = 300
    frame = pd.DataFrame({name: [float(i % 7) for i in range(rows)] for name in columns.numeric})
    frame.loc[::5, sorted(columns.nullable)[0]] = float("nan")
    for name in columns.categorical:
        frame[name] = ["one", "two", "three"] * (rows // 3)
    frame[columns.target] = [int(i % 3 == 0 or i % 7 > 4) for i in range(rows)]
    return frame


MANIFEST = {"data_hash": "x", "train_start": "2013-01-01", "train_end": "2013-03-01"}
TARGETS: list[dict[str, Any]] = [
    {"name": "late", "kind": "binary"},
    {"name": "minutes", "kind": "number", "outputs": OUTPUTS},
]


@pytest.mark.parametrize("target", TARGETS, ids=["binary", "number"])
def test_training_and_serving_agree_on_the_artefact(tmp_path: Path, target: dict[str, Any]) -> None:
    from pipelines.block_time.steps import train as quantiles
    from pipelines.flight_delay.feature_groups import COLUMNS
    from pipelines.flight_delay.steps import train
    from pipelines.toolkit import artifact

    frame = frame_of(COLUMNS)
    features = artifact.describe(frame, COLUMNS)
    fit = train.fit if target["kind"] == "binary" else quantiles.fit
    labels = frame[COLUMNS.target].to_numpy()
    model = fit(artifact.matrix(features, frame), labels, {"max_iter": 5})
    signature = artifact.signature(features, target, len(frame), MANIFEST)
    artifact.save(model, tmp_path, signature)

    service = Service(model=load(tmp_path), limits=ServerLimits())
    names = [*COLUMNS.numeric, *COLUMNS.categorical]
    reply = service.invoke(JSON, "", frame[names].to_json(orient="records").encode())
    assert json.loads(reply.body)["predictions"] == artifact.answers(model, signature, frame)
    assert artifact.TRUSTED_TYPES == TRUSTED_TYPES


@pytest.mark.parametrize(
    "damage", ["truncated", "no members", "loader", "format", "signature", "width"]
)
def test_a_damaged_artefact_is_refused(tmp_path: Path, damage: str) -> None:
    folder = trained(tmp_path / "model")
    model, signature = folder / "model.skops", folder / "signature.json"
    if damage == "truncated":
        model.write_bytes(model.read_bytes()[:-100])
    elif damage == "no members":
        with zipfile.ZipFile(model) as archive:
            schema = archive.read("schema.json")
        with zipfile.ZipFile(model, "w") as archive:
            archive.writestr("schema.json", schema)
    elif damage == "loader":
        rewrite(model, lambda schema: schema | {"__loader__": "NoNode"})
    elif damage == "format":
        signature.write_text(json.dumps(SIGNATURE | {"format": 2}))
    elif damage == "signature":
        signature.write_text('{"format": 1, "features": [{"name": "x", "kind": "image"}]}')
    else:
        signature.write_text(json.dumps(SIGNATURE | {"features": FEATURES[:2]}))
    with pytest.raises(ArtefactRefused):
        load(folder)


def test_a_refused_model_ends_the_process_with_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    env = {**os.environ, "OPT_ML": str(tmp_path)}
    command = [sys.executable, "-m", "serving.server"]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "the model is refused" in done.stderr
