"""What the tests of endpoints share: a program to serve, an artefact, how endpoints are asked."""

import io
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.kits.local_cloud import BUCKET, OWN_IMAGE, ROLE, Cloud, until

SERVE = f"""#!{sys.executable}
import http.server, os, pathlib, sys, threading, time
go_on = threading.Event()
name = os.environ["NAME"]
if name == "crash":
    sys.exit("cannot load the model")
model = pathlib.Path(os.environ.get("OPT_ML", "/opt/ml"), "model", "model.txt").read_text()
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def stream(self, text, broken):
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in text.split():
            self.wfile.write(f"{{len(part):x}}\\r\\n{{part}}\\r\\n".encode())
            go_on.wait()
            if broken:
                self.connection.close()
                return
        self.wfile.write(b"0\\r\\n\\r\\n")
        self.close_connection = True
    def do_GET(self):
        self.answer(200, "")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        ok = body != "bad"
        if body == "go on":
            go_on.set()
        if body in ("stream", "break"):
            return self.stream("one two three", body == "break")
        if body == "slow":
            time.sleep(1.5)
        if name == "broken":
            return self.answer(500, "out of order")
        kind = self.headers["Content-Type"]
        said = f"{{name}}|{{model}}|{{body}}|{{kind}}"
        self.answer(200 if ok else 422, said if ok else "no such row")
    def log_message(self, *_):
        pass
port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
"""A program `serve` that says who it is; a model container's PATH leads to it."""


def serve_program(folder: Path) -> str:
    """PATH of a container whose `serve` is the tests' own."""
    (folder / "serve").write_text(SERVE)
    (folder / "serve").chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def put_artifact(s3: Any) -> str:
    """Model data in S3: an archive with one file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        entry = tarfile.TarInfo("model.txt")
        entry.size = 2
        tar.addfile(entry, io.BytesIO(b"m1"))
    s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=out.getvalue())
    return f"s3://{BUCKET}/model.tar.gz"


def configure(sm: Any, config: str, path: str, artifact: str, **weights: float) -> None:
    """An endpoint configuration with one variant and model per keyword."""
    variants = [
        on_instances(sm, config, path, artifact, variant, weight=weight)
        for variant, weight in weights.items()
    ]
    sm.create_endpoint_config(EndpointConfigName=config, ProductionVariants=variants)


def on_instances(
    sm: Any, config: str, path: str, artifact: str, variant: str, *, weight: float = 1
) -> dict[str, Any]:
    """A variant on one instance, its model made."""
    return {
        "VariantName": variant,
        "ModelName": make_model(sm, f"{config}-{variant}", path, artifact, variant),
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        "InitialVariantWeight": weight,
    }


def make_model(sm: Any, model: str, path: str, artifact: str, says: str) -> str:
    """A model whose container says this name."""
    sm.create_model(
        ModelName=model,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={
            "Image": OWN_IMAGE,
            "ModelDataUrl": artifact,
            "Environment": {"PATH": path, "NAME": says},
        },
    )
    return model


def serve(sm: Any, endpoint: str, config: str) -> None:
    """An endpoint in service."""
    sm.create_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    assert settled(sm, endpoint)["EndpointStatus"] == "InService"


def settled(sm: Any, name: str) -> Mapping[str, Any]:
    return until(lambda: sm.describe_endpoint(EndpointName=name), "EndpointStatus")


def invoke(cloud: Cloud, endpoint: str, body: str, **more: str) -> tuple[str, str]:
    answer = cloud.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, Body=body.encode(), ContentType="text/csv", **more
    )
    return answer["Body"].read().decode(), answer["InvokedProductionVariant"]


def alarm_on_errors(cloudwatch: Any, name: str, endpoint: str, *, variant: str = "") -> None:
    """An alarm on one 5xx of an endpoint, or of one of its variants, within ten seconds."""
    dimensions = {"EndpointName": endpoint, **({"VariantName": variant} if variant else {})}
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        Statistic="Sum",
        Period=10,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )
