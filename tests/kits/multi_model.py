"""A container of many models for the tests of endpoints, and artefacts for it."""

import io
import sys
import tarfile
from pathlib import Path
from typing import Any

from tests.kits.local_cloud import BUCKET, OWN_IMAGE

SERVE = f"""#!{sys.executable}
import http.server, json, os, pathlib, threading
models, go_on = {{}}, threading.Event()
root = os.environ.get("OPT_ML", "/opt/ml")
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status, said):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said.encode())
    def do_GET(self):
        self.answer(200 if self.path in ("/ping", "/models") else 404, "")
    def do_DELETE(self):
        del models[self.path.rpartition("/")[2]]
        self.answer(200, "")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/models":
            return self.load(**json.loads(body))
        if body == "wait":
            go_on.wait()
        if body == "go on":
            go_on.set()
        text = models[self.path.split("/")[2]]
        target = self.headers["X-Amzn-SageMaker-Target-Model"]
        loaded = ",".join(sorted(models.values()))
        kind = self.headers["Content-Type"]
        if body == "bad":
            return self.answer(422, "no such row")
        self.answer(200, "|".join((text, target, body, kind, loaded)))
    def load(self, model_name, url):
        text = pathlib.Path(url.replace("/opt/ml", root), "model.txt").read_text()
        if model_name in models:
            return self.answer(409, "is loaded")
        if len(models) == int(os.environ["CAPACITY"]):
            return self.answer(507, "no memory")
        if text == "broken":
            return self.answer(500, "cannot be read")
        models[model_name] = text
        self.answer(200, "")
    def log_message(self, *_):
        pass
assert os.environ["SAGEMAKER_MULTI_MODEL"] == "true"
port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
"""Says a model's text, its target, the request and what is loaded; has memory for CAPACITY."""

PREFIX = "many"


def put_model(s3: Any, target: str, text: str, **files: str) -> None:
    """An artefact under the prefix with this text, and other files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, said in {"model.txt": text, **files}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(said)
            tar.addfile(entry, io.BytesIO(said.encode()))
    s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{target}", Body=out.getvalue())


def container(folder: Path, *, capacity: int = 2, **more: Any) -> dict[str, Any]:
    """A container in MultiModel mode with memory for so many models."""
    (folder / "serve").write_text(SERVE)
    (folder / "serve").chmod(0o755)
    return {
        "Image": OWN_IMAGE,
        "Mode": "MultiModel",
        "ModelDataUrl": f"s3://{BUCKET}/{PREFIX}/",
        "Environment": {"PATH": f"{folder}:/usr/bin:/bin", "CAPACITY": str(capacity)},
        **more,
    }


def deploy(sm: Any, name: str, *containers: dict[str, Any], role: str, **more: Any) -> None:
    """Model, configuration and endpoint of one name, not waited for."""
    sm.create_model(ModelName=name, ExecutionRoleArn=role, Containers=[*containers], **more)
    variant = {
        "VariantName": "only",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sm.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sm.create_endpoint(EndpointName=name, EndpointConfigName=name)
