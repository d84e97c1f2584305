"""`serve` of AWS's framework images: a model behind the functions of a person's inference script.

The contract is that of the inference toolkit: `model_fn`, `input_fn`, `predict_fn`, `output_fn` or
`transform_fn` in `code/inference.py` of the model, or in what SAGEMAKER_PROGRAM names (SageMaker
Python SDK, "Use Scikit-learn", "Use PyTorch", "Use XGBoost"). Where a script leaves one out and the
library has an obvious way, that is taken. With SAGEMAKER_MULTI_MODEL it holds many models, as AWS's
multi-model-server does (developer guide, "Custom Containers Contract for Multi-Model Endpoints").
"""

import importlib.util
import io
import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from stacks.local.runtime.frameworks.install import OPT_ML, install
from stacks.local.runtime.frameworks.train import fetch
from stacks.local.runtime.frameworks.xgboost_algorithm import MODEL

JSON, CSV, NUMPY, SVM = "application/json", "text/csv", "application/x-npy", "text/libsvm"
AS_TEXT = (JSON, CSV, SVM)
"""What an `input_fn` gets as text, all else as bytes."""

FUNCTIONS = ("model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn")


class Unsupported(Exception):
    """A media type that nobody decodes."""


def main(argv: Sequence[str]) -> int:
    """Load the model, or wait to be told which ones, and answer until told to end."""
    library = argv[0]
    models: dict[str, Serving] = {}
    if os.environ.get("SAGEMAKER_MULTI_MODEL") != "true":
        models[""] = Serving(library, OPT_ML / "model")
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    host = os.environ.get("BIND_HOST", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(*_listed(models, self.path))

        def do_DELETE(self) -> None:
            gone = models.pop(self.path.removeprefix("/models/"), None)
            self._answer(404 if gone is None else 200, b"", JSON)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path == "/models":
                self._answer(*_loaded(models, library, body))
                return
            name = self.path.removeprefix("/models/").removesuffix("/invoke")
            serving = models.get("" if self.path == "/invocations" else name)
            if serving is None:
                self._answer(404, b"", JSON)
                return
            kind = self.headers.get("Content-Type") or JSON
            wanted = self.headers.get("Accept") or JSON
            try:
                self._answer(200, *serving.answer(body, kind, JSON if "*" in wanted else wanted))
            except Unsupported as error:
                self._answer(415, str(error).encode(), "text/plain")
            except Exception as error:  # noqa: BLE001 - a person's script may raise anything
                traceback.print_exc()
                self._answer(500, str(error).encode(), "text/plain")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    ThreadingHTTPServer((host, port), Handler).serve_forever()
    return 0


def _listed(models: Mapping[str, "Serving"], path: str) -> tuple[int, bytes, str]:
    """The answer to GET: /ping, the models that are loaded, or one of them."""
    if path == "/ping":
        return 200, b"", JSON
    told = [{"modelName": name, "modelUrl": str(own.folder)} for name, own in models.items()]
    if path == "/models" and "" not in models:
        return 200, json.dumps({"models": told}).encode(), JSON
    found = [one for one in told if path == f"/models/{one['modelName']}"]
    return (200, json.dumps(found[0]).encode(), JSON) if found else (404, b"", JSON)


def _loaded(models: dict[str, "Serving"], library: str, body: bytes) -> tuple[int, bytes, str]:
    """The answer to POST /models: 409 where it is loaded, 507 where there is no memory for it."""
    if "" in models:
        return 404, b"", JSON
    told = json.loads(body)
    if told["model_name"] in models:
        return 409, b"", JSON
    folder = OPT_ML / Path(told["url"]).relative_to("/opt/ml")
    try:
        models[told["model_name"]] = Serving(library, folder)
    except MemoryError as error:
        return 507, str(error).encode(), "text/plain"
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a person's script may raise anything
        traceback.print_exc()
        return 500, str(error).encode(), "text/plain"
    return 200, b"", JSON


class Serving:
    """A model and the functions that answer with it."""

    def __init__(self, library: str, folder: Path) -> None:
        self.library, self.folder = library, folder
        self.functions = {name: None for name in FUNCTIONS} | _script(folder)
        load = self.functions["model_fn"] or DEFAULT_MODELS.get(library)
        if load is None:
            sys.exit(f"code/inference.py of the model must define model_fn: {library} has no other")
        self.model = load(str(folder))

    def answer(self, body: bytes, kind: str, wanted: str) -> tuple[bytes, str]:
        """A request's answer and its media type."""
        media = kind.partition(";")[0].strip()
        data: Any = body.decode() if media in AS_TEXT else body
        own = self.functions
        if own["transform_fn"]:
            return _encoded(own["transform_fn"](self.model, data, media, wanted), wanted)
        asked = own["input_fn"](data, media) if own["input_fn"] else decode(data, media)
        predict = own["predict_fn"] or self._predict
        found = predict(asked, self.model)
        told = own["output_fn"](found, wanted) if own["output_fn"] else encode(found, wanted)
        return _encoded(told, wanted)

    def _predict(self, asked: Any, model: Any) -> Any:
        if self.library == "xgboost" and not hasattr(model, "fit"):
            import xgboost

            return model.predict(xgboost.DMatrix(asked))
        if self.library == "torch":
            import torch

            with torch.no_grad():
                return model(torch.as_tensor(asked, dtype=torch.float32)).numpy()
        return model.predict(asked)


def _script(folder: Path) -> dict[str, Any]:
    """The functions of a person's script; none where the model brings no script."""
    code = folder / "code"
    source = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if source.startswith("s3://"):
        code = fetch(source, OPT_ML / "code")
    path = code / os.environ.get("SAGEMAKER_PROGRAM", "inference.py")
    if not path.exists():
        return {}
    if (code / "requirements.txt").exists() and install(["-r", str(code / "requirements.txt")]):
        sys.exit("the requirements of the model cannot be installed")
    sys.path.insert(0, str(code))
    found = importlib.util.spec_from_file_location(path.stem, path)
    if found is None or found.loader is None:
        sys.exit(f"{path.name} must be a Python file")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return {name: getattr(module, name) for name in FUNCTIONS if hasattr(module, name)}


def _xgboost_model(folder: str) -> Any:
    import xgboost

    model = xgboost.Booster()
    model.load_model(bytearray((Path(folder) / MODEL).read_bytes()))
    return model


def _torch_model(folder: str) -> Any:
    import torch

    found = sorted([*Path(folder).glob("*.pt"), *Path(folder).glob("*.pth")])
    if len(found) != 1:
        sys.exit(f"a model without model_fn must hold one TorchScript file, got {len(found)}")
    return torch.jit.load(str(found[0])).eval()


DEFAULT_MODELS = {"xgboost": _xgboost_model, "torch": _torch_model}


def decode(data: Any, media: str) -> Any:
    """A request as numbers."""
    import numpy as np

    if media == JSON:
        return np.array(json.loads(data))
    if media == CSV:
        return np.genfromtxt(io.StringIO(data), delimiter=",", ndmin=2)
    if media == NUMPY:
        return np.load(io.BytesIO(data), allow_pickle=False)
    if media == SVM:
        from sklearn.datasets import load_svmlight_file

        text = "".join(f"0 {line}\n" for line in data.splitlines() if line.strip())
        return load_svmlight_file(io.BytesIO(text.encode()))[0]
    raise Unsupported(f"Content-Type must be one of {JSON}, {CSV}, {NUMPY}, {SVM}, got {media}")


def encode(found: Any, wanted: str) -> tuple[bytes, str]:
    """An answer in the media type that is asked for."""
    import numpy as np

    numbers = np.asarray(found)
    if wanted == CSV:
        rows = numbers.reshape(len(numbers), -1) if numbers.ndim else numbers.reshape(1, 1)
        return "\n".join(",".join(str(v) for v in row) for row in rows.tolist()).encode(), CSV
    if wanted == NUMPY:
        out = io.BytesIO()
        np.save(out, numbers, allow_pickle=False)
        return out.getvalue(), NUMPY
    return json.dumps(numbers.tolist()).encode(), JSON


def _encoded(told: Any, wanted: str) -> tuple[bytes, str]:
    """What a script returns: a body, or a body and its media type."""
    body, kind = told if isinstance(told, tuple) else (told, wanted)
    return (body if isinstance(body, bytes) else str(body).encode()), kind


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
