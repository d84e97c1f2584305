"""A model container for batch transforms, which prints what it is asked, and jobs of it."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.kits.local_cloud import BUCKET, OWN_IMAGE, ROLE, Cloud, until

SERVE = f"""#!{sys.executable}
import http.server, json, os, threading, time
lock, counts = threading.Lock(), dict(asked=0, now=0, most=0)
print("told", json.dumps({{k: v for k, v in sorted(os.environ.items()) if "SAGEMAKER_" in k}}))
def answer(body):
    if os.environ.get("SAYS") == "once":
        return body[:1]
    lines = body.decode().splitlines()
    if os.environ.get("SAYS") == "json":
        return "".join(json.dumps({{"label": sum(json.loads(line))}}) + "\\n" for line in lines)
    return "\\n".join(str(sum(float(v) for v in line.split(","))) for line in lines)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def tell(self, status, text):
        said = text if isinstance(text, bytes) else text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    def do_GET(self):
        wanted = os.environ.get("WANTS")
        known = self.path == "/ping" or (wanted and self.path == "/execution-parameters")
        self.tell(200 if known else 404, wanted if known and self.path != "/ping" else "")
    def read(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found
    def do_POST(self):
        body = self.read()
        with lock:
            counts["asked"] += 1
            counts["now"] += 1
            counts["most"] = max(counts["most"], counts["now"])
            first = counts["asked"] <= int(os.environ.get("REFUSES", "0"))
        kind, accept = self.headers["Content-Type"], self.headers["Accept"]
        chunked = self.headers.get("Transfer-Encoding")
        shown = body.decode("latin-1") if len(body) < 100 else len(body)
        print("asked", json.dumps([shown, kind, accept, chunked]))
        time.sleep(float(os.environ.get("SECONDS", "0")))
        if b"die" in body:
            os._exit(3)
        if first:
            self.tell(503, "busy")
        elif b"bad" in body:
            self.tell(422, "no such row")
        else:
            self.tell(200, answer(body))
        with lock:
            counts["now"] -= 1
        print("most", counts["most"])
    def log_message(self, *_):
        pass
port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
"""Answers a row of CSV with its sum, an array of JSON with an object; `bad` and `die` are rows."""


@dataclass(frozen=True, kw_only=True)
class Transforms:
    """A cloud, and a folder for the program of its models' containers."""

    cloud: Cloud
    folder: Path

    @cached_property
    def sm(self) -> Any:
        return self.cloud.client("sagemaker")

    @cached_property
    def s3(self) -> Any:
        return self.cloud.client("s3")

    def container(self, **variables: str) -> dict[str, Any]:
        """A container with these variables."""
        program = self.folder / "serve"
        program.write_text(SERVE)
        program.chmod(0o755)
        path = {"PATH": f"{self.folder}:/usr/bin:/bin", "PYTHONUNBUFFERED": "1"}
        return {"Image": OWN_IMAGE, "Environment": {**path, **variables}}

    def model(self, name: str, *, role: str = ROLE, **variables: str) -> str:
        """A model of such a container."""
        self.sm.create_model(
            ModelName=name,
            ExecutionRoleArn=role,
            PrimaryContainer=self.container(**variables),
        )
        return name

    def put(self, name: str, objects: Mapping[str, bytes]) -> None:
        """The inputs of a job."""
        for key, body in objects.items():
            self.s3.put_object(Bucket=BUCKET, Key=f"{name}/{key}", Body=body)

    def run(self, name: str, model: str, **more: Any) -> Mapping[str, Any]:
        """A job to its end; its description."""
        self.sm.create_transform_job(**request(name, model, **more))
        return self.ended(name)

    def ended(self, name: str) -> Mapping[str, Any]:
        return until(
            lambda: self.sm.describe_transform_job(TransformJobName=name), "TransformJobStatus"
        )

    def outputs(self, name: str) -> dict[str, bytes]:
        """What a job left, by its key below the output path."""
        prefix = f"{name}-out/"
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return {key.removeprefix(prefix): self._read(key) for key in (i["Key"] for i in found)}

    def _read(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def printed(self, name: str, word: str) -> list[Any]:
        """What the container printed behind a word."""
        log = (self.cloud.home / "local/transforms" / name / "log.txt").read_text().splitlines()
        lines = [line.partition(" ") for line in log]
        return [json.loads(rest) for said, _, rest in lines if said == word]


def request(name: str, model: str, **more: Any) -> dict[str, Any]:
    """A CreateTransformJob request over what was put at `<name>/`; members are merged."""
    given: dict[str, Any] = {
        "TransformJobName": name,
        "ModelName": model,
        "TransformInput": {
            "DataSource": {
                "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{name}/"}
            },
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        "TransformOutput": {
            "S3OutputPath": f"s3://{BUCKET}/{name}-out",
            "Accept": "text/csv",
            "AssembleWith": "Line",
        },
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    for member, value in more.items():
        held = given.get(member)
        given[member] = {**held, **value} if isinstance(held, dict) else value
    return given
