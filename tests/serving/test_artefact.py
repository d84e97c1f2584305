"""What the server loads, and what it refuses to."""

import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from serving.model import MODEL_TYPES, TRUSTED_TYPES, load
from serving.server import ServerLimits, Service
from serving.signature import ArtefactRefused
from tests.kits.serving import FEATURES, JSON, REPOSITORY, SIGNATURE, trained


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


def test_our_list_holds_exactly_what_a_model_needs(tmp_path: Path) -> None:
    from serving.model import _schema, _types

    assert _types(_schema(trained(tmp_path / "model") / "model.skops")) == set(MODEL_TYPES)


def test_training_and_serving_agree_on_the_artefact(tmp_path: Path) -> None:
    import pandas as pd
    from sklearn.ensemble import HistGradientBoostingClassifier

    from pipelines.steps import artifact, job, train
    from pipelines.steps.feature_groups import CATEGORICAL, NUMERIC, TARGET

    rows = 300
    frame = pd.DataFrame({name: [float(i % 7) for i in range(rows)] for name in NUMERIC})
    frame.loc[::5, "temp"] = float("nan")
    for name in CATEGORICAL:
        frame[name] = ["one", "two", "three"] * (rows // 3)
    frame[TARGET] = [int(i % 3 == 0 or i % 7 > 4) for i in range(rows)]
    features = train.describe(frame)
    estimator = HistGradientBoostingClassifier(max_iter=5, early_stopping=False, random_state=0)
    estimator.fit(artifact.matrix(features, frame), frame[TARGET])
    train.save(estimator, tmp_path / artifact.MODEL)
    manifest = {"data_hash": "x", "train_start": "2013-01-01", "train_end": "2013-03-01"}
    job.write_json(tmp_path / artifact.SIGNATURE, train.signature(features, frame, manifest))

    service = Service(model=load(tmp_path), limits=ServerLimits())
    records = json.loads(frame[[*NUMERIC, *CATEGORICAL]].to_json(orient="records"))
    reply = service.invoke(JSON, "", json.dumps(records).encode())
    served = [item["probability"] for item in json.loads(reply.body)["predictions"]]
    assert served == estimator.predict_proba(artifact.matrix(features, frame))[:, 1].tolist()
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
